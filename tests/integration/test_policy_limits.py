"""Policies that count: rate_limit, concurrency, body_size; with four workers, over HTTP/1 and HTTP/2, live."""

import threading
import time
import unittest

from lab import LabCase, config_for, h2
from test_websocket_http2 import connect_fields, echo


def fields_for(method="GET", path="/guarded"):
    return [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x")]


class Limits(LabCase):
    def start(self, policy, workers=2, script=None, **more):
        self.server = self.origin(script)
        self.document = config_for(self.server)
        self.document["policies"] = {"p": policy}
        self.document["routes"] = {"guarded": {"listener": "web", "match": {"path_prefix": "/guarded"},
                                               "policies": ["p"], "action": {"pool": "main"}}}
        self.proxy = self.lbd(self.document, daemon={"workers": workers}, **more)
        return self.connect(self.proxy)

    def decisions(self, *words):
        return [self.proxy.metric("lbd_policy_decisions_total", policy="p", decision=word) for word in words]

    def statuses(self, client, count, target="/guarded", headers=None):
        return [client.get(target, headers=headers).status for _ in range(count)]

    # -- rate_limit --

    def test_more_than_the_burst_is_refused_until_later(self):
        client = self.start({"rate_limit": {"requests": 3, "per": "hour", "response_headers": True}})
        first = client.get("/guarded")
        self.assertEqual((first.get("RateLimit-Limit"), first.get("RateLimit-Remaining"), first.get("RateLimit-Reset")),
                         ("3", "2", "1200"))
        self.assertEqual(self.statuses(client, 2), [200, 200])
        refused = client.get("/guarded")
        self.assert_reason(refused, 429, "rate_limited")
        self.assertIn(int(refused.get("Retry-After")), range(1100, 1201))
        self.assertEqual(refused.get("RateLimit-Remaining"), "0")
        self.assertEqual(client.get("/").status, 200)
        self.assertEqual(len(self.server.requests), 4)
        other = self.connect(self.proxy, source="127.0.0.2")
        self.assertIsNone(other.get("/").get("RateLimit-Limit"))
        self.assertEqual(self.statuses(other, 4), [200, 200, 200, 429])
        self.assertEqual(self.decisions("allow", "deny"), [6, 2])
        self.proxy.wait_metric(2, "lbd_policy_keys", policy="p")

    def test_four_workers_let_exactly_the_burst_through(self):
        self.start({"rate_limit": {"requests": 50, "per": "hour"}}, workers=4)
        statuses = []

        def ask():
            for _ in range(8):
                with self.proxy.client() as client:
                    statuses.extend(self.statuses(client, 4))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((statuses.count(200), statuses.count(429)), (50, 78))

    def test_the_bucket_outlives_changes_of_the_document(self):
        client = self.start({"rate_limit": {"requests": 2, "per": "hour"}})
        self.assertEqual(self.statuses(client, 3), [200, 200, 429])
        self.document["policies"]["p"]["rate_limit"]["burst"] = 3
        self.proxy.put("/v1/config", self.document)
        self.assertEqual(self.statuses(client, 2), [200, 429])
        self.document["policies"]["p"]["rate_limit"]["keys"] = 1024
        self.proxy.put("/v1/config", self.document)
        self.assertEqual(self.statuses(client, 4), [200, 200, 200, 429])

    def test_a_higher_limit_helps_whom_the_lower_one_held_back(self):
        client = self.start({"rate_limit": {"requests": 2, "per": "hour"}})
        self.assertEqual(self.statuses(client, 3), [200, 200, 429])
        self.proxy.patch("/v1/policies/p", {"rate_limit": {"requests": 100, "per": "second"}})
        keys = self.proxy.get("/v1/policies/p/status")["keys"]
        self.assertEqual([k for k in keys["fullest"] if k["used"] > 100], [])
        time.sleep(0.1)
        self.assertEqual(self.statuses(client, 5), [200] * 5)

    def test_a_change_of_the_limit_gives_nothing_away(self):
        client = self.start({"rate_limit": {"requests": 4, "per": "second", "burst": 4}})
        self.assertEqual(self.statuses(client, 4), [200] * 4)
        self.proxy.patch("/v1/policies/p", {"rate_limit": {"requests": 1, "per": "hour"}})
        keys = self.proxy.get("/v1/policies/p/status")["keys"]["fullest"]
        used = [k["used"] for k in keys]
        self.assertEqual(self.statuses(client, 5).count(200), 4 - used[0] if used else 4)
        self.proxy.patch("/v1/policies/p", {"rate_limit": {"burst": 1}})
        refused = client.get("/guarded")
        self.assertEqual(refused.status, 429)
        self.assertLessEqual(int(refused.get("Retry-After")), 3600)

    def test_one_that_listener_and_route_name_counts_once(self):
        client = self.start({"rate_limit": {"requests": 4, "per": "hour"}})
        self.proxy.patch("/v1/listeners/web", {"policies": ["p"]})
        self.assertEqual(self.statuses(client, 5), [200, 200, 200, 200, 429])
        self.assertEqual(self.decisions("allow", "deny"), [4, 1])
        answer = self.proxy.api("PATCH", "/v1/routes/guarded", {"policies": ["p", "p"]})
        self.assertEqual((answer.status, answer.pointers), (422, ["#/routes/guarded/policies/1"]))

    def test_a_key_cannot_be_evaded(self):
        client = self.start({"rate_limit": {"requests": 2, "per": "hour", "key": {"by": "header", "name": "X-Key"}}})
        self.assertEqual(self.statuses(client, 3, headers={"X-Key": "a"}), [200, 200, 429])
        self.assertEqual(self.statuses(client, 1, headers={"x-kEY": "a"}), [429])
        self.assertEqual(self.statuses(client, 1, headers={"X-Key": "b"}), [200])
        missing = [None, {"X-Key": ""}, {"X-Other": "c"}]
        self.assertEqual([client.get("/guarded", headers=each).status for each in missing], [200, 200, 429])
        repeated = [[("X-Key", one), ("X-Key", "a")] for one in ("c", "d", "e")]
        self.assertEqual([client.get("/guarded", headers=each).status for each in repeated], [200, 200, 429])
        for path in ("/%67uarded", "/x/../guarded", "/./guarded", "/guarded/", "/guarded?a"):
            answer = client.get(path, headers={"X-Key": "a"})
            self.assertIn(answer.status, (400, 429), path)
        client = self.connect(self.proxy)
        self.assertEqual(client.get("/guarded", headers={"X_Key": "new"}).status, 400)
        client = self.connect(self.proxy)
        client.send(b"GET /guarded HTTP/1.1\r\nHost: x\r\nX-Other: 1\r\n X-Key: new\r\n\r\n")
        self.assertEqual(client.read_response().status, 400)
        with h2.H2Client(self.proxy.address()) as fast:
            fields = fields_for()
            self.assertEqual(fast.request(fields + [("x-key", "a")]).status, 429)
            self.assertEqual(fast.request(fields + [("x-key", "b")]).status, 200)
            self.assertEqual(fast.request(fields + [("x-key", "f"), ("x-key", "a")]).status, 429)

    def test_calls_of_grpc_are_told_in_their_words(self):
        self.start({"rate_limit": {"requests": 1, "per": "hour"}})
        with h2.H2Client(self.proxy.address()) as client:
            fields = fields_for("POST") + [("content-type", "application/grpc"), ("te", "trailers")]
            client.request(fields, body=b"")
            answer = client.request(fields, body=b"")
            self.assertEqual((answer.status, answer.get("grpc-status"), answer.get("lbd-reason")),
                             (200, "8", "rate_limited"))

    def test_a_trailer_is_no_key(self):
        client = self.start({"rate_limit": {"requests": 1, "per": "hour", "key": {"by": "header", "name": "X-Key"}}})
        for status in (200, 429):
            client.send(b"POST /guarded HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"1\r\na\r\n0\r\nX-Key: %d\r\n\r\n" % status)
            self.assertEqual(client.read_response().status, status)

    def test_cookies_routes_and_all(self):
        client = self.start({"rate_limit": {"requests": 1, "per": "hour",
                                            "key": {"by": "cookie", "name": "id", "missing": "pass"}}})
        self.assertEqual(self.statuses(client, 3), [200, 200, 200])
        self.assertEqual(self.statuses(client, 2, headers={"Cookie": "a=1; id=x"}), [200, 429])
        self.assertEqual(self.statuses(client, 2, headers={"Cookie": "id=y"}), [200, 429])
        self.assertEqual(self.statuses(client, 2, headers={"Cookie": "id=z; id=x"}), [200, 429])
        self.assertEqual(self.statuses(client, 1, headers={"Cookie": "id=u; id=v"}), [429])

    def test_routes_and_all(self):
        self.start({"rate_limit": {"requests": 1, "per": "hour", "key": {"by": "route"}}})
        self.document["policies"]["q"] = {"rate_limit": {"requests": 1, "per": "hour", "key": {"by": "all"}}}
        for name, policy in (("one", "p"), ("two", "p"), ("three", "q"), ("four", "q")):
            self.document["routes"][name] = {"listener": "web", "match": {"path": "/" + name},
                                             "policies": [policy], "action": {"pool": "main"}}
        self.proxy.put("/v1/config", self.document)
        paths = ("/one", "/one", "/two", "/three", "/four")
        clients = [self.connect(self.proxy, source=f"127.0.0.{2 + i}") for i in range(len(paths))]
        self.assertEqual([client.get(path).status for client, path in zip(clients, paths)], [200, 429, 200, 200, 429])

    def test_networks_count_together(self):
        self.start({"rate_limit": {"requests": 2, "per": "hour", "key": {"ipv4_prefix": 24}}})
        sources = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.1.1")
        got = [self.connect(self.proxy, source=source).get("/guarded").status for source in sources]
        self.assertEqual(got, [200, 200, 429, 200])

    def test_shadow_refuses_nobody(self):
        client = self.start({"mode": "shadow", "rate_limit": {"requests": 1, "per": "hour"}})
        self.assertEqual(self.statuses(client, 3), [200, 200, 200])
        self.assertEqual(self.decisions("allow", "deny", "shadow"), [1, 0, 2])

    # -- concurrency --

    def slow(self):
        self.go = threading.Event()
        self.addCleanup(self.go.set)

        def script(peer):
            while True:
                peer.rx()
                peer.stall(self.go)
                peer.tx(200, b"late")

        return script

    def wait_in_flight(self, count):
        self.wait_for(lambda: self.proxy.metric("lbd_http_requests_in_flight", listener="web") == count,
                      f"{count} requests")

    def test_so_many_at_once_and_then_others(self):
        self.start({"concurrency": {"requests": 2, "status": 503}}, workers=4, script=self.slow())
        busy = [self.connect(self.proxy) for _ in range(2)]
        for client in busy:
            client.send_request(target="/guarded")
        self.wait_in_flight(2)
        for _ in range(4):
            refused = self.connect(self.proxy).get("/guarded")
            self.assert_reason(refused, 503, "concurrency_limit")
            self.assertEqual(refused.get("Retry-After"), "1")
        busy[0].abort()  # whoever leaves makes room, too
        self.wait_in_flight(1)
        third = self.connect(self.proxy)
        third.send_request(target="/guarded")
        self.wait_in_flight(2)
        self.assertEqual(self.connect(self.proxy).get("/guarded").status, 503)
        self.go.set()
        self.assertEqual([busy[1].read_response().status, third.read_response().status], [200, 200])
        self.assertEqual(self.statuses(third, 5), [200] * 5)

    def test_streams_of_http2_count(self):
        self.start({"concurrency": {"requests": 1}}, script=self.slow())
        with h2.H2Client(self.proxy.address()) as client:
            fields = fields_for()
            first = client.new_stream()
            client.send(h2.headers(first, fields))
            self.assertEqual(client.request(fields).status, 429)
            client.send(h2.reset(first))
            self.go.set()
            self.wait_in_flight(0)
            self.assertEqual(client.request(fields).status, 200)

    def test_tunnels_count_until_their_end(self):
        self.start({"concurrency": {"requests": 1}}, script=echo)
        handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                     "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        client = self.connect(self.proxy)
        client.send_request("GET", "/guarded", handshake)
        self.assertEqual(client.read_head().status, 101)
        self.assertEqual(self.connect(self.proxy).get("/guarded").status, 429)
        self.proxy.patch("/v1/policies/p", {"concurrency": {"keys": 32}})  # its table outlives the policy
        self.assertEqual(self.connect(self.proxy).get("/guarded").status, 200)
        self.proxy.patch("/v1/policies/p", {"concurrency": {"requests": 2}})
        client.close()
        with h2.H2Client(self.proxy.address()) as fast:
            stream = fast.new_stream()
            fast.send(h2.headers(stream, connect_fields(path="/guarded"), end=False))
            fast.read_until(lambda f: f.stream == stream and f.kind == h2.HEADERS)
            self.proxy.patch("/v1/policies/p", {"concurrency": {"requests": 1}})
            self.assertEqual(self.connect(self.proxy).get("/guarded").status, 429)
            fast.send(h2.reset(stream))
            self.wait_for(lambda: self.connect(self.proxy).get("/guarded").status == 200, "a place")

    # -- body_size --

    def test_too_much_is_refused_before_a_server_hears_of_it(self):
        client = self.start({"body_size": {"max": "1KiB"}})
        self.assertEqual(client.request("POST", "/guarded", body=b"x" * 1024).status, 200)
        client.send(b"POST /guarded HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n")
        self.assert_reason(client.read_response(), 413, "body_too_large")
        self.assertEqual(len(self.server.requests), 1)
        self.assertEqual(self.decisions("allow", "deny"), [1, 1])

    def test_a_body_without_a_length_is_counted(self):
        client = self.start({"body_size": {"max": "1KiB"}})
        chunk = b"100\r\n" + b"x" * 256 + b"\r\n"
        head = b"POST /guarded HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + 4 * chunk + b"0\r\n\r\n")
        self.assertEqual(client.read_response().status, 200)
        client.send(head + 5 * chunk + b"0\r\n\r\n")
        self.assert_reason(client.read_response(), 413, "body_too_large")
        self.assertEqual(self.decisions("deny"), [1])
        self.wait_for(lambda: self.decisions("allow", "deny") == [1, 1], "one decision for each request")
        with h2.H2Client(self.proxy.address()) as fast:
            fields = fields_for("POST")
            self.assertEqual(fast.request(fields, body=b"x" * 1024).status, 200)
            self.assertEqual(fast.request(fields, body=b"x" * 1025).status, 413)
            self.assertEqual(fast.request(fields + [("content-length", "1025")], body=b"x" * 1025).status, 413)

    def test_shadow_lets_large_ones_pass(self):
        client = self.start({"mode": "shadow", "body_size": {"max": "1KiB"}})
        self.assertEqual(client.request("POST", "/guarded", body=b"x" * 4096).status, 200)
        self.assertEqual(self.decisions("shadow"), [1])

    def test_shadow_counts_large_ones_without_a_length(self):
        client = self.start({"mode": "shadow", "body_size": {"max": "1KiB"}})
        sizes = {"q": ("shadow", "1KiB"), "r": ("enforce", "2KiB"), "s": ("shadow", "4KiB")}
        for name, (mode, size) in sizes.items():
            self.proxy.put(f"/v1/policies/{name}", {"mode": mode, "body_size": {"max": size}})
        self.proxy.patch("/v1/routes/guarded", {"policies": ["s", "q", "r", "p"]})
        chunk = b"100\r\n" + b"x" * 256 + b"\r\n"
        head = b"POST /guarded HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        wanted = {4: (200, 0, 0), 8: (200, 1, 0), 20: (413, 2, 1)}  # chunks: status, would-be refusals, refusals
        for chunks, (status, shadow, deny) in wanted.items():
            client.send(head + chunks * chunk + b"0\r\n\r\n")
            self.assertEqual(client.read_response().status, status)
            counted = [self.proxy.metric("lbd_policy_decisions_total", policy=name, decision=word)
                       for name, word in (("p", "shadow"), ("q", "shadow"), ("r", "deny"))]
            self.assertEqual(counted, [shadow, shadow, deny], chunks)
        self.wait_for(lambda: self.decisions("allow", "shadow") == [1, 2], "one decision for each request")
        self.assertEqual(self.proxy.wait_access_log(3)[1]["shadow_policy"], "q")


class Refused(LabCase):
    def test_keys_that_could_not_work(self):
        proxy = self.lbd(config_for(self.origin()))
        for key, pointer in (
                ({"by": "header"}, "name"),
                ({"by": "source", "name": "x"}, "name"),
                ({"by": "all", "missing": "pass"}, "missing"),
                ({"by": "header", "name": "Host"}, "name"),
                ({"by": "header", "name": "X_Key"}, "name"),
                ({"by": "cookie", "name": "a;b"}, "name")):
            answer = proxy.api("PUT", "/v1/policies/p", {"rate_limit": {"requests": 1, "key": key}})
            self.assertEqual(answer.status, 422, key)
            self.assertEqual(answer.pointers, [f"#/policies/p/rate_limit/key/{pointer}"], key)


if __name__ == "__main__":
    unittest.main()
