"""Listeners of TCP: any protocol, whoever speaks first, until both ends are done."""

import hashlib
import os
import socket
import threading
import time
import unittest

from lab import Client, LabCase, config_for, wait_for
from lab.ports import free_port


def echo(peer):
    """Sends back what comes, until the other end is done."""
    while True:
        data = peer.sock.recv(65536)
        if not data:
            return
        peer.send(data)


def banner(peer):
    """Speaks first, like SMTP."""
    peer.send("220 mail.example ESMTP\r\n")
    while True:
        line = peer.reader.line()
        if line == b"QUIT":
            peer.send("221 bye\r\n")
            return
        peer.send(b"250 " + line + b"\r\n")


class Tcp(LabCase):
    def open(self, *origins, listener=None, pool=None, **more):
        config = config_for(*origins, listener={"protocol": "tcp", **(listener or {})}, pool=pool)
        self.proxy = self.lbd(config, **more)
        return self.proxy

    def metric(self, name, **labels):
        return self.proxy.metric(name, **labels)

    def rss_bytes(self):
        return self.proxy.resident_kb() * 1024

    def assert_ending(self, reason, count=1):
        wait_for(lambda: self.metric("lbd_http_endings_total", listener="web", reason=reason)
                 == count, f"{count} that ended with {reason}")

    def one_line(self):
        return self.proxy.wait_access_log(1)[-1]


