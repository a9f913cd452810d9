"""Crowds of clients that only begin, that guess, that are cut off in the middle; and what is compressed."""

import asyncio
import os
import re
import time
import unittest
import zlib

from lab.client import Client
from lab.imap_server import ImapServer
from lab.mail import MailCase
from lab.waits import wait_for


def at_once(count, make):
    """Awaits `make(i)` for all i at the same time; their results."""
    async def all_of_them():
        return await asyncio.gather(*(make(i) for i in range(count)))
    return asyncio.run(all_of_them())


class Crowds(MailCase):
    def kilobytes(self):
        return int(self.proxy.proc_status()["VmRSS"].split()[0])

    def login(self, server=None):
        client = Client(self.proxy.address("mail"))
        self.addCleanup(client.close)
        client.send(b"l LOGIN anna secret\r\n")
        wait_for(lambda: client.reader.line().startswith(b"l OK"), "the login")
        return client

    def ask(self, client):
        client.send(b"n NOOP\r\n")
        self.assertEqual(client.reader.line(), b"n OK NOOP")

    def test_5000_that_begin_a_login_and_stop(self):
        server = ImapServer(self)
        self.open(server.address, daemon={"workers": 1}, mail={
            "limits": {"connections_per_address": 0}, "timeouts": {"read": "5m", "login": "5m"}})
        host, port = self.proxy.address("mail")
        held = self.login()
        before = self.kilobytes()

        async def begin(_):
            reader, writer = await asyncio.open_connection(host, port)
            await reader.readline()
            writer.write(b'a LOGIN anna "half of it')
            return writer

        async def crowd():
            writers = []
            for _ in range(10):
                writers += await asyncio.gather(*(begin(i) for i in range(500)))
            return writers

        async def all_of_it():
            writers = await crowd()
            grown = self.kilobytes() - before
            clients = self.proxy.metric("lbd_mail_clients", protocol="imap")
            await asyncio.to_thread(self.ask, held)  # neither is kept waiting until its patience is over
            await asyncio.to_thread(self.login)
            for writer in writers:
                writer.transport.abort()
            return grown, clients
        grown, clients = asyncio.run(all_of_it())
        self.assertEqual(clients, 5000)
        self.assertLess(grown / 5000, 20)  # KB each, and the sanitizer's own among them
        wait_for(lambda: self.proxy.metric("lbd_mail_clients", protocol="imap") == 0, "the end of the crowd")
        self.ask(held)

    def test_the_slots_of_who_is_logged_in(self):
        """Of the connections that there may be, a fifth is none of those who only begin."""
        server = ImapServer(self)
        self.open(server.address, mail={"limits": {"connections_per_address": 0}},
                  daemon={"workers": 1, "max_connections": 50})
        held = [self.login() for _ in range(5)]
        waiting = []
        for _ in range(40):
            waiting.append(Client(self.proxy.address("mail")))
            self.addCleanup(waiting[-1].close)
            self.assertRegex(waiting[-1].reader.line(), rb"\A\* OK ")
        one_more = Client(self.proxy.address("mail"))
        self.addCleanup(one_more.close)
        self.assertRegex(one_more.read_rest(), rb"\A\* BYE [^\r]*\r\n\Z")
        for client in held:
            self.ask(client)
        waiting[0].send(b"l LOGIN anna secret\r\n")  # who logs in makes room
        self.assertRegex(waiting[0].reader.line(), rb"\Al OK")
        held.append(waiting.pop(0))
        self.login()
        for client in held:
            self.ask(client)

    def guess(self, addresses, users):
        """Wrong passwords from all of them at once: (what was said, seconds), in their order."""
        host, port = self.proxy.address("mail")

        async def one(i):
            family = "TCP6" if ":" in addresses[i] else "TCP4"
            to = "2001:db8::1" if family == "TCP6" else "192.0.2.200"
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"PROXY {family} {addresses[i]} {to} {1024 + i} 143\r\n".encode())
            await reader.readline()
            began = time.monotonic()
            writer.write(f"a LOGIN {users[i]} wrong\r\n".encode())
            said = await reader.readline()
            took = time.monotonic() - began
            writer.transport.abort()
            return said, took
        return at_once(len(addresses), one)

    def brute_force(self, addresses, other):
        server = ImapServer(self, passwords={f"u{i}": "secret" for i in range(0, 1000, 2)})
        self.open(server.address, mail={"limits": {"connections_per_address": 0, "ban_failures": 20}},
                  listener={"proxy_protocol_from": ["127.0.0.1/32"]}, daemon={"workers": 2})
        users = [f"u{i}" for i in range(1000)]  # every other one exists
        first = self.guess(addresses[:20], users[:20])
        self.assertEqual({said for said, _ in first}, {first[0][0]})
        self.assertRegex(first[0][0], rb"\Aa NO \[AUTHENTICATIONFAILED\] ")
        tried = sum(c.text.count("LOGIN") + c.text.count("AUTHENTICATE") for c in server.connections)
        self.assertEqual(tried, 20)
        rest = self.guess(addresses[20:], users[20:])
        self.assertEqual({said for said, _ in rest}, {rest[0][0]})
        self.assertRegex(rest[0][0], rb"\Aa NO \[LIMIT\] ")
        for _, took in first + rest:  # a second whatever was wrong; more is this machine
            self.assertGreater(took, 0.95)
        after = sum(c.text.count("LOGIN") + c.text.count("AUTHENTICATE") for c in server.connections)
        self.assertEqual(after, tried)  # who is shut out asks no server
        (ban,) = [ban for ban in self.proxy.get("/v1/mail/bans")["bans"] if "user" not in ban]
        client = Client(self.proxy.address("mail"))
        self.addCleanup(client.close)
        client.send(f"PROXY {'TCP6' if ':' in other else 'TCP4'} {other} "
                    f"{'2001:db8::1' if ':' in other else '192.0.2.200'} 9 143\r\n".encode())
        self.assertRegex(client.reader.line(), rb"\A\* OK")
        client.send(b"a LOGIN u0 secret\r\n")
        self.assertRegex(client.reader.line(), rb"\Aa OK")
        return ban

    def test_1000_guesses_of_one_address(self):
        ban = self.brute_force(["192.0.2.1"] * 1000, "192.0.2.2")
        self.assertIn("192.0.2.1", str(ban))

    def test_1000_guesses_of_one_network(self):
        ban = self.brute_force([f"2001:db8:1:2:{i:x}::{i + 1:x}" for i in range(1000)], "2001:db8:1:3::1")
        self.assertIn("2001:db8:1:2::", str(ban))


