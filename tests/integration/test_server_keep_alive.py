"""When servers close idle connections is learnt, and ours are closed before."""

import socket
import time
import unittest

from lab import Closed, LabCase, config_for


class KeepAlive(LabCase):
    def serve(self, script):
        self.server = self.origin(script)
        self.proxy = self.lbd(config_for(self.server), daemon={"workers": 1})

    def closes_ms(self):
        return self.proxy.server_status("a").get("closes_idle_after_ms")

    def idle(self):
        return self.proxy.metric("lbd_pool_idle_connections", pool="main")

    def test_a_server_that_says_so(self):
        """Keep-Alive: timeout=1 is heeded: lbd closes after 0.8 s, and never uses an older one."""
        closed = []

        def script(peer):
            peer.rx()
            answered = time.monotonic()
            peer.tx(200, "hi", {"Keep-Alive": "timeout=1, max=100"})
            try:
                peer.rx()
            except Closed:
                closed.append(time.monotonic() - answered)

        self.serve(script)
        self.connect(self.proxy).get("/")
        self.assertEqual(self.closes_ms(), 1000)
        self.wait_for(lambda: closed, "lbd closes by itself")
        self.assertGreater(closed[0], 0.5)
        self.wait_for(lambda: self.idle() == 0, "it is counted")

    def test_a_server_that_says_nothing(self):
        """What it does twice is its way; what it does once is not."""
        def script(peer):
            peer.rx()
            peer.tx(200, "hi")
            peer.sock.settimeout(2)
            try:
                peer.rx()
            except (Closed, socket.timeout):
                peer.close()

        self.serve(script)
        longest = 0
        for times in range(10):  # a busy machine may make the second one look like another way than the first
            if times > 0 and self.closes_ms() is not None:
                break
            if times > 0:
                time.sleep(2)  # the closes of one moment are one event
            asked = time.monotonic()
            self.connect(self.proxy).get("/")
            self.wait_for(lambda: self.server.open_connections() == 0 and self.idle() == 0, "it is closed")
            longest = max(longest, time.monotonic() - asked)
            if times == 0:
                self.assertIsNone(self.closes_ms())
        self.assertGreater(self.closes_ms(), 1000)
        self.assertLess(self.closes_ms(), longest * 1000)

    def test_what_is_no_number_is_not_heeded(self):
        def script(peer):
            while True:
                peer.rx()
                peer.tx(200, "hi", {"Keep-Alive": "timeout=soon, max=100"})

        self.serve(script)
        client = self.connect(self.proxy)
        for _ in range(3):
            self.assertEqual(client.get("/").status, 200)
        self.assertIsNone(self.closes_ms())
        self.assertEqual(self.server.connection_count, 1)


if __name__ == "__main__":
    unittest.main()
