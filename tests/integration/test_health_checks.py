"""What checks ask and expect, what is kept of their results; servers that answer something else."""

import json
import unittest

from lab import LabCase, config_for, wait_for
from lab.lbd import run_lbctl

FAST = {"interval": "100ms", "timeout": "20s", "rise": 1, "fall": 1}


class Checks(LabCase):
    def checked(self, origin, check, **pool):
        self.proxy = self.lbd(config_for(origin, pool={"health_check": "hc", **pool},
                                         health_checks={"hc": {**FAST, **check}}))
        return self.proxy

    def wait_words(self, words):
        wait_for(lambda: words in self.words(), words)

    def words(self):
        return self.proxy.server_status("a").get("last_check", "")

    def test_lines_and_text_of_an_answer(self):
        state = {"body": "database: ok", "ready": "yes"}

        def script(peer):
            request = peer.rx()
            request.expect(method="POST", body=b'{"deep":1}', headers={"X-Asked": "by lbd"})
            peer.tx(200, "x" * 30000 + state["body"], {"X-Ready": state["ready"]})

        self.checked(self.origin(script), {
            "method": "POST", "body": '{"deep":1}', "headers": {"X-Asked": "by lbd"},
            "expect": {"headers": {"X-Ready": "yes"}, "body": "database: ok"}})
        self.proxy.wait_health("a", "up")
        state["body"] = "database: gone"
        self.proxy.wait_health("a", "down")
        self.wait_words("its body does not have what is expected")
        state["body"] = "database: ok"
        self.proxy.wait_health("a", "up")
        state["ready"] = "no"
        self.proxy.wait_health("a", "down")
        self.wait_words('HTTP 200 without the line "X-Ready: yes"')

    def test_words_over_tcp(self):
        answers = {"say": b"+PONG\r\n"}
        heard = []

        def script(peer):
            heard.append(peer.read(7))
            if answers["say"] is None:
                peer.stall(seconds=2)
            peer.send(answers["say"] or b"")

        self.checked(self.origin(script), {
            "type": "tcp", "send": "PING\r\n\\x00", "receive": "PONG", "timeout": "400ms"})
        self.proxy.wait_health("a", "up")
        self.assertEqual(heard[0], b"PING\r\n\0")
        for say, words in ((b"-LOADING\r\n", 'it said "-LOADING'),
                           (b"", "closed before the expected answer"),
                           (None, "timed out after 400ms waiting for an answer")):
            with self.subTest(say):
                answers["say"] = say
                self.wait_words(words)
                self.proxy.wait_health("a", "down")

    def test_hostile_servers_are_down_and_bounded(self):
        def endless_line(peer):
            while True:
                peer.send(b"a" * 4096)

        def endless_body(peer):
            peer.rx()
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                peer.send(b"b" * 4096)

        def drip(peer):
            peer.rx()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            while not peer.origin.stopping.wait(0.05):
                peer.send(b"c")

        def interim(peer):
            peer.rx()
            while True:
                peer.send(b"HTTP/1.1 103 Early\r\n\r\n")

        for script, words in ((endless_line, "malformed answer"), (endless_body, "does not have"),
                              (drip, "timed out after 400ms"), (interim, "64 KiB")):
            with self.subTest(script.__name__):
                limit = {"timeout": "400ms"} if "400ms" in words else {}
                self.checked(self.origin(script), {"expect": {"body": "fine"}, **limit})
                self.proxy.wait_health("a", "down")
                self.wait_words(words)

    def test_a_port_of_its_own(self):
        health, server = self.origin(), self.origin(name="server")
        self.checked(server, {"port": health.port, "host": "www.example.com"})
        self.proxy.wait_health("a", "up")
        self.assertEqual(self.connect(self.proxy).get("/").get("Origin-Name"), "server")
        self.assertEqual(health.requests[0].get("Host"), "www.example.com")
        self.assertEqual({r.target for r in server.requests}, {"/"})
        self.assertEqual(server.connection_count, 1)
        self.proxy.patch("/v1/health-checks/hc", {"port": 0, "address": health.address})
        self.proxy.wait_health("a", "up")
        health.kill()
        self.proxy.wait_health("a", "down")

    def test_the_last_results_are_kept_and_shown(self):
        state = {"status": 200}

        def script(peer):
            peer.rx()
            peer.tx(state["status"])

        self.checked(self.origin(script), {"fall": 3})
        self.proxy.wait_health("a", "up")
        state["status"] = 503
        self.proxy.wait_health("a", "down")
        status = self.proxy.get("/v1/pools/main/servers/a/status")
        checks = status["checks"]
        self.assertGreaterEqual(len(checks), 4)
        self.assertEqual([c["result"] for c in checks[:3]], ["failed"] * 3)
        self.assertEqual(checks[0]["detail"], "HTTP 503, expected 2xx")
        self.assertEqual(checks[-1]["result"], "passed")
        self.assertEqual(sorted((c["time"] for c in checks), reverse=True),
                         [c["time"] for c in checks])
        self.assertNotIn("checks", self.proxy.server_status("a"))
        wait_for(lambda: len(self.proxy.get("/v1/pools/main/servers/a/status")["checks"]) == 20,
                 "twenty results")
        wait_for(lambda: self.proxy.metric("lbd_health_checks_total") > 22, "more than twenty")
        self.assertEqual(len(self.proxy.get("/v1/pools/main/servers/a/status")["checks"]), 20)
        shown = run_lbctl("-s", self.proxy.api_socket, "describe", "server", "main/a")
        self.assertIn("CHECKED", shown.stdout)
        self.assertGreaterEqual(shown.stdout.count("HTTP 503, expected 2xx"), 15)
        raw = run_lbctl("-s", self.proxy.api_socket, "describe", "server", "main/a", "-ojson")
        self.assertEqual(len(json.loads(raw.stdout)["status"]["checks"]), 20)


if __name__ == "__main__":
    unittest.main()
