"""Which servers get traffic: checks, thresholds, names, and what happens when all are down."""

import threading
import time
import unittest

from lab import TIMEOUT, LabCase, config_for, wait_for
from lab.dns import NameServer
from lab.origin import Origin
from lab.ports import free_port

FAST = {"interval": "100ms", "timeout": "20s", "rise": 2, "fall": 2}


class Checked(Origin):
    """An origin whose /hc can be told to fail; counts the probes apart from the requests."""

    def __init__(self, name="checked", **more):
        self.status = 200
        self.probes = []
        self.failures = 0  # so many more probes fail
        self.probe_delay = 0.0
        self.may_answer = threading.Event()  # probes
        self.may_answer.set()
        self.traffic = 0
        super().__init__(Checked.answer, name=name, **more)
        self.script = self.answer

    def answer(self, peer):
        while True:
            request = peer.rx()
            if request.target.startswith("/hc"):
                self.probes.append(request.message)
                if self.probe_delay:
                    self.stopping.wait(self.probe_delay)
                self.may_answer.wait(60)
                failed = self.failures > 0
                self.failures -= failed
                peer.tx(500 if failed else self.status, "hc")
            else:
                self.traffic += 1
                peer.tx(200, self.name, {"Origin-Name": self.name})


class HealthCase(LabCase):
    def checked(self, name="checked"):
        origin = Checked(name)
        self.addCleanup(self._end_origin, origin)
        return origin

    def serve(self, *origins, check=None, pool=None, **more):
        document = config_for(
            *origins, pool={"health_check": "hc", "algorithm": "round_robin", **(pool or {})},
            health_checks={"hc": {"type": "http", "path": "/hc", **FAST, **(check or {})}},
        )
        self.proxy = self.lbd(document, **more)
        return self.connect(self.proxy)

    def wait_names(self, client, *names):
        """That a server is in may take a moment (the turns are remade); who is out never answers."""
        def asked():
            found = {client.get("/").get("Origin-Name") for _ in range(8)}
            self.assertLessEqual(found, set(names))
            return found == set(names)
        wait_for(asked, f"{names} answer")


