"""lbctl changes the configuration: diff, edit, set, delete, history, and the ways back."""

import json
import tempfile
import threading
import unittest
from pathlib import Path

from lab import LBCTL_BIN, LabCase, config_for, run_lbctl
from lab.lbd import environment

OK, NO, USAGE, UNREACHABLE, DENIED, NOT_FOUND, CONFLICT, INVALID, TIMED_OUT, REFUSED = range(10)


class ChangeCase(LabCase):
    def setUp(self):
        super().setUp()
        self.directory = Path(tempfile.mkdtemp(prefix="lbctl-"))
        self.addCleanup(self.clean_up)
        self.servers = [self.origin(name=name) for name in ("alpha", "beta", "gamma")]
        self.proxy = self.lbd(config_for(*self.servers))

    def clean_up(self):
        for path in sorted(self.directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.directory.rmdir()

    def ctl(self, *args, code=OK, stdin=None, env=None):
        result = run_lbctl(*args, socket_path=self.proxy.api_socket, stdin=stdin, env=env)
        self.assertEqual(
            result.returncode, code, f"lbctl {args}\n{result.stdout}\n{result.stderr}"
        )
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            self.assertNotIn(word, result.stderr)
        return result

    def file(self, content, name="config.json"):
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        return str(path)

    @property
    def revision(self):
        return self.proxy.api("GET", "/v1/config").revision

    def pool(self):
        return self.proxy.get("/v1/pools/main")

    def undo(self, result):
        """Runs the command that the last line says undoes it."""
        command = result.stdout.rsplit("(undo: lbctl ", 1)[1].rstrip().rstrip(")")
        return self.ctl(*command.split())


class OneValue(ChangeCase):
    def test_set_and_its_undo(self):
        def config():  # an empty section is none
            return {k: v for k, v in self.proxy.get("/v1/config").items() if v != {}}

        before = config()
        for args in (
            ("set", "pools/main/servers/a/weight", "50"),
            ("set", "/pools/main/retries", "3"),
            ("set", "pools/main/timeouts/connect", "250ms"),
            ("set", "pools/other/servers/x/address", "127.0.0.1:9"),
            ("set", "listeners/web/limits", '{"connections": 77}'),
            ("set", "routes/r", '{"listener": "web", "match": {"path": "/x"}, "action": {"pool": "main"}}'),
            ("set", "health_checks/h/interval", "5s"),
        ):
            with self.subTest(args):
                result = self.ctl(*args)
                self.assertNotEqual(config(), before)
                self.assertIn("revision ", result.stdout)
                self.undo(result)
                self.assertEqual(config(), before)

    def test_a_value_comes_from_stdin(self):
        self.ctl("set", "pools/main/meta/note", "-", stdin="two\nlines\n")
        self.assertEqual(self.pool()["meta"]["note"], "two\nlines\n")
        self.ctl("set", "pools/main/retries", "-", stdin="2\n")
        self.assertEqual(self.pool()["retries"], 2)

    def test_warnings_about_other_things_are_left_out(self):
        self.ctl("set", "pools/single", '{"servers": {"a": {"address": "127.0.0.1:9"}}}')
        result = self.ctl("set", "health_checks/port", '{"type": "tcp"}')
        self.assertIn("/health_checks/port: ", result.stderr)
        self.assertNotIn("/pools/single", result.stderr)
        self.assertNotIn("/pools/single", self.ctl("set", "pools/main/retries", "3").stderr)

    def test_what_was_there_comes_back(self):
        self.ctl("set", "pools/main/servers/a/weight", "50")
        result = self.ctl("set", "pools/main/servers/a/weight", "70")
        self.undo(result)
        self.assertEqual(self.pool()["servers"]["a"]["weight"], 50)
        self.undo(self.ctl("unset", "pools/main/servers/a/weight"))
        self.assertEqual(self.pool()["servers"]["a"]["weight"], 50)

    def test_unchanged_is_said(self):
        self.ctl("set", "pools/main/retries", "3")
        revision = self.revision
        self.assertIn("unchanged", self.ctl("set", "pools/main/retries", "3").stdout)
        self.assertIn("unchanged", self.ctl("unset", "pools/main/slow").stdout)
        self.assertEqual(self.revision, revision)

    def test_many_at_once_lose_nothing(self):
        wishes = {
            "retries": 3, "algorithm": "round_robin", "timeouts/connect": "250ms",
            "timeouts/response": "7s", "when_all_down": "fail_open", "meta/note": "busy",
        }
        threads = [
            threading.Thread(target=self.ctl, args=("set", f"pools/main/{key}", str(value)))
            for key, value in wishes.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pool = self.pool()
        for key, value in wishes.items():
            found = pool
            for part in key.split("/"):
                found = found[part]
            self.assertEqual(found, value, key)

    def test_invalid_is_7_and_says_where(self):
        result = self.ctl("set", "pools/main/algorithm", "leest_request", code=INVALID)
        self.assertIn("/pools/main/algorithm", result.stderr)
        self.assertIn("hint: lbctl explain pools/main/algorithm", result.stderr)
        self.ctl("explain", "pools/main/algorithm")

    def test_dry_run(self):
        revision = self.revision
        result = self.ctl("set", "pools/main/retries", "3", "--dry-run")
        self.assertIn("not set (dry run): 1 change", result.stdout)
        self.assertEqual(self.revision, revision)

    def test_delete_and_its_undo(self):
        before = self.proxy.get("/v1/config")
        self.undo(self.ctl("delete", "server", "main/c"))
        self.assertEqual(self.proxy.get("/v1/config"), before)
        result = self.ctl("delete", "pool", "main", code=CONFLICT)
        self.assertIn("/listeners/web/default_pool", result.stderr)
        self.ctl("delete", "route", "nothing", code=NOT_FOUND)

    def test_delete_asks_before_the_last_server_goes(self):
        self.ctl("delete", "server", "main/b")
        self.ctl("delete", "server", "main/c")
        result = self.ctl("delete", "server", "main/a", code=USAGE)
        self.assertIn("--yes", result.stderr)
        self.assertIn("a", self.pool()["servers"])


class Documents(ChangeCase):
    def test_diff_is_0_or_1(self):
        path = self.file(self.proxy.get("/v1/config"))
        self.assertEqual(self.ctl("diff", "-f", path).stdout, "")
        self.ctl("set", "pools/main/retries", "3")
        result = self.ctl("diff", "-f", path, code=NO)
        self.assertEqual(result.stdout, "- /pools/main/retries: 3\n")
        self.ctl("apply", "-f", path)
        self.ctl("diff", "-f", path)
        self.ctl("diff", "-f", self.file("{"), code=INVALID)
        self.ctl("diff", "-f", str(self.directory / "nothing"), code=USAGE)

    def test_diff_of_revisions_and_of_the_seed(self):
        first = self.revision
        self.ctl("diff", "--seed")
        self.ctl("set", "pools/main/retries", "3")
        self.assertIn("+ /pools/main/retries: 3", self.ctl("diff", "--rev", str(first), code=NO).stdout)
        self.ctl("diff", "--rev", f"{first}..{first + 1}", code=NO)
        self.ctl("diff", "--rev", f"{first + 1}..{first}", code=NO)
        self.ctl("diff", "--rev", f"{first}..{first}")
        self.ctl("diff", "--seed", code=NO)
        self.ctl("diff", "--rev", "4000000000", code=NOT_FOUND)

    def test_apply_asks_before_most_servers_go(self):
        document = self.proxy.get("/v1/config")
        for name in ("b", "c"):
            del document["pools"]["main"]["servers"][name]
        path = self.file(document)
        result = self.ctl("apply", "-f", path, code=USAGE)
        self.assertIn("2 of 3 servers would go; nothing was changed", result.stderr)
        self.assertEqual(len(self.pool()["servers"]), 3)
        self.ctl("apply", "-f", path, "--dry-run")
        self.undo(self.ctl("apply", "-f", path, "--yes"))
        self.assertEqual(len(self.pool()["servers"]), 3)
        self.ctl("apply", "-f", self.file({}), code=USAGE)

    def test_validate_needs_nothing_but_a_reader(self):
        path = self.file(self.proxy.get("/v1/config"))
        self.assertIn("what runs already", self.ctl("config", "validate", path).stdout)
        bad = self.file('{\n  // mine\n  "pools": {\n    "x": { "servres": {} }\n  }\n}', "bad.json")
        result = self.ctl("config", "validate", bad, code=INVALID)
        self.assertRegex(result.stderr, r"bad\.json:4:12: /pools/x/servres: .*did you mean 'servers'")

    def test_fmt(self):
        path = self.file('{"schema":1,// one\n"pools":{}}')
        want = '{\n  "schema": 1, // one\n  "pools": {}\n}\n'
        self.assertEqual(self.ctl("config", "fmt", path).stdout, want)
        self.ctl("config", "fmt", path, "--write")
        self.assertEqual(Path(path).read_text(), want)
        text = self.ctl("get", "config").stdout
        self.assertEqual(self.ctl("config", "fmt", "-", stdin=text).stdout, text)

    def test_schema_is_a_schema(self):
        schema = json.loads(self.ctl("config", "schema").stdout)
        self.assertIn("$schema", schema)

    def test_owner(self):
        mine = {"pools": {"mine": {"servers": {"a": {"address": "127.0.0.1:9"}}}}}
        path = self.file(mine)
        self.ctl("apply", "-f", path, "--owner", "me")
        self.assertIn("main", self.proxy.get("/v1/pools"))
        self.assertEqual(self.proxy.get("/v1/pools/mine")["meta"]["managed_by"], "me")
        self.assertIn("unchanged", self.ctl("apply", "-f", path, "--owner", "me").stdout)
        self.ctl("apply", "-f", path, "--owner", "you", code=CONFLICT)
        self.ctl("apply", "-f", path, "--owner", "you", "--force")
        result = self.ctl("apply", "-f", self.file({}), "--owner", "you", code=USAGE)
        self.assertIn("would be left of owner you", result.stderr)
        self.ctl("apply", "-f", self.file({}), "--owner", "you", "--yes")
        self.assertNotIn("mine", self.proxy.get("/v1/pools"))

    def test_reload_in_file_mode(self):
        proxy = self.lbd(config_for(self.servers[0]), daemon={"config_source": "file"})
        self.proxy = proxy
        self.assertIn("unchanged", self.ctl("reload").stdout)
        proxy.write_config(config_for(self.servers[0], pool={"retries": 4}))
        self.assertIn("reloaded", self.ctl("reload", "--wait").stdout)
        self.assertEqual(self.pool()["retries"], 4)
        proxy.write_config({}, text="{")
        self.ctl("reload", "--wait", code=INVALID)
        self.assertEqual(self.pool()["retries"], 4)
        result = self.ctl("set", "pools/main/retries", "1", code=CONFLICT)
        self.assertIn("file", result.stderr)


class Past(ChangeCase):
    def test_history_and_rollback(self):
        self.ctl("set", "pools/main/retries", "3")
        lines = self.ctl("history").stdout.splitlines()
        self.assertRegex(lines[1], r"current +put .*pools/main/retries")
        self.assertEqual(self.ctl("history", "-n1", "-oname").stdout.strip(), str(self.revision))
        result = self.ctl("rollback")
        self.assertNotIn("retries", self.pool())
        self.undo(result)
        self.assertEqual(self.pool()["retries"], 3)
        self.ctl("rollback", "4000000000", code=NOT_FOUND)

    def test_confirm(self):
        self.ctl("set", "pools/main/retries", "3", "--confirm-within", "60s")
        self.assertIn("unconfirmed", self.ctl("history").stdout)
        self.ctl("confirm")
        self.assertNotIn("unconfirmed", self.ctl("history").stdout)
        self.assertEqual(self.pool()["retries"], 3)
        self.ctl("confirm", code=CONFLICT)

    def test_reject(self):
        result = self.ctl("set", "pools/main/retries", "3", "--confirm-within", "60s")
        self.assertIn("unless you say: lbctl confirm", result.stdout)
        self.undo(result)
        self.assertNotIn("retries", self.pool())
        self.ctl("reject", code=CONFLICT)


class Edit(ChangeCase):
    def edit(self, script, *args, code=OK, variable="VISUAL"):
        """Edits with a shell script for an editor; "$1" is the file."""
        path = self.directory / "editor"
        path.write_text(script)
        env = environment(**{variable: f"sh {path}", "TMPDIR": str(self.directory)})
        if variable == "EDITOR":
            env.pop("VISUAL", None)
        return self.ctl("edit", *args, code=code, env=env)

    def kept(self):
        return list(self.directory.glob("lbctl-edit-*/*"))

    def test_edit_a_pool(self):
        for variable, number in (("VISUAL", 3), ("EDITOR", 4)):
            script = f"""sed -i -e '/retries/d' -e 's/^{{/{{ "retries": {number},/' "$1" """
            self.edit(script, "pool", "main", variable=variable)
            self.assertEqual(self.pool()["retries"], number)
        self.assertEqual(self.kept(), [])

    def test_unchanged(self):
        revision = self.revision
        self.assertIn("unchanged", self.edit("true", "config").stdout)
        self.assertIn("unchanged", self.edit(": > \"$1\"", "server", "main/a").stdout)
        self.assertEqual(self.revision, revision)
        self.assertEqual(self.kept(), [])

    def test_errors_come_back_at_their_lines(self):
        script = f"""
            cp "$1" {self.directory}/seen
            if grep -q 'error: .*retrise' "$1"
            then sed -i 's/retrise/retries/' "$1"
            else sed -i 's/^{{/{{ "retrise": 3,/' "$1"; fi"""
        self.edit(script, "pool", "main")
        self.assertEqual(self.pool()["retries"], 3)
        seen = (self.directory / "seen").read_text().splitlines()
        at = next(i for i, line in enumerate(seen) if "error:" in line)
        self.assertIn("did you mean 'retries'", seen[at])
        self.assertIn("retrise", seen[at + 1])

    def test_giving_up_keeps_the_text(self):
        script = """grep -q retrise "$1" || sed -i 's/^{/{ "retrise": 3,/' "$1" """
        result = self.edit(script, "pool", "main", code=INVALID)
        self.assertIn("your text is kept in", result.stderr)
        self.assertEqual(len(self.kept()), 1)
        self.assertNotIn("retries", self.pool())

    def test_nobodys_change_is_lost(self):
        other = LBCTL_BIN
        script = f"""
            sed -i 's/^{{/{{ "retries": 3,/' "$1"
            '{other}' --socket '{self.proxy.api_socket}' set pools/main/servers/a/weight 7 > /dev/null"""
        result = self.edit(script, "pool", "main")
        self.assertIn("both are kept", result.stderr)
        self.assertEqual(self.pool()["retries"], 3)
        self.assertEqual(self.pool()["servers"]["a"]["weight"], 7)

    def test_an_editor_that_fails(self):
        self.edit("exit 1", "pool", "main", code=USAGE)
        # one that never comes to an end
        self.edit("""sed -i 's/^{/{ "retrise": 3,/' "$1" """, "pool", "main", code=INVALID)
        self.edit("true", "pool", "nothing", code=NOT_FOUND)


if __name__ == "__main__":
    unittest.main()
