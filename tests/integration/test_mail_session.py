"""A mail client from its greeting to its end, before a real Dovecot and before servers that misbehave."""

import hashlib
import imaplib
import os
import poplib
import signal
import smtplib
import socket
import threading
import time
import unittest

from lab import TIMEOUT, wait_for
from lab.certs import client_context
from lab.client import reset_socket
from lab.mail import MailCase


def smtp_sink(peer):
    """A server of SMTP that takes every mail."""
    peer.send("220 sink.example ESMTP\r\n")
    while True:
        line = peer.reader.line().upper()
        if line == b"DATA":
            peer.send("354 go on\r\n")
            while peer.reader.line() != b".":
                pass
        peer.send("221 bye\r\n" if line == b"QUIT" else "250 fine\r\n")
        if line == b"QUIT":
            return


class Imap(MailCase):
    def test_login_and_everything_after_it(self):
        dovecot = self.dovecot()
        dovecot.deliver("anna", b"Subject: hello\r\n\r\nbody\r\n")
        self.open(dovecot.address("imap"))
        client = self.imap()
        self.assertIn(b"mail.example", client.welcome)
        self.assertEqual(client.login("anna", "secret")[0], "OK")
        self.assertEqual(client.select("INBOX"), ("OK", [b"1"]))
        self.assertIn(b"body", client.fetch("1", "(BODY[TEXT])")[1][0][1])
        self.assertEqual(client.logout()[0], "BYE")
        login = self.lines("login")[0]
        self.assertEqual((login["user"], login["protocol"], login["server"], login["reason"], login["state"]),
                         ("anna", "imap", "a", "ok", "login/end"))
        end = self.lines("end")[0]
        self.assertEqual((end["user"], end["reason"], end["state"]), ("anna", "tunnel_closed", "relay"))
        self.assertGreater(end["response_bytes"], end["request_bytes"])
        self.assertNotIn("secret", str(self.proxy.access_log()))

    def test_wrong_password_then_right_one(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"))
        client = self.imap()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            client.login("anna", "wrong")
        self.assertEqual(client.login("anna", "secret")[0], "OK")
        client.logout()
        wrong, right = self.lines("login", 2)
        self.assertEqual((wrong["reason"], wrong["user"], right["reason"]), ("bad_login", "anna", "ok"))

    def test_tls_from_the_first_byte(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), tls=True)
        client = self.imap(tls=True)
        self.assertEqual(client.login("anna", "secret")[0], "OK")
        self.assertEqual(client.select("INBOX")[0], "OK")
        client.logout()
        self.assertEqual(self.lines("login")[0]["tls"], "TLSv1.3")

    def test_what_comes_behind_the_login_goes_to_the_server_first(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"))
        client = self.raw()
        client.send(b"a LOGIN anna secret\r\nb SELECT INBOX\r\nc LOGOUT\r\n")
        text = client.read_rest()
        self.assertRegex(text, rb"(?s)a OK.*b OK.*\* BYE.*c OK")

    def test_a_client_that_is_gone_when_its_login_succeeds(self):
        server = self.one_server()
        self.open("127.0.0.1:%d" % server.getsockname()[1])
        client = socket.create_connection(self.proxy.address("mail"))
        client.sendall(b"a LOGIN anna secret\r\n")
        peer, _ = server.accept()
        self.addCleanup(peer.close)
        peer.sendall(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n")
        self.assertRegex(peer.recv(4096), rb"^L AUTHENTICATE")
        self.proxy.send_signal(signal.SIGSTOP)  # so that both come at once, the server's answer first
        wait_for(lambda: self.proxy.proc_status()["State"].startswith("T"), "lbd stopped")
        peer.sendall(b"L OK [CAPABILITY IMAP4rev1] in\r\n")
        reset_socket(client)
        self.proxy.send_signal(signal.SIGCONT)
        self.assertEqual(self.lines("end")[0]["reason"], "client_abort")
        self.assertEqual(self.proxy.get("/v1/mail/users/anna/status")["sessions"], 0)
        self.assertEqual(self.proxy.server_status("a", pool="boxes")["connections"], 0)

    def one_server(self):
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(30)
        self.addCleanup(listening.close)
        return listening

    def test_no_server(self):
        self.open("127.0.0.1:1")
        client = self.imap()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "UNAVAILABLE"):
            client.login("anna", "secret")
        self.assertEqual(self.lines("login")[0]["reason"], "connect_refused")


class Seen(MailCase):
    """What API and metrics say of mail."""

    def test_connections_have_users(self):
        dovecot = self.dovecot(users={"anna": "secret", "bernd": "secret"})
        self.open(dovecot.address("imap"))
        anna, bernd, nobody = self.imap(), self.imap(), self.imap()
        anna.login("Anna", "secret")
        bernd.login("bernd", "secret")
        found = {(one.get("user"), one["protocol"], one["state"], one.get("server"))
                 for one in self.proxy.get("/v1/connections")["connections"]}
        self.assertEqual(found, {("anna", "imap", "tunnel", "a"), ("bernd", "imap", "tunnel", "a"),
                                 (None, "imap", "opening", None)})
        only = self.proxy.get("/v1/connections?user=anna")
        self.assertEqual((only["total"], only["connections"][0]["user"]), (1, "anna"))
        self.proxy.wait_metric(2, "lbd_mail_sessions", protocol="imap")
        self.proxy.wait_metric(1, "lbd_mail_clients", protocol="imap")
        self.proxy.wait_metric(2, "lbd_server_connections", pool="boxes", server="a")
        nobody.shutdown()
        self.assertEqual(self.proxy.api("DELETE", f"/v1/connections/{only['connections'][0]['id']}").status, 204)
        end = self.lines("end", 2)
        self.assertIn(("anna", "killed"), {(line.get("user"), line["reason"]) for line in end})
        self.proxy.wait_metric(1, "lbd_mail_sessions", protocol="imap")
        self.proxy.wait_metric(2, "lbd_mail_logins_total", protocol="imap", mechanism="login_command", result="ok")


class Limits(MailCase):
    def test_sessions_of_one_user(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail={"limits": {"sessions_per_user": 1}})
        first, second = self.imap(), self.imap()
        first.login("anna", "secret")
        with self.assertRaisesRegex(imaplib.IMAP4.error, "LIMIT"):
            second.login("anna", "secret")
        first.logout()
        self.proxy.wait_metric(0, "lbd_mail_sessions", protocol="imap")
        self.assertEqual(second.login("anna", "secret")[0], "OK")
        self.assertEqual([line["reason"] for line in self.lines("login", 3)], ["ok", "user_limit", "ok"])

    def test_connections_of_one_address_that_are_not_logged_in(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail={"limits": {"connections_per_address": 2}})
        first, _ = self.imap(), self.imap()
        third = self.raw()
        self.assertRegex(third.read_rest(), rb"^\* BYE")
        first.login("anna", "secret")

        def is_let_in():  # by a worker that knows of the other's login
            try:
                return self.imap()
            except imaplib.IMAP4.error:
                return None

        self.wait_for(is_let_in, "there is room for one more")
        self.assertEqual(self.lines("end")[0]["reason"], "address_limit")

    def test_logins_wait_for_their_turn(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), pool={"mail": {"logins": 1, "login_wait": "300ms"}})
        dovecot.freeze()
        first, second = self.raw(), self.raw()
        first.send(b"a LOGIN anna secret\r\n")
        wait_for(lambda: self.proxy.metric("lbd_server_requests_total", pool="boxes", server="a") == 1, "the first")
        second.send(b"b LOGIN anna secret\r\n")
        second.reader.line()
        self.assertRegex(second.reader.line(), rb"^b NO \[UNAVAILABLE\]")
        self.assertEqual(self.lines("login")[0]["reason"], "login_wait")
        self.proxy.patch("/v1/pools/boxes", {"mail": {"login_wait": "1m"}})
        second.send(b"c LOGIN anna secret\r\n")
        dovecot.thaw()
        self.assertRegex(second.reader.line(), rb"^c OK")
        while not first.reader.line().startswith(b"a OK"):
            pass

    def test_silence_before_the_login(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail={"timeouts": {"read": "200ms"}})
        self.assertRegex(self.raw().read_rest(), rb"\* BYE")
        self.assertEqual(self.lines("end")[0]["reason"], "login_timeout")

    def test_time_for_the_whole_login(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail={"timeouts": {"login": "400ms"}})
        dovecot.freeze()
        client = self.raw()
        client.send(b"a LOGIN anna secret\r\n")
        self.assertRegex(client.read_rest(), rb"(?s)a NO \[UNAVAILABLE\].*\* BYE")
        self.assertEqual(self.lines("end")[0]["reason"], "login_timeout")


