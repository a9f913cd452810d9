"""tls_passthrough: the ClientHello is read, not a byte is changed, TLS ends at the servers."""

import contextlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import unittest

from lab import LabCase, run_lbctl, wait_for
from lab.certs import Authority


def plain(name, data):
    """An extension of a ClientHello."""
    return struct.pack(">HH", name, len(data)) + data


def sni(name):
    return plain(0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name)


def alpn(*names):
    words = b"".join(struct.pack("B", len(n)) + n for n in names)
    return plain(16, struct.pack(">H", len(words)) + words)


def hello(*extensions):
    """A ClientHello, without its records."""
    body = b"".join(extensions)
    message = (b"\x03\x03" + bytes(range(32)) + b"\x00" + b"\x00\x04\x0a\x0a\x13\x01" + b"\x01\x00"
               + struct.pack(">H", len(body)) + body)
    return b"\x01" + struct.pack(">I", len(message))[1:] + message


def records(message, size=16384):
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(message[i:i + size]))
                    + message[i:i + size] for i in range(0, len(message), size))


class Passthrough(LabCase):
    def setUp(self):
        super().setUp()
        self.got = {}
        self.lock = threading.Lock()

    def server(self, name):
        """Keeps what came and says its name."""
        def script(peer):
            data = peer.sock.recv(65536)
            with self.lock:
                self.got.setdefault(name, bytearray()).extend(data)
            peer.send(name)
            while data:
                data = peer.sock.recv(65536)
                with self.lock:
                    self.got[name].extend(data)
        return {"servers": {"a": {"address": self.origin(script).address}}}

    def open(self, *names, routes=None, default=None, **listener):
        config = {
            "listeners": {"tls": {"bind": ["127.0.0.1:0"], "protocol": "tls_passthrough",
                                  **listener}},
            "pools": {name: self.server(name) for name in names},
            "routes": {name: {"listener": "tls", "match": match, "action": {"pool": pool}}
                       for name, (pool, match) in (routes or {}).items()},
        }
        if default:
            config["listeners"]["tls"]["default_pool"] = default
        self.proxy = self.lbd(config)
        return self.proxy

    def ask(self, data, cuts=(), pause=0.001):
        """Who answers to these bytes; empty: nobody."""
        client = self.connect(self.proxy, listener="tls", timeout=30)
        client.send(data, cuts=cuts, pause=pause)
        with contextlib.suppress(OSError):  # it may have been turned away already
            client.shut_write()
        return client.read_rest().decode()

    def reasons(self):
        return [line["reason"] for line in self.proxy.access_log()]


