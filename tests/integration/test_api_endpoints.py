"""The whole member set of a pool at once; what stays keeps its state. In file mode for some pools."""

import json
import unittest

from lab import Closed, LabCase, WireError, config_for


def endpoints(*servers, **more):
    return {name: {"address": address, **more} for name, address in servers}


class Endpoints(LabCase):
    def setUp(self):
        super().setUp()
        self.a = self.origin(name="a")
        self.b = self.origin(name="b")

    def test_replaces_all(self):
        proxy = self.lbd(config_for(self.a))
        body = endpoints(("b", self.b.address), ("c", "127.0.0.1:1"))
        answer = proxy.api("PUT", "/v1/pools/main/endpoints", body)
        self.assertEqual((answer.status, answer.body), (200, body))
        got = proxy.api("GET", "/v1/pools/main/endpoints")
        self.assertEqual((got.body, got.etag), (body, answer.etag))
        self.assertEqual(got.etag, proxy.api("GET", "/v1/pools/main/servers").etag)
        self.assertEqual(proxy.get("/v1/pools/main")["servers"], body)
        again = proxy.api("PUT", "/v1/pools/main/endpoints", body)
        self.assertEqual((again.status, again.header("Lbd-Changed")), (200, "false"))
        self.assertEqual(proxy.api("PUT", "/v1/pools/main/endpoints", {}).status, 200)
        self.assertEqual(proxy.get("/v1/pools/main/endpoints"), {})
        self.assertEqual(self.connect(proxy).get("/").status, 503)
        self.assertEqual(proxy.get("/v1/revisions")["revisions"][0]["via"], "endpoints")

    def test_what_stays_keeps_its_state(self):
        config = config_for(self.a, self.b)
        config["health_checks"] = {"alive": {"type": "tcp", "interval": "100ms", "rise": 1}}
        config["pools"]["main"].update(health_check="alive", algorithm="round_robin")
        names = sorted(config["pools"]["main"]["servers"])
        proxy = self.lbd(config)
        for name in names:
            proxy.wait_health(name, "up")
        with self.connect(proxy) as client:
            self.wait_for(lambda: client.get("/").status == 200 and self.a.request_count >= 3, "requests at the first")
        served = self.a.request_count
        proxy.wait_metric(served, "lbd_server_requests_total", pool="main", server=names[0])
        proxy.admin(names[1], "drain")
        body = proxy.get("/v1/pools/main/endpoints")
        body["new"] = {"address": "127.0.0.1:1"}
        proxy.put("/v1/pools/main/endpoints", body)
        status = proxy.get("/v1/pools/main/status")["servers"]
        self.assertEqual(status[names[0]]["health"], "up")
        self.assertEqual(status[names[1]]["admin"], "drain")
        proxy.wait_metric(served, "lbd_server_requests_total", pool="main", server=names[0])

    def test_refusals(self):
        proxy = self.lbd(config_for(self.a))
        before = proxy.api("GET", "/v1/config")
        for body, status in (([], 422), (7, 422), ({"a": {}}, 422), ({"a": {"address": 7}}, 422),
                             ({"A": {"address": "127.0.0.1:1"}}, 422)):
            self.assertEqual(proxy.api("PUT", "/v1/pools/main/endpoints", body).status, status, body)
        self.assertEqual(proxy.api("PUT", "/v1/pools/no/endpoints", {}).status, 404)
        self.assertEqual(proxy.api("GET", "/v1/pools/no/endpoints").status, 404)
        self.assertEqual(proxy.api("PATCH", "/v1/pools/main/endpoints", {}).status, 405)
        stale = proxy.api("PUT", "/v1/pools/main/endpoints", {},
                          headers={"If-Match": '"0000000000000000"'})
        self.assertEqual((stale.status, stale.etag),
                         (412, proxy.api("GET", "/v1/pools/main/endpoints").etag))
        self.assertEqual(proxy.api("GET", "/v1/config").etag, before.etag)
        dry = proxy.api("PUT", "/v1/pools/main/endpoints?dry_run=true", {})
        self.assertEqual((dry.status, dry.body["resource"]), (200, {}))

    def test_ten_thousand(self):
        proxy = self.lbd(config_for(self.a))
        body = {f"s{i:05}": {"address": f"10.{i // 62500}.{i // 250 % 250}.{i % 250 + 1}:80"}
                for i in range(10000)}
        self.assertEqual(proxy.api("PUT", "/v1/pools/main/endpoints", body).status, 200)
        del body["s00500"]
        answer = proxy.api("PUT", "/v1/pools/main/endpoints", body)
        self.assertEqual((answer.status, answer.header("Lbd-Changed")), (200, "true"))
        diff = proxy.get(f"/v1/revisions/{answer.revision - 1}/diff")
        self.assertEqual(diff["changes_total"], 1)
        old = proxy.get(f"/v1/revisions/{answer.revision - 1}/config")
        self.assertEqual(len(old["pools"]["main"]["servers"]), 10000)
        new = proxy.get(f"/v1/revisions/{answer.revision}/config")
        self.assertEqual(new["pools"]["main"]["servers"], body)
        # texts of this size are read beside the loop: the same comes out
        back = proxy.api("POST", f"/v1/revisions/{answer.revision - 1}/rollback")
        self.assertEqual((back.status, back.body["changes_total"]), (200, 1))
        self.assertIn("s00500", proxy.get("/v1/pools/main/endpoints"))
        body["s00500"] = {"address": "127.0.0.1:1", "weight": -1}
        batch = [{"method": "PUT", "path": "/v1/pools/x", "body": {}},
                 {"method": "PUT", "path": "/v1/pools/main/endpoints", "body": body}]
        refused = proxy.api("POST", "/v1/batch", batch)
        self.assertEqual((refused.status, refused.body["operation"], refused.pointers),
                         (422, 1, ["#/pools/main/servers/s00500/weight"]))
        body["s00500"]["weight"] = 1
        self.assertEqual(proxy.api("POST", "/v1/batch", batch).status, 200)
        self.assertEqual(proxy.get("/v1/pools/main/endpoints")["s00500"]["weight"], 1)