class Relay(MailCase):
    def test_200_megabytes_and_a_slow_reader(self):
        """What a client appends goes through, while nobody reads for a while."""
        size = 200_000_000
        seen = {}

        def server(peer):
            peer.send(b"* OK [CAPABILITY IMAP4rev1] hi\r\n")
            line = peer.reader.line()
            while b"LOGIN" not in line.upper():
                tag = line.split()[0]
                peer.send(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
                line = peer.reader.line()
            peer.send(line.split()[0] + b" OK [CAPABILITY IMAP4rev1] in\r\n")
            peer.reader.line()
            peer.send(b"+ go\r\n")
            self.go.wait(60)
            left, digest = size, hashlib.sha256()
            while left:
                data = bytes(peer.reader.buffer) or peer.sock.recv(min(left, 1 << 20))
                peer.reader.buffer.clear()
                digest.update(data)
                left -= len(data)
            seen["digest"] = digest.hexdigest()
            peer.send(b"b OK done\r\n")

        self.go = threading.Event()
        self.open(self.origin(server).address)
        client = self.raw()
        client.send(b"a LOGIN anna secret\r\n")
        while not client.reader.line().startswith(b"a OK"):
            pass
        before = self.proxy.resident_kb()
        client.send(b"b APPEND INBOX {%d}\r\n" % size)
        client.reader.line()
        block = os.urandom(1_000_000)
        digest = hashlib.sha256()
        sender = threading.Thread(target=lambda: [client.sock.sendall(block) for _ in range(size // len(block))])
        for _ in range(size // len(block)):
            digest.update(block)
        sender.start()
        sender.join(0.5)
        self.assertTrue(sender.is_alive(), "somebody holds what nobody reads")
        if not os.environ.get("LBD_SANITIZE"):
            self.assertLess(self.proxy.resident_kb() - before, 2000)
        self.go.set()
        sender.join(60)
        self.assertEqual(client.reader.line(), b"b OK done")
        self.assertEqual(seen["digest"], digest.hexdigest())

    def test_no_stall_of_a_reply_in_pieces(self):
        def server(peer):
            peer.send(b"* OK [CAPABILITY IMAP4rev1] hi\r\n")
            line = peer.reader.line()
            while b"LOGIN" not in line.upper():
                peer.send(b"* CAPABILITY IMAP4rev1\r\n" + line.split()[0] + b" OK done\r\n")
                line = peer.reader.line()
            peer.send(line.split()[0] + b" OK [CAPABILITY IMAP4rev1] in\r\n")
            while True:
                tag = peer.reader.line().split()[0]
                peer.sock.sendall(b"* 1 EXISTS\r\n")
                time.sleep(0.002)
                peer.sock.sendall(tag + b" OK done\r\n")

        self.open(self.origin(server).address)
        client = self.raw()
        client.send(b"a LOGIN anna secret\r\n")
        while not client.reader.line().startswith(b"a OK"):
            pass
        took = []
        for _ in range(60):
            began = time.monotonic()
            client.send(b"b SELECT x\r\n")
            while not client.reader.line().startswith(b"b OK"):
                pass
            took.append(time.monotonic() - began)
        # they would strike each time but for the first few; a busy machine strikes now and then
        self.assertLess(sorted(took[20:])[5], 0.030, "delayed ACK and Nagle together are 40 ms")

    def test_a_server_that_dies_lets_its_clients_go_one_after_the_other(self):
        """All at once they would come back at once. Who says something meanwhile sees at once that it is over."""
        count, gone = 200, threading.Event()

        def server(peer):
            peer.send(b"* OK [CAPABILITY IMAP4rev1] hi\r\n")
            line = peer.reader.line()
            while b"LOGIN" not in line.upper():
                peer.send(b"* CAPABILITY IMAP4rev1\r\n" + line.split()[0] + b" OK done\r\n")
                line = peer.reader.line()
            peer.send(line.split()[0] + b" OK [CAPABILITY IMAP4rev1] in\r\n")
            gone.wait(60)

        self.open(self.origin(server).address,
                  mail={"limits": {"connections_per_address": 0, "sessions_per_user": 0}}, daemon={"workers": 1})
        clients = [self.raw() for _ in range(count)]
        for client in clients:
            client.send(b"a LOGIN anna secret\r\n")
        for client in clients:
            while not client.reader.line().startswith(b"a OK"):
                pass
        time.sleep(1.2)  # who was heard of in the last second is let go at once
        gone.set()
        ended = []
        for client in clients:
            client.sock.settimeout(0)
        waiting, began = list(clients), time.monotonic()
        while waiting and time.monotonic() - began < TIMEOUT:
            for client in list(waiting):
                try:
                    if client.sock.recv(100) == b"":
                        ended.append(time.monotonic() - began)
                        waiting.remove(client)
                except BlockingIOError:
                    pass
            time.sleep(0.002)
        self.assertEqual(waiting, [])
        self.assertGreater(ended[-1] - ended[0], 0.1, "200 at 200 a second are a second")

    def test_half_close(self):
        def server(peer):
            peer.send(b"* OK [CAPABILITY IMAP4rev1] hi\r\n")
            line = peer.reader.line()
            while b"LOGIN" not in line.upper():
                peer.send(b"* CAPABILITY IMAP4rev1\r\n" + line.split()[0] + b" OK done\r\n")
                line = peer.reader.line()
            peer.send(line.split()[0] + b" OK [CAPABILITY IMAP4rev1] in\r\n")
            peer.reader.rest()
            peer.send(b"* BYE after all\r\n")

        self.open(self.origin(server).address)
        client = self.raw()
        client.send(b"a LOGIN anna secret\r\n")
        client.shut_write()
        self.assertRegex(client.read_rest(), rb"(?s)a OK.*\* BYE after all")

    def test_live_changes_drop_nothing(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"))
        inside, outside = self.imap(), self.imap()
        inside.login("anna", "secret")
        for greeting in ("one", "two", "three"):
            self.assertIn(self.proxy.api("PATCH", "/v1/listeners/mail", {"mail": {"greeting": greeting}}).status, (200, 204))
            self.assertEqual(inside.noop()[0], "OK")
        self.assertEqual(outside.login("anna", "secret")[0], "OK")
        self.assertIn(b"three", self.imap().welcome)
        inside.logout()
        outside.logout()


class Starttls(MailCase):
    def test_of_the_client(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), tls=True, mail={"starttls": True})
        client = self.imap()
        self.assertIn("LOGINDISABLED", client.capabilities)
        with self.assertRaisesRegex(imaplib.IMAP4.error, "PRIVACYREQUIRED"):
            client.login("anna", "secret")
        client.starttls(self.context())
        self.assertNotIn("LOGINDISABLED", client.capabilities)
        self.assertEqual(client.login("anna", "secret")[0], "OK")
        self.assertEqual(client.select("INBOX")[0], "OK")
        client.logout()
        self.assertEqual(self.lines("login")[0]["tls"], "TLSv1.3")

    def test_bytes_behind_it_end_the_connection(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), tls=True, mail={"starttls": True})
        client = self.raw()
        client.send(b"a STARTTLS\r\nb LOGIN anna secret\r\n")
        text = client.read_rest()
        self.assertNotIn(b"a OK", text)
        self.assertNotIn(b"b ", text)
        self.assertEqual(self.lines("end")[0]["reason"], "starttls_injection")
        self.proxy.wait_metric(1, "lbd_http_endings_total", listener="mail", reason="starttls_injection")

    def test_a_handshake_that_fails_ends_it(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), tls=True, mail={"starttls": True})
        client = self.raw()
        client.send(b"a STARTTLS\r\n")
        while not client.reader.line().startswith(b"a OK"):
            pass
        client.send(b"b CAPABILITY\r\nc NOOP\r\n")
        client.read_rest()
        self.assertEqual(self.lines("end")[0]["state"], "starttls")

    def test_of_the_server(self):
        dovecot = self.dovecot(certificate=self.certificate, cleartext=False)
        self.open(dovecot.address("imap"), pool={"tls": {"ca": "ours"}, "mail": {"starttls": True}})
        client = self.imap()
        self.assertEqual(client.login("anna", "secret")[0], "OK")
        self.assertEqual(client.select("INBOX")[0], "OK")
        client.logout()
        dovecot.wait_log("TLS")

    def test_of_a_server_whose_name_is_another(self):
        dovecot = self.dovecot(certificate=self.certificate, cleartext=False)
        self.open(dovecot.address("imap"),
                  pool={"tls": {"ca": "ours", "server_name": "other.example"}, "mail": {"starttls": True}})
        client = self.imap()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "UNAVAILABLE"):
            client.login("anna", "secret")
        self.assertEqual(self.lines("login")[0]["reason"], "server_tls_unverified")
        self.assertNotIn("anna", dovecot.log_text())

    def test_of_a_server_that_has_none(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), pool={"tls": {"ca": "ours"}, "mail": {"starttls": True}})
        client = self.imap()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "UNAVAILABLE"):
            client.login("anna", "secret")
        self.assertEqual(self.lines("login")[0]["reason"], "server_no_starttls")
        self.assertNotIn("anna", dovecot.log_text())

    def test_tls_to_the_server_from_the_first_byte(self):
        dovecot = self.dovecot(certificate=self.certificate)
        self.open(dovecot.address("imaps"), tls=True, pool={"tls": {"ca": "ours"}})
        client = self.imap(tls=True)
        self.assertEqual(client.login("anna", "secret")[0], "OK")
        self.assertEqual(client.select("INBOX")[0], "OK")
        client.logout()


