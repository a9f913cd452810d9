"""Checks of mail servers: real ones and ones that misbehave."""

import os
import re
import unittest

from lab import wait_for
from lab.mail import MailCase
from lab.mail_servers import Cyrus, Postfix

FAST = {"interval": "150ms", "timeout": "20s", "rise": 1, "fall": 1}
IMAP_GREETING = b"* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n"
EHLO = b"250-x\r\n%s250-PIPELINING\r\n250-SIZE %d\r\n250 8BITMIME\r\n"


class HealthMailCase(MailCase):
    def check(self, *servers, kind="imap", check=None, pool=None, protocol=None):
        self.protocol = protocol or kind
        return self.open(*servers, pool={"health_check": "hc", **(pool or {})}, sections={
            "health_checks": {"hc": {"type": kind, **FAST, **(check or {})}}})

    def password(self, text):
        path = os.path.join(self.directory, "password")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.chmod(path, 0o600)
        return path

    def wait_last(self, pattern, server="a"):
        return wait_for(lambda: re.search(pattern, str(self.proxy.server_status(server, "boxes"))),
                        f"{pattern} of {server}")

    def pool_conditions(self):
        return {c["type"]: c for c in self.proxy.get("/v1/pools/boxes/status")["conditions"]}


class RealServers(HealthMailCase):
    def test_every_protocol_of_dovecot(self):
        dovecot = self.dovecot(certificate=self.certificate)
        for kind, service in (("imap", "imap"), ("pop3", "pop3"), ("smtp", "submission"), ("sieve", "sieve")):
            with self.subTest(kind):
                proxy = self.check(dovecot.address(service), kind=kind)
                proxy.wait_health("a", "up", pool="boxes")
                self.wait_last(rf"{kind} in [0-9.]+ ms")
                proxy.stop()
        # as a client that says good-bye
        dovecot.wait_log(r"imap-login: Info: .*Logged out|imap-login: Info: Aborted login by logging out|Disconnected: Aborted")

    def test_logins(self):
        dovecot = self.dovecot(certificate=self.certificate)
        check = {"user": "anna", "password_file": self.password("secret")}
        for kind, service in (("imap", "imap"), ("pop3", "pop3"), ("smtp", "submission"), ("sieve", "sieve")):
            with self.subTest(kind):
                proxy = self.check(dovecot.address(service), kind=kind, check=check)
                proxy.wait_health("a", "up", pool="boxes")
                self.wait_last("logged in as anna in")
                proxy.stop()
        wanted = {"imap", "pop3", "submission", "managesieve"}
        wait_for(lambda: {login[1] for login in dovecot.logins("anna")} == wanted, "all logins in Dovecot's log")

    def test_starttls_and_tls(self):
        dovecot = self.dovecot(certificate=self.certificate, cleartext=False)
        check = {"user": "anna", "password_file": self.password("secret")}
        tls = {"ca": "ours", "server_name": "mail.example"}
        for kind, service, starttls in (("imap", "imap", True), ("imap", "imaps", False), ("pop3", "pop3", True),
                                        ("smtp", "submission", True), ("sieve", "sieve", True)):
            with self.subTest(service):
                proxy = self.check(dovecot.address(service), kind=kind, check=check,
                                   pool={"tls": tls, "mail": {"starttls": starttls}})
                proxy.wait_health("a", "up", pool="boxes")
                self.wait_last("logged in as anna in")
                proxy.stop()

    def test_a_certificate_for_another_name(self):
        dovecot = self.dovecot(certificate=self.certificate)
        self.check(dovecot.address("imap"),
                   pool={"tls": {"ca": "ours", "server_name": "other.example"}, "mail": {"starttls": True}})
        self.proxy.wait_health("a", "down", pool="boxes")
        self.wait_last("TLS: ")

    def test_a_wrong_password_is_degraded_and_not_down(self):
        dovecot = self.dovecot()
        proxy = self.check(dovecot.address("imap"),
                           check={"user": "anna", "password_file": self.password("wrong")})
        proxy.wait_health("a", "up", pool="boxes")
        self.wait_last("login as anna: refused")
        status = proxy.get("/v1/pools/boxes/servers/a/status")
        ready = {c["type"]: c for c in status["conditions"]}["Ready"]
        self.assertEqual((ready["status"], ready["reason"]), (True, "Degraded"))
        self.assertEqual(self.imap().login("anna", "secret")[0], "OK")
        events = [e for e in proxy.get("/v1/events")["events"] if e["type"] == "server.health"]
        self.assertEqual((events[-1]["data"]["from"], events[-1]["data"]["to"]), ("up", "degraded"))
        dovecot.set_password("anna", "wrong")
        self.wait_last("logged in as anna")
        proxy.wait_log("server.health pool=boxes server=a from=degraded to=up")
        self.assertNotIn("wrong", proxy.log_text())

    def test_proxy_header_of_its_own_connection(self):
        dovecot = self.dovecot(haproxy=True)
        for version in ("v1", "v2"):
            with self.subTest(version):
                proxy = self.check(dovecot.address("imap"), pool={"send_proxy": version})
                proxy.wait_health("a", "up", pool="boxes")
                proxy.stop()

    def test_killed_frozen_and_back(self):
        dovecot = self.dovecot()
        proxy = self.check(dovecot.address("imap"), check={"timeout": "2500ms"})
        proxy.wait_health("a", "up", pool="boxes")
        dovecot.freeze()
        proxy.wait_health("a", "down", pool="boxes")
        self.wait_last("timed out after 2500ms")
        dovecot.thaw()
        proxy.wait_health("a", "up", pool="boxes")
        dovecot.kill()
        proxy.wait_health("a", "down", pool="boxes")
        self.wait_last("connection refused")
        dovecot.start()
        proxy.wait_health("a", "up", pool="boxes")

    @unittest.skipUnless(Cyrus.possible, "no Cyrus here")
    def test_cyrus(self):
        cyrus = Cyrus(self)
        check = {"user": "anna", "password_file": self.password("secret")}
        for kind in ("imap", "pop3", "sieve"):
            with self.subTest(kind):
                proxy = self.check(cyrus.address(kind), kind=kind, check=check)
                proxy.wait_health("a", "up", pool="boxes")
                self.wait_last("logged in as anna in")
                proxy.stop()

    @unittest.skipUnless(Postfix.possible, "no Postfix here")
    def test_postfix_is_left_politely(self):
        postfix = Postfix(self, self.dovecot())
        proxy = self.check(postfix.address("submission"), kind="smtp")
        proxy.wait_health("a", "up", pool="boxes")
        postfix.wait_log(r"disconnect from .* ehlo=1 quit=1 commands=2")
        self.assertNotIn("after EHLO", postfix.log_text())


