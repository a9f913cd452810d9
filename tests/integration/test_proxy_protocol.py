"""PROXY headers of load balancers before us: who may send them, and what becomes of them."""

import shutil
import subprocess
import tempfile
import unittest

from lab import LabCase, config_for, wait_for
from lab.ports import free_port

from test_tcp_passthrough import hello, records, sni

V1 = b"PROXY TCP4 203.0.113.7 10.0.0.1 51234 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([203, 0, 113, 7, 10, 0, 0, 1]) + b"\xc8\x22\x01\xbb"
V6 = (SIGNATURE + b"\x21\x21\x00\x24" + bytes.fromhex("20010db8000000000000000000000007") * 2
      + b"\xc8\x22\x01\xbb")
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def echo(peer):
    while True:
        data = peer.sock.recv(65536)
        if not data:
            return
        peer.send(data)


class ProxyProtocol(LabCase):
    def start(self, trusted=("127.0.0.0/8",), script=None, **listener):
        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(
            self.server, listener={"proxy_protocol_from": list(trusted), **listener}))
        return self.proxy

    def ask(self, data, target=None, cuts=()):
        client = self.connect(target or self.proxy)
        client.send(data, cuts=cuts)
        answer = client.read_rest()
        client.close()
        return answer

    def last_line(self, count):
        return self.proxy.wait_access_log(count)[-1]


