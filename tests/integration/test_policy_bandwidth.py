"""Policies of the kind bandwidth: answers flow no faster than they may, each and all of a key together."""

import threading
import time
import unittest

from lab import LabCase, config_for, h2

KIB = 1024


class Bandwidth(LabCase):
    def start(self, bandwidth, size=300 * KIB, mode="enforce", chunked=False):
        body = b"x" * size

        def script(peer):
            while True:
                small = peer.rx().target.endswith("small")
                if chunked:
                    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size + body
                              + b"\r\n0\r\n\r\n")
                else:
                    peer.tx(200, body[:20 * KIB] if small else body)

        document = config_for(self.origin(script), listener={"policies": ["p"]})
        document["policies"] = {"p": {"mode": mode, "bandwidth": bandwidth}}
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def timed(self, ask, *args):
        """Seconds that it took."""
        began = time.monotonic()
        ask(*args)
        return time.monotonic() - began

    def whole(self, client, target="/", size=300 * KIB):
        answer = client.get(target)
        self.assertEqual((answer.status, len(answer.body)), (200, size))

    # A test cannot tell how slow a loaded machine is, but that nothing came faster than it may. What is
    # read at once, up to a scratch of 64 KiB, is sent at once and paid afterwards.

    def test_each_answer_has_its_rate(self):
        client = self.start({"per_request": "400KiB", "burst": "16KiB"})
        self.assertGreater(self.timed(self.whole, client), (300 - 16 - 128) / 400)
        self.assertGreater(self.timed(self.whole, client), (300 - 16 - 128) / 400)  # the connection goes on

    def test_chunked_and_over_http2(self):
        self.start({"per_request": "400KiB", "burst": "16KiB"}, chunked=True)
        self.assertGreater(self.timed(self.whole, self.connect(self.proxy)), (300 - 16 - 128) / 400)
        with h2.H2Client(self.proxy.address(), options=((4, 1 << 20),)) as client:
            client.send(h2.window_update(0, 1 << 20))
            began = time.monotonic()
            answer = client.request()
            self.assertEqual((answer.status, len(answer.body)), (200, 300 * KIB))
            self.assertGreater(time.monotonic() - began, (300 - 16 - 128) / 400)

    def test_a_key_shares_its_rate(self):
        self.start({"per_key": "600KiB", "burst": "16KiB"})
        threads = [threading.Thread(target=self.whole, args=(self.connect(self.proxy),)) for _ in range(3)]

        def run():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        self.assertGreater(self.timed(run), (900 - 16 - 3 * 128) / 600)
        self.assertLess(self.timed(self.whole, self.connect(self.proxy, source="127.0.0.2")), 8)

    def test_small_answers_count_too(self):
        self.start({"per_key": "200KiB", "burst": "1KiB"})

        def several():
            for _ in range(5):
                self.whole(self.connect(self.proxy), "/small", 20 * KIB)

        self.assertGreater(self.timed(several), (5 * 20 - 2 * 20) / 200)
        large = self.connect(self.proxy)
        large.send_request()
        large.read_exact(1000)  # from here on its pauses are long, and short in between
        several()
        self.wait_for(
            lambda: self.proxy.metric("lbd_policy_decisions_total", policy="p", decision="wait") > 0, "lbd_policy_decisions_total")

    def test_a_higher_rate_helps_whom_the_lower_one_held_back(self):
        self.start({"per_key": "1KiB", "burst": "1KiB"})
        slow = self.connect(self.proxy)
        slow.send_request("GET", "/small")
        slow.read_exact(1000)  # all of it is owed from here on: 19 seconds
        self.proxy.patch("/v1/policies/p", {"bandwidth": {"per_key": "100MiB"}})
        self.assertLess(self.timed(self.whole, self.connect(self.proxy)), 10)

    def test_leavers_and_shadow(self):
        client = self.start({"per_request": "1KiB", "burst": "1KiB"})
        client.send_request()
        client.read_exact(1000)
        client.abort()
        self.wait_for(lambda: self.proxy.metric("lbd_http_requests_in_flight", listener="web") == 0, "its end")
        self.proxy.patch("/v1/policies/p", {"mode": "shadow"})
        self.whole(self.connect(self.proxy))
        self.proxy.wait_metric(1, "lbd_policy_decisions_total", policy="p", decision="shadow")

    def test_what_makes_no_sense(self):
        self.start({"per_request": "1MiB"})
        answer = self.proxy.api("PUT", "/v1/policies/q", {"bandwidth": {"burst": "1MiB"}})
        self.assertEqual((answer.status, answer.pointers), (422, ["#/policies/q/bandwidth"]))


if __name__ == "__main__":
    unittest.main()
