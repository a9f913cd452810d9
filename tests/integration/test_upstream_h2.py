"""HTTP/2 to the servers: one connection for many requests, from clients of either version.

The servers here send exactly the frames a test wants; one test talks to a real nginx over TLS.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from lab import Closed, LabCase, config_for, wire
from lab.certs import Authority, server_context
from lab.h2 import (
    ACK, DATA, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, PING,
    PREFACE, REFUSED_STREAM, RST_STREAM, SETTINGS, WINDOW_UPDATE, H2Client, H2Closed, H2Origin, H2Peer, data, goaway,
    headers, ping, reset, settings, settings_ack, window_update,
)
from lab.client import reset_socket
from lab.ports import free_port
from lab.waits import TIMEOUT


class Request:
    def __init__(self, stream, fields):
        self.stream = stream
        self.fields = dict(fields)
        self.body = b""
        self.trailers = None


class Server:
    """Answers requests frame by frame. `answer(server, request)` is called for each that is whole;
    `begun(server, request)` when its head is there."""

    def __init__(self, peer, answer, begun=None, options=()):
        self.peer = peer
        self.answer = answer
        self.begun = begun
        self.requests = {}
        self.window = {0: 65535}
        self.first_window = 65535
        peer.send(settings(*options))

    def run(self):
        while True:
            self.step()

    def step(self):
        got = self.peer.read()
        if got.kind == SETTINGS and not got.flags & ACK:
            for at in range(0, len(got.payload), 6):
                key = int.from_bytes(got.payload[at:at + 2], "big")
                if key == INITIAL_WINDOW_SIZE:
                    self.first_window = int.from_bytes(got.payload[at + 2:at + 6], "big")
            self.peer.send(settings_ack())
        elif got.kind == WINDOW_UPDATE:
            self.window[got.stream] = self.window.get(got.stream, 0) + got.increment
        elif got.kind == PING and not got.flags & ACK:
            self.peer.send(ping(got.payload, ack=True))
        elif got.kind == HEADERS:
            if got.stream in self.requests:
                self.requests[got.stream].trailers = got.fields
            else:
                self.requests[got.stream] = Request(got.stream, got.fields)
                self.window[got.stream] = self.window.get(got.stream, 0) + self.first_window
                if self.begun:
                    self.begun(self, self.requests[got.stream])
        elif got.kind == DATA:
            self.requests[got.stream].body += got.payload
            if got.payload:
                grant = len(got.payload)
                self.peer.send(window_update(0, grant), window_update(got.stream, grant))
        elif got.kind == RST_STREAM:
            self.requests[got.stream].reset = got.code
        if got.ends_stream:
            self.answer(self, self.requests[got.stream])
        return got

    def reply(self, request, body=b"", status=200, fields=(), trailers=None, end=True):
        head = ((":status", str(status)), *fields)
        if not body and trailers is None and end:
            self.peer.send(headers(request.stream, head))
            return
        self.peer.send(headers(request.stream, head, end=False))
        self.send_body(request.stream, body, end=end and trailers is None)
        if trailers is not None:
            self.peer.send(headers(request.stream, trailers))

    def send_body(self, stream, body, end=True):
        at = 0
        while at < len(body):
            room = min(self.window[0], self.window[stream], 16384, len(body) - at)
            if room <= 0:
                self.step()
                continue
            at += room
            self.window[0] -= room
            self.window[stream] -= room
            self.peer.send(data(stream, body[at - room:at], end=end and at == len(body)))
        if not body and end:
            self.peer.send(data(stream, b"", end=True))


def echo(server, request):
    text = f"{request.fields[':method']} {request.fields[':path']} {len(request.body)}\n"
    server.reply(request, text.encode(), fields=(("x-stream", str(request.stream)),))


def serve(answer=echo, begun=None, options=()):
    return lambda peer: Server(peer, answer, begun, options).run()


class UpstreamH2(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="lbd-h2-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.ca = Authority(cls.folder.name)
        cls.good = cls.ca.issue("good", "good.test", ["DNS:localhost", "IP:127.0.0.1"])

    def h2_origin(self, script=None, **more):
        origin = H2Origin(script or serve(), **more)
        self.addCleanup(self._end_h2, origin)
        return origin

    def _end_h2(self, origin):
        origin.stop()
        self.assertEqual(origin.errors, [])

    def start(self, *origins, workers=1, listener=None, sections=None, **pool):
        pool.setdefault("http_version", "2")
        return self.lbd(
            config_for(*origins, pool=pool, listener=listener, **(sections or {})),
            daemon={"workers": workers},
        )

    def tls_sections(self):
        return {"ca_sets": {"ours": {"file": str(self.ca.certificate)}}}

    # -- from HTTP/1 and HTTP/2 clients ------------------------------------------------------

    def test_requests_of_http1_clients_share_a_connection(self):
        origin = self.h2_origin()
        proxy = self.start(origin)
        clients = [self.connect(proxy) for _ in range(5)]
        streams = set()
        for n in range(4):
            for client in clients:
                answer = client.request("POST", f"/{n}", body=b"x" * n)
                self.assertEqual(answer.text, f"POST /{n} {n}\n")
                streams.add(answer.get("x-stream"))
        self.assertEqual(origin.connections, 1)
        self.assertEqual(len(streams), 20)
        proxy.wait_metric(1, "lbd_pool_connects_total", pool="main")
        proxy.wait_metric(19, "lbd_pool_connection_reuses_total", pool="main")

    def test_what_the_server_is_told(self):
        seen = []

        def answer(server, request):
            seen.append(request.fields)
            echo(server, request)

        client = self.connect(self.start(self.h2_origin(serve(answer))))
        client.request("GET", "/a?b=c", headers={
            "Host": "shop.example", "Connection": "x-hop", "X-Hop": "1", "X-Kept": "2",
            "TE": "trailers"})
        fields = seen[0]
        self.assertEqual(fields[":method"], "GET")
        self.assertEqual(fields[":path"], "/a?b=c")
        self.assertEqual(fields[":authority"], "shop.example")
        self.assertEqual(fields[":scheme"], "http")
        self.assertEqual(fields["x-kept"], "2")
        self.assertNotIn("x-hop", fields)
        self.assertNotIn("host", fields)

    def test_http2_clients(self):
        origin = self.h2_origin()
        proxy = self.start(origin)
        with H2Client(proxy.address()) as client:
            for n in range(3):
                answer = client.request(
                    ((":method", "POST"), (":scheme", "http"), (":authority", "a"),
                     (":path", f"/{n}")), body=b"abc")
                self.assertEqual(answer.body, f"POST /{n} 3\n".encode())
        self.assertEqual(origin.connections, 1)

    def test_http2_clients_to_http1_servers_through_the_same_lbd(self):
        origin = self.origin()
        with H2Client(self.start(origin, http_version="1").address()) as client:
            self.assertEqual(client.request(body=b"").status, 200)

    def test_large_bodies_both_ways(self):
        big = bytes(range(256)) * 6000  # 1.5 MB

        def answer(server, request):
            server.reply(request, request.body)

        proxy = self.start(self.h2_origin(serve(answer)))
        client = self.connect(proxy)
        for headers_ in ({}, {"Transfer-Encoding": "chunked"}):
            if headers_:
                client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                for at in range(0, len(big), 50000):
                    piece = big[at:at + 50000]
                    client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                client.send("0\r\n\r\n")
                got = client.read_response()
            else:
                got = client.request("PUT", "/", body=big)
            self.assertEqual(got.body, big)

    def test_a_slow_client_holds_nobody_up(self):
        big = b"x" * 3000000

        def answer(server, request):
            if request.fields[":path"] == "/big":
                server.reply(request, big[:60000], end=False)
                return
            echo(server, request)

        proxy = self.start(self.h2_origin(serve(answer)))
        slow = self.connect(proxy, receive_buffer=4096)
        slow.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        quick = self.connect(proxy)
        for _ in range(5):
            self.assertEqual(quick.get("/").status, 200)

    def test_trailers_and_heads_without_a_body(self):
        def answer(server, request):
            if request.fields[":method"] == "HEAD":
                server.reply(request, fields=(("content-length", "10"),))
            elif request.fields[":path"] == "/304":
                server.reply(request, status=304, fields=(("content-length", "10"),))
            else:
                server.reply(request, b"hello", trailers=(("x-sum", "5"),))

        proxy = self.lbd(config_for(
            self.h2_origin(serve(answer)), pool={"http_version": "2"},
            routes={"all": {"listener": "web", "match": {}, "trailers": "forward",
                            "action": {"pool": "main"}}}))
        client = self.connect(proxy)
        got = client.request("GET", "/", headers={"TE": "trailers", "Connection": "TE"})
        self.assertEqual(got.body, b"hello")
        self.assertEqual(got.trailers, [("x-sum", "5")])
        self.assertEqual(client.request("HEAD", "/").get("Content-Length"), "10")
        self.assertEqual(client.get("/304").status, 304)
        self.assertEqual(client.get("/").body, b"hello")

    # -- lengths that lie (R5) ------------------------------------------------------------------

    def test_lengths_that_do_not_fit_the_body(self):
        cases = (
            (b"hell", 5, 1), (b"hello!", 5, 1), (b"", 5, 1), (b"hello", 5, 0),
        )
        for body, length, wrong in cases:
            with self.subTest(body=body, length=length):
                def answer(server, request, body=body, length=length):
                    server.reply(request, body, fields=(("content-length", str(length)),))

                client = self.connect(self.start(self.h2_origin(serve(answer)), retries=0))
                try:
                    got = client.get("/")
                    whole = got.status == 200
                except Closed:
                    whole = False
                self.assertEqual(whole, not wrong)

    # -- many at a time ---------------------------------------------------------------------------

    def hold(self, count):
        """A server that answers nobody until `count` requests are there."""
        held = []

        def answer(server, request):
            held.append((server, request))
            if len(held) >= count:
                for each in held:
                    echo(*each)
                held.clear()

        return answer

    def ask_at_once(self, proxy, count):
        clients = [self.connect(proxy) for _ in range(count)]
        for client in clients:
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return [client.read_response().status for client in clients]

    def test_many_at_a_time_share_one_connection(self):
        origin = self.h2_origin(serve(self.hold(40), options=((MAX_CONCURRENT_STREAMS, 100),)))
        self.assertEqual(self.ask_at_once(self.start(origin), 40), [200] * 40)
        self.assertEqual(origin.connections, 1)

    def test_the_servers_limit_is_kept_and_others_are_opened(self):
        most = []

        def begun(server, request):
            server.open = getattr(server, "open", 0) + 1
            most.append(server.open)

        held = self.hold(12)
        origin = self.h2_origin(serve(held, begun, options=((MAX_CONCURRENT_STREAMS, 5),)))
        self.assertEqual(self.ask_at_once(self.start(origin), 12), [200] * 12)
        self.assertEqual(max(most), 5)
        self.assertEqual(origin.connections, 3)

    # -- ends of streams and connections ----------------------------------------------------------

    def test_a_refused_stream_is_tried_elsewhere(self):
        def refuse(server, request):
            server.peer.send(reset(request.stream, REFUSED_STREAM))

        bad = self.h2_origin(serve(lambda server, request: None, begun=refuse))
        good = self.h2_origin()
        client = self.connect(self.start(bad, good, algorithm="round_robin"))
        for method in ("GET", "POST", "DELETE"):
            for _ in range(2):
                self.assertEqual(client.request(method, "/").status, 200)

    def test_goaway_without_our_stream_is_tried_elsewhere(self):
        def leave(server, request):
            server.peer.send(goaway(0))

        bad = self.h2_origin(serve(lambda server, request: None, begun=leave))
        good = self.h2_origin()
        client = self.connect(self.start(bad, good, algorithm="round_robin"))
        for _ in range(2):
            self.assertEqual(client.request("POST", "/", body=b"").status, 200)

    def test_goaway_lets_what_is_under_way_finish(self):
        def answer(server, request):
            server.peer.send(goaway(request.stream))
            echo(server, request)

        origin = self.h2_origin(serve(answer))
        client = self.connect(self.start(origin))
        for n in range(1, 4):
            self.assertEqual(client.request("POST", "/").status, 200)
            self.assertEqual(origin.connections, n)

    def test_a_reset_says_so(self):
        def break_off(server, request):
            server.peer.send(reset(request.stream, 2))

        client = self.connect(self.start(self.h2_origin(serve(break_off)), retries=0))
        self.assert_reason(client.get("/"), 502, "server_stream_reset")

    def test_a_reset_in_the_middle_of_an_answer_ends_the_client(self):
        def answer(server, request):
            server.reply(request, b"half", end=False)
            server.peer.send(reset(request.stream, 2))

        client = self.connect(self.start(self.h2_origin(serve(answer))))
        with self.assertRaises(Closed):
            client.get("/")

    def test_one_reset_leaves_the_others_alone(self):
        def answer(server, request):
            if request.fields[":path"] == "/bad":
                server.peer.send(reset(request.stream, 2))
            else:
                echo(server, request)

        origin = self.h2_origin(serve(answer))
        proxy = self.start(origin, retries=0)
        good, bad = self.connect(proxy), self.connect(proxy)
        for _ in range(3):
            self.assertEqual(bad.get("/bad").status, 502)
            self.assertEqual(good.get("/").status, 200)
        self.assertEqual(origin.connections, 1)

    def test_resets_open_no_connections(self):
        def break_off(server, request):
            server.peer.send(reset(request.stream, 8))

        origin = self.h2_origin(serve(break_off))
        client = self.connect(self.start(origin))
        for _ in range(10):
            self.assert_reason(client.get("/"), 502, "server_stream_reset")
        self.assertEqual(origin.connections, 1)

    def test_refusals_pile_up_no_connections(self):
        open_ones = set()

        def refuse(server, request):
            server.peer.send(reset(request.stream, REFUSED_STREAM))

        def script(peer):
            open_ones.add(peer)
            try:
                serve(refuse)(peer)
            finally:
                open_ones.discard(peer)

        client = self.connect(self.start(self.h2_origin(script)))
        for _ in range(10):
            self.assert_reason(client.get("/"), 502, "server_refused")
        self.wait_for(lambda: len(open_ones) <= 2, "the others to be closed")

    def test_one_that_lets_no_streams_in_piles_up_no_connections(self):
        open_ones = set()

        def script(peer):
            open_ones.add(peer)
            try:
                serve(options=((MAX_CONCURRENT_STREAMS, 0),))(peer)
            finally:
                open_ones.discard(peer)

        client = self.connect(self.start(self.h2_origin(script)))
        for _ in range(10):
            self.assertEqual(client.get("/").status, 200)
        self.wait_for(lambda: len(open_ones) <= 1, "the others to be closed")

    def test_a_client_that_leaves_resets_its_stream_alone(self):
        came = threading.Event()
        gone = threading.Event()

        def answer(server, request):
            if request.fields[":path"] == "/wait":
                came.set()
                while not hasattr(request, "reset"):
                    server.step()
                gone.set()
            else:
                echo(server, request)

        origin = self.h2_origin(serve(answer))
        proxy = self.start(origin)
        leaving = self.connect(proxy)
        leaving.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(came.wait(60))
        reset_socket(leaving.sock)
        self.assertTrue(gone.wait(60))
        self.assertEqual(self.connect(proxy).get("/").status, 200)
        self.assertEqual(origin.connections, 1)

    def test_a_connection_that_dies_is_replaced(self):
        def answer(server, request):
            if request.fields[":path"] == "/die":
                server.peer.abort()
                raise H2Closed("died")
            echo(server, request)

        origin = self.h2_origin(serve(answer))
        client = self.connect(self.start(origin))
        self.assertEqual(client.get("/").status, 200)
        self.assert_reason(client.request("POST", "/die"), 502, "server_reset")
        self.assertEqual(client.get("/").status, 200)
        self.assertEqual(origin.connections, 2)

    def test_a_reset_that_comes_with_the_last_bytes(self):
        """Bytes and the reset behind them lie in the socket before lbd looks: one event for both."""
        waiting = threading.Event()

        def answer(server, request):
            if request.fields[":path"] == "/waits":
                waiting.set()
                return
            proxy.send_signal(signal.SIGSTOP)
            try:
                time.sleep(0.05)
                server.peer.send(headers(request.stream, ((":status", "200"),), end=False),
                                 data(request.stream, b"some"))
                time.sleep(0.02)
                server.peer.abort()
                time.sleep(0.02)
            finally:
                proxy.send_signal(signal.SIGCONT)
            raise H2Closed("died")

        # far beyond what a test waits: the reset must be what ends them
        proxy = self.start(self.h2_origin(serve(answer)), retries=0, timeouts={"idle": "1h", "response": "1h"})
        other = self.connect(proxy)
        other.send_request("GET", "/waits")
        self.assertTrue(waiting.wait(TIMEOUT))
        with self.assertRaises(Closed):
            self.connect(proxy).get("/dies")
        self.assert_reason(other.read_response(), 502, "server_reset")

    def test_a_server_that_goes_silent_behind_its_head(self):
        for after in ((), (b"some bytes of it",)):
            def answer(server, request, after=after):
                server.peer.send(headers(request.stream, ((":status", "200"),), end=False),
                                 *(data(request.stream, part) for part in after))

            proxy = self.start(self.h2_origin(serve(answer)), timeouts={"idle": "200ms"})
            with self.subTest(after=after), self.assertRaises(Closed):
                self.connect(proxy).get("/")
            proxy.wait_metric(1, "lbd_http_endings_total", listener="web", reason="server_idle_timeout")
            proxy.stop()

    def test_a_server_that_does_not_speak_http2(self):
        proxy = self.start(self.origin(lambda peer: peer.tx(400)), retries=0)
        client = self.connect(proxy)
        self.assert_reason(client.get("/"), 502, "server_protocol_error")
        self.wait_for(lambda: "last_error" in proxy.server_status("a"), "last_error")
        self.assertIn("does not speak HTTP/2", proxy.server_status("a")["last_error"])

    def test_a_server_that_has_gone_silent_is_left(self):
        def answer(server, request):
            if not server.peer.silent:
                echo(server, request)

        def script(peer):
            peer.silent = False
            Server(peer, answer).run()

        origin = self.h2_origin(script)
        client = self.connect(self.start(origin, retries=0, timeouts={"response": "3s"}))
        self.assertEqual(client.get("/").status, 200)
        origin.peers[0].silent = True
        self.assert_reason(client.get("/"), 504, "response_timeout")
        self.assertEqual(client.get("/").status, 200)
        self.assertEqual(origin.connections, 2)

    def test_a_drained_server_is_left_politely(self):
        ended = []

        def script(peer):
            server = Server(peer, echo)
            try:
                while True:
                    got = server.step()
                    if got.kind == GOAWAY:
                        ended.append(got.code)
            except H2Closed:
                ended.append("closed")

        other = self.h2_origin()
        proxy = self.start(self.h2_origin(script), other, algorithm="round_robin")
        client = self.connect(proxy)
        for _ in range(4):
            self.assertEqual(client.get("/").status, 200)
        proxy.admin("a", "drain")
        self.wait_for(lambda: ended == [0, "closed"], "GOAWAY and the end")
        for _ in range(3):
            self.assertEqual(client.get("/").status, 200)

    def test_idle_ones_go_and_old_ones_too(self):
        for timeouts in ({"idle": "300ms"}, {"max_age": "1s"}):
            with self.subTest(timeouts):
                origin = self.h2_origin()
                client = self.connect(self.start(origin, timeouts=timeouts))
                self.assertEqual(client.get("/").status, 200)

                def another(origin=origin, client=client, idle="idle" in timeouts):
                    if idle:
                        time.sleep(0.4)
                    self.assertEqual(client.get("/").status, 200)
                    return origin.connections > 1

                self.wait_for(another, "a second connection")

    # -- TLS ------------------------------------------------------------------------------------

    def test_alpn_decides(self):
        h2 = self.h2_origin(tls=server_context(self.good, protocols=["h2", "http/1.1"]))
        h1 = self.origin(tls=server_context(self.good, protocols=["http/1.1"]), name="one")
        none = self.origin(tls=server_context(self.good), name="none")
        for origin, connections in ((h2, 1), (h1, 3), (none, 3)):
            proxy = self.start(
                origin, http_version="auto", tls={"ca": "ours"}, sections=self.tls_sections())
            clients = [self.connect(proxy) for _ in range(3)]
            for client in clients:
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual([c.read_response().status for c in clients], [200] * 3)
            for client in clients:
                self.assertEqual(client.get("/").status, 200)
            count = origin.connections if origin is h2 else origin.connection_count
            self.assertLessEqual(count, connections)

    def test_a_websocket_gets_a_connection_of_http1_beside_the_shared_one(self):
        folder_tls = server_context(self.good, protocols=["h2", "http/1.1"])
        agreed = []

        def script(sock):
            agreed.append(sock.selected_alpn_protocol())
            if agreed[-1] == "h2":
                peer = H2Peer(sock)
                peer.exact(len(PREFACE))
                Server(peer, echo).run()
            request = wire.read_request(wire.Reader(sock))
            self.assertEqual(request.get("Upgrade"), "websocket")
            sock.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                b"\x81\x05hello")

        proxy = self.start(self.tls_listener(script, folder_tls), http_version="auto",
                           tls={"ca": "ours"}, sections=self.tls_sections())
        client = self.connect(proxy)
        for _ in range(2):
            self.assertEqual(client.get("/").status, 200)
            socket_client = self.connect(proxy)
            socket_client.send_request("GET", "/chat", {
                "Connection": "Upgrade", "Upgrade": "websocket",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"})
            self.assertEqual(socket_client.read_head().status, 101)
            self.assertEqual(socket_client.read_exact(7), b"\x81\x05hello")
        self.assertEqual(sorted(agreed), ["h2", "http/1.1", "http/1.1"])

    def tls_listener(self, script, context):
        """The address of a server that runs `script(sock)` for each connection."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        # closing does not wake a thread that accepts
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)

        def serve_one(sock):
            with contextlib.suppress(OSError, H2Closed, wire.Closed):
                with context.wrap_socket(sock, server_side=True) as secured:
                    secured.settimeout(30)
                    script(secured)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=serve_one, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return "127.0.0.1:%d" % listener.getsockname()[1]

    def test_http2_that_the_server_does_not_agree_on(self):
        proxy = self.start(
            self.origin(tls=server_context(self.good, protocols=["http/1.1"])), retries=0,
            tls={"ca": "ours"}, sections=self.tls_sections())
        self.assert_reason(self.connect(proxy).get("/"), 502, "server_tls_failed")
        self.wait_for(lambda: "last_error" in proxy.server_status("a"), "last_error")
        self.assertIn("ALPN", proxy.server_status("a")["last_error"])

    # -- health checks --------------------------------------------------------------------------

    def grpc_server(self, status=None, code="0", seen=None):
        """Answers Check with a ServingStatus, or with a grpc-status alone."""

        def answer(server, request):
            if seen is not None:
                seen.append((request.fields, request.body))
            head = (("content-type", "application/grpc"),)
            if status is None:
                server.reply(request, fields=(*head, ("grpc-status", code)))
                return
            message = b"\x08" + bytes([status]) if status else b""
            server.reply(request, b"\0\0\0\0" + bytes([len(message)]) + message, fields=head,
                         trailers=(("grpc-status", code),))

        return serve(answer)

    def checked(self, origin, check, tls=None, **pool):
        pool.setdefault("http_version", "2")
        if tls is not None:
            pool["tls"] = tls
        return self.lbd(config_for(
            origin, pool={"health_check": "c", **pool},
            health_checks={"c": {"interval": "100ms", "timeout": "20s", "fall": 1, **check}},
            **self.tls_sections()))

    def test_grpc_checks(self):
        cases = (
            (1, "0", "up", "SERVING in "),
            (2, "0", "down", "NOT_SERVING in "),
            (0, "0", "down", "UNKNOWN in "),
            (None, "12", "down", "it does not implement grpc.health.v1.Health"),
            (None, "5", "down", "it does not know the service 'shop.Cart'"),
            (None, "14", "down", "grpc-status 14"),
        )
        for status, code, health, words in cases:
            with self.subTest(words):
                seen = []
                origin = self.h2_origin(self.grpc_server(status, code, seen))
                proxy = self.checked(origin, {"type": "grpc", "service": "shop.Cart"})
                proxy.wait_health("a", health)
                self.wait_for(lambda p=proxy, w=words: p.server_status("a")["last_check"].startswith(w), words)
                fields, body = seen[0]
                self.assertEqual(fields[":path"], "/grpc.health.v1.Health/Check")
                self.assertEqual(fields["content-type"], "application/grpc")
                self.assertEqual(fields["te"], "trailers")
                self.assertEqual(body, b"\0\0\0\0\x0b\x0a\x09shop.Cart")

    def test_grpc_checks_over_tls_and_of_what_is_no_grpc(self):
        tls = server_context(self.good, protocols=["h2"])
        proxy = self.checked(self.h2_origin(self.grpc_server(1), tls=tls), {"type": "grpc"},
                             tls={"ca": "ours"})
        proxy.wait_health("a", "up")
        for script, words in (
            (lambda peer: peer.tx(400), "it answers in HTTP/1"),
            (lambda peer: peer.close(), "connection "),
        ):
            proxy = self.checked(self.origin(script), {"type": "grpc"})
            proxy.wait_health("a", "down")
            self.assertIn(words, proxy.server_status("a")["last_check"])

    def test_http_checks_over_http2(self):
        seen = []

        def answer(server, request):
            seen.append(request.fields)
            server.reply(request, b"body", status=204 if request.fields[":path"] == "/ok" else 503)

        origin = self.h2_origin(serve(answer))
        proxy = self.checked(origin, {
            "type": "http", "path": "/ok", "host": "check.test", "headers": {"X-A": "b"}})
        proxy.wait_health("a", "up")
        self.assertTrue(proxy.server_status("a")["last_check"].startswith("HTTP 204 in "))
        self.assertEqual(seen[0]["x-a"], "b")
        self.assertEqual(seen[0][":authority"], "check.test")
        proxy = self.checked(origin, {"type": "http", "path": "/bad"})
        proxy.wait_health("a", "down")
        self.assertEqual(proxy.server_status("a")["last_check"], "HTTP 503, expected 2xx")

    def test_http_checks_over_http2_of_lines_and_text(self):
        bodies = []

        def answer(server, request):
            bodies.append(request.body)
            body = b"database: " + request.fields[":path"][1:].encode() * 100
            server.reply(request, body, fields=(("x-ready", "yes"),))

        origin = self.h2_origin(serve(answer))
        check = {"method": "POST", "body": "deep", "path": "/ok",
                 "expect": {"headers": {"X-Ready": "yes"}, "body": "se: ok"}}
        proxy = self.checked(origin, check)
        proxy.wait_health("a", "up")
        self.assertEqual(bodies[0], b"deep")
        for changed, words in (
            ({"path": "/no"}, "HTTP 200, but its body does not have what is expected"),
            ({"expect": {"headers": {"X-Ready": "no"}}}, 'HTTP 200 without the line "X-Ready: no"'),
        ):
            proxy = self.checked(origin, {**check, **changed})
            proxy.wait_health("a", "down")
            self.wait_for(lambda p=proxy, w=words: w in p.server_status("a")["last_check"], words)

    @unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
    def test_nginx_over_tls(self):
        folder = Path(tempfile.mkdtemp(prefix="lbd-nginx-"))
        self.addCleanup(shutil.rmtree, folder)
        port = free_port()
        (folder / "nginx.conf").write_text(f"""
daemon off; user root; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate {self.good.chain}; ssl_certificate_key {self.good.key};
    location / {{ return 200 "$server_protocol $request_method\\n"; }}
    location /file {{ alias {folder}/file; }}
  }}
}}
""")
        (folder / "file").write_bytes(b"f" * 2000000)
        nginx = subprocess.Popen(
            ["nginx", "-e", folder / "error.log", "-c", folder / "nginx.conf", "-p", folder],
            stderr=subprocess.DEVNULL)
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.terminate)
        self.wait_for(lambda: (folder / "pid").exists(), "nginx")
        proxy = self.start(
            f"127.0.0.1:{port}", http_version="auto", tls={"ca": "ours"},
            sections=self.tls_sections())
        client = self.connect(proxy)
        for _ in range(20):
            self.assertEqual(client.get("/").text, "HTTP/2.0 GET\n")
        self.assertEqual(client.get("/file").body, b"f" * 2000000)
        proxy.wait_metric(1, "lbd_pool_connects_total", pool="main")


if __name__ == "__main__":
    unittest.main()
