"""What clients may ask before they are logged in: each limit at its last byte, and one beyond it."""

import base64
import concurrent.futures
import re
import select
import socket
import time
import unittest

from lab.client import Client
from lab.machines import PROTOCOLS, Machine, Mailbox, Refused
from lab.mail import MailCase


def b64(text):
    return base64.b64encode(text)


def plain(user, password=b"secret"):
    return b64(b"\0" + user + b"\0" + password)


def oauth(token):
    return b64(b"user=anna\x01auth=Bearer " + token + b"\x01\x01")


def padded(begin, length):
    """`begin` with x behind it, up to `length`."""
    return begin + b"x" * (length - len(begin))


def sasl(length):
    """A line of AUTH in base64 of so many bytes, which is no message."""
    return b"A" * length


USER, LONG_USER = b"u" * 320, b"u" * 321
WORD, LONG_WORD = b"p" * 1024, b"p" * 1025
LONG_TOKEN = b"t" * 12289

# what is sent, what is said after the greeting, and whether that is the end
EDGES = {
    "imap": [
        (b"a LOGIN " + USER + b" secret\r\n", r"a OK ", False),
        (b"a LOGIN " + LONG_USER + b" secret\r\n", r"a NO \[AUTHENTICATIONFAILED\] ", False),
        (b"a LOGIN j\xc3\xb6rg secret\r\n", r"a OK ", False),
        (b"a LOGIN j\xf6rg secret\r\n", r"a NO \[AUTHENTICATIONFAILED\] ", False),
        (b"a LOGIN \"   \" secret\r\n", r"a NO \[AUTHENTICATIONFAILED\] ", False),
        (b"a LOGIN \"a\x01b\" secret\r\n", r"a NO \[AUTHENTICATIONFAILED\] ", False),
        (b"a LOGIN anna " + WORD + b"\r\n", r"a OK ", False),
        (b"a LOGIN anna " + LONG_WORD + b"\r\n", r"a BAD ", False),
        (b"a AUTHENTICATE XOAUTH2 " + oauth(LONG_TOKEN) + b"\r\n", r"a (NO|BAD) ", False),
        (padded(b"a NOOP", 8192) + b"\r\n", r"a BAD ", False),
        (padded(b"a NOOP", 8193) + b"\r\n", r"\* BAD \[TOOBIG\] .*\* BYE ", True),
        (b"a AUTHENTICATE PLAIN " + sasl(16384) + b"\r\n", r"a BAD Malformed", False),
        (b"a AUTHENTICATE PLAIN\r\n" + sasl(16384) + b"\r\n", r"\+ \r\na BAD Malformed", False),
        (b"a AUTHENTICATE PLAIN\r\n" + sasl(16385) + b"\r\n", r"\+ \r\n\* BAD \[TOOBIG\] .*\* BYE ", True),
        (b"a LOGIN {4096}\r\n", r"\+ ", False),
        (b"a LOGIN {4097}\r\nb NOOP\r\n", r"a BAD \[TOOBIG\] .*b OK", False),
        (b"a LOGIN {4097+}\r\n", r"a BAD \[TOOBIG\] .*\* BYE ", True),
        (b"a ID (\"k\" {4096+}\r\n" + b"x" * 4096 + b" \"l\" {4096}\r\n", r"\+ ", False),
        (b"a ID (\"k\" {4096+}\r\n" + b"x" * 4096 + b" \"l\" {4096+}\r\n" + b"x" * 4096 + b" \"m\" {1}\r\nb NOOP\r\n",
         r"a BAD \[TOOBIG\] .*b OK", False),
        (b"a ID (" + b'"k" "v" ' * 30 + b")\r\n", r"a OK ", False),
        (b"a ID (" + b'"k" "v" ' * 31 + b")\r\n", r"a BAD ", False),
        (b"a ID (\"k\" \"" + b"v" * 1024 + b"\")\r\n", r"a OK ", False),
        (b"a ID (\"k\" \"" + b"v" * 1025 + b"\")\r\n", r"a BAD ", False),
        (b"t" * 128 + b" NOOP\r\n", r"t{128} OK ", False),
        (b"t" * 129 + b" NOOP\r\n", r"\* BAD ", False),
        (b"a NOOP\n", r"a OK ", False),
        (b"a NO\0OP\r\n", r"\* BYE ", True),
        (b"x\r\n" * 4, r"(x BAD [^\r]*\r\n){4}", False),
        (b"x\r\n" * 5, r"(x BAD [^\r]*\r\n){5}\* BYE ", True),
    ],
    "pop3": [
        (b"USER " + b"u" * 250 + b"\r\nPASS secret\r\n", r"\+OK[^\r]*\r\n\+OK", False),
        (b"USER " + b"u" * 251 + b"\r\n", r"-ERR Command too long", True),
        (b"AUTH PLAIN " + plain(USER) + b"\r\n", r"\+OK", False),
        (b"AUTH PLAIN " + plain(LONG_USER) + b"\r\n", r"-ERR \[AUTH\]", False),
        (b"AUTH PLAIN " + plain(b"anna", WORD) + b"\r\n", r"\+OK", False),
        (b"AUTH PLAIN " + plain(b"anna", LONG_WORD) + b"\r\n", r"-ERR \[AUTH\]", False),
        (b"AUTH PLAIN\r\n" + sasl(16384) + b"\r\n", r"\+ \r\n-ERR This is no message", False),
        (b"AUTH PLAIN\r\n" + sasl(16385) + b"\r\n", r"\+ \r\n-ERR Command too long", True),
        (b"CAPA\n", r"\+OK", False),
        (b"CA\0PA\r\n", r"-ERR Bad bytes", True),
        (b"NOOP\r\n" * 4, r"(-ERR [^\r]*\r\n){4}", False),
        (b"NOOP\r\n" * 5, r"(-ERR [^\r]*\r\n){5}", True),
    ],
    "smtp": [
        (padded(b"EHLO ", 5 + 255) + b"\r\n", r"250-", False),
        (padded(b"EHLO ", 5 + 257) + b"\r\n", r"501 ", False),
        (padded(b"NOOP ", 2048) + b"\r\n", r"250 ", False),
        (padded(b"NOOP ", 2049) + b"\r\n", r"500 5\.5\.6 ", True),
        (b"EHLO c\r\nAUTH PLAIN " + plain(USER) + b"\r\n", r"235 ", False),
        (b"EHLO c\r\nAUTH PLAIN " + plain(LONG_USER) + b"\r\n", r"535 ", False),
        (b"EHLO c\r\nAUTH PLAIN " + plain(b"anna", WORD) + b"\r\n", r"235 ", False),
        (b"EHLO c\r\nAUTH PLAIN " + plain(b"anna", LONG_WORD) + b"\r\n", r"535 ", False),
        (b"EHLO c\r\nAUTH PLAIN\r\n" + sasl(16384) + b"\r\n", r"334 \r\n501 ", False),
        (b"EHLO c\r\nAUTH PLAIN\r\n" + sasl(16385) + b"\r\n", r"334 \r\n500 5\.5\.6 ", True),
        (b"NOOP\n", r"521 ", True),
        (b"NO\0OP\r\n", r"521 ", True),
        (b"X\r\n" * 4, r"(500 [^\r]*\r\n){4}", False),
        (b"X\r\n" * 5, r"(500 [^\r]*\r\n){5}421 ", True),
    ],
    "sieve": [
        (b'AUTHENTICATE "PLAIN" "' + plain(USER) + b'"\r\n', r'OK', False),
        (b'AUTHENTICATE "PLAIN" "' + plain(LONG_USER) + b'"\r\n', r'NO ', False),
        (b'AUTHENTICATE "PLAIN" {%d+}\r\n%s\r\n' % (len(plain(b"anna", WORD)), plain(b"anna", WORD)), r'OK', False),
        (b'AUTHENTICATE "PLAIN" {%d+}\r\n%s\r\n' % (len(plain(b"anna", LONG_WORD)), plain(b"anna", LONG_WORD)),
         r'NO ', False),
        (b'AUTHENTICATE "PLAIN" {16384+}\r\n' + sasl(16384) + b'\r\n', r'NO "Malformed', False),
        (b'AUTHENTICATE "PLAIN" {16385+}\r\n', r'NO "Literal too long.*BYE ', True),
        (b"NO\0OP\r\n", r'BYE "Bad bytes', True),
        (b"X\r\n" * 4, r'(NO [^\r]*\r\n){4}', False),
        (b"X\r\n" * 5, r'(NO [^\r]*\r\n){5}BYE ', True),
    ],
}


