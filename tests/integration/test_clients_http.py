"""HTTP clients of other people at a listener with TLS: curl, nghttp, h2load, node; HTTP/1.1 and HTTP/2."""

import re
import tempfile
import unittest
from pathlib import Path

from lab import LabCase, config_for
from lab.certs import Authority
from lab.clients import NodeServer, node, run
from lab.ports import free_port


class ClientCase(LabCase):
    """lbd with the listeners `web` (TLS) and `clear` in front of a web server of node."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="lab-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.ca = Authority(self.folder / "ca")
        self.certificate = self.ca.issue("site", names=["DNS:localhost", "IP:127.0.0.1"])

    def start(self, script="web_server.js", server_args=(), pool=None, listener=None, **more):
        self.server = NodeServer(script, *server_args)
        self.addCleanup(self.server.stop)
        tls = {"certificates": ["site"]}
        config = config_for(
            self.server.address, pool=pool, listener={"tls": tls, **(listener or {})},
            certificates={
                "site": {
                    "chain_file": str(self.certificate.chain),
                    "key_file": str(self.certificate.key),
                }
            },
            **more,
        )
        config["listeners"]["clear"] = {"bind": ["127.0.0.1:0"], "default_pool": "main"}
        self.proxy = self.lbd(config)
        self.port = self.proxy.address("web")[1]
        self.clear_port = self.proxy.address("clear")[1]
        self.url = f"https://localhost:{self.port}"
        self.clear_url = f"http://localhost:{self.clear_port}"
        return self.proxy


class Curl(ClientCase):
    def curl(self, *args, url="/echo", check=True):
        return run("curl", "-sS", "--cacert", self.ca.certificate, "-o", self.folder / "body", "-w",
                   "%{http_version} %{response_code} %{num_connects}", *args, self.url + url,
                   check=check)

    def test_versions(self):
        self.start()
        for word, version in (("--http1.1", "1.1"), ("--http2", "2"), ("--http1.0", "1.1")):
            with self.subTest(word):
                sent = b"0123456789" * 30000
                (self.folder / "sent").write_bytes(sent)
                done = self.curl(word, "--data-binary", f"@{self.folder / 'sent'}")
                self.assertEqual(done.stdout.split()[:2], [version, "200"])
                self.assertEqual((self.folder / "body").read_bytes(), sent)

    def test_clear_http2(self):
        self.start()
        done = run("curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w",
                   "%{http_version} %{response_code} %{size_download}",
                   f"{self.clear_url}/size/3000000")
        self.assertEqual(done.stdout, "2 200 3000000")

    def test_an_upgrade_to_h2c_is_not_taken(self):
        self.start()
        done = run("curl", "-sS", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{response_code}",
                   f"{self.clear_url}/size/10")
        self.assertEqual(done.stdout, "1.1 200")

    def test_expect_continue(self):
        self.start()
        for word in ("--http1.1", "--http2"):
            (self.folder / "sent").write_bytes(b"x" * 2000000)
            done = self.curl(word, "-H", "Expect: 100-continue", "--data-binary",
                             f"@{self.folder / 'sent'}")
            self.assertEqual(done.stdout.split()[1], "200", word)
            self.assertEqual((self.folder / "body").stat().st_size, 2000000)

    def test_many_at_once_over_one_connection(self):
        self.start()
        urls = self.folder / "urls"
        urls.write_text("".join(
            f'url = "{self.url}/size/{1000 + i}"\noutput = "{self.folder}/part{i}"\n' for i in range(60)))
        done = run("curl", "-sS", "--cacert", self.ca.certificate, "--http2", "--parallel",
                   "--parallel-max", "60", "-w", "%{num_connects}\n", "-K", urls)
        self.assertEqual(sum(map(int, done.stdout.split())), 1)
        self.assertEqual([(self.folder / f"part{i}").stat().st_size for i in range(60)],
                         [1000 + i for i in range(60)])

    def test_a_name_the_certificate_does_not_have(self):
        self.start()
        done = run("curl", "-sS", "--cacert", self.ca.certificate, "--connect-to",
                   f"other.example::localhost:{self.port}", "https://other.example/", check=False)
        self.assertEqual(done.returncode, 60, done.stderr)

    def test_tls_versions(self):
        self.start(listener={"tls": {"certificates": ["site"], "min_version": "1.3"}})
        self.assertEqual(self.curl("--tls-max", "1.2", check=False).returncode, 35)
        self.assertEqual(self.curl("--tlsv1.3", url="/size/1").stdout.split()[1], "200")


class Others(ClientCase):
    def test_nghttp(self):
        self.start()
        done = run("nghttp", "-nsv", "-m", "20", f"{self.url}/size/20000")
        self.assertEqual(done.stdout.count(":status: 200"), 20, done.stdout[-3000:])
        self.assertIn("SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100", done.stdout)

    def test_h2load(self):
        self.start()
        for url in (self.url, self.clear_url):
            done = run("h2load", "-n", "2000", "-c", "10", "-m", "10", f"{url}/size/1000")
            self.assertRegex(done.stdout, r"2000 succeeded, 0 failed, 0 errored", done.stdout)
            self.assertIn("2000 2xx", done.stdout)

    def test_h2load_with_bodies_and_small_windows(self):
        self.start()
        body = self.folder / "body"
        body.write_bytes(b"y" * 100000)
        done = run("h2load", "-n", "200", "-c", "4", "-m", "8", "-w", "14", "-W", "15", "-d", body,
                   f"{self.url}/echo")
        self.assertRegex(done.stdout, r"200 succeeded, 0 failed, 0 errored", done.stdout)
        data = re.search(r"\((\d+)\) data", done.stdout)
        self.assertEqual(int(data[1]), 200 * 100000, done.stdout)

    def test_node(self):
        self.start()
        for url, ca in ((self.url, self.ca.certificate), (self.clear_url, "-")):
            with self.subTest(url):
                got = node("h2_client.js", url, ca)
                self.assertEqual(got, {
                    "Many": {"right": 500},
                    "Large": {"length": 8000000, "status": 200},
                    "Upload": {"same": True, "status": 200},
                    "Announced": {"same": True, "length": "12"},
                    "Cancelled": {"other": 100000},
                    "Settings": {"streams": 100, "connect": True},
                    "WebSocket": {"status": 200, "protocol": "lab", "heard": ["one", "two", "three"]},
                })

    def test_http2_to_a_server_of_nghttp2(self):
        """Both sides speak HTTP/2, the server nghttp2's; in clear, and with TLS by ALPN."""
        files = self.folder / "files"
        files.mkdir()
        (files / "large").write_bytes(b"z" * 3000000)
        for tls in (False, True):
            with self.subTest(tls=tls):
                server = NghttpdServer(files, self.certificate if tls else None)
                self.addCleanup(server.stop)
                pool = {"http_version": "2"}
                sections = {}
                if tls:
                    pool["tls"] = {"ca": "test", "server_name": "localhost"}
                    sections["ca_sets"] = {"test": {"file": str(self.ca.certificate)}}
                proxy = self.lbd(config_for(server.address, pool=pool, **sections))
                port = proxy.address("web")[1]
                done = run("h2load", "-n", "300", "-c", "3", "-m", "10",
                           f"http://localhost:{port}/large")
                self.assertRegex(done.stdout, r"300 succeeded, 0 failed, 0 errored", done.stdout)
                done = run("curl", "-sS", "--http1.1", "-o", "/dev/null", "-w",
                           "%{http_version} %{response_code} %{size_download}",
                           f"http://localhost:{port}/large")
                self.assertEqual(done.stdout, "1.1 200 3000000")


