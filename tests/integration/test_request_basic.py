"""A request goes through lbd and its answer comes back: methods, connections, bodies, headers."""

import threading
import time
import unittest

from lab import Closed, LabCase, WireError, config_for, respond
from lab.origin import free_port


class Simple(LabCase):
    """Methods, statuses and headers with the origin that answers everything."""

    def setUp(self):
        super().setUp()
        self.server = self.origin(name="alpha")
        self.proxy = self.lbd(config_for(self.server))

    def test_get(self):
        response = self.connect(self.proxy).get("/path?query=1")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.text, "alpha GET /path?query=1 0\n")
        self.assertEqual(response.get("Origin-Name"), "alpha")
        self.assertEqual(response.get("Content-Type"), "text/plain")

    def test_head_has_length_and_no_body(self):
        client = self.connect(self.proxy)
        response = client.request("HEAD", "/")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.get("Content-Length"), str(len("alpha HEAD / 0\n")))
        # nothing of a body stands between this answer and the next one
        self.assertEqual(client.get("/next").text, "alpha GET /next 0\n")

    def test_post_with_length(self):
        response = self.connect(self.proxy).request("POST", "/", body=b"hello")
        self.assertEqual(response.text, "alpha POST / 5\n")
        self.assertEqual(self.server.requests[0].body, b"hello")
        self.assertEqual(self.server.requests[0].framing, "length")

    def test_methods_pass_as_they_are(self):
        client = self.connect(self.proxy)
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "X-Custom"):
            with self.subTest(method):
                body = b"abc" if method in ("PUT", "PATCH") else None
                self.assertEqual(client.request(method, "/m", body=body).status, 200)
                self.assertEqual(self.server.requests[-1].method, method)

    def test_keep_alive_on_both_sides(self):
        client = self.connect(self.proxy)
        for index in range(20):
            self.assertEqual(client.get(f"/{index}").text, f"alpha GET /{index} 0\n")
        # one client connection lives on one worker, which keeps its one idle server connection
        self.assertEqual(self.server.connection_count, 1)
        self.assertEqual(self.server.request_count, 20)

    def test_server_connection_is_reused_by_another_client(self):
        proxy = self.lbd(config_for(self.server), daemon={"workers": 1})
        for index in range(5):
            client = self.connect(proxy)
            self.assertEqual(client.get(f"/{index}").status, 200)
            client.close()
        self.assertEqual(self.server.connection_count, 1)

    def test_pipelining_in_order(self):
        client = self.connect(self.proxy)
        count = 30
        client.send(
            "".join(f"GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n" for i in range(count))
        )
        for index in range(count):
            self.assertEqual(client.read_response().text, f"alpha GET /{index} 0\n")

    def test_pipelining_with_bodies(self):
        client = self.connect(self.proxy)
        data = b""
        for index in range(10):
            body = b"x" * (index * 100)
            data += f"POST /{index} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            data += body
            data += f"HEAD /h{index} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        client.send(data, cuts=range(97, len(data), 97), pause=0)
        for index in range(10):
            self.assertEqual(
                client.read_response().text, f"alpha POST /{index} {index * 100}\n"
            )
            self.assertEqual(client.read_response("HEAD").status, 200)

    def test_connection_close_is_honoured(self):
        client = self.connect(self.proxy)
        response = client.get("/", headers={"Connection": "close"})
        self.assertEqual(response.get("Connection"), "close")
        self.assertTrue(client.closed_cleanly())
        # the client's wish is not passed on: the server connection stays
        self.assertFalse(self.server.requests[0].has("Connection"))

    def test_client_half_close_after_request(self):
        client = self.connect(self.proxy)
        client.send_request("GET", "/half")
        client.shut_write()
        self.assertEqual(client.read_response().text, "alpha GET /half 0\n")
        self.assertTrue(client.closed_cleanly())

    def test_http10_client(self):
        client = self.connect(self.proxy)
        client.send("GET /old HTTP/1.0\r\n\r\n")
        response = client.read_response()
        self.assertEqual(response.text, "alpha GET /old 0\n")
        self.assertTrue(client.closed_cleanly())
        self.assertEqual(self.server.requests[0].version, "HTTP/1.1")

    def test_http10_client_keep_alive(self):
        client = self.connect(self.proxy)
        for index in range(3):
            client.send(f"GET /{index} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            response = client.read_response()
            self.assertEqual(response.text, f"alpha GET /{index} 0\n")
            self.assertEqual(response.get("Connection", "").lower(), "keep-alive")

    def test_absolute_form(self):
        client = self.connect(self.proxy)
        client.send("GET http://shop.example/a?b HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        self.assertEqual(client.read_response().text, "alpha GET /a?b 0\n")
        self.assertEqual(self.server.requests[0].get("Host"), "shop.example")

    def test_options_star(self):
        self.assertEqual(self.connect(self.proxy).request("OPTIONS", "*").status, 200)
        self.assertEqual(self.server.requests[0].target, "*")

    def test_forwarded_headers(self):
        self.connect(self.proxy).get(
            "/", host="shop.example:8080", headers={"User-Agent": "me", "X-Forwarded-For": "6.6.6.6"}
        )
        request = self.server.requests[0]
        self.assertEqual(request.get("Host"), "shop.example:8080")
        self.assertEqual(request.get("User-Agent"), "me")
        self.assertEqual(request.get("X-Forwarded-For"), "127.0.0.1")
        self.assertEqual(request.get("X-Forwarded-Proto"), "http")
        self.assertEqual(request.get("X-Forwarded-Host"), "shop.example:8080")
        self.assertEqual(request.get("Via"), "1.1 lbd")

    def test_via_is_appended_both_ways(self):
        def script(peer):
            while True:
                peer.rx()
                peer.tx(200, "x", {"Via": "1.0 cache"})

        proxy = self.lbd(config_for(self.origin(script, name="beta")))
        response = self.connect(proxy).get("/", headers={"Via": "1.0 fred"})
        self.assertEqual(", ".join(response.all("Via")), "1.0 cache, 1.1 lbd")
        self.connect(self.proxy).get("/", headers={"Via": "1.0 fred"})
        self.assertEqual(", ".join(self.server.requests[0].all("Via")), "1.0 fred, 1.1 lbd")

    def test_request_id_is_made_and_differs(self):
        client = self.connect(self.proxy)
        client.get("/1")
        client.get("/2")
        self.connect(self.proxy).get("/3")
        ids = [m.get("X-Request-Id") for m in self.server.requests]
        self.assertEqual(len(set(ids)), 3, ids)
        for word in ids:
            self.assertRegex(word, r"\A[A-Za-z0-9._~+/=-]{8,128}\Z")

    def test_request_id_stands_in_the_access_log(self):
        self.connect(self.proxy).get("/")
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual(line["request_id"], self.server.requests[0].get("X-Request-Id"))

    def test_hop_by_hop_headers_stop(self):
        self.connect(self.proxy).get("/", headers=[
            ("Connection", "keep-alive, X-Private"), ("X-Private", "1"), ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"), ("TE", "trailers"), ("Trailer", "X-T"),
            ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk"), ("X-Public", "2"),
        ])
        request = self.server.requests[0]
        for name in ("X-Private", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
                     "HTTP2-Settings"):
            self.assertFalse(request.has(name), f"{name} went through")
        self.assertEqual(request.get("X-Public"), "2")

    def test_header_order_and_case_are_kept(self):
        self.connect(self.proxy).get(
            "/", headers=[("X-b", "1"), ("x-A", "2"), ("Cookie", "a=1"), ("Cookie", "b=2")]
        )
        names = [n for n, _ in self.server.requests[0].headers]
        self.assertEqual([n for n in names if n in ("X-b", "x-A")], ["X-b", "x-A"])
        self.assertEqual(self.server.requests[0].all("Cookie"), ["a=1", "b=2"])

    def test_many_clients_at_once(self):
        wrong = []

        def run(number):
            client = self.connect(self.proxy)
            for index in range(20):
                text = client.get(f"/{number}/{index}").text
                if text != f"alpha GET /{number}/{index} 0\n":
                    wrong.append(text)

        threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong, [])
        self.assertEqual(self.server.request_count, 320)


class Answers(LabCase):
    """What comes back when the server is less ordinary."""

    def serve(self, script, **pool):
        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(self.server, pool=pool), daemon={"workers": 1})
        return self.connect(self.proxy)

    def test_chunked_answer(self):
        def script(peer):
            while True:
                peer.rx()
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for part in ("hello", " ", "world" * 1000):
                    peer.send(f"{len(part):x}\r\n{part}\r\n")
                peer.send("0\r\n\r\n")

        client = self.serve(script)
        for _ in range(3):
            response = client.get("/")
            self.assertEqual(response.text, "hello " + "world" * 1000)
            self.assertEqual(response.framing, "chunked")
        self.assertEqual(self.server.connection_count, 1)

    def test_chunked_answer_to_an_http10_client(self):
        def script(peer):
            while True:
                peer.rx()
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

        client = self.serve(script)
        client.send("GET / HTTP/1.0\r\n\r\n")
        response = client.read_response()
        self.assertFalse(response.has("Transfer-Encoding"), "HTTP/1.0 knows no chunks")
        self.assertEqual(response.text, "hello world")
        self.assertEqual(response.framing, "close")

    def test_until_close_answer_becomes_self_delimited(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\n\r\nhello")
            peer.send("x" * 100000)
            peer.close()

        client = self.serve(script)
        for _ in range(2):
            response = client.get("/")
            self.assertEqual(response.text, "hello" + "x" * 100000)

    def test_http10_server(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            peer.wait_closed()

        client = self.serve(script)
        for _ in range(3):
            self.assertEqual(client.get("/").text, "hello")
        self.assertEqual(self.server.connection_count, 3)

    def test_http10_server_keep_alive(self):
        def script(peer):
            while True:
                peer.rx()
                peer.send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")

        client = self.serve(script)
        for _ in range(3):
            self.assertEqual(client.get("/").text, "ok")

    def test_204_and_304(self):
        def script(peer):
            while True:
                request = peer.rx()
                peer.send(f"HTTP/1.1 {request.target[1:]} X\r\nETag: \"e\"\r\n\r\n")

        client = self.serve(script)
        for status in (204, 304, 204):
            response = client.get(f"/{status}")
            self.assertEqual(response.status, status)
            self.assertEqual(response.get("ETag"), '"e"')
            self.assertEqual(response.body, b"")
        self.assertEqual(self.server.connection_count, 1)

    def test_interim_answers_are_forwarded(self):
        def script(peer):
            while True:
                peer.rx()
                peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
                peer.tx(200, "done")

        response = self.serve(script).get("/")
        self.assertEqual(response.text, "done")
        self.assertEqual([m.status for m in response.interim], [103])
        self.assertEqual(response.interim[0].get("Link"), "</a.css>; rel=preload")

    def test_interim_answers_never_reach_http10(self):
        def script(peer):
            while True:
                peer.rx()
                peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
                peer.tx(200, "done")

        client = self.serve(script)
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response()
        self.assertEqual(response.interim, [], "RFC 9110 15.2: no 1xx to HTTP/1.0")
        self.assertEqual(response.text, "done")

    def test_expect_continue(self):
        def script(peer):
            while True:
                request = peer.rx_head()
                if request.get("Expect"):
                    peer.send("HTTP/1.1 100 Continue\r\n\r\n")
                body = peer.rx_body(request)
                peer.tx(200, f"got {len(body)}")

        client = self.serve(script)
        client.send_request("POST", "/", {"Expect": "100-continue", "Content-Length": "5"})
        self.assertEqual(client.read_interim().status, 100)
        client.send(b"hello")
        self.assertEqual(client.read_response().text, "got 5")
        self.assertEqual(client.get("/again").status, 200)

    def test_expect_continue_refused(self):
        """The server says no before the body: the client must not be told to go on."""
        def script(peer):
            request = peer.rx_head()
            if request.get("Expect"):
                peer.tx(413, "too big", {"Connection": "close"})
                peer.wait_closed()
            else:
                peer.tx(200, "ok")

        client = self.serve(script)
        client.send_request("POST", "/", {"Expect": "100-continue", "Content-Length": "5"})
        response = client.read_response()
        self.assertEqual(response.status, 413)
        self.assertEqual(response.interim, [])
        self.assertEqual(response.text, "too big")

    def test_early_answer_while_the_body_still_comes(self):
        """RFC 9112 9.3: the answer passes, what follows is not taken for a request (R6)."""
        def script(peer):
            request = peer.rx_head()
            if request.method == "GET":
                peer.tx(200, "fresh")
                return
            peer.tx(403, "no", {"Connection": "close"})
            peer.wait_closed()

        client = self.serve(script)
        client.send_request("POST", "/", {"Content-Length": "1000000"})
        client.send(b"x" * 1000)
        response = client.read_response()
        self.assertEqual((response.status, response.text), (403, "no"))
        client.send(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        client.close()
        self.assertEqual(self.connect(self.proxy).get("/").text, "fresh")
        self.assertNotIn("/smuggled", [m.target for m in self.server.requests])

    def test_request_chunked(self):
        client = self.serve(None)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(50):
            client.send(b"64\r\n" + b"y" * 100 + b"\r\n")
        client.send(b"0\r\n\r\n")
        self.assertEqual(client.read_response().text, "origin POST / 5000\n")
        self.assertEqual(self.server.requests[0].framing, "chunked")
        self.assertEqual(self.server.requests[0].body, b"y" * 5000)

    def test_request_body_streams_before_it_is_complete(self):
        first = threading.Event()

        def script(peer):
            request = peer.rx_head()
            self.assertEqual(peer.read(5), b"hello")
            first.set()
            self.assertEqual(peer.read(5), b"world")
            peer.tx(200, "ok")
            self.assertEqual(request.get("Content-Length"), "10")

        client = self.serve(script)
        client.send_request("POST", "/", {"Content-Length": "10"})
        client.send(b"hello")
        self.assertTrue(first.wait(10), "the first half did not arrive by itself")
        client.send(b"world")
        self.assertEqual(client.read_response().text, "ok")

    def test_answer_streams_before_it_is_complete(self):
        more = threading.Event()

        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            more.wait(10)
            peer.send("5\r\nworld\r\n0\r\n\r\n")

        client = self.serve(script)
        client.send_request("GET", "/")
        head = client.read_head()
        self.assertEqual(client.read_exact(10), b"5\r\nhello\r\n")
        more.set()
        self.assertEqual(client.read_exact(15), b"5\r\nworld\r\n0\r\n\r\n")
        self.assertEqual(head.status, 200)

    def test_trailers_are_dropped_by_default(self):
        def script(peer):
            while True:
                request = peer.rx()
                self.assertEqual(request.trailers, [])
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")

        client = self.serve(script)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "1\r\na\r\n0\r\nX-Client: 1\r\n\r\n")
        response = client.read_response()
        self.assertEqual((response.text, response.trailers), ("ok", []))

    def test_trailers_are_forwarded_when_the_route_says_so(self):
        seen = []

        def script(peer):
            while True:
                request = peer.rx()
                seen.append(request.trailers)
                peer.send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n")

        server = self.origin(script)
        proxy = self.lbd(config_for(server, routes={
            "all": {"listener": "web", "match": {}, "action": {"pool": "main"}, "trailers": "forward"}
        }))
        client = self.connect(proxy)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Client: 1\r\n\r\n")
        response = client.read_response()
        self.assertEqual(response.text, "ok")
        # framing fields are never trailers (RFC 9110 6.5.1)
        self.assertEqual(response.trailers, [("X-Sum", "1")])
        self.assertEqual(seen, [[("X-Client", "1")]])

    def test_date_is_added_when_the_server_has_none(self):
        client = self.serve(None)
        self.assertRegex(client.get("/").get("Date"), r"\A\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\Z")


class Big(LabCase):
    """Bodies of any size, with back-pressure instead of memory."""

    SIZE = 64 * 1024 * 1024
    # what lbd may grow by while a body of SIZE goes through: queues, not the body
    GROWTH_KB = 16 * 1024

    def body_script(self, chunked=False):
        block = bytes(range(256)) * 1024

        def script(peer):
            while True:
                request = peer.rx_head()
                if request.method == "POST":
                    count = 0
                    left = int(request.get("Content-Length"))
                    while left:
                        data = peer.reader.some()
                        if not data:
                            return
                        left -= len(data)
                        count += len(data)
                        del peer.reader.log[:]
                    peer.tx(200, f"got {count}")
                    continue
                if chunked:
                    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for _ in range(self.SIZE // len(block)):
                        peer.send(b"%x\r\n" % len(block) + block + b"\r\n")
                    peer.send("0\r\n\r\n")
                else:
                    peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {self.SIZE}\r\n\r\n")
                    for _ in range(self.SIZE // len(block)):
                        peer.send(block)

        return script

    def read_counting(self, client, total, pause_after=None, pause=0.0):
        """Reads `total` body bytes and checks that they are the pattern of the origin."""
        pattern = bytes(range(256)) * 1024
        done = 0
        while done < total:
            data = client.reader.some()
            if not data:
                raise Closed(f"{done} of {total}")
            offset = done % len(pattern)
            expected = (pattern + pattern)[offset : offset + len(data)]
            self.assertEqual(data, expected, f"bytes differ after {done}")
            done += len(data)
            del client.reader.log[:]
            if pause_after and done > pause_after:
                time.sleep(pause)
        return done

    def test_download(self):
        server = self.origin(self.body_script())
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        for _ in range(2):
            client.send_request("GET", "/big")
            self.assertEqual(client.read_head().get("Content-Length"), str(self.SIZE))
            self.read_counting(client, self.SIZE)
        self.assertEqual(server.connection_count, 1, "a spliced connection is reused")

    def test_download_chunked(self):
        server = self.origin(self.body_script(chunked=True))
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        response = client.get("/big")
        self.assertEqual(len(response.body), self.SIZE)
        self.assertEqual(response.body[:512], bytes(range(256)) * 2)

    def test_upload(self):
        server = self.origin(self.body_script())
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        block = b"u" * (1024 * 1024)
        for _ in range(2):
            client.send_request("POST", "/up", {"Content-Length": str(self.SIZE)})
            for _ in range(self.SIZE // len(block)):
                client.send(block)
            self.assertEqual(client.read_response().text, f"got {self.SIZE}")

    def test_slow_reader_does_not_fill_memory(self):
        server = self.origin(self.body_script())
        proxy = self.lbd(config_for(server))
        warm = self.connect(proxy)
        warm.request("POST", "/warm", body=b"x")
        before = proxy.resident_kb()
        clients = [self.connect(proxy, receive_buffer=8192) for _ in range(8)]
        for client in clients:
            client.send_request("GET", "/big")
            client.read_head()
        # nobody reads: what is in flight settles in kernel buffers and small queues
        self.settle(proxy)
        growth = proxy.resident_kb() - before
        self.assertLess(growth, self.GROWTH_KB)
        self.read_counting(clients[0], self.SIZE)
        for client in clients[1:]:
            client.abort()

    def test_slow_server_does_not_fill_memory(self):
        stop = threading.Event()

        def script(peer):
            peer.rx_head()
            stop.wait(30)  # reads nothing of the body

        server = self.origin(script)
        proxy = self.lbd(config_for(server))
        before = proxy.resident_kb()
        clients = []
        for _ in range(8):
            client = self.connect(proxy)
            client.send_request("POST", "/up", {"Content-Length": str(self.SIZE)})
            client.sock.setblocking(False)
            clients.append(client)
        # push until nobody takes any more
        block = b"z" * 262144
        limit = time.monotonic() + 20
        quiet = 0
        sent = 0
        while quiet < 10 and time.monotonic() < limit:
            moved = 0
            for client in clients:
                try:
                    moved += client.sock.send(block)
                except BlockingIOError:
                    pass
            sent += moved
            quiet = 0 if moved else quiet + 1
            time.sleep(0.02)
        self.assertLess(sent, 8 * self.SIZE, "lbd took all of it although nobody reads")
        self.assertLess(proxy.resident_kb() - before, self.GROWTH_KB)
        for client in clients:
            client.abort()
        stop.set()

    def settle(self, proxy):
        """Waits until resident memory no longer moves."""
        last, same = -1, 0
        limit = time.monotonic() + 10
        while same < 5 and time.monotonic() < limit:
            now = proxy.resident_kb()
            same = same + 1 if now == last else 0
            last = now
            time.sleep(0.05)


class Leaving(LabCase):
    """Somebody goes away in the middle."""

    def test_client_abort_reaches_the_server(self):
        gone = threading.Event()

        def script(peer):
            peer.rx()
            peer.wait_closed()  # never answers
            gone.set()

        server = self.origin(script)
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        server.wait_requests(1)
        client.abort()
        self.assertTrue(gone.wait(10), "the server was not told")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual(line["reason"], "client_abort")
        self.wait_for(lambda: proxy.metric("lbd_http_client_aborts_total") == 1, "abort counted")

    def test_client_abort_in_the_middle_of_a_download(self):
        gone = threading.Event()

        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                while True:
                    peer.send(b"x" * 65536)
            except OSError:
                gone.set()

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        client.read_head()
        client.read_exact(200000)
        client.abort()
        self.assertTrue(gone.wait(10), "the server still sends")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual((line["status"], line["reason"]), (200, "client_abort"))

    def test_client_abort_in_the_middle_of_an_upload(self):
        short = threading.Event()

        def script(peer):
            request = peer.rx_head()
            try:
                peer.rx_body(request)
            except Closed:
                short.set()
                raise

        server = self.origin(script)
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        client.send_request("POST", "/", {"Content-Length": "100000"})
        client.send(b"x" * 5000)
        server.wait_requests(1)
        client.abort()
        self.assertTrue(short.wait(10), "the server was left with half a body")

    def test_server_ends_in_the_middle_of_its_answer(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            peer.close()

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
        with self.assertRaises((Closed, WireError)):
            client.get("/")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual((line["status"], line["reason"]), (200, "server_truncated"))


class Routing(LabCase):
    """Listener, host and path decide; so do fixed answers and redirects."""

    def setUp(self):
        super().setUp()
        self.one = self.origin(name="one")
        self.two = self.origin(name="two")
        document = config_for(self.one)
        document["pools"]["other"] = {"servers": {"x": {"address": self.two.address}}}
        del document["listeners"]["web"]["default_pool"]
        self.document = document

    def routes(self, **routes):
        for name, route in routes.items():
            route.setdefault("listener", "web")
            route.setdefault("match", {})
            self.document.setdefault("routes", {})[name.replace("_", "-")] = route
        self.proxy = self.lbd(self.document)
        return self.connect(self.proxy)

    def who(self, client, target="/", host="x"):
        response = client.get(target, host=host)
        return response.get("Origin-Name") or response.get("Lbd-Reason") or response.status

    def test_no_route_is_404(self):
        client = self.routes(a={"match": {"path": "/a"}, "action": {"pool": "main"}})
        self.assert_reason(client.get("/b"), 404, "no_route")
        self.assertEqual(self.who(client, "/a"), "one")

    def test_host_exact_before_wildcard_before_any(self):
        client = self.routes(
            exact={"match": {"host": ["a.example.com"]}, "action": {"respond": {"status": 201}}},
            wild={"match": {"host": ["*.example.com"]}, "action": {"respond": {"status": 202}}},
            deep={"match": {"host": ["*.b.example.com"]}, "action": {"respond": {"status": 203}}},
            any={"action": {"respond": {"status": 200, "body": "any"}}},
        )
        for host, status in [
            ("a.example.com", 201), ("A.Example.COM", 201), ("a.example.com:81", 201),
            ("b.example.com", 202), ("x.b.example.com", 203), ("x.y.example.com", 202),
            ("example.com", 200), ("notexample.com", 200), ("other", 200), ("127.0.0.1", 200),
        ]:
            with self.subTest(host):
                self.assertEqual(client.get("/", host=host).status, status)

    def test_path_exact_before_longest_prefix(self):
        client = self.routes(
            root={"match": {"path_prefix": "/"}, "action": {"respond": {"status": 200}}},
            api={"match": {"path_prefix": "/api"}, "action": {"respond": {"status": 201}}},
            v2={"match": {"path_prefix": "/api/v2"}, "action": {"respond": {"status": 202}}},
            one={"match": {"path": "/api/v2/x"}, "action": {"respond": {"status": 203}}},
        )
        for path, status in [
            ("/", 200), ("/api", 201), ("/api/", 201), ("/apix", 200), ("/api/v1", 201),
            ("/api/v2", 202), ("/api/v2/", 202), ("/api/v20", 201), ("/api/v2/x", 203),
            ("/api/v2/x/", 202), ("/api/v2/x?q", 203), ("/API", 200),
            ("/api/../api/v2/./x", 203), ("/%61pi/v2", 202),
        ]:
            with self.subTest(path):
                self.assertEqual(client.get(path).status, status)

    def test_priority_beats_specificity(self):
        client = self.routes(
            exact={"match": {"host": ["a"], "path": "/x"}, "action": {"respond": {"status": 201}}},
            loud={"priority": 10, "match": {"path_prefix": "/"}, "action": {"respond": {"status": 202}}},
            quiet={"priority": -5, "action": {"respond": {"status": 203}}},
        )
        self.assertEqual(client.get("/x", host="a").status, 202)

    def test_fixed_response(self):
        client = self.routes(
            fixed={"action": {"respond": {"status": 403, "body": "no\n", "content_type": "text/html"}}}
        )
        response = client.get("/")
        self.assertEqual((response.status, response.text), (403, "no\n"))
        self.assertEqual(response.get("Content-Type"), "text/html")
        head = client.request("HEAD", "/")
        self.assertEqual((head.status, head.get("Content-Length")), (403, "3"))
        response = client.request("POST", "/", body=b"x" * 1000)
        self.assertEqual(response.status, 403)
        for line in self.proxy.wait_access_log(3):
            self.assertEqual((line["reason"], line["route"]), ("fixed_response", "fixed"))

    def test_redirect(self):
        client = self.routes(
            away={"action": {"redirect": {"status": 308, "location": "https://new.example{path}"}}}
        )
        response = client.get("/a/b?c=d")
        self.assertEqual(response.status, 308)
        self.assertEqual(response.get("Location"), "https://new.example/a/b?c=d")
        self.assertEqual(self.proxy.wait_access_log(1)[0]["reason"], "redirect")

    def test_pools_by_path(self):
        client = self.routes(
            a={"match": {"path_prefix": "/one"}, "action": {"pool": "main"}},
            b={"match": {"path_prefix": "/two"}, "action": {"pool": "other"}},
        )
        self.assertEqual(self.who(client, "/one"), "one")
        self.assertEqual(self.who(client, "/two/x"), "two")
        self.assertEqual(self.who(client, "/one/y"), "one")

    def test_listeners_have_their_own_routes(self):
        self.document["listeners"]["second"] = {
            "bind": ["127.0.0.1:0"], "protocol": "http", "default_pool": "other",
        }
        self.routes(a={"action": {"pool": "main"}})
        self.assertEqual(self.who(self.connect(self.proxy)), "one")
        self.assertEqual(self.who(self.connect(self.proxy, listener="second")), "two")

    def test_several_binds_and_unix(self):
        path = "unix:" + str(self.lbd_directory()) + "/web.sock"
        self.document["listeners"]["web"] = {
            "bind": ["127.0.0.1:0", "127.0.0.1:0", "[::1]:0", path],
            "protocol": "http", "default_pool": "main",
        }
        proxy = self.lbd(self.document)
        addresses = proxy.addresses()
        self.assertEqual(len(addresses), 4)
        for address in addresses:
            if address.startswith("127.0.0.1"):
                client = self.connect(("127.0.0.1", int(address.rpartition(":")[2])))
                self.assertEqual(self.who(client), "one")
        self.assertEqual(self.who(self.connect(path.removeprefix("unix:"))), "one")

    def lbd_directory(self):
        import tempfile

        holder = tempfile.TemporaryDirectory(prefix="lbd-test-")
        self.addCleanup(holder.cleanup)
        return holder.name


class Errors(LabCase):
    """What lbd says when there is nobody to ask."""

    def test_connection_refused_is_502(self):
        proxy = self.lbd(config_for(f"127.0.0.1:{free_port()}"))
        self.assert_reason(self.connect(proxy).get("/"), 502, "connect_refused")

    def test_pool_without_servers_is_503(self):
        proxy = self.lbd(config_for())
        self.assert_reason(self.connect(proxy).get("/"), 503, "no_server")

    def test_error_keeps_the_connection_when_framing_is_sound(self):
        proxy = self.lbd(config_for())
        client = self.connect(proxy)
        for _ in range(3):
            self.assertEqual(client.get("/").status, 503)

    def test_error_to_head_has_no_body(self):
        proxy = self.lbd(config_for())
        client = self.connect(proxy)
        response = client.request("HEAD", "/")
        self.assertEqual((response.status, response.body), (503, b""))
        self.assertEqual(client.get("/").status, 503)

    def test_bad_request_closes(self):
        proxy = self.lbd(config_for(self.origin()))
        client = self.connect(proxy)
        client.send("GET / HTTP/1.1\r\n\r\n")
        self.assert_reason(client.read_response(), 400, "bad_host")
        self.assertTrue(client.closed_cleanly())

    def test_server_limit_is_503(self):
        go = threading.Event()

        def script(peer):
            peer.rx()
            go.wait(10)
            peer.tx(200, "slow")
            peer.wait_closed()

        server = self.origin(script)
        proxy = self.lbd(config_for({"address": server.address, "max_connections": 1}))
        first = self.connect(proxy)
        first.send_request("GET", "/")
        server.wait_requests(1)
        self.assert_reason(self.connect(proxy).get("/"), 503, "server_limit")
        go.set()
        self.assertEqual(first.read_response().text, "slow")
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_listener_connection_limit(self):
        server = self.origin()
        proxy = self.lbd(config_for(server, listener={"limits": {"connections": 4}}))
        held = [self.connect(proxy) for _ in range(4)]
        for client in held:
            self.assertEqual(client.get("/").status, 200)
        extra = self.connect(proxy)
        extra.send_request("GET", "/")
        try:  # refused politely or closed at once, never served
            response = extra.read_response()
            self.assertEqual(response.status, 503)
        except Closed:
            pass
        self.wait_for(
            lambda: proxy.metric("lbd_listener_connections_rejected_total", reason="limit") >= 1,
            "the refusal counted",
        )
        held[0].close()
        self.wait_for(lambda: proxy.metric("lbd_listener_connections") < 4, "a place is free")
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_respond_bytes_helper_is_well_formed(self):
        self.assertEqual(respond(200, "ab"), b"HTTP/1.1 200 Answer\r\nContent-Length: 2\r\n\r\nab")


if __name__ == "__main__":
    unittest.main()
