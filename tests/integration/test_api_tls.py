"""The API over TCP: TLS, certificates of clients, tokens, and everything hostile."""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import warnings
from random import Random

from lab import TIMEOUT, Client, Closed, LabCase, config_for, run_lbd
from lab.certs import Authority, client_context


class Api(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="lab-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.ca = Authority(cls.folder, "test CA")
        cls.other_ca = Authority(cls.folder, "other CA")
        names = ["DNS:localhost", "DNS:lb1.example.com", "IP:127.0.0.1"]
        cls.renewed = cls.ca.issue("renewed", cn="localhost", names=names)
        cls.alice = cls.ca.issue("alice", cn="alice", names=["DNS:alice.ops.example.com"])
        cls.carol = cls.ca.issue("carol", cn="carol", names=["URI:spiffe://example.com/carol"])
        cls.nobody = cls.ca.issue("nobody", cn="nobody")
        cls.late = cls.ca.issue("late", cn="alice", days=-1)
        cls.mallory = cls.other_ca.issue("mallory", cn="alice", names=["DNS:alice.ops.example.com"])
        cls.names = names

    def start(self, **api):
        # a certificate of its own, for some tests replace it
        self.server = self.ca.issue(f"server-{self._testMethodName}", "localhost", self.names)
        settings = {
            "listen": ["127.0.0.1:0"],
            "tls": {
                "chain_file": str(self.server.chain),
                "key_file": str(self.server.key),
                "client_ca_file": str(self.ca.certificate),
            },
            "hosts": ["lb2.example.com", "*.lbs.example.com"],
            "certificates": {
                "admin": ["URI:spiffe://example.com/*"],
                "operate": ["DNS:*.ops.example.com"],
            },
            "limits": {"auth_failures_per_minute": 0},
        }
        settings.update(api)
        proxy = self.lbd(config_for(self.origin()), api=settings)
        (self.address,) = proxy.api_addresses()
        return proxy

    def open(self, certificate=None, **more):
        context = client_context(self.ca, certificate, **more)
        client = Client(self.address, tls=context)
        self.addCleanup(client.close)
        return client

    def ask(self, method, path, certificate=None, headers=None, body=None, host="localhost",
            **more):
        client = self.open(certificate, **more)
        answer = client.request(method, path, headers, body, host=host)
        client.close()
        return answer

    def audit(self):
        with open(self.audit_path) as lines:
            return [json.loads(line) for line in lines]

    # -- who -----------------------------------------------------------------------------------

    def test_both_versions_and_keep_alive(self):
        proxy = self.start()
        bearer = {"Authorization": "Bearer " + proxy.token("t", "read")}
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = self.open(version=version)
            self.assertEqual(client.sock.version(), version.name.replace("_", "."))
            for _ in range(3):
                answer = client.request("GET", "/v1/whoami", bearer, host="localhost")
                self.assertEqual(answer.status, 200)
                self.assertEqual(json.loads(answer.body)["identity"], "token t")
                self.assertEqual(json.loads(answer.body)["via"], "token")
        with warnings.catch_warnings(), self.assertRaises(ssl.SSLError):
            warnings.simplefilter("ignore", DeprecationWarning)
            self.open(version=ssl.TLSVersion.TLSv1_1)

    def test_curl(self):
        proxy = self.start()
        bearer = "Authorization: Bearer " + proxy.token("t", "read")
        url = f"https://localhost:{self.address[1]}/v1/whoami"
        ca = ["--cacert", str(self.ca.certificate)]
        mine = ["--cert", str(self.alice.chain), "--key", str(self.alice.key)]

        def curl(*args):
            return subprocess.run(["curl", "-sS", "--max-time", "10", "-w", " %{http_code}", *args],
                                  capture_output=True, text=True)

        for version in (["--tls-max", "1.2"], ["--tlsv1.3"], ["--http1.1"], ["--http2"]):
            done = curl(*ca, *version, "-H", bearer, url)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn('"token t"', done.stdout)
        self.assertIn('"via": "certificate"', curl(*ca, *mine, url).stdout)
        self.assertTrue(curl(*ca, url).stdout.endswith(" 401"))
        self.assertEqual(curl("--cacert", str(self.other_ca.certificate), url).returncode, 60)
        self.assertNotEqual(
            curl(*ca, "--cert", str(self.mallory.chain), "--key", str(self.mallory.key), url)
            .returncode, 0)
        self.assertNotEqual(curl(url.replace("https", "http")).returncode, 0)

    def test_what_openssl_sees(self):
        """Forward secrecy only, no renegotiation, no compression, the authority is named."""
        self.start()
        where = f"localhost:{self.address[1]}"

        def client(*args):
            return subprocess.run(
                ["openssl", "s_client", "-connect", where, "-CAfile", str(self.ca.certificate),
                 "-verify_return_error", *args],
                input="", capture_output=True, text=True, timeout=60)

        seen = client("-tls1_2")
        self.assertEqual(seen.returncode, 0, seen.stderr)
        self.assertIn("ECDHE", seen.stdout)
        self.assertIn("Secure Renegotiation IS supported", seen.stdout)
        self.assertIn("Compression: NONE", seen.stdout)
        self.assertIn("test CA", seen.stdout.partition("Acceptable client certificate CA names")[2])
        self.assertNotEqual(client("-tls1_2", "-cipher", "AES128-GCM-SHA256").returncode, 0)
        self.assertNotEqual(client("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA")
                            .returncode, 0)
        self.assertNotEqual(client("-alpn", "h2").returncode, 0)

    def test_min_version(self):
        server = self.ca.issue("server-13", "localhost", self.names)
        self.start(tls={"chain_file": str(server.chain), "key_file": str(server.key),
                        "min_version": "1.3"}, certificates={})
        self.assertEqual(self.ask("GET", "/v1/whoami").status, 401)
        with self.assertRaises(ssl.SSLError):
            self.open(version=ssl.TLSVersion.TLSv1_2)

    def test_certificates_have_roles(self):
        proxy = self.start()
        for certificate, who, role in (
            (self.alice, "certificate DNS:alice.ops.example.com", "operate"),
            (self.carol, "certificate URI:spiffe://example.com/carol", "admin"),
        ):
            answer = self.ask("GET", "/v1/whoami", certificate)
            self.assertEqual(
                json.loads(answer.body), {"identity": who, "role": role, "via": "certificate"}
            )
        body = {"Content-Type": "application/json"}
        drain = b'{"state":"drain","reason":"by certificate"}'
        state = "/v1/pools/main/servers/a/admin-state"
        self.assertEqual(self.ask("PUT", state, self.alice, body, drain).status, 200)
        self.assertEqual(proxy.get(state)["override"]["who"],
                         "certificate DNS:alice.ops.example.com")
        self.assertEqual(self.ask("PUT", "/v1/pools/new", self.alice, body, b"{}").status, 403)
        self.assertEqual(self.ask("PUT", "/v1/pools/new", self.carol, body, b"{}").status, 201)
        # known to the authority, but to nobody here
        self.assertEqual(self.ask("GET", "/v1/whoami", self.nobody).status, 403)
        # a token that is shown counts, and a wrong one is not made good by a certificate
        token = {"Authorization": "Bearer " + proxy.token("r", "read")}
        answer = self.ask("GET", "/v1/whoami", self.carol, token)
        self.assertEqual(json.loads(answer.body)["identity"], "token r")
        wrong = {"Authorization": "Bearer lbd_" + "x" * 43}
        self.assertEqual(self.ask("GET", "/v1/whoami", self.carol, wrong).status, 401)

    def test_wrong_certificates_end_the_handshake(self):
        proxy = self.start()
        for certificate in (self.mallory, self.late):
            with self.assertRaises((ssl.SSLError, Closed, ConnectionError)):
                self.ask("GET", "/v1/whoami", certificate)
        proxy.wait_metric(2, "lbd_api_auth_failures_total", reason="handshake")
        proxy.wait_log("api.handshake_failed")
        # and we are believed only by those who trust our authority
        with self.assertRaises(ssl.SSLCertVerificationError):
            Client(self.address, tls=client_context(self.other_ca))
        self.assertEqual(self.ask("GET", "/v1/whoami", self.alice).status, 200)

    def test_tokens_expire_and_are_revoked(self):
        proxy = self.start()
        short = {"Authorization": "Bearer " + proxy.token("short", "read", expires="1s")}
        long = {"Authorization": "Bearer " + proxy.token("long", "read", expires="30d")}
        client = self.open()
        self.assertEqual(client.request("GET", "/v1/config", long, host="localhost").status, 200)
        self.wait_for(
            lambda: self.ask("GET", "/v1/config", headers=short).status == 401, "its expiry"
        )
        self.assertEqual(client.request("GET", "/v1/config", long, host="localhost").status, 200)
        proxy.delete("/v1/tokens/long")
        # on the connection that it opened, too
        self.assertEqual(client.request("GET", "/v1/config", long, host="localhost").status, 401)
        self.assertGreaterEqual(
            proxy.metric("lbd_api_auth_failures_total", reason="expired_token"), 1
        )
        self.wait_for(
            lambda: proxy.metric("lbd_api_auth_failures_total", reason="bad_token") >= 1, "lbd_api_auth_failures_total")

    def test_who_is_no_longer_let_in_hears_no_more(self):
        proxy = self.start()
        watchers = []
        for n, more in enumerate(({}, {"expires": "30d"}, {})):
            secret = proxy.token(f"w{n}", "read", **more)
            client = self.open()
            client.send_request("GET", "/v1/watch", {"Authorization": f"Bearer {secret}"},
                                host="localhost")
            self.assertEqual(client.read_head().status, 200)
            watchers.append(client)
        proxy.delete("/v1/tokens/w0")
        proxy.token("w1", "read")  # the same name, another secret
        for client in watchers[:2]:  # a token is looked at once in a second
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                client.read_rest()
        proxy.put("/v1/pools/after", {})
        self.wait_for(lambda: watchers[2].reader.fill() and b"config.applied" in
                      bytes(watchers[2].reader.buffer), "the event for who is still let in")

    def test_tokens_survive_a_restart_and_their_secrets_are_nowhere(self):
        proxy = self.start()
        secret = proxy.token("t", "operate", note="of the shop")
        proxy.stop()
        path = proxy.state_directory / "tokens"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(secret[4:], path.read_text())
        self.assertNotIn(secret[4:], proxy.log_text())
        proxy.restart()
        self.address = proxy.api_addresses()[-1]
        answer = self.ask("GET", "/v1/whoami", headers={"Authorization": f"Bearer {secret}"})
        self.assertEqual(json.loads(answer.body)["role"], "operate")
        # a line written by hand is read without being told
        path.write_text("")
        answer = self.ask("GET", "/v1/whoami", headers={"Authorization": f"Bearer {secret}"})
        self.assertEqual(answer.status, 401)

    # -- hosts, browsers -----------------------------------------------------------------------

    def test_hosts(self):
        proxy = self.start()
        bearer = {"Authorization": "Bearer " + proxy.token("t", "read")}
        for host, status in (
            ("localhost", 200), ("127.0.0.1", 200), ("127.0.0.1:9443", 200), ("[::1]:1", 200),
            ("lb1.example.com", 200), ("LB1.example.com:9443", 200),  # in the certificate
            ("lb2.example.com", 200), ("a.lbs.example.com", 200), ("lbs.example.com", 403),
            ("evil.example.com", 403), ("127.0.0.1.evil.com", 403), ("lb1.example.com.evil", 403),
        ):
            with self.subTest(host=host):
                self.assertEqual(self.ask("GET", "/v1/config", headers=bearer, host=host).status,
                                 status)
        # to whoever has no token, the same is said: nothing is learnt by asking
        self.assertEqual(self.ask("GET", "/v1/config", host="evil.example.com").status, 403)

    def test_web_pages(self):
        proxy = self.start()
        bearer = {"Authorization": "Bearer " + proxy.token("t", "admin")}
        for more in ({"Origin": "https://evil.example"}, {"Origin": "null"},
                     {"Sec-Fetch-Mode": "no-cors"}):
            answer = self.ask("GET", "/v1/config", headers={**bearer, **more})
            self.assertEqual(answer.status, 403)
        form = {**bearer, "Content-Type": "text/plain"}
        answer = self.ask("PUT", "/v1/pools/x", headers=form, body=b"{}")
        self.assertEqual(answer.status, 415)

    # -- hostile -------------------------------------------------------------------------------

    def test_both_framings_are_refused_through_tls(self):
        proxy = self.start()
        secret = proxy.token("t", "admin")
        client = self.open()
        client.send(
            "PUT /v1/pools/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {secret}\r\nContent-Length: 7\r\n"
            "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            "DELETE /v1/pools/main HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {secret}\r\n\r\n"
        )
        answer = client.read_response()
        self.assertEqual(answer.status, 400)
        self.assertEqual(client.read_rest(), b"")
        self.assertEqual(sorted(proxy.get("/v1/pools")), ["main"])

    def test_two_tokens_are_one_too_many(self):
        proxy = self.start()
        bearer = "Bearer " + proxy.token("t", "read")
        for pair in ([bearer, "Bearer lbd_x"], ["Bearer lbd_x", bearer], [bearer, bearer]):
            answer = self.ask("GET", "/v1/config", headers=[("Authorization", t) for t in pair])
            self.assertEqual(answer.status, 400)

    def test_heads_that_are_too_large(self):
        self.start()
        client = self.open()
        client.send(b"GET /v1/config HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70000)
        client.send(b"\r\n\r\n")
        self.assertIn(client.read_head().status, (400, 413, 414, 431))
        self.assertEqual(self.ask("GET", "/v1/whoami", self.alice).status, 200)

    def test_what_is_no_tls(self):
        self.start()
        for noise in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0" * 600, os.urandom(4000),
                      b"\x16\x03\x01\x40\x00" + b"\1" * 20000, b"\x16\x03\x01"):
            with Client(self.address) as client:
                client.send(noise)
                with contextlib.suppress(OSError):
                    client.shut_write()
                    self.assertNotIn(b"HTTP/", client.read_rest())
        self.assertEqual(self.ask("GET", "/v1/whoami", self.alice).status, 200)

    def test_silent_clients_are_cut_and_others_served(self):
        proxy = self.start(limits={"handshake_timeout": "300ms", "connections_per_address": 4,
                                   "auth_failures_per_minute": 0})
        began = time.monotonic()
        silent = [Client(self.address) for _ in range(3)]
        half = socket.create_connection(self.address, timeout=30)
        half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # the begin of a hello
        over = Client(self.address)  # one more than is allowed from one address
        self.assertTrue(over.closed_cleanly())
        for client in silent:
            try:
                self.assertEqual(client.read_rest(), b"")
            except ConnectionError:
                pass
            client.close()
        with contextlib.suppress(ConnectionError):
            half.recv(100)
        half.close()
        self.assertLess(time.monotonic() - began, TIMEOUT)
        self.assertEqual(self.ask("GET", "/v1/whoami", self.alice).status, 200)
        proxy.wait_log("it took too long")

    def test_slow_heads_do_not_hold_others_up(self):
        self.start()
        slow = [self.open() for _ in range(20)]
        for n in range(5):
            for client in slow:
                client.send(b"G" if n == 0 else b"E")
            self.assertEqual(self.ask("GET", "/v1/whoami", self.alice).status, 200)

    def test_clients_that_do_not_read(self):
        """A large answer waits for its client and for nobody else; little of it is in memory."""
        proxy = self.start()
        servers = {f"s{n}": {"address": f"127.0.0.1:{1000 + n}"} for n in range(20000)}
        proxy.put("/v1/pools/large", {"servers": servers})
        before = proxy.resident_kb()
        context = client_context(self.ca, self.alice)
        deaf = [Client(self.address, tls=context, receive_buffer=4096) for _ in range(4)]
        for client in deaf:
            client.send_request("GET", "/v1/pools/large", host="localhost")
        for _ in range(5):
            self.assertEqual(self.ask("GET", "/v1/whoami", self.alice).status, 200)
        self.assertLess(proxy.resident_kb() - before, 200 * 1024)
        answer = deaf[0].read_response()  # it was only slow
        self.assertEqual(len(json.loads(answer.body)["servers"]), 20000)
        for client in deaf:
            client.close()

    def test_large_bodies_and_half_close(self):
        proxy = self.start()
        servers = {f"s{n}": {"address": f"127.0.0.1:{1000 + n}"} for n in range(20000)}
        body = json.dumps({"servers": servers}).encode()
        self.assertGreater(len(body), 700000)
        answer = self.ask("PUT", "/v1/pools/large", self.carol,
                          {"Content-Type": "application/json"}, body)
        self.assertEqual(answer.status, 201, answer.text[:300])
        self.assertEqual(len(proxy.get("/v1/pools/large")["servers"]), 20000)
        # the client ends its side right behind the request (close_notify and FIN)
        with socket.create_connection(self.address, timeout=30) as sock:
            come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client_context(self.ca, self.alice).wrap_bio(come, go, False, "localhost")

            def step(call):
                """One call of `tls`; moves bytes until it is done. None: the end."""
                while True:
                    try:
                        return call()
                    except ssl.SSLWantReadError:
                        if go.pending:
                            sock.sendall(go.read())
                        data = sock.recv(65536)
                        come.write(data) if data else come.write_eof()

            step(tls.do_handshake)
            tls.write(b"GET /v1/pools/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with self.assertRaises(ssl.SSLWantReadError):
                tls.unwrap()
            sock.sendall(go.read())
            sock.shutdown(socket.SHUT_WR)
            text = b""
            with contextlib.suppress(ssl.SSLZeroReturnError):
                while data := step(lambda: tls.read(65536)):
                    text += data
        self.assertTrue(text.startswith(b"HTTP/1.1 200 "), text[:100])
        document = json.loads(text.partition(b"\r\n\r\n")[2])
        self.assertEqual(len(document["servers"]), 20000)

    def test_an_answer_before_the_body_is_heard(self):
        """Who is not let in is told so, though it still sends megabytes."""
        self.start()
        client = self.open(self.alice)
        body = b"[" + b"1," * 4000000 + b"1]"
        client.send_request("PUT", "/v1/config", {"Content-Type": "application/json"}, body,
                            host="localhost")
        self.assertEqual(client.read_head().status, 403)

    def test_connections_that_are_reset(self):
        proxy = self.start()
        for _ in range(30):
            client = self.open(self.alice)
            client.send_request("GET", "/v1/config", host="localhost")
            sock = socket.socket(fileno=os.dup(client.sock.fileno()))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sock.close()
            sock.close()
        for _ in range(10):
            with Client(self.address) as client:
                client.send(b"\x16\x03\x01")
                client.abort()
        self.assertEqual(self.ask("GET", "/v1/whoami", self.alice).status, 200)
        self.assertTrue(proxy.is_running())

    def test_a_storm(self):
        """Clients that do anything, many at once; then everything is as before."""
        proxy = self.start(limits={"connections": 256, "connections_per_address": 256,
                                   "handshake_timeout": "1s", "auth_failures_per_minute": 0})
        secret = proxy.token("t", "admin")
        servers = {f"s{n}": {"address": f"127.0.0.1:{1000 + n}"} for n in range(2000)}
        proxy.put("/v1/pools/large", {"servers": servers})
        large = json.dumps({"servers": servers}).encode()
        files = len(os.listdir(f"/proc/{proxy.pid}/fd"))

        def reset(sock):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()

        def one(random, holder):
            head = (f"GET /v1/pools/large HTTP/1.1\r\nHost: localhost\r\n"
                    f"Authorization: Bearer {secret}\r\n\r\n").encode()
            put = (f"PUT /v1/pools/large?dry_run=true HTTP/1.1\r\nHost: localhost\r\n"
                   f"Authorization: Bearer {secret}\r\nContent-Type: application/json\r\n"
                   f"Content-Length: {len(large)}\r\n\r\n").encode() + large
            raw = socket.create_connection(self.address, timeout=5)
            holder.callback(raw.close)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, random.choice([4096, 65536]))
            kind = random.randrange(8)
            if kind == 0:  # noise
                raw.sendall(random.randbytes(random.randrange(1, 3000)))
                return random.choice([reset, socket.socket.close])(raw)
            if kind == 1:  # part of a hello
                bio, out = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = client_context(self.ca).wrap_bio(bio, out, False, "localhost")
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                hello = out.read()
                raw.sendall(hello[: random.randrange(1, len(hello) + 1)])
                return random.choice([reset, socket.socket.close])(raw)
            tls = client_context(self.ca).wrap_socket(raw, server_hostname="localhost")
            sock = socket.socket(fileno=os.dup(tls.fileno()))
            holder.callback(sock.close)
            holder.callback(tls.close)
            if kind == 2:  # noise where records should be
                tls.sendall(head[: random.randrange(1, len(head))])
                sock.send(random.randbytes(100))
            elif kind == 3:  # a body that is cut
                tls.sendall(put[: random.randrange(1, len(put))])
            elif kind == 4:  # an answer that is not read
                tls.sendall(head)
                tls.recv(random.randrange(1, 5000))
            elif kind == 5:  # requests in a row, then the end
                tls.sendall(head * random.randrange(1, 4))
                sock.shutdown(socket.SHUT_WR)
            elif kind == 6:  # all of it
                tls.sendall(put)
                tls.recv(100)
            else:
                tls.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                while len(tls.recv(65536)) > 0 and random.random() < 0.8:
                    pass
            tls.close()
            random.choice([reset, socket.socket.close])(sock)

        def many(seed):
            random = Random(seed)
            for _ in range(25):
                # also ssl.SSLError: it may be refused
                with contextlib.suppress(OSError), contextlib.ExitStack() as holder:
                    one(random, holder)

        threads = [threading.Thread(target=many, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answer = self.ask("GET", "/v1/pools/large", headers={"Authorization": f"Bearer {secret}"})
        self.assertEqual(len(json.loads(answer.body)["servers"]), 2000)
        self.wait_for(lambda: len(os.listdir(f"/proc/{proxy.pid}/fd")) <= files + 1,
                      "all descriptors to be closed", 20)

    # -- certificates that change ---------------------------------------------------------------

    def serial(self):
        client = self.open(self.alice)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(True)))
            file.flush()
            out = subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", file.name],
                                 capture_output=True, text=True, check=True).stdout
        return out.strip().partition("=")[2]

    def test_a_certificate_is_swapped_while_serving(self):
        proxy = self.start()
        old = self.open(self.alice)
        self.assertEqual(old.request("GET", "/v1/whoami", host="localhost").status, 200)
        self.assertEqual(self.serial(), self.server.serial())
        self.server.replace_with(self.renewed)
        self.assertEqual(self.serial(), self.renewed.serial())
        proxy.wait_log("api.certificate_read")
        # who was connected stays so
        self.assertEqual(old.request("GET", "/v1/whoami", host="localhost").status, 200)

    def test_a_bad_certificate_leaves_the_old_one(self):
        proxy = self.start()
        serial = self.server.serial()
        self.server.chain.write_text("nothing\n")
        self.assertEqual(self.serial(), serial)
        proxy.wait_log("error api.certificate_kept")
        self.assertEqual(self.serial(), serial)
        self.assertEqual(proxy.log_text().count("api.certificate_kept"), 1)
        proxy.send_signal(signal.SIGHUP)  # asked again, told again
        self.wait_for(lambda: proxy.log_text().count("api.certificate_kept") == 2, "the SIGHUP")
        self.server.replace_with(self.renewed)
        proxy.send_signal(signal.SIGHUP)
        self.wait_for(lambda: self.serial() == self.renewed.serial(), "the new certificate")

    # -- limits and audit ------------------------------------------------------------------------

    def test_failures_are_limited(self):
        proxy = self.start(limits={"auth_failures_per_minute": 3})
        bearer = {"Authorization": "Bearer " + proxy.token("t", "read")}
        for _ in range(3):
            self.assertEqual(self.ask("GET", "/v1/config").status, 401)
        answer = self.ask("GET", "/v1/config")
        self.assertEqual(answer.status, 429)
        self.assertIn(int(answer.get("Retry-After")), range(1, 21))
        self.assertIn("rate-limited", answer.text)
        self.assertEqual(self.ask("GET", "/v1/config", headers=bearer).status, 200)
        proxy.wait_metric(1, "lbd_api_rate_limited_total")

    def test_writes_are_limited_but_not_on_the_unix_socket(self):
        proxy = self.start(limits={"writes_per_second": 1, "write_burst": 3})
        json_type = {"Content-Type": "application/json"}
        client = self.open(self.carol)

        def write():
            return client.request("PUT", "/v1/pools/x", json_type, b'{"servers":{}}', host="localhost").status
        self.assertEqual([write() for _ in range(3)], [201, 200, 200])
        # one a second may go on: whoever writes as fast as it can meets the limit
        self.wait_for(lambda: write() == 429, "the limit")
        self.assertEqual(self.ask("GET", "/v1/pools", self.carol).status, 200)  # looking is free
        for n in range(50):
            proxy.put("/v1/pools/x", {"retries": n % 3})

    def test_the_audit(self):
        self.audit_path = os.path.join(tempfile.mkdtemp(dir=self.folder), "audit.log")
        proxy = self.start(audit={"path": self.audit_path})
        secret = proxy.token("ci", "read")
        json_type = {"Content-Type": "application/json"}
        etag = proxy.api("GET", "/v1/pools/main").etag
        proxy.put("/v1/pools/new", {"servers": {"a": {"address": "127.0.0.1:1"}}})
        proxy.patch("/v1/pools/main", {"retries": 2}, headers={"If-Match": etag})
        proxy.put("/v1/pools/dry?dry_run=true", {})
        self.assertEqual(proxy.api("PUT", "/v1/pools/bad", {"nonsense": 1}).status, 422)
        bearer = {"Authorization": f"Bearer {secret}"}
        self.assertEqual(self.ask("DELETE", "/v1/pools/new", headers=bearer).status, 403)
        self.assertEqual(self.ask("GET", "/v1/config").status, 401)
        self.assertEqual(self.ask("GET", "/v1/config", headers=bearer).status, 200)  # no line
        self.assertEqual(
            self.ask("PUT", "/v1/pools/new", self.carol, json_type, b"{}").status, 200)
        lines = self.audit()
        self.assertEqual(lines[0]["event"], "opened")
        self.assertNotIn(secret[4:], json.dumps(lines))
        short = [(e["method"], e["path"], e["status"], e["event"]) for e in lines[1:]]
        self.assertEqual(short, [
            ("PUT", "/v1/tokens/ci", 201, "write"),
            ("PUT", "/v1/pools/new", 201, "write"),
            ("PATCH", "/v1/pools/main", 200, "write"),
            ("PUT", "/v1/pools/dry", 201, "write"),
            ("PUT", "/v1/pools/bad", 422, "write"),
            ("DELETE", "/v1/pools/new", 403, "denied"),
            ("GET", "/v1/config", 401, "denied"),
            ("PUT", "/v1/pools/new", 200, "write"),
        ])
        token, new, patch, dry, _, denied, unknown, carol = lines[1:]
        self.assertEqual(token["via"], "unix")
        self.assertEqual(new["revision"], new["revision_before"] + 1)
        self.assertEqual(new["changes"], ["/pools/new"])
        self.assertEqual(patch["changes"], ["/pools/main/retries"])
        self.assertEqual(patch["if_match"], etag)
        self.assertTrue(dry["dry_run"])
        self.assertEqual(dry["revision"], dry["revision_before"])
        self.assertEqual(denied["identity"], "token ci")
        self.assertEqual(denied["reason"], "role")
        self.assertEqual(unknown["reason"], "no_credentials")
        self.assertEqual(carol["via"], "certificate")
        ids = [line["request_id"] for line in lines[1:]]
        self.assertEqual(len(set(ids)), len(ids))
        proxy.wait_log(ids[1])

        told = proxy.get("/v1/events?types=api.denied")["events"]
        self.assertEqual([(e["name"], e["message"]) for e in told], [
            ("token ci", "DELETE /v1/pools/new: 403"), ("tcp 127.0.0.1", "GET /v1/config: 401")])

        os.rename(self.audit_path, self.audit_path + ".1")
        proxy.send_signal(signal.SIGUSR1)
        self.wait_for(lambda: os.path.exists(self.audit_path), "the new file")
        proxy.put("/v1/pools/new", {"retries": 1})
        self.assertEqual([line["event"] for line in self.audit()], ["opened", "write"])

    def test_refusals_fill_no_disk(self):
        self.audit_path = os.path.join(tempfile.mkdtemp(dir=self.folder), "audit.log")
        proxy = self.start(audit={"path": self.audit_path})
        bearer = {"Authorization": "Bearer " + proxy.token("ci", "read")}
        began = time.monotonic()
        for _ in range(200):
            self.assertEqual(self.ask("DELETE", "/v1/pools/main", headers=bearer).status, 403)
        for _ in range(100):
            self.assertEqual(self.ask("GET", "/v1/config", host="evil.example").status, 403)
        denied = [line for line in self.audit() if line["event"] == "denied"]
        # 60 for each of the two, and one more each second
        self.assertIn(len(denied), range(120, int(120 + 2 * (time.monotonic() - began)) + 3))
        proxy.wait_metric(200, "lbd_api_auth_failures_total", reason="role")
        proxy.wait_metric(100, "lbd_api_auth_failures_total", reason="host")
        proxy.put("/v1/pools/x", {})
        told = [line["untold"] for line in self.audit() if "untold" in line]
        self.assertEqual(sum(told) + len(denied), 300)

    def test_nothing_is_changed_unseen(self):
        """The audit takes no more: writes are refused until it does."""
        self.audit_path = os.path.join(tempfile.mkdtemp(dir=self.folder), "audit.log")
        proxy = self.start(audit={"path": self.audit_path})
        proxy.put("/v1/pools/x", {})
        # a limit on the size of the process's files stands for a full disk
        size = os.path.getsize(self.audit_path)
        subprocess.run(["prlimit", f"--pid={proxy.pid}", f"--fsize={size + 20}:unlimited"],
                       check=True)
        statuses = [proxy.api("PUT", f"/v1/tokens/t{n}", {"role": "read"}).status
                    for n in range(3)]
        self.assertEqual(statuses[-1], 503)
        self.assertEqual(proxy.api("GET", "/v1/config").status, 200)
        subprocess.run(["prlimit", f"--pid={proxy.pid}", "--fsize=unlimited:unlimited"], check=True)
        proxy.put("/v1/pools/y", {})
        self.assertIn("resumed", [line["event"] for line in self.audit()])
        self.assertEqual(self.audit()[-1]["path"], "/v1/pools/y")


