"""WebSocket over HTTP/2 (RFC 8441) to servers over HTTP/1.1: one stream of many, with its own end."""

import base64
import hashlib
import threading
import unittest

from lab import LabCase, config_for, h2

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
GOING_AWAY = b"\x88\x02\x03\xe9"


def connect_fields(protocol="websocket", path="/chat"):
    return (
        (":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"),
        (":authority", "test"), (":path", path), ("sec-websocket-version", "13"),
    )


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def switch(request, accept=None):
    return (
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Accept: {accept or accept_of(request.get('Sec-WebSocket-Key'))}\r\n\r\n"
    )


def echo(peer):
    """Switches, then sends back what comes until lbd half-closes; other requests get 200."""
    while True:
        request = peer.rx()
        if request.get("Upgrade") is None:
            peer.tx(200, "plain")
            continue
        request.expect(method="GET", headers={"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
        peer.send(switch(request))
        while data := peer.reader.some():
            peer.send(data)
        return


def frame(payload):
    assert len(payload) < 126
    return bytes([0x82, len(payload)]) + payload


class WebSocketHttp2(LabCase):
    def open(self, script=echo, config=None):
        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(self.server, **(config or {})))
        client = h2.H2Client(self.proxy.address())
        self.addCleanup(client.close)
        return client

    def ask(self, client, **more):
        stream = client.new_stream()
        client.send(h2.headers(stream, connect_fields(**more), end=False))
        return stream

    def switched(self, client, stream):
        got = client.read_until(lambda f: f.stream == stream and f.kind == h2.HEADERS)[-1]
        self.assertEqual(got.status, 200, got)
        self.assertFalse(got.ends_stream)
        self.assertIsNone(got.get("sec-websocket-accept"))
        return got

    def read_bytes(self, client, stream, count):
        data = b""
        while len(data) < count:
            got = client.read()
            if got.stream == stream and got.kind != h2.WINDOW_UPDATE:
                self.assertEqual(got.kind, h2.DATA, got)
                data += got.payload
                client.send(h2.window_update(0, max(1, len(got.payload))),
                            h2.window_update(stream, max(1, len(got.payload))))
        return data

    def test_it_is_offered(self):
        client = self.open()
        self.assertEqual(client.server_settings.get(h2.ENABLE_CONNECT_PROTOCOL), 1)

    def test_bytes_both_ways_beside_other_requests(self):
        client = self.open()
        stream = self.ask(client)
        self.switched(client, stream)
        for size in (1, 100, 60000):
            data = bytes(i % 251 for i in range(size))
            for at in range(0, size, 16384):
                client.send(h2.data(stream, data[at:at + 16384]))
            self.assertEqual(self.read_bytes(client, stream, size), data)
            answer = client.request(h2.GET)
            self.assertEqual((answer.status, answer.body), (200, b"plain"))
        client.send(h2.data(stream, b"", end=True))
        answer = client.answer(stream, into=self.begun())
        self.assertTrue(answer.ended)
        lines = self.proxy.wait_access_log(4)
        line = next(line for line in lines if line["method"] == "CONNECT")
        self.assertEqual((line["status"], line["reason"]), (200, "tunnel_closed"))
        self.assertEqual((line["protocol"], line["path"]), ("HTTP/2.0", "/chat"))
        self.assertEqual((line["request_bytes"], line["response_bytes"]), (60101, 60101))

    @staticmethod
    def begun():
        answer = h2.Answer()
        answer.head = True
        return answer

    def test_a_refusal_of_the_server_goes_through(self):
        def script(peer):
            peer.rx()
            peer.tx(403, "no chat")

        client = self.open(script)
        answer = client.answer(self.ask(client))
        self.assertEqual((answer.status, answer.body), (403, b"no chat"))

    def test_a_server_that_does_not_switch(self):
        def script(peer):
            peer.rx()
            peer.tx(200, "what?")

        client = self.open(script)
        answer = client.answer(self.ask(client))
        self.assertEqual((answer.status, answer.get("lbd-reason")), (502, "not_switched"))

    def test_an_accept_that_answers_another_key(self):
        def script(peer):
            request = peer.rx()
            peer.send(switch(request, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
            peer.wait_closed()

        client = self.open(script)
        answer = client.answer(self.ask(client))
        self.assertEqual((answer.status, answer.get("lbd-reason")), (502, "bad_accept"))

    def test_another_protocol_is_not_implemented(self):
        client = self.open()
        answer = client.answer(self.ask(client, protocol="connect-udp"))
        self.assertEqual((answer.status, answer.get("lbd-reason")), (501, "method_not_implemented"))
        self.assertEqual(self.server.request_count, 0)

    def test_nothing_reaches_the_server_before_its_101(self):
        go = threading.Event()
        early = []

        def script(peer):
            request = peer.rx()
            peer.sock.settimeout(0.2)
            try:
                early.append(peer.reader.some())
            except TimeoutError:
                early.append(b"")
            peer.sock.settimeout(30)
            go.set()
            peer.send(switch(request))
            peer.send(peer.read(5))

        client = self.open(script)
        stream = self.ask(client)
        client.send(h2.data(stream, b"early"))
        self.assertTrue(go.wait(60))
        self.assertEqual(early, [b""])
        self.switched(client, stream)
        self.assertEqual(self.read_bytes(client, stream, 5), b"early")

    def test_the_client_goes_away(self):
        gone = threading.Event()

        def script(peer):
            peer.send(switch(peer.rx()))
            peer.wait_closed()
            gone.set()

        client = self.open(script)
        stream = self.ask(client)
        self.switched(client, stream)
        client.send(h2.reset(stream))
        self.assertTrue(gone.wait(60))
        self.assertEqual(self.proxy.wait_access_log(1)[0]["reason"], "client_abort")

    def test_the_server_breaks(self):
        def script(peer):
            peer.send(switch(peer.rx()))
            peer.read(1)
            peer.reset()

        client = self.open(script)
        stream = self.ask(client)
        self.switched(client, stream)
        client.send(h2.data(stream, b"x"))
        answer = client.answer(stream, into=self.begun())
        self.assertIsNotNone(answer.reset)

    def test_idle_timeout(self):
        client = self.open(config={"listener": {"timeouts": {"tunnel_idle": "3s"}}})
        stream = self.ask(client)
        self.switched(client, stream)
        client.send(h2.data(stream, frame(b"hi")))
        self.assertEqual(self.read_bytes(client, stream, 4), frame(b"hi"))
        answer = client.answer(stream, into=self.begun())
        self.assertEqual(answer.body, GOING_AWAY)
        self.assertEqual(self.proxy.wait_access_log(1)[0]["reason"], "tunnel_timeout")

    def test_a_drained_server_ends_its_stream_only(self):
        client = self.open()
        stream = self.ask(client)
        self.switched(client, stream)
        client.send(h2.data(stream, frame(b"hi")))
        self.assertEqual(self.read_bytes(client, stream, 4), frame(b"hi"))
        self.proxy.put("/v1/pools/main/servers/a/admin-state", {"state": "drain", "deadline": "100ms"})
        answer = client.answer(stream, into=self.begun())
        self.assertEqual((answer.body, answer.ended), (GOING_AWAY, True))
        self.assertEqual(client.request(h2.GET).status, 503, "the connection lives on")
        self.proxy.wait_metric(1, "lbd_websocket_close_frames_total", listener="web")

    def test_an_answer_of_lbd_opens_no_tunnel(self):
        """2xx to a CONNECT is a tunnel, and what came behind it would be its bytes."""
        for status in (200, 204):
            body = {} if status == 204 else {"body": "hello"}
            client = self.open(config={"routes": {"chat": {
                "listener": "web", "match": {"path": "/chat"}, "action": {"respond": {"status": status, **body}}}}})
            answer = client.answer(self.ask(client))
            self.assertEqual((answer.status, answer.get("lbd-reason")), (502, "not_switched"))
            self.assertEqual(client.request((*h2.GET[:3], (":path", "/chat"))).status, status)


if __name__ == "__main__":
    unittest.main()
