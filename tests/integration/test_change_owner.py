"""?owner=: everything of one owner replaced at once; others are left alone."""

import json
import unittest

from lab import LabCase, config_for


def pool(*names, **more):
    return {"servers": {n: {"address": "127.0.0.1:1"} for n in names}, **more}


class Owner(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")
        self.proxy = self.lbd(config_for(self.server))

    def apply(self, owner, body, query="", **more):
        return self.proxy.api("PUT", f"/v1/config?owner={owner}{query}", body, **more)

    def pools(self):
        return {n: p.get("meta", {}).get("managed_by")
                for n, p in self.proxy.get("/v1/pools").items()}

    def test_apply_and_prune(self):
        first = self.apply("x", {"pools": {"x1": pool("a"), "x2": pool("a")}})
        self.assertEqual(first.status, 200, first)
        self.assertEqual(first.header("Lbd-Changed"), "true")
        self.assertEqual(self.apply("y", {"pools": {"y1": pool("b")}}).status, 200)
        self.assertEqual(self.pools(), {"main": None, "x1": "x", "x2": "x", "y1": "y"})
        self.assertEqual(self.apply("x", {"pools": {"x2": pool("a"), "x3": pool("a")}}).status, 200)
        self.assertEqual(self.pools(), {"main": None, "x2": "x", "x3": "x", "y1": "y"})
        again = self.apply("x", {"pools": {"x3": pool("a"), "x2": pool("a")}})
        self.assertEqual((again.status, again.header("Lbd-Changed")), (200, "false"))
        self.assertEqual(self.apply("x", {}).status, 200)
        self.assertEqual(self.pools(), {"main": None, "y1": "y"})
        newest = self.proxy.get("/v1/revisions")["revisions"][0]
        self.assertEqual((newest["via"], newest["owner"]), ("owner", "x"))

    def test_all_kinds_of_resources(self):
        body = {
            "listeners": {"l": {"bind": ["127.0.0.1:0"], "protocol": "http", "default_pool": "p"}},
            "pools": {"p": {"servers": {"a": {"address": self.server.address}},
                            "health_check": "h"}},
            "health_checks": {"h": {"type": "tcp", "interval": "100ms"}},
            "routes": {"r": {"listener": "l", "match": {"path": "/r"},
                             "action": {"respond": {"status": 418}}}},
        }
        self.assertEqual(self.apply("x", body).status, 200)
        with self.proxy.client("l") as client:
            self.assertEqual(client.get("/r").status, 418)
        for kind in body:
            for name in body[kind]:
                found = self.proxy.get(f"/v1/{kind.replace('_', '-')}/{name}")
                self.assertEqual(found["meta"], {"managed_by": "x"})
        self.assertEqual(self.apply("x", {}).status, 200)
        self.assertEqual(list(self.proxy.get("/v1/listeners")), ["web"])

    def test_clashes_are_all_listed(self):
        self.apply("x", {"pools": {"x1": pool("a")}})
        answer = self.apply("y", {"pools": {"x1": pool("b"), "main": pool("b"), "y1": pool("b")}})
        self.assertEqual((answer.status, answer.body["type"]),
                         (409, "/v1/problems/owned-by-other"))
        self.assertEqual([(e["pointer"], e["code"]) for e in answer.body["errors"]],
                         [("#/pools/x1", "owned-by-other"), ("#/pools/main", "owned-by-other")])
        self.assertIn("'x'", answer.body["errors"][0]["detail"])
        self.assertIn("line", answer.body["errors"][0])
        self.assertEqual(self.pools(), {"main": None, "x1": "x"})

    def test_force_moves_ownership(self):
        self.apply("x", {"pools": {"x1": pool("a"), "x2": pool("a")}})
        answer = self.apply("y", {"pools": {"x1": pool("b")}}, "&force=true")
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.pools(), {"main": None, "x1": "y", "x2": "x"})
        self.assertEqual(self.apply("x", {"pools": {"x1": pool("a")}}).status, 409)
        self.assertEqual(self.apply("x", {}).status, 200)
        self.assertEqual(self.pools(), {"main": None, "x1": "y"})

    def test_references_across_owners(self):
        self.apply("x", {"pools": {"p": pool("a")}})
        routes = {"routes": {"r": {"listener": "web", "action": {"pool": "p"}}}}
        self.assertEqual(self.apply("y", routes).status, 200)
        refused = self.apply("x", {})
        self.assertEqual((refused.status, refused.body["type"], refused.pointers),
                         (409, "/v1/problems/in-use", ["#/routes/r/action/pool"]))
        self.assertEqual(self.apply("x", {}, "&force=true").status, 409, "force does not break it")
        self.assertEqual(self.apply("y", {}).status, 200)
        self.assertEqual(self.apply("x", {}).status, 200)
        dangling = self.apply("y", routes)
        self.assertEqual((dangling.status, dangling.pointers), (422, ["#/routes/r/action/pool"]))

    def test_said_and_meant(self):
        same = {"pools": {"p": pool("a", meta={"managed_by": "x", "note": "n"})}}
        self.assertEqual(self.apply("x", same).status, 200)
        self.assertEqual(self.proxy.get("/v1/pools/p")["meta"], {"managed_by": "x", "note": "n"})
        other = {"pools": {"p": pool("a", meta={"managed_by": "y"})}}
        answer = self.apply("x", other)
        self.assertEqual((answer.status, answer.pointers), (422, ["#/pools/p/meta/managed_by"]))
        self.assertEqual(self.apply("", {}).status, 400)
        self.assertEqual(self.apply("x" * 300, {"pools": {"q": {}}}).status, 422)
        self.assertEqual(self.proxy.api("PATCH", "/v1/config?owner=x", {}).status, 400)
        self.assertEqual(self.proxy.api("PUT", "/v1/pools/p?owner=x", {}).status, 400)

    def test_dry_run_and_preconditions(self):
        before = self.proxy.api("GET", "/v1/config")
        dry = self.apply("x", {"pools": {"p": pool("a")}}, "&dry_run=true")
        self.assertEqual((dry.status, dry.body["changes_total"]), (200, 1))
        self.assertEqual(self.apply("x", {"pools": {"p": pool("a")}},
                                    headers={"If-Match": '"0000000000000000"'}).status, 412)
        self.assertEqual(self.apply("x", {"pools": {"p": pool("a")}},
                                    headers={"If-Match": before.etag}).status, 200)

    def test_plain_writes_are_warned(self):
        self.apply("x", {"pools": {"p": pool("a")}})
        answer = self.proxy.patch("/v1/pools/p/servers/a", {"weight": 3})
        self.assertIn("'x'", answer.header("Lbd-Warning"))
        dry = self.proxy.api("PATCH", "/v1/pools/p?dry_run=true", {"retries": 3})
        self.assertEqual([w["code"] for w in dry.body["warnings"] if w["code"] == "managed"],
                         ["managed"])
        self.assertIsNone(self.proxy.patch("/v1/pools/main", {"retries": 3}).header("Lbd-Warning"))
        self.apply("x", {"pools": {"p": pool("a")}})
        self.assertNotIn("weight", self.proxy.get("/v1/pools/p/servers/a"), "set back by its owner")

    def test_state_of_what_stays(self):
        body = {"pools": {"p": {"servers": {"a": {"address": self.server.address}}}},
                "routes": {"r": {"listener": "web", "match": {"path_prefix": "/p"},
                                 "action": {"pool": "p"}}}}
        self.apply("x", body)
        self.proxy.admin("a", "drain", pool="p")
        self.connect(self.proxy).get("/p")
        body["pools"]["p"]["servers"]["b"] = {"address": "127.0.0.1:1", "weight": 1}
        self.apply("x", body)
        self.assertEqual(self.proxy.server_status("a", "p")["admin"], "drain")

    def test_two_owners_race(self):
        """Each has its own, whoever comes first."""
        import threading

        failures = []

        def run(owner):
            for i in range(20):
                names = [f"{owner}{n}" for n in range(i % 4)]
                answer = self.apply(owner, {"pools": {n: pool("a") for n in names}})
                if answer.status != 200:
                    failures.append(answer)

        threads = [threading.Thread(target=run, args=(o,)) for o in ("x", "y", "z")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.pools(), {"main": None, **{f"{o}{n}": o for o in "xyz"
                                                         for n in range(3)}})


if __name__ == "__main__":
    unittest.main()