class Capabilities(HealthMailCase):
    def smtp(self, size=1000, more=b""):
        def script(peer):
            peer.send(b"220 x ESMTP\r\n")
            while line := peer.read_line():
                if line.upper().startswith(b"EHLO"):
                    peer.send(EHLO % (more, size))
                elif line.upper().startswith(b"QUIT"):
                    peer.send(b"221 bye\r\n")
                    return
        return self.origin(line_script(script))

    def test_what_all_servers_can_is_offered_and_what_differs_is_told(self):
        one = self.smtp(5000, b"250-CHUNKING\r\n")
        other = self.smtp(3000)
        proxy = self.check(one.address, other.address, kind="smtp")
        proxy.wait_health("a", "up", pool="boxes")
        proxy.wait_health("b", "up", pool="boxes")
        proxy.wait_log('pool.capabilities pool=boxes differing="CHUNKING"')
        condition = self.pool_conditions()["SameCapabilities"]
        self.assertEqual((condition["status"], condition["message"]), (False, "not all servers have CHUNKING"))
        event = [e for e in proxy.get("/v1/events")["events"] if e["type"] == "pool.capabilities"][-1]
        self.assertEqual((event["name"], event["data"]), ("boxes", {"differing": "CHUNKING"}))

        def keywords():
            with self.raw() as client:
                client.send(b"EHLO me.example\r\nQUIT\r\n")
                return client.read_rest()
        offered = wait_for(lambda: (lambda text: text if b"SIZE 3000" in text else None)(keywords()), "the smaller SIZE")
        self.assertIn(b"PIPELINING", offered)
        self.assertNotIn(b"CHUNKING", offered)

    def test_servers_that_are_alike(self):
        self.check(self.smtp().address, self.smtp().address, kind="smtp")
        self.proxy.wait_health("b", "up", pool="boxes")
        wait_for(lambda: self.pool_conditions()["SameCapabilities"]["status"], "alike")
        self.assertNotIn("pool.capabilities", self.proxy.log_text())

    def test_pools_without_such_checks_have_no_such_condition(self):
        self.check(self.smtp().address, kind="tcp", protocol="smtp")
        self.assertNotIn("SameCapabilities", self.pool_conditions())


