"""Copies of requests for another pool: it gets what the server gets, and the client feels nothing of it."""

import unittest

from lab import LabCase, config_for
from lab.origin import respond
from lab.waits import wait_for


class Mirroring(LabCase):
    def start(self, shadow, percent=100, **route):
        self.main = self.origin(name="main")
        document = config_for(self.main)
        document["pools"]["shadow"] = {"servers": {"s": {"address": shadow.address}},
                                       "timeouts": {"connect": "1s", "response": "2s"}}
        document["routes"] = {"r": {"listener": "web", "action": {
            "pool": "main", "mirror": {"pool": "shadow", "percent": percent}}, **route}}
        self.proxy = self.lbd(document, daemon={"workers": 1})
        return self.connect(self.proxy)

    def copies(self, shadow, count):
        shadow.wait_requests(count)
        return shadow.requests

    def test_a_copy_is_what_the_server_gets(self):
        shadow = self.origin(name="shadow")
        client = self.start(shadow, rewrite={"path": "/v2/x", "host": "inside"})
        for method, body in [("GET", None), ("POST", b"small"), ("PUT", b"x" * 65536), ("DELETE", None)]:
            response = client.request(method, "/x?q=1", {"X-A": "1", "User-Agent": "me"}, body)
            self.assertEqual(response.get("Origin-Name"), "main")
        copies = self.copies(shadow, 4)
        for one, copy in zip(self.main.requests, copies, strict=True):
            self.assertEqual((copy.method, copy.target, copy.body), (one.method, one.target, one.body))
            for name in ("Host", "X-A", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "Via", "X-Request-Id"):
                self.assertEqual(copy.get(name), one.get(name), name)
        self.proxy.wait_metric(4, "lbd_pool_mirrors_total", pool="shadow")

    def test_chunked_bodies_are_put_together(self):
        shadow = self.origin(name="shadow")
        client = self.start(shadow)
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        self.main.wait_requests(0)
        client.send(b"3\r\ndef\r\n0\r\n\r\n")
        self.assertEqual(client.read_response().status, 200)
        self.assertEqual(self.main.requests[0].body, b"abcdef")
        self.assertEqual(self.copies(shadow, 1)[0].body, b"abcdef")

    def test_what_is_too_large_gets_none(self):
        shadow = self.origin(name="shadow")
        client = self.start(shadow)
        self.assertEqual(client.request("POST", "/", {}, b"x" * 65537).status, 200)
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + b"4000\r\n" + b"y" * 0x4000 + b"\r\n")
        for _ in range(4):
            client.send(b"4000\r\n" + b"y" * 0x4000 + b"\r\n")
        client.send(b"0\r\n\r\n")
        self.assertEqual(client.read_response().status, 200)
        self.assertEqual([len(r.body) for r in self.main.requests], [65537, 5 * 0x4000])
        self.proxy.wait_metric(2, "lbd_pool_mirrors_skipped_total", pool="shadow")
        self.assertEqual(shadow.requests, [])

    def test_a_share(self):
        shadow = self.origin(name="shadow")
        client = self.start(shadow, percent=30)
        for _ in range(200):
            client.get("/")
        wait_for(lambda: self.proxy.metric("lbd_pool_mirrors_total", pool="shadow") ==
                 len(shadow.requests), "the copies are there")
        self.assertTrue(20 < len(shadow.requests) < 100, len(shadow.requests))

    def test_whatever_becomes_of_copies_nobody_feels(self):
        """Silent, dead, lying and talkative mirrors, more than may be under way; then lbd stops with them."""
        turn = iter(range(10000))

        def hostile(peer):
            kind = next(turn) % 4
            peer.rx()
            if kind == 0:
                peer.stall()
            elif kind == 1:
                peer.reset()
            elif kind == 2:
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
            else:
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"z" * 200000)

        shadow = self.origin(hostile, name="shadow")
        client = self.start(shadow)
        for i in range(300):
            self.assertEqual(client.get(f"/{i}").get("Origin-Name"), "main")
        self.wait_for(
            lambda: self.proxy.metric("lbd_pool_mirrors_total", pool="shadow") > 100, "lbd_pool_mirrors_total")
        self.proxy.patch("/v1/routes/r", {"action": {"mirror": None}})
        self.assertEqual(client.get("/").status, 200)
        self.proxy.patch("/v1/routes/r", {"action": {"mirror": {"pool": "shadow", "percent": 100}}})
        self.assertEqual(client.get("/").status, 200)

    def test_an_answer_counts_as_one_however_long_it_is(self):
        shadow = self.origin(lambda peer: (peer.rx(), peer.send(respond(200, b"z" * 200000))), name="shadow")
        client = self.start(shadow)
        for _ in range(3):
            self.assertEqual(client.get("/").status, 200)
        self.copies(shadow, 3)
        self.proxy.wait_metric(0, "lbd_pool_requests_in_flight", pool="shadow")
        self.assertEqual(self.proxy.metric("lbd_pool_mirrors_total", pool="shadow"), 3)
        self.assertEqual(self.proxy.metric("lbd_pool_mirrors_failed_total", pool="shadow"), 0)

    def test_copies_that_find_no_server_are_copies(self):
        shadow = self.origin(name="shadow")
        client = self.start(shadow)
        self.proxy.patch("/v1/pools/shadow", {"servers": {"s": {"admin_state": "maint"}}})
        for _ in range(3):
            self.assertEqual(client.get("/").status, 200)
        self.proxy.wait_metric(3, "lbd_pool_mirrors_failed_total", pool="shadow")
        self.assertEqual(self.proxy.metric("lbd_pool_mirrors_total", pool="shadow"), 3)

    def test_long_paths_get_none(self):
        shadow = self.origin(name="shadow")
        client = self.start(shadow)
        self.assertEqual(client.get("/" + 1900 * "a").status, 200)
        self.assertEqual(client.get("/" + 2048 * "a").status, 200)
        self.copies(shadow, 1)
        self.proxy.wait_metric(1, "lbd_pool_mirrors_skipped_total", pool="shadow")
        self.assertEqual(self.proxy.metric("lbd_pool_mirrors_total", pool="shadow"), 1)

    def test_a_mirror_that_is_not_there(self):
        gone = self.origin(name="gone")
        client = self.start(gone)
        gone.kill()
        for _ in range(5):
            self.assertEqual(client.get("/").status, 200)
        self.proxy.wait_metric(5, "lbd_pool_mirrors_failed_total", pool="shadow")
        self.assertEqual(self.proxy.metric("lbd_pool_mirrors_total", pool="shadow"), 5)
        in_use = self.proxy.api("DELETE", "/v1/pools/shadow")
        self.assertEqual(in_use.status, 409, in_use)
        said = self.proxy.api("POST", "/v1/explain/route", {"url": "http://x/", "listener": "web"}).body
        self.assertEqual(said["action"], {"pool": "main", "mirror": {"pool": "shadow", "percent": 100}})


if __name__ == "__main__":
    unittest.main()
