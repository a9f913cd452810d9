"""TLS from lbd to the servers: whom it trusts, what it says when it does not, what it uses again.

Verified by default; every refusal has a reason of its own, and the server's status names the
certificate and what is wrong with it.
"""

import shutil
import ssl
import tempfile
import unittest
from pathlib import Path

from lab import Closed, LabCase, config_for
from lab.certs import Authority, server_context

REASONS = {
    "verify": "server_tls_unverified",
    "pin": "server_tls_pin_mismatch",
    "handshake": "server_tls_failed",
}


class UpstreamTls(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="lbd-certs-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.ca = Authority(cls.folder.name)
        cls.other_ca = Authority(cls.folder.name, "other CA")
        cls.below = cls.ca.authority("intermediate CA")
        here = ["DNS:localhost", "IP:127.0.0.1"]
        cls.good = cls.ca.issue("good", "good.test", ["DNS:good.test", *here])
        cls.wrong = cls.ca.issue("wrong", "wrong.test", ["DNS:wrong.test", "DNS:*.wrong.test"])
        cls.late = cls.ca.issue("late", "late.test", here, days=-1)
        cls.stranger = cls.other_ca.issue("stranger", "stranger.test", here)
        cls.torn = cls.below.issue("torn", "torn.test", here)  # the chain lacks `below`
        cls.client = cls.ca.issue("client", "lbd.test", ["DNS:lbd.test"])

    def server(self, certificate, script=None, **more):
        return self.origin(script, tls=server_context(certificate, **more), name="tls")

    def start(self, *origins, tls=None, daemon=None, ca=None, **pool):
        pool["tls"] = {"ca": "ours"} if tls is None else tls
        proxy = self.lbd(
            config_for(
                *origins, pool=pool,
                ca_sets={"ours": {"file": str((ca or self.ca).certificate)}},
                certificates={
                    "lbd": {"chain_file": str(self.client.chain), "key_file": str(self.client.key)}
                },
            ),
            daemon=daemon or {"workers": 1},
        )
        return proxy

    # -- trust ------------------------------------------------------------------------------

    def test_verified_by_default(self):
        origin = self.server(self.good)
        proxy = self.start(origin)
        client = self.connect(proxy)
        for _ in range(3):
            self.assertEqual(client.get("/").text, "tls GET / 0\n")
        self.assertEqual(client.request("POST", "/", body=b"x" * 300000).text,
                         "tls POST / 300000\n")
        self.assertEqual(origin.connection_count, 1)
        self.assertEqual(origin.names, [None])  # an address is no name for SNI
        proxy.wait_metric(1, "lbd_pool_tls_handshakes_total", pool="main")
        self.assertNotIn("last_error", proxy.server_status("a"))

    def test_large_answers_and_requests(self):
        origin = self.server(self.good)
        origin.body = bytes(range(256)) * 8192  # 2 MiB
        client = self.connect(self.start(origin))
        for _ in range(2):
            self.assertEqual(client.get("/").body, origin.body)
            self.assertEqual(
                client.request("PUT", "/", body=origin.body).body, origin.body)
            self.assertEqual(origin.requests[-1].body, origin.body)

    def test_the_name_comes_from_the_address_or_the_setting(self):
        origin = self.server(self.good)
        for address, tls, name in (
            (f"localhost:{origin.port}", {"ca": "ours"}, "localhost"),
            (origin.address, {"ca": "ours", "server_name": "good.test"}, "good.test"),
        ):
            with self.subTest(name):
                proxy = self.start(address, tls=tls)
                proxy.wait_health("a", "up")
                self.assertEqual(self.connect(proxy).get("/").status, 200)
                self.assertEqual(origin.names[-1], name)

    def refusals(self):
        pin = self.good.pin()
        return (
            # what, certificate, tls, reason or None, what last_error says
            ("wrong name", self.wrong, {"ca": "ours"}, "verify",
             "the certificate of 'CN=wrong.test': IP address mismatch: it is not for 127.0.0.1, "
             "but for wrong.test, *.wrong.test"),
            ("wrong name, chain", self.wrong, {"ca": "ours", "verify": "chain"}, None, None),
            ("other name", self.wrong, {"ca": "ours", "server_name": "good.test"}, "verify",
             "hostname mismatch: it is not for good.test"),
            ("its wildcard", self.wrong, {"ca": "ours", "server_name": "a.wrong.test"}, None, None),
            ("expired", self.late, {"ca": "ours"}, "verify",
             "the certificate of 'CN=late.test': certificate has expired on 20"),
            ("expired, off", self.late, {"verify": "off"}, None, None),
            ("unknown CA", self.stranger, {"ca": "ours"}, "verify",
             "the certificate of 'CN=stranger.test': unable to get local issuer certificate"),
            ("unknown to the system", self.good, {}, "verify", "issuer /CN=test CA is not trusted"),
            ("missing chain", self.torn, {"ca": "ours"}, "verify",
             "its issuer /CN=intermediate CA is not trusted, or the server does not send the "
             "certificates between"),
            ("pinned", self.good, {"ca": "ours", "pin_sha256": [pin]}, None, None),
            ("pinned, unknown CA", self.good, {"pin_sha256": [pin]}, "verify", "unable to get"),
            ("pinned, off", self.good, {"verify": "off", "pin_sha256": [pin]}, None, None),
            ("pin of another, off", self.stranger, {"verify": "off", "pin_sha256": [pin]}, "pin",
             "the certificate of 'CN=stranger.test': its key is none of pin_sha256"),
            ("pin of another", self.wrong,
             {"ca": "ours", "verify": "chain", "pin_sha256": [pin]}, "pin",
             "the certificate of 'CN=wrong.test'"),
        )

    def test_who_is_trusted_and_what_is_said(self):
        for what, certificate, tls, reason, words in self.refusals():
            with self.subTest(what):
                origin = self.server(certificate)
                proxy = self.start(origin, tls=tls, retries=0)
                answer = self.connect(proxy).get("/")
                if reason is None:
                    self.assertEqual(answer.status, 200, answer)
                    continue
                self.assert_reason(answer, 502, REASONS[reason])
                self.assertEqual(origin.request_count, 0)
                proxy.wait_metric(1, "lbd_pool_errors_total", pool="main", reason="tls")
                self.wait_for(lambda: "last_error" in proxy.server_status("a"), "last_error")
                status = proxy.server_status("a")
                self.assertIn(words, status["last_error"])
                self.assertIn("T", status["last_error_at"])
                proxy.wait_log("server.error")

    def test_an_event_and_a_log_line_tell_of_it_once(self):
        proxy = self.start(self.server(self.late), retries=0)
        client = self.connect(proxy)
        for _ in range(5):
            self.assertEqual(client.get("/").status, 502)
        self.wait_for(lambda: "last_error" in proxy.server_status("a"), "last_error")
        events = [e for e in proxy.get("/v1/events")["events"] if e["type"] == "server.error"]
        self.assertEqual(len(events), 1)
        self.assertEqual(events[0]["name"], "main/a")
        self.assertEqual(events[0]["data"], {"reason": "server_tls_unverified"})
        self.assertIn("expired", events[0]["message"])
        self.assertEqual(proxy.log_text().count("server.error"), 1)

    def test_another_server_is_tried(self):
        good = self.server(self.good)
        proxy = self.start(self.server(self.late), good, algorithm="round_robin")
        client = self.connect(proxy)
        for _ in range(4):
            self.assertEqual(client.request("POST", "/", body=b"x").status, 200)
        self.assertEqual(good.request_count, 4)

    # -- certificates of our own --------------------------------------------------------------

    def test_our_certificate_is_shown_to_who_asks(self):
        shown = []

        def script(peer):
            shown.append(peer.sock.getpeercert())
            peer.origin.answer_all(peer)

        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                origin = self.server(self.good, script, clients=self.ca, version=version)
                proxy = self.start(origin, tls={"ca": "ours", "certificate": "lbd"})
                self.assertEqual(self.connect(proxy).get("/").status, 200)
                self.assertIn(("commonName", "lbd.test"), shown[-1]["subject"][0])

    def test_a_server_that_wants_a_certificate_and_gets_none(self):
        # in TLS 1.3 it says so after our handshake is complete
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                origin = self.server(self.good, clients=self.ca, version=version)
                proxy = self.start(origin, retries=0)
                answer = self.connect(proxy).get("/")
                self.assertEqual(answer.status, 502)
                if answer.get("Lbd-Reason") == "server_reset":
                    self.assertEqual(version, ssl.TLSVersion.TLSv1_3)
                    continue  # sending failed before its words could be read
                self.assertEqual(answer.get("Lbd-Reason"), "server_tls_failed")
                self.wait_for(lambda: "last_error" in proxy.server_status("a"), "last_error")
                self.assertIn("the server refuses: ", proxy.server_status("a")["last_error"])

    # -- what is no TLS -------------------------------------------------------------------------

    def test_a_server_that_does_not_speak_tls(self):
        def script(peer):
            peer.sock.recv(10)
            peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        proxy = self.start(self.origin(script), retries=0)
        self.assert_reason(self.connect(proxy).get("/"), 502, "server_tls_failed")
        self.wait_for(lambda: "last_error" in proxy.server_status("a"), "last_error")
        self.assertIn("does not seem to speak TLS", proxy.server_status("a")["last_error"])

    def test_a_server_that_speaks_tls_though_the_pool_does_not(self):
        def script(peer):
            peer.sock.recv(10)
            peer.send(b"\x15\x03\x01\x00\x02\x02\x46")  # alert: protocol version

        proxy = self.lbd(config_for(self.origin(script), pool={"retries": 0}))
        self.assert_reason(self.connect(proxy).get("/"), 502, "server_speaks_tls")

    def test_a_server_that_says_nothing(self):
        def script(peer):
            peer.stall()

        proxy = self.start(self.origin(script), retries=0, timeouts={"connect": "200ms"})
        self.assert_reason(self.connect(proxy).get("/"), 504, "server_tls_timeout")

    def test_versions_that_do_not_meet(self):
        origin = self.server(self.good, version=ssl.TLSVersion.TLSv1_2)
        proxy = self.start(origin, tls={"ca": "ours", "min_version": "1.3"}, retries=0)
        self.assert_reason(self.connect(proxy).get("/"), 502, "server_tls_failed")

    def test_a_body_that_is_cut_off_is_not_whole(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\n\r\nhalf a body")
            peer.close()  # without close_notify

        client = self.connect(self.start(self.server(self.good, script)))
        with self.assertRaises(Closed):
            client.get("/")

    # -- used again -----------------------------------------------------------------------------

    def test_sessions_are_used_again(self):
        resumed = []

        def script(peer):
            resumed.append(peer.sock.session_reused)
            peer.rx()
            peer.tx(200, "x", {"Connection": "close"})

        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                resumed.clear()
                origin = self.server(self.good, script, version=version)
                proxy = self.start(origin, daemon={"workers": 2})
                for _ in range(6):
                    self.assertEqual(self.connect(proxy).get("/").status, 200)
                self.assertEqual(resumed, [False] + [True] * 5)
                proxy.wait_metric(5, "lbd_pool_tls_resumptions_total", pool="main")

    def test_other_rules_use_nothing_of_before(self):
        resumed = []

        def script(peer):
            resumed.append(peer.sock.session_reused)
            peer.origin.answer_all(peer)

        origin = self.server(self.good, script)
        proxy = self.start(origin)
        client = self.connect(proxy)
        self.assertEqual(client.get("/").status, 200)
        steps = (
            ({"verify": "chain"}, 200),
            ({"verify": "full", "server_name": "good.test"}, 200),
            ({"ca": None}, 502),
            ({"ca": "ours"}, 200),
        )
        for count, (change, status) in enumerate(steps):
            proxy.patch("/v1/pools/main", {"tls": change})
            self.assertEqual(client.get("/").status, status, change)
        self.assertEqual(resumed[:3], [False] * 3)

    def test_what_does_not_change_keeps_its_connections(self):
        origin = self.server(self.good)
        proxy = self.start(origin)
        client = self.connect(proxy)
        self.assertEqual(client.get("/").status, 200)
        proxy.patch("/v1/pools/main", {"retries": 2})
        proxy.patch("/v1/pools/main/servers/a", {"weight": 7})
        self.assertEqual(client.get("/").status, 200)
        self.assertEqual(origin.connection_count, 1)

    def test_files_that_change_are_what_counts(self):
        folder = Path(self.folder.name)
        trusted = folder / "trusted.pem"
        shutil.copy(self.ca.certificate, trusted)
        mine = self.other_ca.issue("mine", "lbd.test", ["DNS:lbd.test"])
        origin = self.server(self.good, clients=self.ca, version=ssl.TLSVersion.TLSv1_2)
        proxy = self.lbd(
            config_for(
                origin, pool={"retries": 0, "tls": {"ca": "ours", "certificate": "lbd"}},
                ca_sets={"ours": {"file": str(trusted)}},
                certificates={
                    "lbd": {"chain_file": str(mine.chain), "key_file": str(mine.key)}},
            ),
            daemon={"workers": 1},
        )
        client = self.connect(proxy)
        self.assert_reason(client.get("/"), 502, "server_tls_failed")  # not of its authority
        mine.replace_with(self.client)
        self.wait_for(lambda: client.get("/").status == 200, "our new certificate is shown")
        fresh = folder / "fresh.pem"
        shutil.copy(self.other_ca.certificate, fresh)
        fresh.rename(trusted)
        self.wait_for(
            lambda: client.get("/").get("Lbd-Reason") == "server_tls_unverified",
            "its authority is not trusted any more")

    def test_connections_grow_old(self):
        origin = self.server(self.good)
        proxy = self.start(origin, timeouts={"max_age": "1s"})
        client = self.connect(proxy)

        def another():
            self.assertEqual(client.get("/").status, 200)
            return origin.connection_count > 1

        self.wait_for(another, "a second connection")

    # -- PROXY header, and TLS behind it ----------------------------------------------------------

    def test_a_proxy_header_comes_before_tls(self):
        origin = self.origin(tls=server_context(self.good), proxy=True)
        for version in ("v1", "v2"):
            with self.subTest(version):
                origin.clear()
                proxy = self.start(origin, send_proxy=version)
                clients = [self.connect(proxy) for _ in range(2)]
                for _ in range(3):
                    for client in clients:
                        self.assertEqual(client.get("/").status, 200)
                there = "%s:%d" % proxy.address()
                for index, client in enumerate(clients):
                    mine = "%s:%d" % client.sock.getsockname()[:2]
                    headers = {m.proxy for m in origin.requests[index::2]}
                    if version == "v1":
                        ip, port = mine.split(":")
                        self.assertEqual(
                            headers, {f"PROXY TCP4 {ip} 127.0.0.1 {port} {proxy.port()}\r\n"})
                    else:
                        self.assertEqual(headers, {("PROXY", mine, there)})
                # each client has a connection of its own, and it goes with the client
                self.assertEqual(len({m.connection for m in origin.requests}), 2)
                for client in clients:
                    client.close()
                origin.wait_idle()

    # -- health checks ------------------------------------------------------------------------------

    def check(self, kind, **more):
        return {"c": {"type": kind, "interval": "100ms", "timeout": "20s", "fall": 1, **more}}

    def start_checked(self, origin, check, tls):
        pool = {"health_check": "c"}
        if tls is not None:
            pool["tls"] = tls
        return self.lbd(config_for(
            origin, pool=pool, health_checks=check,
            ca_sets={"ours": {"file": str(self.ca.certificate)}},
            certificates={
                "lbd": {"chain_file": str(self.client.chain), "key_file": str(self.client.key)}
            },
        ))

    def test_checks_speak_as_the_pool_does(self):
        cases = (
            (self.good, "http", {"ca": "ours"}, "up", "HTTP 200 in "),
            (self.late, "http", {"ca": "ours"}, "down",
             "TLS: the certificate of 'CN=late.test': certificate has expired on "),
            (self.good, "tls", {"ca": "ours"}, "up", "TLSv1.3 handshake in "),
            (self.wrong, "tls", {"ca": "ours"}, "down",
             "TLS: the certificate of 'CN=wrong.test': IP address mismatch"),
            (self.late, "tls", None, "up", "TLSv1.3 handshake in "),
            (self.late, "tcp", {"ca": "ours"}, "up", "connected in "),
        )
        for certificate, kind, tls, health, words in cases:
            with self.subTest(kind=kind, health=health):
                proxy = self.start_checked(self.server(certificate), self.check(kind), tls)
                proxy.wait_health("a", health)
                self.assertTrue(proxy.server_status("a")["last_check"].startswith(words),
                                proxy.server_status("a"))

    def test_a_check_of_tls_waits_for_what_the_server_thinks_of_us(self):
        ours = {"ca": "ours", "certificate": "lbd"}
        two, three = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
        for what, version, clients, tls, tickets, health in (
            ("no certificate", two, self.ca, {"ca": "ours"}, 2, "down"),
            ("no certificate", three, self.ca, {"ca": "ours"}, 2, "down"),
            ("not of its authority", three, self.other_ca, ours, 2, "down"),
            ("good", three, self.ca, ours, 2, "up"),
            ("good, and the server says nothing", three, self.ca, ours, 0, "up"),
            ("TLS is the clients'", three, self.ca, None, 2, "up"),
        ):
            with self.subTest(what=what, version=version):
                context = server_context(self.good, clients=clients, version=version)
                context.num_tickets = tickets
                proxy = self.start_checked(self.origin(tls=context), self.check("tls"), tls)
                proxy.wait_health("a", health)
                words = "the server refuses: " if health == "down" else "handshake in "
                self.assertIn(words, proxy.server_status("a")["last_check"])

    def test_a_check_of_tls_where_there_is_none(self):
        def script(peer):
            peer.sock.recv(10)
            peer.send("220 hello\r\n")

        proxy = self.start_checked(self.origin(script), self.check("tls"), None)
        proxy.wait_health("a", "down")
        self.assertIn("does not seem to speak TLS", proxy.server_status("a")["last_check"])


if __name__ == "__main__":
    unittest.main()
