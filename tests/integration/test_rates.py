"""Clients that are slow on purpose, and those that are only slow (R3); what may be held for them.

Rates and times here are such that the hostile ones are far below and the others far above: no test
depends on how fast this machine is.
"""

import threading
import time
import unittest

from lab import Client, LabCase, config_for
from lab.h2 import (
    ENHANCE_YOUR_CALM, GET, INITIAL_WINDOW_SIZE, POST, Answer, H2Client, data, headers, window_update,
)

PAUSE_S = 0.05
BIG = 40_000_000  # more than the sockets hold
BIG_GET = (*GET[:3], (":path", "/big"))


class Rates(LabCase):
    def serve(self, limits, timeouts=None, daemon=None):
        def script(peer):
            while (request := peer.rx()) is not None:
                if request.target == "/big":
                    peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n")
                    for _ in range(0, BIG, 50_000):
                        peer.send(b"x" * 50_000)
                elif request.target == "/some":
                    peer.tx(200, b"x" * 40_000)
                elif request.target == "/chunked":
                    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for _ in range(0, BIG, 50_000):
                        peer.send(b"c350\r\n" + b"x" * 50_000 + b"\r\n")
                    peer.send("0\r\n\r\n")
                elif request.target == "/slowly":
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
                    for _ in range(20):
                        self.pause.wait(PAUSE_S)
                        peer.send("x")
                else:
                    peer.tx(200, f"{len(request.body)}")

        self.pause = threading.Event()
        self.server = self.origin(script)
        listener = {"limits": limits, "timeouts": {"rate_grace": "400ms", **(timeouts or {})}}
        self.proxy = self.lbd(config_for(self.server, listener=listener), daemon=daemon)

    def trickle(self, send, most_s=60):
        """Byte after byte until told otherwise, for at most so long; for how long it went."""
        begin = time.monotonic()
        while time.monotonic() - begin < most_s and send():
            self.pause.wait(PAUSE_S)
        return time.monotonic() - begin

    def assert_ended(self, reason, count=1):
        lines = self.proxy.wait_access_log(count)
        self.assertEqual([line["reason"] for line in lines], [reason] * count)
        self.proxy.wait_metric(count, "lbd_http_endings_total", listener="web", reason=reason)


class Uploads(Rates):
    def test_a_body_byte_by_byte(self):
        for head in ({"Content-Length": "1000"}, {"Content-Length": "1000000"}):
            with self.subTest(head):
                self.serve({"min_body_rate": "1KiB"})
                client = self.connect(self.proxy)
                client.send_request("POST", "/", head)
                self.assertLess(self.trickle(lambda: client.send(b"x") and client.is_quiet(0.001)), 50)
                self.assert_reason(client.read_response(), 408, "body_too_slow")
                self.assert_ended("body_too_slow")
                self.wait_for(lambda: self.server.open_connections() == 0, "the server is let go")

    def test_chunks_byte_by_byte(self):
        self.serve({"min_body_rate": "1KiB"})
        client = self.connect(self.proxy)
        client.send_request("POST", "/", {"Transfer-Encoding": "chunked"})
        self.assertLess(self.trickle(lambda: client.send(b"1\r\nx\r\n") and client.is_quiet(0.001)), 50)
        self.assert_reason(client.read_response(), 408, "body_too_slow")

    def test_http2_byte_by_byte(self):
        self.serve({"min_body_rate": "100B"})
        with H2Client(self.proxy.address()) as client:
            client.send(headers(1, POST, end=False), headers(3, POST, end=False))
            self.trickle(
                lambda: client.send(data(1, b"x"), data(3, b"x" * 600)) and
                not any(f.stream == 1 for f in self.frames(client))
            )
            answer = Answer()
            for frame in [f for f in client.seen if f.stream == 1]:
                answer.note(frame)
            client.answer(1, answer)
            self.assertEqual((answer.status, answer.get("lbd-reason")), (408, "body_too_slow"))
            client.send(data(3, b"", end=True))  # the other one is quick enough
            self.assertEqual(client.answer(3).status, 200)

    def frames(self, client):
        got = []
        while client.waits_for_frame(0):
            got.append(client.read())
        return got

    def test_uploads_above_the_rate_live(self):
        """A hundred times the rate, for several times the grace, and a pause in between."""
        self.serve({"min_body_rate": "100B"}, {"body_idle": "30s"})
        for piece in (500, 3000):  # the second is passed on by the kernel
            with self.subTest(piece):
                client = self.connect(self.proxy)
                client.send_request("POST", "/", {"Content-Length": str(20 * piece)})
                for at in range(20):
                    client.send(b"x" * piece)
                    self.pause.wait(0.6 if at == 10 else PAUSE_S)
                self.assertEqual(client.read_response().text, str(20 * piece))
        with H2Client(self.proxy.address()) as client:
            client.send(headers(1, POST, end=False))
            for at in range(20):
                client.send(data(1, b"x" * 500, end=at == 19))
                self.pause.wait(0.6 if at == 10 else PAUSE_S)
            self.assertEqual(client.answer(1).body, b"10000")

    def test_without_a_rate_only_silence_ends_it(self):
        self.serve({"min_body_rate": "0B"}, {"rate_grace": "10ms"})
        client = self.connect(self.proxy)
        client.send_request("POST", "/", {"Content-Length": "20"})
        for _ in range(20):
            client.send(b"x")
            self.pause.wait(PAUSE_S)
        self.assertEqual(client.read_response().text, "20")


