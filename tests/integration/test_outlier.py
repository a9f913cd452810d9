"""Servers that pass their checks and do worse than the others all the same."""

import time
import unittest

from lab import TIMEOUT, LabCase, config_for, wait_for
from lab.load import Load
from lab.ports import free_port


class Outliers(LabCase):
    def serve(self, *origins, outlier, pool=None, **more):
        self.proxy = self.lbd(config_for(*origins, pool={
            "algorithm": "round_robin", "retries": 0, "outlier": outlier, **(pool or {})}), **more)
        self.client = self.connect(self.proxy)

    def answering(self, name, status=200):
        state = {"status": status, "delay": 0.0}

        def script(peer):
            while True:
                peer.rx()
                if state["delay"]:
                    peer.origin.stopping.wait(state["delay"])
                peer.tx(state["status"], name, {"Origin-Name": name})

        return self.origin(script, name=name), state

    def outlier(self, server):
        return self.proxy.server_status(server).get("outlier")

    def ask_until(self, condition, what):
        limit = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), limit, what)
            response = self.client.get("/")
            if (response.get("Connection") or "").lower() == "close":
                self.client = self.connect(self.proxy)

    def names(self, count=12):
        return {self.client.get("/").get("Origin-Name") for _ in range(count)}

    def test_failures_in_a_row(self):
        (one, bad), (two, _) = self.answering("one", 500), self.answering("two")
        self.serve(one, two, outlier={"consecutive_failures": 5, "ejection_time": "4s"})
        self.ask_until(lambda: self.outlier("a"), "a rests")
        found = self.outlier("a")
        self.assertEqual((found["reason"], found["mode"], found["times"]),
                         ("consecutive_failures", "enforce", 1))
        self.assertEqual(found["detail"], "5 failures in a row")
        status = self.proxy.server_status("a")
        self.assertEqual((status["health"], status["effective_weight"]), ("up", 0))
        bad["status"] = 200
        wait_for(lambda: self.outlier("a") is None, "a is back")
        self.ask_until(lambda: self.names() == {"one", "two"}, "both answer again")
        self.proxy.wait_metric(1, "lbd_pool_outlier_ejections_total", reason="consecutive_failures")
        events = [e for e in self.proxy.get("/v1/events?limit=4096")["events"]
                  if e["type"] == "server.outlier"]
        self.assertEqual([e["data"]["ejected"] for e in events], [True, False])
        self.proxy.wait_log("why=\"5 failures in a row\"")

    def test_while_it_rests_nobody_is_sent_there(self):
        (one, _), (two, _), (three, _) = (
            self.answering("one", 503), self.answering("two"), self.answering("three"))
        self.serve(one, two, three, outlier={"consecutive_failures": 3, "failures": "gateway"})
        self.ask_until(lambda: self.outlier("a"), "a rests")
        self.ask_until(lambda: self.names() == {"two", "three"}, "the others alone answer")
        answer = self.proxy.api("POST", "/v1/explain/route",
                                {"listener": "web", "host": "x.test", "path": "/"})
        reasons = {s["name"]: s["reason"] for s in answer.body["servers"]}
        self.assertEqual(reasons["a"], "ejected as an outlier")
        weights = {s["name"]: s["weight"] for s in answer.body["servers"]}
        self.assertEqual(weights["a"], 0, "what counts now, as in its status")
        status = self.proxy.get("/v1/pools/main/servers/a/status")
        ready = next(c for c in status["conditions"] if c["type"] == "Ready")
        self.assertEqual((ready["reason"], ready["message"]),
                         ("Ejected", "up, ready, ejected as an outlier: 3 failures in a row"))

    def test_answers_that_are_tried_again_count(self):
        (one, _), (two, _) = self.answering("one", 503), self.answering("two")
        self.serve(one, two, outlier={"consecutive_failures": 3},
                   pool={"retries": 1, "retry": {"on": ["503"]}})
        self.ask_until(lambda: self.outlier("a"), "a rests")

    def test_what_counts_as_a_failure(self):
        (one, _), (two, _) = self.answering("one", 500), self.answering("two", 404)
        self.serve(one, two, outlier={"consecutive_failures": 3, "failures": "gateway"})
        for _ in range(20):
            self.client.get("/")
        time.sleep(0.1)
        self.assertIsNone(self.outlier("a"))
        self.assertIsNone(self.outlier("b"))

    def test_servers_that_cannot_be_reached_or_break(self):
        (two, _) = self.answering("two")

        def breaks(peer):
            peer.rx()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            peer.reset()

        for broken in (f"127.0.0.1:{free_port()}", self.origin(lambda peer: peer.close()),
                       self.origin(breaks)):
            self.serve(broken, two, outlier={"consecutive_failures": 2})
            limit = time.monotonic() + TIMEOUT
            while self.outlier("a") is None and self.proxy.server_status("a")["health"] == "up":
                self.assertLess(time.monotonic(), limit, "never found")
                try:
                    self.connect(self.proxy).get("/")
                except Exception:
                    pass  # half an answer
            if not isinstance(broken, str):  # else its connects may have taken it out first
                self.assertEqual(self.outlier("a")["reason"], "consecutive_failures")

    def test_the_last_one_stays(self):
        (one, _), (two, _) = self.answering("one", 500), self.answering("two", 500)
        self.serve(one, two, outlier={"consecutive_failures": 2, "max_ejected": 100})
        self.ask_until(lambda: self.proxy.metric("lbd_pool_outlier_kept_total") > 0, "one is kept")
        out = [self.outlier("a"), self.outlier("b")]
        self.assertEqual(out.count(None), 1)
        self.assertEqual(self.client.get("/").status, 500)

    def test_one_that_rests_is_back_when_no_other_is_left(self):
        def check_down(server):
            server.health = 500
            self.proxy.wait_health("b", "down")

        def dies(server):
            server.kill()
            wait_for(lambda: self.client.get("/") and self.proxy.server_status("b")["health"] == "down",
                     "b is down")

        gone = {
            "down by its check": check_down,
            "dead": dies,
            "drained by hand": lambda _: self.proxy.admin("b", "drain"),
            "drained in the document": lambda _: self.proxy.patch(
                "/v1/pools/main/servers/b", {"admin_state": "maint"}),
            "removed": lambda _: self.proxy.delete("/v1/pools/main/servers/b"),
        }
        for how, act in gone.items():
            with self.subTest(how):
                (one, bad) = self.answering("one", 500)

                def healthy(peer):
                    while True:
                        is_check = peer.rx().target == "/health"
                        peer.tx(peer.origin.health if is_check else 200, "two", {"Origin-Name": "two"})

                two = self.origin(healthy, name="two")
                two.health = 200
                document = config_for(one, two, pool={
                    "algorithm": "round_robin", "retries": 0,
                    "outlier": {"consecutive_failures": 2, "ejection_time": "1h", "max_ejection_time": "1h"}})
                if how.startswith("down"):
                    document["pools"]["main"]["health_check"] = "h"
                    document["health_checks"] = {"h": {
                        "path": "/health", "interval": "100ms", "timeout": "100ms", "fall": 1,
                        "expect": {"status": [200, 500]}}}
                self.proxy = self.lbd(document)
                self.client = self.connect(self.proxy)
                if how.startswith("down"):
                    for server in "ab":
                        self.proxy.wait_health(server, "up")
                self.ask_until(lambda: self.outlier("a"), "a rests")
                self.ask_until(lambda: self.names() == {"two"}, "the other alone answers")
                bad["status"] = 200
                if how.startswith("down"):
                    self.proxy.patch("/v1/health-checks/h", {"expect": {"status": [200]}})
                act(two)
                self.ask_until(lambda: self.names() == {"one"}, "a answers again")
                self.assertIsNone(self.outlier("a"))
                self.assertIn("server=a mode=enforce ejected=no reason=consecutive_failures "
                              'why="no other server is usable"', self.proxy.log_text())

    def test_shadow(self):
        (one, _), (two, _) = self.answering("one", 500), self.answering("two")
        self.serve(one, two, outlier={"consecutive_failures": 2, "mode": "shadow"})
        self.ask_until(lambda: self.outlier("a"), "a would rest")
        self.assertEqual(self.outlier("a")["mode"], "shadow")
        self.assertEqual(self.names(), {"one", "two"})
        self.proxy.wait_metric(1, "lbd_pool_outlier_shadow_ejections_total")
        self.proxy.wait_metric(0, "lbd_pool_outlier_ejections_total")
        self.proxy.patch("/v1/pools/main", {"outlier": {"mode": "enforce"}})
        self.assertIsNone(self.outlier("a"))
        self.ask_until(lambda: self.outlier("a"), "a rests")
        self.ask_until(lambda: self.names() == {"two"}, "the other alone answers")
        self.proxy.patch("/v1/pools/main", {"outlier": None})
        self.ask_until(lambda: self.names() == {"one", "two"}, "both answer")

    def compared(self, outlier):
        origins = [self.answering(name) for name in ("one", "two", "three", "four")]
        self.serve(*(origin for origin, _ in origins), pool={"algorithm": "random"}, outlier={
            "consecutive_failures": 0, "interval": "2s", "min_requests": 5, **outlier})
        return [state for _, state in origins]

    def test_success_rate_over_all_workers(self):
        states = self.compared({})  # one of four, by the default
        with Load(self.proxy.address(), clients=6, statuses=(200, 500)):
            states[1]["status"] = 500
            wait_for(lambda: self.outlier("b"), "b rests")
        self.assertEqual(self.outlier("b")["reason"], "success_rate")
        self.assertIn("of its answers are good", self.outlier("b")["detail"])
        self.assertEqual([self.outlier(s) for s in "acd"], [None] * 3)

    def test_latency(self):
        states = self.compared({"success_rate": 0, "latency": 400, "interval": "4s"})
        for state in states:
            state["delay"] = 0.005
        with Load(self.proxy.address(), clients=8):
            states[2]["delay"] = 2  # much more than what a busy machine adds to all of them
            wait_for(lambda: self.outlier("c"), "c rests")
        self.assertEqual(self.outlier("c")["reason"], "latency")
        self.assertIn("the median of the pool is", self.outlier("c")["detail"])

    def test_tcp(self):
        def echo(peer):
            peer.send(peer.sock.recv(100))

        good = self.origin(echo)
        self.proxy = self.lbd(config_for(
            f"127.0.0.1:{free_port()}", good, listener={"protocol": "tcp"},
            pool={"outlier": {"consecutive_failures": 2}, "retries": 1}))

        def ask():
            client = self.connect(self.proxy)
            client.send("x")
            self.assertEqual(client.read_exact(1), b"x")
            return self.outlier("a")

        wait_for(ask, "a rests")


if __name__ == "__main__":
    unittest.main()
