"""The examples of mail in conf/examples, as they stand, with real Dovecots where they name servers."""

import http.server
import imaplib
import poplib
import smtplib
import threading
import time
import unittest
from pathlib import Path

from lab.jsonc import loads
from lab.mail import MailCase
from lab.waits import wait_for

EXAMPLES = Path(__file__).resolve().parents[2] / "conf" / "examples"
USERS = ["joe@example.com", "ann@example.com", "zoe@example.com", "bob@example.com", "kim@example.com"]
# what a port of an example is at a Dovecot
SERVICES = {143: "imap", 993: "imaps", 110: "pop3", 995: "pop3s", 587: "submission", 465: "submissions", 4190: "sieve"}


class Service(http.server.BaseHTTPRequestHandler):
    """An auth_http service of nginx's kind: `self.server.where` says where users go by which protocol."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(dict(self.headers))
        user = self.headers["Auth-User"]
        self.send_response(200)
        if user in self.server.where and self.headers["Auth-Pass"] == "secret":
            host, port = self.server.where[user][self.headers["Auth-Protocol"]].rsplit(":", 1)
            self.send_header("Auth-Status", "OK")
            self.send_header("Auth-Server", host)
            self.send_header("Auth-Port", port)
        else:
            self.send_header("Auth-Status", "Invalid login or password")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Examples(MailCase):
    def load(self, name, count):
        """Starts lbd with an example; `count` Dovecots stand for its servers b1, b2, b3."""
        document = loads((EXAMPLES / name).read_text())
        users = {**{user: "secret" for user in USERS}, "ann.smith": "secret"}
        self.servers = {f"b{i + 1}": self.dovecot(users=users, certificate=self.certificate) for i in range(count)}
        for listener in document["listeners"].values():
            listener["bind"] = ["127.0.0.1:0"]
        for pool in document["pools"].values():
            for server, settings in pool["servers"].items():
                service = SERVICES[int(settings["address"].rpartition(":")[2])]
                settings["address"] = self.servers[server].address(service)
        for check in document["health_checks"].values():
            check["interval"] = "1s"
        for certificate in document.get("certificates", {}).values():
            certificate.update(chain_file=str(self.certificate.chain), key_file=str(self.certificate.key))
        for ca_set in document.get("ca_sets", {}).values():
            ca_set["file"] = str(self.ca.certificate)
        self.document = document
        return document

    def start(self):
        self.proxy = self.lbd(self.document)
        for pool in self.document["pools"]:
            for server in self.document["pools"][pool]["servers"]:
                self.proxy.wait_health(server, "up", pool)

    def imap_at(self, listener, user, tls=None, password="secret"):
        """A logged-in client; `tls`: "at once", "starttls" or None."""
        port = self.proxy.port(listener)
        if tls == "at once":
            client = imaplib.IMAP4_SSL("localhost", port, ssl_context=self.context(), timeout=30)
        else:
            client = imaplib.IMAP4("localhost", port, timeout=30)
        self.addCleanup(self._forget, client)
        if tls == "starttls":
            client.starttls(self.context())
        self.assertEqual(client.login(user, password)[0], "OK")
        return client

    def on(self, user):
        """The server that the user is on."""
        (place,) = self.proxy.get(f"/v1/mail/users/{user}/status")["places"]
        return place["server"]


class All(Examples):
    def test_one_server_for_a_user_with_every_protocol(self):
        self.load("mail.json", 3)
        self.start()
        for user in USERS[:3]:
            self.imap_at("imaps", user, "at once")
            self.imap_at("imap", user, "starttls")
            box = poplib.POP3_SSL("localhost", self.proxy.port("pop3s"), context=self.context(), timeout=30)
            self.addCleanup(box.close)
            box.user(user)
            self.assertTrue(box.pass_("secret").startswith(b"+OK"))
            mail = smtplib.SMTP_SSL("localhost", self.proxy.port("submissions"), context=self.context(), timeout=30)
            self.addCleanup(mail.close)
            self.assertEqual(mail.login(user, "secret")[0], 235)
            place = self.on(user)
            # Dovecot ends it at once when its own relay is away: what it logged is looked at
            wait_for(lambda: (user, "submission") in {login[:2] for login in self.servers[place].logins(user)},
                     "the login on the same server")
            (here,) = self.proxy.get(f"/v1/mail/users/{user}/status")["places"]
            self.assertEqual({name: count for name, count in here["protocols"].items() if name != "smtp"},
                             {"imap": 2, "pop3": 1})

    def test_a_name_without_its_domain_is_the_same_user(self):
        self.load("mail.json", 3)
        for server in self.servers.values():
            server.set_password("joe", "secret")
        self.start()
        self.imap_at("imaps", "joe@example.com", "at once")
        self.imap_at("imaps", "joe", "at once")
        (place,) = self.proxy.get("/v1/mail/users/joe@example.com/status")["places"]
        self.assertEqual(place["sessions"], 2)


class Director(Examples):
    def test_users_stay_fail_over_and_come_in_from_its_table(self):
        self.load("mail_from_director.json", 3)
        for pool in self.document["pools"].values():
            pool["mail"].update(down_for="100ms")
        self.start()
        lines = "user                 mail server ip expire time\njoe@example.com      b2             2026-11-26 18:00:00\n"
        answer = self.proxy.api("POST", "/v1/mail/affinity/imap", {"text": lines})
        self.assertEqual(answer.body["imported"], 1, answer)
        client = self.imap_at("imap", "joe@example.com", "starttls")
        self.assertEqual(self.on("joe@example.com"), "b2")
        self.servers["b2"].kill()
        with self.assertRaises((imaplib.IMAP4.abort, OSError)):
            for _ in range(100):
                client.noop()
                time.sleep(0.1)
        self.proxy.wait_health("b2", "down", "imap")
        wait_for(lambda: self.try_again("joe@example.com"), "a login elsewhere")
        self.assertNotEqual(self.on("joe@example.com"), "b2")

    def try_again(self, user):
        try:
            return self.imap_at("imap", user, "starttls")
        except imaplib.IMAP4.error:
            return None


class Nginx(Examples):
    def test_its_service_says_where_users_go(self):
        document = self.load("mail_from_nginx.json", 2)
        service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
        service.asked = []
        service.where = {user: {protocol: self.servers[f"b{1 + i % 2}"].address(name) for protocol, name in
                                (("imap", "imap"), ("pop3", "pop3"), ("smtp", "submission"))}
                         for i, user in enumerate(USERS)}
        threading.Thread(target=service.serve_forever, daemon=True).start()
        self.addCleanup(service.server_close)
        self.addCleanup(service.shutdown)
        document["mail_callbacks"]["auth"]["urls"] = [
            "http://127.0.0.1:1/auth", f"http://127.0.0.1:{service.server_port}/auth"]  # the first is away
        self.start()
        for i, user in enumerate(USERS):
            self.imap_at("imaps", user, "at once")
            self.assertEqual(self.on(user), f"b{1 + i % 2}")
        asked = service.asked[0]
        self.assertEqual((asked["Auth-Method"], asked["Auth-User"], asked["Auth-Protocol"], asked["Auth-SSL"],
                          asked["X-Auth-Key"]), ("plain", USERS[0], "imap", "on", "secret"))
        with self.assertRaisesRegex(imaplib.IMAP4.error, "Invalid login or password"):
            self.imap_at("imaps", USERS[0], "at once", "wrong")


class Perdition(Examples):
    def test_maps_say_which_server_and_which_name(self):
        self.load("mail_from_perdition.json", 2)
        self.start()
        self.imap_at("imap", "joe@example.com", "starttls")
        self.assertEqual(self.on("joe@example.com"), "b1")
        self.imap_at("imap", "ann@example.com", "starttls")
        self.assertEqual(self.on("ann@example.com"), "b2")
        wait_for(lambda: len(self.servers["b2"].logins("ann.smith")) == 1, "the login in Dovecot's log")
        self.imap_at("imap", "kim@example.com", "starttls")
        self.assertEqual(self.on("kim@example.com"), "b1")


class Webmail(Examples):
    def test_the_second_click_finds_the_connection_of_the_first(self):
        self.load("mail_webmail_cache.json", 2)
        self.start()
        for _ in range(3):
            client = self.imap_at("webmail", "joe@example.com")
            self.assertEqual(client.select("INBOX")[0], "OK")
            client.logout()
            wait_for(lambda: self.proxy.get("/v1/mail/cache")["parked"] == 1, "the connection to be kept")
        cache = self.proxy.get("/v1/mail/cache")
        self.assertEqual(cache["hits"], 2, cache)
        wait_for(lambda: sum(len(server.logins("joe@example.com")) for server in self.servers.values()) == 1,
                 "one login in the logs of both Dovecots")


if __name__ == "__main__":
    unittest.main()
