"""Clients of HTTP/2 as operators see and end them: many requests on one connection."""

import shutil
import tempfile
import threading
import unittest

from lab import LabCase, config_for, h2
from lab.certs import Authority, client_context


class Http2Connections(LabCase):
    def setUp(self):
        super().setUp()
        self.go = threading.Event()
        self.addCleanup(self.go.set)

    def slow(self, peer):
        """Answers when the test says so."""
        while True:
            peer.rx()
            self.go.wait(60)
            peer.tx(200, "slow")

    def open(self, script=None, **config):
        self.proxy = self.lbd(config_for(self.origin(script), **config))
        client = h2.H2Client(self.proxy.address())
        self.addCleanup(client.close)
        return client

    def begin(self, client, count):
        streams = [client.new_stream() for _ in range(count)]
        for stream in streams:
            client.send(h2.headers(stream))
        self.proxy.wait_metric(count, "lbd_http_requests_in_flight", listener="web")
        return streams

    def goes_away(self, client, last):
        """GOAWAY in two steps, then the end."""
        first = client.read_until(lambda f: f.kind == h2.GOAWAY)[-1]
        self.assertEqual((first.last_stream, first.code), (0x7FFFFFFF, h2.NO_ERROR))
        ping = client.read_until(lambda f: f.kind == h2.PING and not f.flags & h2.ACK)[-1]
        client.send(h2.ping(ping.payload, ack=True))
        second = client.read_until(lambda f: f.kind == h2.GOAWAY)[-1]
        self.assertEqual((second.last_stream, second.code), (last, h2.NO_ERROR))

    def test_a_drained_listener_says_goodbye_to_an_idle_client(self):
        client = self.open()
        self.assertEqual(client.request().status, 200)
        self.proxy.put("/v1/listeners/web/admin-state", {"state": "drain", "deadline": "20s"})
        self.goes_away(client, 1)
        self.assertEqual([f for f in client.read_to_end() if f.kind != h2.SETTINGS], [])

    def test_what_is_under_way_is_finished_first(self):
        client = self.open(self.slow)
        (stream,) = self.begin(client, 1)
        self.proxy.put("/v1/listeners/web/admin-state", {"state": "drain", "deadline": "20s"})
        self.goes_away(client, stream)
        self.go.set()
        answer = client.answer(stream)
        self.assertEqual((answer.status, answer.body), (200, b"slow"))
        self.assertEqual(client.read_to_end(), [])

    def test_stopping_lets_requests_finish(self):
        client = self.open(self.slow)
        (stream,) = self.begin(client, 1)
        self.proxy.send_signal(15)
        self.goes_away(client, stream)
        self.go.set()
        self.assertEqual(client.answer(stream).status, 200)
        self.assertEqual(client.read_to_end(), [])
        self.assertEqual(self.proxy.wait_exit(), 0)

    def test_a_client_is_shown_with_its_streams(self):
        client = self.open(self.slow)
        self.assertEqual(self.proxy.get("/v1/connections")["connections"][0]["state"], "idle")
        self.begin(client, 3)
        (shown,) = self.proxy.get("/v1/connections?server=main/a")["connections"]
        self.assertEqual((shown["state"], shown["protocol"], shown["streams"]),
                         ("request", "http2", 3))
        self.assertEqual((shown["pool"], shown["server"], shown["requests"]), ("main", "a", 3))

    def test_its_tls_is_shown_and_logged(self):
        folder = tempfile.mkdtemp(prefix="lab-h2-")
        self.addCleanup(shutil.rmtree, folder, True)
        ca = Authority(folder, "test CA")
        shop = ca.issue("shop", cn="shop", names=["DNS:localhost"])
        alice = ca.issue("alice", cn="alice", names=["DNS:alice.test"])
        self.proxy = self.lbd(config_for(
            self.origin(),
            listener={"tls": {"certificates": ["shop"], "client_auth": {
                "mode": "required", "ca": "people", "forward": "subject"}}},
            certificates={"shop": {"chain_file": str(shop.chain), "key_file": str(shop.key)}},
            ca_sets={"people": {"file": str(ca.certificate)}},
        ))
        context = client_context(ca, certificate=alice, protocols=["h2"])
        with h2.H2Client(self.proxy.address(), tls=context) as client:
            self.assertEqual(client.request().status, 200)
            (shown,) = self.proxy.get("/v1/connections")["connections"]
            self.assertEqual((shown["protocol"], shown["streams"]), ("http2", 0))
            self.assertEqual(shown["tls"], {
                "version": "TLSv1.3", "cipher": client.sock.cipher()[0], "sni": "localhost",
                "client_subject": shown["tls"]["client_subject"]})
            self.assertIn("alice", shown["tls"]["client_subject"])
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual((line["protocol"], line["tls"], line["cipher"], line["sni"]),
                         ("HTTP/2.0", "TLSv1.3", shown["tls"]["cipher"], "localhost"))
        self.assertEqual(line["client_subject"], shown["tls"]["client_subject"])

    def test_an_operator_ends_it(self):
        client = self.open(self.slow)
        streams = self.begin(client, 3)
        (shown,) = self.proxy.get("/v1/connections")["connections"]
        self.proxy.delete(f"/v1/connections/{shown['id']}", headers={"If-Match": "*"})
        reasons = {}
        for got in client.read_to_end():
            if got.kind == h2.HEADERS:
                reasons[got.stream] = (got.status, got.get("lbd-reason"))
        self.assertEqual(reasons, dict.fromkeys(streams, (503, "killed")))
        client.close()
        self.wait_for(lambda: self.proxy.get("/v1/connections")["total"] == 0, "it is gone")

    def test_a_drained_server_ends_requests_one_by_one(self):
        go = self.go
        slow, quick = self.origin(self.slow), self.origin()
        self.proxy = self.lbd(config_for(slow, quick, pool={"algorithm": "round_robin"}))
        client = h2.H2Client(self.proxy.address())
        self.addCleanup(client.close)
        streams = [client.new_stream() for _ in range(4)]
        client.send(*(h2.headers(stream) for stream in streams))
        answers = {stream: h2.Answer() for stream in streams}

        def ended():
            return [s for s in streams if answers[s].ended]

        while len(ended()) < 2:
            got = client.read()
            if got.stream in answers:
                answers[got.stream].note(got)
        self.proxy.put("/v1/pools/main/servers/a/admin-state",
                       {"state": "drain", "deadline": "100ms"})
        while len(ended()) < 4:
            got = client.read()
            if got.stream in answers:
                answers[got.stream].note(got)
        self.assertEqual(sorted(a.status for a in answers.values()), [200, 200, 503, 503])
        self.assertEqual(client.request().status, 200, "the connection lives on")
        go.set()


if __name__ == "__main__":
    unittest.main()
