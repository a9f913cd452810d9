"""Every wait has an end, and the end has a name. Limits here are short; no test measures time."""

import threading
import unittest

from lab import Closed, LabCase, WireError, config_for


class ClientSide(LabCase):
    def serve(self, script=None, **timeouts):
        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(self.server, listener={"timeouts": timeouts}))
        return self.connect(self.proxy)

    def test_head_that_never_ends_is_408(self):
        client = self.serve(header="300ms")
        client.send("GET / HTTP/1.1\r\nHost: a\r\n")
        self.assert_reason(client.read_response(), 408, "header_timeout")
        self.assertTrue(client.closed_cleanly())
        self.assertEqual(self.server.request_count, 0)

    def test_head_that_trickles_is_408(self):
        """The limit is from the first byte to the end of the head, not from byte to byte."""
        client = self.serve(header="500ms")
        stop = threading.Event()

        def trickle():
            client.send("GET / HTTP/1.1\r\nHost: a\r\n")
            while not stop.wait(0.05) and client.send("X: y\r\n"):
                pass

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            self.assertEqual(client.read_response().status, 408)
        finally:
            stop.set()
            thread.join(60)

    def test_second_head_on_a_connection_has_its_limit_too(self):
        client = self.serve(header="300ms")
        self.assertEqual(client.get("/").status, 200)
        client.send("GET / HT")
        self.assertEqual(client.read_response().status, 408)

    def test_silent_connections_cost_lbd_nothing(self):
        """They stay in the kernel (TCP_DEFER_ACCEPT) until their first byte or its deadline."""
        self.serve()
        silent = [self.connect(self.proxy) for _ in range(20)]
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        self.assertLess(self.proxy.metric("lbd_connections"), 5)
        for client in silent:
            self.assertEqual(client.get("/").status, 200)

    def test_keep_alive_timeout(self):
        client = self.serve(keep_alive="300ms")
        self.assertEqual(client.get("/").status, 200)
        self.assertEqual(client.read_rest(), b"")
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)

    def test_keep_alive_does_not_end_a_request(self):
        def script(peer):
            peer.rx()
            self.server.stopping.wait(0.8)
            peer.tx(200, "late but there")

        client = self.serve(script, keep_alive="200ms", header="200ms", body_idle="200ms")
        self.assertEqual(client.get("/").text, "late but there")

    def test_body_that_stalls_before_any_answer(self):
        client = self.serve(body_idle="300ms")
        client.send_request("POST", "/", {"Content-Length": "10"})
        client.send(b"hello")
        self.assert_reason(client.read_response(), 408, "body_timeout")
        self.assertTrue(client.closed_cleanly())
        self.wait_for(lambda: self.server.open_connections() == 0, "the server is let go")

    def test_body_that_moves_is_not_cut(self):
        client = self.serve(body_idle="5s")
        client.send_request("POST", "/", {"Content-Length": "10"})
        pause = threading.Event()
        for _ in range(10):  # longer than the limit, all of them together
            client.send(b"x")
            pause.wait(0.6)
        self.assertEqual(client.read_response().text, "origin POST / 10\n")

    def test_client_that_does_not_read(self):
        gone = threading.Event()

        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                while True:
                    peer.send(b"x" * 65536)
            except OSError:
                gone.set()

        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(
            self.server, listener={"timeouts": {"write_idle": "500ms"}}
        ))
        client = self.connect(self.proxy, receive_buffer=8192)
        client.send_request("GET", "/")
        self.assertTrue(gone.wait(60), "the server still waits for a client that does not read")
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual(line["reason"], "client_write_timeout")


class ServerSide(LabCase):
    def serve(self, script, listener=None, **timeouts):
        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(
            self.server, listener=listener, pool={"timeouts": timeouts, "retries": 0}
        ))
        return self.connect(self.proxy)

    def test_no_answer_is_504(self):
        client = self.serve(lambda peer: (peer.rx(), peer.wait_closed()), response="300ms")
        self.assert_reason(client.get("/"), 504, "response_timeout")
        # the client's connection is sound and serves on
        self.assertEqual(client.get("/").status, 504)
        self.wait_for(lambda: self.server.open_connections() == 0, "the silent server is let go")
        self.proxy.wait_metric(2, "lbd_pool_errors_total", pool="main", reason="timeout")

    def test_no_answer_to_a_post_is_504_and_not_repeated(self):
        self.server = self.origin(lambda peer: (peer.rx(), peer.wait_closed()))
        self.proxy = self.lbd(config_for(self.server, pool={"timeouts": {"response": "300ms"}}))
        response = self.connect(self.proxy).request("POST", "/", body=b"pay")
        self.assert_reason(response, 504, "response_timeout")
        self.assertEqual(self.server.request_count, 1)

    def test_response_timeout_starts_when_the_request_is_sent(self):
        """A slow upload is not a slow answer."""
        def script(peer):
            request = peer.rx()
            peer.tx(200, f"{len(request.body)}")

        client = self.serve(script, response="5s")
        client.send_request("POST", "/", {"Content-Length": "8"})
        pause = threading.Event()
        for _ in range(8):
            client.send(b"x")
            pause.wait(0.75)
        self.assertEqual(client.read_response().text, "8")

    def test_interim_answers_do_not_count_as_an_answer(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 103 Early Hints\r\n\r\n")
            peer.wait_closed()

        client = self.serve(script, response="400ms")
        self.assert_reason(client.get("/"), 504, "response_timeout")

    def test_answer_that_stalls_in_its_body(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            peer.wait_closed()

        client = self.serve(script, idle="300ms")
        with self.assertRaises((Closed, WireError)):
            client.get("/")
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual((line["status"], line["reason"]), (200, "server_idle_timeout"))

    def test_answer_that_stalls_in_its_head(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nConte")
            peer.wait_closed()

        client = self.serve(script, response="400ms", idle="400ms")
        self.assertEqual(client.get("/").status, 504)

    def test_connect_timeout(self):
        """A server whose backlog is full does not accept: 504 with its own word."""
        import socket

        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
            self.addCleanup(filler.close)
        self.proxy = self.lbd(config_for(
            f"127.0.0.1:{full.getsockname()[1]}",
            pool={"timeouts": {"connect": "400ms"}, "retries": 0},
        ))
        response = self.connect(self.proxy).get("/")
        self.assert_reason(response, 504, "connect_timeout")

    def test_idle_server_connection_is_closed(self):
        client = self.serve(None, idle="300ms")
        self.assertEqual(client.get("/").status, 200)
        self.assertEqual(self.server.connection_count, 1)
        self.wait_for(lambda: self.server.open_connections() == 0, "the idle connection is closed")
        self.assertEqual(client.get("/").status, 200)
        self.assertEqual(self.server.connection_count, 2)

    def test_reasons_are_counted(self):
        client = self.serve(lambda peer: (peer.rx(), peer.wait_closed()), response="200ms")
        client.get("/")
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual((line["status"], line["reason"]), (504, "response_timeout"))


if __name__ == "__main__":
    unittest.main()