class Active(HealthCase):
    def test_up_after_the_first_probe(self):
        origin = self.checked()
        self.serve(origin)
        self.proxy.wait_health("a", "up")
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        self.proxy.wait_metric(1, "lbd_server_up", pool="main", server="a")

    def test_probe_is_a_proper_request(self):
        origin = self.checked()
        self.serve(origin, check={
            "path": "/hc?deep=1", "host": "health.example", "headers": {"X-Probe": "yes"},
        })
        self.proxy.wait_health("a", "up")
        probe = origin.probes[0]
        self.assertEqual((probe.method, probe.target), ("GET", "/hc?deep=1"))
        self.assertEqual(probe.get("Host"), "health.example")
        self.assertEqual(probe.get("X-Probe"), "yes")

    def test_starting_server_gets_no_traffic(self):
        slow, good = self.checked("slow"), self.checked("good")
        slow.may_answer.clear()
        client = self.serve(slow, good)
        self.proxy.wait_health("b", "up")
        self.assertEqual(self.proxy.server_status("a")["health"], "starting")
        for _ in range(4):
            self.assertEqual(client.get("/").get("Origin-Name"), "good")
        slow.may_answer.set()
        self.proxy.wait_health("a", "up")
        self.wait_names(client, "slow", "good")

    def test_first_failure_means_down(self):
        bad = self.checked()
        bad.status = 500
        self.serve(bad, check={"fall": 5})
        self.proxy.wait_health("a", "down")

    def test_falls_and_rises(self):
        one, two = self.checked("one"), self.checked("two")
        client = self.serve(one, two)
        self.proxy.wait_health("a", "up")
        self.proxy.wait_health("b", "up")
        one.status = 503
        self.proxy.wait_health("a", "down")
        for _ in range(6):
            self.assertEqual(client.get("/").get("Origin-Name"), "two")
        one.status = 200
        self.proxy.wait_health("a", "up")
        self.wait_names(client, "one", "two")
        self.assertGreaterEqual(
            self.proxy.metric("lbd_server_health_transitions_total", server="a"), 2
        )

    def test_one_failure_is_not_enough(self):
        origin = self.checked()
        self.serve(origin, check={"fall": 3})
        self.proxy.wait_health("a", "up")
        transitions = self.proxy.metric("lbd_server_health_transitions_total", server="a")
        for _ in range(3):
            origin.failures = 1
            wait_for(lambda: origin.failures == 0, "a failed probe")
            count = len(origin.probes)
            wait_for(lambda: len(origin.probes) > count + 1, "good probes")
        self.assertEqual(self.proxy.server_status("a")["health"], "up")
        self.proxy.wait_metric(transitions, "lbd_server_health_transitions_total", server="a")

    def test_expected_statuses(self):
        for expect, status, health in [
            (["2xx"], 204, "up"), (["2xx"], 302, "down"), (["2xx", "3xx"], 302, "up"),
            ([401], 401, "up"), ([401], 200, "down"), ([401, "2xx"], 200, "up"),
        ]:
            with self.subTest(expect=expect, status=status):
                origin = self.checked()
                origin.status = status
                self.serve(origin, check={"expect": {"status": expect}})
                self.proxy.wait_health("a", health)

    def test_head_probe(self):
        def script(peer):
            request = peer.rx().expect(method="HEAD", target="/hc")
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            del request
            peer.wait_closed()

        self.serve(self.origin(script), check={"method": "HEAD"})
        self.proxy.wait_health("a", "up")

    def test_probe_timeout_is_a_failure(self):
        origin = self.checked()
        origin.probe_delay = 30
        self.serve(origin, check={"timeout": "200ms"})
        self.proxy.wait_health("a", "down")

    def test_garbage_is_a_failure(self):
        def script(peer):
            peer.rx()
            peer.send("SSH-2.0-OpenSSH\r\n")
            peer.wait_closed()

        self.serve(self.origin(script))
        self.proxy.wait_health("a", "down")

    def test_tcp_check(self):
        origin = self.origin(lambda peer: peer.wait_closed())
        self.proxy = self.lbd(config_for(
            origin, f"127.0.0.1:{free_port()}", pool={"health_check": "t"},
            health_checks={"t": {"type": "tcp", **FAST}},
        ))
        self.proxy.wait_health("a", "up")
        self.proxy.wait_health("b", "down")

    def test_probes_are_counted(self):
        good, bad = self.checked("good"), self.checked("bad")
        bad.status = 500
        self.serve(good, bad)
        for word in ("a", "b"):
            wait_for(lambda: len(good.probes) > 2 and len(bad.probes) > 2, f"probes {word}")
        values = {
            dict(labels)["result"]
            for (name, labels), v in self.proxy.metrics().items()
            if name == "lbd_health_checks_total" and v > 0
        }
        self.assertEqual(len(values), 2, values)

    def test_probe_traffic_is_no_request(self):
        origin = self.checked()
        self.serve(origin)
        wait_for(lambda: len(origin.probes) > 3, "probes")
        self.proxy.wait_metric(0, "lbd_http_requests_total")
        self.proxy.wait_metric(0, "lbd_server_requests_total")
        self.assertEqual(self.proxy.access_log(), [])


class AllDown(HealthCase):
    def test_fail_closed_is_the_default(self):
        bad = self.checked()
        bad.status = 500
        client = self.serve(bad)
        self.proxy.wait_health("a", "down")
        self.assert_reason(client.get("/"), 503, "no_server")
        self.assertEqual(bad.traffic, 0)
        self.wait_for(
            lambda: self.proxy.metric("lbd_pool_no_server_total", pool="main") >= 1, "lbd_pool_no_server_total")

    def test_fail_open_asks_them_all_the_same(self):
        one, two = self.checked("one"), self.checked("two")
        one.status = two.status = 500
        client = self.serve(one, two, pool={"when_all_down": "fail_open"})
        self.proxy.wait_health("a", "down")
        self.proxy.wait_health("b", "down")
        self.wait_names(client, "one", "two")

    def test_fail_open_respects_maintenance(self):
        one, two = self.checked("one"), self.checked("two")
        one.status = two.status = 500
        client = self.serve(one, two, pool={"when_all_down": "fail_open"})
        self.proxy.wait_health("a", "down")
        self.proxy.wait_health("b", "down")
        self.proxy.admin("a", "maint")
        for _ in range(4):
            self.assertEqual(client.get("/").get("Origin-Name"), "two")

    def test_one_of_two_up_is_not_all_down(self):
        one, two = self.checked("one"), self.checked("two")
        one.status = 500
        client = self.serve(one, two, pool={"when_all_down": "fail_open"})
        self.proxy.wait_health("a", "down")
        self.proxy.wait_health("b", "up")
        for _ in range(6):
            self.assertEqual(client.get("/").get("Origin-Name"), "two")