class Edges(MailCase):
    def open_all(self, **mail):
        machine = Machine(self, "b1")
        limits = {"connections_per_address": 0, "ban_failures": 0, **mail.pop("limits", {})}
        return self.lbd({
            "listeners": {protocol: {
                "bind": ["127.0.0.1:0"], "protocol": protocol, "default_pool": protocol,
                "mail": {"host": "mail.example", "allow_cleartext": True, "mechanisms": ["plain", "login", "xoauth2"],
                         **mail, "limits": limits},
            } for protocol in PROTOCOLS},
            "pools": {protocol: {"mail": {}, "servers": {"b1": {"address": machine.address(protocol)}}}
                      for protocol in PROTOCOLS},
        })

    def connect(self, proxy, protocol):
        """And reads the greeting."""
        client = Client(proxy.address(protocol), timeout=60)
        self.addCleanup(client.close)
        line = client.reader.line()
        while protocol == "sieve" and not line.startswith(b"OK"):
            line = client.reader.line()
        return client

    @staticmethod
    def hear(client, pattern, is_end):
        """What it is told until that has the pattern, and until the end where there should be one; whether that is
        there."""
        text = b""
        while is_end or not re.search(pattern, text, re.S):
            try:
                data = client.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return text, True
            text += data
        if select.select([client.sock], [], [], 0.02)[0]:
            return text, client.sock.recv(1, socket.MSG_PEEK) == b""
        return text, False

    def test_bytes(self):
        proxy = self.open_all()
        for protocol, edges in EDGES.items():
            for sent, pattern, is_end in edges:
                with self.subTest(f"{protocol} {sent[:60]} {len(sent)}"):
                    client = self.connect(proxy, protocol)
                    client.send(sent)
                    text, ended = self.hear(client, pattern.encode(), is_end)
                    self.assertRegex(text, re.compile(pattern.encode(), re.S))
                    self.assertEqual(ended, is_end, text)
                    client.close()

    def box(self, proxy, protocol):
        box = Mailbox("%s:%d" % proxy.address(protocol), protocol, timeout=60)
        self.addCleanup(box.close)
        return box

    def test_sessions_of_a_user_by_each_protocol(self):
        proxy = self.open_all(limits={"sessions_per_user": 2})
        words = {"imap": r"a NO \[LIMIT\] ", "pop3": r"-ERR \[IN-USE\] ", "smtp": r"4\d\d 4\.7\.0 ", "sieve": r"NO "}
        for protocol in PROTOCOLS:
            with self.subTest(protocol):
                boxes = [self.box(proxy, protocol) for _ in range(3)]
                for box in boxes[:2]:
                    box.log_in("anna")
                with self.assertRaisesRegex(Refused, words[protocol]):
                    boxes[2].log_in("anna")

    def test_failures_take_longer_and_longer_and_then_it_is_the_end(self):
        proxy = self.open_all(limits={"failures": 2})

        def fail(protocol):
            box = self.box(proxy, protocol)
            took = []
            for _ in range(2):
                began = time.monotonic()
                with self.assertRaises(Refused):
                    box.log_in("anna", "wrong")
                took.append(time.monotonic() - began)
            box.reader.read()  # until the end
            return took
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for protocol, took in zip(PROTOCOLS, pool.map(fail, PROTOCOLS)):
                with self.subTest(protocol):  # not much less than 1 s and 2 s; more is this machine
                    self.assertGreater(took[0], 0.95)
                    self.assertGreater(took[1], 1.95)

    def test_silence(self):
        """Before the login, in the middle of it, and after it."""
        proxy = self.open_all(timeouts={"read": "300ms", "idle": "300ms"})
        for protocol in PROTOCOLS:
            with self.subTest(protocol):
                self.connect(proxy, protocol).read_rest()
                half = self.connect(proxy, protocol)
                half.send(b"AUTHENTICATE" if protocol == "sieve" else b"NO")
                half.read_rest()
                # a login has several lines, and a busy machine takes its time for them
                proxy.patch(f"/v1/listeners/{protocol}", {"mail": {"timeouts": {"read": "5m"}}})
                inside = self.box(proxy, protocol)
                inside.log_in("anna")
                inside.reader.read()
        reasons = [line["reason"] for line in proxy.wait_access_log(16) if line["event"] == "end"]
        self.assertEqual({reason: reasons.count(reason) for reason in reasons},
                         {"login_timeout": 8, "tunnel_timeout": 4})

    def test_a_handshake_that_nobody_ends(self):
        for starttls in (False, True):
            with self.subTest(starttls=starttls):
                self.open("127.0.0.1:1", tls=True, mail={"starttls": starttls}, listener={
                    "tls": {"certificates": ["mail"]}, "timeouts": {"handshake": "300ms"}})
                client = self.raw()
                if starttls:
                    client.reader.line()
                    client.send(b"a STARTTLS\r\n")
                    self.assertRegex(client.reader.line(), rb"\Aa OK")
                client.send(b"\x16\x03")
                client.read_rest()
                self.proxy.wait_metric(1, "lbd_http_endings_total", listener="mail",
                                       reason="handshake_timeout")


if __name__ == "__main__":
    unittest.main()
