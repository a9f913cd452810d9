"""Logins go on while lbd is given other configurations, and while it is restarted behind sockets that somebody keeps."""

import collections
import signal
import socket
import threading
import unittest

from lab import LabCase, wait_for
from lab.client import Client
from lab.imap_server import ImapServer
from lab.machines import Machine


class UnderLoad(LabCase):
    CLIENTS = 6

    def setUp(self):
        super().setUp()
        self.machines = [Machine(self, "b1"), Machine(self, "b2")]
        self.outcomes = collections.Counter()
        self.over = threading.Event()

    def document(self, bind="127.0.0.1:0", servers=None):
        return {
            "listeners": {"mail": {"bind": [bind], "protocol": "imap", "default_pool": "boxes", "mail": {
                "allow_cleartext": True, "limits": {"connections_per_address": 0}}}},
            "pools": {"boxes": {"mail": {}, "servers": servers or {
                m.name: {"address": m.address("imap")} for m in self.machines}}}}

    def log_in(self, where, user):
        """What was not as it should be; None: nothing."""
        with socket.create_connection(where, timeout=30) as sock, sock.makefile("rb") as reader:
            greeting = reader.readline()
            if not greeting.startswith(b"* OK "):
                return f"greeting {greeting}"
            sock.sendall(f"a LOGIN {user} ".encode())
            sock.sendall(b"secret\r\n")
            answer = reader.readline()
            if not answer.startswith(b"a OK "):
                return f"login {answer}"
            sock.sendall(b"b NOOP\r\n")
            answer = reader.readline()
            return None if answer == b"b OK NOOP\r\n" else f"afterwards {answer}"

    def begin(self, where):
        def run(number):
            count = 0
            while not self.over.is_set():
                count += 1
                try:
                    outcome = self.log_in(where, f"u{number}-{count}")
                except OSError as error:
                    outcome = repr(error)
                self.outcomes[outcome] += 1
        threads = [threading.Thread(target=run, args=(i,)) for i in range(self.CLIENTS)]
        self.addCleanup(self.over.set)
        for thread in threads:
            thread.start()
        return threads

    def some_more(self, count=30):
        before = self.outcomes[None]
        wait_for(lambda: self.outcomes[None] >= before + count, "logins that go on")

    def end(self, threads):
        self.some_more()
        self.over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(list(self.outcomes), [None], self.outcomes)

    def test_other_configurations(self):
        document = self.document()
        proxy = self.lbd(document)
        threads = self.begin(proxy.address("mail"))
        pool = document["pools"]["boxes"]
        for number in range(12):
            document["listeners"]["mail"]["mail"]["greeting"] = f"number {number}"
            document["mail_users"] = {f"u{i}-{number}": {"server": "b1"} for i in range(number)}
            pool["mail"]["linger"] = f"{number}s"
            proxy.put("/v1/config", document)
            self.some_more(5)
        document["pools"] = {"others": pool}
        document["listeners"]["mail"]["default_pool"] = "others"
        proxy.put("/v1/config", document)
        self.some_more()
        pool["servers"] = {"c1": {"address": self.machines[0].address("imap")}}
        proxy.put("/v1/config", document)
        self.end(threads)

    def test_restarts(self):
        passed = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.addCleanup(passed.close)
        where = passed.getsockname()
        proxy = self.lbd(self.document("%s:%d" % where), passed=[("mail", passed)])
        threads = self.begin(where)
        for _ in range(4):
            self.some_more()
            proxy.stop(signal.SIGTERM)
            proxy.start()
        self.end(threads)

    def test_a_login_that_is_under_way_is_answered(self):
        """One that is held back because it failed, and one whose server takes its time."""
        slow = threading.Event()
        server = ImapServer(self, told=lambda connection, what: what == "in" and slow.wait(60))
        self.addCleanup(slow.set)
        proxy = self.lbd(self.document(servers={"b1": {"address": server.address}}))
        clients = [Client(proxy.address("mail")) for _ in range(2)]
        for client, password in zip(clients, (b"wrong", b"secret")):
            self.addCleanup(client.close)
            self.assertRegex(client.reader.line(), rb"\A\* OK ")
            client.send(b"a LOGIN anna " + password + b"\r\n")
        wait_for(lambda: server.logins, "the login at the server")
        wait_for(lambda: proxy.access_log(), "the login that failed")
        proxy.send_signal(signal.SIGTERM)
        proxy.wait_log("lbd.drain")
        slow.set()
        self.assertRegex(clients[0].reader.line(), rb"\Aa NO \[AUTHENTICATIONFAILED\] ")
        self.assertRegex(clients[1].reader.line(), rb"\Aa OK ")
        for client in clients:
            client.close()
        self.assertEqual(proxy.wait_exit(), 0)
        proxy.process = None
        proxy.check_sanitizers()


if __name__ == "__main__":
    unittest.main()
