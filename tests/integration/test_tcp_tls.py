"""TCP listeners where TLS ends: names and protocols lead to pools, ends are passed on as ends."""

import contextlib
import hashlib
import os
import shutil
import ssl
import tempfile
import unittest

from lab import Client, LabCase, wait_for
from lab.certs import Authority, client_context, server_context


def echo(peer):
    while True:
        data = peer.sock.recv(65536)
        if not data:
            return
        peer.send(data)


class TcpTls(LabCase):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp(prefix="lab-tls-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.ca = Authority(self.directory)
        self.mine = self.ca.issue("mine", "a.example", [f"DNS:{n}" for n in ("a.example", "one.example", "two.example",
                                                                   "localhost")])
        self.theirs = self.ca.issue("theirs", "localhost", ["IP:127.0.0.1"])

    def start(self, scripts, routes=None, tls=None, behind=False, **listener):
        """`behind`: the servers speak TLS, too."""
        pools = {}
        for name, script in scripts.items():
            context = server_context(self.theirs) if behind else None
            pools[name] = {"servers": {"a": {"address": self.origin(script, tls=context).address}}}
            if behind:
                pools[name]["tls"] = {"ca": "ours"}
        self.proxy = self.lbd({
            "certificates": {"mine": {"chain_file": str(self.mine.chain),
                                      "key_file": str(self.mine.key)}},
            "ca_sets": {"ours": {"file": str(self.ca.certificate)}},
            "listeners": {"tls": {"bind": ["127.0.0.1:0"], "protocol": "tcp",
                                  "tls": {"certificates": ["mine"], **(tls or {})},
                                  "default_pool": next(iter(scripts)), **listener}},
            "pools": pools,
            "routes": {name: {"listener": "tls", "match": match, "action": {"pool": name}}
                       for name, match in (routes or {}).items()}})
        return self.proxy

    def client(self, name="a.example", **more):
        client = Client(self.proxy.address("tls"), tls=client_context(self.ca, **more), name=name)
        self.addCleanup(client.close)
        return client

    def finish(self, client):
        """Our end (close_notify, and no more) without waiting for theirs; then what still comes."""
        end_sending(client.sock)
        return client.read_rest()


def end_sending(sock):
    """Python knows no half-close of TLS: unwrap() sends close_notify and gives up at once when it
    may not wait for the other's."""
    before = sock.gettimeout()
    sock.settimeout(0)
    with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError, TimeoutError):
        sock.unwrap()
    sock.settimeout(before)


class Routes(TcpTls):
    def test_names_and_protocols(self):
        def named(name):
            return lambda peer: peer.send(name)

        names = ("rest", "one", "mail", "wild")
        self.start({name: named(name) for name in names}, tls={"alpn": ["imap", "pop3"]}, routes={
            "one": {"host": ["one.example"]}, "wild": {"host": ["*.example"]},
            "mail": {"host": ["one.example"], "alpn": ["imap"]}})
        for name, offered, want in (("one.example", None, b"one"), ("two.example", None, b"wild"),
                                    ("localhost", None, b"rest"),
                                    ("one.example", ["imap"], b"mail"),
                                    ("one.example", ["pop3"], b"one")):
            client = self.client(name, protocols=offered)
            self.assertEqual(client.sock.selected_alpn_protocol(), (offered or [None])[0])
            self.assertEqual(client.read_rest(), want, (name, offered))
            client.close()
        lines = self.proxy.wait_access_log(5)
        self.assertEqual({line.get("host") for line in lines},
                         {"one.example", "two.example", "localhost"})

    def test_explained(self):
        self.start({"rest": echo, "one": echo}, routes={"one": {"host": ["one.example"]}})
        for name, want in (("one.example", "one"), ("two.example", "rest")):
            answer = self.proxy.api("POST", "/v1/explain/route",
                                    {"url": f"tls://{name}", "listener": "tls"}).body
            self.assertEqual(answer["action"]["pool"], want)


class Ends(TcpTls):
    """Each once with plain servers, once with servers of TLS."""

    def each(self, script, **listener):
        for behind, version in ((False, ssl.TLSVersion.TLSv1_3), (True, ssl.TLSVersion.TLSv1_2)):
            self.start({"main": script}, behind=behind, **listener)
            yield self.client(version=version)

    def test_bytes_both_ways(self):
        for client in self.each(echo):
            # One thread: Python lets nobody read and write a TLS connection at the same time.
            for size in (1, 100, 16384, 30000) * 5:
                data = os.urandom(size)
                client.send(data)
                self.assertEqual(client.read_exact(size), data)

    def test_the_server_speaks_first(self):
        for client in self.each(lambda peer: peer.send("220 hello\r\n")):
            self.assertEqual(client.read_rest(), b"220 hello\r\n")
            with self.assertRaises((ssl.SSLZeroReturnError, ssl.SSLEOFError, OSError)) as seen:
                client.sock.unwrap()
                raise ssl.SSLZeroReturnError  # it was a clean end: close_notify came
            self.assertNotIsInstance(seen.exception, ssl.SSLEOFError)

    def test_half_close_of_the_client(self):
        def script(peer):
            total = 0
            while True:
                data = peer.sock.recv(65536)
                if not data:
                    break
                total += len(data)
            peer.send("got %d" % total)

        for client in self.each(script):
            client.send(b"x" * 100000)
            self.assertEqual(self.finish(client), b"got 100000")

    def test_half_close_of_the_server(self):
        got = []

        def script(peer):
            peer.send("that is all")
            if isinstance(peer.sock, ssl.SSLSocket):
                end_sending(peer.sock)
            else:
                peer.shut_write()
            got.append(peer.wait_closed())

        for client in self.each(script):
            self.assertEqual(client.read_rest(), b"that is all")
            client.send(b"y" * 1000)
            client.close()
            wait_for(lambda: got, "the server got the rest")
            self.assertEqual(got.pop(), b"y" * 1000)

    def test_much(self):
        piece = os.urandom(1_000_000)
        want = hashlib.sha256(piece * 10).hexdigest()

        def script(peer):
            for _ in range(10):
                peer.send(piece)

        for client in self.each(script):
            self.assertEqual(hashlib.sha256(client.read_rest()).hexdigest(), want)

    def test_idle(self):
        for client in self.each(echo, timeouts={"tunnel_idle": "300ms"}):
            self.assertTrue(client.closed_cleanly())

    def test_a_drain_ends_with_close_notify(self):
        for client in self.each(echo):
            client.send("hello")
            self.assertEqual(client.read_exact(5), b"hello")
            self.proxy.put("/v1/pools/main/servers/a/admin-state",
                           {"state": "drain", "deadline": "100ms"})
            self.assertTrue(client.closed_cleanly())
            self.assertFalse(client.reader.was_reset)


if __name__ == "__main__":
    unittest.main()
