"""Connections to servers, and checks, leave from the addresses that the pool names."""

import unittest

from lab import LabCase, config_for, wait_for


class Sources(LabCase):
    def serve(self, sources, check=None, **more):
        self.came = []

        def script(peer):
            self.came.append(peer.sock.getpeername()[0])
            self.server.answer_all(peer)

        self.server = self.origin(script)
        sections = {"health_checks": {"hc": check}} if check else {}
        pool = {"source_address": sources, **({"health_check": "hc"} if check else {}), **more}
        self.proxy = self.lbd(config_for(self.server, pool=pool, **sections), daemon={"workers": 1})

    def ask(self, status=200):
        client = self.connect(self.proxy)
        response = client.get("/")
        self.assertEqual(response.status, status)
        return response

    def fresh(self):
        """A request over a connection of its own."""
        client = self.connect(self.proxy)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertIn(b" 200 ", client.read_rest())
        wait_for(lambda: self.server.open_connections() == 0, "the server's connection has ended")

    def test_they_take_turns(self):
        self.serve(["127.0.0.5", "127.0.0.6", "::1"], timeouts={"idle": "10ms"})
        for _ in range(4):
            self.fresh()
        self.assertEqual(self.came[1:4], [self.came[0] == "127.0.0.5" and "127.0.0.6" or "127.0.0.5",
                                          self.came[0], self.came[1]])

    def test_what_left_from_elsewhere_is_not_used_again(self):
        self.serve(["127.0.0.5"])
        self.ask()
        self.ask()
        self.assertEqual(self.came, ["127.0.0.5"])
        self.proxy.patch("/v1/pools/main", {"source_address": ["127.0.0.6"]})
        self.ask()
        self.assertEqual(self.came, ["127.0.0.5", "127.0.0.6"])
        self.proxy.patch("/v1/pools/main", {"source_address": None})
        self.ask()
        self.assertEqual(self.came[2], "127.0.0.1")

    def test_checks_leave_from_there_too(self):
        self.serve(["127.0.0.5"], check={"type": "http", "path": "/", "interval": "100ms"})
        self.proxy.wait_health("a", "up")
        self.ask()
        self.proxy.patch("/v1/pools/main", {"source_address": ["127.0.0.6"]})
        wait_for(lambda: "127.0.0.6" in self.came, "checked from there")
        self.assertEqual(set(self.came), {"127.0.0.5", "127.0.0.6"})

    def test_an_address_that_is_not_ours(self):
        self.serve(["192.0.2.1"])
        response = self.ask(503)
        self.assert_reason(response, 503, "source_unavailable")
        for _ in range(4):
            self.ask(503)
        status = self.proxy.server_status("a")
        self.assertEqual(status["health"], "up")  # it says nothing of the server
        self.assertIn("source_address", status["last_error"])
        self.proxy.patch("/v1/pools/main", {"source_address": ["192.0.2.1", "127.0.0.5"]})
        for _ in range(3):
            self.ask()
        self.assertEqual(set(self.came), {"127.0.0.5"})

    def test_a_check_that_cannot_leave(self):
        self.serve(["127.0.0.5"], check={"type": "tcp", "interval": "100ms", "fall": 1})
        self.proxy.wait_health("a", "up")
        self.proxy.patch("/v1/pools/main", {"source_address": ["192.0.2.1"]})

        def checks():
            return self.proxy.get("/v1/pools/main/servers/a/status")["checks"]

        wait_for(lambda: len(checks()) >= 3 and "not_run" in str(checks()[-1]), "it cannot leave")
        status = self.proxy.server_status("a")
        self.assertEqual(status["last_check"], "not run: no local address or port to reach it from")
        self.assertEqual(status["health"], "up")  # it says nothing of the server

    def test_over_tcp(self):
        self.came = []

        def script(peer):
            self.came.append(peer.sock.getpeername()[0])
            peer.send(b"hello")

        server = self.origin(script)
        proxy = self.lbd(config_for(server, listener={"protocol": "tcp"},
                                    pool={"source_address": ["127.0.0.7"]}))
        client = self.connect(proxy)
        self.assertEqual(client.read_exact(5), b"hello")
        self.assertEqual(self.came, ["127.0.0.7"])

    def test_it_must_be_an_address(self):
        self.serve(["127.0.0.5"])
        for bad in (["localhost"], ["127.0.0.5:80"], ["10.0.0.0/8"], [], ["0.0.0.0"], ["::"], ["224.0.0.1"],
                    ["255.255.255.255"], ["::ffff:127.0.0.7"]):
            answer = self.proxy.api("PATCH", "/v1/pools/main", {"source_address": bad})
            self.assertEqual(answer.status, 422, bad)


if __name__ == "__main__":
    unittest.main()