class NghttpdServer:
    """nghttpd on a port of its own."""

    def __init__(self, folder, certificate=None):
        import subprocess

        for _ in range(10):
            self.port = free_port()
            files = [certificate.key, certificate.chain] if certificate else ["--no-tls"]
            self.process = subprocess.Popen(
                ["nghttpd", "-a", "127.0.0.1", "-d", str(folder), str(self.port), *map(str, files)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            if self._is_there():
                self.address = f"127.0.0.1:{self.port}"
                return
            self.stop()
        raise AssertionError("nghttpd does not start")

    def _is_there(self):
        import socket

        from lab import wait_for

        def answers():
            if self.process.poll() is not None:
                return "ended"
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return "there"
            except OSError:
                return None

        return wait_for(answers, "nghttpd listens") == "there"

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class Openssl(ClientCase):
    def test_s_time_and_resumption(self):
        self.start()
        for words in (("-new",), ("-reuse", "-tls1_2"), ("-reuse",)):
            with self.subTest(words):
                done = run("openssl", "s_time", "-connect", f"localhost:{self.port}", "-CAfile",
                           self.ca.certificate, "-verify", "3", "-time", "2", "-www", "/size/10", *words)
                made = re.search(r"(\d+) connections in \d+ real", done.stdout)
                self.assertGreater(int(made[1]), 1, done.stdout)  # how many is this machine

    def test_reconnect_resumes(self):
        self.start()
        for version in ("-tls1_2", "-tls1_3"):
            done = run("openssl", "s_client", "-connect", f"localhost:{self.port}", "-CAfile",
                       self.ca.certificate, "-reconnect", version,
                       stdin="", check=False)
            if version == "-tls1_2":
                self.assertEqual(len(re.findall(r"^Reused, TLSv1\.2", done.stdout, re.M)), 5, done.stdout)


if __name__ == "__main__":
    unittest.main()
