"""A request goes through lbd and its answer comes back: methods, connections, headers, errors."""

import os
import resource
import threading
import time
import unittest

from lab import Closed, LabCase, config_for, respond
from lab.ports import free_port


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
        def script(peer):  # an answer well behind the end of the client's bytes
            request = peer.rx()
            time.sleep(0.2)
            peer.tx(200, f"alpha {request.method} {request.target} 0\n")
            peer.wait_closed()

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
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
        self.assertTrue(first.wait(60), "the first half did not arrive by itself")
        client.send(b"world")
        self.assertEqual(client.read_response().text, "ok")

    def test_answer_streams_before_it_is_complete(self):
        more = threading.Event()

        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            more.wait(60)
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
            while True:
                peer.rx()
                go.wait(60)
                peer.tx(200, "slow")

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

    def test_no_descriptor_left_is_no_fault_of_the_server(self):
        server = self.origin()
        proxy = self.lbd(config_for(server, self.origin(name="beta")))
        client = self.connect(proxy)
        client.send("GET / HT")  # accepted; the rest of the head comes when descriptors are short
        self.wait_for(lambda: proxy.metric("lbd_connections") == 1, "the connection is accepted")
        before = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)

        def limit_descriptors():
            taken = {int(fd) for fd in os.listdir(f"/proc/{proxy.pid}/fd")}
            free = min(set(range(len(taken) + 1)) - taken)
            resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (free, before[1]))

        time.sleep(0.1)  # the connection to the API that asked is closed by now
        limit_descriptors()
        client.send("TP/1.1\r\nHost: test\r\n\r\n")
        self.assert_reason(client.read_response(), 503, "overload")
        for _ in range(5):  # as many in a row would mark a server down
            self.assert_reason(client.get("/"), 503, "overload")
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, before)
        self.assertEqual(client.get("/").status, 200)
        proxy.wait_metric(2, "lbd_server_up")
        proxy.wait_metric(0, "lbd_server_errors_total")
        proxy.wait_metric(0, "lbd_pool_retries_total")
        proxy.wait_metric(6, "lbd_http_endings_total", reason="overload")
        self.assertNotIn("server.kept", proxy.log_text())

    def test_respond_bytes_helper_is_well_formed(self):
        self.assertEqual(respond(200, "ab"), b"HTTP/1.1 200 Answer\r\nContent-Length: 2\r\n\r\nab")


if __name__ == "__main__":
    unittest.main()
