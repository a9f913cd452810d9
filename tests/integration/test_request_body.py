"""Bodies of any size stream through with back-pressure; whoever leaves in the middle is noticed."""

import signal
import threading
import time
import unittest

from lab import Closed, LabCase, WireError, config_for


class Big(LabCase):
    """Bodies of any size, with back-pressure instead of memory."""

    SIZE = 64 * 1024 * 1024
    # what lbd may grow by while a body of SIZE goes through: queues, not the body
    GROWTH_KB = 16 * 1024

    def body_script(self, chunked=False):
        block = bytes(range(256)) * 1024

        def script(peer):
            while True:
                request = peer.rx_head()
                if request.method == "POST":
                    count = 0
                    left = int(request.get("Content-Length"))
                    while left:
                        data = peer.reader.some()
                        if not data:
                            return
                        left -= len(data)
                        count += len(data)
                        del peer.reader.log[:]
                    peer.tx(200, f"got {count}")
                    continue
                if chunked:
                    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for _ in range(self.SIZE // len(block)):
                        peer.send(b"%x\r\n" % len(block) + block + b"\r\n")
                    peer.send("0\r\n\r\n")
                else:
                    peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {self.SIZE}\r\n\r\n")
                    for _ in range(self.SIZE // len(block)):
                        peer.send(block)

        return script

    def read_counting(self, client, total, pause_after=None, pause=0.0):
        """Reads `total` body bytes and checks that they are the pattern of the origin."""
        pattern = bytes(range(256)) * 1024
        done = 0
        while done < total:
            data = client.reader.some()
            if not data:
                raise Closed(f"{done} of {total}")
            offset = done % len(pattern)
            expected = (pattern + pattern)[offset : offset + len(data)]
            self.assertEqual(data, expected, f"bytes differ after {done}")
            done += len(data)
            del client.reader.log[:]
            if pause_after and done > pause_after:
                time.sleep(pause)
        return done

    def test_download(self):
        server = self.origin(self.body_script())
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        for _ in range(2):
            client.send_request("GET", "/big")
            self.assertEqual(client.read_head().get("Content-Length"), str(self.SIZE))
            self.read_counting(client, self.SIZE)
        self.assertEqual(server.connection_count, 1, "a spliced connection is reused")

    def test_download_chunked(self):
        server = self.origin(self.body_script(chunked=True))
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        response = client.get("/big")
        self.assertEqual(len(response.body), self.SIZE)
        self.assertEqual(response.body[:512], bytes(range(256)) * 2)

    def test_upload(self):
        server = self.origin(self.body_script())
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        block = b"u" * (1024 * 1024)
        for _ in range(2):
            client.send_request("POST", "/up", {"Content-Length": str(self.SIZE)})
            for _ in range(self.SIZE // len(block)):
                client.send(block)
            self.assertEqual(client.read_response().text, f"got {self.SIZE}")

    def test_slow_reader_does_not_fill_memory(self):
        server = self.origin(self.body_script())
        proxy = self.lbd(config_for(server))
        warm = self.connect(proxy)
        warm.request("POST", "/warm", body=b"x")
        before = proxy.resident_kb()
        clients = [self.connect(proxy, receive_buffer=8192) for _ in range(8)]
        for client in clients:
            client.send_request("GET", "/big")
            client.read_head()
        # nobody reads: what is in flight settles in kernel buffers and small queues
        self.settle(proxy)
        growth = proxy.resident_kb() - before
        self.assertLess(growth, self.GROWTH_KB)
        self.read_counting(clients[0], self.SIZE)
        for client in clients[1:]:
            client.abort()

    def test_slow_server_does_not_fill_memory(self):
        stop = threading.Event()

        def script(peer):
            peer.rx_head()
            stop.wait(30)  # reads nothing of the body

        server = self.origin(script)
        proxy = self.lbd(config_for(server))
        before = proxy.resident_kb()
        clients = []
        for _ in range(8):
            client = self.connect(proxy)
            client.send_request("POST", "/up", {"Content-Length": str(self.SIZE)})
            client.sock.setblocking(False)
            clients.append(client)
        # push until nobody takes any more
        block = b"z" * 262144
        limit = time.monotonic() + 20
        quiet = 0
        sent = 0
        while quiet < 10 and time.monotonic() < limit:
            moved = 0
            for client in clients:
                try:
                    moved += client.sock.send(block)
                except BlockingIOError:
                    pass
            sent += moved
            quiet = 0 if moved else quiet + 1
            time.sleep(0.02)
        self.assertLess(sent, 8 * self.SIZE, "lbd took all of it although nobody reads")
        self.assertLess(proxy.resident_kb() - before, self.GROWTH_KB)
        for client in clients:
            client.abort()
        stop.set()

    def settle(self, proxy):
        """Waits until resident memory no longer moves."""
        last, same = -1, 0
        limit = time.monotonic() + 10
        while same < 5 and time.monotonic() < limit:
            now = proxy.resident_kb()
            same = same + 1 if now == last else 0
            last = now
            time.sleep(0.05)


class Leaving(LabCase):
    """Somebody goes away in the middle."""

    def test_client_abort_reaches_the_server(self):
        gone = threading.Event()

        def script(peer):
            peer.rx()
            peer.wait_closed()  # never answers
            gone.set()

        server = self.origin(script)
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        server.wait_requests(1)
        client.abort()
        self.assertTrue(gone.wait(60), "the server was not told")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual(line["reason"], "client_abort")
        self.wait_for(lambda: proxy.metric("lbd_http_client_aborts_total") == 1, "abort counted")

    def test_a_client_that_closes_while_it_waits_is_gone(self):
        gone = threading.Event()

        def script(peer):
            peer.rx()
            peer.wait_closed()  # never answers
            gone.set()

        server = self.origin(script)
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        server.wait_requests(1)
        client.close()  # orderly, no reset
        self.assertTrue(gone.wait(60), "the server works for nobody")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual(line["reason"], "client_abort")

    def test_early_answer_to_a_large_upload(self):
        size = 64 * 1024 * 1024

        def script(peer):
            peer.rx_head()
            peer.read(300000)  # well into what is handed to splice
            peer.tx(413, "enough")
            peer.wait_closed()

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
        client.send_request("POST", "/", {"Content-Length": str(size)})

        def push():
            try:
                for _ in range(size // 65536):
                    client.send(b"x" * 65536)
            except OSError:
                pass

        pusher = threading.Thread(target=push, daemon=True)
        pusher.start()
        response = client.read_response("POST")
        self.assertEqual((response.status, response.text), (413, "enough"))
        self.assertEqual(response.get("Connection"), "close")
        pusher.join(60)
        (line,) = proxy.wait_access_log(1)
        self.assertEqual((line["status"], line["reason"]), (413, "ok"))

    def test_server_resets_in_the_middle_of_a_large_upload(self):
        def script(peer):
            peer.rx_head()
            peer.read(300000)
            peer.reset()

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
        client.send_request("POST", "/", {"Content-Length": str(64 * 1024 * 1024)})

        def push():
            try:
                for _ in range(1024):
                    client.send(b"x" * 65536)
            except OSError:
                pass

        pusher = threading.Thread(target=push, daemon=True)
        pusher.start()
        self.assert_reason(client.read_response("POST"), 502, "server_reset")
        pusher.join(60)

    def test_server_reset_that_comes_with_the_last_bytes(self):
        """Bytes and the reset behind them lie in the socket before lbd looks: one event for both."""
        parts = {
            "/head": b"HTTP/1.1 200 OK\r\nContent-",
            "/body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000,
            "/chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "/tunnel": b"last words",
        }

        def script(peer):
            request = peer.rx_head()
            if request.target == "/tunnel":
                peer.send(b"HTTP/1.1 101 Switching Protocols\r\n"
                          b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                self.assertEqual(peer.read(4), b"talk")
            proxy.send_signal(signal.SIGSTOP)
            try:
                time.sleep(0.05)
                peer.send(parts[request.target])
                time.sleep(0.02)
                peer.reset()
                time.sleep(0.02)
            finally:
                proxy.send_signal(signal.SIGCONT)

        # far beyond what a test waits: the reset must be what ends them
        long = {"idle": "1h", "response": "1h"}
        proxy = self.lbd(config_for(self.origin(script), pool={"retries": 0, "timeouts": long}))
        for target in ("/body", "/chunk"):
            with self.subTest(target), self.assertRaises(Closed):
                self.connect(proxy).get(target)
        with self.subTest("/head"):
            answer = self.connect(proxy).get("/head")
            self.assert_reason(answer, 502, "server_truncated")
        with self.subTest("/tunnel"):
            client = self.connect(proxy)
            client.send_request(
                "GET", "/tunnel", {"Connection": "Upgrade", "Upgrade": "websocket"})
            self.assertEqual(client.read_interim().status, 101)
            client.send(b"talk")
            self.assertEqual(client.read_exact(10), b"last words")
            with self.assertRaises((Closed, ConnectionResetError)):
                client.read_exact(1)

    def test_client_abort_in_the_middle_of_a_download(self):
        gone = threading.Event()

        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                while True:
                    peer.send(b"x" * 65536)
            except OSError:
                gone.set()

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
        client.send_request("GET", "/")
        client.read_head()
        client.read_exact(200000)
        client.abort()
        self.assertTrue(gone.wait(60), "the server still sends")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual((line["status"], line["reason"]), (200, "client_abort"))

    def test_client_abort_in_the_middle_of_an_upload(self):
        short = threading.Event()

        def script(peer):
            request = peer.rx_head()
            try:
                peer.rx_body(request)
            except Closed:
                short.set()
                raise

        server = self.origin(script)
        proxy = self.lbd(config_for(server))
        client = self.connect(proxy)
        client.send_request("POST", "/", {"Content-Length": "100000"})
        client.send(b"x" * 5000)
        server.wait_requests(1)
        client.abort()
        self.assertTrue(short.wait(60), "the server was left with half a body")

    def test_server_ends_in_the_middle_of_its_answer(self):
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            peer.close()

        proxy = self.lbd(config_for(self.origin(script)))
        client = self.connect(proxy)
        with self.assertRaises((Closed, WireError)):
            client.get("/")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual((line["status"], line["reason"]), (200, "server_truncated"))


if __name__ == "__main__":
    unittest.main()