def line_script(script):
    """A script whose peer has read_line: up to CRLF, b"" at the end."""
    def run(peer):
        buffer = bytearray()

        def read_line():
            while b"\r\n" not in buffer:
                more = peer.sock.recv(4096)
                if not more:
                    return b""
                buffer.extend(more)
            line, _, rest = bytes(buffer).partition(b"\r\n")
            buffer[:] = rest
            return line
        peer.read_line = read_line
        script(peer)
    return run


class Hostile(HealthMailCase):
    """What a server says that is none, and what becomes of it."""

    def verdict(self, script, kind="imap", health="down", pool=None, check=None):
        origin = self.origin(line_script(script))
        proxy = self.check(origin.address, kind=kind, pool=pool, check={"timeout": "5s", **(check or {})})
        proxy.wait_health("a", health, pool="boxes")
        text = str(proxy.server_status("a", "boxes"))
        proxy.stop()
        return text

    def say(self, *chunks):
        def script(peer):
            for chunk in chunks:
                peer.send(chunk)
                if not peer.read_line():
                    return
            peer.wait_closed()
        return script

    def test_no_greeting(self):
        self.assertIn("timed out after 700ms",
                      self.verdict(lambda peer: peer.wait_closed(), check={"timeout": "700ms"}))

    def test_another_protocol(self):
        self.assertIn("banner", self.verdict(self.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")))

    def test_farewell_in_the_place_of_a_greeting(self):
        for kind, line in (("imap", b"* BYE too busy\r\n"), ("pop3", b"-ERR [SYS/TEMP] too busy\r\n"),
                           ("smtp", b"421 4.3.2 too busy\r\n"), ("sieve", b'BYE "too busy"\r\n')):
            with self.subTest(kind):
                self.assertIn("too busy", self.verdict(self.say(line), kind=kind))

    def test_preauth(self):
        self.verdict(self.say(b"* PREAUTH in already\r\n"))

    def test_a_line_without_end(self):
        def script(peer):
            try:
                while True:
                    peer.send(b"* OK " + b"x" * 4000)
            except OSError:
                pass
        self.verdict(script)

    def test_closed_in_the_middle(self):
        def script(peer):
            peer.send(b"* OK [CAPABI")
        self.assertIn("connection closed", self.verdict(script))

    def test_no_starttls_where_it_is_wanted(self):
        pool = {"tls": {"ca": "ours"}, "mail": {"starttls": True}}
        self.assertIn("STARTTLS", self.verdict(self.say(IMAP_GREETING), pool=pool))

    def test_bytes_behind_the_answer_to_starttls(self):
        pool = {"tls": {"ca": "ours"}, "mail": {"starttls": True}}
        text = self.verdict(self.say(
            b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"S OK go on\r\n* CAPABILITY IMAP4rev1 EVIL\r\n"), pool=pool)
        self.assertIn("bytes follow the answer to STARTTLS", text)

    def test_one_byte_at_a_time(self):
        def script(peer):
            for byte in IMAP_GREETING:
                peer.send(bytes([byte]))
            peer.read_line()
            peer.send(b"* BYE\r\nZ OK\r\n")
        self.assertIn("imap in", self.verdict(script, health="up"))

    def test_who_does_not_say_good_bye_is_fit(self):
        self.assertIn("imap in", self.verdict(self.say(IMAP_GREETING), health="up"))

    def test_a_server_that_lets_nobody_in_without_tls_gets_no_password(self):
        seen = []

        def script(peer):
            peer.send(b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready\r\n")
            while line := peer.read_line():
                seen.append(line)
                peer.send(b"* BYE\r\n")
                return
        text = self.verdict(script, health="up",
                            check={"user": "anna", "password_file": self.password("secret")})
        self.assertIn("login as anna", text)
        self.assertNotIn(b"secret", b"".join(seen))

    def test_a_password_that_others_may_read_is_not_used(self):
        path = self.password("secret")
        os.chmod(path, 0o644)
        text = self.verdict(self.say(IMAP_GREETING), health="up", check={"user": "anna", "password_file": path})
        self.assertIn("no login tried", text)


if __name__ == "__main__":
    unittest.main()