class Readers(Rates):
    def read_slowly(self, sock, at_a_time, pause_s, most_s=20):
        """Reads a little at a time; how much until the end came, and how long it took."""
        begin, got = time.monotonic(), 0
        try:
            while time.monotonic() - begin < most_s and (part := sock.recv(at_a_time)):
                got += len(part)
                self.pause.wait(pause_s)
        except (ConnectionResetError, TimeoutError):
            pass
        return got, time.monotonic() - begin

    def test_an_answer_in_sips(self):
        """It takes 20 KB a second, and the rate asks for a thousand times as much."""
        for target in ("/big", "/chunked"):  # by the kernel, and through lbd
            with self.subTest(target):
                self.serve({"min_read_rate": "20MiB"})
                client = self.connect(self.proxy, receive_buffer=8192)
                client.send_request("GET", target)
                thread = threading.Thread(target=self.read_slowly, args=(client.sock, 1000, PAUSE_S))
                thread.start()
                self.assert_ended("reader_too_slow")
                self.wait_for(lambda: self.server.open_connections() == 0, "the server is let go")
                thread.join(60)  # the kernel has thrown away what was left, or it would go on
                self.assertFalse(thread.is_alive())

    def test_readers_above_the_rate_live(self):
        """Far slower than the server, and far quicker than the rate; never silent for write_idle."""
        self.serve({"min_read_rate": "1KiB"}, {"write_idle": "30s"})
        for target in ("/big", "/chunked"):
            with self.subTest(target):
                client = self.connect(self.proxy, receive_buffer=65536)
                client.send_request("GET", target)
                got, _ = self.read_slowly(client.sock, 65536, 0.02, most_s=1.5)
                self.assertGreater(got, 50_000)
                rest = 0
                while rest + got < BIG:
                    part = client.sock.recv(1 << 20)
                    self.assertTrue(part, "it was cut off")
                    rest += len(part)
        self.assertEqual(
            {line["reason"] for line in self.proxy.wait_access_log(1)}, {"ok"}
        )

    def test_a_server_that_is_slow_is_not_the_clients_fault(self):
        self.serve({"min_read_rate": "1MiB", "min_body_rate": "1MiB"})
        client = self.connect(self.proxy)
        self.assertEqual(client.get("/slowly").text, "x" * 20)
        with H2Client(self.proxy.address()) as client:
            client.send(headers(1, (*GET[:3], (":path", "/slowly"))))
            self.assertEqual(client.answer(1).body, b"x" * 20)

    def test_windows_of_one_byte(self):
        """The stream ends and no other, and the client is told by which code."""
        self.serve({"min_read_rate": "100B"})
        with H2Client(self.proxy.address(), options=[(INITIAL_WINDOW_SIZE, 0)]) as client:
            client.send(headers(1, BIG_GET), headers(3, BIG_GET))
            resets = []

            def grant():
                client.send(window_update(1, 1), window_update(3, 1000))
                while client.waits_for_frame(0):
                    got = client.read()
                    if got.kind == 3:
                        resets.append((got.stream, got.code))
                return not resets

            self.assertLess(self.trickle(grant), 50)
            self.assertEqual(resets, [(1, ENHANCE_YOUR_CALM)])
            client.settle()
        self.assertIn("reader_too_slow", [line["reason"] for line in self.proxy.wait_access_log(1)])

    def test_a_connection_window_of_one_byte(self):
        self.serve({"min_read_rate": "1KiB"})
        with H2Client(self.proxy.address(), options=[(INITIAL_WINDOW_SIZE, 1 << 30)]) as client:
            client.send(headers(1, BIG_GET))
            self.assertLess(self.trickle(lambda: client.send(window_update(0, 1))), 50)
            last = client.read_to_end()[-1]
            self.assertEqual((last.kind, last.code), (7, ENHANCE_YOUR_CALM))
        self.assert_ended("reader_too_slow")

    def test_http2_in_sips(self):
        """Its windows are wide open, but its socket is not read."""
        self.serve({"min_read_rate": "20MiB"})
        client = H2Client(
            self.proxy.address(), receive_buffer=8192, options=[(INITIAL_WINDOW_SIZE, 1 << 30)]
        )
        client.send(window_update(0, 1 << 30), headers(1, BIG_GET))
        thread = threading.Thread(target=self.read_slowly, args=(client.sock, 1000, PAUSE_S))
        thread.start()
        self.assert_ended("reader_too_slow")
        self.wait_for(lambda: self.server.open_connections() == 0, "the server is let go")
        thread.join(60)
        self.assertFalse(thread.is_alive())
        client.close()

    def test_a_silent_reader_is_a_matter_of_write_idle(self):
        self.serve({"min_read_rate": "1MiB"}, {"write_idle": "1s"})
        client = self.connect(self.proxy, receive_buffer=8192)
        client.send_request("GET", "/big")
        self.assert_ended("client_write_timeout")
        self.wait_for(lambda: self.server.open_connections() == 0, "the server is let go")