class Names(Passthrough):
    def test_names_lead_to_pools(self):
        self.open("one", "two", "wild", "rest", default="rest", routes={
            "one": ("one", {"host": ["one.example"]}),
            "two": ("two", {"host": ["two.example", "deux.example"]}),
            "wild": ("wild", {"host": ["*.example"]}),
        })
        for name, want in ((b"one.example", "one"), (b"ONE.Example", "one"), (b"two.example", "two"),
                           (b"deux.example", "two"), (b"x.y.example", "wild"),
                           (b"example", "rest"), (b"elsewhere.test", "rest")):
            self.assertEqual(self.ask(records(hello(sni(name)))), want, name)
        self.assertEqual(self.ask(records(hello())), "rest")
        lines = self.proxy.wait_access_log(8)
        line = next(line for line in lines if line.get("host") == "one.example")
        self.assertEqual((line["host"], line["route"], line["pool"], line["protocol"]),
                         ("one.example", "one", "one", "tls_passthrough"))

    def test_protocols_lead_to_pools(self):
        self.open("h2", "one", "mail", "rest", default="rest", routes={
            "h2": ("h2", {"host": ["a.example"], "alpn": ["h2"]}),
            "one": ("one", {"host": ["a.example"], "alpn": ["http/1.1"]}),
            "mail": ("mail", {"alpn": ["imap", "pop3"]}),
        })
        for asked, want in (((b"h2", b"http/1.1"), "h2"), ((b"http/1.1", b"h2"), "one"),
                            ((b"spdy", b"http/1.1"), "one"), ((b"pop3",), "mail"),
                            ((b"h3",), "rest"), ((), "rest")):
            extensions = [sni(b"a.example")] + ([alpn(*asked)] if asked else [])
            self.assertEqual(self.ask(records(hello(*extensions))), want, asked)

    def test_explained(self):
        self.open("h2", "any", "rest", default="rest", routes={
            "h2": ("h2", {"host": ["a.example"], "alpn": ["h2"]}),
            "any": ("any", {"host": ["*.example"]}),
        })
        for name, offered, want in (("a.example", "h2,http/1.1", "h2"), ("a.example", "", "any"),
                                    ("b.example", "h2", "any"), ("b.test", "h2", None)):
            answer = self.proxy.api("POST", "/v1/explain/route", {
                "url": f"tls://{name}:{self.proxy.port('tls')}", "headers": {"ALPN": offered}}).body
            self.assertEqual(answer.get("route"), want, answer)
            self.assertEqual(answer["action"]["pool"], want or "rest")
            extensions = [sni(name.encode())]
            if offered:
                extensions.append(alpn(*offered.encode().split(b",")))
            self.assertEqual(self.ask(records(hello(*extensions))), want or "rest")
        self.assertEqual(answer["why"], "no route takes it; the default pool of the listener does")
        done = run_lbctl("explain", "route", "CONNECT", "tls://a.example", "-H", "ALPN: h2",
                         socket_path=self.proxy.api_socket)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("listener tls -> route h2 (priority 0) -> pool h2", done.stdout)
        self.assertIn("because: host a.example, alpn h2", done.stdout)

    def test_nowhere_to_go(self):
        self.open("one", routes={"one": ("one", {"host": ["one.example"]})})
        self.assertEqual(self.ask(records(hello(sni(b"two.example")))), "")
        self.assertEqual(self.ask(records(hello())), "")
        self.proxy.wait_access_log(2)
        self.assertEqual(self.reasons(), ["no_route", "no_route"])

    def test_ech_and_grease(self):
        self.open("outer", "rest", default="rest",
                  routes={"outer": ("outer", {"host": ["outer.example"]})})
        data = records(hello(plain(0x3a3a, b""), plain(0xfe0d, os.urandom(200)),
                             sni(b"outer.example"), plain(0xdada, b"\0")))
        self.assertEqual(self.ask(data), "outer")
        wait_for(lambda: bytes(self.got["outer"]) == data, "all bytes")


