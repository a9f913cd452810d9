"""Draining, maintenance and back: only new requests feel it."""

import threading
import unittest

from lab import LabCase, config_for


class AdminState(LabCase):
    def setUp(self):
        super().setUp()
        self.a = self.origin(name="a")
        self.b = self.origin(name="b")
        self.proxy = self.lbd(config_for(self.a, self.b, pool={"algorithm": "round_robin"}))

    def names(self, client, count=6):
        return {client.get("/").get("Origin-Name") for _ in range(count)}

    def wait_both(self, client):
        """A server is out at once; that it is in again may take a moment (the turns are remade)."""
        self.wait_for(lambda: self.names(client) == {"a", "b"}, "both are asked")

    def test_drain_and_enable(self):
        client = self.connect(self.proxy)
        self.assertEqual(self.names(client), {"a", "b"})
        self.proxy.admin("a", "drain")
        self.assertEqual(self.names(client), {"b"}, "on the same client connection")
        self.assertEqual(self.proxy.server_status("a")["admin"], "drain")
        self.proxy.admin("a", "ready")
        self.wait_both(client)

    def test_maint(self):
        client = self.connect(self.proxy)
        self.proxy.admin("b", "maint")
        self.assertEqual(self.names(client), {"a"})
        self.proxy.wait_metric(1, "lbd_pool_servers", pool="main", state="maintenance")

    def test_all_drained_is_503(self):
        self.proxy.admin("a", "drain")
        self.proxy.admin("b", "maint")
        self.assert_reason(self.connect(self.proxy).get("/"), 503, "no_server")

    def test_requests_in_flight_finish(self):
        go = threading.Event()

        def slow(peer):
            while True:
                peer.rx()
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
                go.wait(60)
                peer.send("world")

        server = self.origin(slow)
        proxy = self.lbd(config_for(server))
        for state in ("drain", "maint"):
            go.clear()
            client = self.connect(proxy)
            client.send_request("GET", "/")
            client.read_head()
            proxy.admin("a", state)
            self.assertEqual(proxy.server_status("a")["admin"], state)
            go.set()
            self.assertEqual(client.read_exact(10), b"helloworld")
            proxy.admin("a", "ready")

    def test_idle_server_connections_are_closed(self):
        client = self.connect(self.proxy)
        self.names(client)
        self.assertGreaterEqual(self.a.open_connections(), 1)
        self.proxy.admin("a", "drain")
        self.a.wait_idle()
        self.assertEqual(self.names(client), {"b"})

    def test_client_connection_stays(self):
        client = self.connect(self.proxy)
        for state in ("drain", "ready", "maint", "ready") * 3:
            self.proxy.admin("a", state)
            self.assertEqual(client.get("/").status, 200)

    def test_get_shows_the_state(self):
        path = "/v1/pools/main/servers/a/admin-state"
        self.assertEqual(self.proxy.get(path)["state"], "ready")
        self.proxy.admin("a", "maint")
        self.assertEqual(self.proxy.get(path)["state"], "maint")

    def test_bad_states(self):
        path = "/v1/pools/main/servers/a/admin-state"
        for body in ({"state": "off"}, {"state": 1}, {}, [], "drain", {"state": "drain", "x": 1}):
            with self.subTest(body):
                answer = self.proxy.api("PUT", path, body)
                self.assertIn(answer.status, (400, 422), answer)
        self.assertEqual(self.proxy.get(path)["state"], "ready")
        answer = self.proxy.api("PUT", "/v1/pools/main/servers/no/admin-state", {"state": "drain"})
        self.assertEqual(answer.status, 404)
        answer = self.proxy.api("PUT", "/v1/pools/no/servers/a/admin-state", {"state": "drain"})
        self.assertEqual(answer.status, 404)

    def test_configured_state_and_override(self):
        client = self.connect(self.proxy)
        self.proxy.patch("/v1/pools/main/servers/a", {"admin_state": "drain"})
        self.assertEqual(self.names(client), {"b"})
        self.proxy.admin("a", "ready")  # an override of the field
        self.wait_both(client)
        self.assertEqual(
            self.proxy.get("/v1/pools/main/servers/a")["admin_state"], "drain",
            "configuration is not touched",
        )

    def test_override_survives_changes_elsewhere(self):
        self.proxy.admin("a", "drain")
        for weight in (10, 20):
            self.proxy.patch("/v1/pools/main/servers/b", {"weight": weight})
        self.proxy.put("/v1/pools/other", {"servers": {}})
        self.assertEqual(self.proxy.server_status("a")["admin"], "drain")
        self.assertEqual(self.names(self.connect(self.proxy)), {"b"})

    def test_override_survives_a_restart(self):
        self.proxy.admin("a", "maint")
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.proxy.server_status("a")["admin"], "maint")
        self.assertEqual(self.names(self.connect(self.proxy)), {"b"})

    def test_dry_run_of_an_override(self):
        path = "/v1/pools/main/servers/a/admin-state"
        answer = self.proxy.api("PUT", path + "?dry_run=true", {"state": "drain"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.proxy.get(path)["state"], "ready")

    def test_drain_under_load_fails_nothing(self):
        wrong = []
        stop = threading.Event()

        def run():
            client = self.connect(self.proxy)
            while not stop.is_set():
                status = client.get("/").status
                if status != 200:
                    wrong.append(status)

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            for server, state in (("a", "drain"), ("a", "ready"), ("b", "maint"), ("b", "ready")):
                self.proxy.admin(server, state)
        stop.set()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
