"""TLS to clients: names, certificates, versions, protocols, tickets, and everything hostile."""

import base64
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import warnings

from lab import Client, LabCase, config_for
from lab.certs import Authority, client_context

OPENSSL_LIMIT_S = 60


def certificate(pair):
    return {"chain_file": str(pair.chain), "key_file": str(pair.key)}


def s_client(port, *args, stdin=""):
    """What `openssl s_client` says; its exit code does not matter."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *[str(a) for a in args]],
        input=stdin, capture_output=True, text=True, timeout=OPENSSL_LIMIT_S,
    )
    return done.stdout + done.stderr


class Tls(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="lab-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.ca = Authority(cls.folder, "test CA")
        cls.other_ca = Authority(cls.folder, "other CA")
        cls.shop = cls.ca.issue("shop", cn="shop", names=["DNS:localhost", "DNS:shop.test"])
        cls.shop_rsa = cls.ca.issue(
            "shop-rsa", cn="shop-rsa", names=["DNS:shop.test"], rsa=True
        )
        cls.wild = cls.ca.issue("wild", cn="wild", names=["DNS:*.wild.test"])
        cls.alice = cls.ca.issue("alice", cn="alice", names=["DNS:alice.test"])
        cls.late = cls.ca.issue("late", cn="late", days=-1)
        cls.mallory = cls.other_ca.issue("mallory", cn="mallory")

    def start(self, tls=None, certificates=None, listener=None, daemon=None, **sections):
        named = certificates or {"shop": self.shop}
        settings = {"certificates": list(named)}
        settings.update(tls or {})
        config = config_for(
            self.origin(),
            listener={"tls": settings, **(listener or {})},
            certificates={name: certificate(pair) for name, pair in named.items()},
            **sections,
        )
        return self.lbd(config, daemon=daemon)

    def tls(self, lbd, name="shop.test", context=None, **more):
        context = context or client_context(self.ca, protocols=["http/1.1"])
        return self.connect(lbd, tls=context, name=name, **more)

    def shown(self, lbd, name, **more):
        """The common name of the certificate that a client that asks for `name` gets."""
        context = client_context(self.ca)
        context.check_hostname = False
        client = self.tls(lbd, name, context, **more)
        subject = client.sock.getpeercert()["subject"]
        client.close()
        return dict(item for part in subject for item in part)["commonName"]

    def refused(self, lbd, name="shop.test", context=None):
        """The reason that OpenSSL has for a handshake that fails, or is undone with the first
        read (TLS 1.3: the client believes it is through before the server has judged)."""
        sock = socket.create_connection(lbd.address(), timeout=30)
        self.addCleanup(sock.close)
        context = context or client_context(self.ca, protocols=["http/1.1"])
        with self.assertRaises((ssl.SSLError, ConnectionError)) as caught:
            with context.wrap_socket(sock, server_hostname=name) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % name.encode())
                tls.recv(100)
        return str(caught.exception)


class Names(Tls):
    def test_a_name_gets_its_certificate(self):
        lbd = self.start(certificates={"shop": self.shop, "wild": self.wild})
        for name, want in [
            ("shop.test", "shop"),
            ("SHOP.test", "shop"),
            ("a.wild.test", "wild"),
            ("wild.test", "shop"),  # the default: a wildcard is for one label more
            ("a.b.wild.test", "shop"),
            ("unknown.test", "shop"),
            (None, "shop"),
        ]:
            with self.subTest(name=name):
                self.assertEqual(self.shown(lbd, name), want)
        lbd.wait_metric(3, "lbd_tls_sni_unknown_total", listener="web")

    def test_strict_names(self):
        lbd = self.start(tls={"strict_sni": True})
        self.assertEqual(self.shown(lbd, "shop.test"), "shop")
        self.assertIn("unrecognized name", self.refused(lbd, "unknown.test"))
        self.assertIn("unrecognized name", s_client(lbd.port(), "-noservername"))
        lbd.wait_metric(
            2, "lbd_tls_handshake_failures_total", listener="web", reason="tls_unknown_name"
        )
        lbd.wait_metric(1, "lbd_tls_sni_unknown_total", listener="web")

    def test_strict_names_hold_for_hosts_too(self):
        for strict, status in ((True, 421), (False, 200)):
            with self.subTest(strict=strict):
                lbd = self.start(tls={"strict_sni": strict},
                                 certificates={"shop": self.shop, "wild": self.wild})
                client = self.tls(lbd, "shop.test")  # of the first certificate
                response = client.get(host="internal.test")
                self.assertEqual(response.status, status, response)
                if strict:
                    self.assert_reason(response, 421, "misdirected")
                self.assertEqual(client.get(host="localhost").status, 200)

    def test_a_name_with_two_kinds_of_keys(self):
        lbd = self.start(certificates={"ec": self.shop, "rsa": self.shop_rsa})
        for algorithms, want in [
            ("ECDSA+SHA256:RSA-PSS+SHA256", "CN = shop\n"),
            ("RSA-PSS+SHA256", "CN = shop-rsa\n"),
        ]:
            for version in ("-tls1_3", "-tls1_2"):
                with self.subTest(algorithms=algorithms, version=version):
                    text = s_client(
                        lbd.port(), "-servername", "shop.test", version, "-sigalgs", algorithms
                    )
                    self.assertIn(f"subject={want}", text)

    def test_an_exact_name_goes_before_a_wildcard(self):
        """Whatever kinds of keys they have: a wildcard is for who cannot use the other."""
        names = {"exact": "DNS:www.wild.test", "wild": "DNS:*.wild.test"}
        both, only_rsa = "ECDSA+SHA256:RSA-PSS+SHA256", "RSA-PSS+SHA256"
        for rsa, algorithms, want in [
            ("exact", both, "exact"),
            ("exact", only_rsa, "exact"),
            ("wild", both, "exact"),
            ("wild", only_rsa, "wild"),
        ]:
            pairs = {kind: self.ca.issue(f"{kind}-{rsa}", cn=kind, names=[name], rsa=kind == rsa)
                     for kind, name in names.items()}
            for order in (("exact", "wild"), ("wild", "exact")):
                lbd = self.start(certificates={kind: pairs[kind] for kind in order})
                for version in ("-tls1_3", "-tls1_2"):
                    with self.subTest(rsa=rsa, algorithms=algorithms, order=order, version=version):
                        text = s_client(lbd.port(), "-servername", "www.wild.test", version,
                                        "-sigalgs", algorithms)
                        self.assertIn(f"subject=CN = {want}\n", text)
                lbd.stop()

    def test_of_two_for_one_name_the_valid_one_is_shown(self):
        """And whoever is never shown is told of."""
        late = self.ca.issue("late-name", cn="late", names=["DNS:late.test"], days=-1)
        fresh, spare = (self.ca.issue(f"{name}-name", cn=name, names=["DNS:late.test", "DNS:more.test"][:count])
                        for name, count in (("fresh", 2), ("spare", 1)))
        pairs = {"shop": self.shop, "rsa": self.shop_rsa, "late": late, "fresh": fresh, "spare": spare}
        for order, want, hidden in [
            (["shop", "rsa", "late", "fresh"], "fresh", [(2, "fresh")]),
            (["late", "fresh", "shop"], "fresh", [(0, "fresh")]),
            (["fresh", "shop", "late"], "fresh", [(2, "fresh")]),
            (["spare", "fresh", "shop"], "spare", []),  # the other is for a name more
            (["fresh", "spare"], "fresh", [(1, "fresh")]),
        ]:
            with self.subTest(order=order):
                lbd = self.start(certificates={name: pairs[name] for name in order})
                self.assertEqual(self.shown(lbd, "late.test"), want)
                self.assertEqual(self.shown(lbd, "unknown.test"), want if order[0] == "late" else order[0])
                answer = lbd.api("PATCH", "/v1/listeners/web?dry_run=true", {"reason_detail": True})
                told = [(w["pointer"], w["detail"]) for w in answer.body.get("warnings", ())
                        if w["code"] == "shadowed-certificate"]
                self.assertEqual(told, [(f"#/listeners/web/tls/certificates/{at}",
                                         f"never shown: '{by}' has the same name and kind of key")
                                        for at, by in hidden])
                lbd.stop()

    def test_a_request_goes_where_its_certificate_is(self):
        lbd = self.start(certificates={"shop": self.shop, "wild": self.wild})
        client = self.tls(lbd, "a.wild.test")
        for host, status in [
            ("a.wild.test", 200),
            ("b.wild.test", 200),  # the certificate is for it, too
            ("A.WILD.test:443", 200),
            ("shop.test", 421),
            ("unknown.test", 421),
            ("a.wild.test", 200),
        ]:
            with self.subTest(host=host):
                response = client.get(host=host)
                self.assertEqual(response.status, status, response)
                if status == 421:
                    self.assert_reason(response, 421, "misdirected")

    def test_no_name_is_no_promise(self):
        lbd = self.start(certificates={"shop": self.shop, "wild": self.wild})
        context = client_context()
        client = self.tls(lbd, None, context)
        self.assertEqual(client.get(host="a.wild.test").status, 200)


class Agreement(Tls):
    def test_what_is_forwarded(self):
        origin = self.origin()
        config = config_for(
            origin, listener={"tls": {"certificates": ["c"]}},
            certificates={"c": certificate(self.shop)},
        )
        lbd = self.lbd(config)
        client = self.tls(lbd)
        response = client.request(headers={"X-Forwarded-Proto": "http"}, host="shop.test")
        self.assertEqual(response.status, 200)
        self.assertEqual(origin.requests[0].all("X-Forwarded-Proto"), ["https"])

    def test_versions(self):
        for settings, spoken in [
            ({}, {"TLSv1.2", "TLSv1.3"}),
            ({"min_version": "1.3"}, {"TLSv1.3"}),
            ({"max_version": "1.2"}, {"TLSv1.2"}),
            ({"profile": "modern"}, {"TLSv1.3"}),
        ]:
            lbd = self.start(tls=settings)
            for name in ("TLSv1.1", "TLSv1.2", "TLSv1.3"):
                with self.subTest(settings=settings, version=name):
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", DeprecationWarning)  # it is about 1.1
                        version = getattr(ssl.TLSVersion, name.replace(".", "_"))
                        context = client_context(self.ca, version=version)
                    if name == "TLSv1.1":
                        context.set_ciphers("DEFAULT@SECLEVEL=0")
                    if name in spoken:
                        client = self.tls(lbd, context=context)
                        self.assertEqual(client.sock.version(), name)
                        self.assertEqual(client.get(host="shop.test").status, 200)
                    else:
                        self.assertIn("protocol version", self.refused(lbd, context=context))
            lbd.stop()

    def test_weak_ciphers_are_not_spoken(self):
        lbd = self.start(certificates={"rsa": self.shop_rsa})
        for ciphers in ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"):
            with self.subTest(ciphers=ciphers):
                text = s_client(lbd.port(), "-tls1_2", "-cipher", ciphers)
                self.assertIn("handshake failure", text)
        lbd.wait_metric(
            3, "lbd_tls_handshake_failures_total", listener="web", reason="tls_nothing_shared"
        )

    def test_chacha_for_who_prefers_it(self):
        lbd = self.start()
        for mine, want in [
            ("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
            ("TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        ]:
            self.assertIn(f"Cipher is {want}", s_client(lbd.port(), "-ciphersuites", mine))

    def test_protocols(self):
        lbd = self.start()
        for offered, agreed in [
            (["http/1.1"], "http/1.1"),
            (["spdy/3", "http/1.1"], "http/1.1"),
            (None, None),
        ]:
            context = client_context(self.ca, protocols=offered)
            client = self.tls(lbd, context=context)
            self.assertEqual(client.sock.selected_alpn_protocol(), agreed)
            self.assertEqual(client.get(host="shop.test").status, 200)
        context = client_context(self.ca, protocols=["spdy/3"])
        self.assertIn("no application protocol", self.refused(lbd, context=context))
        lbd.wait_metric(
            1, "lbd_tls_handshake_failures_total", listener="web", reason="tls_no_protocol"
        )


class Clients(Tls):
    def start_auth(self, mode, ca=None):
        return self.start(
            tls={"client_auth": {"mode": mode, "ca": "people"}},
            ca_sets={"people": {"file": str((ca or self.ca).certificate)}},
        )

    def context(self, pair=None, version=None):
        return client_context(self.ca, pair, version=version)

    def test_certificates_of_clients(self):
        for mode in ("optional", "required"):
            lbd = self.start_auth(mode)
            failures = {"tls_client_certificate_refused": 0, "tls_client_certificate_missing": 0}
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(mode=mode, version=version):
                    client = self.tls(lbd, context=self.context(self.alice, version))
                    self.assertEqual(client.get(host="shop.test").status, 200)
                    for pair in (self.mallory, self.late):
                        self.refused(lbd, context=self.context(pair, version))
                        failures["tls_client_certificate_refused"] += 1
                    if mode == "optional":
                        client = self.tls(lbd, context=self.context(None, version))
                        self.assertEqual(client.get(host="shop.test").status, 200)
                    else:
                        self.refused(lbd, context=self.context(None, version))
                        failures["tls_client_certificate_missing"] += 1
            for reason, count in failures.items():
                lbd.wait_metric(
                    count, "lbd_tls_handshake_failures_total", listener="web", reason=reason
                )
            lbd.stop()

    def test_servers_are_told_who_it_is(self):
        forged = {
            "X-Client-Cert-Subject": "CN=root", "X-Client-Cert-SHA256": "0" * 64,
            "Client-Cert": ":AAAA:", "Client-Cert-Chain": ":AAAA:",
        }
        der = ssl.PEM_cert_to_DER_cert(self.alice.chain.read_text())
        told = {
            "X-Client-Cert-Subject": "CN=alice",
            "X-Client-Cert-SHA256": hashlib.sha256(der).hexdigest(),
        }
        whole = {"Client-Cert": f":{base64.b64encode(der).decode()}:"}
        for forward, pair, want in [
            ("subject", self.alice, told),
            ("certificate", self.alice, {**told, **whole}),
            ("off", self.alice, {}),
            ("certificate", None, {}),
        ]:
            with self.subTest(forward=forward, pair=pair):
                origin = self.origin()
                auth = {"mode": "optional", "ca": "people", "forward": forward}
                lbd = self.lbd(config_for(
                    origin,
                    listener={"tls": {"certificates": ["c"], "client_auth": auth}},
                    certificates={"c": certificate(self.shop)},
                    ca_sets={"people": {"file": str(self.ca.certificate)}},
                ))
                client = self.tls(lbd, context=self.context(pair))
                for _ in range(2):
                    response = client.request(headers=forged, host="shop.test")
                    self.assertEqual(response.status, 200)
                    seen = {name: origin.requests[-1].all(name) for name in forged}
                    self.assertEqual(
                        {name: values[0] for name, values in seen.items() if values}, want
                    )
                (line, _) = lbd.wait_access_log(2)
                self.assertEqual(line["tls"], "TLSv1.3")
                self.assertEqual(line["sni"], "shop.test")
                self.assertEqual(line.get("client_subject"), "CN=alice" if want else None)
                lbd.stop()

    def test_who_fails_is_named(self):
        """In the access log: who it was and why; not who only tries the port."""
        lbd = self.start_auth("required")
        socket.create_connection(lbd.address()).close()
        self.connect(lbd).send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        self.assertEqual(lbd.wait_access_log(1)[0]["reason"], "tls_expected")
        for number, (pair, reason, detail) in enumerate((
                (self.mallory, "tls_client_certificate_refused", "the certificate of the peer: "),
                (self.late, "tls_client_certificate_refused", "expired"),
                (None, "tls_client_certificate_missing", "peer did not return a certificate")), 2):
            self.refused(lbd, context=self.context(pair))
            line = lbd.wait_access_log(number)[-1]
            self.assertEqual((line["reason"], line["protocol"], line["listener"], line["host"]),
                             (reason, "tls", "web", "shop.test"))
            self.assertIn(detail, line["detail"])
            self.assertRegex(line["client"], r"\A127\.0\.0\.1:\d+\Z")
            self.assertNotIn("status", line)

    def test_many_that_fail_are_not_all_named(self):
        lbd = self.start(daemon={"workers": 1})
        began = time.monotonic()
        for _ in range(100):
            with self.connect(lbd) as client:
                client.send(b"GET / HTTP/1.1\r\n\r\n")
                client.read_rest()
        lbd.wait_metric(100, "lbd_tls_handshake_failures_total", listener="web", reason="tls_expected")
        seconds = int(time.monotonic() - began) + 2
        lines = len(lbd.wait_access_log(20))
        self.assertLessEqual(lines, min(20 * seconds, 100))

    def test_off_asks_nobody(self):
        lbd = self.start()
        self.assertIn("No client certificate CA names sent", s_client(lbd.port()))
        client = self.tls(lbd, context=self.context(self.mallory))
        self.assertEqual(client.get(host="shop.test").status, 200)


class Hostile(Tls):
    HELLO = bytes.fromhex("16030100")  # the beginning of a record

    def test_plain_http(self):
        lbd = self.start()
        client = self.connect(lbd)
        client.send_request(host="shop.test")
        response = client.read_response()
        self.assertEqual(response.status, 400)
        self.assertEqual(response.get("Lbd-Reason"), "tls_expected")
        self.assertTrue(client.closed_cleanly())
        lbd.wait_metric(
            1, "lbd_tls_handshake_failures_total", listener="web", reason="tls_expected"
        )

    def test_nonsense_ends_soon(self):
        lbd = self.start()
        for data in (b"\r\n\r\n\r\n", b"SSH-2.0-x\r\n", bytes(300), b"\x16\x03\x01\xff\xff" + bytes(900),
                     b"\x80\x2e\x01\x03\x01" + bytes(60),
                     b"\x16\x03\x01\x00\x04\x01\xff\xff\xff"):
            with self.subTest(data=data[:8]):
                client = self.connect(lbd)
                client.send(data)
                client.read_rest()  # an alert or nothing, then the end
        self.assertEqual(self.shown(lbd, "shop.test"), "shop")

    def test_half_a_handshake_has_its_limit(self):
        lbd = self.start(listener={"timeouts": {"handshake": "300ms"}})
        for data in (self.HELLO, self.HELLO + b"\xff" + b"\x01\x00\x40\x00" + bytes(64)):
            client = self.connect(lbd)
            client.send(data)
            self.assertEqual(client.read_rest(), b"")
        lbd.wait_metric(
            2, "lbd_tls_handshake_failures_total", listener="web", reason="handshake_timeout"
        )

    def test_byte_by_byte(self):
        lbd = self.start()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context(self.ca).wrap_bio(incoming, outgoing, server_hostname="shop.test")
        client = self.connect(lbd)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                data = outgoing.read()
                client.send(data, cuts=range(len(data)), pause=0)
                incoming.write(client.sock.recv(65536))
                continue
            break
        tls.write(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        data = outgoing.read()
        client.send(data, cuts=range(len(data)), pause=0)
        answer = b""
        while b"\r\n\r\n" not in answer:
            incoming.write(client.sock.recv(65536))
            try:
                answer += tls.read(65536)
            except ssl.SSLWantReadError:
                pass
        self.assertTrue(answer.startswith(b"HTTP/1.1 200"))

    def test_no_renegotiation(self):
        lbd = self.start()
        text = s_client(lbd.port(), "-tls1_2", "-servername", "shop.test", stdin="R\n")
        self.assertIn("no renegotiation", text)

    def test_clear_bytes_behind_the_handshake(self):
        """R12: whatever comes in clear ends the connection."""
        origin = self.origin()
        lbd = self.lbd(config_for(
            origin, listener={"tls": {"certificates": ["c"]}},
            certificates={"c": certificate(self.shop)},
        ))
        for data in (b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", bytes(100)):
            client = self.tls(lbd)
            raw = socket.socket(fileno=os.dup(client.sock.fileno()))
            self.addCleanup(raw.close)
            raw.settimeout(30)
            raw.sendall(data)
            while raw.recv(65536):  # an alert
                pass
        self.assertEqual(origin.requests, [])

    def test_keys_are_changed_on_the_way(self):
        lbd = self.start()
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{lbd.port()}", "-tls1_3", "-crlf",
             "-servername", "shop.test"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.addCleanup(client.communicate)
        self.addCleanup(client.kill)

        def say(text, until):
            client.stdin.write(text)
            client.stdin.flush()
            for line in client.stdout:
                if until in line:
                    return
            self.fail(f"{until} did not come")

        for _ in range(3):
            say("K\n", "KEYUPDATE")
            say("GET / HTTP/1.1\nHost: shop.test\n\n", "HTTP/1.1 200")

    def test_who_goes_away_is_counted(self):
        lbd = self.start()
        client = Client(lbd.address())
        client.send(self.HELLO)
        client.close()
        lbd.wait_metric(
            1, "lbd_tls_handshake_failures_total", listener="web", reason="tls_aborted"
        )
        context = client_context(self.other_ca)
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.tls(lbd, context=context)
        lbd.wait_metric(
            1, "lbd_tls_handshake_failures_total", listener="web", reason="tls_refused_by_client"
        )


class Front(Tls):
    def test_a_proxy_in_front(self):
        """PROXY header, then TLS: only from who may."""
        origin = self.origin()
        config = config_for(
            origin,
            listener={"tls": {"certificates": ["c"]}, "proxy_protocol_from": ["127.0.0.1"]},
            certificates={"c": certificate(self.shop)},
        )
        lbd = self.lbd(config)
        header = b"PROXY TCP4 203.0.113.7 10.0.0.1 51234 443\r\n"
        for cuts in ((), range(len(header))):
            sock = socket.create_connection(lbd.address(), timeout=30)
            self.addCleanup(sock.close)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for begin, end in zip([0, *cuts], [*cuts, len(header)]):
                sock.sendall(header[begin:end])
            tls = client_context(self.ca).wrap_socket(sock, server_hostname="shop.test")
            self.addCleanup(tls.close)
            tls.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
            self.assertIn(b"HTTP/1.1 200", tls.recv(65536))
            self.assertEqual(origin.requests[-1].all("X-Forwarded-For"), ["203.0.113.7"])
        for data in (b"PROXY nonsense\r\n", bytes(20), b"GET / HTTP/1.1\r\n\r\n"):
            client = self.connect(lbd)
            client.send(data)
            self.assertEqual(client.read_rest(), b"")
        lbd.wait_metric(
            3, "lbd_listener_connections_rejected_total", listener="web", reason="proxy_protocol"
        )


if __name__ == "__main__":
    unittest.main()
