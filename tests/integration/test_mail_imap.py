"""IMAP from its greeting to its end, before a real Dovecot: every form of login on every leg, and who is behind it."""

import base64
import imaplib
import os
import re
import unittest

from lab.mail import MailCase
from lab.waits import wait_for

# what a quote, a literal, a format or a line could trip over
ODD_PASSWORDS = ["with spaces  inside", " and at both ends ", 'quo"te\\back', "%{x} %s", "{5}", "{3+}",
                 "gr\u00fc\u00dfe \u20ac", "=+/", "*", "NIL", "(a)", "x" * 300, "z" * 1000]
TOKENS = {"mechanisms": ["plain", "login", "xoauth2", "oauthbearer"]}
PLAIN = base64.b64encode(b"\0anna\0secret")


def quoted(text):
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def forms(token):
    """Every way to log anna in."""
    xoauth2 = base64.b64encode(b"user=anna\1auth=Bearer " + token + b"\1\1")
    bearer = base64.b64encode(b"n,a=anna,\1host=localhost\1auth=Bearer " + token + b"\1\1")
    return {
        "atoms": b"a LOGIN anna secret\r\n",
        "quoted": b'a LOGIN "anna" "secret"\r\n',
        "literals": b"a LOGIN {4}\r\nanna {6}\r\nsecret\r\n",
        "literals unasked": b"a LOGIN {4+}\r\nanna {6+}\r\nsecret\r\n",
        "bare LF": b"a login anna secret\n",
        "PLAIN": b"a AUTHENTICATE PLAIN\r\n" + PLAIN + b"\r\n",
        "PLAIN at once": b"a AUTHENTICATE PLAIN " + PLAIN + b"\r\n",
        "LOGIN": b"a AUTHENTICATE LOGIN\r\nYW5uYQ==\r\nc2VjcmV0\r\n",
        "XOAUTH2": b"a AUTHENTICATE XOAUTH2\r\n" + xoauth2 + b"\r\n",
        "XOAUTH2 at once": b"a AUTHENTICATE XOAUTH2 " + xoauth2 + b"\r\n",
        "OAUTHBEARER": b"a AUTHENTICATE OAUTHBEARER\r\n" + bearer + b"\r\n",
        "OAUTHBEARER at once": b"a AUTHENTICATE OAUTHBEARER " + bearer + b"\r\n",
    }


