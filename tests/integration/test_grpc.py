"""gRPC through lbd: trailers, streaming both ways, failures in its own words, deadlines."""

import socket
import unittest

from lab import LabCase, config_for, h2
from lab.origin import respond

CALL = (
    (":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", "/s.Echo/Say"),
    ("content-type", "application/grpc"), ("te", "trailers"),
)
HEAD = ((":status", "200"), ("content-type", "application/grpc"))
DONE = (("grpc-status", "0"), ("grpc-message", "fine"))


def message(payload):
    return b"\0" + len(payload).to_bytes(4, "big") + payload


def http2_servers(pool=None):
    return {"pool": {"http_version": "2", **(pool or {})}}


class Grpc(LabCase):
    def h2_origin(self, script):
        origin = h2.H2Origin(script)
        self.addCleanup(self._end_h2, origin)
        return origin

    def _end_h2(self, origin):
        origin.stop()
        self.assertEqual(origin.errors, [])

    def open(self, server, **config):
        self.proxy = self.lbd(config_for(server, **config))
        return self.client()

    def client(self):
        client = h2.H2Client(self.proxy.address())
        self.addCleanup(client.close)
        return client

    def call(self, client, *payloads, extra=()):
        stream = client.new_stream()
        client.send(h2.headers(stream, CALL, end=False, extra=extra))
        for at, payload in enumerate(payloads):
            client.send(h2.data(stream, message(payload), end=at == len(payloads) - 1))
        return stream

    def assert_failed(self, answer, status, reason, trailers=False):
        fields = dict(answer.trailers if trailers else answer.head.fields)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(fields.get("grpc-status"), str(status), fields)
        self.assertTrue(fields.get("grpc-message"))
        self.assertTrue(answer.ended)
        line = self.proxy.wait_access_log(1)[-1]
        self.assertEqual((line["protocol"], line["reason"]), ("HTTP/2.0", reason))

    # -- there and back --

    def test_unary_over_http2_on_both_sides(self):
        def script(peer):
            peer.send(h2.settings())
            while True:
                got = peer.read()
                if got.kind == h2.HEADERS:
                    assert got.get("te") == "trailers", got
                    assert got.get("content-type") == "application/grpc", got
                elif got.kind == h2.DATA and got.ends_stream:
                    peer.send(h2.headers(got.stream, HEAD, end=False),
                              h2.data(got.stream, message(b"pong")),
                              h2.headers(got.stream, DONE))

        client = self.open(self.h2_origin(script), **http2_servers())
        for _ in range(3):
            answer = client.answer(self.call(client, b"ping"))
            self.assertEqual((answer.status, answer.body), (200, message(b"pong")))
            self.assertEqual(answer.trailers, list(DONE))

    def test_how_calls_ended_is_counted(self):
        says = {"/whole": [HEAD, DONE], "/nothing": [(*HEAD, ("grpc-status", "5"))],
                "/late": [HEAD, (("grpc-status", "16"),)], "/silent": [HEAD, (("other", "x"),)],
                "/odd": [HEAD, (("grpc-status", "99"),)]}

        def script(peer):
            peer.send(h2.settings())
            while True:
                got = peer.read()
                if got.kind == h2.HEADERS:
                    path = got.get(":path")
                    if path == "/reset":
                        peer.send(h2.reset(got.stream, h2.CANCEL))
                        continue
                    *first, last = says[path]
                    for fields in first:
                        peer.send(h2.headers(got.stream, fields, end=False))
                    peer.send(h2.headers(got.stream, last))

        client = self.open(self.h2_origin(script), **http2_servers({"retries": 0}))
        for path in (*says, "/whole", "/reset"):
            stream = client.new_stream()
            client.send(h2.headers(stream, (*CALL[:3], (":path", path), *CALL[4:])))
            client.answer(stream)
        found = {"OK": 2, "NOT_FOUND": 1, "UNAUTHENTICATED": 1, "UNKNOWN": 2, "UNAVAILABLE": 1, "CANCELLED": 0}
        for status, count in found.items():
            self.proxy.wait_metric(count, "lbd_grpc_responses_total", listener="web", grpc_status=status)
        self.proxy.wait_metric(7, "lbd_grpc_responses_total")
        self.proxy.wait_metric(2, "lbd_pool_grpc_responses_total", pool="main", grpc_status="OK")

    def test_to_a_server_of_http1(self):
        def script(peer):
            while True:
                request = peer.rx()
                request.expect(method="POST", body=message(b"ping"), headers={"TE": "trailers"})
                peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n4\r\npong\r\n0\r\n"
                          "grpc-status: 0\r\nContent-Length: 3\r\n\r\n")

        client = self.open(self.origin(script))
        answer = client.answer(self.call(client, b"ping"))
        self.assertEqual((answer.status, answer.body), (200, b"pong"))
        self.assertEqual(answer.trailers, [("grpc-status", "0")], "and no field that frames")

    def test_streams_both_ways_without_waiting(self):
        def script(peer):
            peer.send(h2.settings())
            while True:
                got = peer.read()
                if got.kind == h2.HEADERS:
                    peer.send(h2.headers(got.stream, HEAD, end=False))
                elif got.kind == h2.DATA and got.ends_stream:
                    peer.send(h2.headers(got.stream, DONE))
                elif got.kind == h2.DATA:
                    peer.send(h2.data(got.stream, got.payload))

        client = self.open(self.h2_origin(script), **http2_servers())
        stream = self.call(client)
        client.read_until(lambda f: f.kind == h2.HEADERS)
        for word in (b"one", b"two", b"three"):
            client.send(h2.data(stream, message(word)))
            got = client.read_until(lambda f: f.kind == h2.DATA)[-1]
            self.assertEqual(got.payload, message(word))
        client.send(h2.data(stream, b"", end=True))
        got = client.read_until(lambda f: f.kind == h2.HEADERS)[-1]
        self.assertEqual(got.fields, list(DONE))

    def test_trailers_only(self):
        def script(peer):
            peer.send(h2.settings())
            got = peer.read_until(lambda f: f.ends_stream)[-1]
            peer.send(h2.headers(got.stream, HEAD + (("grpc-status", "5"),)))
            peer.read_to_end()

        client = self.open(self.h2_origin(script), **http2_servers())
        answer = client.answer(self.call(client, b"ping"))
        self.assertEqual((answer.get("grpc-status"), answer.body), ("5", b""))

    def test_a_call_that_its_client_cancels(self):
        cancelled = []

        def script(peer):
            peer.send(h2.settings())
            got = peer.read_until(lambda f: f.kind == h2.HEADERS)[-1]
            peer.send(h2.headers(got.stream, HEAD, end=False))
            cancelled.append(peer.read_until(lambda f: f.kind == h2.RST_STREAM)[-1].code)
            peer.read_to_end()

        client = self.open(self.h2_origin(script), **http2_servers())
        stream = self.call(client)
        client.read_until(lambda f: f.kind == h2.HEADERS)
        client.send(h2.reset(stream, h2.CANCEL))
        self.wait_for(lambda: cancelled, "the server hears of it")
        self.assertEqual(cancelled, [h2.CANCEL])
        self.assertEqual(self.proxy.wait_access_log(1)[0]["reason"], "client_abort")

    def test_a_refused_call_is_made_elsewhere(self):
        """With its message, which is small and still at hand."""
        refused = []

        def script(peer):
            peer.send(h2.settings())
            while True:
                got = peer.read_until(lambda f: f.ends_stream)[-1]
                if not refused:
                    refused.append(got.stream)
                    peer.send(h2.reset(got.stream, h2.REFUSED_STREAM))
                    continue
                assert got.payload == message(b"ping"), got
                peer.send(h2.headers(got.stream, HEAD, end=False),
                          h2.data(got.stream, message(b"pong")),
                          h2.headers(got.stream, DONE))

        self.proxy = self.lbd(config_for(self.h2_origin(script), self.h2_origin(script),
                                         **http2_servers({"retries": 2})))
        client = self.client()
        answer = client.answer(self.call(client, b"ping"))
        self.assertEqual((answer.status, answer.body), (200, message(b"pong")))
        self.assertEqual(len(refused), 1)
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual((line["tries"], line["reason"], line["request_bytes"]), (2, "ok", 9))

    # -- failures --

    def test_nobody_is_there(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            client = self.open(f"127.0.0.1:{reserved.getsockname()[1]}")
            answer = client.answer(self.call(client, b"ping"))
        self.assert_failed(answer, 14, "connect_refused")
        self.assertEqual(answer.get("content-type"), "application/grpc")
        self.assertEqual(answer.get("lbd-reason"), "connect_refused")

    def test_no_route(self):
        server = self.origin()
        document = config_for(server, routes={
            "r": {"listener": "web", "match": {"path": "/other"}, "action": {"pool": "main"}}})
        del document["listeners"]["web"]["default_pool"]
        self.proxy = self.lbd(document)
        client = self.client()
        self.assert_failed(client.answer(self.call(client, b"ping")), 12, "no_route")

    def test_a_service_that_lets_nobody_in(self):
        says = [401]

        def service(peer):
            while True:
                peer.rx()
                peer.send(respond(says[0], b"no", {"WWW-Authenticate": "Bearer"}))
        server = self.origin()
        document = config_for(server)
        document["policies"] = {"door": {"external_auth": {"url": f"http://{self.origin(service).address}/"}}}
        document["listeners"]["web"]["policies"] = ["door"]
        self.proxy = self.lbd(document)
        client = self.client()
        for status, code in ((401, 16), (403, 7), (302, 7)):
            says[0] = status
            self.assert_failed(client.answer(self.call(client, b"ping")), code, "external_denied")
        for code, count in (("UNAUTHENTICATED", 1), ("PERMISSION_DENIED", 2)):
            self.proxy.wait_metric(count, "lbd_grpc_responses_total", listener="web", grpc_status=code)

    def test_a_server_that_says_nothing(self):
        client = self.open(self.origin(lambda peer: (peer.rx(), peer.stall())),
                           pool={"timeouts": {"response": "200ms"}, "retries": 0})
        self.assert_failed(client.answer(self.call(client, b"ping")), 4, "response_timeout")

    def test_a_server_that_breaks_in_the_middle(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n4\r\npong\r\n")

        client = self.open(self.origin(script))
        answer = client.answer(self.call(client, b"ping"))
        self.assertEqual(answer.body, b"pong")
        self.assert_failed(answer, 14, "server_truncated", trailers=True)
        self.assertEqual(client.settle()[-1].kind, h2.PING, "the connection lives on")

    def test_a_deadline(self):
        client = self.open(self.origin(lambda peer: (peer.rx(), peer.stall())))
        stream = self.call(client, b"ping", extra=(("grpc-timeout", "150m"),))
        self.assert_failed(client.answer(stream), 4, "call_deadline")

    def test_a_drained_server_ends_a_call_with_its_status(self):
        def script(peer):
            peer.send(h2.settings())
            got = peer.read_until(lambda f: f.kind == h2.HEADERS)[-1]
            peer.send(h2.headers(got.stream, HEAD, end=False))
            peer.read_to_end()

        client = self.open(self.h2_origin(script), **http2_servers())
        stream = self.call(client)
        first = client.read_until(lambda f: f.kind == h2.HEADERS)[-1]
        self.proxy.put("/v1/pools/main/servers/a/admin-state", {"state": "drain", "deadline": "100ms"})
        begun = h2.Answer()
        begun.note(first)
        answer = client.answer(stream, into=begun)
        self.assert_failed(answer, 14, "drain_deadline", trailers=True)


if __name__ == "__main__":
    unittest.main()
