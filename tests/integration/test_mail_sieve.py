"""ManageSieve from its greeting to its end, before a real Dovecot: every form of login on every leg."""

import base64
import shutil
import subprocess
import unittest

from lab import wait_for, wire
from lab.client import Client
from lab.mail import MailCase

ODD_PASSWORDS = ["with spaces  inside", 'quo"te\\back', "{5+}", "gr\u00fc\u00dfe \u20ac", "z" * 1000]
TOKENS = {"mechanisms": ["plain", "login", "xoauth2", "oauthbearer"]}
PLAIN = base64.b64encode(b"\0anna\0secret")
SCRIPT = b'require "fileinto";\r\nfileinto "Work";\r\n'


def literal(text):
    return b"{%d+}\r\n%s" % (len(text), text)


def forms(token):
    """Every way to log anna in."""
    xoauth2 = base64.b64encode(b"user=anna\1auth=Bearer " + token + b"\1\1")
    bearer = base64.b64encode(b"n,a=anna,\1auth=Bearer " + token + b"\1\1")
    return {
        "PLAIN at once": b'AUTHENTICATE "PLAIN" "%s"\r\n' % PLAIN,
        "PLAIN as literal": b'AUTHENTICATE "PLAIN" %s\r\n' % literal(PLAIN),
        "PLAIN": b'authenticate "plain"\r\n"%s"\r\n' % PLAIN,
        "LOGIN": b'AUTHENTICATE "LOGIN"\r\n"YW5uYQ=="\r\n%s\r\n' % literal(b"c2VjcmV0"),
        "XOAUTH2": b'AUTHENTICATE "XOAUTH2" "%s"\r\n' % xoauth2,
        "OAUTHBEARER": b'AUTHENTICATE "OAUTHBEARER" %s\r\n' % literal(bearer),
    }