class Pieces(Passthrough):
    def open_one(self):
        self.open("one", "rest", default="rest",
                  routes={"one": ("one", {"host": ["one.example"]})})

    def test_every_cut(self):
        self.open_one()
        data = records(hello(sni(b"one.example"), alpn(b"h2")), 40) + b"and early data"
        for cut in range(1, len(data), 3):
            self.got.clear()
            self.assertEqual(self.ask(data, cuts=(cut,)), "one", cut)
            wait_for(lambda: bytes(self.got["one"]) == data, f"all bytes after a cut at {cut}")

    def test_byte_by_byte(self):
        self.open_one()
        data = records(hello(sni(b"one.example")), 1)
        self.assertEqual(self.ask(data, cuts=range(1, len(data)), pause=0), "one")
        wait_for(lambda: bytes(self.got["one"]) == data, "all bytes")

    def test_a_hello_of_many_kilobytes(self):
        self.open_one()
        for padding in (1400, 20000, 60000):
            self.got.clear()
            data = records(hello(plain(21, b"\0" * padding), sni(b"one.example")))
            self.assertEqual(self.ask(data, cuts=(1000, 17000)), "one", padding)
            wait_for(lambda: bytes(self.got["one"]) == data, "all bytes")

    def test_one_that_is_too_large(self):
        self.open_one()
        message = b"\x01\x01\x10\x00" + b"\x03\x03" + b"x" * 70000
        self.assertEqual(self.ask(records(message)), "")
        # of one byte per record the heads count as well
        self.assertEqual(self.ask(records(hello(plain(21, b"\0" * 20000)), 1)), "")
        self.proxy.wait_access_log(2)
        self.assertEqual(self.reasons(), ["bad_client_hello"] * 2)

    def test_what_is_no_hello(self):
        self.open_one()
        bad = [b"GET / HTTP/1.1\r\nHost: one.example\r\n\r\n", b"SSH-2.0-x\r\n",
               b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + b"x" * 37,
               b"\x15\x03\x01\x00\x02\x02\x28", records(hello(sni(b"a b"))),
               records(hello(sni(b"one.example\0.evil"))),
               records(hello(sni(b"one.example"), sni(b"two.example"))),
               records(hello(sni(b"one.example")))[:-5]]
        for number, data in enumerate(bad):
            self.assertEqual(self.ask(data), "", data)
            self.proxy.wait_access_log(number + 1)
        self.assertEqual(self.reasons(), ["bad_client_hello"] * len(bad))

    def test_time_is_limited(self):
        self.open("one", default="one", timeouts={"handshake": "300ms"})
        silent = self.connect(self.proxy, listener="tls")
        slow = self.connect(self.proxy, listener="tls")
        silent.send(b"\x16")
        slow.send(b"\x16")
        data = records(hello(sni(b"one.example")))
        sent = 1  # whoever goes on has no more time
        while sent < len(data) - 5 and slow.send(data[sent:sent + 1]) and slow.is_quiet(0.02):
            sent += 1
        self.assertLess(sent, len(data) - 5)
        self.assertEqual(silent.read_rest(), b"")
        self.assertEqual(slow.read_rest(), b"")
        self.proxy.wait_access_log(2)
        self.assertEqual(self.reasons(), ["handshake_timeout"] * 2)


class RealTls(LabCase):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp(prefix="lab-tls-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.authority = Authority(self.directory)
        self.ports = {}
        pools, routes = {}, {}
        for name in ("one", "two"):
            certificate = self.authority.issue(name, cn=f"{name}.example",
                                               names=[f"DNS:{name}.example"])
            pools[name] = {"servers": {"a": {"address": self.s_server(certificate)}}}
            routes[name] = {"listener": "tls", "match": {"host": [f"{name}.example"]},
                            "action": {"pool": name}}
        self.proxy = self.lbd({
            "listeners": {"tls": {"bind": ["127.0.0.1:0"], "protocol": "tls_passthrough"}},
            "pools": pools, "routes": routes})

    def s_server(self, certificate):
        """A real TLS server that sends back what comes, turned around."""
        process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(certificate.chain), "-key",
             str(certificate.key), "-rev"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        for line in process.stdout:
            if line.startswith(b"ACCEPT"):
                return line.split()[1].decode()
        raise AssertionError("s_server did not listen")

    def test_certificates_are_the_servers(self):
        host, port = self.proxy.address("tls")
        for name in ("one", "two"):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername",
                 f"{name}.example", "-verify_hostname", f"{name}.example", "-verify_return_error",
                 "-CAfile", str(self.authority.certificate), "-quiet", "-no_ign_eof"],
                input=b"hello\nQ\n", capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"CN = {name}.example".encode(), done.stderr)

    def test_versions_and_close_notify(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=str(self.authority.certificate))
            context.minimum_version = context.maximum_version = version
            with socket.create_connection(self.proxy.address("tls"), timeout=30) as sock, \
                    context.wrap_socket(sock, server_hostname="two.example") as tls:
                tls.sendall(b"abc\n")
                self.assertEqual(tls.recv(10), b"cba\n")
                tls.unwrap()


if __name__ == "__main__":
    unittest.main()
