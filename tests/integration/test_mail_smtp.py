"""Submission from its greeting to its end, before a real Postfix whose users are Dovecot's."""

import base64
import smtplib
import socket
import unittest

from lab.mail import MailCase
from lab.mail_servers import Postfix
from lab.waits import wait_for

ODD_PASSWORDS = ["with spaces  inside", " and at both ends ", 'quo"te\\back', "%{x} %s {5}", "gr\u00fc\u00dfe \u20ac",
                 "=+/", "y" * 300]
MAIL = b"From: anna@dovecot.test\r\nSubject: hello\r\n\r\n.dots and\r\n..more\r\n"


def encoded(*parts):
    return base64.b64encode(b"".join(parts))


def until(client, begin):
    """Reads lines up to one that begins so."""
    while not client.reader.line().startswith(begin):
        pass


class Smtp(MailCase):
    protocol = "smtp"

    def postfix(self, dovecot, **more):
        if not Postfix.possible:
            raise unittest.SkipTest("no Postfix")
        return Postfix(self, dovecot, **more)

    def servers(self, users=None, **more):
        self.box = self.dovecot(**({"users": users} if users else {}))
        self.sender = self.postfix(self.box, **more)
        return self.sender.address("submission")

    def smtp(self, tls=False):
        port = self.proxy.port("mail")
        if tls:
            client = smtplib.SMTP_SSL("localhost", port, local_hostname="client.test", context=self.context(), timeout=30)
        else:
            client = smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=30)
        self.addCleanup(client.close)
        return client

    def mail_of(self, user):
        return wait_for(lambda: self.box.mails(user), f"a mail for {user}")[0]

    def test_a_mail_is_sent(self):
        self.open(self.servers())
        client = self.smtp()
        self.assertEqual(client.login("anna", "secret"), (235, b"2.7.0 Authentication successful"))
        self.assertEqual(client.sendmail("anna@dovecot.test", ["anna@dovecot.test"], MAIL), {})
        client.quit()
        text = self.mail_of("anna")
        self.assertIn(b".dots and", text)
        self.assertIn(b"client.test", text)
        login = self.lines("login")[0]
        self.assertEqual((login["user"], login["protocol"], login["reason"]), ("anna", "smtp", "ok"))
        self.assertNotIn("secret", str(self.proxy.access_log()))

    def test_odd_passwords_and_every_mechanism(self):
        users = {f"u{i}": password for i, password in enumerate(ODD_PASSWORDS)}
        self.open(self.servers(users))
        for user, password in users.items():
            name, raw = user.encode(), password.encode()
            for how, lines in {
                    "PLAIN at once": b"AUTH PLAIN " + encoded(b"\0", name, b"\0", raw),
                    "PLAIN": b"AUTH PLAIN\r\n" + encoded(b"\0", name, b"\0", raw),
                    "LOGIN": b"AUTH LOGIN\r\n" + encoded(name) + b"\r\n" + encoded(raw),
                    "LOGIN at once": b"AUTH LOGIN " + encoded(name) + b"\r\n" + encoded(raw),
            }.items():
                with self.subTest(how=how, password=password):
                    client = self.raw()
                    client.send(b"EHLO client.test\r\n" + lines + b"\r\nNOOP\r\nQUIT\r\n")
                    self.assertRegex(client.read_rest(), rb"235 2\.7\.0 .*\r\n250 2\.0\.0 Ok\r\n221 2\.0\.0 Bye\r\n$")

    def test_tokens(self):
        more = {"smtpd_sasl_security_options": "noanonymous"}
        self.open(self.servers(more=more), mail={"mechanisms": ["plain", "xoauth2", "oauthbearer"]})
        token = self.box.token("anna").encode()
        for how, message in {"XOAUTH2": encoded(b"user=anna\1auth=Bearer ", token, b"\1\1"),
                             "OAUTHBEARER": encoded(b"n,a=anna,\1auth=Bearer ", token, b"\1\1")}.items():
            with self.subTest(how):
                client = self.raw()
                client.send(b"EHLO c\r\nAUTH " + how.encode() + b" " + message + b"\r\nNOOP\r\nQUIT\r\n")
                self.assertRegex(client.read_rest(), rb"235 2\.7\.0 .*\r\n250 2\.0\.0 Ok\r\n221")
        client = self.raw()
        client.send(b"EHLO c\r\nAUTH OAUTHBEARER " + encoded(b"n,a=anna,\1auth=Bearer nonsense\1\1") + b"\r\n")
        wait_for(lambda: client.reader.line().startswith(b"334 "), "a challenge")
        client.send(b"AQ==\r\nQUIT\r\n")
        self.assertRegex(client.read_rest(), rb"^535 5\.7\.8 Authentication failed\r\n221")

    def test_byte_by_byte(self):
        self.open(self.servers())
        lines = b"EHLO c\r\nAUTH PLAIN " + encoded(b"\0anna\0secret") + b"\r\nNOOP\r\nQUIT\r\n"
        client = self.raw()
        client.send(lines, cuts=range(1, len(lines)))
        self.assertRegex(client.read_rest(), rb"235 2\.7\.0 .*\r\n250 2\.0\.0 Ok\r\n221")

    def test_all_in_one_segment(self):
        """Clients may not, and some do; what follows AUTH is the server's."""
        self.open(self.servers())
        client = self.raw()
        client.send(b"EHLO c\r\nAUTH PLAIN " + encoded(b"\0anna\0secret") + b"\r\n"
                    b"MAIL FROM:<anna@dovecot.test>\r\nRCPT TO:<anna@dovecot.test>\r\nDATA\r\n" + MAIL + b".\r\nQUIT\r\n")
        self.assertRegex(client.read_rest(), rb"(?s)235 .*250 2\.1\.0.*250 2\.1\.5.*354.*250 2\.0\.0.*221")
        self.assertIn(b"Subject: hello", self.mail_of("anna"))

    def test_wrong_password_then_right_one(self):
        self.open(self.servers())
        client = self.smtp()
        client.ehlo()
        self.assertEqual(client.docmd("AUTH PLAIN", encoded(b"\0anna\0wrong").decode()),
                         (535, b"5.7.8 Authentication failed"))
        self.assertEqual(client.login("anna", "secret")[0], 235)
        self.assertEqual([line["reason"] for line in self.lines("login", 2)], ["bad_login", "ok"])

    def test_no_mail_without_a_login(self):
        self.open("127.0.0.1:1")
        client = self.smtp()
        client.ehlo()
        self.assertEqual(client.mail("a@b")[0], 530)
        with self.assertRaises(smtplib.SMTPAuthenticationError) as caught:
            client.login("anna", "secret")
        self.assertEqual(caught.exception.smtp_code, 454)

    def test_starttls_and_tls(self):
        server = self.servers()
        self.open(server, tls=True)
        self.smtp(tls=True).login("anna", "secret")
        self.open(server, tls=True, mail={"starttls": True, "allow_cleartext": False})
        client = self.smtp()
        client.ehlo()
        self.assertFalse(client.has_extn("auth"))
        self.assertEqual(client.docmd("AUTH", "PLAIN AGFubmEAc2VjcmV0")[0], 538)
        self.assertEqual(client.mail("a@b")[0], 530)
        client.starttls(context=self.context())
        client.ehlo()
        self.assertFalse(client.has_extn("starttls"))
        client.login("anna", "secret")

    def test_servers_by_starttls_and_tls(self):
        self.servers(certificate=self.certificate)
        for service, mail in (("submission", {"starttls": True}), ("smtps", {})):
            with self.subTest(service):
                self.open(self.sender.address(service),
                          pool={"mail": mail, "tls": {"ca": "ours", "server_name": "mail.example"}})
                self.smtp().login("anna", "secret")

    def test_the_server_knows_who_is_behind_us(self):
        self.open(self.servers(), mail={"trusted_from": ["127.0.0.1/32"]})
        client = self.raw()
        client.send(b"EHLO c\r\nXCLIENT ADDR=192.0.2.77 PORT=1234\r\nEHLO [192.0.2.77]\r\n"
                    b"AUTH PLAIN " + encoded(b"\0anna\0secret") + b"\r\n"
                    b"MAIL FROM:<anna@dovecot.test>\r\nRCPT TO:<anna@dovecot.test>\r\nQUIT\r\n")
        self.assertRegex(client.read_rest(), rb"(?s)235 .*250 2\.1\.0.*250 2\.1\.5.*221")
        self.sender.wait_log(r"client=unknown\[192\.0\.2\.77\].*sasl_username=anna")

    def test_a_forged_one_is_not_believed(self):
        self.open(self.servers())
        client = self.raw()
        client.send(b"EHLO c\r\nXCLIENT ADDR=192.0.2.77\r\nAUTH PLAIN " + encoded(b"\0anna\0secret") + b"\r\n"
                    b"MAIL FROM:<anna@dovecot.test>\r\nRCPT TO:<anna@dovecot.test>\r\nQUIT\r\n")
        self.assertRegex(client.read_rest(), rb"(?s)550 5\.7\.0 .*235 .*250 2\.1\.0.*250 2\.1\.5.*221")
        self.sender.wait_log(r"client=unknown\[127\.0\.0\.1\].*sasl_username=anna")

    def test_nobody_becomes_another_behind_the_login(self):
        """Postfix takes XCLIENT from us at any time; what a message holds is none."""
        self.open(self.servers(), mail={"login": "none"})
        relayed = self.smtp()
        relayed.ehlo()
        self.assertEqual(relayed.mail("x@example.org")[0], 250)
        self.assertEqual(relayed.docmd("RSET")[0], 250)
        self.assertEqual(relayed.docmd("XCLIENT", "ADDR=192.0.2.66")[0], 521)
        self.open(self.sender.address("submission"))
        inside = self.smtp()
        inside.login("anna", "secret")
        text = b"Subject: of XCLIENT\r\n\r\nXCLIENT ADDR=192.0.2.66\r\n.dots\r\n"
        for _ in range(2):
            self.assertEqual(inside.sendmail("anna@dovecot.test", ["anna@dovecot.test"], text), {})
        self.assertIn(b"XCLIENT ADDR", self.mail_of("anna"))
        self.assertEqual(inside.docmd("xclient", "ADDR=192.0.2.66 LOGIN=otto")[0], 521)
        self.assertEqual(self.lines("end")[0]["reason"], "bad_commands")

    def test_chunks_hide_nothing_and_are_not_looked_at(self):
        """A command that follows a chunk without a line's end, and text of a chunk that looks like one."""
        self.open(self.servers())
        chunk = b"Subject: of chunks\r\n\r\nXCLIENT ADDR=192.0.2.66\r\n"
        inside = self.smtp()
        inside.login("anna", "secret")
        for _ in range(2):
            self.assertEqual(inside.mail("anna@dovecot.test")[0], 250)
            self.assertEqual(inside.rcpt("anna@dovecot.test")[0], 250)
            inside.send(b"BDAT %d\r\n" % len(chunk) + chunk)
            self.assertEqual(inside.getreply()[0], 250)
            inside.send(b"BDAT 4 LAST\r\nend\n")
            self.assertEqual(inside.getreply()[0], 250)
        self.assertIn(b"XCLIENT ADDR", self.mail_of("anna"))
        inside.send(b"BDAT 3 LAST\r\nendXCLIENT ADDR=192.0.2.66\r\n")
        self.assertEqual(inside.getreply()[0], 521)
        self.assertNotIn("192.0.2.66", self.sender.log_path.read_text())

    def test_what_waits_behind_the_end_of_a_message(self):
        """RFC 2920: the next message's commands come with the end of the one before."""
        self.open(self.servers(), mail={"login": "none"})
        client = self.raw()
        head = b"MAIL FROM:<anna@dovecot.test>\r\nRCPT TO:<anna@dovecot.test>\r\nDATA\r\n"
        client.send(b"EHLO c\r\n" + head)  # nobody is logged in: Postfix refuses RCPT, and then DATA
        until(client, b"554 5.5.1")
        client.send(b"RSET\r\nMAIL FROM:<anna@dovecot.test>\r\nXCLIENT LOGIN=anna\r\n")
        self.assertRegex(client.read_rest(), rb"521 5\.7\.0")
        self.open(self.sender.address("submission"))
        client = self.raw()
        client.send(b"EHLO c\r\nAUTH PLAIN " + encoded(b"\0anna\0secret") + b"\r\nRSET\r\nDATA\r\n")
        until(client, b"503 5.5.1")
        client.send(head)
        for _ in range(2):
            until(client, b"354 ")
            client.send(b"Subject: x\r\n\r\nXCLIENT ADDR=192.0.2.66\r\n.\r\n" + head)
        until(client, b"354 ")
        client.send(b".\r\nQUIT\r\n")
        self.assertIn(b"221 2.0.0", client.read_rest())

    def test_no_tls_that_ends_at_the_server(self):
        """Behind it nobody would see an XCLIENT."""
        self.open(self.servers(certificate=self.certificate), mail={"login": "none"})
        client = self.smtp()
        client.ehlo()
        self.assertEqual(client.mail("x@example.org")[0], 250)
        client.ehlo()
        self.assertTrue(client.has_extn("starttls"))
        self.assertEqual(client.docmd("STARTTLS")[0], 521)

    def test_a_relay_port(self):
        """Nobody logs in: MAIL chooses the server, which hears the client's EHLO and address."""
        self.open(self.servers(more={"smtpd_relay_restrictions": "reject_unauth_destination",
                                     "smtpd_recipient_restrictions": "reject_unauth_destination"}),
                  mail={"login": "none", "trusted_from": ["127.0.0.1/32"]})
        client = self.smtp()
        client.ehlo()
        self.assertFalse(client.has_extn("auth"))
        self.assertEqual(client.docmd("XCLIENT", "ADDR=192.0.2.77")[0], 220)
        client.ehlo()
        self.assertEqual(client.rcpt("anna@dovecot.test")[0], 503)
        self.assertEqual(client.sendmail("x@example.org", ["anna@dovecot.test"], MAIL), {})
        self.assertEqual(client.sendmail("y@example.org", ["anna@dovecot.test"], MAIL), {})
        client.quit()
        self.assertIn(b"Received: from client.test (unknown [192.0.2.77])", self.mail_of("anna"))
        self.assertEqual([line["reason"] for line in self.lines("login")], ["ok"])
        self.assertNotIn("user", self.lines("end")[0])

    def test_a_relay_port_asks_the_callback(self):
        """As nginx with auth none: by the lines of MAIL and RCPT, for nobody is known."""
        def relay(peer):
            peer.send(b"220 hi\r\n")
            for want, answer in ((b"EHLO client.test", b"250 hi\r\n"), (b"MAIL FROM:<a@b> SIZE=7", b"250 2.1.0 from\r\n"),
                                 (b"RCPT TO:<c@d>", b"250 2.1.5 to\r\n"), (b"quit", b"221 bye\r\n")):
                line = peer.reader.line()
                if line != want:
                    raise AssertionError(f"{line!r} instead of {want!r}")
                peer.send(answer)
        server = self.origin(relay)
        address = f"127.0.0.1:{server.port}"
        callback, sections = self.believer(address)
        self.open("127.0.0.1:1", address, mail={"login": "none", "callback": "auth"}, sections=sections)
        client = self.smtp()
        client.ehlo()
        self.assertEqual(client.docmd("MAIL", "FROM:<a@b> SIZE=7"), (250, b"2.0.0 OK"))
        self.assertEqual(callback.requests, [])
        self.assertEqual(client.docmd("RCPT", "TO:<c@d>"), (250, b"2.1.5 to"))
        connection = self.proxy.get("/v1/connections")["connections"][0]
        self.assertEqual((connection["protocol"], connection.get("user")), ("smtp", None))
        self.assertEqual(self.proxy.get("/v1/mail/sessions")["sessions"], [])  # those of users
        client.quit()
        asked = callback.wait_requests(1)[0]
        self.assertEqual([asked.get(name) for name in ("auth-method", "auth-protocol", "auth-smtp-helo", "auth-smtp-from",
                                                          "auth-smtp-to")],
                         ["none", "smtp", "client.test", "MAIL FROM:<a@b> SIZE=7", "RCPT TO:<c@d>"])

    def test_a_relay_port_whose_server_is_away(self):
        self.open("127.0.0.1:1", mail={"login": "none"})
        client = self.smtp()
        client.ehlo()
        self.assertEqual(client.mail("a@b")[0], 451)
        self.assertEqual(client.mail("a@b")[0], 451)

    def test_a_relay_port_whose_servers_are_all_away_at_the_second_try(self):
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        server.settimeout(30)
        self.open("127.0.0.1:%d" % server.getsockname()[1], mail={"login": "none"})
        client = self.raw()
        client.send(b"EHLO c\r\nMAIL FROM:<a@b>\r\n")
        peer, _ = server.accept()
        self.proxy.admin("a", "maint", pool="boxes")
        peer.close()
        wait_for(lambda: client.reader.line().startswith(b"451 "), "the answer to MAIL")
        self.assertNotIn("server", self.lines("login")[0])

    def test_large_mails_and_every_extension(self):
        """10 MB by DATA and in chunks, and addresses in UTF-8."""
        self.open(self.servers(more={"message_size_limit": "20000000"}))
        lines = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 130000
        client = self.smtp()
        client.login("anna", "secret")
        self.assertEqual(client.sendmail("anna@dovecot.test", ["anna@dovecot.test"], lines), {})
        client.docmd("MAIL", "FROM:<anna@dovecot.test> BODY=8BITMIME SMTPUTF8 SIZE=%d" % len(lines))
        self.assertEqual(client.docmd("RCPT", "TO:<anna@dovecot.test>")[0], 250)
        half = len(lines) // 2
        for data, last in ((lines[:half], b""), (lines[half:], b" LAST")):
            client.send(b"BDAT %d%s\r\n" % (len(data), last) + data)
            self.assertEqual(client.getreply()[0], 250)
        client.quit()
        wait_for(lambda: [len(mail) > len(lines) * 0.97 for mail in self.box.mails("anna")] == [True, True], "two mails")

    def test_a_server_that_stops_takes_its_sessions_along(self):
        self.open(self.servers())
        client = self.raw()
        client.send(b"EHLO c\r\nAUTH PLAIN " + encoded(b"\0anna\0secret") + b"\r\n")
        wait_for(lambda: client.reader.line().startswith(b"235 "), "the login")
        self.sender.kill()
        self.assertRegex(client.read_rest(), rb"^(421 .*\r\n)?$")

    def test_names_go_by_xclient_in_xtext(self):
        """Credentials "none": a callback has looked at the password, and Postfix believes the name, whatever is in it."""
        address = self.servers()
        _, sections = self.believer(address)
        self.open(address, mail={"callback": "auth"}, pool={"mail": {"credentials": "none"}}, sections=sections)
        for name in (b"anna", b"a b", b"a+b=c", b"x\\y\"z", "gr\u00fcn@x".encode()):
            with self.subTest(name):
                client = self.raw()
                client.send(b"EHLO c\r\nAUTH PLAIN " + encoded(b"\0", name, b"\0whatever") + b"\r\n"
                            b"MAIL FROM:<anna@dovecot.test>\r\nRCPT TO:<anna@dovecot.test>\r\nQUIT\r\n")
                self.assertRegex(client.read_rest(), rb"(?s)235 .*250 2\.1\.0.*250 2\.1\.5.*221")
        self.sender.wait_log(r"sasl_username=a b\n")
        self.sender.wait_log(r"sasl_username=a\+b=c\n")


if __name__ == "__main__":
    unittest.main()
