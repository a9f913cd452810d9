"""gRPC end to end with grpc-js on both sides: the same calls straight and through lbd give the same."""

import unittest

from lab.clients import node
from test_clients_http import ClientCase

EXPECTED = {
    "Echo": {"metadata": ["hello"], "value": "a word", "trailer": ["at-the-end"]},
    "Empty": {"length": 0},
    "Large": {"same": True},
    "Fail": {"code": 5, "details": "no such thing: \u00e9 100%"},
    "Count": {"right": 5000},
    "Sum": {"sum": 500500},
    "Chat": {"turns": 200},
    "Many": {"right": 300},
    "Cancel": {"code": 1, "details": "Cancelled on client"},
}
UNAVAILABLE = 14
DEADLINE_EXCEEDED = 4


class Grpc(ClientCase):
    def ways(self, pool=None, server_args=(), **more):
        """(words, address, CA) of each way to the server."""
        self.start("grpc_server.js", server_args, pool={"http_version": "2", **(pool or {})}, **more)
        return (
            ("TLS", f"localhost:{self.port}", self.ca.certificate),
            ("clear", f"localhost:{self.clear_port}", "-"),
        )

    def test_all_kinds_of_calls(self):
        ways = self.ways()
        self.assertEqual(node("grpc_client.js", self.server.address), EXPECTED)
        for words, address, ca in ways:
            with self.subTest(words):
                self.assertEqual(node("grpc_client.js", address, ca), EXPECTED)

    def test_tls_to_the_server(self):
        ways = self.ways(
            pool={"tls": {"ca": "test", "server_name": "localhost"}},
            server_args=(self.certificate.chain, self.certificate.key),
            ca_sets={"test": {"file": str(self.ca.certificate)}},
        )
        for words, address, ca in ways:
            with self.subTest(words):
                self.assertEqual(node("grpc_client.js", address, ca, "Echo", "Chat", "Many"),
                                 {name: EXPECTED[name] for name in ("Echo", "Chat", "Many")})

    def test_a_deadline_passes(self):
        for words, address, ca in self.ways():
            with self.subTest(words):
                self.assertEqual(node("grpc_client.js", address, ca, "Hang")["Hang"]["code"],
                                 DEADLINE_EXCEEDED)

    def test_a_server_that_is_gone_is_unavailable(self):
        ways = self.ways()
        self.server.stop()
        for words, address, ca in ways:
            with self.subTest(words):
                got = node("grpc_client.js", address, ca, "Down")["Down"]
                self.assertEqual(got["code"], UNAVAILABLE, got)
                self.assertIn("refused", got["details"])

    def test_a_silent_server_is_given_up(self):
        for words, address, ca in self.ways(pool={"timeouts": {"response": "300ms"}}):
            with self.subTest(words):
                got = node("grpc_client.js", address, ca, "Hang")["Hang"]
                self.assertEqual(got["code"], DEADLINE_EXCEEDED, got)

    def test_a_health_check_of_grpc(self):
        """grpc-js offers no health service: UNIMPLEMENTED is a check that failed, in words."""
        self.ways(pool={"health_check": "alive"},
                  health_checks={"alive": {"type": "grpc", "interval": "100ms"}})
        server = self.wait_for(
            lambda: (lambda found: found if found["health"] == "down" else None)(
                self.proxy.get("/v1/pools/main/status")["servers"]["a"]),
            "the server is down")
        self.assertIn("does not implement grpc.health.v1.Health", server["last_check"])


if __name__ == "__main__":
    unittest.main()