class Fallback(HealthCase):
    def serve_with(self, first, *chain, **more):
        """`main` falls back to p1, that to p2, ...; every server in `chain` is checked too."""
        names = ["main"] + [f"p{i + 1}" for i in range(len(chain))]
        pools = {}
        for name, following, origin in zip(names, [*names[1:], None], [first, *chain]):
            pools[name] = {"servers": {"a": {"address": origin.address}}, "health_check": "hc"}
            if following:
                pools[name].update(when_all_down="fallback", fallback_pool=following)
        document = config_for(pool=None, pools=pools, **more)
        document["health_checks"] = {"hc": {"path": "/hc", **FAST}}
        self.proxy = self.lbd(document)

    def answers(self, name):
        wait_for(lambda: self.connect(self.proxy).get("/").get("Origin-Name") == name, name)

    def test_others_stand_in_and_step_back(self):
        one, two, three = (self.checked(name) for name in ("one", "two", "three"))
        self.serve_with(one, two, three)
        for pool in ("main", "p1", "p2"):
            self.proxy.wait_health("a", "up", pool=pool)
        self.answers("one")
        before = self.proxy.metric("lbd_pool_fallbacks_total")
        self.assertEqual(self.connect(self.proxy).get("/").get("Origin-Name"), "one")
        self.proxy.wait_metric(before, "lbd_pool_fallbacks_total")
        one.status = 503
        self.answers("two")
        two.status = 503
        self.answers("three")
        self.wait_for(
            lambda: self.proxy.metric("lbd_pool_fallbacks_total", pool="main") >= 2, "lbd_pool_fallbacks_total")
        self.wait_for(
            lambda: self.proxy.metric("lbd_pool_fallbacks_total", pool="p1") >= 1, "lbd_pool_fallbacks_total")
        wait_for(lambda: "p2" in [line["pool"] for line in self.proxy.access_log()], "the pool in the log")
        three.status = 503
        self.proxy.wait_health("a", "down", pool="p2")
        wait_for(lambda: self.connect(self.proxy).get("/").status == 503, "nobody is left")
        two.status = 200
        self.answers("two")
        one.status = 200
        self.answers("one")

    def test_explained(self):
        one, two = self.checked("one"), self.checked("two")
        self.serve_with(one, two)
        answer = self.proxy.api("POST", "/v1/explain/route", {"listener": "web", "host": "x.test", "path": "/"})
        self.assertEqual(answer.body["fallback_pool"], "p1")

    def test_tcp_falls_back_too(self):
        one, two = self.checked("one"), self.checked("two")
        self.serve_with(one, two, listener={"protocol": "tcp"})
        self.proxy.wait_health("a", "up")
        self.proxy.wait_health("a", "up", pool="p1")
        self.answers("one")
        one.status = 503
        self.answers("two")

    def test_dead_servers_without_a_check_fall_back(self):
        spare = self.origin(name="spare")
        for count in (1, 3):
            with self.subTest(count):
                dead = [f"127.0.0.1:{free_port()}" for _ in range(count)]
                self.proxy = self.lbd(config_for(
                    *dead, pool={"retries": 0, "when_all_down": "fallback", "fallback_pool": "p1"},
                    pools={"p1": {"servers": {"x": {"address": spare.address}}}}))
                self.answers("spare")
                self.assertNotIn("server.kept", self.proxy.log_text())

    def test_the_last_one_is_kept_while_nobody_can_stand_in(self):
        dead, spare = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.proxy = self.lbd(config_for(
            dead, pool={"retries": 0, "when_all_down": "fallback", "fallback_pool": "p1"},
            pools={"p1": {"servers": {"x": {"address": spare}}}}))
        self.proxy.admin("x", "maint", pool="p1")
        client = self.connect(self.proxy)
        for _ in range(6):
            self.assert_reason(client.get("/"), 502, "connect_refused")
        wait_for(lambda: "server.kept pool=main server=a" in self.proxy.log_text(), "kept")
        self.assertEqual(self.proxy.server_status("a")["health"], "up")
        events = [e for e in self.proxy.get("/v1/events")["events"] if e["type"] == "server.kept"]
        self.assertEqual([(e["name"], e["data"]) for e in events],
                         [("main/a", {"reason": "connect_failures"})])

    def kept(self):
        return [problem["pointer"] for problem in self.proxy.get("/v1/status")["problems"]
                if problem["message"].startswith("kept although connecting fails")]

    def test_who_is_kept_is_a_problem_until_a_connection_works(self):
        port = free_port()
        self.proxy = self.lbd(config_for(f"127.0.0.1:{port}", pool={"retries": 0}))
        client = self.connect(self.proxy)
        for _ in range(6):
            self.assert_reason(client.get("/"), 502, "connect_refused")
        wait_for(lambda: self.kept() == ["#/pools/main/servers/a"], "a problem")
        conditions = self.proxy.get("/v1/pools/main/status")["conditions"]
        self.assertEqual([c["message"] for c in conditions if c["type"] == "Ready"],
                         ["1 of 1 servers usable, one only because there is no other"])
        time.sleep(1.2)  # the pause between two reports is no success
        self.assertEqual(self.kept(), ["#/pools/main/servers/a"])
        self.origin(port=port)
        self.assertEqual(self.connect(self.proxy).get("/").status, 200)
        self.assertEqual(self.kept(), [])

    def test_who_is_kept_is_no_problem_beside_another(self):
        spare = self.origin(name="spare")
        self.proxy = self.lbd(config_for(f"127.0.0.1:{free_port()}", spare.address, pool={"retries": 0}))
        self.proxy.admin("b", "maint")
        client = self.connect(self.proxy)
        for _ in range(6):
            client.get("/")
        wait_for(lambda: self.kept() == ["#/pools/main/servers/a"], "a problem")
        self.proxy.admin("b", "ready")
        self.assertEqual(self.kept(), [])

    def test_a_pool_that_stands_in_cannot_go(self):
        one, two = self.checked("one"), self.checked("two")
        self.serve_with(one, two)
        answer = self.proxy.api("DELETE", "/v1/pools/p1")
        self.assertEqual(answer.status, 409)
        self.assertIn("#/pools/main/fallback_pool", answer.pointers)
        answer = self.proxy.api("PATCH", "/v1/pools/p1",
                                {"when_all_down": "fallback", "fallback_pool": "main"})
        self.assertEqual(answer.status, 422)
        self.proxy.patch("/v1/pools/main", {"when_all_down": "fail_closed", "fallback_pool": None})
        self.proxy.delete("/v1/pools/p1")