class Pop3(MailCase):
    protocol = "pop3"

    def test_login_and_everything_after_it(self):
        dovecot = self.dovecot()
        dovecot.deliver("anna", b"Subject: hello\r\n\r\nbody\r\n")
        self.open(dovecot.address("pop3"), tls=True, mail={"starttls": True})
        client = poplib.POP3("127.0.0.1", self.proxy.port("mail"), timeout=30)
        client.stls(self.unnamed())
        client.user("anna")
        client.pass_("secret")
        self.assertEqual(client.stat()[0], 1)
        self.assertIn(b"body", client.retr(1)[1])
        client.quit()
        login = self.lines("login")[0]
        self.assertEqual((login["user"], login["protocol"], login["reason"]), ("anna", "pop3", "ok"))

    def test_wrong_password(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("pop3"))
        client = poplib.POP3("127.0.0.1", self.proxy.port("mail"), timeout=30)
        client.user("anna")
        with self.assertRaisesRegex(poplib.error_proto, "AUTH"):
            client.pass_("wrong")
        client.user("anna")
        client.pass_("secret")
        client.quit()


class Submission(MailCase):
    protocol = "smtp"

    def test_login_and_a_mail(self):
        sink = self.origin(smtp_sink)
        dovecot = self.dovecot(relay=sink.port)
        self.open(dovecot.address("submission"), tls=True, mail={"starttls": True})
        client = smtplib.SMTP("127.0.0.1", self.proxy.port("mail"), timeout=30)
        client.ehlo("client.example")
        self.assertNotIn("auth", client.esmtp_features)
        client.starttls(context=self.unnamed())
        client.ehlo("client.example")
        client.login("anna", "secret")
        self.assertEqual(client.sendmail("anna@a.example", ["bernd@b.example"], "Subject: x\r\n\r\nhello\r\n"), {})
        client.quit()
        login = self.lines("login")[0]
        self.assertEqual((login["user"], login["protocol"], login["reason"]), ("anna", "smtp", "ok"))

    def test_wrong_password(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("submission"))
        client = smtplib.SMTP("127.0.0.1", self.proxy.port("mail"), timeout=30)
        with self.assertRaises(smtplib.SMTPAuthenticationError):
            client.login("anna", "wrong")