class Sieve(MailCase):
    protocol = "sieve"

    def lines_until(self, client, end):
        """Up to the first that begins so."""
        lines = []
        while not lines or not lines[-1].startswith(end):
            lines.append(client.reader.line())
        return lines

    def test_every_login_on_every_leg(self):
        dovecot = self.dovecot(certificate=self.certificate)
        verified = {"ca": "ours", "server_name": "mail.example"}
        server = {"servers": {"a": {"address": dovecot.address("sieve")}}}
        pools = {"clear": server, "starttls": {**server, "mail": {"starttls": True}, "tls": verified}}
        listeners = {
            f"{leg}-{pool}": {
                "bind": ["127.0.0.1:0"], "protocol": "sieve", "default_pool": pool, "tls": {"certificates": ["mail"]},
                "mail": {"host": "mail.example", "allow_cleartext": True, "starttls": leg == "clear", **TOKENS}}
            for pool in pools for leg in ("clear", "tls")}
        self.open(sections={"listeners": listeners, "pools": pools})
        token = dovecot.token("anna").encode()
        for pool in pools:
            for leg in ("clear", "starttls", "tls"):
                for name, login in forms(token).items():
                    with self.subTest(client=leg, server=pool, form=name):
                        client = self.connect_by(leg, pool)
                        client.send(login + b"LISTSCRIPTS\r\nLOGOUT\r\n")
                        self.assertRegex(client.read_rest(), rb'(?s)OK "Logged in\."\r\nOK ".*"\r\nOK ".*"\r\n$')
                        client.close()

    def connect_by(self, leg, pool):
        """A raw client behind the greeting."""
        tls = {"tls": self.context(), "name": "mail.example"}
        address = self.proxy.address(f"{'tls' if leg == 'tls' else 'clear'}-{pool}")
        client = Client(address, **(tls if leg == "tls" else {}))
        self.addCleanup(client.close)
        greeting = self.lines_until(client, b"OK")
        self.assertEqual(b'"STARTTLS"' in greeting, leg != "tls")
        if leg == "starttls":
            client.send(b"STARTTLS\r\n")
            self.assertRegex(client.reader.line(), rb"^OK")
            client.sock = self.context().wrap_socket(client.sock, server_hostname="mail.example")
            client.reader = wire.Reader(client.sock)
            again = self.lines_until(client, b"OK")  # RFC 5804 2.2
            self.assertEqual(again[:-1], [line for line in greeting[:-1] if line != b'"STARTTLS"'])
        return client

    def test_odd_passwords(self):
        dovecot = self.dovecot(users={f"u{i}": password for i, password in enumerate(ODD_PASSWORDS)})
        self.open(dovecot.address("sieve"))
        for i, password in enumerate(ODD_PASSWORDS):
            message = base64.b64encode(b"\0u%d\0%s" % (i, password.encode()))
            with self.subTest(password=password):
                client = self.raw()
                client.send(b'AUTHENTICATE "PLAIN" %s\r\nLOGOUT\r\n' % literal(message))
                self.assertRegex(client.read_rest(), rb'OK "Logged in\."\r\nOK')

    def test_byte_by_byte(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("sieve"))
        lines = b'NOOP\r\nAUTHENTICATE "PLAIN" %s\r\nLISTSCRIPTS\r\nLOGOUT\r\n' % literal(PLAIN)
        client = self.raw()
        client.send(lines, cuts=range(1, len(lines)))
        self.assertRegex(client.read_rest(), rb'OK "NOOP completed\."\r\nOK "Logged in\."\r\nOK ')

    def test_a_script_is_kept_and_used(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("sieve"))
        client = self.raw()
        client.send(b'AUTHENTICATE "PLAIN" "%s"\r\nPUTSCRIPT "work" %s\r\nSETACTIVE "work"\r\nLISTSCRIPTS\r\n'
                    b'GETSCRIPT "work"\r\nLOGOUT\r\n' % (PLAIN, literal(SCRIPT)))
        answer = client.read_rest()
        self.assertIn(b'"work" ACTIVE\r\n', answer)
        self.assertIn(SCRIPT, answer)

    def test_wrong_password_then_right_one(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("sieve"))
        client = self.raw()
        wrong = base64.b64encode(b"\0anna\0wrong")
        client.send(b'AUTHENTICATE "PLAIN" "%s"\r\nAUTHENTICATE "PLAIN" "%s"\r\nLOGOUT\r\n' % (wrong, PLAIN))
        self.assertRegex(client.read_rest(), rb'NO "Authentication failed\."\r\nOK "Logged in\."\r\nOK')

    def test_nobody_becomes_another_user_behind_the_login(self):
        """UNAUTHENTICATE (RFC 5804 2.14.1), as Cyrus has it."""
        heard = []

        def server(peer):
            peer.send(b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"UNAUTHENTICATE"\r\nOK\r\n')
            try:
                while True:
                    heard.append(peer.reader.line())
                    peer.send(b"OK\r\n")
            except (EOFError, ConnectionError):
                pass
        self.open(f"127.0.0.1:{self.origin(server).port}")
        for pieces in ((b"NOOP\r\nUNAUTHENTICATE\r\n",), (b"NOOP\r\nunauth", b"enticate\r\n")):
            client = self.raw()
            self.lines_until(client, b"OK")
            client.send(b'AUTHENTICATE "PLAIN" "%s"\r\n' % PLAIN)
            self.lines_until(client, b"OK")
            client.send(pieces[0])
            for piece in pieces[1:]:
                self.lines_until(client, b"OK")
                client.send(piece)
            self.assertEqual(client.read_rest(), b'BYE "UNAUTHENTICATE ends the session here."\r\n')
        self.assertEqual([line for line in heard if b"AUTHENTICATE" not in line.upper()], [b"NOOP"])

    def test_the_server_knows_the_client(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("sieve"), listener={"proxy_protocol_from": ["127.0.0.1/32"]})
        client = self.raw()
        client.send(b'PROXY TCP4 192.0.2.77 192.0.2.1 1025 4190\r\nAUTHENTICATE "PLAIN" "%s"\r\nLOGOUT\r\n' % PLAIN)
        self.assertRegex(client.read_rest(), rb'OK "Logged in\."')
        self.assertEqual(self.addresses_of(dovecot, "anna"), ["192.0.2.77"])

    def test_master(self):
        dovecot = self.dovecot(masters={"lbd": "master key"})
        self.open_master(dovecot, "sieve")
        client = self.raw()
        client.send(b'AUTHENTICATE "PLAIN" "%s"\r\nLOGOUT\r\n' % base64.b64encode(b"\0anna\0whatever"))
        self.assertRegex(client.read_rest(), rb'OK "Logged in\."')

    def test_clients_are_told_what_the_servers_can(self):
        """From checks: nobody has logged in yet, and behind the login the list does not come again."""
        dovecot = self.dovecot()
        check = {"type": "sieve", "interval": "150ms", "timeout": "2s", "rise": 1, "fall": 1}
        self.open(dovecot.address("sieve"), pool={"health_check": "hc"}, sections={"health_checks": {"hc": check}})
        self.proxy.wait_health("a", "up", pool="boxes")

        def greeting():
            with self.connect(self.proxy.address("mail")) as client:
                lines = self.lines_until(client, b"OK")
            return lines if any(b"fileinto" in line for line in lines) else None
        lines = wait_for(greeting, "Dovecot's extensions in our greeting")
        host, _, port = dovecot.address("sieve").rpartition(":")
        with self.connect((host, int(port))) as client:
            straight = self.lines_until(client, b"OK")
        ours = (b'"IMPLEMENTATION"', b'"SASL"', b'"XCLIENT"', b'"VERSION"', b'"STARTTLS"', b"OK")
        self.assertEqual([line for line in lines if not line.startswith(ours)],
                         [line for line in straight if not line.startswith(ours)])

    @unittest.skipUnless(shutil.which("sieve-connect"), "no sieve-connect")
    def test_sieve_connect(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("sieve"), tls=True, mail={"starttls": True, "allow_cleartext": False})
        done = subprocess.run(
            ["sieve-connect", "--server", "localhost", "--port", str(self.proxy.port("mail")), "--user", "anna",
             "--passwordfd", "0", "--tlscafile", str(self.ca.certificate), "--nosrv", "--list"],
            input=b"secret\n", capture_output=True, timeout=200, check=False)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))


if __name__ == "__main__":
    unittest.main()