class FileMode(LabCase):
    def setUp(self):
        super().setUp()
        self.a = self.origin(name="a")
        self.config = config_for(self.a)
        self.config["pools"]["ours"] = {"members": "api",
                                        "servers": {"seed": {"address": "127.0.0.1:1"}}}
        self.config["pools"]["too"] = {"members": "api"}
        self.proxy = self.lbd(self.config, daemon={"config_source": "file"})
        self.body = endpoints(("n1", "127.0.0.1:2"), ("n2", "127.0.0.1:3"), weight=7)

    def members(self):
        return self.proxy.get("/v1/pools/ours").get("servers")

    def write(self, body=None, pool="ours", **more):
        return self.proxy.api("PUT", f"/v1/pools/{pool}/endpoints",
                              self.body if body is None else body, **more)

    def reload(self):
        self.proxy.write_config(self.config)
        return self.proxy.change("POST", "/v1/config/reload")

    def test_only_members_api(self):
        answer = self.write(pool="main")
        self.assertEqual((answer.status, answer.body["type"]),
                         (409, "/v1/problems/managed-by-file"))
        self.assertEqual(self.write(pool="no").status, 404)
        self.assertEqual(self.proxy.api("PUT", "/v1/pools/ours/endpoints?confirm_within=1h",
                                        self.body).status, 409)
        self.assertEqual(self.proxy.api("PATCH", "/v1/pools/ours", {"retries": 2}).status, 409)
        answer = self.write()
        self.assertEqual((answer.status, answer.body), (200, self.body))
        self.assertEqual(self.members(), self.body)

    def test_found_again(self):
        self.assertEqual(self.members(), {"seed": {"address": "127.0.0.1:1"}})
        self.write()
        revision = self.proxy.api("GET", "/v1/config").revision
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.members(), self.body)
        self.assertEqual(self.proxy.api("GET", "/v1/config").revision, revision)
        saved = json.loads((self.proxy.state_directory / "members.json").read_text())
        self.assertEqual(saved, {"pools": {"ours": self.body}})

    def test_laid_over_the_file_at_reload(self):
        self.write()
        self.config["pools"]["ours"]["retries"] = 5
        self.config["pools"]["ours"]["servers"] = {"other": {"address": "127.0.0.1:9"}}
        self.reload()
        found = self.proxy.get("/v1/pools/ours")
        self.assertEqual((found["servers"], found["retries"]), (self.body, 5))
        self.assertEqual(self.reload().body["changed"], False)

    def test_a_pool_that_the_file_takes_back(self):
        self.write()
        self.config["pools"]["ours"]["members"] = "config"
        self.reload()
        self.assertEqual(self.members(), {"seed": {"address": "127.0.0.1:1"}})
        self.assertEqual(self.write().status, 409)
        self.config["pools"]["ours"]["members"] = "api"
        self.reload()
        self.assertEqual(self.members(), self.body, "nothing was written meanwhile")
        del self.config["pools"]["ours"]
        self.reload()
        self.assertEqual(self.write({}, "too").status, 200)
        saved = json.loads((self.proxy.state_directory / "members.json").read_text())
        self.assertEqual(saved, {"pools": {"too": {}}}, "what has no pool is dropped by a write")

    def test_two_pools(self):
        self.write()
        other = endpoints(("z", "127.0.0.1:7"))
        self.write(other, "too")
        self.proxy.stop()
        self.proxy.restart()
        self.assertEqual(self.members(), self.body)
        self.assertEqual(self.proxy.get("/v1/pools/too/endpoints"), other)

    def test_damaged(self):
        self.write()
        path = self.proxy.state_directory / "members.json"
        for text in ("{ half", "[]", '{"pools":7}', ""):
            self.proxy.stop()
            path.write_text(text)
            self.proxy.restart()
            self.assertEqual(self.members(), {"seed": {"address": "127.0.0.1:1"}})
            self.assertTrue(self.proxy.get("/v1/config/status")["degraded"], text)
        self.proxy.stop()
        path.write_text('{"pools":{"ours":{"x":{"weight":1}},"too":{"y":{"address":"a:1"}},'
                        '"X/../":{},"main":{}}}')
        self.proxy.restart()
        self.assertEqual(self.members(), {"seed": {"address": "127.0.0.1:1"}})
        self.assertIn("y", self.proxy.get("/v1/pools/too/endpoints"), "one says nothing of the next")
        self.assertIn("a", self.proxy.get("/v1/pools/main/servers"))
        self.assertIn("members.not_used", self.proxy.log_text())

    def test_killed_at_each_step(self):
        self.write()
        old = self.members()
        new = endpoints(("n3", "127.0.0.1:4"))
        for kind in ("members", "meta", "history", "number"):
            for step in ("open", "write", "fsync", "rename", "dirsync"):
                if kind == "number" and step != "write":
                    continue
                with self.subTest(f"{kind}-{step}"):
                    self.write(old)
                    self.proxy.stop()
                    self.proxy.env = {"LBD_TEST_CRASH_AT": f"{kind}-{step}"}
                    self.proxy.restart()
                    with self.assertRaises((Closed, WireError, OSError)):
                        self.write(new)
                    self.assertEqual(self.proxy.wait_exit(), 137)
                    self.proxy.process = None
                    self.proxy.env = {}
                    self.proxy.restart()
                    found = self.members()
                    self.assertEqual(found, old if f"{kind}-{step}" in (
                        "members-open", "members-write", "members-fsync", "members-rename") else new)


if __name__ == "__main__":
    unittest.main()
