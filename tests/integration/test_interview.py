"""A server that speaks something else than configured is reported in words."""

import shutil
import tempfile
import threading
import unittest
from pathlib import Path

from lab import LabCase, config_for, wait_for
from lab.certs import Authority, server_context


class Interview(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="lab-interview-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.authority = Authority(cls.folder)
        cls.good = cls.authority.issue("good", ["app.test"])

    def start(self, origin, check=None, pool=None):
        self.proxy = self.lbd(config_for(
            origin, pool={"health_check": "hc", **(pool or {})},
            health_checks={"hc": {"interval": "10s", "timeout": "5s", **(check or {})}}))

    def interview(self):
        return wait_for(lambda: self.proxy.server_status("a").get("interview"), "an interview")

    def secured(self):
        origin = self.origin(tls=server_context(self.good))
        return origin

    def test_configured_http_answers_tls(self):
        self.start(self.secured())
        self.assertEqual(self.interview(), "configured http, answers TLS (TLSv1.3)")
        self.proxy.wait_log('server.interview pool=main server=a why="configured http, answers TLS')
        events = [e for e in self.proxy.get("/v1/events?limit=4096")["events"]
                  if e["type"] == "server.interview"]
        self.assertEqual([(e["name"], e["message"]) for e in events],
                         [("main/a", "configured http, answers TLS (TLSv1.3)")])

    def test_it_is_forgotten_when_the_configuration_is_mended(self):
        self.start(self.secured())
        self.interview()
        self.proxy.patch("/v1/pools/main", {"tls": {"verify": "off"}})
        self.proxy.patch("/v1/health-checks/hc", {"interval": "100ms"})
        self.proxy.wait_health("a", "up")
        self.assertNotIn("interview", self.proxy.server_status("a"))

    def test_configured_https_answers_plain_http(self):
        def script(peer):
            if not peer.sock.recv(4096).startswith(b"\x16\x03"):
                peer.tx(200, "plain")

        self.start(self.origin(script), pool={"tls": {"verify": "off"}})
        self.assertEqual(self.interview(), "configured https, answers plain HTTP")

    def test_configured_http2_answers_http1(self):
        self.start(self.origin(lambda peer: peer.tx(400)), pool={"http_version": "2"})
        self.assertEqual(self.interview(), "configured http_version 2, answers plain HTTP")

    def test_banners(self):
        for banner, words in ((b"220 mail.test ESMTP Postfix\r\n", "a banner of SMTP"),
                              (b"* OK [CAPABILITY IMAP4rev1] hi\r\n", "a banner of IMAP"),
                              (b"+OK hello\r\n", "a banner of POP3"),
                              (b"SSH-2.0-OpenSSH_9.2\r\n", "a banner of SSH"),
                              (b"\x00\x01\x02\x03garbage garbage\r\n", "something that is neither")):
            with self.subTest(words):
                def script(peer, banner=banner):
                    peer.send(banner)
                    peer.stall(seconds=3)

                self.start(self.origin(script))
                found = self.interview()
                self.assertTrue(found.startswith("configured http, answers "), found)
                self.assertIn(words, found)

    def test_configured_imap_answers_smtp(self):
        def script(peer):
            peer.send(b"220 mail.test ESMTP\r\n")
            peer.stall(seconds=3)

        self.start(self.origin(script), check={"type": "imap"})
        self.assertEqual(self.interview(), "configured imap, answers with a banner of SMTP")

    def test_closes_at_once(self):
        self.start(self.origin(lambda peer: peer.close()))
        self.assertEqual(self.interview(), "configured http, closes the connection without a word")

    def test_a_server_that_wants_a_proxy_header(self):
        def script(peer):
            first = peer.sock.recv(4096)
            if first.startswith(b"PROXY ") or first.startswith(b"\r\n\r\n\0\r\nQUIT\n"):
                if b"HTTP/1.1" not in first:
                    peer.sock.recv(4096)
                peer.tx(200, "hello")
            peer.close()

        self.start(self.origin(script))
        self.assertEqual(self.interview(),
                         "configured http, answers HTTP only behind a PROXY header (send_proxy)")

    def test_a_server_that_is_understood_is_left_alone(self):
        """What is asked: that it is bad news in the right protocol is not for an interview."""
        seen = []

        def script(peer):
            request = peer.rx()
            seen.append(request.method)
            peer.tx(503)

        self.start(self.origin(script), check={"interval": "100ms"})
        self.proxy.wait_health("a", "down")
        wait_for(lambda: len(seen) >= 4, "some checks")
        self.assertEqual(set(seen), {"GET"})
        self.assertNotIn("interview", self.proxy.server_status("a"))

    def unchecked(self, origin, pool=None, **more):
        """A server that nobody checks, or by TCP alone: the first request finds out."""
        self.proxy = self.lbd(config_for(origin, pool=pool, **more))
        self.proxy.wait_health("a", "up")
        self.reason = self.connect(self.proxy).get("/").get("Lbd-Reason")
        return self.interview()

    def test_without_a_check_the_first_request_finds_tls(self):
        self.assertEqual(self.unchecked(self.secured()), "configured http, answers TLS (TLSv1.3)")
        self.assertIn(self.reason, ("server_reset", "server_speaks_tls"))
        self.assertTrue(self.proxy.server_status("a")["last_error"].startswith("the server "))
        events = [e["message"] for e in self.proxy.get("/v1/events?limit=4096")["events"]
                  if e["type"] == "server.interview"]
        self.assertEqual(events, ["configured http, answers TLS (TLSv1.3)"])

    def test_without_a_check_who_is_added_is_looked_at(self):
        """Before any request; a server of HTTPS that says in HTTP what it wants is found, too."""
        def kind(peer):
            if peer.sock.recv(4096).startswith(b"\x16\x03"):
                peer.close()
            else:
                peer.tx(400, "The plain HTTP request was sent to HTTPS port")

        self.proxy = self.lbd(config_for())
        for server in (self.secured(), self.origin(kind)):
            self.proxy.put("/v1/pools/main/servers/a", {"address": server.address})
            found = self.interview()
            self.assertTrue(found.startswith("configured http, answers TLS"), found)
            self.proxy.delete("/v1/pools/main/servers/a")

    def test_without_a_check_who_is_understood(self):
        good = self.origin()
        self.proxy = self.lbd(config_for())
        self.proxy.put("/v1/pools/main/servers/a", {"address": good.address})
        wait_for(lambda: good.interviews == 1, "it is asked")
        good.wait_idle()
        self.assertNotIn("interview", self.proxy.server_status("a"))

    def test_of_tcp_nothing_is_expected(self):
        servers = [self.origin(name=name) for name in "ab"]
        document = config_for(listener={"protocol": "tcp"})
        self.proxy = self.lbd(document)
        self.proxy.put("/v1/pools/main/servers/a", {"address": servers[0].address})
        self.proxy.patch("/v1/listeners/web", {"protocol": "http"})
        self.proxy.put("/v1/pools/main/servers/b", {"address": servers[1].address})
        wait_for(lambda: servers[1].interviews == 1, "the other is asked")
        self.assertEqual(servers[0].connection_count, 0)

    def test_nor_does_a_check_of_tcp_see_it(self):
        self.assertEqual(
            self.unchecked(self.secured(), pool={"health_check": "hc"},
                           health_checks={"hc": {"type": "tcp", "interval": "100ms", "timeout": "100ms"}}),
            "configured http, answers TLS (TLSv1.3)")
        checks = self.proxy.metric("lbd_health_checks_total")
        wait_for(lambda: self.proxy.metric("lbd_health_checks_total") > checks, "another check")
        self.assertIn("interview", self.proxy.server_status("a"), "it says nothing of that")

    def test_without_a_check_a_server_that_is_added(self):
        def banner(peer):
            peer.send(b"220 mail.test ESMTP Postfix\r\n")
            peer.stall(seconds=3)

        self.proxy = self.lbd(config_for(pool={"retries": 0}))
        self.proxy.put("/v1/pools/main/servers/a", {"address": self.origin(banner).address})
        self.assertEqual(self.connect(self.proxy).get("/").status, 502)
        self.assertEqual(self.interview(), "configured http, answers with a banner of SMTP")

    def test_without_a_check_https_is_plain(self):
        def script(peer):
            if not peer.sock.recv(4096).startswith(b"\x16\x03"):
                peer.tx(200, "plain")
            else:
                peer.tx(400, "plain")

        self.assertEqual(self.unchecked(self.origin(script), pool={"tls": {"verify": "off"}, "retries": 0}),
                         "configured tls, answers plain HTTP")

    def test_without_a_check_it_is_forgotten_when_it_is_mended(self):
        self.unchecked(self.secured())
        self.proxy.patch("/v1/pools/main", {"tls": {"verify": "off"}})
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        self.assertNotIn("interview", self.proxy.server_status("a"))

    def test_silent_servers_cost_little(self):
        stop = threading.Event()
        self.addCleanup(stop.set)
        origin = self.origin(lambda peer: stop.wait(60))
        self.start(origin, check={"interval": "100ms", "timeout": "100ms"})
        self.proxy.wait_health("a", "down")
        wait_for(lambda: self.proxy.metric("lbd_health_checks_total") > 10, "some checks")
        # one of the connections was the interview's, and it came once
        connections = origin.connection_count
        self.assertLessEqual(connections, self.proxy.metric("lbd_health_checks_total") + 3)
        self.assertNotIn("interview", self.proxy.server_status("a"))


if __name__ == "__main__":
    unittest.main()
