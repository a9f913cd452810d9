"""How TCP connections come to their servers: named by PROXY headers, over TLS."""

import hashlib
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import unittest

from lab import LabCase, config_for, wait_for
from lab.certs import Authority, server_context
from lab.ports import free_port


def echo(peer):
    while True:
        data = peer.sock.recv(65536)
        if not data:
            return
        peer.send(data)


class ProxyOut(LabCase):
    def start(self, server, version, listener=None):
        return self.lbd(config_for(server, listener={"protocol": "tcp", **(listener or {})},
                                   pool={"send_proxy": version}))

    def header(self, version, listener=None):
        """What the server gets of a client that says "hello", and the client's address."""
        got = []
        done = threading.Event()

        def script(peer):
            got.append(peer.wait_closed())
            done.set()

        proxy = self.start(self.origin(script), version, listener)
        target = proxy
        if listener:
            target = listener["bind"][0].removeprefix("unix:")
        client = self.connect(target)
        client.send("hello")
        client.shut_write()
        self.assertTrue(done.wait(60))
        return got[0], client, proxy

    def test_version_1(self):
        got, client, proxy = self.header("v1")
        port = client.sock.getsockname()[1]
        self.assertEqual(got, f"PROXY TCP4 127.0.0.1 127.0.0.1 {port} {proxy.port()}\r\nhello".encode())

    def test_version_2(self):
        got, client, proxy = self.header("v2")
        port = client.sock.getsockname()[1]
        self.assertEqual(got, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([127, 0, 0, 1] * 2)
                         + port.to_bytes(2, "big") + proxy.port().to_bytes(2, "big") + b"hello")

    def test_a_local_client(self):
        directory = tempfile.mkdtemp(prefix="lab-unix-")
        self.addCleanup(shutil.rmtree, directory)
        got, _, _ = self.header("v1", {"bind": [f"unix:{directory}/front.sock"]})
        self.assertEqual(got, b"PROXY UNKNOWN\r\nhello")

    def test_the_server_may_speak_first(self):
        def script(peer):
            peer.reader.line()
            peer.send("220 hello\r\n")

        client = self.connect(self.start(self.origin(script), "v1"))
        self.assertEqual(client.read_rest(), b"220 hello\r\n")

    def run_peer(self, command, port):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)

        def end():
            process.terminate()
            process.communicate(timeout=60)

        self.addCleanup(end)

        def is_there():
            self.assertIsNone(process.poll(), "it ended")
            try:
                self.connect(("127.0.0.1", port)).close()
                return True
            except ConnectionRefusedError:
                return False

        wait_for(is_there, f"{command[0]} listens")

    def ask(self, proxy):
        """Who the server behind nginx or haproxy says that the client is."""
        client = self.connect(proxy)
        answer = client.get("/")
        self.assertEqual(answer.status, 200, answer)
        return answer.get("Who"), f"127.0.0.1:{client.sock.getsockname()[1]}"

    @unittest.skipUnless(shutil.which("nginx"), "no nginx")
    def test_nginx_believes_it(self):
        directory = tempfile.mkdtemp(prefix="lab-nginx-")
        self.addCleanup(shutil.rmtree, directory)
        os.chmod(directory, 0o755)
        port = free_port()
        with open(f"{directory}/nginx.conf", "w", encoding="ascii") as file:
            file.write(f"""daemon off; master_process off; pid {directory}/pid; error_log stderr;
events {{}}
http {{ access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{ listen 127.0.0.1:{port} proxy_protocol;
  add_header Who $proxy_protocol_addr:$proxy_protocol_port; return 200 "ok"; }} }}
""")
        self.run_peer(["nginx", "-c", f"{directory}/nginx.conf", "-e", "stderr"], port)
        for version in ("v1", "v2"):
            who, client = self.ask(self.start(f"127.0.0.1:{port}", version))
            self.assertEqual(who, client, version)

    @unittest.skipUnless(shutil.which("haproxy"), "no haproxy")
    def test_haproxy_believes_it(self):
        directory = tempfile.mkdtemp(prefix="lab-haproxy-")
        self.addCleanup(shutil.rmtree, directory)
        port = free_port()
        with open(f"{directory}/haproxy.cfg", "w", encoding="ascii") as file:
            file.write(f"""defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend f
    bind 127.0.0.1:{port} accept-proxy
    http-request return status 200 hdr Who %[src]:%[src_port] content-type text/plain string ok
""")
        self.run_peer(["haproxy", "-db", "-f", f"{directory}/haproxy.cfg"], port)
        for version in ("v1", "v2"):
            who, client = self.ask(self.start(f"127.0.0.1:{port}", version))
            self.assertEqual(who, client, version)


class TlsOut(LabCase):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp(prefix="lab-tls-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.ca = Authority(self.directory)
        self.good = self.ca.issue("good", "localhost", ["DNS:localhost", "IP:127.0.0.1"])

    def start(self, script, certificate=None, version=None, **pool):
        context = server_context(certificate or self.good, version=version)
        self.server = self.origin(script, tls=context)
        pool.setdefault("tls", {"ca": "ours"})
        return self.lbd(config_for(
            self.server, listener={"protocol": "tcp"}, pool=pool,
            ca_sets={"ours": {"file": str(self.ca.certificate)}}))

    def test_bytes_both_ways(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = self.connect(self.start(echo, version=version))
            for size in (1, 100, 70000, 500000):
                data = os.urandom(size)
                sender = threading.Thread(target=client.send, args=(data,))
                sender.start()
                self.assertEqual(client.read_exact(size), data)
                sender.join()

    def test_the_server_speaks_first(self):
        client = self.connect(self.start(lambda peer: peer.send("220 hello\r\n")))
        self.assertEqual(client.read_rest(), b"220 hello\r\n")

    def test_half_close_of_the_client(self):
        def script(peer):
            total = 0
            while True:
                data = peer.sock.recv(65536)
                if not data:
                    break
                total += len(data)
            peer.send("got %d" % total)

        client = self.connect(self.start(script))
        client.send(b"x" * 100000)
        client.shut_write()
        self.assertEqual(client.read_rest(), b"got 100000")

    def test_much(self):
        piece = os.urandom(1_000_000)

        def script(peer):
            for _ in range(20):
                peer.send(piece)

        client = self.connect(self.start(script))
        got = hashlib.sha256(client.read_rest()).hexdigest()
        self.assertEqual(got, hashlib.sha256(piece * 20).hexdigest())

    def test_one_that_is_not_trusted(self):
        other = Authority(self.directory + "/other", "other CA")
        proxy = self.start(echo, certificate=other.issue("bad", "localhost", ["IP:127.0.0.1"]),
                           retries=0)
        client = self.connect(proxy)
        client.send("secret")
        self.assertEqual(client.read_rest(), b"")
        line = proxy.wait_access_log(1)[0]
        self.assertEqual(line["reason"], "server_tls_unverified")
        self.assertEqual(self.server.requests, [])


if __name__ == "__main__":
    unittest.main()
