"""What is above the limits of a pool is refused at once, and says so."""

import socket
import threading
import unittest

from lab import LabCase, config_for, wait_for


class PoolLimits(LabCase):
    def serve(self, *origins, limits, pool=None, **more):
        self.proxy = self.lbd(config_for(*origins, pool={
            "retries": 0, "limits": limits, **(pool or {})}, **more), daemon={"workers": 2})

    def holding(self, name="holding"):
        """A server that answers when it is told to."""
        go = threading.Event()
        self.addCleanup(go.set)

        def script(peer):
            while True:
                peer.rx()
                go.wait(60)
                peer.tx(200, name)

        return self.origin(script, name=name), go

    def in_flight(self):
        return self.proxy.metric("lbd_pool_requests_in_flight", pool="main")

    def hold(self, count):
        """So many requests at the pool, each over a connection of its own."""
        clients = [self.connect(self.proxy) for _ in range(count)]
        for client in clients:
            client.send_request("GET", "/")
        wait_for(lambda: self.in_flight() == count, f"{count} in flight")
        return clients

    def limited(self, limit):
        return self.proxy.metric("lbd_pool_limited_total", reason=limit)

    def test_requests_over_all_workers(self):
        one, go = self.holding()
        self.serve(one, limits={"requests": 4})
        clients = self.hold(4)
        for _ in range(6):
            response = self.connect(self.proxy).get("/")
            self.assert_reason(response, 503, "pool_requests_limit")
        self.assertEqual(self.limited("requests"), 6)
        self.assertEqual(one.request_count, 4)
        wait_for(lambda: any(
            line.get("setting") == "/pools/main/limits/requests" and line["setting_value"] == "4"
            for line in self.proxy.access_log()), "the setting in the log")
        self.proxy.patch("/v1/pools/main", {"limits": {"requests": 5}})
        clients += self.hold_one_more(5)
        go.set()
        for client in clients:
            self.assertEqual(client.read_response("GET").status, 200)
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)

    def hold_one_more(self, count):
        client = self.connect(self.proxy)
        client.send_request("GET", "/")
        wait_for(lambda: self.in_flight() == count, f"{count} in flight")
        return [client]

    def test_a_client_that_leaves_makes_room(self):
        one, go = self.holding()
        self.serve(one, limits={"requests": 2})
        for _ in range(3):
            for client in self.hold(2):
                client.close()
            wait_for(lambda: self.in_flight() == 0, "nothing in flight")
        go.set()
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)

    def test_connections_and_not_idle_ones(self):
        one, go = self.holding("one")
        two = self.origin(name="two")
        self.serve(one, limits={"connections": 2})
        clients = self.hold(2)
        self.assert_reason(self.connect(self.proxy).get("/"), 503, "pool_connections_limit")
        self.assertEqual(self.limited("connections"), 1)
        self.proxy.wait_metric(0, "lbd_server_errors_total")
        go.set()
        for client in clients:
            self.assertEqual(client.read_response("GET").status, 200)
        # both wait to be used again, and are in nobody's way
        self.proxy.put("/v1/pools/main/servers/b", {"address": two.address})
        self.proxy.admin("a", "drain")
        wait_for(lambda: self.connect(self.proxy).get("/").text.startswith("two"), "the other")

    def test_pending(self):
        """A listener whose queue is full takes no connection: they hang in connecting."""
        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fill = []
        for _ in range(3):
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
            fill.append(sock)
        self.serve("127.0.0.1:%d" % full.getsockname()[1], limits={"pending": 2},
                   pool={"timeouts": {"connect": "20s"}})
        clients = [self.connect(self.proxy) for _ in range(2)]
        for client in clients:
            client.send_request("GET", "/")
        wait_for(lambda: self.proxy.metric("lbd_pool_pending_connections") == 2, "two wait")
        self.assert_reason(self.connect(self.proxy).get("/"), 503, "pool_pending_limit")
        self.assertEqual(self.limited("pending"), 1)
        for client in clients:
            client.close()
        wait_for(lambda: self.proxy.metric("lbd_pool_pending_connections") == 0, "none waits")

    def test_retries(self):
        one, go = self.holding("one")
        busy = self.origin(lambda peer: peer.tx(503) if peer.rx() else None, name="busy")
        self.serve(busy, one, limits={"retries": 1}, pool={
            "algorithm": "round_robin", "retries": 1, "retry": {"on": ["503"]}})
        clients = []
        while self.proxy.metric("lbd_pool_retries_in_flight") < 1:
            clients += [self.connect(self.proxy)]
            clients[-1].send_request("GET", "/")
            wait_for(lambda: self.in_flight() == len(clients), "at a server that holds it")
        # every further one that begins at the busy server stays there
        while self.limited("retries") == 0:
            client = self.connect(self.proxy)
            client.send_request("GET", "/")
            clients.append(client)
        self.proxy.wait_metric(1, "lbd_pool_retries_in_flight")
        go.set()
        wait_for(lambda: self.proxy.metric("lbd_pool_retries_in_flight") == 0, "none is left")
        statuses = [client.read_response("GET").status for client in clients]
        self.assertEqual(set(statuses), {200, 503})

    def test_the_last_retry_makes_room_for_the_next(self):
        """Of one request, one after the other, there is one under way; what may not be tried again is none."""
        servers = [self.origin(lambda peer, s=s: [peer.tx(s) for _ in iter(peer.rx, None)]) for s in (503, 503, 200)]
        self.serve(*servers, limits={"retries": 1}, pool={
            "algorithm": "round_robin", "retries": 2, "retry": {"on": ["503"]}})
        client = self.connect(self.proxy)
        self.assertEqual({client.get("/").status for _ in range(12)}, {200})
        self.assertEqual({client.request("POST", "/", body=b"x").status for _ in range(6)}, {200, 503})
        self.assertEqual(self.limited("retries"), 0)

    def test_who_waited_for_a_place_is_counted_too(self):
        one, go = self.holding()
        self.serve({"address": one.address, "max_connections": 2}, limits={"requests": 3},
                   pool={"queue": {"max": 50, "timeout": "2m"}})
        clients = self.hold(2)
        for _ in range(6):
            clients.append(self.connect(self.proxy))
            clients[-1].send_request("GET", "/")
        self.proxy.wait_metric(6, "lbd_pool_queued", pool="main")
        self.proxy.patch("/v1/pools/main/servers/a", {"max_connections": 20})
        self.proxy.wait_metric(5, "lbd_pool_queued", pool="main")
        self.assertEqual((self.in_flight(), one.request_count), (3, 3))
        go.set()
        for client in clients:
            self.assertEqual(client.read_response("GET").status, 200)
        self.assertEqual(self.limited("requests"), 0)

    def test_tcp(self):
        def echo(peer):
            while True:
                data = peer.sock.recv(100)
                if not data:
                    return
                peer.send(data)

        self.serve(self.origin(echo), limits={"requests": 1}, listener={"protocol": "tcp"})
        first = self.connect(self.proxy)
        first.send("a")
        self.assertEqual(first.read_exact(1), b"a")
        second = self.connect(self.proxy)
        self.assertEqual(second.sock.recv(1), b"")
        self.assertEqual(self.limited("requests"), 1)
        first.close()
        wait_for(lambda: self.in_flight() == 0, "it is gone")
        third = self.connect(self.proxy)
        third.send("b")
        self.assertEqual(third.read_exact(1), b"b")

    def test_a_fallback_has_limits_of_its_own(self):
        one, go = self.holding()
        self.proxy = self.lbd(config_for(pools={
            "main": {"servers": {}, "when_all_down": "fallback", "fallback_pool": "sorry"},
            "sorry": {"servers": {"a": {"address": one.address}}, "limits": {"requests": 1}}}))
        client = self.connect(self.proxy)
        client.send_request("GET", "/")
        wait_for(lambda: self.proxy.metric("lbd_pool_requests_in_flight", pool="sorry") == 1, "one")
        self.assert_reason(self.connect(self.proxy).get("/"), 503, "pool_requests_limit")
        go.set()
        self.assertEqual(client.read_response("GET").status, 200)


if __name__ == "__main__":
    unittest.main()
