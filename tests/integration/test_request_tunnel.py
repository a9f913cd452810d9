"""Upgrade to WebSocket: nothing before the 101, then bytes both ways until both ends are done (R7)."""

import threading
import time
import unittest

from lab import Closed, LabCase, config_for

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
SWITCH = (
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def echo(peer):
    """Switches, then sends back what comes until lbd half-closes."""
    request = peer.rx()
    if request.get("Upgrade") is None:
        peer.tx(200, "plain")
        return
    request.expect(headers={"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
    peer.send(SWITCH)
    while True:
        data = peer.reader.some()
        if not data:
            return
        peer.send(data)


class Tunnel(LabCase):
    def open(self, script=echo, config=None, **more):
        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(self.server, **(config or {})), **more)
        return self.connect(self.proxy)

    def switch(self, client):
        client.send_request("GET", "/chat", HANDSHAKE)
        head = client.read_head()
        self.assertEqual(head.status, 101, head)
        return head

    def test_handshake_and_bytes_both_ways(self):
        client = self.open()
        head = self.switch(client)
        self.assertEqual(head.get("Upgrade").lower(), "websocket")
        self.assertIn("upgrade", head.get("Connection").lower())
        self.assertEqual(head.get("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertFalse(head.has("Content-Length") or head.has("Transfer-Encoding"))
        for size in (1, 100, 70000):
            data = bytes(i % 251 for i in range(size))
            client.send(data)
            self.assertEqual(client.read_exact(size), data)

    def test_request_headers_reach_the_server(self):
        client = self.open()
        self.switch(client)
        request = self.server.requests[0]
        self.assertIn("upgrade", request.get("Connection").lower())
        self.assertEqual(request.get("Sec-WebSocket-Key"), HANDSHAKE["Sec-WebSocket-Key"])
        self.assertEqual(request.get("X-Forwarded-For"), "127.0.0.1")

    def test_bytes_that_look_like_http_are_only_bytes(self):
        client = self.open()
        self.switch(client)
        data = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
        client.send(data)
        self.assertEqual(client.read_exact(len(data)), data)
        self.assertEqual(self.server.request_count, 1)

    def test_server_bytes_right_behind_the_101(self):
        def script(peer):
            peer.rx()
            peer.send(SWITCH + "welcome")
            peer.wait_closed()

        client = self.open(script)
        self.switch(client)
        self.assertEqual(client.read_exact(7), b"welcome")

    def test_half_close_by_the_client(self):
        def script(peer):
            peer.rx()
            peer.send(SWITCH)
            data = peer.wait_closed()  # to the client's end of stream
            peer.send(b"got " + data)

        client = self.open(script)
        self.switch(client)
        client.send(b"last words")
        client.shut_write()
        self.assertEqual(client.read_rest(), b"got last words")

    def test_half_close_by_the_server(self):
        got = []
        done = threading.Event()

        def script(peer):
            peer.rx()
            peer.send(SWITCH + "bye")
            peer.shut_write()
            got.append(peer.wait_closed())
            done.set()

        client = self.open(script)
        self.switch(client)
        self.assertEqual(client.read_rest(), b"bye")
        client.send(b"still here")
        client.shut_write()
        self.assertTrue(done.wait(60))
        self.assertEqual(got, [b"still here"])

    def test_abort_by_the_client_ends_the_server(self):
        gone = threading.Event()

        def script(peer):
            peer.rx()
            peer.send(SWITCH)
            peer.wait_closed()
            gone.set()

        client = self.open(script)
        self.switch(client)
        client.abort()
        self.assertTrue(gone.wait(60))

    def test_reset_by_the_server_ends_the_client(self):
        def script(peer):
            peer.rx()
            peer.send(SWITCH)
            peer.read(1)
            peer.reset()

        client = self.open(script)
        self.switch(client)
        client.send(b"x")
        self.assertEqual(client.read_rest(), b"")

    def test_non_101_answer_is_an_ordinary_answer(self):
        def script(peer):
            while True:
                request = peer.rx()
                peer.tx(403 if request.get("Upgrade") else 200, "no chat")

        client = self.open(script)
        response = client.request("GET", "/chat", HANDSHAKE)
        self.assertEqual((response.status, response.text), (403, "no chat"))
        self.assertEqual(client.get("/").status, 200, "the connection speaks HTTP as before")

    def test_nothing_beyond_the_head_before_the_101(self):
        """R7: what the client sends early waits; when the answer is no, it is the next request."""
        go = threading.Event()
        early = []

        def script(peer):
            request = peer.rx()
            if request.get("Upgrade") is None:
                peer.tx(200, "second")
                return
            peer.sock.settimeout(0.3)
            try:
                early.append(peer.reader.some())
            except TimeoutError:
                early.append(b"")
            peer.sock.settimeout(30)
            go.set()
            peer.tx(403, "no")
            peer.rx()
            peer.tx(200, "second")

        client = self.open(script)
        client.send_request("GET", "/chat", HANDSHAKE)
        client.send(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(client.read_response().status, 403)
        self.assertTrue(go.wait(60))
        self.assertEqual(early, [b""], "bytes reached the server before its 101")
        # R6: lbd may close after a refused upgrade with early bytes, or answer the request; no third way
        try:
            self.assertEqual(client.read_response().text, "second")
        except Closed:
            pass

    def test_early_frames_arrive_after_the_101(self):
        client = self.open()
        client.send_request("GET", "/chat", HANDSHAKE)
        client.send(b"early frame")
        self.assertEqual(client.read_head().status, 101)
        self.assertEqual(client.read_exact(11), b"early frame")

    def test_upgrade_with_a_body_is_refused(self):
        client = self.open()
        client.send_request("GET", "/chat", HANDSHAKE, body=b"hello")
        self.assert_reason(client.read_response(), 400, "bad_upgrade")
        self.assertTrue(client.closed_cleanly())
        self.assertEqual(self.server.request_count, 0)

    def test_only_websocket_passes(self):
        client = self.open()
        for word in ("h2c", "h2", "TLS/1.0", "foo"):
            with self.subTest(word):
                response = client.get("/", headers={"Connection": "Upgrade", "Upgrade": word})
                self.assertEqual(response.text, "plain")

    def test_unasked_101_is_502(self):
        def script(peer):
            peer.rx()
            peer.send(SWITCH)
            peer.wait_closed()

        client = self.open(script)
        self.assert_reason(client.get("/"), 502, "bad_switch")

    def test_101_to_another_protocol_is_502(self):
        def script(peer):
            peer.rx()
            peer.send(SWITCH.replace("websocket", "h2c"))
            peer.wait_closed()

        client = self.open(script)
        response = client.request("GET", "/chat", HANDSHAKE)
        self.assert_reason(response, 502, "bad_switch")

    def test_upgraded_connection_is_never_reused(self):
        client = self.open(daemon={"workers": 1})
        self.switch(client)
        client.shut_write()
        self.assertEqual(client.read_rest(), b"")
        other = self.connect(self.proxy)
        self.assertEqual(other.get("/").text, "plain")
        self.assertEqual([m.connection for m in self.server.requests], [1, 2])

    def test_many_tunnels_with_much_data(self):
        self.open()
        wrong = []

        def run(number):
            client = self.connect(self.proxy)
            self.switch(client)
            block = bytes([number]) * 100000
            for _ in range(5):
                client.send(block)
                if client.read_exact(len(block)) != block:
                    wrong.append(number)
            client.shut_write()
            if client.read_rest() != b"":
                wrong.append(-number)

        threads = [threading.Thread(target=run, args=(n,)) for n in range(1, 17)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong, [])

    def test_back_pressure_through_the_tunnel(self):
        def script(peer):
            peer.rx()
            peer.send(SWITCH)
            block = b"x" * 262144
            while True:
                peer.send(block)

        client = self.open(script)
        before = self.proxy.resident_kb()
        self.switch(client)
        time.sleep(0.3)
        self.assertLess(self.proxy.resident_kb() - before, 16 * 1024)
        self.assertEqual(client.read_exact(1000000), b"x" * 1000000)

    def test_access_log_of_a_tunnel(self):
        client = self.open()
        self.switch(client)
        client.send(b"12345")
        client.read_exact(5)
        client.shut_write()
        client.read_rest()
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual((line["status"], line["reason"]), (101, "tunnel_closed"))
        self.assertEqual((line["pool"], line["server"]), ("main", "a"))

    def test_tunnel_idle_timeout(self):
        client = self.open(config={"listener": {"timeouts": {"tunnel_idle": "3s"}}})
        self.switch(client)
        client.send(b"x")
        self.assertEqual(client.read_exact(1), b"x")
        self.assertEqual(client.read_rest(), b"")
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual(line["reason"], "tunnel_timeout")


if __name__ == "__main__":
    unittest.main()