class Bytes(Tcp):
    def test_echo(self):
        self.open(self.origin(echo))
        client = self.connect(self.proxy)
        for size in (1, 100, 70000, 300000):
            data = os.urandom(size)
            sender = threading.Thread(target=client.send, args=(data,))
            sender.start()
            self.assertEqual(client.read_exact(size), data)
            sender.join()
        client.shut_write()
        self.assertTrue(client.closed_cleanly())
        line = self.one_line()
        self.assertEqual(line["reason"], "tunnel_closed")
        self.assertEqual(line["protocol"], "tcp")
        self.assertEqual((line["request_bytes"], line["response_bytes"]), (370101, 370101))
        self.assertEqual((line["listener"], line["pool"], line["server"]), ("web", "main", "a"))
        self.proxy.wait_metric(370101, "lbd_listener_received_bytes_total", listener="web")
        self.proxy.wait_metric(370101, "lbd_pool_received_bytes_total", pool="main")
        self.proxy.wait_metric(1, "lbd_server_requests_total", pool="main", server="a")
        self.assert_ending("tunnel_closed")

    def test_bytes_are_counted_as_they_pass(self):
        self.open(self.origin(echo))
        client = self.connect(self.proxy)
        for size in (5, 100005, 100010):
            sent = int(self.metric("lbd_pool_sent_bytes_total", pool="main"))
            client.send(b"x" * (size - sent))
            wait_for(lambda size=size: self.metric("lbd_pool_received_bytes_total", pool="main")
                     == size, f"{size} bytes")
            self.proxy.wait_metric(size, "lbd_listener_received_bytes_total", listener="web")
            self.proxy.wait_metric(size, "lbd_listener_sent_bytes_total", listener="web")

    def test_the_server_speaks_first(self):
        self.open(self.origin(banner))
        took = []
        for _ in range(3):  # the best of some: this machine may be busy with others
            start = time.monotonic()
            client = self.connect(self.proxy)
            self.assertEqual(client.reader.line(), b"220 mail.example ESMTP")
            took.append(time.monotonic() - start)
        self.assertLess(min(took), 5, "the kernel waited for the client")  # it would do so for seven seconds
        client.send("EHLO me\r\n")
        self.assertEqual(client.reader.line(), b"250 EHLO me")
        client.send("QUIT\r\n")
        self.assertEqual(client.read_rest(), b"221 bye\r\n")

    def test_a_listener_that_becomes_one_of_tcp(self):
        self.open(self.origin(banner), listener={"protocol": "http"})
        self.proxy.patch("/v1/listeners/web", {"protocol": "tcp"})
        client = self.connect(self.proxy)
        self.assertEqual(client.reader.line(), b"220 mail.example ESMTP")

    def test_half_close_of_the_client(self):
        def script(peer):
            data = peer.wait_closed()
            peer.send(b"got %d" % len(data))

        self.open(self.origin(script))
        client = self.connect(self.proxy)
        client.send(b"x" * 100000)
        client.shut_write()
        self.assertEqual(client.read_rest(), b"got 100000")

    def test_half_close_before_anything(self):
        def script(peer):
            peer.wait_closed()
            peer.send("nothing came")

        self.open(self.origin(script))
        client = self.connect(self.proxy)
        client.shut_write()
        self.assertEqual(client.read_rest(), b"nothing came")

    def test_half_close_of_the_server(self):
        got = []
        done = threading.Event()

        def script(peer):
            peer.send("that is all")
            peer.shut_write()
            got.append(peer.wait_closed())
            done.set()

        self.open(self.origin(script))
        client = self.connect(self.proxy)
        self.assertEqual(client.read_rest(), b"that is all")
        client.send(b"y" * 100000)
        client.shut_write()
        self.assertTrue(done.wait(60))
        self.assertEqual(got, [b"y" * 100000])

    def test_a_reset_goes_on_to_the_other_end(self):
        seen = []
        done = threading.Event()

        def script(peer):
            peer.read(5)
            peer.send("hello")
            peer.wait_closed()
            seen.append(peer.reader.was_reset)
            done.set()

        self.open(self.origin(script))
        client = self.connect(self.proxy)
        client.send("hello")
        client.read_exact(5)
        client.abort()
        self.assertTrue(done.wait(60))
        self.assertEqual(seen, [True])
        self.assert_ending("client_abort")

    def test_a_reset_of_the_server(self):
        def script(peer):
            peer.read(5)
            peer.reset()

        self.open(self.origin(script))
        client = self.connect(self.proxy)
        client.send("hello")
        self.assertEqual(client.read_rest(), b"")
        self.assertTrue(client.reader.was_reset)
        self.assert_ending("server_truncated")

    def test_a_slow_reader_holds_the_server_and_no_memory(self):
        sent = []

        def script(peer):
            peer.sock.settimeout(1)
            total = 0
            try:
                while total < 200_000_000:
                    total += peer.sock.send(b"z" * 65536)
            except TimeoutError:
                pass
            sent.append(total)

        self.open(self.origin(script))
        before = self.rss_bytes()
        client = self.connect(self.proxy, receive_buffer=4096)
        wait_for(lambda: sent, "the server waits", 30)
        self.assertLess(sent[0], 30_000_000)
        self.assertLess(self.rss_bytes() - before, 8_000_000)
        client.close()

    def test_200_megabytes(self):
        size = 200_000_000
        piece = os.urandom(1_000_000)
        want = hashlib.sha256()
        for _ in range(size // len(piece)):
            want.update(piece)

        def script(peer):
            for _ in range(size // len(piece)):
                peer.send(piece)

        self.open(self.origin(script))
        client = self.connect(self.proxy)
        got = hashlib.sha256()
        count = 0
        buffer = bytearray(1 << 20)
        while True:
            n = client.sock.recv_into(buffer)
            if n == 0:
                break
            got.update(memoryview(buffer)[:n])
            count += n
        self.assertEqual((count, got.hexdigest()), (size, want.hexdigest()))

    def test_many_at_once(self):
        self.open(self.origin(echo))
        clients = [self.connect(self.proxy) for _ in range(60)]
        for number, client in enumerate(clients):
            client.send(b"%05d" % number * 1000)
        for number, client in enumerate(clients):
            self.assertEqual(client.read_exact(5000), b"%05d" % number * 1000)

    def test_a_unix_socket_in_front_and_behind(self):
        proxy = self.open(self.origin(echo))
        path = str(proxy.run_directory / "front.sock")
        back = str(proxy.run_directory / "back.sock")
        server = socket.socket(socket.AF_UNIX)
        server.bind(back)
        server.listen(8)
        self.addCleanup(server.close)
        proxy.patch("/v1/config", {
            "listeners": {"web": {"bind": [f"unix:{path}"]}},
            "pools": {"main": {"servers": {"a": {"address": f"unix:{back}"}}}}})
        client = self.connect(path)
        server.settimeout(30)
        peer, _ = server.accept()
        peer.sendall(b"hello")
        peer.close()
        self.assertEqual(client.read_rest(), b"hello")


class Time(Tcp):
    def test_idle(self):
        self.open(self.origin(echo), listener={"timeouts": {"tunnel_idle": "4s"}})
        client = self.connect(self.proxy)
        for _ in range(3):  # whatever is said starts it anew
            time.sleep(1.5)
            client.send("x")
            client.read_exact(1)
        self.assertTrue(client.closed_cleanly())
        self.assert_ending("tunnel_timeout")

    def test_a_client_that_says_nothing(self):
        self.open(self.origin(echo), listener={"timeouts": {"first_byte": "3s"}})
        silent, talker = self.connect(self.proxy), self.connect(self.proxy)
        talker.send("x")
        talker.read_exact(1)
        self.assertTrue(silent.closed_cleanly())
        self.assert_ending("first_byte_timeout")
        self.assertTrue(talker.is_quiet(0.3))
        talker.send("y")
        self.assertEqual(talker.read_exact(1), b"y")

    def test_a_server_that_speaks_is_no_client(self):
        self.open(self.origin(banner), listener={"timeouts": {"first_byte": "200ms"}})
        client = self.connect(self.proxy)
        self.assertEqual(client.read_rest(), b"220 mail.example ESMTP\r\n")
        self.assert_ending("first_byte_timeout")


class Servers(Tcp):
    def test_one_that_is_down_is_passed_over(self):
        down = f"127.0.0.1:{free_port()}"
        up = self.origin(echo)
        self.open(down, down, up, pool={"retries": 2, "algorithm": "round_robin"})
        for _ in range(6):
            client = self.connect(self.proxy)
            client.send("hello")
            self.assertEqual(client.read_exact(5), b"hello")
            client.close()
        lines = self.proxy.wait_access_log(6)
        self.assertEqual({line["server"] for line in lines}, {"c"})
        self.assertGreater(max(line["tries"] for line in lines), 1)
        self.wait_for(lambda: self.metric("lbd_pool_retries_total", pool="main") > 0, "lbd_pool_retries_total")
        self.wait_for(
            lambda: self.metric("lbd_pool_errors_total", pool="main", reason="refused") > 0, "lbd_pool_errors_total")

    def test_none_that_is_up(self):
        self.open(f"127.0.0.1:{free_port()}", pool={"retries": 1})
        client = self.connect(self.proxy)
        self.assertEqual(client.read_rest(), b"")
        line = self.one_line()
        self.assertEqual(line["reason"], "connect_refused")
        self.assertEqual(line["tries"], 2)
        self.assert_ending("connect_refused")

    def test_the_limit_of_a_server(self):
        server = self.origin(echo)
        self.open({"address": server.address, "max_connections": 2})
        held = []
        for _ in range(2):
            client = self.connect(self.proxy)
            client.send("x")
            client.read_exact(1)
            held.append(client)
        self.assertEqual(self.connect(self.proxy).read_rest(), b"")
        self.assert_ending("server_limit")
        held.pop().close()
        wait_for(lambda: self.metric("lbd_pool_requests_in_flight", pool="main") == 1, "room")
        client = self.connect(self.proxy)
        client.send("x")
        self.assertEqual(client.read_exact(1), b"x")

    def test_the_limit_of_the_listener(self):
        self.open(self.origin(echo), listener={"limits": {"connections": 2}})
        held = []
        for _ in range(2):
            client = self.connect(self.proxy)
            client.send("x")
            client.read_exact(1)
            held.append(client)
        self.assertEqual(self.connect(self.proxy).read_rest(), b"")
        self.proxy.wait_metric(1, "lbd_listener_connections_rejected_total", listener="web", reason="limit")

    def test_balanced(self):
        names = []

        def named(name):
            def script(peer):
                names.append(name)
                peer.send(name)
            return script

        self.open(self.origin(named("a")), self.origin(named("b")),
                  pool={"algorithm": "round_robin"}, daemon={"workers": 1})
        for _ in range(10):
            self.connect(self.proxy).read_rest()
        self.assertEqual(sorted(names), ["a"] * 5 + ["b"] * 5)

    def test_a_health_check_takes_one_out(self):
        good = self.origin(echo)
        bad = f"127.0.0.1:{free_port()}"
        config = config_for(good, bad, listener={"protocol": "tcp"},
                            pool={"health_check": "tcp", "retries": 0})
        config["health_checks"] = {"tcp": {"type": "tcp", "interval": "100ms", "fall": 1}}
        self.proxy = self.lbd(config)
        wait_for(lambda: self.metric("lbd_server_up", pool="main", server="a") == 1
                 and self.metric("lbd_server_up", pool="main", server="b") == 0, "checked")
        for _ in range(8):
            client = self.connect(self.proxy)
            client.send("x")
            self.assertEqual(client.read_exact(1), b"x")


class Operate(Tcp):
    def open_one(self):
        client = self.connect(self.proxy)
        client.send("hello")
        self.assertEqual(client.read_exact(5), b"hello")
        return client

    def drain(self, target):
        for drain in self.proxy.get("/v1/drains")["drains"]:
            if drain["target"] == target:
                return drain
        return None

    def test_the_list_of_connections(self):
        self.open(self.origin(echo))
        client = self.open_one()
        found = self.proxy.get("/v1/connections")["connections"]
        self.assertEqual(len(found), 1, found)
        self.assertEqual(found[0]["state"], "tunnel")
        self.assertEqual((found[0]["pool"], found[0]["server"]), ("main", "a"))
        self.proxy.change("DELETE", f"/v1/connections/{found[0]['id']}")
        self.assertTrue(client.closed_cleanly())
        self.assertEqual(self.one_line()["reason"], "killed")

    def test_a_server_drains(self):
        self.open(self.origin(echo))
        client = self.open_one()
        path = "/v1/pools/main/servers/a/admin-state"
        answer = self.proxy.put(path, {"state": "drain", "deadline": "4s"}).body
        self.assertEqual(answer["drain"]["remaining"], 1)
        client.send("still")
        self.assertEqual(client.read_exact(5), b"still")
        self.assertEqual(self.connect(self.proxy).read_rest(), b"")  # nowhere to go
        self.assertTrue(client.closed_cleanly())  # the end, and no reset
        wait_for(lambda: (self.drain("/pools/main/servers/a") or {}).get("phase") != "waiting",
                 "the drain is over")

    def test_a_listener_drains(self):
        self.open(self.origin(echo))
        client = self.open_one()
        self.proxy.put("/v1/listeners/web/admin-state", {"state": "drain", "deadline": "4s"})
        client.send("still")
        self.assertEqual(client.read_exact(5), b"still")
        with self.assertRaises(ConnectionRefusedError):
            wait_for(lambda: Client(self.proxy.address("web")).close(), "refused")
        self.assertTrue(client.closed_cleanly())

    def test_a_listener_goes(self):
        self.open(self.origin(echo), daemon={"drain_timeout": "4s"})
        client = self.open_one()
        self.proxy.change("DELETE", "/v1/listeners/web")
        client.send("still")
        self.assertEqual(client.read_exact(5), b"still")
        self.assertTrue(client.closed_cleanly())

    def test_a_change_touches_no_tunnel(self):
        first, second = self.origin(echo), self.origin(echo, name="second")
        self.open(first)
        client = self.open_one()
        self.proxy.patch("/v1/config", {
            "listeners": {"web": {"timeouts": {"tunnel_idle": "1h"}}},
            "pools": {"main": {"servers": {"a": None, "z": {"address": second.address}}}}})
        self.proxy.patch("/v1/listeners/web", {"protocol": "http"})
        client.send("still here")
        self.assertEqual(client.read_exact(10), b"still here")
        self.assertEqual(self.connect(self.proxy).get("/").status, 502)  # echo is no HTTP

    def test_a_stop_waits_for_the_drain(self):
        self.open(self.origin(echo), daemon={"drain_timeout": "500ms"})
        client = self.open_one()
        self.proxy.send_signal(15)
        self.assertTrue(client.closed_cleanly())
        self.assertEqual(self.proxy.wait_exit(), 0)


class Memory(Tcp):
    def test_what_an_idle_one_costs(self):
        if os.environ.get("LBD_SANITIZE"):
            self.skipTest("sanitizers do not give memory back")
        count = 3000
        held = []

        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen(4096)
        self.addCleanup(server.close)

        def accept():
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        self.open(f"127.0.0.1:{server.getsockname()[1]}", daemon={"workers": 1, "access_log": None})
        clients = []

        def grow():
            for _ in range(count):
                client = socket.create_connection(self.proxy.address("web"))
                client.sendall(b"x")
                clients.append(client)
            wait_for(lambda: len(held) == len(clients), "all are connected", 30)
            return self.rss_bytes()

        try:
            first = grow()
            cost = (grow() - first) / count
            self.assertLess(cost, 1024)
        finally:
            for sock in clients + held:
                sock.close()


if __name__ == "__main__":
    unittest.main()