class Settings(LabCase):
    """What lbd -t and the start say."""

    def check(self, api, want, place="#/daemon/api/"):
        folder = tempfile.mkdtemp(prefix="lab-")
        self.addCleanup(shutil.rmtree, folder, True)
        path = os.path.join(folder, "lbd.json")
        with open(path, "w") as file:
            json.dump({"daemon": {"user": "", "state_dir": folder + "/state", "api": api}}, file)
        done = run_lbd("-t", "-c", path)
        if want is None:
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            return
        self.assertEqual(done.returncode, 78)
        self.assertIn(want, done.stderr)
        self.assertRegex(done.stderr, place)
        done = run_lbd("-t", "--json", "-c", path)
        report = json.loads(done.stdout)
        self.assertFalse(report["valid"])
        self.assertGreaterEqual(len(report["errors"]), 1)
        self.assertTrue(all(e["pointer"].startswith("#/daemon/api/") for e in report["errors"]))
        done = run_lbd("-c", path)
        self.assertEqual(done.returncode, 78)
        self.assertIn(want, done.stderr)

    def test_what_is_said(self):
        folder = tempfile.mkdtemp(prefix="lab-tls-")
        self.addCleanup(shutil.rmtree, folder, True)
        ca = Authority(folder)
        server = ca.issue("server", "localhost", ["DNS:localhost"])
        other = ca.issue("other", "localhost", ["DNS:localhost"])
        tls = {"chain_file": str(server.chain), "key_file": str(server.key)}
        sock = f"unix:{folder}/api.sock"
        self.check({"listen": [sock, "127.0.0.1:0"], "tls": tls}, None)
        self.check({"listen": [sock, "127.0.0.1:0"]}, "#/daemon/api/listen/1: must be a unix")
        self.check({"listen": ["0.0.0.0:0"], "insecure": True}, "#/daemon/api/listen/0: must be")
        self.check({"listen": [sock], "tls": {"chain_file": "/nowhere"}},
                   "#/daemon/api/tls/key_file: 'key_file' must be set")
        self.check({"listen": [sock, "127.0.0.1:0"], "tls": {**tls, "chain_file": "/nowhere"}},
                   "daemon.api.tls: cannot open the certificate '/nowhere'",
                   r"lbd.json:1:\d+: #/daemon/api/tls/chain_file: ")
        self.check({"listen": [sock, "127.0.0.1:0"], "tls": {**tls, "key_file": str(other.key)}},
                   "is not that of the certificate")
        os.chmod(other.key, 0o644)
        self.check({"listen": [sock, "127.0.0.1:0"], "tls": {**tls, "key_file": str(other.key)}},
                   "is open to others")
        self.check({"listen": [sock], "certificates": {"admin": ["alice"]}},
                   "#/daemon/api/certificates/admin/0: must be")
        tokens = os.path.join(folder, "tokens")
        with open(tokens, "w") as file:
            file.write("# mine\nci root abc -\n")
        os.chmod(tokens, 0o600)
        self.check({"listen": [sock], "tokens_file": tokens},
                   "tokens' (daemon.api.tokens_file), line 2",
                   "#/daemon/api/tokens_file: ")


if __name__ == "__main__":
    unittest.main()