class Passive(HealthCase):
    def test_connect_failures_mark_a_server_down(self):
        """The check is slow; traffic notices first, the check brings it back."""
        dying, good = self.checked("dying"), self.checked("good")
        port = dying.port
        client = self.serve(dying, good, check={"interval": "2s", "rise": 1})
        self.proxy.wait_health("a", "up")
        self.proxy.wait_health("b", "up")
        dying.kill()
        limit = time.monotonic() + TIMEOUT
        while self.proxy.server_status("a")["health"] != "down":
            self.assertLess(time.monotonic(), limit, "never marked")
            self.assertEqual(client.get("/").status, 200, "retried elsewhere")
        again = Checked("again", port=port)
        self.addCleanup(self._end_origin, again)
        self.proxy.wait_health("a", "up")

    def test_single_connect_failure_is_forgiven(self):
        good = self.checked("good")
        client = self.serve(good)
        self.proxy.wait_health("a", "up")
        self.assertEqual(client.get("/").status, 200)
        self.assertEqual(self.proxy.server_status("a")["health"], "up")


class Survives(HealthCase):
    def test_health_survives_changes(self):
        one, two = self.checked("one"), self.checked("two")
        two.status = 500
        self.serve(one, two, check={"interval": "300ms"})
        self.proxy.wait_health("a", "up")
        self.proxy.wait_health("b", "down")
        for weight in (10, 20, 30):
            self.proxy.patch("/v1/pools/main/servers/a", {"weight": weight})
            self.assertEqual(self.proxy.server_status("a")["health"], "up")
            self.assertEqual(self.proxy.server_status("b")["health"], "down")
        self.proxy.put("/v1/pools/extra", {"servers": {}})
        self.assertEqual(self.proxy.server_status("b")["health"], "down")

    def test_new_server_starts_and_then_serves(self):
        one, two = self.checked("one"), self.checked("two")
        client = self.serve(one)
        self.proxy.wait_health("a", "up")
        two.may_answer.clear()
        self.proxy.put("/v1/pools/main/servers/b", {"address": two.address})
        self.assertEqual(self.proxy.server_status("b")["health"], "starting")
        two.may_answer.set()
        self.proxy.wait_health("b", "up")
        self.wait_names(client, "one", "two")

    def test_check_added_live(self):
        bad = self.checked("bad")
        bad.status = 500
        proxy = self.lbd(config_for(bad))
        self.assertEqual(self.connect(proxy).get("/").status, 200)
        proxy.put("/v1/health-checks/hc", {"type": "http", "path": "/hc", **FAST})
        proxy.patch("/v1/pools/main", {"health_check": "hc"})
        proxy.wait_health("a", "down")
        self.assertEqual(self.connect(proxy).get("/").status, 503)
        proxy.patch("/v1/pools/main", {"health_check": None})
        proxy.wait_health("a", "up")
        self.assertEqual(self.connect(proxy).get("/").status, 200)

    def test_check_changed_live(self):
        bad = self.checked("bad")
        bad.status = 404
        self.serve(bad)
        self.proxy.wait_health("a", "down")
        self.proxy.patch("/v1/health-checks/hc", {"expect": {"status": [404]}})
        self.proxy.wait_health("a", "up")


