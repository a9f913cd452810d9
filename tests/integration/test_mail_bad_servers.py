"""Mail servers that do not keep to the rules, or are not who they seem: no password, and an answer for the client."""

import re
import time
import unittest

from lab import wire
from lab.certs import Authority, server_context
from lab.mail import MailCase

LOGINS = {"imap": b"a LOGIN anna secret\r\n", "pop3": b"USER anna\r\nPASS secret\r\n",
          "smtp": b"EHLO c\r\nAUTH PLAIN AGFubmEAc2VjcmV0\r\n",
          "sieve": b"AUTHENTICATE \"PLAIN\" \"AGFubmEAc2VjcmV0\"\r\n"}
BYES = {"imap": b"z LOGOUT\r\n", "pop3": b"QUIT\r\n", "smtp": b"QUIT\r\n", "sieve": b"LOGOUT\r\n"}
UNAVAILABLE = {"imap": r"\na NO \[UNAVAILABLE\]", "pop3": r"\n-ERR \[SYS/TEMP\]", "smtp": r"\n454 4\.7\.0 ",
               "sieve": r"\nNO \(TRYLATER\)"}
CLOSES = object()
SECRETS = re.compile(rb"secret|AGFubmEAc2VjcmV0|c2VjcmV0")

# a greeting that offers STARTTLS, the command for it, and its answer
OFFERS = {
    "imap": [b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hi\r\n", r"S STARTTLS", b"S OK go\r\n"],
    "pop3": [b"+OK hi\r\n", r"STLS", b"+OK go\r\n"],
    "smtp": [b"220 hi\r\n", r"EHLO ", b"250-hi\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", r"STARTTLS", b"220 go\r\n"],
    "sieve": [b'"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK "hi"\r\n', r"STARTTLS", b'OK "go"\r\n'],
}
# and one that does not
NO_OFFERS = {
    "imap": [b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n"],
    "pop3": [b"+OK hi\r\n", r"STLS", b"-ERR what?\r\n"],
    "smtp": [b"220 hi\r\n", r"EHLO ", b"250-hi\r\n250 AUTH PLAIN\r\n"],
    "sieve": [b'"SASL" "PLAIN"\r\nOK "hi"\r\n'],
}
# what a man in the middle would have the server say after the handshake
INJECTED = {"imap": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", "pop3": b"+OK\r\n+OK\r\n", "smtp": b"250 hi\r\n",
            "sieve": b'"SASL" "PLAIN"\r\nOK "hi"\r\n'}


class BadServers(MailCase):
    def setUp(self):
        super().setUp()
        self.doors = {}  # (protocol, starttls, mail): lbd and its server, which plays one script after the other
        self.steps = ()
        self.heard = []

    def play(self, peer):
        """Sends what is bytes, waits for a line that matches what is text; a context is TLS, a number a pause. Then
        it waits for lbd to close, or CLOSES itself."""
        heard = self.heard
        for step in self.steps:
            if isinstance(step, bytes):
                peer.send(step)
            elif isinstance(step, str):
                line = peer.reader.line()
                heard.append(line)
                if not re.match(step, line.decode()):
                    raise AssertionError(f"{line!r} instead of {step!r}")
            elif isinstance(step, float):
                time.sleep(step)
            elif step is CLOSES:
                return
            else:
                peer.sock = step.wrap_socket(peer.sock, server_side=True)
                peer.reader = wire.Reader(peer.sock)
        heard.append(peer.wait_closed())

    def door(self, protocol, starttls, mail):
        key = (protocol, starttls, str(mail))
        if key not in self.doors:
            self.protocol = protocol
            server = self.origin(self.play)
            pool = {"mail": {"starttls": starttls, **(mail or {})}}
            if starttls:
                pool["tls"] = {"ca": "ours", "server_name": "mail.example"}
            self.open(f"127.0.0.1:{server.port}", pool=pool)
            self.doors[key] = (self.proxy, server)
        self.proxy, server = self.doors[key]
        return server

    def log_in(self, protocol, steps, starttls=False, mail=None):
        """What a client hears that logs in before such a server, and the reason in the log."""
        server = self.door(protocol, starttls, mail)
        self.steps, self.heard = steps, []
        before = len([line for line in self.proxy.access_log() if line["event"] == "login"])
        client = self.raw()
        client.send(LOGINS[protocol] + BYES[protocol])
        answer = client.read_rest().decode()
        client.close()
        server.wait_idle()
        return answer, self.lines("login", before + 1)[-1]["reason"]

    def expect_unavailable(self, protocol, steps, reason, starttls=False):
        answer, why = self.log_in(protocol, steps, starttls)
        self.assertRegex(answer, UNAVAILABLE[protocol])
        self.assertIn(why, reason if isinstance(reason, tuple) else (reason,))
        self.assertIsNone(SECRETS.search(b"\n".join(self.heard)))

    def test_bytes_behind_the_answer_to_starttls(self):
        for protocol, steps in OFFERS.items():
            with self.subTest(protocol):
                together = steps[:-1] + [steps[-1] + INJECTED[protocol]]
                self.expect_unavailable(protocol, together, "server_starttls_injection", starttls=True)
                apart = steps + [0.02, INJECTED[protocol]]
                self.expect_unavailable(protocol, apart, ("server_starttls_injection", "server_tls_failed"),
                                        starttls=True)

    def test_no_starttls(self):
        for protocol, steps in NO_OFFERS.items():
            with self.subTest(protocol):
                self.expect_unavailable(protocol, steps, "server_no_starttls", starttls=True)

    def test_a_certificate_of_somebody_else(self):
        stranger = Authority(self.directory, name="other CA").issue("theirs", "mail.example", ["DNS:mail.example"])
        other = self.ca.issue("other", "other.example", ["DNS:other.example"])
        for protocol, steps in OFFERS.items():
            for certificate in (stranger, other):
                with self.subTest(protocol):
                    self.expect_unavailable(protocol, steps + [server_context(certificate)], "server_tls_unverified",
                                            starttls=True)

    def test_a_greeting_for_somebody_who_is_in_already(self):
        for starttls in (False, True):
            self.expect_unavailable("imap", [b"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n"], "server_preauth", starttls)

    def test_a_server_that_does_not_want_to(self):
        for protocol, greeting in {"imap": b"* BYE too busy\r\n", "pop3": b"-ERR too busy\r\n",
                                   "smtp": b"421 4.3.2 too busy\r\n", "sieve": b'BYE "too busy"\r\n'}.items():
            with self.subTest(protocol):
                self.expect_unavailable(protocol, [greeting], ("server_unavailable", "server_goodbye"))

    def test_a_server_that_speaks_something_else(self):
        for protocol in LOGINS:
            for greeting in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 100000, b"\0" * 10, b"\r\n" * 10):
                with self.subTest(protocol, greeting=greeting[:10]):
                    self.expect_unavailable(protocol, [greeting], "bad_response")

    def test_a_server_that_goes_away(self):
        for protocol, steps in {
                "imap": [b"* OK hi\r\n", r"C CAPABILITY", b"* CAPA"], "pop3": [b"+OK hi\r\n", r"USER", b"+"],
                "smtp": [b"220 hi\r\n", r"EHLO", b"250-hi\r\n"], "sieve": [b'"SASL" "PLAIN"\r\n', b"OK"]}.items():
            for count in range(1, len(steps) + 1):
                with self.subTest(protocol, count=count):
                    self.expect_unavailable(protocol, [*steps[:count], CLOSES], "server_reset")

    def test_untagged_lines_before_the_login_is_through(self):
        """Gmail says its capabilities before the tagged OK, others say more; all of it is the client's."""
        answer, reason = self.log_in("imap", [
            b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n", r"L LOGIN",
            b"* CAPABILITY IMAP4rev1 IDLE X-GM-EXT-1\r\n* OK [ALERT] be careful\r\n* OK third\r\nL OK in\r\n",
            r"z LOGOUT", b"* BYE\r\nz OK bye\r\n", CLOSES])
        self.assertEqual(reason, "ok")
        self.assertRegex(answer, r"\* OK \[ALERT\] be careful\r\n\* OK third\r\n"
                                 r"a OK \[CAPABILITY IMAP4rev1 IDLE X-GM-EXT-1\] in\r\n\* BYE\r\nz OK bye\r\n$")

    def test_a_prompt_without_its_space(self):
        """As Exchange has it."""
        answer, reason = self.log_in("imap", [
            b"* OK hi\r\n", r"C CAPABILITY", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nC OK\r\n",
            r"L AUTHENTICATE PLAIN$", b"+\r\n", r"AGFubmEAc2VjcmV0$", b"L OK in\r\n", r"C CAPABILITY",
            b"* CAPABILITY IMAP4rev1 IDLE\r\nC OK\r\n", r"z LOGOUT", b"z OK bye\r\n",
            CLOSES], mail={"mechanism": "plain"})
        self.assertEqual(reason, "ok", answer)
        self.assertIn("a OK [CAPABILITY IMAP4rev1 IDLE] in\r\n", answer)
        answer, reason = self.log_in("pop3", [
            b"+OK\r\n", r"AUTH PLAIN$", b"+\r\n", r"AGFubmEAc2VjcmV0$", b"+OK in\r\n", r"QUIT", b"+OK\r\n",
            CLOSES], mail={"mechanism": "plain"})
        self.assertEqual(reason, "ok", answer)

    def test_answers_in_pieces(self):
        for protocol, steps in {
                "imap": [b"* OK [CAPABI", 0.02, b"LITY IMAP4rev1] hi\r", 0.02, b"\n", r"L LOGIN", b"L O", 0.02, b"K\r\n",
                         r"C CAPABILITY", b"* CAPABILITY X\r", 0.02, b"\nC O", 0.02, b"K\r\n", r"z LOGOUT", b"z OK\r\n"],
                "pop3": [b"+O", 0.02, b"K\r", 0.02, b"\n", r"USER", b"+", 0.02, b"OK\r\n", r"PASS", b"+OK\r\n", r"QUIT"],
                "smtp": [b"22", 0.02, b"0 hi\r", 0.02, b"\n", r"EHLO", b"250-", 0.02, b"hi\r\n250 AUTH PLAIN\r\n",
                         r"AUTH", b"235 2.7.0 in\r", 0.02, b"\n", r"QUIT"],
                "sieve": [b'"SASL" "PLA', 0.02, b'IN"\r', 0.02, b'\nOK\r\n', r"AUTHENTICATE", b"O", 0.02, b"K\r\n",
                          r"LOGOUT"]}.items():
            with self.subTest(protocol):
                answer, reason = self.log_in(protocol, [*steps, CLOSES])
                self.assertEqual(reason, "ok", answer)

    def test_refusals_keep_their_meaning(self):
        """And lose what tells whether there is such a user."""
        for protocol, steps, want in (
                ("pop3", [b"+OK\r\n", r"USER", b"-ERR no such user\r\n"], r"\n-ERR \[AUTH\] Authentication failed"),
                ("pop3", [b"+OK\r\n", r"USER", b"+OK\r\n", r"PASS", b"-ERR [IN-USE] locked\r\n"],
                 r"\n-ERR \[IN-USE\] locked\r\n"),
                ("pop3", [b"+OK\r\n", r"USER", b"+OK\r\n", r"PASS", b"-ERR [SYS/TEMP] later\r\n"],
                 r"\n-ERR \[SYS/TEMP\] Account is temporarily unavailable"),
                ("smtp", [b"220 hi\r\n", r"EHLO", b"250-hi\r\n250 AUTH PLAIN\r\n", r"AUTH", b"535 5.7.8 no such user\r\n"],
                 r"\n535 5\.7\.8 Authentication failed\r\n"),
                ("smtp", [b"220 hi\r\n", r"EHLO", b"250-hi\r\n250 AUTH PLAIN\r\n", r"AUTH", b"525 5.7.13 dis\x1babled\r\n"],
                 r"\n525 5\.7\.13 dis\?abled\r\n"),
                ("smtp", [b"220 hi\r\n", r"EHLO", b"250-hi\r\n250 AUTH PLAIN\r\n", r"AUTH", b"454 4.7.0 later\r\n"],
                 r"\n454 4\.7\.0 Account is temporarily unavailable\r\n"),
                ("imap", [b"* OK [CAPABILITY IMAP4rev1] hi\r\n", r"L LOGIN", b"L NO no such user\r\n"],
                 r"\na NO \[AUTHENTICATIONFAILED\] Authentication failed")):
            with self.subTest(protocol, want=want):
                answer, _ = self.log_in(protocol, steps)
                self.assertRegex(answer, want)
                self.assertNotIn("no such user", answer)


if __name__ == "__main__":
    unittest.main()