class InTheMiddle(MailCase):
    def test_a_kick_in_the_middle_of_a_literal(self):
        """What of a message was sent is no message; the client hears of it where it is followed."""
        for relay, end in (("track", rb"\A\* BYE \[UNAVAILABLE\][^\r]*\r\n\Z"), ("blind", rb"\A\Z")):
            with self.subTest(relay):
                dovecot = self.dovecot()
                self.open(dovecot.address("imap"), mail={"relay": relay})
                client = self.raw()
                client.send(b"a LOGIN anna secret\r\n")
                wait_for(lambda client=client: client.reader.line().startswith(b"a OK"), "the login")
                client.send(b"b APPEND INBOX {1000}\r\n")
                self.assertRegex(client.reader.line(), rb"\A\+")
                client.send(b"Subject: half\r\n\r\n" + b"x" * 400)
                kicked = self.proxy.api("POST", "/v1/mail/users/anna/kick", {}).body
                self.assertEqual(kicked["kicked"], 1)
                self.assertRegex(client.read_rest(), end)
                self.assertEqual(self.lines("end")[0]["reason"], "user_kicked")
                again = self.imap()
                again.login("anna", "secret")
                self.assertEqual(again.select("INBOX"), ("OK", [b"0"]))
                again.logout()


class Compressed(MailCase):
    """COMPRESS=DEFLATE (RFC 4978) through the relay, with Dovecot's own."""

    def test_byte_for_byte(self):
        dovecot = self.dovecot(more="mail_plugins = $mail_plugins zlib\n"
                                    "protocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n")
        body = b"Subject: large\r\n\r\n" + b"".join(
            b"%s %s\r\n" % (os.urandom(20).hex().encode(), b"y" * (i % 70)) for i in range(4000))
        for relay in ("blind", "track"):
            with self.subTest(relay):
                self.open(dovecot.address("imap"), mail={"relay": relay})
                client = self.raw()
                client.send(b"a LOGIN anna secret\r\n")
                wait_for(lambda client=client: b"COMPRESS=DEFLATE" in client.reader.line(), "the login")
                client.send(b"b COMPRESS DEFLATE\r\n")
                self.assertRegex(client.reader.line(), rb"\Ab OK")
                sends = zlib.compressobj(wbits=-15)
                hears = zlib.decompressobj(wbits=-15)
                heard = b""

                def send(data, client=client, sends=sends):
                    client.send(sends.compress(data) + sends.flush(zlib.Z_SYNC_FLUSH))

                def until(pattern, client=client, hears=hears):
                    nonlocal heard
                    while not re.search(pattern, heard):
                        data = client.sock.recv(65536)
                        if not data:
                            raise AssertionError("the end")
                        heard += hears.decompress(data)
                    text, heard = heard, b""
                    return text
                send(b"c APPEND INBOX {%d+}\r\n" % len(body) + body + b"\r\nd SELECT INBOX\r\n")
                self.assertRegex(until(rb"(?m)^d OK"), rb"(?m)^c OK")
                send(b"e UID SEARCH ALL\r\n")
                last = until(rb"(?m)^e OK").split(b"\r\n")[0].split()[-1]
                send(b"f UID FETCH %s BODY.PEEK[]\r\n" % last)
                text = until(rb"(?m)^f OK")
                start = text.index(b"}\r\n") + 3
                self.assertEqual(text[start:start + len(body)], body)
                self.assertRegex(text, rb"BODY\[\] \{%d\}" % len(body))
                send(b"g LOGOUT\r\n")
                self.assertRegex(until(rb"(?m)^g OK"), rb"\* BYE")


if __name__ == "__main__":
    unittest.main()
