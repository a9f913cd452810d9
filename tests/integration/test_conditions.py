"""Conditions of the status documents: what is true, why, and since when."""

import unittest

from lab import LabCase, config_for
from lab.ports import free_port

TYPES = ["Accepted", "Programmed", "ResolvedRefs", "Ready"]
KEYS = {"type", "status", "reason", "message", "since", "observed_revision"}


class Conditions(LabCase):
    def conditions(self, proxy, path):
        document = proxy.get(path)
        for condition in document["conditions"]:
            self.assertEqual(set(condition), KEYS)
            self.assertRegex(condition["reason"], r"\A[A-Z][A-Za-z]+\Z")
            self.assertEqual(condition["observed_revision"], document["observed_revision"])
        return {c["type"]: c for c in document["conditions"]}

    def ready(self, proxy, path):
        condition = self.conditions(proxy, path)["Ready"]
        return condition["status"], condition["reason"]

    def routed(self, **more):
        return self.lbd(config_for(self.origin(), self.origin(), routes={
            "r": {"listener": "web", "match": {"path_prefix": "/r"}, "action": {"pool": "main"}},
            "own": {"listener": "web", "match": {"path": "/o"},
                    "action": {"redirect": {"location": "/x", "status": 302}}},
        }, **more))

    def test_every_object_has_them(self):
        proxy = self.routed()
        for path in ("/v1/listeners/web/status", "/v1/routes/r/status", "/v1/routes/own/status",
                     "/v1/pools/main/status", "/v1/pools/main/servers/a/status"):
            with self.subTest(path):
                conditions = self.conditions(proxy, path)
                self.assertEqual(list(conditions), TYPES)
                self.assertEqual([c["status"] for c in conditions.values()], [True] * 4)
                self.assertEqual(proxy.get(path)["observed_revision"], 1)
        self.assertEqual(
            {name: c["status"] for name, c in self.conditions(proxy, "/v1/status").items()},
            {"Ready": True, "Degraded": False, "ConfigConfirmed": True, "SeedInSync": True,
             "Overloaded": False, "MetricsComplete": True},
        )
        for path in ("/v1/routes/none/status", "/v1/listeners/none/status",
                     "/v1/pools/none/status", "/v1/pools/main/servers/none/status"):
            self.assertEqual(proxy.api("GET", path).status, 404)

    def test_what_depends_on_what(self):
        """Server, pool, route, listener: each is not ready when what it needs is not."""
        proxy = self.routed()
        proxy.delete("/v1/routes/own")
        proxy.admin("a", "maint")
        self.assertEqual(self.ready(proxy, "/v1/pools/main/servers/a/status"),
                         (False, "Maintenance"))
        self.assertEqual(self.ready(proxy, "/v1/pools/main/status"), (True, "QuorumUp"))
        proxy.admin("b", "drain")
        self.assertEqual(self.ready(proxy, "/v1/pools/main/servers/b/status"), (False, "Draining"))
        self.assertEqual(self.ready(proxy, "/v1/pools/main/status"), (False, "NoServerUsable"))
        self.assertEqual(self.ready(proxy, "/v1/routes/r/status"), (False, "PoolNotReady"))
        self.assertEqual(self.ready(proxy, "/v1/listeners/web/status"), (False, "NoneReady"))
        self.assertEqual(self.ready(proxy, "/v1/status"), (True, "Serving"))
        proxy.delete("/v1/pools/main/servers/b/admin-state")
        self.assertEqual(self.ready(proxy, "/v1/listeners/web/status"), (True, "SomeReady"))

    def test_health_is_heeded(self):
        server = self.origin()
        proxy = self.lbd(config_for(server, pool={"health_check": "c"}, health_checks={
            "c": {"type": "tcp", "interval": "100ms", "rise": 1, "fall": 1}}))
        proxy.wait_health("a", "up")
        server.stop()
        proxy.wait_health("a", "down")
        path = "/v1/pools/main/servers/a/status"
        self.wait_for(lambda: self.ready(proxy, path) == (False, "Down"), "not ready")
        self.assertIn("refused", self.conditions(proxy, path)["Ready"]["message"])

    def test_since_is_when_it_happened(self):
        proxy = self.routed()
        path = "/v1/pools/main/status"
        first = self.conditions(proxy, path)["Ready"]["since"]
        proxy.patch("/v1/pools/main", {"retries": 2})
        self.assertEqual(self.conditions(proxy, path)["Ready"]["since"], first)
        self.assertEqual(proxy.get(path)["observed_revision"], 2)
        proxy.admin("a", "maint")
        proxy.admin("b", "maint")
        after_change = proxy.api("GET", "/v1/status")
        proxy.delete("/v1/pools/main/servers/a/admin-state")
        proxy.admin("a", "maint")
        down = self.conditions(proxy, path)["Ready"]
        self.assertFalse(down["status"])
        self.assertGreater(down["since"], first)
        for _ in range(3):
            self.assertEqual(self.conditions(proxy, path)["Ready"]["since"], down["since"])
        self.assertEqual(after_change.status, 200)

    def test_no_etag_depends_on_them(self):
        proxy = self.routed()
        before = {p: proxy.api("GET", p).etag for p in ("/v1/config", "/v1/pools/main")}
        proxy.admin("a", "maint")
        proxy.admin("b", "maint")
        for path, etag in before.items():
            self.assertEqual(proxy.api("GET", path).etag, etag)
        self.assertIsNone(proxy.api("GET", "/v1/pools/main/status").etag)

    def test_a_change_on_trial(self):
        proxy = self.routed()
        answer = proxy.api("PATCH", "/v1/pools/main?confirm_within=1h", {"retries": 3})
        self.assertEqual(answer.status, 200, answer)
        condition = self.conditions(proxy, "/v1/status")["ConfigConfirmed"]
        self.assertEqual((condition["status"], condition["reason"]), (False, "OnTrial"))
        self.assertGreater(proxy.metric("lbd_config_confirm_deadline_timestamp_seconds"), 1e9)
        self.assertEqual(proxy.api("POST", "/v1/revisions/2/reject", {}).status, 200)
        self.assertTrue(self.conditions(proxy, "/v1/status")["ConfigConfirmed"]["status"])
        proxy.wait_metric(0, "lbd_config_confirm_deadline_timestamp_seconds")
        proxy.wait_metric(1, "lbd_config_applies_total", result="rolled_back")

    def test_a_seed_that_differs(self):
        proxy = self.routed()
        proxy.patch("/v1/pools/main", {"retries": 3})
        proxy.stop()
        proxy.restart()
        condition = self.conditions(proxy, "/v1/status")["SeedInSync"]
        self.assertEqual((condition["status"], condition["reason"]), (False, "Different"))
        proxy.wait_metric(1, "lbd_config_seed_differs")


class Readyz(LabCase):
    def test_reasons(self):
        proxy = self.lbd(config_for(
            f"127.0.0.1:{free_port()}", pool={"health_check": "c"},
            health_checks={"c": {"type": "tcp", "interval": "100ms", "fall": 1}}))
        answer = proxy.api("GET", "/readyz")
        self.assertEqual((answer.status, answer.body), (200, {"ready": True}))
        proxy.wait_health("a", "down")
        answer = proxy.api("GET", "/readyz?pool=main")
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.body["reasons"], ["the pool has no usable server"])
        answer = proxy.api("GET", "/readyz?pool=other")
        self.assertEqual((answer.status, answer.body["reasons"]),
                         (503, ["there is no such pool"]))
        proxy.put("/v1/admin-state", {"state": "drain", "reason": "kernel"})
        answer = proxy.api("GET", "/readyz?pool=main")
        self.assertEqual(answer.status, 503)
        self.assertEqual(len(answer.body["reasons"]), 2)
        self.assertIn("kernel", answer.body["reasons"][0])


if __name__ == "__main__":
    unittest.main()
