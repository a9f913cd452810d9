"""Handshakes that go on from an earlier one, and certificates that change under load."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import unittest

from lab import config_for
from lab.certs import client_context
from test_tls_listener import Tls, certificate


class Again(Tls):
    """Handshakes that go on from an earlier one."""

    def context(self, version=ssl.TLSVersion.TLSv1_3, tickets=True, pair=None):
        context = client_context(self.ca, pair, version=version)
        if not tickets:
            context.options |= ssl.OP_NO_TICKET
        return context

    def session(self, lbd, context, session=None, name="shop.test", listener="web"):
        """Shakes hands, makes a request and gives (was it resumed?, its session)."""
        sock = socket.create_connection(lbd.address(listener), timeout=30)
        self.addCleanup(sock.close)
        tls = context.wrap_socket(sock, server_hostname=name, session=session)
        tls.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % name.encode())
        self.assertNotEqual(tls.recv(65536), b"")
        found = (tls.session_reused, tls.session)
        tls.close()
        return found

    def test_on_any_worker(self):
        lbd = self.start(daemon={"workers": 2})
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            for tickets in (True, False):
                if version == ssl.TLSVersion.TLSv1_3 and not tickets:
                    continue
                with self.subTest(version=version, tickets=tickets):
                    context = self.context(version, tickets)
                    was_resumed, session = self.session(lbd, context)
                    self.assertFalse(was_resumed)
                    self.assertEqual(session.has_ticket, tickets)
                    for _ in range(8):
                        was_resumed, session = self.session(lbd, context, session)
                        self.assertTrue(was_resumed)
        lbd.wait_metric(16, "lbd_tls_handshakes_total", listener="web", version="1.2", resumed="true")
        lbd.wait_metric(8, "lbd_tls_handshakes_total", listener="web", version="1.3", resumed="true")

    def test_who_it_is_comes_along(self):
        """A handshake that goes on from another one still has the client's certificate."""
        origin = self.origin()
        lbd = self.lbd(config_for(
            origin,
            listener={"tls": {"certificates": ["c"],
                              "client_auth": {"mode": "required", "ca": "people"}}},
            certificates={"c": certificate(self.shop)},
            ca_sets={"people": {"file": str(self.ca.certificate)}},
        ))
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            for tickets in (True, False)[: 2 if version == ssl.TLSVersion.TLSv1_2 else 1]:
                with self.subTest(version=version, tickets=tickets):
                    context = self.context(version, tickets, self.alice)
                    _, session = self.session(lbd, context)
                    self.assertTrue(self.session(lbd, context, session)[0])
                    for request in origin.requests[-2:]:
                        self.assertEqual(request.get("X-Client-Cert-Subject"), "CN=alice")

    def test_at_another_machine_with_the_same_secret(self):
        secret = self.folder + "/tickets.secret"
        with open(secret, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(os.urandom(48))
        one, two = (self.start(tls={"ticket_keys_file": secret}) for _ in range(2))
        stranger = self.start()
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            with self.subTest(version=version):
                context = self.context(version)
                _, session = self.session(one, context)
                self.assertFalse(self.session(stranger, context, session)[0])
                self.assertTrue(self.session(two, context, session)[0])

    def test_no_early_data(self):
        lbd = self.start()
        host, port = lbd.address()
        shown = subprocess.run(
            ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "shop.test", "-tls1_3", "-ign_eof"],
            input="GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", capture_output=True, text=True,
            timeout=60, check=False).stdout
        self.assertIn("New, TLSv1.3", shown)
        self.assertEqual(set(re.findall(r"Max Early Data: (\d+)", shown)), {"0"})

    def test_no_tickets(self):
        lbd = self.start(tls={"session_tickets": False})
        context = self.context()
        _, session = self.session(lbd, context)
        self.assertFalse(session is not None and session.has_ticket)
        context = self.context(ssl.TLSVersion.TLSv1_2)
        _, session = self.session(lbd, context)
        self.assertFalse(session.has_ticket)
        self.assertTrue(self.session(lbd, context, session)[0])

    def test_not_at_another_listener(self):
        """R12: what one listener gave opens nothing at another, nor under another name's rules."""
        named = {"shop": self.shop, "wild": self.wild}
        lbd = self.start(
            certificates=named,
            listeners={
                "other": {
                    "bind": ["127.0.0.1:0"], "default_pool": "main",
                    "tls": {"certificates": list(named)},
                }
            },
        )
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            for tickets in (True, False):
                with self.subTest(version=version, tickets=tickets):
                    context = self.context(version, tickets)
                    _, session = self.session(lbd, context)
                    self.assertFalse(self.session(lbd, context, session, listener="other")[0])
                    _, session = self.session(lbd, context)
                    context.check_hostname = False
                    self.assertFalse(self.session(lbd, context, session, name="a.wild.test")[0])

    def test_not_after_the_authorities_changed(self):
        people = self.folder + "/people.pem"
        shutil.copy(self.ca.certificate, people)
        lbd = self.start(
            tls={"client_auth": {"mode": "required", "ca": "people"}},
            ca_sets={"people": {"file": people}},
        )
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            with self.subTest(version=version):
                context = self.context(version, pair=self.alice)
                _, session = self.session(lbd, context)
                self.assertTrue(self.session(lbd, context, session)[0])
                _, session = self.session(lbd, context)
                both = self.ca.certificate.read_text() + self.other_ca.certificate.read_text()
                if version == ssl.TLSVersion.TLSv1_2:
                    both = both + self.ca.certificate.read_text()
                with open(people, "w", encoding="ascii") as file:
                    file.write(both)
                self.wait_for(
                    lambda: not self.session(lbd, context, session)[0], "a full handshake"
                )


class Change(Tls):
    def test_a_certificate_is_swapped_under_load(self):
        names = ["DNS:shop.test"]
        file = self.ca.issue("swap", cn="none", names=names)
        first = self.ca.issue("swap-1", cn="first", names=names)
        second = self.ca.issue("swap-2", cn="second", names=names)
        file.replace_with(first)
        lbd = self.start(certificates={"shop": file})
        old = self.tls(lbd)
        self.assertEqual(old.get(host="shop.test").status, 200)
        failures, seen, stop = [], set(), threading.Event()

        def load():
            while not stop.is_set():
                try:
                    seen.add(self.shown(lbd, "shop.test"))
                except (OSError, AssertionError) as error:
                    failures.append(error)

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        self.addCleanup(stop.set)
        try:
            for pair, name in ((second, "second"), (first, "first"), (second, "second")):
                file.replace_with(pair)
                self.wait_for(lambda name=name: self.shown(lbd, "shop.test") == name, name)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(old.get(host="shop.test").status, 200)  # nobody was cut off
        self.assertEqual(seen, {"first", "second"})


if __name__ == "__main__":
    unittest.main()
