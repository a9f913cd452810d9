"""When a request is tried again, and when it must not be.

Any request when the connection could not be made; GET, HEAD and OPTIONS without a body when a
connection ended before the first byte of an answer; never once a byte of an answer came, never a
POST that may have been acted upon; and all of it within a budget.
"""

import threading
import time
import unittest

from lab import Closed, LabCase, config_for, wire
from lab.ports import free_port


def dies(peer):
    """Takes the request and leaves without a word."""
    peer.rx()
    peer.close()


def dies_by_reset(peer):
    peer.rx()
    peer.reset()


class Retry(LabCase):
    def serve(self, *origins, workers=1, **pool):
        pool.setdefault("algorithm", "round_robin")
        self.proxy = self.lbd(config_for(*origins, pool=pool), daemon={"workers": workers})
        return self.connect(self.proxy)

    def refused(self):
        return f"127.0.0.1:{free_port()}"

    def test_connect_failure_any_method(self):
        good = self.origin(name="good")
        client = self.serve(self.refused(), good)
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            for _ in range(2):
                with self.subTest(method):
                    body = b"hello" if method in ("POST", "PUT", "PATCH") else None
                    response = client.request(method, "/", body=body)
                    self.assertEqual(response.status, 200, response)
        self.assertEqual(
            {len(m.body) for m in good.requests if m.method == "POST"}, {5}
        )
        self.wait_for(lambda: self.proxy.metric("lbd_pool_retries_total", pool="main") >= 1, "lbd_pool_retries_total")

    def test_connect_failure_with_chunked_body(self):
        good = self.origin(name="good")
        client = self.serve(self.refused(), good)
        for _ in range(2):
            client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "5\r\nhello\r\n0\r\n\r\n")
            self.assertEqual(client.read_response().text, "good POST / 5\n")

    def test_connect_failure_while_a_large_body_still_comes(self):
        good = self.origin(name="good")
        client = self.serve(self.refused(), good)
        for _ in range(2):
            response = client.request("POST", "/", body=b"b" * 3000000)
            self.assertEqual(response.text, "good POST / 3000000\n")
            self.assertEqual(good.requests[-1].body, b"b" * 3000000)

    def test_no_server_left_to_try(self):
        client = self.serve(self.refused(), self.refused())
        self.assert_reason(client.get("/"), 502, "connect_refused")
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual(line["tries"], 2)

    def test_retries_zero(self):
        good = self.origin(name="good")
        client = self.serve(self.refused(), good, retries=0)
        statuses = sorted(client.get("/").status for _ in range(2))
        self.assertEqual(statuses, [200, 502])

    def test_fresh_connection_dies_before_the_answer(self):
        for script in (dies, dies_by_reset):
            for method in ("GET", "HEAD", "OPTIONS"):
                with self.subTest(method, script=script.__name__):
                    bad = self.origin(script, name="bad")
                    good = self.origin(name="good")
                    client = self.serve(bad, good)
                    for _ in range(2):
                        self.assertEqual(client.request(method, "/").status, 200)
                    self.assertEqual(good.request_count, 2)

    def test_post_is_never_sent_twice(self):
        for script in (dies, dies_by_reset):
            with self.subTest(script.__name__):
                bad = self.origin(script, name="bad")
                good = self.origin(name="good")
                client = self.serve(bad, good)
                statuses = []
                for _ in range(2):
                    statuses.append(client.request("POST", "/", body=b"pay").status)
                self.assertEqual(sorted(statuses), [200, 502])
                self.assertEqual(bad.request_count + good.request_count, 2)

    def test_post_answer_says_server_reset(self):
        client = self.serve(self.origin(dies))
        self.assert_reason(client.request("POST", "/", body=b"x"), 502, "server_reset")

    def test_get_with_a_body_is_not_retried(self):
        bad, good = self.origin(dies), self.origin(name="good")
        client = self.serve(bad, good)
        statuses = sorted(client.request("GET", "/", body=b"x").status for _ in range(2))
        self.assertEqual(statuses, [200, 502])
        self.assertEqual(bad.request_count + good.request_count, 2)

    def test_not_retried_once_a_byte_of_the_answer_came(self):
        def half(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nConte")
            peer.close()

        bad, good = self.origin(half), self.origin(name="good")
        client = self.serve(bad, good)
        statuses = sorted(client.get("/").status for _ in range(2))
        self.assertEqual(statuses, [200, 502])
        self.assertEqual(bad.request_count, 1)

    def test_stale_idle_connection_is_replaced(self):
        """The keep-alive race: the server closes just as the request comes (HTTP.md 3, 16)."""
        def script(peer):
            peer.rx()
            peer.tx(200, f"on {peer.number}")
            if peer.number == 1:
                peer.rx()  # takes the second request and dies without a word
                peer.close()
                return
            while True:
                peer.rx()
                peer.tx(200, f"on {peer.number}")

        server = self.origin(script)
        client = self.serve(server)
        self.assertEqual(client.get("/1").text, "on 1")
        self.assertEqual(client.get("/2").text, "on 2")

    def test_post_on_a_stale_idle_connection_is_not_repeated(self):
        def script(peer):
            peer.rx()
            peer.tx(200, "ok")
            try:
                peer.rx()
            except Closed:
                return
            peer.close()

        server = self.origin(script)
        client = self.serve(server)
        self.assertEqual(client.get("/1").status, 200)
        self.assert_reason(client.request("POST", "/2", body=b"pay"), 502, "server_reset")
        self.assertEqual([m.target for m in server.requests], ["/1", "/2"])

    def test_closed_idle_connection_is_noticed_before_use(self):
        """A server that closes idle connections at once never costs a request, POST or not."""
        def script(peer):
            peer.rx()
            peer.tx(200, "ok")
            peer.close()

        server = self.origin(script)
        client = self.serve(server)
        for index in range(10):
            self.assertEqual(client.get(f"/{index}").status, 200)
            self.wait_for(lambda: server.open_connections() == 0, "closed")
            self.wait_for(
                lambda: self.proxy.metric("lbd_pool_idle_connections", pool="main") == 0,
                "lbd saw the close",
            )
            self.assertEqual(client.request("POST", f"/{index}", body=b"x").status, 200)
            self.wait_for(
                lambda: self.proxy.metric("lbd_pool_idle_connections", pool="main") == 0,
                "lbd saw the close",
            )

    def test_retry_avoids_the_server_that_failed(self):
        bad = self.origin(dies, name="bad")
        good = self.origin(name="good")
        client = self.serve(bad, good, retries=3)
        for _ in range(6):
            self.assertEqual(client.get("/").get("Origin-Name"), "good")
        # never twice for one request
        self.assertLessEqual(bad.request_count, 6)
        for line in self.proxy.wait_access_log(6):
            self.assertLessEqual(line["tries"], 2)
            self.assertEqual(line["server"], "b")

    def test_same_server_again_when_there_is_no_other(self):
        count = []

        def script(peer):
            peer.rx()
            count.append(peer.number)
            if len(count) == 1:
                peer.close()
                return
            peer.tx(200, "second try")

        client = self.serve(self.origin(script))
        self.assertEqual(client.get("/").text, "second try")

    def test_budget_bounds_the_retries(self):
        """A pool that is all broken is not asked twice for everything."""
        bad = self.origin(dies, name="bad")
        self.serve(bad)
        total = 600
        failures = []

        def run():
            client = self.connect(self.proxy)
            for _ in range(total // 6):
                response = client.get("/")
                failures.append(response.status)
                if response.get("Connection") == "close":
                    client = self.connect(self.proxy)

        threads = [threading.Thread(target=run) for _ in range(6)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        took_s = time.monotonic() - began
        self.assertEqual(failures, [502] * total)
        retried = bad.request_count - total
        # 20 % of the requests, a full bucket of 10 s at 10/s, and 10/s while the test ran
        self.assertLess(retried, total * 0.2 + 100 + 10 * took_s + 1)
        self.proxy.wait_metric(retried, "lbd_pool_retries_total", pool="main")

    def test_tries_stand_in_the_access_log(self):
        bad, good = self.origin(dies), self.origin(name="good")
        client = self.serve(bad, good)
        client.get("/1")
        client.get("/2")
        lines = self.proxy.wait_access_log(2)
        self.assertIn(max(line["tries"] for line in lines), (2,))
        self.assertEqual(sum(line["tries"] for line in lines), bad.request_count + good.request_count)
        self.assertEqual({line["status"] for line in lines}, {200})

    def test_wire_reader_sees_a_cut(self):
        """The lab's own reader must not take a cut answer for a whole one."""
        def script(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")

        server = self.origin(script)
        client = self.connect(("127.0.0.1", server.port))
        with self.assertRaises(wire.Closed):
            client.get("/")


if __name__ == "__main__":
    unittest.main()
