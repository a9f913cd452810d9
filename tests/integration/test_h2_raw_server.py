"""Frames of HTTP/2 from a server, one table: what it sends for the request on stream 1, what the
client then has, and what the server is told.

Each case is a connection of its own: when it is over, the server hangs up. `Gets` is what an HTTP/1
client gets: a status, and the reason when the answer is lbd's own. What the server is told is `OK`
(nothing: the connection may serve on), `Reset` (RST_STREAM with this code, and the connection serves
on) or `End` (GOAWAY with this code).
"""

import itertools
import os
import struct
import threading
import unittest

from lab import TIMEOUT, Client, Closed, LabCase, WireError, config_for
from lab.h2 import (
    ACK, CANCEL, COMPRESSION_ERROR, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE, NO_ERROR, PADDED, PING, PRIORITY_UPDATE,
    PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, H2Client, H2Closed,
    H2Origin, block, continuation, data, frame, goaway, headers, literal, ping, priority, reset,
    settings, settings_ack, window_update, with_padding,
)

PATIENCE_S = float(TIMEOUT)
SANITIZED = bool(os.environ.get("LBD_SANITIZE"))
OK_HEAD = ((":status", "200"),)


class Gets:
    """`cut`: the answer had begun, so all a client can see is that it ends too early."""

    def __init__(self, status=200, body=None, reason=None, cut=False):
        self.status, self.body, self.reason, self.cut = status, body, reason, cut


class OK:
    code = None


class Reset:
    def __init__(self, code=PROTOCOL_ERROR):
        self.code = code


class End:
    def __init__(self, code=PROTOCOL_ERROR):
        self.code = code


def status(code, *more):
    return ((":status", code), *more)


def answer(*more, end=False, body=b"ok", first=OK_HEAD):
    """HEADERS, and DATA with the end."""
    if end:
        return headers(1, (*first, *more))
    return headers(1, (*first, *more), end=False) + data(1, body, end=True)


BAD = Gets(502, reason="bad_response")
FRAMING = Gets(502, reason="bad_response_framing")
BROKEN = Gets(502, reason="server_protocol_error")
CUT = Gets(200, cut=True)
FINE = Gets(200, body="ok")