class Imap(MailCase):
    def test_every_login_on_every_leg(self):
        dovecot = self.dovecot(certificate=self.certificate)
        verified = {"ca": "ours", "server_name": "mail.example"}
        pools = {
            "clear": {"servers": {"a": {"address": dovecot.address("imap")}}},
            "starttls": {"servers": {"a": {"address": dovecot.address("imap")}}, "mail": {"starttls": True},
                         "tls": verified},
            "tls": {"servers": {"a": {"address": dovecot.address("imaps")}}, "tls": verified}}
        listeners = {}
        for pool in pools:
            for leg in ("clear", "tls"):
                listeners[f"{leg}-{pool}"] = {
                    "bind": ["127.0.0.1:0"], "protocol": "imap", "default_pool": pool,
                    "tls": {"certificates": ["mail"]},
                    "mail": {"host": "mail.example", "allow_cleartext": True, "starttls": leg == "clear", **TOKENS}}
        self.open(sections={"listeners": listeners, "pools": pools})
        token = dovecot.token("anna").encode()
        for pool in pools:
            for leg in ("clear", "starttls", "tls"):
                for name, login in forms(token).items():
                    with self.subTest(client=leg, server=pool, form=name):
                        client = self.connect_by(leg, pool)
                        client.send(login + b"b LOGOUT\r\n")
                        answer = client.read_rest()
                        self.assertRegex(answer, rb"(?s)a OK \[CAPABILITY [^\]]*IDLE[^\]]*\] Logged in\r\n\* BYE.*b OK")
                        client.close()

    def connect_by(self, leg, pool):
        """A raw client behind the greeting."""
        from lab.client import Client
        from lab import wire
        tls = {"tls": self.context(), "name": "mail.example"}
        address = self.proxy.address(f"{'tls' if leg == 'tls' else 'clear'}-{pool}")
        client = Client(address, **(tls if leg == "tls" else {}))
        self.addCleanup(client.close)
        greeting = client.reader.line()
        self.assertEqual(b"STARTTLS" in greeting, leg != "tls")
        if leg == "starttls":
            client.send(b"s STARTTLS\r\n")
            self.assertRegex(client.reader.line(), rb"^s OK")
            client.sock = self.context().wrap_socket(client.sock, server_hostname="mail.example")
            client.reader = wire.Reader(client.sock)
        return client

    def test_odd_passwords(self):
        dovecot = self.dovecot(users={f"u{i}": password for i, password in enumerate(ODD_PASSWORDS)})
        self.open(dovecot.address("imap"))
        for i, password in enumerate(ODD_PASSWORDS):
            raw = password.encode()
            for by, login in {
                    "quotes": b"a LOGIN u%d %s\r\n" % (i, quoted(raw)),
                    "literal": b"a LOGIN u%d {%d}\r\n%s\r\n" % (i, len(raw), raw),
                    "PLAIN": b"a AUTHENTICATE PLAIN " + base64.b64encode(b"\0u%d\0%s" % (i, raw)) + b"\r\n"}.items():
                with self.subTest(by=by, password=password):
                    client = self.raw()
                    client.send(login + b"b LOGOUT\r\n")
                    self.assertRegex(client.read_rest(), rb"a OK .*Logged in\r\n")

    def test_odd_passwords_by_the_server_s_command(self):
        """LOGIN with quotes and literals on our side, too."""
        dovecot = self.dovecot(users={f"u{i}": password for i, password in enumerate(ODD_PASSWORDS)})
        self.open(dovecot.address("imap"), pool={"mail": {"mechanism": "login_command"}})
        for i, password in enumerate(ODD_PASSWORDS):
            with self.subTest(password=password):
                client = self.raw()
                client.send(b"a LOGIN u%d %s\r\nb LOGOUT\r\n" % (i, quoted(password.encode())))
                self.assertRegex(client.read_rest(), rb"a OK .*Logged in\r\n")

    def test_byte_by_byte(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"))
        for login in (b"a LOGIN {4}\r\nanna {6+}\r\nsecret\r\n", b"a AUTHENTICATE PLAIN\r\n" + PLAIN + b"\r\n"):
            lines = login + b"b SELECT INBOX\r\nc LOGOUT\r\n"
            client = self.raw()
            client.send(lines, cuts=range(1, len(lines)))
            self.assertRegex(client.read_rest(), rb"(?s)a OK .*b OK .*c OK")

    def test_the_same_as_straight(self):
        """From the answer to the login on, the client sees what the server says."""
        dovecot = self.dovecot()
        dovecot.deliver("anna", b"Subject: hello\r\n\r\nbody\r\n")
        self.open(dovecot.address("imap"))
        script = (b"a LOGIN anna secret\r\n", b"b CAPABILITY\r\n", b"c NAMESPACE\r\n", b'd LIST "" *\r\n',
                  b"e SELECT INBOX\r\n", b"f FETCH 1 (FLAGS BODY[])\r\n", b"g ENABLE CONDSTORE\r\n", b"h BOGUS\r\n",
                  b"i IDLE\r\n", b"DONE\r\n", b"j LOGOUT\r\n")

        def play(address):
            said = []
            with self.connect(address) as client:
                client.reader.line()
                for line in script:
                    client.send(line)
                    end = b"+ idling" if line.startswith(b"i ") else b"i " if line == b"DONE\r\n" else line[:2]
                    while True:
                        answer = client.reader.line()
                        said.append(re.sub(rb"\(\d.*secs\)\.|\[UIDVALIDITY \d+\]|HIGHESTMODSEQ \d+", b"#", answer))
                        if answer.startswith(end):
                            break
            return said
        host, _, port = dovecot.address("imap").rpartition(":")
        play((host, int(port)))  # what is \Recent is so once
        self.assertEqual(play(self.proxy.address("mail")), play((host, int(port))))

    def test_a_token_that_is_refused_brings_its_challenge(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail=TOKENS)
        for name, message in {"OAUTHBEARER": b"n,a=anna,\1auth=Bearer nonsense\1\1",
                              "XOAUTH2": b"user=anna\1auth=Bearer nonsense\1\1"}.items():
            with self.subTest(name):
                client = self.raw()
                client.reader.line()
                client.send(b"a AUTHENTICATE %s %s\r\n" % (name.encode(), base64.b64encode(message)))
                challenge = client.reader.line()
                self.assertRegex(challenge, rb"^\+ ")
                self.assertIn(b'"status"', base64.b64decode(challenge[2:]))
                client.send(b"AQ==\r\nb LOGOUT\r\n")
                self.assertRegex(client.read_rest(), rb"^a NO \[AUTHENTICATIONFAILED\] .*\r\n\* BYE")

    def test_who_asked_by_command_is_told_by_untagged_line(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"))
        client = self.imap()  # imaplib asks
        self.assertNotIn("IDLE", client.capabilities)
        tag = client._command("LOGIN", "anna", "secret")  # pylint: disable=protected-access
        client._command_complete("LOGIN", tag)  # pylint: disable=protected-access
        self.assertIn(b"IDLE", client.response("CAPABILITY")[1][-1])
        client.logout()

    def test_the_server_knows_who_is_behind_us(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail={"trusted_from": ["127.0.0.1/32"]})
        client = self.raw()
        client.send(b'i ID ("x-originating-ip" "192.0.2.77" "x-originating-port" "1234" "x-proxy-ttl" "5")\r\n'
                    b"a LOGIN anna secret\r\nb LOGOUT\r\n")
        self.assertRegex(client.read_rest(), rb'(?s)\* ID \("name" "lbd"\)\r\ni OK.*a OK')
        self.assertEqual(self.addresses_of(dovecot, "anna"), ["192.0.2.77"])

    def test_a_forged_one_is_not_believed(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"))
        client = self.raw()
        client.send(b'i ID ("x-originating-ip" "192.0.2.77" "x-proxy-ttl" "1")\r\na LOGIN anna secret\r\nb LOGOUT\r\n')
        self.assertRegex(client.read_rest(), rb"(?s)i OK.*a OK")
        self.assertEqual(self.addresses_of(dovecot, "anna"), ["127.0.0.1"])

    def test_a_loop_ends(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail={"trusted_from": ["127.0.0.1/32"]})
        client = self.raw()
        client.send(b'i ID ("x-proxy-ttl" "1")\r\na LOGIN anna secret\r\nb LOGOUT\r\n')
        self.assertRegex(client.read_rest(), rb"a NO \[(UNAVAILABLE|SERVERBUG)\]")
        self.assertEqual(self.lines("login")[0]["reason"], "loop")

    def test_master(self):
        dovecot = self.dovecot(masters={"lbd": "master key"})
        self.open_master(dovecot, "imap")
        client = self.imap()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED|Invalid"):
            client.login("anna", "wrong")
        self.assertEqual(client.login("anna", "whatever the callback believed")[0], "OK")
        client.logout()

    def test_the_master_s_password_follows_its_file(self):
        dovecot = self.dovecot(masters={"lbd": "master key"})
        self.open_master(dovecot, "imap")
        held = self.imap()
        self.assertEqual(held.login("anna", "any")[0], "OK")
        dovecot.set_master_password("lbd", "another key")

        def is_in():
            try:
                return self.imap().login("anna", "any")[0] == "OK"
            except imaplib.IMAP4.error:
                return False
        wait_for(lambda: not is_in(), "the old key refused")
        path = self.secret_file("another key")
        wait_for(is_in, "the new key")
        self.proxy.wait_log("secret.loaded")
        os.unlink(path)  # the last one that could be read stays, whatever else becomes new
        wait_for(lambda: "secret.failed" in self.proxy.log_text(), "a line in the log")
        self.proxy.put("/v1/pools/other", {"mail": {}, "servers": {"x": {"address": "127.0.0.1:9"}}})
        self.assertTrue(is_in())
        self.assertEqual(held.noop()[0], "OK")

    def test_who_acts_as_another_goes_where_that_user_is(self):
        dovecot = self.dovecot(masters={"chief": "master key"})
        self.open(dovecot.address("imap"))
        anna, chief = self.imap(), self.imap()
        self.assertEqual(anna.login("anna", "secret")[0], "OK")
        self.assertEqual(chief.authenticate("PLAIN", lambda _: b"anna\0chief\0master key")[0], "OK")
        self.assertEqual(self.proxy.get("/v1/mail/users/anna/status")["sessions"], 2)
        self.assertEqual(self.proxy.get("/v1/mail/users/chief/status")["sessions"], 0)

    def test_a_master_s_name_behind_the_user_s_is_no_other_user(self):
        dovecot = self.dovecot(masters={"chief": "master key"})
        self.open(dovecot.address("imap"), mail={"master_separator": "*"})
        anna, chief = self.imap(), self.imap()
        self.assertEqual(anna.login("anna", "secret")[0], "OK")
        self.assertEqual(chief.login("anna*chief", "master key")[0], "OK")
        self.assertEqual(self.proxy.get("/v1/mail/users/anna/status")["sessions"], 2)

    def test_nobody_acts_as_another_by_our_master(self):
        dovecot = self.dovecot(users={"anna": "secret", "otto": "hidden"}, masters={"lbd": "master key"})
        self.open_master(dovecot, "imap")
        client = self.imap()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            client.authenticate("PLAIN", lambda _: b"otto\0anna\0secret")
        self.assertEqual(client.authenticate("PLAIN", lambda _: b"anna\0anna\0secret")[0], "OK")
        self.assertEqual(self.lines("login", 2)[0]["reason"], "bad_login")

    def test_nobody_acts_as_another_because_a_map_has_a_name_for_it(self):
        dovecot = self.dovecot(users={"anna": "secret", "otto": "hidden"}, masters={"lbd": "master key"})
        self.open_master(dovecot, "imap")
        self.document["mail_maps"] = {"domains": {"type": "domain", "entries": {
            "a.example": {"login_user": "{local}"}}}}
        self.document["listeners"]["mail"]["mail"]["maps"] = ["domains"]
        self.proxy.put("/v1/config", self.document)
        client = self.imap()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            client.authenticate("PLAIN", lambda _: b"otto@a.example\0anna@a.example\0secret")
        self.assertEqual(dovecot.logins("otto"), [])
        self.assertEqual(client.authenticate("PLAIN", lambda _: b"\0anna@a.example\0secret")[0], "OK")

    def test_a_master_of_the_servers_acts_as_a_user_who_has_another_name_there(self):
        dovecot = self.dovecot(masters={"chief": "master key"})
        self.open(dovecot.address("imap"), mail={"maps": ["domains"]}, sections={"mail_maps": {
            "domains": {"type": "domain", "entries": {"a.example": {"login_user": "{local}"}}}}})
        chief = self.imap()
        self.assertEqual(chief.authenticate("PLAIN", lambda _: b"anna@a.example\0chief\0master key")[0], "OK")
        self.assertEqual(self.proxy.get("/v1/mail/users/anna/status")["sessions"], 1)

    def test_without_a_callback_no_password_is_believed(self):
        dovecot = self.dovecot(masters={"lbd": "master key"})
        self.open(dovecot.address("imap"), pool={"mail": {
            "credentials": "master", "master_user": "lbd", "master_password_file": self.secret_file("master key")}})
        client = self.raw()
        client.send(b"a LOGIN anna secret\r\nb LOGOUT\r\n")
        self.assertRegex(client.read_rest(), rb"a NO \[UNAVAILABLE\]")
        self.assertEqual(dovecot.logins("anna"), [])

    def test_no_password_goes_to_a_server_that_wants_tls(self):
        dovecot = self.dovecot(certificate=self.certificate, cleartext=False)
        self.open(dovecot.address("imap"))
        client = self.raw()
        client.send(b"a LOGIN anna secret\r\nb LOGOUT\r\n")
        self.assertRegex(client.read_rest(), rb"a NO \[UNAVAILABLE\]")
        self.assertEqual(self.lines("login")[0]["reason"], "server_no_login")
        self.assertEqual(dovecot.logins("anna"), [])


if __name__ == "__main__":
    unittest.main()
