"""routes.buffering: servers that do not wait for slow clients."""

import contextlib
import time
import unittest

from lab import LabCase, config_for, h2

SLOW = 4096  # bytes of a receive buffer: what a client that does not read has taken


class Buffering(LabCase):
    def serve(self, *origins, buffering=None, daemon=None, listener=None, **pool):
        """Everything is buffered, /stream is not."""
        route = {"listener": "web", "action": {"pool": "main"}}
        routes = {
            "all": {**route, "buffering": {"request": "64KiB", "response": "128KiB", **(buffering or {})}},
            "stream": {**route, "match": {"path_prefix": "/stream"}},
        }
        config = config_for(*origins, pool=pool, listener=listener, routes=routes)
        self.proxy = self.lbd(config, daemon={"workers": 1, **(daemon or {})})

    def busy(self):
        return self.proxy.metric("lbd_pool_requests_in_flight", pool="main")

    def idle(self):
        return self.proxy.metric("lbd_pool_idle_connections", pool="main")

    def test_what_was_given_up_is_not_sent_on(self):
        """Its answer waits for a window, and the rest of its body comes."""
        server = self.origin()
        self.serve(server)
        with h2.H2Client(self.proxy.address(), options=[(h2.INITIAL_WINDOW_SIZE, 0)]) as client:
            stream = client.new_stream()
            client.send(h2.headers(stream, h2.POST, end=False), h2.data(stream, b"half"))
            self.proxy.wait_metric(1, "lbd_http_requests_in_flight")
            (shown,) = self.proxy.get("/v1/connections")["connections"]
            self.proxy.delete(f"/v1/connections/{shown['id']}", headers={"If-Match": "*"})
            client.read_until(lambda got: got.kind == h2.HEADERS)
            client.send(h2.data(stream, b"of it", end=True))
            client.send(h2.window_update(stream, 65535))
            self.assertEqual([got for got in client.read_to_end() if got.kind == h2.HEADERS], [])
        self.assertEqual(server.request_count, 0)

    # -- answers --

    def answers(self, size, chunked=False):
        body = bytes(range(256)) * (size // 256)

        def script(peer):
            while True:
                request = peer.rx()
                if request.target.endswith("/small"):
                    peer.tx(200, "small")
                elif chunked:
                    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for at in range(0, len(body), 10240):
                        part = body[at:at + 10240]
                        peer.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                    peer.send("0\r\n\r\n")
                else:
                    peer.tx(200, body)
        return body, self.origin(script)

    def check_slow_reader(self, chunked):
        """4 MiB: of less the kernel of one machine takes everything for a client that reads nothing."""
        body, server = self.answers(4 << 20, chunked)
        self.serve(server, buffering={"response": "8MiB"})
        self.connect(self.proxy).get("/small")
        slow = self.connect(self.proxy, receive_buffer=SLOW)
        slow.send_request(target="/")
        server.wait_requests(2)
        self.wait_for(lambda: self.busy() == 0 and self.idle() == 1, "the server is free")
        self.wait_for(lambda: self.proxy.metric("lbd_worker_buffered_bytes") > 1 << 20, "lbd_worker_buffered_bytes")
        # the client has read nothing: the same connection serves another
        self.assertEqual(self.connect(self.proxy).get("/small").text, "small")
        self.assertEqual(server.connection_count, 1)
        self.assertEqual(slow.read_response().body, body)
        self.proxy.wait_metric(0, "lbd_worker_buffered_bytes")

    def test_a_slow_reader_keeps_no_server(self):
        self.check_slow_reader(False)

    def test_nor_does_one_of_a_body_without_a_length(self):
        self.check_slow_reader(True)

    def test_without_buffering_it_does(self):
        body, server = self.answers(4 << 20)
        self.serve(server)
        slow = self.connect(self.proxy, receive_buffer=SLOW)
        slow.send_request(target="/stream")
        server.wait_requests(1)
        self.assertEqual(self.connect(self.proxy).get("/stream/small").text, "small")
        self.wait_for(lambda: self.busy() == 1, "the small one is done, the slow one is not")
        self.assertEqual(server.connection_count, 2)
        self.assertEqual(slow.read_response().body, body)
        self.wait_for(lambda: self.busy() == 0, "the server is free")

    @contextlib.contextmanager
    def half_read(self, target):
        """The answer of a server of 100 KB, whose client opens no window beyond the first 64 KB."""
        with h2.H2Client(self.proxy.address("web")) as client:
            client.send(h2.headers(1, (*h2.GET[:3], (":path", target))))
            client.read_until(lambda frame: frame.kind == h2.DATA)
            yield

    def test_a_client_that_does_not_read_100_kb_frees_their_server(self):
        _, server = self.answers(102400)
        self.serve(server)
        with self.half_read("/"):
            self.wait_for(lambda: self.busy() == 0, "the server is free")
        with self.half_read("/stream"):
            time.sleep(1)
            self.assertEqual(self.busy(), 1, "the window must matter")

    def test_what_is_larger_streams(self):
        """With its length known or not, no more than the buffer is taken ahead."""
        for chunked in (False, True):
            with self.subTest(chunked):
                body, server = self.answers(16 << 20, chunked)
                self.serve(server)
                slow = self.connect(self.proxy, receive_buffer=SLOW)
                slow.send_request(target="/")
                server.wait_requests(1)
                self.assertEqual(self.connect(self.proxy).get("/small").text, "small")
                self.wait_for(lambda: self.busy() == 1, "the small one is done, the slow one is not")
                self.assertLess(self.proxy.metric("lbd_worker_buffered_bytes"), 400000)
                self.assertEqual(slow.read_response().body, body)

    def test_many_streams_of_http2_are_not_ended_for_it(self):
        """All of them together might be more than the listener lets wait for one client."""
        body, server = self.answers(262144)
        self.serve(server, buffering={"response": "1MiB"}, listener={"limits": {"buffered": "1MiB"}})
        with h2.H2Client(self.proxy.address("web")) as client:
            streams = [2 * n + 1 for n in range(8)]
            client.send(*(h2.headers(stream) for stream in streams))
            server.wait_requests(8)
            client.send(h2.window_update(0, 1 << 24), *(h2.window_update(s, 1 << 24) for s in streams))
            got = {stream: b"" for stream in streams}
            ended = set()
            while len(ended) < len(streams):
                frame = client.read()
                self.assertNotIn(frame.kind, (h2.RST_STREAM, h2.GOAWAY), frame)
                if frame.kind == h2.DATA:
                    got[frame.stream] += frame.payload
                if frame.stream and frame.ends_stream:
                    ended.add(frame.stream)
            self.assertEqual({bytes(b) for b in got.values()}, {body})

    # -- requests --

    def test_a_slow_uploader_keeps_no_server(self):
        server = self.origin(name="a")
        self.serve(server)
        client = self.connect(self.proxy)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        self.assertEqual(self.connect(self.proxy).get("/other").status, 200)
        self.wait_for(lambda: self.busy() == 0, "the other one is done")
        self.assertEqual(server.request_count, 1)
        client.send("world")
        self.assertEqual(client.read_response().text, "a POST / 10\n")
        self.assertEqual(server.requests[-1].body, b"helloworld")
        # and the next on the same connection
        self.assertEqual(client.request("POST", "/2", body=b"again").text, "a POST /2 5\n")

    def test_without_buffering_the_server_waits(self):
        server = self.origin(name="a")
        self.serve(server)
        client = self.connect(self.proxy)
        client.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        server.wait_requests(1)
        client.send("world")
        self.assertEqual(client.read_response().text, "a POST /stream 10\n")

    def test_split_anywhere(self):
        server = self.origin(name="a")
        self.serve(server)
        client = self.connect(self.proxy)
        whole = ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\n\r\n")
        for cut in range(len(whole) - 20, len(whole)):
            client.send(whole, cuts=(cut,))
            self.assertEqual(client.read_response().text, "a POST / 8\n")
            self.assertEqual(server.requests[-1].body, b"helloyou")

    def test_larger_bodies_stream(self):
        server = self.origin(name="a")
        self.serve(server)
        for framing in ("Content-Length: 200000", "Transfer-Encoding: chunked"):
            with self.subTest(framing):
                server.clear()
                chunk = b"x" * 100000
                client = self.connect(self.proxy)
                client.send(f"POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")
                is_chunked = "chunked" in framing
                head, tail = (b"186a0\r\n", b"\r\n") if is_chunked else (b"", b"")
                client.send(head + chunk + tail)
                server.wait_requests(1)  # before the rest is there
                client.send(head + chunk + tail + (b"0\r\n\r\n" if is_chunked else b""))
                self.assertEqual(client.read_response().text, "a POST / 200000\n")
                self.assertEqual(server.requests[-1].body, chunk * 2)

    def test_a_body_that_is_kept_can_be_sent_again(self):
        def busy(peer):
            while True:
                peer.rx()
                peer.tx(503, "busy")

        bad, good = self.origin(busy), self.origin(name="good")
        self.serve(bad, good, algorithm="round_robin",
                   retry={"on": ["503"], "non_idempotent": True, "budget_percent": 100})
        client = self.connect(self.proxy)
        for size in (1, 5000, 60000, 65536):
            body = bytes(range(256)) * (size // 256 + 1)
            body = body[:size]
            for _ in range(2):
                self.assertEqual(client.request("POST", "/", body=body).text, f"good POST / {size}\n")
                self.assertEqual(good.requests[-1].body, body)
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                            + f"{size:x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
                self.assertEqual(client.read_response().text, f"good POST / {size}\n")
                self.assertEqual(good.requests[-1].body, body)
        self.assertGreater(bad.request_count, 0)

    def test_a_get_with_a_body_whose_server_dies(self):
        def dies(peer):
            peer.rx()
            peer.close()

        self.serve(self.origin(dies), self.origin(name="good"), algorithm="round_robin")
        client = self.connect(self.proxy)
        for _ in range(2):
            self.assertEqual(client.request("GET", "/", body=b"query").text, "good GET / 5\n")

    def test_a_server_that_is_slow_to_take_it(self):
        """What its socket does not take at once follows when it has room."""
        def script(peer):
            request = peer.rx_head()
            peer.stall(seconds=0.05)
            peer.tx(200, str(len(peer.rx_body(request))))

        self.serve(self.origin(script), buffering={"request": "8MiB"})
        client = self.connect(self.proxy)
        self.assertEqual(client.request("POST", "/", body=b"b" * (8 << 20)).text, str(8 << 20))

    def test_expect_is_answered_by_us(self):
        server = self.origin(name="a")
        self.serve(server)
        client = self.connect(self.proxy)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(client.read_interim().status, 100)
        self.assertEqual(server.request_count, 0)
        client.send("hello")
        self.assertEqual(client.read_response().text, "a POST / 5\n")
        self.assertFalse(server.requests[0].has("Expect"))

    def test_a_body_that_stalls_or_is_bad_never_reaches_a_server(self):
        server = self.origin()
        self.serve(server, listener={"timeouts": {"body_idle": "100ms"}})
        client = self.connect(self.proxy)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        self.assert_reason(client.read_response(), 408, "body_timeout")
        self.proxy.patch("/v1/listeners/web", {"timeouts": {"body_idle": "1m"}})  # not what ends the others
        client = self.connect(self.proxy)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        self.assert_reason(client.read_response(), 400, "bad_chunk")
        client = self.connect(self.proxy)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        client.close()
        lines = self.proxy.wait_access_log(3)
        self.assertEqual([line["reason"] for line in lines], ["body_timeout", "bad_chunk", "client_abort"])
        self.assertEqual(server.connection_count, 0)

    def test_a_request_of_http2(self):
        server = self.origin(name="a")
        self.serve(server)
        with h2.H2Client(self.proxy.address("web")) as client:
            client.send(h2.headers(1, h2.POST, end=False), h2.data(1, b"hello"))
            self.assertEqual(self.connect(self.proxy).get("/other").status, 200)
            self.assertEqual(server.request_count, 1)
            client.send(h2.data(1, b"world", end=True))
            self.assertEqual(client.answer(1).body, b"a POST / 10\n")

    def test_when_memory_is_tight_bodies_stream(self):
        """1 MiB is all there is: at 80 % of it what is collected goes on to its server."""
        server = self.origin(name="a")
        self.serve(server, buffering={"request": "2MiB"}, daemon={"max_buffered": "1MiB"})
        client = self.connect(self.proxy)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1100000\r\n\r\n")
        client.send(b"x" * 1000000)
        server.wait_requests(1)
        client.send(b"x" * 100000)
        self.assertEqual(client.read_response().text, "a POST / 1100000\n")


if __name__ == "__main__":
    unittest.main()