class Memory(Rates):
    def test_a_worker_that_holds_much_begins_nothing_new(self):
        """Windows stay shut, so answers wait here; 1 MiB of them is all there may be."""
        self.serve({}, {"write_idle": "1h"}, daemon={"workers": 1, "max_buffered": "1MiB"})
        victim = self.connect(self.proxy)
        self.assertEqual(victim.get("/").status, 200)
        clients = []  # each holds less than is worth a reset
        for _ in range(40):
            clients.append(H2Client(self.proxy.address(), options=[(INITIAL_WINDOW_SIZE, 0)]))
            self.addCleanup(clients[-1].close)
        for client in clients:
            client.send(headers(1, (*GET[:3], (":path", "/some"))))
            client.settle()
        self.wait_for(
            lambda: self.proxy.metric("lbd_worker_buffers_stage", worker="0") >= 2, "much is held"
        )
        self.assertLessEqual(self.proxy.metric("lbd_worker_buffered_bytes", worker="0"), 1 << 20)
        refused = victim.get("/")
        self.assert_reason(refused, 503, "overload")
        self.assertEqual(refused.get("retry-after"), "1")
        late = Client(self.proxy.address(), timeout=0.5)  # the kernel takes it, lbd does not
        self.addCleanup(late.close)
        late.send_request("GET", "/")
        with self.assertRaises(TimeoutError):
            late.read_response()
        self.assertEqual(self.proxy.metric("lbd_worker_relief_total", worker="0", action="holder"), 0)
        for client in clients:
            client.abort()
        self.wait_for(
            lambda: self.proxy.metric("lbd_worker_buffered_bytes", worker="0") == 0, "it is given back"
        )
        self.assertEqual(victim.get("/").status, 200)
        late.sock.settimeout(30)
        self.assertEqual(late.read_response().status, 200)

    def test_what_waits_for_one_client_is_bounded(self):
        self.serve({"buffered": "256KiB"}, {"write_idle": "1h"}, daemon={"workers": 1})
        with H2Client(self.proxy.address(), options=[(INITIAL_WINDOW_SIZE, 0)]) as client:
            for stream in range(1, 200, 2):
                client.send(headers(stream, BIG_GET))
            resets = 0
            while resets < 50:
                resets += client.read().kind == 3
            client.settle()
            self.assertLessEqual(
                self.proxy.metric("lbd_worker_buffered_bytes", worker="0"), 2 * 256 * 1024
            )
        reasons = {line["reason"] for line in self.proxy.wait_access_log(50)}
        self.assertIn("overload", reasons)


if __name__ == "__main__":
    unittest.main()
