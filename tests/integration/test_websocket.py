"""WebSocket over HTTP/1.1 when it has to go: a close frame between two frames, else only the end."""

import unittest

from lab import LabCase, config_for

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
GOING_AWAY = b"\x88\x02\x03\xe9"
HELLO = b"\x81\x05hello"


def echo(peer):
    """Switches, then sends back what comes until lbd half-closes."""
    peer.rx()
    peer.send(SWITCH)
    while data := peer.reader.some():
        peer.send(data)


class WebSocketGoes(LabCase):
    def open(self, **more):
        self.proxy = self.lbd(config_for(self.origin(echo), **more))
        client = self.connect(self.proxy)
        client.send_request("GET", "/chat", HANDSHAKE)
        self.assertEqual(client.read_head().status, 101)
        return client

    def say(self, client, data):
        client.send(data)
        self.assertEqual(client.read_exact(len(data)), data)

    def told(self):
        return self.proxy.metric("lbd_websocket_close_frames_total", listener="web")

    def ends(self, client, rest, reason):
        self.assertEqual(client.read_rest(), rest)
        client.close()
        self.assertEqual(self.proxy.wait_access_log(1)[0]["reason"], reason)
        self.assertEqual(self.told(), 1 if rest else 0)

    def test_a_server_drains(self):
        client = self.open()
        self.say(client, HELLO)
        self.proxy.put("/v1/pools/main/servers/a/admin-state",
                       {"state": "drain", "deadline": "100ms"})
        self.ends(client, GOING_AWAY, "drain_deadline")

    def test_a_listener_drains(self):
        client = self.open()
        self.say(client, HELLO)
        self.proxy.put("/v1/listeners/web/admin-state", {"state": "drain", "deadline": "100ms"})
        self.ends(client, GOING_AWAY, "drain_deadline")

    def test_an_operator_ends_it(self):
        client = self.open()
        self.say(client, HELLO)
        (connection,) = self.proxy.get("/v1/connections")["connections"]
        self.assertEqual(connection["state"], "tunnel")
        self.proxy.delete(f"/v1/connections/{connection['id']}", headers={"If-Match": "*"})
        self.ends(client, GOING_AWAY, "killed")

    def test_in_the_middle_of_a_frame_nothing_is_added(self):
        client = self.open()
        self.say(client, HELLO[:-1])
        self.proxy.put("/v1/pools/main/servers/a/admin-state",
                       {"state": "drain", "deadline": "100ms"})
        self.ends(client, b"", "drain_deadline")

    def test_it_is_idle_for_too_long(self):
        client = self.open(listener={"timeouts": {"tunnel_idle": "3s"}})
        self.say(client, HELLO)
        self.ends(client, GOING_AWAY, "tunnel_timeout")

    def test_large_frames_are_counted_off_too(self):
        client = self.open()
        payload = bytes(i % 251 for i in range(100000))
        for _ in range(8):
            self.say(client, b"\x82\x7f" + len(payload).to_bytes(8, "big") + payload)
        self.proxy.put("/v1/pools/main/servers/a/admin-state",
                       {"state": "drain", "deadline": "100ms"})
        self.ends(client, GOING_AWAY, "drain_deadline")


class WebSocketServers(LabCase):
    def ask(self, proxy):
        client = self.connect(proxy)
        client.send_request("GET", "/chat", HANDSHAKE)
        return client

    def test_servers_that_speak_http2_only(self):
        server = self.origin()
        proxy = self.lbd(config_for(server, pool={"http_version": "2"}))
        self.assert_reason(self.ask(proxy).read_response(), 501, "no_websocket")
        self.assertEqual(server.connection_count, 0)


if __name__ == "__main__":
    unittest.main()