class Refusals(MailCase):
    def test_who_is_disabled_is_refused_as_slowly(self):
        """A server takes its time over a wrong password, and whoever never gets to one must not be told by that."""
        dovecot = self.dovecot(users={"anna": "secret", "otto": "secret"}, more="auth_failure_delay = 2 secs\n")
        self.open(dovecot.address("imap"), mail={"limits": {"ban_failures": 0}},
                  sections={"mail_users": {"otto": {"disabled": True}}})

        def fail(user):
            client = self.imap()
            began = time.monotonic()
            with self.assertRaises(imaplib.IMAP4.error):
                client.login(user, "wrong")
            return time.monotonic() - began
        for user in ("anna", "otto", "anna"):
            self.assertGreater(fail(user), 1.45)  # Dovecot looks now and then only: 1.5 to 2 s


class Origin(MailCase):
    """Who the server thinks is there."""

    def test_the_client_and_who_is_behind_it(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail={"trusted_from": ["127.0.0.1"]})
        client = self.imap()
        client.xatom("ID", '("x-originating-ip" "192.0.2.7" "x-originating-port" "1234")')
        client.login("anna", "secret")
        client.logout()
        dovecot.wait_log("Login: user=<anna>.*rip=192.0.2.7")

    def test_who_is_behind_it_is_in_the_log(self):
        """Else whoever bans by the log bans the webmail."""
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail={"trusted_from": ["127.0.0.1"]})
        client = self.imap()
        client.xatom("ID", '("x-originating-ip" "192.0.2.7" "x-originating-port" "1234")')
        with self.assertRaises(imaplib.IMAP4.error):
            client.login("anna", "wrong")
        client.login("anna", "secret")
        session = self.proxy.get("/v1/mail/sessions?client=192.0.2.7")["sessions"][0]
        self.assertEqual(session["client"], "192.0.2.7:1234")
        self.assertRegex(session["peer"], r"\A127\.0\.0\.1:\d+\Z")
        self.assertEqual(self.proxy.get("/v1/mail/sessions?client=127.0.0.1")["total"], 1)
        self.assertEqual(self.proxy.get("/v1/mail/sessions?client=192.0.2.8")["total"], 0)
        client.logout()
        plain = self.imap()
        plain.login("anna", "secret")
        plain.logout()
        wait_for(lambda: len(self.lines("end")) == 2, "the ends in the log")
        said = self.lines("login")[:2] + self.lines("end")[:1]
        self.assertEqual([line["client"] for line in said], ["192.0.2.7:1234"] * 3)
        self.assertEqual({line["peer"] for line in said}, {session["peer"]})
        for line in (self.lines("login")[2], self.lines("end")[1]):
            self.assertNotIn("peer", line)
            self.assertRegex(line["client"], r"\A127\.0\.0\.1:")

    def test_nobody_believes_a_stranger(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"))
        client = self.imap()
        client.xatom("ID", '("x-originating-ip" "192.0.2.7" "x-originating-port" "1234")')
        client.login("anna", "secret")
        client.logout()
        dovecot.wait_log("Login: user=<anna>.*rip=127.0.0.1")

    def test_a_loop_ends(self):
        dovecot = self.dovecot()
        self.open(dovecot.address("imap"), mail={"trusted_from": ["127.0.0.1"]})
        client = self.imap()
        client.xatom("ID", '("x-proxy-ttl" "1")')
        with self.assertRaisesRegex(imaplib.IMAP4.error, "UNAVAILABLE"):
            client.login("anna", "secret")
        self.assertEqual(self.lines("login")[0]["reason"], "loop")

    def test_a_proxy_header_goes_to_the_server(self):
        dovecot = self.dovecot(haproxy=True)
        self.open(dovecot.address("imap"), pool={"send_proxy": "v2"})
        client = self.imap()
        self.assertEqual(client.login("anna", "secret")[0], "OK")
        client.logout()

    def test_a_certificate_logs_in(self):
        """EXTERNAL: the name in the certificate; the server sees a master user who acts as that."""
        dovecot = self.dovecot(masters={"lbd": "master key"})
        anna = self.ca.issue("anna", "anna")
        self.open(dovecot.address("imap"), tls=True, mail={"mechanisms": ["plain", "external"]},
                  listener={"tls": {"certificates": ["mail"], "client_auth": {"mode": "optional", "ca": "ours"}}},
                  pool={"mail": {"credentials": "master", "master_user": "lbd",
                                 "master_password_file": self.secret_file("master key")}})
        port = self.proxy.port("mail")
        client = imaplib.IMAP4_SSL("localhost", port, ssl_context=client_context(self.ca, anna), timeout=30)
        self.assertIn("AUTH=EXTERNAL", client.capabilities)
        self.assertEqual(client.authenticate("EXTERNAL", lambda _: b"")[0], "OK")
        self.assertEqual(client.select("INBOX")[0], "OK")
        client.logout()
        self.assertEqual(self.lines("login")[0]["user"], "anna")
        dovecot.wait_log("Login: user=<anna>")
        with self.assertRaises(imaplib.IMAP4.error):
            self.imap(tls=True).authenticate("EXTERNAL", lambda _: b"")  # without one


if __name__ == "__main__":
    unittest.main()
