"""POP3 from its greeting to its end, before a real Dovecot: every form of login, and who is behind it."""

import base64
import poplib
import unittest

from lab.mail import MailCase

# what a line, a shell, a format or a quote could trip over
ODD_PASSWORDS = ["with spaces  inside", " and at both ends ", 'quo"te\\back', "%{x} %s {5}", "gr\u00fc\u00dfe \u20ac",
                 "=+/", ".", "x" * 200, "y" * 300, "z" * 1000]


TOKENS = {"mechanisms": ["plain", "login", "xoauth2", "oauthbearer"]}


class Pop3(MailCase):
    protocol = "pop3"

    def pop3(self, tls=False):
        port = self.proxy.port("mail")
        if tls:
            client = poplib.POP3_SSL("localhost", port, context=self.context(), timeout=30)
        else:
            client = poplib.POP3("127.0.0.1", port, timeout=30)
        self.addCleanup(client.close)
        return client

    def test_login_and_everything_after_it(self):
        dovecot = self.dovecot()
        dovecot.deliver("anna", b"Subject: hello\r\n\r\nbody\r\n")
        self.open(dovecot.address("pop3"))
        client = self.pop3()
        self.assertIn("SASL", client.capa())
        self.assertEqual(client.user("anna"), b"+OK")
        self.assertEqual(client.pass_("secret"), b"+OK Logged in.")
        self.assertEqual(client.stat()[0], 1)
        self.assertIn(b"body", client.retr(1)[1])
        client.quit()
        login = self.lines("login")[0]
        self.assertEqual((login["user"], login["protocol"], login["reason"]), ("anna", "pop3", "ok"))
        self.assertNotIn("secret", str(self.proxy.access_log()))

    def test_odd_passwords(self):
        dovecot = self.dovecot(users={f"u{i}": password for i, password in enumerate(ODD_PASSWORDS)})
        self.open(dovecot.address("pop3"))
        for i, password in enumerate(ODD_PASSWORDS):
            raw = password.encode()
            if len(raw) < 250:
                with self.subTest(by="PASS", password=password):
                    client = self.raw()
                    client.send(b"USER u%d\r\nPASS %s\r\nQUIT\r\n" % (i, raw))
                    self.assertRegex(client.read_rest(), rb"\+OK Logged in\.\r\n\+OK")
            with self.subTest(by="AUTH", password=password):
                client = self.raw()
                client.send(b"AUTH PLAIN\r\n" + base64.b64encode(b"\0u%d\0%s" % (i, raw)) + b"\r\nQUIT\r\n")
                self.assertRegex(client.read_rest(), rb"\+OK Logged in\.\r\n\+OK")

    def test_every_mechanism(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("pop3"), mail=TOKENS)
        token = dovecot.token("anna").encode()
        xoauth2 = base64.b64encode(b"user=anna\1auth=Bearer " + token + b"\1\1")
        bearer = base64.b64encode(b"n,a=anna,\1auth=Bearer " + token + b"\1\1")
        plain = base64.b64encode(b"\0anna\0secret")
        for name, lines in {
                "PLAIN at once": b"AUTH PLAIN " + plain + b"\r\n", "PLAIN": b"AUTH PLAIN\r\n" + plain + b"\r\n",
                "LOGIN": b"AUTH LOGIN\r\nYW5uYQ==\r\nc2VjcmV0\r\n", "LOGIN at once": b"AUTH LOGIN YW5uYQ==\r\nc2VjcmV0\r\n",
                "XOAUTH2": b"AUTH XOAUTH2 " + xoauth2 + b"\r\n", "OAUTHBEARER": b"AUTH OAUTHBEARER\r\n" + bearer + b"\r\n",
        }.items():
            with self.subTest(name):
                client = self.raw()
                client.send(lines + b"STAT\r\nQUIT\r\n")
                self.assertRegex(client.read_rest(), rb"\+OK Logged in\.\r\n\+OK 0 0\r\n\+OK")

    def test_byte_by_byte(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("pop3"))
        lines = b"USER anna\r\nPASS secret\r\nSTAT\r\nQUIT\r\n"
        client = self.raw()
        client.send(lines, cuts=range(1, len(lines)))
        self.assertRegex(client.read_rest(), rb"\+OK\r\n\+OK Logged in\.\r\n\+OK 0 0\r\n\+OK")

    def test_a_token_that_is_refused_brings_its_challenge(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("pop3"), mail=TOKENS)
        client = self.raw()
        client.send(b"AUTH OAUTHBEARER " + base64.b64encode(b"n,a=anna,\1auth=Bearer nonsense\1\1") + b"\r\n")
        self.assertRegex(client.reader.line(), rb"\+OK")
        challenge = client.reader.line()
        self.assertRegex(challenge, rb"^\+ ")
        self.assertIn(b'"status"', base64.b64decode(challenge[2:]))
        client.send(b"AQ==\r\nQUIT\r\n")
        self.assertRegex(client.read_rest(), rb"^-ERR \[AUTH\] Authentication failed\.\r\n\+OK Logging out")

    def test_stls_and_tls(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("pop3"), tls=True)
        client = self.pop3(tls=True)
        self.assertNotIn("STLS", client.capa())
        client.user("anna")
        client.pass_("secret")
        client.quit()
        self.open(dovecot.address("pop3"), tls=True, mail={"starttls": True, "allow_cleartext": False})
        client = self.pop3()
        self.assertNotIn("USER", client.capa())
        with self.assertRaisesRegex(poplib.error_proto, "TLS"):
            client.user("anna")
        client.stls(self.context())
        self.assertIn("USER", client.capa())
        client.user("anna")
        client.pass_("secret")
        client.quit()

    def test_servers_by_stls_and_tls(self):
        dovecot = self.dovecot(certificate=self.certificate)
        for service, mail in (("pop3", {"starttls": True}), ("pop3s", {})):
            with self.subTest(service):
                self.open(dovecot.address(service),
                          pool={"mail": mail, "tls": {"ca": "ours", "server_name": "mail.example"}})
                client = self.pop3()
                client.user("anna")
                client.pass_("secret")
                client.quit()

    def test_the_server_knows_who_is_behind_us(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("pop3"), mail={"trusted_from": ["127.0.0.1/32"]})
        client = self.raw()
        client.send(b"XCLIENT ADDR=192.0.2.77 PORT=1234 TTL=5\r\nUSER anna\r\nPASS secret\r\nQUIT\r\n")
        self.assertRegex(client.read_rest(), rb"\[XCLIENT\].*\r\n\+OK Updated\r\n\+OK\r\n\+OK Logged in")
        self.assertEqual(self.addresses_of(dovecot, "anna"), ["192.0.2.77"])

    def test_a_forged_one_is_not_believed(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("pop3"))
        client = self.raw()
        client.send(b"XCLIENT ADDR=192.0.2.77\r\nUSER anna\r\nPASS secret\r\nQUIT\r\n")
        self.assertRegex(client.read_rest(), rb"-ERR XCLIENT.*\r\n\+OK\r\n\+OK Logged in")
        self.assertEqual(self.addresses_of(dovecot, "anna"), ["127.0.0.1"])

    def test_a_loop_ends(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("pop3"), mail={"trusted_from": ["127.0.0.1/32"]})
        client = self.raw()
        client.send(b"XCLIENT TTL=1\r\nUSER anna\r\nPASS secret\r\nQUIT\r\n")
        self.assertRegex(client.read_rest(), rb"-ERR \[SYS/TEMP\]")
        self.assertEqual(self.lines("login")[0]["reason"], "loop")

    def test_master(self):
        dovecot = self.dovecot(masters={"lbd": "master key"})
        self.open_master(dovecot, "pop3")
        client = self.pop3()
        client.user("anna")
        client.pass_("whatever the callback believed")
        client.quit()


if __name__ == "__main__":
    unittest.main()
