"""Large scrapes: what is left out is said, who reads slowly costs little, many at once get all of it."""

import os
import threading
import unittest

from lab import Client, LabCase, config_for
from lab import metrics as prometheus

POOLS = 20
EACH = 100
SERVERS = POOLS * EACH


def many_servers(address, **metrics):
    document = config_for(address)
    for number in range(POOLS):
        document["pools"][f"p{number:02}"] = {
            "servers": {f"s{i:03}": {"address": address} for i in range(EACH)}
        }
    document["observability"] = {"metrics": metrics}
    return document


class Budget(LabCase):
    def condition(self, proxy):
        conditions = {c["type"]: c for c in proxy.get("/v1/status")["conditions"]}
        return conditions["MetricsComplete"]

    def test_too_many_series_are_left_out_whole_and_that_is_said(self):
        proxy = self.lbd(many_servers(self.origin().address, max_series=SERVERS * 6))
        values = proxy.metrics()
        self.assertEqual(prometheus.total(values, "lbd_metrics_scope_omitted", scope="server"), 1)
        self.assertNotIn("lbd_server_up", values.types)
        self.assertEqual(prometheus.total(values, "lbd_pool_servers", state="up"), SERVERS + 1)
        condition = self.condition(proxy)
        self.assertEqual((condition["status"], condition["reason"]), (False, "ServersOmitted"))
        self.assertIn("#/observability/metrics/max_series",
                      [p["pointer"] for p in proxy.get("/v1/status")["problems"]])
        again = self.condition(proxy)
        self.assertEqual(again, condition)  # asked twice, since the same moment

        # one pool fits
        part = prometheus.parse(proxy.api("GET", "/metrics?pool=p07&scope=server").raw.decode())
        self.assertEqual(len(prometheus.select(part, "lbd_server_up", pool="p07")), EACH)
        self.assertEqual(prometheus.total(part, "lbd_metrics_scope_omitted"), 0)

        before = proxy.api("GET", "/v1/config").etag
        proxy.patch("/v1/config", {"observability": {"metrics": {"max_series": None}}})
        self.assertNotEqual(proxy.api("GET", "/v1/config").etag, before)
        values = proxy.metrics()
        self.assertEqual(len(prometheus.select(values, "lbd_server_up")), SERVERS + 1)
        self.assertTrue(self.condition(proxy)["status"])
        self.assertGreater(self.condition(proxy)["since"], condition["since"])

    def test_none_is_no_omission(self):
        proxy = self.lbd(many_servers(self.origin().address, server_scope="none", max_series=1))
        proxy.wait_metric(0, "lbd_metrics_scope_omitted")
        self.assertTrue(self.condition(proxy)["status"])

    def test_settings_are_checked(self):
        proxy = self.lbd(config_for(self.origin()))
        for bad, pointer in (
            ({"server_scope": "all"}, "#/observability/metrics/server_scope"),
            ({"max_series": -1}, "#/observability/metrics/max_series"),
            ({"series": 1}, "#/observability/metrics/series"),
        ):
            answer = proxy.api("PATCH", "/v1/config", {"observability": {"metrics": bad}})
            self.assertEqual(answer.status, 422, answer)
            self.assertEqual(answer.pointers, [pointer])


