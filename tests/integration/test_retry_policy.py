"""pools.retry: what makes another try, which requests may have one, and how many there are in all."""

import socket
import threading
import time
import unittest

from lab import LabCase, config_for
from lab.ports import free_port


def answers(status, body=b"no"):
    """A server that says `status` to everything."""
    def script(peer):
        while True:
            peer.rx()
            peer.tx(status, body)
    return script


def stalls(peer):
    peer.rx()
    peer.stall()


class RetryPolicy(LabCase):
    def serve(self, *origins, workers=1, retry=None, **pool):
        pool.setdefault("algorithm", "round_robin")
        if retry is not None:
            pool["retry"] = retry
        self.proxy = self.lbd(config_for(*origins, pool=pool), daemon={"workers": workers})
        return self.connect(self.proxy)

    def retries(self):
        return self.proxy.metric("lbd_pool_retries_total", pool="main")

    def test_a_status_is_tried_on_another_server(self):
        bad = self.origin(answers(503), name="bad")
        good = self.origin(name="good")
        client = self.serve(bad, good, retry={"on": ["503"]})
        for _ in range(4):
            response = client.get("/")
            self.assertEqual((response.status, response.get("Origin-Name")), (200, "good"))
        self.proxy.wait_metric(bad.request_count, "lbd_pool_retries_total", pool="main")
        self.assertGreater(bad.request_count, 0)
        # an answer that came whole leaves its connection for others
        self.assertEqual(bad.connection_count, 1)

    def test_a_whole_class(self):
        bad, good = self.origin(answers(599)), self.origin(name="good")
        client = self.serve(bad, good, retry={"on": ["5xx"]})
        self.assertEqual({client.get("/").status for _ in range(4)}, {200})

    def test_other_statuses_stand(self):
        bad, good = self.origin(answers(502)), self.origin()
        client = self.serve(bad, good, retry={"on": ["503", "504"]})
        self.assertEqual(sorted(client.get("/").status for _ in range(2)), [200, 502])
        self.assertEqual(self.retries(), 0)

    def test_the_last_answer_goes_to_the_client_as_it_is(self):
        client = self.serve(self.origin(answers(503, b"busy")), self.origin(answers(503, b"busy")),
                            retry={"on": ["503"]}, retries=1)
        response = client.get("/")
        self.assertEqual((response.status, response.text), (503, "busy"))
        self.assertIsNone(response.get("Lbd-Reason"))
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual((line["tries"], line["reason"]), (2, "ok"))

    def test_an_answer_with_more_to_come_is_dropped(self):
        """What the first server still sends must not reach the client behind the second's answer."""
        def half(peer):
            peer.rx()
            peer.send("HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\nhalf")
            peer.wait_closed()

        good = self.origin(name="good")
        client = self.serve(self.origin(half), good, retry={"on": ["503"]})
        for _ in range(4):
            response = client.get("/")
            self.assertEqual((response.status, response.text), (200, "good GET / 0\n"))

    def test_post_only_when_asked(self):
        for asked, statuses in ((False, [200, 503]), (True, [200, 200])):
            with self.subTest(asked):
                bad, good = self.origin(answers(503)), self.origin()
                client = self.serve(bad, good, retry={"on": ["503"], "non_idempotent": asked})
                got = sorted(client.request("POST", "/", body=b"").status for _ in range(2))
                self.assertEqual(got, statuses)

    def test_a_body_that_is_gone_is_not_sent_again(self):
        bad, good = self.origin(answers(503)), self.origin()
        client = self.serve(bad, good, retry={"on": ["503"], "non_idempotent": True})
        got = sorted(client.request("POST", "/", body=b"pay").status for _ in range(2))
        self.assertEqual(got, [200, 503])
        self.assertEqual(bad.request_count + good.request_count, 2)

    def test_connect_alone(self):
        """`on` is the whole list: what is not named is not tried again."""
        def dies(peer):
            peer.rx()
            peer.close()

        good = self.origin()
        client = self.serve(self.origin(dies), good, retry={"on": ["connect"]})
        self.assertEqual(sorted(client.get("/").status for _ in range(2)), [200, 502])
        client = self.serve(f"127.0.0.1:{free_port()}", good, retry={"on": ["reset"]})
        self.assertEqual(sorted(client.get("/").status for _ in range(2)), [200, 502])

    def test_per_try_timeout(self):
        slow, good = self.origin(stalls, name="slow"), self.origin(name="good")
        client = self.serve(slow, good, retry={"on": ["timeout"], "per_try_timeout": "2s"})
        for _ in range(2):
            self.assertEqual(client.get("/").get("Origin-Name"), "good")
        self.assertGreater(slow.request_count, 0)
        self.proxy.wait_metric(slow.request_count, "lbd_pool_retries_total", pool="main")

    def test_per_try_timeout_while_it_connects(self):
        """Nothing was sent: any method, whether `connect` or `timeout` is what it is for."""
        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # whoever comes now is not answered
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        address = "127.0.0.1:%d" % full.getsockname()[1]
        for kind in ("timeout", "connect"):
            with self.subTest(kind):
                client = self.serve(address, self.origin(), retry={"on": [kind], "per_try_timeout": "1s"}, retries=1)
                self.assertEqual({client.request("POST", "/", body=b"x").status for _ in range(2)}, {200})
                self.assertGreaterEqual(self.retries(), 1)

    def test_a_budget_that_is_used_up_is_counted(self):
        client = self.serve(self.origin(answers(503)), retry={"on": ["503"], "budget_percent": 0, "budget_min": 0},
                            retries=1)
        self.assertEqual(client.get("/").status, 503)
        self.assertEqual(client.request("POST", "/", body=b"x").status, 503)  # which never may
        self.proxy.wait_metric(1, "lbd_pool_limited_total", pool="main", reason="retry_budget")
        self.assertEqual(self.retries(), 0)

    def test_per_try_timeout_without_another_try(self):
        client = self.serve(self.origin(stalls), retry={"on": ["timeout"], "per_try_timeout": "100ms"})
        self.assert_reason(client.request("POST", "/", body=b"x"), 504, "try_timeout")

    def test_the_time_for_a_try_does_not_run_while_the_client_sends(self):
        good = self.origin(name="good")
        client = self.serve(good, retry={"on": ["timeout"], "per_try_timeout": "3s"})
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        good.wait_requests(1)
        for byte in "slow":
            time.sleep(0.9)
            client.send(byte)
        self.assertEqual(client.read_response().text, "good POST / 4\n")

    def test_a_response_timeout_is_one(self):
        slow, good = self.origin(stalls), self.origin(name="good")
        client = self.serve(slow, good, retry={"on": ["timeout"]}, timeouts={"response": "2s"})
        for _ in range(2):
            self.assertEqual(client.get("/").get("Origin-Name"), "good")
        self.assertGreater(slow.request_count, 0)
        self.proxy.wait_metric(slow.request_count, "lbd_pool_retries_total", pool="main")

    def test_a_client_that_goes_while_its_try_rests(self):
        """A minute of rest at most; the client does not wait for it."""
        def dies(peer):
            peer.rx()
            peer.close()

        server = self.origin(dies)
        client = self.serve(server, retries=10, retry={"backoff": "1m"})
        client.send_request()
        server.wait_requests(1)
        client.close()
        (line,) = self.proxy.wait_access_log(1)
        self.assertEqual(line["reason"], "client_abort")

    def storm(self, total, **pool):
        """A pool that says no to everything; returns how often its servers were asked."""
        servers = [self.origin(answers(503), name=name) for name in "abc"]
        for server in servers:
            server.keep = False
        self.serve(*servers, workers=2, retries=5, **pool)
        statuses = []

        def run():
            client = self.connect(self.proxy)
            for _ in range(total // 6):
                statuses.append(client.get("/").status)

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        self.assertEqual(statuses, [503] * total)
        asked = sum(server.request_count for server in servers)
        self.assertEqual(asked, total + self.retries())
        return asked

    def test_a_dead_pool_sees_at_most_a_fifth_more_than_its_load(self):
        asked = self.storm(1200, retry={"on": ["503"], "budget_min": 0})
        self.assertLessEqual(asked, 1.2 * 1200)
        self.assertGreater(asked, 1.1 * 1200, "retries do happen")

    def test_a_budget_of_one_in_a_hundred(self):
        asked = self.storm(600, retry={"on": ["503"], "budget_min": 0, "budget_percent": 1})
        self.assertLessEqual(asked, 606)

    def test_what_the_settings_refuse(self):
        proxy = self.lbd(config_for(self.origin()))
        for on in ("always", "399", "600", "4xx", "05"):
            with self.subTest(on):
                change = {"pools": {"main": {"retry": {"on": ["reset", on]}}}}
                answer = proxy.api("PATCH", "/v1/config", change)
                self.assertEqual(answer.status, 422, answer)
                self.assertEqual(answer.pointers, ["#/pools/main/retry/on/1"], answer)


if __name__ == "__main__":
    unittest.main()
