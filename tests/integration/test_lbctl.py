"""lbctl: what it prints, what it sends, and its exit codes (lbctl(1))."""

import json
import os
import tempfile
import threading
import unittest
from pathlib import Path

from lab import LabCase, config_for, run_lbctl
from lab.lbd import environment
from lab.ports import free_port

OK, NO, USAGE, UNREACHABLE, DENIED, NOT_FOUND, CONFLICT, INVALID, TIMED_OUT, REFUSED = range(10)


class Lbctl(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="alpha")
        self.proxy = self.lbd(config_for(self.server))

    def ctl(self, *args, code=OK, stdin=None):
        result = run_lbctl(*args, socket_path=self.proxy.api_socket, stdin=stdin)
        self.assertEqual(
            result.returncode, code, f"lbctl {args}\n{result.stdout}\n{result.stderr}"
        )
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            self.assertNotIn(word, result.stderr)
        return result

    def file(self, content):
        holder = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
        self.addCleanup(os.unlink, holder.name)
        with holder:
            holder.write(content if isinstance(content, str) else json.dumps(content, indent=2))
        return holder.name

    # -- reading ------------------------------------------------------------------------------

    def test_status(self):
        out = self.ctl("status").stdout
        self.assertIn("main", out)
        self.assertIn("web", out)
        self.assertRegex(out, rf"revision {self.proxy.api('GET', '/v1/config').revision}\b")

    def test_status_json(self):
        document = json.loads(self.ctl("status", "-o", "json").stdout)
        self.assertIsInstance(document, dict)

    def test_version(self):
        result = self.ctl("version")
        self.assertRegex(result.stdout, r"\Albctl +[0-9]+\.[0-9]+\S*\nlbd +[0-9]+\.[0-9]+\S*\n")

    def test_version_without_a_daemon(self):
        result = run_lbctl("version", socket_path="/nonexistent/api.sock")
        self.assertEqual(result.returncode, UNREACHABLE)
        self.assertRegex(result.stdout, r"\Albctl +[0-9]+\.[0-9]+\S*\n\Z")

    def test_get_tables(self):
        for kind, name in (("pools", "main"), ("listeners", "web")):
            for word in (kind, kind[:-1]):
                out = self.ctl("get", word).stdout
                self.assertIn(name, out)
                self.assertGreaterEqual(len(out.splitlines()), 2, "a heading and a row")
                self.assertNotIn("\x1b", out, "no colour when piped")

    def test_get_servers(self):
        out = self.ctl("get", "servers").stdout
        self.assertIn(self.server.address, out)
        self.assertIn("up", out)

    def test_get_one_as_json_is_the_api_document(self):
        out = self.ctl("get", "pool", "main", "-o", "json").stdout
        self.assertEqual(json.loads(out), self.proxy.get("/v1/pools/main"))

    def test_get_config_is_a_loadable_file(self):
        out = self.ctl("get", "config").stdout
        document = json.loads(out)
        self.assertIn("main", document["pools"])
        self.ctl("apply", "-f", self.file(out))

    def test_get_names(self):
        self.assertEqual(self.ctl("get", "pools", "-o", "name").stdout.split(), ["main"])

    def test_not_found_is_5(self):
        result = self.ctl("get", "pool", "nothing", code=NOT_FOUND)
        self.assertIn("nothing", result.stderr)
        self.ctl("drain", "main/nothing", code=NOT_FOUND)
        self.ctl("drain", "nothing/a", code=NOT_FOUND)

    # -- applying -----------------------------------------------------------------------------

    def test_apply(self):
        other = self.origin(name="beta")
        client = self.connect(self.proxy)
        self.assertEqual(client.get("/").get("Origin-Name"), "alpha")
        self.ctl("apply", "-f", self.file(config_for(other)))
        self.assertEqual(client.get("/").get("Origin-Name"), "beta")

    def test_apply_from_stdin(self):
        self.ctl("apply", "-f", "-", stdin=json.dumps(config_for(self.server, pool={"retries": 4})))
        self.assertEqual(self.proxy.get("/v1/pools/main")["retries"], 4)

    def test_apply_jsonc(self):
        text = "// mine\n" + json.dumps(config_for(self.server, pool={"retries": 5}))[:-1] + ",}"
        self.ctl("apply", "-f", self.file(text))
        self.assertEqual(self.proxy.get("/v1/pools/main")["retries"], 5)

    def test_apply_unchanged_says_so(self):
        path = self.file(config_for(self.server, pool={"retries": 4}))
        self.ctl("apply", "-f", path)
        revision = self.proxy.api("GET", "/v1/config").revision
        result = self.ctl("apply", "-f", path)
        self.assertRegex(result.stdout + result.stderr, "(?i)unchanged|no change|not changed")
        self.assertEqual(self.proxy.api("GET", "/v1/config").revision, revision)

    def test_dry_run(self):
        revision = self.proxy.api("GET", "/v1/config").revision
        self.ctl("apply", "-f", self.file(config_for(self.server, pool={"retries": 4})), "--dry-run")
        self.assertEqual(self.proxy.api("GET", "/v1/config").revision, revision)

    def test_invalid_is_7_with_every_place(self):
        document = config_for(self.server)
        document["pools"]["main"]["servers"]["a"]["adress"] = "x"
        document["listeners"]["web"]["default_pool"] = "mian"
        path = self.file(document)
        for more in ([], ["--dry-run"]):
            result = self.ctl("apply", "-f", path, *more, code=INVALID)
            self.assertIn("adress", result.stderr)
            self.assertRegex(result.stderr, r"did you mean '?address")
            self.assertRegex(result.stderr, rf"{Path(path).name}:\d+:\d+")
            self.assertIn("nothing was changed", result.stderr)
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)

    def test_syntax_error_is_7_with_its_place(self):
        result = self.ctl("apply", "-f", self.file('{"pools": {\n"a" 1}}'), code=INVALID)
        self.assertRegex(result.stderr, r":2:\d+")

    def test_missing_file(self):
        result = self.ctl("apply", "-f", "/nonexistent.json", code=USAGE)
        self.assertIn("/nonexistent.json", result.stderr)

    def test_apply_a_daemon_file(self):
        """The file of a daemon names `daemon`, which the API never takes: lbctl leaves it out."""
        path = self.file({"daemon": {"workers": 1}, **config_for(self.server, pool={"retries": 4})})
        self.ctl("apply", "-f", path)
        self.assertEqual(self.proxy.get("/v1/pools/main")["retries"], 4)

    # -- servers ------------------------------------------------------------------------------

    def test_drain_enable_maint(self):
        for word, state in (("drain", "drain"), ("enable", "ready"), ("maint", "maint"),
                            ("enable", "ready")):
            more = {"drain": ["--yes"], "maint": ["--yes", "--for", "forever"]}.get(word, [])
            result = self.ctl(word, "main/a", *more)
            self.assertIn("main/a", result.stdout + result.stderr)
            self.assertEqual(self.proxy.server_status("a")["admin"], state)
            if word != "enable":
                self.assertIn("lbctl enable main/a", result.stdout + result.stderr, "how to undo")

    def test_bare_server_name(self):
        self.ctl("drain", "a", "--yes")
        self.assertEqual(self.proxy.server_status("a")["admin"], "drain")
        self.proxy.put("/v1/pools/other", {"servers": {"a": {"address": self.server.address}}})
        result = run_lbctl("enable", "a", socket_path=self.proxy.api_socket)
        self.assertEqual(result.returncode, USAGE)
        self.assertIn("main/a", result.stderr)
        self.assertIn("other/a", result.stderr)

    def test_wait_ready(self):
        self.ctl("wait", "main", "--for", "ready", "--timeout", "10s")

    def test_wait_times_out_with_8(self):
        self.proxy.patch("/v1/pools/main/servers/a", {"address": f"127.0.0.1:{free_port()}"})
        self.proxy.put("/v1/health-checks/t", {"type": "tcp", "interval": "200ms"})
        self.proxy.patch("/v1/pools/main", {"health_check": "t"})
        self.proxy.wait_health("a", "down")
        self.ctl("wait", "main", "--for", "ready", "--timeout", "500ms", code=TIMED_OUT)

    def test_wait_drained(self):
        go = threading.Event()

        def script(peer):
            peer.rx()
            go.wait(60)
            peer.tx(200, "x")

        server = self.origin(script)
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        server.wait_requests(1)
        self.proxy = proxy
        self.ctl("drain", "main/a", "--yes")
        self.ctl("wait", "main/a", "--for", "drained", "--timeout", "500ms", code=TIMED_OUT)

        def questions():
            return self.proxy.metric("lbd_api_requests_total", route="/v1/pools/{}/status")

        asked = questions()

        def let_go():
            self.wait_for(lambda: questions() > asked, "somebody who waits")
            go.set()

        thread = threading.Thread(target=let_go)
        thread.start()
        self.addCleanup(thread.join)
        self.ctl("wait", "main/a", "--for", "drained", "--timeout", "15s")
        self.assertEqual(client.read_response().status, 200)

    # -- failures -----------------------------------------------------------------------------

    def test_usage_is_2(self):
        for args in (["nonsense"], ["get"], ["get", "nonsense"], ["drain"], ["apply"],
                     ["status", "--nonsense"], ["status", "-o", "yaml"], ["wait"],
                     ["wait", "main", "--for", "christmas"], ["drain", "a/b/c"]):
            with self.subTest(args):
                result = self.ctl(*args, code=USAGE)
                self.assertTrue(result.stderr)
                self.assertEqual(result.stdout, "", "data only on stdout")

    def test_no_command_is_2_and_help_is_0(self):
        self.assertEqual(run_lbctl().returncode, USAGE)
        result = run_lbctl("--help")
        self.assertEqual(result.returncode, OK)
        for word in ("status", "get", "apply", "drain", "enable", "maint", "wait", "version"):
            self.assertIn(word, result.stdout)

    def test_unreachable_is_3(self):
        result = run_lbctl("status", socket_path="/nonexistent/api.sock")
        self.assertEqual(result.returncode, UNREACHABLE)
        self.assertIn("/nonexistent/api.sock", result.stderr)

    def test_daemon_gone_is_3(self):
        self.proxy.kill()
        result = run_lbctl("status", socket_path=self.proxy.api_socket)
        self.assertEqual(result.returncode, UNREACHABLE)

    def test_file_mode_is_a_conflict(self):
        proxy = self.lbd(config_for(self.server), daemon={"config_source": "file"})
        path = self.file(config_for(self.server, pool={"retries": 4}))
        result = run_lbctl("apply", "-f", path, socket_path=proxy.api_socket)
        self.assertEqual(result.returncode, CONFLICT, result.stderr)
        self.assertIn("file", result.stderr)

    def test_socket_from_the_environment(self):
        result = run_lbctl("get", "pools", env=environment(LBCTL_SOCKET=self.proxy.api_socket))
        self.assertEqual(result.returncode, OK, result.stderr)
        self.assertIn("main", result.stdout)
        # the option wins
        result = run_lbctl(
            "get", "pools", socket_path=self.proxy.api_socket,
            env=environment(LBCTL_SOCKET="/nonexistent"),
        )
        self.assertEqual(result.returncode, OK, result.stderr)

    def test_broken_pipe_is_quiet(self):
        import subprocess

        from lab import LBCTL_BIN

        done = subprocess.run(
            f"'{LBCTL_BIN}' --socket '{self.proxy.api_socket}' get config | true", shell=True,
            capture_output=True, text=True, timeout=60, env=environment(),
        )
        self.assertNotIn("rror", done.stderr)


if __name__ == "__main__":
    unittest.main()
