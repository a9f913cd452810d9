"""What becomes of open connections when a listener asks its clients for another certificate (R12).

Who has not shown what is asked for now is served nothing new: the next request gets 421 and the connection ends;
tunnels end at once, requests under way at the latest after daemon.drain_timeout. Who has, goes on undisturbed.
"""

import shutil
import ssl
import threading
import unittest

from lab import Client, config_for, h2
from lab.certs import client_context
from test_tls_listener import Tls, certificate
from test_websocket import GOING_AWAY, HANDSHAKE, HELLO
from test_websocket import echo as websocket_echo
from test_websocket_http2 import connect_fields
from test_websocket_http2 import echo as connect_echo

REASON = "client_auth_changed"
ENDPOINT = "/v1/listeners/web"


def get(host="shop.test"):
    return ((":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "/"))


def tcp_echo(peer):
    while data := peer.sock.recv(65536):
        peer.send(data)


class ClientAuthChange(Tls):
    def begin(self, mode="required", script=None, sets=None, daemon=None, **listener):
        self.people = self.folder + "/people.pem"
        both = self.ca.certificate.read_text() + self.other_ca.certificate.read_text()
        auth = {"client_auth": {"mode": mode, "ca": "people"}} if mode != "off" else {}
        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(
            self.server,
            listener={"tls": {"certificates": ["shop"], **auth}, **listener},
            certificates={"shop": certificate(self.shop)},
            ca_sets=sets or {"people": {"pem": both}, "ours": {"pem": self.ca.certificate.read_text()}},
        ), daemon={"workers": 2, **(daemon or {})})
        return self.proxy

    def auth(self, mode, ca="people"):
        return self.proxy.patch(ENDPOINT, {"tls": {"client_auth": {"mode": mode, "ca": ca}}})

    def shrink(self):
        """The other authority's clients are not trusted any more."""
        self.proxy.patch("/v1/ca-sets/people", {"pem": self.ca.certificate.read_text()})

    def grow(self):
        self.proxy.patch("/v1/ca-sets/people", {
            "pem": "".join(ca.certificate.read_text() for ca in (self.other_ca, self.ca, self.other_ca))})

    def h1(self, pair=None, version=None):
        context = client_context(self.ca, pair, version=version, protocols=["http/1.1"])
        return self.connect(self.proxy, tls=context, name="shop.test")

    def h2(self, pair=None):
        client = h2.H2Client(self.proxy.address(), tls=client_context(self.ca, pair, protocols=["h2"]),
                             name="shop.test")
        self.addCleanup(client.close)
        return client

    def serves(self, *clients):
        for client in clients:
            if isinstance(client, Client):
                answer = client.get(host="shop.test")
                self.assertEqual(answer.status, 200, answer)
                self.assertIsNone(answer.get("Connection"))
            else:
                self.assertEqual(client.request(get()).status, 200)
                self.assertFalse([f for f in client.seen if f.kind == h2.GOAWAY])

    def served_no_more(self, *clients):
        for client in clients:
            if isinstance(client, Client):
                answer = client.get(host="shop.test")
                self.assert_reason(answer, 421, REASON)
                self.assertEqual(answer.get("Connection"), "close")
                self.assertTrue(client.closed_cleanly())
            else:
                client.read_until(lambda f: f.kind == h2.GOAWAY)  # unasked
                stream = client.new_stream()
                client.send(h2.headers(stream, get()))
                try:
                    answer = client.answer(stream)
                    self.assertEqual((answer.status, answer.get("lbd-reason")), (421, REASON))
                except h2.H2Closed:
                    pass  # it had ended before the request came
                client.read_to_end()

    def test_a_set_that_shrinks_and_grows(self):
        self.begin()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            alices = [self.h1(self.alice, version), self.h2(self.alice)]
            mallories = [self.h1(self.mallory, version), self.h2(self.mallory)]
            self.serves(*alices, *mallories)
            self.grow()
            self.serves(*alices, *mallories)
            self.shrink()
            self.served_no_more(*mallories)
            self.serves(*alices)
            self.refused(self.proxy, context=client_context(self.ca, self.mallory))
            self.grow()
            self.serves(*alices, self.h1(self.mallory))

    def test_what_servers_are_told(self):
        """By what the listener says when a request comes, whatever it said when the connection did."""
        self.begin("optional")
        names = ("X-Client-Cert-Subject", "X-Client-Cert-SHA256", "Client-Cert")
        clients = [self.h1(self.alice), self.h2(self.alice)]

        def told():
            self.serves(*clients)
            for request in self.server.requests[-len(clients):]:
                yield [name for name in names if request.all(name)]

        for forward, want in (("subject", names[:2]), ("off", ()), ("certificate", names), ("subject", names[:2]),
                              ("off", ())):
            with self.subTest(forward=forward):
                self.proxy.patch(ENDPOINT, {"tls": {"client_auth": {"forward": forward}}})
                for seen in told():
                    self.assertEqual(tuple(seen), tuple(want))
                clients += [self.h1(self.alice)]  # one that begins by this
        self.proxy.patch(ENDPOINT, {"tls": {"client_auth": {"forward": None}}})
        self.assertEqual(list(told()), [list(names[:2])] * len(clients))
        self.proxy.patch(ENDPOINT, {"tls": {"client_auth": None}})
        self.assertEqual(list(told()), [[]] * len(clients))

    def test_another_set(self):
        self.begin()
        alice, mallory = self.h1(self.alice), self.h1(self.mallory)
        self.serves(alice, mallory)
        self.auth("required", "ours")
        self.served_no_more(mallory)
        self.proxy.wait_metric(1, "lbd_http_endings_total", listener="web", reason=REASON)
        self.serves(alice)

    def test_who_was_revoked(self):
        people, revoked = self.folder + "/revoked-people.pem", self.folder + "/revoked-list.pem"
        bob = self.ca.issue("bob", cn="bob")
        shutil.copy(self.ca.certificate, people)
        shutil.copy(self.ca.revoked(), revoked)
        # of one worker: that one client is told means that the others are judged by the new list, too
        self.begin(sets={"people": {"file": people, "crl_file": revoked}}, daemon={"workers": 1})
        alice, bobs = self.h1(self.alice), [self.h1(bob), self.h2(bob)]
        self.serves(alice, *bobs)
        shutil.copy(self.ca.revoked(bob), revoked)
        bobs[1].read_until(lambda f: f.kind == h2.GOAWAY)  # the file was looked at
        self.served_no_more(bobs[0])
        self.serves(alice)

    def test_from_off_to_required_and_back(self):
        self.begin("off", sets={"people": {"pem": self.ca.certificate.read_text()}})
        nobodies = [self.h1(), self.h2(), self.h1(self.alice)]  # who was not asked has shown nothing
        self.serves(*nobodies)
        self.auth("required")
        self.served_no_more(*nobodies)
        alices = [self.h1(self.alice), self.h2(self.alice)]
        self.serves(*alices)
        self.auth("off")
        self.serves(*alices)
        nobody = self.h1()
        self.serves(nobody)
        self.auth("optional")
        self.serves(nobody, *alices)
        self.auth("required")
        self.served_no_more(nobody)
        self.serves(*alices)

    def test_a_change_of_something_else(self):
        self.begin()
        clients = [self.h1(self.mallory), self.h2(self.alice)]
        self.serves(*clients)
        self.proxy.patch(ENDPOINT, {"tls": {"session_tickets": False}})
        self.serves(*clients)

    def test_a_listener_that_was_clear(self):
        origin = self.origin()
        self.proxy = self.lbd(config_for(
            origin, certificates={"shop": certificate(self.shop)},
            ca_sets={"people": {"pem": self.ca.certificate.read_text()}}))
        client = self.connect(self.proxy)
        self.assertEqual(client.get().status, 200)
        self.proxy.patch(ENDPOINT, {"tls": {"certificates": ["shop"]}})
        self.assertEqual(client.get().status, 200)
        self.auth("required")
        self.assert_reason(client.get(), 421, REASON)
        self.assertTrue(client.closed_cleanly())
        self.assertEqual(len(origin.requests), 2)

    def test_a_handshake_that_was_under_way(self):
        self.begin("off")
        sock = self.connect(self.proxy).sock
        ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context(self.ca).wrap_bio(theirs, ours, server_hostname="shop.test")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(ours.read())
                theirs.write(sock.recv(65536))
        tls.write(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        self.auth("required")
        sock.sendall(ours.read())  # the last of the handshake, and a request
        while data := sock.recv(65536):
            theirs.write(data)
        theirs.write_eof()
        self.assertEqual(tls.read(), b"")
        self.proxy.wait_metric(1, "lbd_http_endings_total", listener="web", reason=REASON)

    def test_connections_of_tcp(self):
        self.begin(script=tcp_echo, protocol="tcp")
        alice, mallory = self.h1_tcp(self.alice), self.h1_tcp(self.mallory)
        self.shrink()
        self.assertTrue(mallory.closed_cleanly())
        alice.send(b"more")
        self.assertEqual(alice.read_exact(4), b"more")
        mallory.close()
        self.assertEqual(self.proxy.wait_access_log(1)[0]["reason"], REASON)
        self.proxy.wait_metric(1, "lbd_http_endings_total", listener="web", reason=REASON)

    def h1_tcp(self, pair):
        client = self.connect(self.proxy, tls=client_context(self.ca, pair), name="shop.test")
        client.send(b"hello")
        self.assertEqual(client.read_exact(5), b"hello")
        return client

    def test_websockets(self):
        self.begin(script=websocket_echo)
        clients = []
        for pair in (self.alice, self.mallory):
            client = self.h1(pair)
            client.send_request("GET", "/chat", HANDSHAKE, host="shop.test")
            self.assertEqual(client.read_head().status, 101)
            client.send(HELLO)
            self.assertEqual(client.read_exact(len(HELLO)), HELLO)
            clients.append(client)
        self.shrink()
        self.assertEqual(clients[1].read_rest(), GOING_AWAY)
        clients[0].send(HELLO)
        self.assertEqual(clients[0].read_exact(len(HELLO)), HELLO)

    def test_websockets_over_http2(self):
        self.begin(script=connect_echo)
        client = self.h2(self.mallory)
        stream = client.new_stream()
        fields = [(name, "shop.test" if name == ":authority" else "https" if name == ":scheme" else value)
                  for name, value in connect_fields()]
        client.send(h2.headers(stream, fields, end=False))
        got = client.read_until(lambda f: f.stream == stream and f.kind == h2.HEADERS)[-1]
        self.assertEqual(got.status, 200)
        self.shrink()
        seen = client.read_to_end()
        told = b"".join(f.payload for f in client.seen if f.kind == h2.DATA and f.stream == stream)
        self.assertEqual(told, GOING_AWAY, seen)

    def test_requests_under_way(self):
        """They may end as long as after a drain; what lasts longer is ended."""
        slow, never = threading.Event(), threading.Event()
        self.addCleanup(never.set)
        self.addCleanup(slow.set)

        def script(peer):
            while request := peer.rx():
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
                (slow if request.target == "/slow" else never).wait(60)
                peer.send("i")

        self.begin(script=script, daemon={"drain_timeout": "5s"})
        ends, lasts = self.h1(self.mallory), self.h1(self.mallory)
        for client, target in ((ends, "/slow"), (lasts, "/never")):
            client.send_request("GET", target, host="shop.test")
            self.assertEqual(client.read_head().status, 200)
            self.assertEqual(client.read_exact(1), b"h")
        self.shrink()
        slow.set()
        self.assertEqual(ends.read_exact(1), b"i")
        self.assertEqual(lasts.read_rest(), b"")
        self.served_no_more_or_over(ends)
        lines = self.proxy.wait_access_log(2)
        self.assertIn("drain_deadline", [line["reason"] for line in lines])

    def served_no_more_or_over(self, client):
        """After the deadline the idle connection has been ended, too; before it, the next request is refused."""
        try:
            client.send_request("GET", "/", host="shop.test")
        except OSError:
            return
        rest = client.read_rest()
        self.assertTrue(rest == b"" or rest.startswith(b"HTTP/1.1 421 "), rest)


if __name__ == "__main__":
    unittest.main()