# name, what the server sends, what the client gets, what the server is told; the method
CASES = [
    ("an answer", answer(), FINE, OK()),
    ("an answer without a body", answer(end=True), Gets(200, body=""), OK()),
    ("with its length", answer(("content-length", "2")), FINE, OK()),
    ("in two frames", headers(1, OK_HEAD, end=False) + data(1, b"o") + data(1, b"k", end=True),
     FINE, OK()),
    ("the end in a frame of its own", headers(1, OK_HEAD, end=False) + data(1, b"ok")
     + data(1, end=True), FINE, OK()),
    ("padding", frame(HEADERS, END_HEADERS | PADDED, 1, with_padding(block(OK_HEAD), 7))
     + frame(DATA, END_STREAM | PADDED, 1, with_padding(b"ok", 200)), FINE, OK()),
    ("a block in pieces", frame(HEADERS, 0, 1, block(OK_HEAD)[:2])
     + continuation(1, block(OK_HEAD)[2:4], end_headers=False)
     + continuation(1, block(OK_HEAD)[4:]) + data(1, b"ok", end=True), FINE, OK()),
    ("trailers", headers(1, OK_HEAD, end=False) + data(1, b"ok") + headers(1, (("a", "b"),)),
     FINE, OK()),
    ("unknown frames around it", frame(0x55, 0xFF, 0, b"x") + frame(0x55, 0xFF, 1, b"x")
     + answer() + frame(0x55, 0, 1, b""), FINE, OK()),
    ("PRIORITY, which says nothing", priority(1) + answer(), FINE, OK()),
    ("SETTINGS and PING before it", settings((INITIAL_WINDOW_SIZE, 1)) + ping() + answer(), FINE,
     OK()),
    ("windows before it", window_update(0, 100) + window_update(1, 100) + answer(), FINE, OK()),
    ("103 before it", headers(1, status("103", ("link", "</a>")), end=False) + answer(), FINE,
     OK()),
    ("a 204", headers(1, status("204")), Gets(204), OK()),
    ("a 304 with a length", headers(1, status("304", ("content-length", "9"))), Gets(304), OK()),
    ("HEAD, with a length", headers(1, (*OK_HEAD, ("content-length", "9"))), Gets(200, body=""),
     OK(), "HEAD"),
    ("a head with many fields", headers(1, (*OK_HEAD, *[("x", "y")] * 90), end=False)
     + data(1, b"ok", end=True), FINE, OK()),
    ("a table that is used", answer(literal("x-a", "b", 0x40), b"\xbe"), FINE, OK()),

    # -- heads that are none (RFC 9113 8)
    ("no :status", headers(1, (("a", "b"),)), BAD, Reset()),
    ("a head of nothing", headers(1, b""), BAD, Reset()),
    (":status twice", headers(1, (*OK_HEAD, *OK_HEAD)), BAD, Reset()),
    (":status of two digits", headers(1, status("20")), BAD, Reset()),
    (":status of four digits", headers(1, status("2000")), BAD, Reset()),
    (":status 000", headers(1, status("000")), BAD, Reset()),
    (":status 600", headers(1, status("600")), BAD, Reset()),
    (":status of letters", headers(1, status("2xx")), BAD, Reset()),
    (":status with a blank", headers(1, status("200 ")), BAD, Reset()),
    (":status 101", headers(1, status("101"), end=False), BAD, Reset()),
    ("100 that ends the stream", headers(1, status("100")), BAD, Reset()),
    (":path in an answer", headers(1, (*OK_HEAD, (":path", "/"))), BAD, Reset()),
    ("an unknown pseudo-header", headers(1, (*OK_HEAD, (":x", "/"))), BAD, Reset()),
    (":status after a field", headers(1, (("a", "b"), *OK_HEAD)), BAD, Reset()),
    ("a name in upper case", answer(("X-A", "b")), BAD, Reset()),
    ("a name with a blank", answer(("x a", "b")), BAD, Reset()),
    ("a name of nothing", answer(("", "b")), BAD, Reset()),
    ("a value with CRLF", answer(("a", "b\r\nset-cookie: c=d")), BAD, Reset()),
    ("a value with NUL", answer(("a", "b\0")), BAD, Reset()),
    ("a value that ends with a blank", answer(("a", "b ")), BAD, Reset()),
    ("Connection", answer(("connection", "close")), BAD, Reset()),
    ("Keep-Alive", answer(("keep-alive", "1")), BAD, Reset()),
    ("Transfer-Encoding", answer(("transfer-encoding", "chunked")), BAD, Reset()),
    ("Upgrade", answer(("upgrade", "h2c")), BAD, Reset()),
    ("Proxy-Connection", answer(("proxy-connection", "x")), BAD, Reset()),
    ("six interim answers", headers(1, status("103"), end=False) * 6 + answer(),
     Gets(502, reason="too_many_interim"), Reset(CANCEL)),
    ("too many fields", headers(1, (*OK_HEAD, *[("x", "y")] * 1000)),
     Gets(502, reason="response_header_too_large"), Reset()),
    ("a head of more than 64 KB",
     headers(1, (*OK_HEAD, literal("x", "y" * 3900, 0x40), *[b"\xbe"] * 17)),
     Gets(502, reason="response_header_too_large"), Reset()),

    # -- lengths (R5)
    ("Content-Length twice", answer(("content-length", "2"), ("content-length", "2")), FRAMING,
     Reset()),
    ("Content-Length: +2", answer(("content-length", "+2")), FRAMING, Reset()),
    ("Content-Length of nothing", answer(("content-length", "")), FRAMING, Reset()),
    ("a length and the end at once", answer(("content-length", "2"), end=True), FRAMING, Reset()),
    ("a length in a 204 that does not end",
     headers(1, status("204"), end=False) + data(1, b"x", end=True), Gets(204), Reset()),
    ("a byte too many", answer(("content-length", "1")), CUT, Reset()),
    ("a byte too few", answer(("content-length", "3")), CUT, Reset()),
    ("trailers before the length is there",
     headers(1, (*OK_HEAD, ("content-length", "3")), end=False) + data(1, b"ok")
     + headers(1, (("a", "b"),)), CUT, Reset()),
    ("a body for HEAD", answer(("content-length", "2")), Gets(200, body=""), Reset(), "HEAD"),

    # -- trailers
    ("trailers that do not end", headers(1, OK_HEAD, end=False) + data(1, b"ok")
     + headers(1, (("a", "b"),), end=False), CUT, Reset()),
    ("trailers with a pseudo-header", headers(1, OK_HEAD, end=False) + data(1, b"ok")
     + headers(1, OK_HEAD), CUT, Reset()),
    ("trailers with LF", headers(1, OK_HEAD, end=False) + data(1, b"ok")
     + headers(1, (("a", "b\nc"),)), CUT, Reset()),

    # -- streams
    ("DATA before the head", data(1, b"x"), BROKEN, Reset()),
    ("DATA of a stream we did not open", data(3, b"x"), BROKEN, End()),
    ("DATA on stream 0", data(0, b"x"), BROKEN, End()),
    ("an answer to what we did not ask", headers(3, OK_HEAD), BROKEN, End()),
    ("HEADERS on an even stream", headers(2, OK_HEAD), BROKEN, End()),
    ("HEADERS on stream 0", headers(0, OK_HEAD), BROKEN, End()),
    ("PUSH_PROMISE", frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + block(OK_HEAD)),
     BROKEN, End()),
    ("RST_STREAM", reset(1), Gets(502, reason="server_stream_reset"), OK()),
    ("RST_STREAM in the middle", headers(1, OK_HEAD, end=False) + data(1, b"o") + reset(1), CUT,
     OK()),
    ("RST_STREAM of a stream we did not open", reset(3), BROKEN, End()),
    ("RST_STREAM of 3 bytes", frame(RST_STREAM, 0, 1, b"abc"), BROKEN, End(FRAME_SIZE_ERROR)),
    ("RST_STREAM(NO_ERROR) after the answer", answer() + reset(1, NO_ERROR), FINE, OK()),
    ("PRIORITY_UPDATE", frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=1"), BROKEN, End()),

    # -- the connection
    ("SETTINGS with ENABLE_PUSH", settings((ENABLE_PUSH, 1)), BROKEN, End()),
    ("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, b"abcde"), BROKEN, End(FRAME_SIZE_ERROR)),
    ("SETTINGS on a stream", frame(SETTINGS, 0, 1, b""), BROKEN, End()),
    ("MAX_FRAME_SIZE 1", settings((MAX_FRAME_SIZE, 1)), BROKEN, End()),
    ("INITIAL_WINDOW_SIZE 2^31", settings((INITIAL_WINDOW_SIZE, 1 << 31)), BROKEN,
     End(FLOW_CONTROL_ERROR)),
    ("PING of 7 bytes", frame(PING, 0, 0, b"1234567"), BROKEN, End(FRAME_SIZE_ERROR)),
    ("GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, b"1234567"), BROKEN, End(FRAME_SIZE_ERROR)),
    ("WINDOW_UPDATE of 0", window_update(0, 0), BROKEN, End()),
    ("WINDOW_UPDATE of 0 on the stream", window_update(1, 0), BROKEN, Reset()),
    ("a window beyond 2^31 - 1", window_update(0, 0x7FFFFFFF), BROKEN, End(FLOW_CONTROL_ERROR)),
    ("a frame that is too large", frame(DATA, 0, 1, bytes(16385)), BROKEN, End(FRAME_SIZE_ERROR)),
    ("padding longer than the payload", headers(1, OK_HEAD, end=False)
     + frame(DATA, PADDED, 1, b"\x09ok"), CUT, End()),
    ("CONTINUATION first", continuation(1, block(OK_HEAD)), BROKEN, End()),
    ("something inside a block", frame(HEADERS, 0, 1, block(OK_HEAD)[:2]) + ping(), BROKEN, End()),
    ("a block that never ends", frame(HEADERS, 0, 1, b"")
     + continuation(1, b"\0", end_headers=False) * 9, BROKEN, End(ENHANCE_YOUR_CALM)),
    ("index 0", headers(1, b"\x80"), BROKEN, End(COMPRESSION_ERROR)),
    ("a size update beyond our limit", headers(1, b"\x3f\xe2\x1f\x88"), BROKEN,
     End(COMPRESSION_ERROR)),
    ("GOAWAY, and the answer", goaway(1) + answer(), FINE, OK()),
    ("HTTP/1", b"HTTP/1.1 400 Bad Request\r\n\r\n", BROKEN, End((FRAME_SIZE_ERROR, PROTOCOL_ERROR))),
]


class Server(LabCase):
    """An HTTP/1 client, lbd, and a server that says in HTTP/2 what the case is about."""

    def setUp(self):
        super().setUp()
        self.sent = b""
        self.over = threading.Event()
        self.told = []  # frames of lbd, of the last connection
        self.ended = threading.Event()
        self.server = H2Origin(self.serve)
        self.addCleanup(self.end_server)
        pool = {"http_version": "2", "retries": 0}
        self.proxy = self.lbd(config_for(self.server.address, pool=pool), daemon={"workers": 1})
        self.address = self.proxy.address()

    def end_server(self):
        self.server.stop()
        self.assertEqual(self.server.errors, [])

    def serve(self, peer):
        try:
            peer.send(settings())
            peer.read_until(lambda f: f.kind == HEADERS)
            peer.send(self.sent)
            self.over.wait(PATIENCE_S)
            # nobody may take this connection for one that serves on
            peer.send(goaway(1), ping(b"farewell"))
            peer.read_until(lambda f: f.kind == PING and f.payload == b"farewell")
        except H2Closed:
            pass
        finally:
            self.told = peer.seen
            peer.close()
            self.ended.set()

    def get(self, want, method):
        with Client(self.address, timeout=PATIENCE_S) as client:
            client.send_request(method)
            if want.cut:
                with self.assertRaises((Closed, WireError)):
                    client.read_response(method)
                return
            response = client.read_response(method)
        self.assertEqual(response.status, want.status, response)
        self.assertEqual(response.get("Lbd-Reason"), want.reason, response)
        if want.body is not None:
            self.assertEqual(response.text, want.body)

    def check_told(self, told):
        resets = [f.code for f in self.told if f.kind == RST_STREAM]
        ends = [f.code for f in self.told if f.kind == GOAWAY and f.code != NO_ERROR]
        allowed = told.code if isinstance(told.code, tuple) else (told.code,)
        if isinstance(told, OK):
            self.assertEqual((resets, ends), ([], []), self.told)
        elif isinstance(told, Reset):
            self.assertEqual((len(resets), ends), (1, []), self.told)
            self.assertIn(resets[0], allowed)
        else:
            self.assertEqual((resets, len(ends)), ([], 1), self.told)
            self.assertIn(ends[0], allowed)

    def test_table(self):
        self.assertEqual(len({c[0] for c in CASES}), len(CASES))
        for name, sent, want, told, *method in CASES:
            with self.subTest(name):
                self.sent = sent
                self.over.clear()
                self.ended.clear()
                try:
                    self.get(want, *(method or ["GET"]))
                finally:
                    self.over.set()
                self.assertTrue(self.ended.wait(PATIENCE_S), "the server's connection")
                self.check_told(told)
        self.assertTrue(self.proxy.is_running())

    def test_answers_that_were_under_way_cost_nothing(self):
        """Clients give up 60 requests; the server's answers to them come nevertheless, and the
        request of somebody else on the same connection is answered."""
        def serve(peer):
            peer.send(settings(), window_update(0, 1 << 20))
            streams = []
            while len(streams) < 61:
                got = peer.read()
                if got.kind == HEADERS:
                    streams.append(got.stream)
            gone = streams[1:]
            while sum(f.kind == RST_STREAM for f in peer.seen) < len(gone):
                peer.read()
            for stream in gone:
                peer.send(headers(stream, OK_HEAD, end=False), data(stream, b"late" * 10) * 6)
            peer.send(answer())
            peer.read_to_end()
            self.told = peer.seen

        self.server.script = serve
        with Client(self.address, timeout=PATIENCE_S) as patient:
            patient.send_request("GET")
            self.wait_for(
                lambda: any(f.kind == HEADERS for p in self.server.peers for f in p.seen),
                "the first request",
            )
            with H2Client(self.address) as client:
                streams = [client.new_stream() for _ in range(60)]
                client.send(*[headers(stream) for stream in streams])
                self.wait_for(
                    lambda: sum(f.kind == HEADERS for f in self.server.peers[-1].seen) == 61,
                    "all requests, on one connection",
                )
                client.send(*[reset(stream) for stream in streams])
                self.assertEqual(patient.read_response().text, "ok")

    # -- servers that ask for work, or for memory (R3)

    def flooded(self, chunk, first=b""):
        """The server sends `chunk` without end; lbd hangs up, and the client is told."""
        count = []

        def serve(peer):
            peer.send(settings())
            peer.read_until(lambda f: f.kind == HEADERS)
            peer.send(first)
            count.append(peer.flood(itertools.repeat(chunk, 1_000_000)))
            peer.read_to_end()
            self.told = peer.seen
            self.ended.set()

        self.server.script = serve
        self.ended.clear()
        before_kb, before_s = self.proxy.resident_kb(), self.proxy.cpu_seconds()
        with Client(self.address, timeout=PATIENCE_S) as client:
            response = client.get()
        self.assertEqual(response.get("Lbd-Reason"), "server_protocol_error", response)
        self.assertTrue(self.ended.wait(PATIENCE_S), "the server's connection")
        self.check_told(End(ENHANCE_YOUR_CALM))
        self.assertLess(count[0], 200_000)
        # up to 100,000 frames: a server has a hundred times the budget of a client
        self.assertLess(self.proxy.cpu_seconds() - before_s, 0.5 * (8 if SANITIZED else 1))
        if not SANITIZED:
            self.assertLess(self.proxy.resident_kb() - before_kb, 2048)

    def test_floods_of_a_server(self):
        floods = {
            "PING": ping(),
            "SETTINGS": settings((INITIAL_WINDOW_SIZE, 65535)),
            "SETTINGS ACK": settings_ack(),
            "PRIORITY": priority(1),
            "unknown": frame(0x55, 0, 0, b""),
            "WINDOW_UPDATE": window_update(0, 1),
            "WINDOW_UPDATE of the stream": window_update(1, 1),
        }
        for name, chunk in floods.items():
            with self.subTest(name):
                self.flooded(chunk)

    def test_a_body_of_nothing_without_end(self):
        """DATA without a byte: the answer has begun, so it is cut."""
        def serve(peer):
            peer.send(settings())
            peer.read_until(lambda f: f.kind == HEADERS)
            peer.send(headers(1, OK_HEAD, end=False))
            peer.flood(itertools.repeat(data(1), 1_000_000))
            peer.read_to_end()
            self.told = peer.seen
            self.ended.set()

        self.server.script = serve
        self.get(CUT, "GET")
        self.assertTrue(self.ended.wait(PATIENCE_S))
        self.check_told(End(ENHANCE_YOUR_CALM))

    def test_a_server_that_knows_no_windows(self):
        """A client that reads nothing, and a server that sends nevertheless: what lbd holds is
        bounded, the stream is reset."""
        def serve(peer):
            peer.send(settings())
            peer.read_until(lambda f: f.kind == HEADERS)
            peer.send(headers(1, OK_HEAD, end=False))
            piece = data(1, bytes(16384))

            def pieces():
                while not any(f.kind == RST_STREAM for f in peer.seen):
                    yield piece

            peer.flood(pieces())
            self.told = list(peer.seen)
            self.ended.set()
            peer.read_to_end()

        self.server.script = serve
        before_kb = self.proxy.resident_kb()
        with Client(self.address, timeout=PATIENCE_S, receive_buffer=4096) as client:
            client.send_request("GET")
            client.read_head()
            self.assertTrue(self.ended.wait(3 * PATIENCE_S), "lbd takes everything")
            if not SANITIZED:
                self.assertLess(self.proxy.resident_kb() - before_kb, 8192)
            with self.assertRaises((Closed, WireError)):
                while True:
                    client.read_exact(1 << 16)
        resets = [f.code for f in self.told if f.kind == RST_STREAM]
        ends = [f.code for f in self.told if f.kind == GOAWAY]
        self.assertIn(resets or ends, ([FLOW_CONTROL_ERROR], [ENHANCE_YOUR_CALM]), self.told[-5:])


if __name__ == "__main__":
    unittest.main()
