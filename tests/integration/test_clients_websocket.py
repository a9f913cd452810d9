"""WebSockets of the package ws, straight and through lbd; node's over HTTP/2 is in test_clients_http."""

import unittest

from lab.clients import NodeProcess, node
from test_clients_http import ClientCase

EXPECTED = {
    "protocol": "lab",
    "text": "text \u00e9",
    "large": True,
    "pong": "ping",
    "said": 1000,
    "end": {"code": 4001, "words": "enough"},
    "many": 30,
}
GOING_AWAY = 1001


class WebSocket(ClientCase):
    PATH = "/v1/pools/main/servers/a/admin-state"

    def ways(self):
        return ((f"wss://localhost:{self.port}/", self.ca.certificate),
                (f"ws://localhost:{self.clear_port}/", "-"))

    def test_all_they_do(self):
        self.start()
        self.assertEqual(node("ws_client.js", f"ws://{self.server.address}/"), EXPECTED)
        for url, ca in self.ways():
            with self.subTest(url):
                self.assertEqual(node("ws_client.js", url, ca), EXPECTED)

    def test_a_server_with_tls(self):
        self.start(server_args=(self.certificate.chain, self.certificate.key),
                   pool={"tls": {"ca": "test", "server_name": "localhost"}},
                   ca_sets={"test": {"file": str(self.ca.certificate)}})
        for url, ca in self.ways():
            with self.subTest(url):
                self.assertEqual(node("ws_client.js", url, ca), EXPECTED)

    def test_a_drain_says_going_away(self):
        """At the end of a server's drain the client is told 1001, and not just cut off."""
        self.start()
        for url, ca in self.ways():
            with self.subTest(url):
                client = NodeProcess("ws_client.js", url, ca, "wait")
                self.addCleanup(client.stop)
                self.assertEqual(client.line(), "open")
                self.proxy.put(self.PATH, {"state": "drain", "deadline": "100ms"})
                self.assertEqual(client.said("code")["code"], GOING_AWAY)
                self.server.said("closed")
                self.proxy.put(self.PATH, {"state": "ready"})


if __name__ == "__main__":
    unittest.main()
