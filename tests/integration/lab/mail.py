"""What the mail tests share: a listener of mail before servers of mail, and clients that speak by hand."""

import imaplib
import os
import shutil
import tempfile
import unittest

from . import LabCase
from .certs import Authority, client_context
from .mail_servers import Dovecot
from .origin import respond
from .waits import TIMEOUT, wait_for

DEFAULT_PORT = {"imap": "imap", "pop3": "pop3", "smtp": "submission", "sieve": "sieve"}


class MailCase(LabCase):
    """`self.open(servers...)` starts lbd with a listener `mail`; `self.dovecot()` a server."""

    protocol = "imap"

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="lab-mail-", dir="/tmp")
        os.chmod(cls.directory, 0o755)
        cls.ca = Authority(cls.directory)
        cls.certificate = cls.ca.issue(
            "mail", "mail.example", ["DNS:mail.example", "DNS:localhost", "IP:127.0.0.1", "IP:127.0.0.2"])

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory, ignore_errors=True)

    def dovecot(self, **more):
        if not Dovecot.possible:
            raise unittest.SkipTest("no Dovecot")
        return Dovecot(self, **more)

    def open(self, *servers, tls=False, mail=None, pool=None, listener=None, sections=None, daemon=None):
        """`servers`: "host:port". `tls`: the listener has a certificate."""
        names = "abcdefgh"
        document = {
            "listeners": {"mail": {
                "bind": ["127.0.0.1:0"], "protocol": self.protocol, "default_pool": "boxes",
                "mail": {"host": "mail.example", **({} if tls else {"allow_cleartext": True}), **(mail or {})},
                **({"tls": {"certificates": ["mail"]}} if tls else {}), **(listener or {})}},
            "pools": {"boxes": {"servers": {names[i]: {"address": address} for i, address in enumerate(servers)},
                                **(pool or {})}},
            "certificates": {"mail": {"chain_file": str(self.certificate.chain),
                                      "key_file": str(self.certificate.key)}},
            "ca_sets": {"ours": {"file": str(self.ca.certificate)}},
            **(sections or {}),
        }
        self.document = document
        self.proxy = self.lbd(document, daemon=daemon)
        return self.proxy

    def secret_file(self, text):
        """The path of a file that holds it."""
        path = os.path.join(self.directory, "secret")
        with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(text + "\n")
        return path

    def believer(self, address):
        """A callback that believes every password but "wrong", and sends everybody to `address`: its origin, and the
        sections that name it `auth`."""
        host, _, port = address.rpartition(":")

        def believe(peer):
            while True:
                request = peer.rx()
                is_wrong = request.get("auth-pass") == "wrong"
                peer.send(respond(200, b"", {"Auth-Status": "Invalid"} if is_wrong else {
                    "Auth-Status": "OK", "Auth-Server": host, "Auth-Port": port}))
        callback = self.origin(believe)
        return callback, {"mail_callbacks": {"auth": {"urls": [f"http://{callback.address}/auth"]}}}

    def open_master(self, dovecot, service):
        """lbd logs in as the master `lbd` with `master key`; a callback is the believer."""
        _, sections = self.believer(dovecot.address(service))
        self.open(dovecot.address(service), mail={"callback": "auth"}, sections=sections, pool={"mail": {
            "credentials": "master", "master_user": "lbd", "master_password_file": self.secret_file("master key")}})

    # -- clients --------------------------------------------------------------------------------

    def context(self):
        return client_context(self.ca)

    def unnamed(self):
        """For clients that ask for no name."""
        context = self.context()
        context.check_hostname = False
        return context

    def imap(self, tls=False):
        """An imaplib client at the listener; the caller logs in."""
        port = self.proxy.port("mail")
        if tls:
            client = imaplib.IMAP4_SSL("localhost", port, ssl_context=self.context(), timeout=TIMEOUT)
        else:
            client = imaplib.IMAP4("127.0.0.1", port, timeout=TIMEOUT)
        self.addCleanup(self._forget, client)
        return client

    @staticmethod
    def _forget(client):
        try:
            client.shutdown()
        except OSError:
            pass

    def raw(self, tls=False):
        """A client of bytes."""
        from .client import Client
        client = Client(self.proxy.address("mail"), **({"tls": self.context(), "name": "mail.example"} if tls else {}))
        self.addCleanup(client.close)
        return client

    @staticmethod
    def addresses_of(dovecot, user):
        """Where its users come from, as its log has it once it has any."""
        return [rip for _, _, _, rip in wait_for(lambda: dovecot.logins(user), f"a login of {user} in Dovecot's log")]

    # -- what was written down ------------------------------------------------------------------

    def lines(self, event, count=1):
        """Lines of the access log of mail with this event, once there are that many."""

        def found():
            lines = [line for line in self.proxy.access_log() if line.get("event") == event]
            lines.sort(key=lambda line: line["time"])  # workers write each their own, when they come to it
            return lines if len(lines) >= count else None
        return wait_for(found, f"{count} lines of {event} in the access log")
