"""Signals and exit codes: what an init system and an operator rely on."""

import json
import os
import signal
import threading
import unittest

from lab import Client, Closed, LabCase, config_for
from test_request_tunnel import HANDSHAKE, SWITCH


class Signals(LabCase):
    def slow(self):
        """An origin that holds its answer until `go` is set."""
        self.go = threading.Event()

        def script(peer):
            while True:
                request = peer.rx()
                if request.target == "/hold":
                    peer.origin.held = True
                    self.go.wait(60)
                peer.tx(200, "done")

        server = self.origin(script)
        server.held = False
        return server

    def hold(self, proxy, server):
        client = self.connect(proxy)
        client.send_request("GET", "/hold")
        self.wait_for(lambda: server.held, "the request is under way")
        return client

    def test_term_without_traffic(self):
        proxy = self.lbd(config_for(self.origin()))
        proxy.stop(signal.SIGTERM, 0)

    def test_int_stops_at_once(self):
        server = self.slow()
        proxy = self.lbd(config_for(server), daemon={"drain_timeout": "60s"})
        self.hold(proxy, server)
        proxy.stop(signal.SIGINT, 0)

    def test_term_drains(self):
        server = self.slow()
        proxy = self.lbd(config_for(server))
        address = proxy.address()
        idle = self.connect(proxy)
        idle.get("/")
        busy = self.hold(proxy, server)
        proxy.send_signal(signal.SIGTERM)
        proxy.wait_notify("STOPPING=1")

        def refused():
            try:
                with Client(address, timeout=1) as late:
                    late.get("/")
                return False
            except (OSError, Closed):
                return True

        self.wait_for(refused, "nobody new is let in")
        self.assertTrue(proxy.is_running())
        # an idle connection may still ask, and is told by the answer that this was the last one
        self.wait_for(lambda: idle.get("/").get("Connection") == "close", "the farewell")
        self.assertTrue(idle.closed_cleanly())
        self.go.set()
        response = busy.read_response()
        self.assertEqual((response.status, response.text), (200, "done"))
        self.assertEqual(response.get("Connection"), "close")
        self.assertTrue(busy.closed_cleanly())
        self.assertEqual(proxy.wait_exit(), 0)
        proxy.check_sanitizers()

    def test_second_term_ends_at_once(self):
        server = self.slow()
        proxy = self.lbd(config_for(server), daemon={"drain_timeout": "60s"})
        busy = self.hold(proxy, server)
        proxy.send_signal(signal.SIGTERM)
        proxy.wait_notify("STOPPING=1")
        self.assertTrue(proxy.is_running())
        proxy.send_signal(signal.SIGTERM)
        self.assertEqual(proxy.wait_exit(), 0)
        proxy.check_sanitizers()
        with self.assertRaises(Closed):
            busy.read_response()

    def test_drain_has_an_end(self):
        server = self.slow()
        proxy = self.lbd(config_for(server), daemon={"drain_timeout": "500ms"})
        self.hold(proxy, server)
        chat = self.connect(proxy)
        del chat
        proxy.send_signal(signal.SIGTERM)
        self.assertEqual(proxy.wait_exit(), 0)
        proxy.check_sanitizers()

    def test_drain_ends_idle_connections_at_its_end(self):
        proxy = self.lbd(config_for(self.origin()), daemon={"drain_timeout": "1s"})
        idle = [self.connect(proxy) for _ in range(5)]
        for client in idle:
            client.get("/")
        self.connect(proxy)  # one that never says anything
        proxy.send_signal(signal.SIGTERM)
        self.assertEqual(proxy.wait_exit(), 0)
        proxy.check_sanitizers()
        for client in idle:
            self.assertTrue(client.closed_cleanly())

    def test_drain_with_a_tunnel_open(self):
        def script(peer):
            peer.rx()
            peer.send(SWITCH)
            while True:
                data = peer.reader.some()
                if not data:
                    return
                peer.send(data)

        proxy = self.lbd(config_for(self.origin(script)), daemon={"drain_timeout": "20s"})
        chat = self.connect(proxy)
        chat.send_request("GET", "/", HANDSHAKE)
        chat.read_head()
        proxy.send_signal(signal.SIGTERM)
        proxy.wait_notify("STOPPING=1")
        chat.send(b"still here")
        self.assertEqual(chat.read_exact(10), b"still here")
        chat.shut_write()
        self.assertEqual(chat.read_rest(), b"")
        self.assertEqual(proxy.wait_exit(), 0)
        proxy.check_sanitizers()

    def test_readyz_is_red_while_draining(self):
        server = self.slow()
        proxy = self.lbd(config_for(server))
        self.hold(proxy, server)
        proxy.send_signal(signal.SIGTERM)
        proxy.wait_notify("STOPPING=1")
        answer = proxy.api("GET", "/readyz")
        self.assertEqual(answer.status, 503)
        self.assertEqual(proxy.api("GET", "/healthz").status, 200)
        self.go.set()
        self.assertEqual(proxy.wait_exit(), 0)

    def test_hup_in_api_mode_reads_nothing(self):
        proxy = self.lbd(config_for(self.origin()))
        revision = proxy.api("GET", "/v1/config").revision
        proxy.write_config(config_for("127.0.0.1:1"))
        before = len(proxy.log_text())
        proxy.send_signal(signal.SIGHUP)
        self.wait_for(lambda: "api" in proxy.log_text()[before:], "it says so")
        self.assertEqual(proxy.api("GET", "/v1/config").revision, revision)
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_hup_in_file_mode_reads_the_file(self):
        one, two = self.origin(name="one"), self.origin(name="two")
        proxy = self.lbd(config_for(one), daemon={"config_source": "file"})
        client = self.connect(proxy)
        self.assertEqual(client.get("/").get("Origin-Name"), "one")
        proxy.write_config(config_for(two))
        proxy.send_signal(signal.SIGHUP)
        self.wait_for(
            lambda: client.get("/").get("Origin-Name") == "two", "the file's new content"
        )
        self.assertTrue(any("RELOADING=1" in line for line in self.drain_notify(proxy)))

    def drain_notify(self, proxy):
        proxy.wait_notify("RELOADING=1")
        return proxy.notified

    def test_hup_with_a_bad_file_changes_nothing(self):
        one = self.origin(name="one")
        proxy = self.lbd(config_for(one), daemon={"config_source": "file"})
        revision = proxy.api("GET", "/v1/config").revision
        proxy.write_config({}, '{"pools": {"main": {"retrys": 1}}}')
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_log("retrys")
        self.assertEqual(proxy.api("GET", "/v1/config").revision, revision)
        self.assertEqual(self.connect(proxy).get("/").get("Origin-Name"), "one")
        proxy.wait_metric(0, "lbd_config_last_apply_success")

    def test_hup_names_daemon_keys_that_need_a_restart(self):
        one = self.origin(name="one")
        proxy = self.lbd(config_for(one), daemon={"config_source": "file"})
        proxy.daemon["workers"] = 1
        proxy.write_config(config_for(one))
        before = len(proxy.log_text())
        proxy.send_signal(signal.SIGHUP)
        self.wait_for(lambda: "workers" in proxy.log_text()[before:], "the key is named")
        self.wait_for(lambda: "restart" in proxy.log_text()[before:], "what it takes")

    def test_usr1_reopens_logs(self):
        proxy = self.lbd(config_for(self.origin()))
        client = self.connect(proxy)
        client.get("/1")
        proxy.wait_access_log(1)
        for path in (proxy.access_log_path, proxy.log_path):
            os.rename(path, f"{path}.1")
        proxy.send_signal(signal.SIGUSR1)
        self.wait_for(
            lambda: proxy.access_log_path.exists() and proxy.log_path.exists(), "new files"
        )
        # What was asked before the writer changed over may still stand in the old file.
        asked = ["/1"]

        def ask():
            asked.append(f"/{len(asked) + 1}")
            client.get(asked[-1])
            return proxy.access_log()

        self.wait_for(ask, "lines in the new file")

        def told():
            lines = []
            for path in (f"{proxy.access_log_path}.1", proxy.access_log_path):
                with open(path, encoding="utf-8") as log:
                    lines += [json.loads(line)["path"] for line in log if line.endswith("\n")]
            return lines

        self.wait_for(lambda: told() == asked, "every request in one of the two, in order")

    def test_nothing_is_lost_while_logs_rotate(self):
        proxy = self.lbd(config_for(self.origin()))
        client = self.connect(proxy)
        for index in range(50):
            client.get(f"/{index}")
            if index % 10 == 5:
                os.rename(proxy.access_log_path, f"{proxy.access_log_path}.{index}")
                proxy.send_signal(signal.SIGUSR1)
                self.wait_for(proxy.access_log_path.exists, "a new file")
        proxy.stop()
        lines = 0
        for path in proxy.directory.glob("access.log*"):
            lines += path.read_text().count("\n")
        self.assertEqual(lines, 50)

    def test_pipe_and_others_do_no_harm(self):
        proxy = self.lbd(config_for(self.origin()))
        for number in (signal.SIGPIPE, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCHLD):
            proxy.send_signal(number)
        self.assertEqual(proxy.api("GET", "/healthz").status, 200)
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_ready_comes_when_it_serves(self):
        proxy = self.lbd(config_for(self.origin()))
        self.assertIn("READY=1", proxy.notified)
        self.assertEqual(proxy.api("GET", "/readyz").status, 200)
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_runtime_failure_is_exit_1(self):
        """A state directory that cannot be used is no configuration error of the document."""
        proxy = self.lbd(config_for(self.origin()), start=False)
        os.rmdir(proxy.state_directory)
        proxy.state_directory.write_text("a file where the directory should be")
        proxy.start(ready=False)
        self.assertIn(proxy.wait_exit(), (1, 78))
        self.assertTrue(proxy.log_text() + proxy.stderr_text())
        proxy.process = None


if __name__ == "__main__":
    unittest.main()
