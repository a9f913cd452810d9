"""Mail clients that do not keep to the rules: every protocol, in one piece and byte by byte, and nobody hangs."""

import base64
import re
import unittest

from lab import wire
from lab.mail import MailCase

# protocol: how a client says goodbye, and the answer
BYES = {"imap": (b"z LOGOUT\r\n", "* BYE Logging out", "z OK Logout completed."),
        "pop3": (b"QUIT\r\n", "+OK Logging out."),
        "smtp": (b"QUIT\r\n", "221 2.0.0 Bye"),
        "sieve": (b"LOGOUT\r\n", 'OK "Logout completed."')}
CLOSED = None  # lbd ends it: the goodbye is not heard
BIG = 1000000
BAD_LOGIN = "a BAD LOGIN takes a user name and a password."
BAD_TAG = "* BAD Invalid tag."
POP3_UNKNOWN = "-ERR Unknown command, or not before the login."
POP3_SASL = "-ERR This is no message of the mechanism."
SMTP_SASL = "501 5.5.2 This is no message of the mechanism"
SIEVE_UNKNOWN = 'NO "Unknown command, or not before login."'
SMTP_CRLF = "521 5.5.2 Lines end in CRLF, and nothing else does"
IMAP_SASL = "a BAD Malformed authentication message."
TOO_BIG = "a BAD [TOOBIG] Literal too long."
SMTP_HELO = "250 mail.example"
SMTP_UNKNOWN = "500 5.5.2 Unknown command"
SMTP_LOGIN = "530 5.7.0 Authentication required"
STARTTLS = {"imap": b"a STARTTLS\r\n", "pop3": b"STLS\r\n", "smtp": b"STARTTLS\r\n", "sieve": b"STARTTLS\r\n"}
LOGINS = {"imap": b"b LOGIN anna secret\r\n", "pop3": b"USER anna\r\nPASS secret\r\n",
          "smtp": b"EHLO c\r\nAUTH PLAIN AGFubmEAc2VjcmV0\r\n",
          "sieve": b"AUTHENTICATE \"PLAIN\" \"AGFubmEAc2VjcmV0\"\r\n"}


def encoded(*parts):
    return base64.b64encode(b"".join(parts))