class Names(HealthCase):
    def resolve(self, names, **document):
        self.dns = NameServer(names)
        self.addCleanup(self.dns.stop)
        return {"resolvers": [self.dns.address]}

    def wait_answer(self, proxy, name):
        """A new address reaches the workers a moment after the status shows it."""
        wait_for(
            lambda: self.connect(proxy).get("/").get("Origin-Name") == name, f"{name} answers"
        )

    def test_name_is_resolved(self):
        origin = self.origin(name="named")
        daemon = self.resolve({"app.test": "127.0.0.1"})
        proxy = self.lbd(config_for(f"app.test:{origin.port}"), daemon=daemon)
        proxy.wait_health("a", "up")
        self.wait_answer(proxy, "named")
        self.assertIn("app.test", self.dns.asked())

    def test_name_that_does_not_resolve_is_a_state(self):
        good = self.origin(name="good")
        daemon = self.resolve({})
        proxy = self.lbd(config_for("nowhere.test:80", good), daemon=daemon)
        proxy.wait_health("a", "unresolved")
        for _ in range(4):
            self.assertEqual(self.connect(proxy).get("/").get("Origin-Name"), "good")

    def test_only_unresolved_servers(self):
        daemon = self.resolve({})
        proxy = self.lbd(config_for("nowhere.test:80"), daemon=daemon)
        proxy.wait_health("a", "unresolved")
        response = self.connect(proxy).get("/")
        self.assertEqual(response.status, 503)
        self.assertIn(response.get("Lbd-Reason"), ("unresolved", "no_server"))

    def test_name_added_live(self):
        origin = self.origin(name="late")
        daemon = self.resolve({"late.test": "127.0.0.1"})
        proxy = self.lbd(config_for(), daemon=daemon)
        proxy.put("/v1/pools/main/servers/x", {"address": f"late.test:{origin.port}"})
        proxy.wait_health("x", "up")
        self.wait_answer(proxy, "late")

    def test_silent_resolver_does_not_stop_the_start(self):
        good = self.origin(name="good")
        daemon = self.resolve({})
        self.dns.silent = True
        proxy = self.lbd(config_for("nowhere.test:80", good), daemon=daemon)
        self.assertEqual(self.connect(proxy).get("/").get("Origin-Name"), "good")

    def test_name_with_a_check(self):
        origin = self.checked("named")
        daemon = self.resolve({"app.test": "127.0.0.1"})
        client = self.serve(f"app.test:{origin.port}", daemon=daemon)
        self.proxy.wait_health("a", "up")
        del client
        self.wait_answer(self.proxy, "named")
        self.assertEqual(origin.probes[0].get("Host").partition(":")[0], "app.test")


if __name__ == "__main__":
    unittest.main()