class Readers(LabCase):
    def setUp(self):
        super().setUp()
        self.proxy = self.lbd(many_servers(self.origin().address))
        self.size = len(self.proxy.metrics_text())
        self.assertGreater(self.size, 500_000)

    def test_slow_ones_cost_little_and_hold_up_nobody(self):
        self.proxy.metrics_text()
        before = self.proxy.resident_kb()
        slow = []
        for _ in range(50):
            client = self.connect(self.proxy.api_socket, receive_buffer=4096)
            client.send_request("GET", "/metrics", {"Connection": "close"}, host="x")
            slow.append(client)
        for _ in range(5):
            self.assertEqual(len(prometheus.select(self.proxy.metrics(), "lbd_server_up")),
                             SERVERS + 1)
            self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        if not os.environ.get("LBD_SANITIZE"):  # sanitizers keep what was freed
            grown = self.proxy.resident_kb() - before
            self.assertLess(grown, 50 * self.size // 1024 // 4, "not a quarter of 50 answers")
        # what is removed meanwhile is in their answers to the end, and a change is not held up
        self.proxy.delete("/v1/pools/p19")
        answer = slow[0].read_response()
        values = prometheus.parse(answer.text)
        sets = [frozenset(prometheus.select(values, name))
                for name in ("lbd_server_up", "lbd_server_requests_total", "lbd_server_weight")]
        self.assertEqual(sets[0], sets[1])
        self.assertEqual(sets[0], sets[2])
        self.assertGreaterEqual(len(sets[0]), SERVERS + 1 - EACH)
        for client in slow[1:]:
            client.close()
        self.assertEqual(len(prometheus.select(self.proxy.metrics(), "lbd_server_up")),
                         SERVERS + 1 - EACH)

    def test_one_that_leaves_does_no_harm(self):
        for _ in range(20):
            client = self.connect(self.proxy.api_socket, receive_buffer=4096)
            client.send_request("GET", "/metrics", host="x")
            client.close()
        self.assertEqual(self.proxy.metrics_text().count("lbd_server_up{"), SERVERS + 1)

    def test_64_at_once_get_all_of_it(self):
        texts = []
        problems = []

        def scrape():
            try:
                with Client(self.proxy.api_socket, timeout=60) as client:
                    client.send_request("GET", "/metrics", {"Connection": "close"}, host="x")
                    texts.append(client.read_response().text)
            except Exception as problem:  # shown by the test
                problems.append(problem)

        threads = [threading.Thread(target=scrape) for _ in range(64)]
        for thread in threads:
            thread.start()
        self.assertEqual(self.proxy.api("GET", "/v1/version").status, 200)  # others are answered meanwhile
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        self.assertEqual(len(texts), 64)
        for text in texts:
            self.assertEqual(text.count("\nlbd_server_up{"), SERVERS + 1)
            self.assertTrue(text.rstrip("\n").rsplit("\n", 1)[-1].startswith("lbd_metrics_scrape"))

    def test_an_answer_that_lbd_ends_does_not_look_whole(self):
        client = self.connect(self.proxy.api_socket, receive_buffer=4096)
        client.send_request("GET", "/metrics", host="x")
        client.read_exact(1)
        self.proxy.stop()
        text = client.read_rest()
        self.assertFalse(text.endswith(b"0\r\n\r\n"))

    def test_stats(self):
        stats = self.proxy.get("/v1/stats")
        self.assertEqual(len(stats["servers"]), SERVERS + 1)
        self.assertEqual(stats["servers"]["p00/s000"]["health"], "up")
        self.assertEqual(stats["pools"]["p00"]["usable"], EACH)
        part = self.proxy.get("/v1/stats?scope=process,listeners")
        self.assertEqual(set(part), {"time", "revision", "bounds_ms", "process", "listeners"})


class Stats(LabCase):
    def test_numbers_are_those_of_the_metrics(self):
        proxy = self.lbd(config_for(self.origin()))
        client = self.connect(proxy)
        for _ in range(30):
            client.get("/")
        for name in ("lbd_http_request_duration_seconds_count", "lbd_pool_response_duration_seconds_count",
                     "lbd_http_requests_total", "lbd_server_requests_total"):
            proxy.wait_metric(30, name)
        stats = proxy.get("/v1/stats")
        for numbers in (stats["process"], stats["listeners"]["web"]):
            self.assertEqual(numbers["requests"], 30)
            self.assertEqual(numbers["responses"]["2xx"], 30)
            self.assertEqual(numbers["connections"], 1)
            self.assertEqual(numbers["request_duration"]["count"], 30)
        self.assertEqual(stats["pools"]["main"]["requests"], 30)
        self.assertEqual(stats["servers"]["main/a"]["responses"]["2xx"], 30)
        self.assertEqual(stats["servers"]["main/a"]["errors"], 0)
        duration = stats["pools"]["main"]["response_duration"]
        self.assertEqual(sum(duration["buckets"]), duration["count"])
        self.assertEqual(len(duration["buckets"]), len(stats["bounds_ms"]) + 1)
        self.assertLessEqual(duration["p50_ms"], duration["p95_ms"])
        self.assertLessEqual(duration["p95_ms"], duration["p99_ms"])
        self.assertGreater(duration["p50_ms"], 0)
        self.assertAlmostEqual(
            duration["sum_ms"] / 1000, proxy.metric("lbd_pool_response_duration_seconds_sum"), 6)


if __name__ == "__main__":
    unittest.main()