class Dialects(MailCase):
    """All four protocols, whose server is not there."""

    def open_all(self, tls=False, **mail):
        listeners = {
            protocol: {"bind": ["127.0.0.1:0"], "protocol": protocol, "default_pool": "boxes",
                       "mail": {"host": "mail.example", "allow_cleartext": True, **mail},
                       **({"tls": {"certificates": ["mail"]}} if tls else {})}
            for protocol in BYES}
        self.open("127.0.0.1:1", sections={"listeners": listeners})

    def say(self, protocol, data, cuts=()):
        """Everything it answers until it closes."""
        with self.connect(self.proxy.address(protocol)) as client:
            client.send(data, cuts=cuts, pause=0)
            return client.read_rest()

    def play(self, protocol, cases):
        """Each case: what is sent, and the lines that come behind the greeting. A goodbye is sent behind it."""
        goodbye, *farewell = BYES[protocol]
        greeting = self.say(protocol, goodbye).decode().splitlines()[:-len(farewell)]
        for data, *want in cases:
            want = want[:-1] if want[-1] is CLOSED else want + farewell
            with self.subTest(protocol=protocol, data=data[:60], length=len(data)):
                data += goodbye
                for cuts in ((), range(1, len(data)) if len(data) < 300 else ()):
                    answer = self.say(protocol, data, cuts)
                    self.assertEqual(answer.decode(), "".join(f"{line}\r\n" for line in greeting + want))

    IMAP = [
        (b"t" * 1000 + b" NOOP\r\n", BAD_TAG),
        (b"NOOP\r\n", "NOOP BAD Unknown command, or not before login."),
        (b"\r\n", BAD_TAG),
        (b"a\r\n", "a BAD Unknown command, or not before login."),
        (b"* NOOP\r\n", BAD_TAG),
        (b"a+ NOOP\r\n", BAD_TAG),
        (b"a NOOP\nb NOOP\n", "a OK NOOP completed.", "b OK NOOP completed."),
        (b"a LOGIN\r\n", BAD_LOGIN),
        (b"a LOGIN anna\r\n", BAD_LOGIN),
        (b"a LOGIN anna secret more\r\n", BAD_LOGIN),
        (b"a LOGIN \"anna secret\r\n", BAD_LOGIN),
        (b"a LOGIN {0}\r\n secret\r\n", "+ OK", "a NO [AUTHENTICATIONFAILED] Authentication failed."),
        (b"a LOGIN {4294967296}\r\n", TOO_BIG),
        (b"a LOGIN {18446744073709551616}\r\n", TOO_BIG),
        (b"a LOGIN {5-}\r\n", BAD_LOGIN),
        (b"a LOGIN {5+} x\r\n", BAD_LOGIN),
        (b"a LOGIN {9999+}\r\nb LOGIN anna secret\r\n", TOO_BIG, "* BYE Command too long.", CLOSED),
        (b"a FETCH {21+}\r\nb LOGIN anna secret\r\n\r\n", "a BAD Unknown command, or not before login."),
        (b"a FETCH {100000+}\r\n" + b"b LOGIN anna secret\r\n" * 5000, TOO_BIG, "* BYE Command too long.", CLOSED),
        (b"a LOGIN an\0na secret\r\n", "* BYE Bad bytes in a command.", CLOSED),
        (b"a LOGIN \xff\xfe secret\r\n", "a NO [AUTHENTICATIONFAILED] Authentication failed."),
        (b"x" * BIG, "* BAD [TOOBIG] Line too long.", "* BYE Command too long.", CLOSED),
        (b"a AUTHENTICATE PLAIN !!!!\r\n", IMAP_SASL),
        (b"a AUTHENTICATE PLAIN\r\n*\r\n", "+ ", "a BAD Authentication cancelled."),
        (b"a AUTHENTICATE PLAIN " + encoded(b"\0anna") + b"\r\n", IMAP_SASL),
        (b"a AUTHENTICATE PLAIN " + encoded(b"\0anna\0x\0y\0z") + b"\r\n", IMAP_SASL),
        (b"a AUTHENTICATE CRAM-MD5\r\n", "a NO [CANNOT] Unsupported authentication mechanism."),
        (b"a SELECT INBOX\r\nb FETCH 1 ALL\r\nc ENABLE X\r\nd X\r\ne Y\r\nf Z\r\n",
         *(f"{tag} BAD Unknown command, or not before login." for tag in "abcde"),
         "* BYE Too many bad commands.", CLOSED),
    ]
    POP3 = [
        (b"USER " + b"x" * 251 + b"\r\n", "-ERR Command too long.", CLOSED),
        (b"x" * BIG, "-ERR Command too long.", CLOSED),
        (b"\r\n", POP3_UNKNOWN),
        (b"USER\r\n", "-ERR This is no name."),
        (b"USER \x01\r\n", "-ERR This is no name."),
        (b"PASS secret\r\n", "-ERR USER comes first."),
        (b"CAPA\nQUIT\n",
         "+OK Capability list follows", "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "USER", "SASL PLAIN LOGIN", "."),
        (b"USER an\0na\r\n", "-ERR Bad bytes in a command.", CLOSED),
        (b"APOP anna 0123\r\nUTF8\r\nLANG *\r\nSTAT\r\nRETR 1\r\nNOOP\r\n",
         *[POP3_UNKNOWN] * 5, CLOSED),
        (b"AUTH PLAIN !!!!\r\n", POP3_SASL),
        (b"AUTH PLAIN\r\n*\r\n", "+ ", "-ERR Authentication cancelled."),
        (b"AUTH PLAIN " + encoded(b"\0anna") + b"\r\n", POP3_SASL),
        (b"AUTH PLAIN " + encoded(b"\0anna\0x\0y\0z") + b"\r\n", POP3_SASL),
        (b"AUTH CRAM-MD5\r\n", "-ERR This mechanism is not offered."),
        (b"AUTH PLAIN\r\n" + b"A" * 20000 + b"\r\n", "+ ", "-ERR Command too long.", CLOSED),
    ]
    SMTP = [
        (b"MAIL FROM:<a@b>\r\n", "503 5.5.1 EHLO comes first"),
        (b"EHLO\r\n", "501 5.5.4 EHLO takes the name of a host"),
        (b"EHLO a b\r\n", "501 5.5.4 EHLO takes the name of a host"),
        (b"EHLO a\nNOOP\r\n", SMTP_CRLF, CLOSED),
        (b"NOOP\rNOOP\r\n", SMTP_CRLF, CLOSED),
        (b"NO\0OP\r\n", SMTP_CRLF, CLOSED),
        (b"x" * BIG, "500 5.5.6 Line too long", CLOSED),
        (b"HELO c\r\nAUTH PLAIN =\r\n", SMTP_HELO, SMTP_SASL),
        (b"HELO c\r\nAUTH PLAIN !!!!\r\n", SMTP_HELO, SMTP_SASL),
        (b"HELO c\r\nAUTH PLAIN\r\n*\r\n", SMTP_HELO, "334 ", "501 5.7.0 Authentication cancelled"),
        (b"HELO c\r\nAUTH PLAIN " + encoded(b"\0anna\0x\0y\0z") + b"\r\n", SMTP_HELO, SMTP_SASL),
        (b"HELO c\r\nAUTH CRAM-MD5\r\nVRFY a\r\nEXPN a\r\nTURN\r\n",
         SMTP_HELO, "504 5.5.4 This mechanism is not offered", "502 5.5.1 Not here", "502 5.5.1 Not here",
         SMTP_UNKNOWN),
        (b"HELO c\r\nDATA\r\n.\r\nRCPT TO:<a@b>\r\nBDAT 3 LAST\r\nabc",
         SMTP_HELO, SMTP_LOGIN, SMTP_UNKNOWN, SMTP_LOGIN, SMTP_LOGIN, SMTP_UNKNOWN,
         "421 4.7.0 mail.example Too many bad commands", CLOSED),
        (b"HELO c\r\nAUTH PLAIN\r\n" + b"A" * 20000 + b"\r\n", SMTP_HELO, "334 ", "500 5.5.6 Line too long", CLOSED),
    ]
    SIEVE = [
        (b"NOOP\r\n", 'OK "NOOP completed."'),
        (b"\r\n", SIEVE_UNKNOWN),
        (b"LISTSCRIPTS\r\n", SIEVE_UNKNOWN),
        (b"AUTHENTICATE\r\n", 'NO "AUTHENTICATE takes a mechanism and a message, quoted."'),
        (b"AUTHENTICATE \"PLAIN\" \"!!!!\"\r\n", 'NO "Malformed authentication message."'),
        (b"AUTHENTICATE \"PLAIN\" {4+}\r\n!!!!\r\n", 'NO "Malformed authentication message."'),
        (b"AUTHENTICATE \"PLAIN\" {99999999999999999999+}\r\n",
         'NO "Literal too long."', 'BYE "Command too long."', CLOSED),
        (b"AUTHENTICATE \"PLAIN\"\r\n\"*\"\r\n", '""', 'NO "Authentication cancelled."'),
        (b"AUTHENTICATE \"CRAM-MD5\"\r\n", 'NO "Unsupported authentication mechanism."'),
        (b"PUTSCRIPT \"x\" {10+}\r\nLOGOUT\r\n\r\n\r\n", SIEVE_UNKNOWN),
        (b"NO\0OP\r\n", 'BYE "Bad bytes in a command."', CLOSED),
        (b"x" * BIG, 'BYE "Command too long."', CLOSED),
    ]

    def test_malformed(self):
        self.open_all()
        self.play("imap", self.IMAP)
        self.play("pop3", self.POP3)
        self.play("smtp", self.SMTP)
        self.play("sieve", self.SIEVE)

    def test_nothing_that_was_said_before_tls_counts_after_it(self):
        """CVE-2011-0411: no go-ahead, no answer to what was injected, no login."""
        self.open_all(tls=True, starttls=True)
        for protocol, command in STARTTLS.items():
            with self.subTest(protocol):
                greeting = self.say(protocol, BYES[protocol][0]).decode().splitlines()[:1 - len(BYES[protocol])]
                for injected in (LOGINS[protocol], b"x"):
                    answer = self.say(protocol, command + injected)
                    self.assertEqual(answer.decode().splitlines(), greeting)
        self.assertEqual([line["reason"] for line in self.lines("end", 12)].count("starttls_injection"), 8)
        self.assertEqual(self.proxy.access_log()[-1].get("user"), None)

    def test_passwords_wait_for_tls(self):
        """And they are forgotten where they did not."""
        self.open_all(tls=True, starttls=True, allow_cleartext=False)
        for protocol, command in STARTTLS.items():
            with self.subTest(protocol):
                answer = self.say(protocol, LOGINS[protocol] + BYES[protocol][0]).decode()
                self.assertRegex(answer, "PRIVACYREQUIRED|TLS only|538 5.7.11|ENCRYPT-NEEDED")
                self.assertNotIn("LOGIN OAUTH", answer)
                with self.connect(self.proxy.address(protocol)) as client:
                    client.send(command)
                    while not re.search(rb"Begin TLS|220 2\.0\.0", client.reader.line()):
                        pass
                    client.sock = self.context().wrap_socket(client.sock, server_hostname="mail.example")
                    client.reader = wire.Reader(client.sock)
                    client.send(BYES[protocol][0])
                    self.assertIn(BYES[protocol][-1], client.read_rest().decode())

    def test_no_secret_is_written_down(self):
        self.open_all()
        for protocol, login in LOGINS.items():
            self.say(protocol, login + BYES[protocol][0])
        self.lines("login", 4)
        written = self.proxy.log_text() + self.proxy.stderr_text() + str(self.proxy.access_log())
        for secret in ("secret", "AGFubmEAc2VjcmV0"):
            self.assertNotIn(secret, written)


if __name__ == "__main__":
    unittest.main()