class Http(ProxyProtocol):
    def test_the_client_is_the_one_it_names(self):
        self.start()
        names = ((V1, "203.0.113.7"), (V2, "203.0.113.7"), (V6, "2001:db8::7"),
                 (LOCAL, "127.0.0.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1"))
        for count, (header, client) in enumerate(names):
            self.assertIn(b"HTTP/1.1 200", self.ask(header + REQUEST))
            request = self.server.requests[-1]
            self.assertEqual(request.get("X-Forwarded-For"), client)
            self.assertEqual(self.last_line(count + 1)["client"].rpartition(":")[0].strip("[]"),
                             client)

    def test_in_pieces(self):
        self.start()
        for header in (V1, V2):
            data = header + REQUEST
            for cut in range(1, len(header) + 3, 4):
                self.assertIn(b"HTTP/1.1 200", self.ask(data, cuts=(cut,)), cut)

    def test_it_must_come(self):
        self.start()
        for count, data in enumerate((
                REQUEST, V1[:-1] + b"x\n" + REQUEST, V1.replace(b"TCP4", b"TCP5") + REQUEST,
                SIGNATURE + b"\x31\x11\x00\x0c" + V2[16:] + REQUEST,
                SIGNATURE + b"\x21\x11\xff\xff" + V2[16:] + REQUEST,
                V1.replace(b"203.0.113.7", b"203.0.113.777") + REQUEST)):
            self.assertEqual(self.ask(data), b"", data)
            wait_for(lambda n=count: self.proxy.metric(
                "lbd_listener_connections_rejected_total", listener="web",
                reason="proxy_protocol") == n + 1, "counted")
        self.assertEqual(self.server.request_count, 0)

    def test_only_one(self):
        self.start()
        self.assertIn(b"HTTP/1.1 400", self.ask(V1 + V1 + REQUEST))

    def test_from_others_it_is_data(self):
        self.start(trusted=["192.0.2.0/24", "::/0"])
        for header in (V1, V2):
            answer = self.ask(header + REQUEST)
            self.assertTrue(answer.startswith(b"HTTP/1.1 400"), answer)
        self.assertIn(b"HTTP/1.1 200", self.ask(REQUEST))
        self.assertEqual(self.server.requests[-1].get("X-Forwarded-For"), "127.0.0.1")

    def test_over_a_unix_socket(self):
        directory = tempfile.mkdtemp(prefix="lab-unix-")
        self.addCleanup(shutil.rmtree, directory)
        path = f"{directory}/front.sock"
        self.start(trusted=["unix"], bind=[f"unix:{path}"])
        self.assertIn(b"HTTP/1.1 200", self.ask(V2 + REQUEST, path))
        self.assertEqual(self.server.requests[-1].get("X-Forwarded-For"), "203.0.113.7")
        self.proxy.patch("/v1/listeners/web", {"proxy_protocol_from": ["10.0.0.0/8"]})
        self.assertIn(b"HTTP/1.1 400", self.ask(V2 + REQUEST, path))
        self.assertIn(b"HTTP/1.1 200", self.ask(REQUEST, path))

    def test_its_time_is_limited(self):
        self.start(timeouts={"handshake": "300ms"})
        client = self.connect(self.proxy)
        client.send(V1[:10])
        self.assertEqual(client.read_rest(), b"")
        wait_for(lambda: self.proxy.metric("lbd_http_endings_total", listener="web",
                                           reason="handshake_timeout") == 1, "counted")

    @unittest.skipUnless(shutil.which("haproxy"), "no haproxy")
    def test_haproxy_in_front(self):
        self.start()
        directory = tempfile.mkdtemp(prefix="lab-haproxy-")
        self.addCleanup(shutil.rmtree, directory)
        ports = [free_port(), free_port()]
        host, port = self.proxy.address()
        sides = "".join(f"""
listen l{i}
    bind 127.0.0.1:{ports[i]}
    server s {host}:{port} {word}
""" for i, word in enumerate(("send-proxy", "send-proxy-v2-ssl-cn")))
        with open(f"{directory}/haproxy.cfg", "w", encoding="ascii") as file:
            file.write("defaults\n    mode tcp\n    timeout client 10s\n    timeout server 10s\n"
                       f"    timeout connect 10s\n{sides}")
        process = subprocess.Popen(["haproxy", "-db", "-f", f"{directory}/haproxy.cfg"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.terminate)

        def is_there():
            try:
                self.connect(("127.0.0.1", ports[1])).close()
                return True
            except ConnectionRefusedError:
                return False

        wait_for(is_there, "haproxy listens")
        for number in ports:
            client = self.connect(("127.0.0.1", number))
            self.assertEqual(client.get("/").status, 200)
            mine = f"127.0.0.1:{client.sock.getsockname()[1]}"
            wait_for(lambda mine=mine: any(line["client"] == mine for line in
                                           self.proxy.access_log()), f"{mine} in the log")


class Tcp(ProxyProtocol):
    def test_before_any_protocol(self):
        self.start(protocol="tcp", script=echo)
        for header, name in ((V1, "203.0.113.7:51234"), (V2, "203.0.113.7:51234")):
            client = self.connect(self.proxy)
            client.send(header + b"hello")
            self.assertEqual(client.read_exact(5), b"hello")
            found = self.proxy.get("/v1/connections")["connections"]
            self.assertEqual([c["client"] for c in found], [name])
            client.shut_write()
            self.assertTrue(client.closed_cleanly())
            wait_for(lambda: not self.proxy.get("/v1/connections")["connections"], "closed")
        self.assertEqual(self.last_line(2)["client"], "203.0.113.7:51234")

    def test_the_server_may_speak_first(self):
        self.start(protocol="tcp", script=lambda peer: peer.send("220 hello\r\n"))
        self.assertEqual(self.ask(V2), b"220 hello\r\n")

    def test_it_goes_on_to_the_server(self):
        got = []

        def script(peer):
            got.append(peer.wait_closed())

        self.start(protocol="tcp", script=script)
        self.proxy.patch("/v1/pools/main", {"send_proxy": "v1"})
        client = self.connect(self.proxy)
        client.send(V2 + b"hello")
        client.shut_write()
        wait_for(lambda: got, "the server got it")
        self.assertRegex(got[0], rb"\APROXY TCP4 203\.0\.113\.7 127\.0\.0\.1 51234 \d+\r\nhello\Z")

    def test_from_others_it_is_data(self):
        self.start(trusted=["192.0.2.1"], protocol="tcp", script=echo)
        client = self.connect(self.proxy)
        client.send(V1)
        self.assertEqual(client.read_exact(len(V1)), V1)

    def test_before_a_client_hello(self):
        got = []

        def script(peer):
            got.append(peer.sock.recv(65536))

        self.start(protocol="tls_passthrough", script=script)
        data = records(hello(sni(b"a.example")))
        for cut in (5, len(V2), len(V2) + 1, len(V2) + 30):
            self.ask(V2 + data, cuts=(cut,))
            wait_for(lambda: got, "the server got it")
            self.assertEqual(got.pop(), data)
        line = self.last_line(4)
        self.assertEqual((line["client"], line["host"]), ("203.0.113.7:51234", "a.example"))


if __name__ == "__main__":
    unittest.main()
