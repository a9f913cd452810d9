"""The file: what `lbd -t` says about a good one and about every mistake in a bad one."""

import json
import re
import tempfile
import unittest
from pathlib import Path

from lab import LabCase, config_for, run_lbd
from lab.lbd import LBD_BIN

LINE = re.compile(
    r"(?P<warning>warning: )?(?P<file>/.+?):(?P<line>\d+):(?P<col>\d+): (?P<pointer>#[^:]*): (?P<text>.+)\Z"
)

GOOD = """\
// an example with everything JSONC allows
{
    /* block
       comment */
    "daemon": {"workers": 1,},
    "listeners": {
        "web": {"bind": ["127.0.0.1:0"], "protocol": "http", "default_pool": "main",
                "timeouts": {"header": "10s", "keep_alive": "1m"}, // trailing commas are fine
                "limits": {"header_size": "16KiB"},},
    },
    "pools": {"main": {"servers": {"a": {"address": "127.0.0.1:1"},},},},
}
"""


class ConfigFile(LabCase):
    def setUp(self):
        super().setUp()
        holder = tempfile.TemporaryDirectory(prefix="lab-")
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name) / "lbd.json"

    def check(self, text):
        self.path.write_text(text if isinstance(text, str) else json.dumps(text, indent=2))
        return run_lbd("-t", "-c", str(self.path))

    def errors(self, text, count=None):
        """The errors of a bad file as dicts; asserts exit code 78 and the format of each line."""
        result = self.check(text)
        self.assertEqual(result.returncode, 78, result.stdout + result.stderr)
        found = []
        for line in (result.stderr + result.stdout).splitlines():
            match = LINE.match(line)
            if match and not match["warning"]:
                self.assertEqual(match["file"], str(self.path))
                found.append(match.groupdict())
        self.assertTrue(found, f"no error line in the agreed form:\n{result.stdout}{result.stderr}")
        if count is not None:
            self.assertEqual(len(found), count, found)
        return found

    def test_what_policies_name_is_checked_as_the_start_does(self):
        missing = str(self.path.parent / "nowhere")
        broken = self.path.parent / "broken"
        broken.write_text("neither users nor keys\n")
        broken.chmod(0o600)
        url = "https://a.example/"
        for kind, policy, pointer, words in (
                ("jwt", {"keys_file": missing}, "keys_file", "nowhere"),
                ("jwt", {"keys_file": str(broken)}, "keys_file", ""),
                ("jwt", {"keys_url": url, "algorithms": ["ES256", "none"]}, "algorithms/1", "must be one of"),
                ("basic_auth", {"users_file": missing}, "users_file", "nowhere"),
                ("basic_auth", {"users_file": str(broken)}, "users_file", "line 1"),
                ("basic_auth", {"users": ["a:b"]}, "users/0", "must be NAME:HASH, with one hash of"),
                ("basic_auth", {"users": ["nocolon"]}, "users/0", "must be NAME:HASH"),
                ("maintenance", {"body_file": missing}, "body_file", "nowhere")):
            document = json.loads(json.dumps(config_for("127.0.0.1:1")))
            document["policies"] = {"p": {kind: policy}}
            (error,) = self.errors(document, 1)
            self.assertEqual(error["pointer"], f"#/policies/p/{kind}/{pointer}", error)
            self.assertIn(words, error["text"])
            proxy = self.lbd(config_for("127.0.0.1:1"))
            answer = proxy.api("PUT", "/v1/policies/p", {kind: policy})
            self.assertEqual((answer.status, answer.pointers), (422, [error["pointer"]]))
            proxy.stop()

    def one(self, text, pointer=None, words="", line=None):
        (error,) = self.errors(text, 1)
        if pointer is not None:
            self.assertEqual(error["pointer"], pointer)
        if line is not None:
            self.assertEqual(int(error["line"]), line)
        self.assertRegex(error["text"], words)
        return error

    # -- good ---------------------------------------------------------------------------------

    def test_good_file(self):
        result = self.check(GOOD)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_empty_object_is_a_good_file(self):
        self.assertEqual(self.check("{}").returncode, 0)

    def test_crlf_and_bom(self):
        self.assertEqual(self.check(GOOD.replace("\n", "\r\n")).returncode, 0)

    def test_schema_key_for_editors_is_ignored(self):
        self.assertEqual(self.check('{"$schema": "x", "schema": 1}').returncode, 0)

    def test_units(self):
        for text in ("250ms", "2s", "5m", "1h", "1000ms"):
            document = config_for(listener={"timeouts": {"header": text}})
            self.assertEqual(self.check(document).returncode, 0, text)
        for text in ("16KiB", "64KiB", "65536B"):
            document = config_for(listener={"limits": {"header_size": text}})
            self.assertEqual(self.check(document).returncode, 0, text)

    def test_check_touches_nothing(self):
        document = config_for(daemon={"state_dir": str(self.path.parent / "state")})
        self.assertEqual(self.check(document).returncode, 0)
        self.assertEqual([p.name for p in self.path.parent.iterdir()], ["lbd.json"])

    # -- bad ----------------------------------------------------------------------------------

    def test_all_errors_at_once(self):
        document = config_for()
        document["listeners"]["web"]["protcol"] = "http"
        document["listeners"]["web"]["timeouts"] = {"header": 10}
        document["pools"]["main"]["servers"]["a"] = {"adress": "x:1", "weight": 0}
        document["routes"] = {"r": {"listener": "wob", "match": {}, "action": {"pool": "mian"}}}
        errors = self.errors(document)
        pointers = {e["pointer"] for e in errors}
        for pointer in (
            "#/listeners/web/protcol", "#/listeners/web/timeouts/header",
            "#/pools/main/servers/a/adress", "#/pools/main/servers/a/weight",
        ):
            self.assertIn(pointer, pointers)

    def test_references_are_checked_together(self):
        document = config_for()
        document["routes"] = {
            "r": {"listener": "wob", "match": {}, "action": {"pool": "mian"}},
        }
        document["pools"]["main"]["health_check"] = "hcc"
        document["health_checks"] = {"hc": {"type": "tcp"}}
        errors = {e["pointer"]: e["text"] for e in self.errors(document, 3)}
        self.assertRegex(errors["#/routes/r/listener"], "did you mean 'web'")
        self.assertRegex(errors["#/routes/r/action/pool"], "did you mean 'main'")
        self.assertRegex(errors["#/pools/main/health_check"], "did you mean 'hc'")

    def test_line_and_column(self):
        text = '{\n  "listeners": {\n    "web": {\n      "bind": ["127.0.0.1:0"],\n      "protcol": "http"\n    }\n  }\n}\n'
        error = self.one(text, "#/listeners/web/protcol", "did you mean 'protocol'", 5)
        self.assertIn(int(error["col"]), (7, 18), "the key or its value")

    def test_did_you_mean_for_keys_and_words(self):
        document = config_for()
        document["pools"]["main"]["algoritm"] = "round_robin"
        self.one(document, "#/pools/main/algoritm", "did you mean 'algorithm'")
        document = config_for()
        document["pools"]["main"]["algorithm"] = "round_robbin"
        self.one(document, "#/pools/main/algorithm", "did you mean 'round_robin'")
        self.one({"listner": {}}, "#/listner", "did you mean 'listeners'")
        self.one({"daemon": {"worker": 2}}, "#/daemon/worker", "did you mean 'workers'")

    def test_syntax_errors_say_where(self):
        for text, line in [
            ("{", 1), ("", 1), ("[]", 1), ("{\n\"a\"\n}", 3), ("{\"listeners\": {}\n\"pools\": {}}", 2),
            ("{\n// fine\n/* never closed", 3), ("{\"a\": 01}", 1), ("{\"a\": 1.}", 1),
            ("{\"a\": \"\\u0000\"}", 1), ("{\"a\": \"\\ud800\"}", 1), ("{\"a\": +1}", 1),
            ("{\"a\": \"tab\there\"}", 1), ("{} x", 1), ("{\"a\": tru}", 1), ("{\"a\": 'x'}", 1),
        ]:
            with self.subTest(text):
                result = self.check(text)
                self.assertEqual(result.returncode, 78, result.stderr)
                self.assertRegex(
                    result.stderr + result.stdout, rf"{re.escape(str(self.path))}:{line}:\d+: "
                )

    def test_duplicate_key(self):
        text = '{"pools": {"a": {},\n "b": {},\n "a": {}}}'
        result = self.check(text)
        self.assertEqual(result.returncode, 78)
        self.assertRegex(result.stderr + result.stdout, r":3:\d+: .*a")

    def test_bad_utf8(self):
        self.path.write_bytes(b'{"pools": {"\xff": {}}}')
        self.assertEqual(run_lbd("-t", "-c", str(self.path)).returncode, 78)

    def test_too_deep(self):
        self.assertEqual(self.check('{"a":' * 40 + "1" + "}" * 40).returncode, 78)

    def test_bad_values(self):
        for path, value in [
            ("listeners/web/bind", "127.0.0.1:0"), ("listeners/web/bind", []),
            ("listeners/web/bind", ["localhost"]), ("listeners/web/bind", ["127.0.0.1:99999"]),
            ("listeners/web/bind", ["name.example:80"]), ("listeners/web/protocol", "gopher"),
            ("listeners/web/timeouts/header", "10"), ("listeners/web/timeouts/header", "-1s"),
            ("listeners/web/timeouts/header", "10 s"), ("listeners/web/timeouts/header", 10),
            ("listeners/web/timeouts/header", "99999999999h"), ("listeners/web/timeouts", []),
            ("listeners/web/limits/header_size", "1TiB"), ("listeners/web/limits/header_fields", 0),
            ("listeners/web/limits/header_fields", 1001), ("listeners/web/limits/header_fields", "9"),
            ("pools/main/retries", -1), ("pools/main/retries", 1.5), ("pools/main/retries", "1"),
            ("pools/main/servers/a/weight", 0), ("pools/main/servers/a/weight", 1001),
            ("pools/main/servers/a/weight", True), ("pools/main/servers/a/address", "x"),
            ("pools/main/servers/a/address", ""), ("pools/main/servers/a/address", "a:0"),
            ("pools/main/servers/a/address", "http://a:80"),
            ("pools/main/servers/a/admin_state", "off"), ("pools/main/servers/a/backup", "x"),
            ("pools/main/when_all_down", "panic"), ("pools/main/algorithm", 1),
            ("pools/main/servers", []), ("pools/UPPER", {}), ("pools/bad name", {}),
            ("pools/.dot", {}), ("pools/" + "x" * 64, {}), ("schema", 2),
            ("health_checks/h", {"type": "icmp"}), ("health_checks/h", {"type": "http", "path": "x"}),
            ("health_checks/h", {"type": "http", "interval": "0s"}),
            ("health_checks/h", {"type": "http", "rise": 0}),
            ("health_checks/h", {"type": "http", "expect": {"status": ["9xx"]}}),
            ("health_checks/h", {"type": "http", "headers": {"X": "a\r\nb"}}),
            ("routes/r", {"listener": "web"}), ("routes/r", {"action": {"pool": "main"}}),
            ("routes/r", {"listener": "web", "action": {}}),
            ("routes/r", {"listener": "web", "action": {"pool": "main", "respond": {"status": 200}}}),
            ("routes/r", {"listener": "web", "action": {"respond": {"status": 99}}}),
            ("routes/r", {"listener": "web", "action": {"redirect": {"status": 200, "location": "/"}}}),
            ("routes/r", {"listener": "web", "action": {"redirect": {"status": 302, "location": "/\r\nX: y"}}}),
            ("routes/r", {"listener": "web", "action": {"pool": "main"}, "match": {"path": "x"}}),
            ("routes/r", {"listener": "web", "action": {"pool": "main"},
                          "match": {"path": "/x", "path_prefix": "/y"}}),
            ("routes/r", {"listener": "web", "action": {"pool": "main"}, "match": {"host": ["a b"]}}),
            ("routes/r", {"listener": "web", "action": {"pool": "main"}, "match": {"host": ["a.*.b"]}}),
            ("daemon/workers", -1), ("daemon/workers", "many"), ("daemon/config_source", "git"),
            ("daemon/log/level", "loud"), ("daemon/drain_timeout", 30),
        ]:
            with self.subTest(path, value=str(value)[:60]):
                document = config_for("127.0.0.1:1")
                *parents, last = path.split("/")
                place = document
                for key in parents:
                    place = place.setdefault(key, {})
                place[last] = value
                errors = self.errors(document)
                self.assertTrue(
                    any(e["pointer"].startswith("#/" + parents[0] if parents else "#/" + last)
                        for e in errors), errors,
                )
                for error in errors:
                    self.assertGreater(len(error["text"]), 10, "says what must be")

    def test_two_listeners_on_one_address(self):
        document = config_for()
        document["listeners"]["web"]["bind"] = ["127.0.0.1:18080"]
        document["listeners"]["other"] = {"bind": ["0.0.0.0:18080"], "protocol": "http"}
        self.assertEqual(self.check(document).returncode, 78)
        document["listeners"]["other"]["bind"] = ["127.0.0.1:18081"]
        self.assertEqual(self.check(document).returncode, 0)

    def test_port_0_never_clashes(self):
        document = config_for()
        document["listeners"]["other"] = {"bind": ["127.0.0.1:0"], "protocol": "http"}
        self.assertEqual(self.check(document).returncode, 0)

    # -- starting -----------------------------------------------------------------------------

    def test_bad_file_does_not_start(self):
        self.path.write_text('{"listner": {}, "pools": {"a": {"retrys": 1}}}')
        result = run_lbd("-c", str(self.path))
        self.assertEqual(result.returncode, 78)
        self.assertIn("#/listner", result.stderr)
        self.assertIn("#/pools/a/retrys", result.stderr)

    def test_usage(self):
        for arguments in ([], ["--nonsense"], ["-c"], ["-t"], ["-c", "a", "b"]):
            with self.subTest(arguments):
                result = run_lbd(*arguments)
                if arguments == [] or arguments == ["-t"]:
                    # a default path is allowed; then the missing file is what is wrong
                    self.assertIn(result.returncode, (2, 78))
                else:
                    self.assertEqual(result.returncode, 2, result.stderr)
                self.assertTrue(result.stderr)

    def test_missing_file(self):
        result = run_lbd("-c", str(self.path.parent / "nothing.json"))
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertIn("nothing.json", result.stderr)

    def test_version(self):
        result = run_lbd("--version")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"\Albd [0-9]+\.[0-9]+.*\ncompression:( zstd)?( br)? gzip\n\Z")

    def test_help(self):
        result = run_lbd("--help")
        self.assertEqual(result.returncode, 0)
        self.assertIn("-c", result.stdout)
        self.assertTrue(Path(LBD_BIN).exists())

    def test_address_in_use_is_a_failed_start(self):
        origin = self.origin()
        self.path.write_text(json.dumps({
            "daemon": {
                "api": {"listen": [f"unix:{self.path.parent}/api.sock"]},
                "state_dir": str(self.path.parent),
                "user": "",
            },
            "listeners": {"web": {"bind": [origin.address], "protocol": "http"}},
        }))
        result = run_lbd("-c", str(self.path))
        self.assertIn(result.returncode, (1, 78), result.stderr)
        self.assertIn(origin.address, result.stderr)

    def test_runs_from_a_jsonc_file(self):
        proxy = self.lbd({}, text=None)
        self.assertTrue(proxy.is_running())
        proxy.stop()
        text = GOOD.replace('{"workers": 1,}', json.dumps(proxy.daemon))
        proxy.write_config({}, text)
        proxy.daemon["config_source"] = "file"
        proxy.write_config({}, GOOD.replace('{"workers": 1,}', json.dumps(proxy.daemon)))
        proxy.restart()
        self.assertEqual(proxy.get("/v1/listeners/web")["default_pool"], "main")


if __name__ == "__main__":
    unittest.main()
