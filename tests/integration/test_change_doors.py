"""Whatever door a configuration comes through, the same comes out; writers that race lose nothing."""

import json
import threading
import unittest

from lab import LabCase, config_for


class Doors(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")
        self.document = config_for(self.server)
        self.document["health_checks"] = {"alive": {"type": "tcp", "interval": "1s"}}
        self.document["pools"]["main"]["health_check"] = "alive"
        self.document["pools"]["other"] = {
            "retries": 2, "servers": {"x": {"address": "127.0.0.1:1", "weight": 7},
                                      "y": {"address": "127.0.0.1:2"}}}
        self.document["routes"] = {
            "r": {"listener": "web", "priority": 5, "match": {"path_prefix": "/o"},
                  "action": {"pool": "other"}}}
        for kind in ("listeners", "pools", "routes", "health_checks"):
            for resource in self.document[kind].values():
                resource["meta"] = {"managed_by": "x"}
        self.document["listeners"]["web"]["bind"] = ["127.0.0.1:0"]

    def operations(self):
        """All resources, in an order in which each may stand alone."""
        for kind in ("health_checks", "pools", "listeners", "routes"):
            for name, body in self.document[kind].items():
                yield f"/v1/{kind.replace('_', '-')}/{name}", body

    def by_file(self, proxy):
        proxy.stop()
        proxy.daemon["config_source"] = "file"
        proxy.write_config(self.document)
        proxy.restart()

    def by_seed(self, proxy):
        import shutil
        proxy.stop()
        shutil.rmtree(proxy.state_directory)
        proxy.write_config(self.document)
        proxy.restart()

    def by_put(self, proxy):
        proxy.put("/v1/config", self.document)

    def by_patch(self, proxy):
        proxy.patch("/v1/config", self.document)

    def by_resources(self, proxy):
        for path, body in self.operations():
            proxy.put(path, body)

    def by_resource_patches(self, proxy):
        for path, body in self.operations():
            proxy.put(path, {"bind": ["127.0.0.1:0"]} if "listeners" in path else
                      {"listener": "web", "action": {"respond": {"status": 500}}}
                      if "routes" in path else {})
            proxy.patch(path, {**body, **({"action": {"respond": None, **body["action"]}}
                                          if "routes" in path else {})})

    def by_batch(self, proxy):
        proxy.change("POST", "/v1/batch", [{"method": "PUT", "path": p, "body": b}
                                           for p, b in reversed(list(self.operations()))])

    def by_endpoints(self, proxy):
        document = json.loads(json.dumps(self.document))
        members = document["pools"]["other"].pop("servers")
        document["pools"]["other"]["servers"] = {}
        proxy.put("/v1/config", document)
        proxy.put("/v1/pools/other/endpoints", members)

    def by_owner(self, proxy):
        body = json.loads(json.dumps(self.document))
        for kind in ("listeners", "pools", "routes", "health_checks"):
            for resource in body[kind].values():
                del resource["meta"]
        proxy.put("/v1/config?owner=x", body)

    def by_rollback(self, proxy):
        number = proxy.put("/v1/config", self.document).revision
        proxy.put("/v1/config", {"schema": 1, "pools": {}})
        proxy.change("POST", f"/v1/revisions/{number}/rollback")

    def test_every_door_gives_the_same(self):
        schema = self.document.get("schema")
        results = {}
        for name in ("file", "seed", "put", "patch", "resources", "resource_patches", "batch",
                     "endpoints", "owner", "rollback"):
            with self.subTest(name):
                start = {"schema": schema} if schema is not None else {}
                proxy = self.lbd(start)
                getattr(self, f"by_{name}")(proxy)
                answer = proxy.api("GET", "/v1/config")
                results[name] = (answer.body, answer.etag)
                self.assertEqual(answer.body, self.document, name)
                self.assertEqual(proxy.get("/v1/config?defaults=true"),
                                 proxy.get("/v1/config?defaults=true"))
                self.assertEqual(self.connect(proxy).get("/").status, 200)
                proxy.kill()
                proxy.restart()
                again = proxy.api("GET", "/v1/config")
                self.assertEqual((again.body, again.etag), results[name], "after a restart")
        self.assertEqual(len({etag for _, etag in results.values()}), 1,
                         {n: e for n, (_, e) in results.items()})

    def test_every_door_refuses_the_same(self):
        """The same mistakes, by the same codes and pointers."""
        self.document["pools"]["other"]["retries"] = -1
        self.document["routes"]["r"]["action"]["pool"] = "nobody"
        self.document["pools"]["main"]["nonsense"] = True
        want = sorted([("#/pools/main/nonsense", "unknown-key"),
                       ("#/pools/other/retries", "out-of-range"),
                       ("#/routes/r/action/pool", "unknown-reference")])
        proxy = self.lbd({})
        before = proxy.api("GET", "/v1/config").etag
        for method, path, body in (
                ("PUT", "/v1/config", self.document),
                ("PATCH", "/v1/config", self.document),
                ("PUT", "/v1/config?owner=x", self.document),
                ("POST", "/v1/config/validate", self.document),
                ("POST", "/v1/config/diff", self.document),
                ("POST", "/v1/batch", [{"method": "PUT", "path": p, "body": b}
                                       for p, b in self.operations()])):
            with self.subTest(f"{method} {path}"):
                answer = proxy.api(method, path, body)
                self.assertEqual(answer.status, 422, answer)
                got = sorted((e["pointer"], e["code"]) for e in answer.body["errors"])
                self.assertEqual(got, want)
        self.assertEqual(proxy.api("GET", "/v1/config").etag, before)


class Preconditions(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")

    def test_412_is_exact(self):
        """Who loses gets tag and body of what is there now; who has the tag wins."""
        proxy = self.lbd(config_for(self.server))
        for path, change in (("/v1/pools/main", {"retries": 3}),
                             ("/v1/pools/main/servers/a", {"weight": 3}),
                             ("/v1/listeners/web", {"meta": {"note": "n"}})):
            with self.subTest(path):
                old = proxy.api("GET", path)
                new = proxy.patch(path, change, headers={"If-Match": old.etag})
                lost = proxy.api("PATCH", path, {"meta": {"note": "late"}},
                                 headers={"If-Match": old.etag})
                self.assertEqual((lost.status, lost.etag, lost.body["current"]),
                                 (412, new.etag, new.body))
                self.assertEqual(proxy.api("DELETE", path, headers={"If-Match": old.etag}).status,
                                 412)
        whole = proxy.api("PUT", "/v1/config", {}, headers={"If-Match": '"0000000000000000"'})
        self.assertEqual(whole.status, 412)
        self.assertNotIn("current", whole.body)

    def test_required(self):
        proxy = self.lbd(config_for(self.server), daemon={"api": {
            "listen": None, "require_preconditions": True}}, start=False)
        proxy.daemon["api"]["listen"] = [f"unix:{proxy.api_socket}"]
        proxy.write_config(config_for(self.server))
        proxy.start()
        pool = proxy.api("GET", "/v1/pools/main")
        whole = proxy.api("GET", "/v1/config")
        batch = {"method": "PATCH", "path": "/v1/pools/main", "body": {"retries": 2}}
        for method, path, body in (
                ("PUT", "/v1/config", {}), ("PATCH", "/v1/config", {}),
                ("PUT", "/v1/config?owner=x", {}), ("PUT", "/v1/pools/x", {}),
                ("PATCH", "/v1/pools/main", {}), ("DELETE", "/v1/pools/main", None),
                ("PUT", "/v1/pools/main/endpoints", {}), ("POST", "/v1/batch", [batch]),
                ("POST", "/v1/revisions/1/rollback", None)):
            with self.subTest(f"{method} {path}"):
                answer = proxy.api(method, path, body)
                self.assertEqual((answer.status, answer.body["type"]),
                                 (428, "/v1/problems/precondition-required"))
        self.assertEqual(proxy.api("GET", "/v1/config").etag, whole.etag)
        self.assertEqual(
            proxy.api("POST", "/v1/batch", [{**batch, "if_match": pool.etag}]).status, 200)
        self.assertEqual(proxy.api("PUT", "/v1/pools/x", {}, headers={"If-None-Match": "*"}).status,
                         201)
        self.assertEqual(proxy.api("PATCH", "/v1/pools/x", {"retries": 1},
                                   headers={"If-Match": "*"}).status, 200)
        proxy.admin("a", "drain")  # is no change of the configuration

    def test_tags_are_stable_across_a_restart(self):
        proxy = self.lbd(config_for(self.server))
        proxy.patch("/v1/pools/main", {"retries": 3})
        paths = ("/v1/config", "/v1/pools", "/v1/pools/main", "/v1/pools/main/servers/a",
                 "/v1/listeners/web", "/v1/pools/main/endpoints")
        tags = {p: proxy.api("GET", p).etag for p in paths}
        proxy.kill()
        proxy.restart()
        self.assertEqual({p: proxy.api("GET", p).etag for p in paths}, tags)


class Race(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")

    def run_all(self, *functions):
        failures = []

        def guarded(function):
            try:
                function()
            except Exception as error:  # told by the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def test_two_that_check(self):
        """Read, add one, write with If-Match, again on 412: no addition is lost."""
        proxy = self.lbd(config_for(self.server))
        proxy.patch("/v1/pools/main/servers/a", {"weight": 1})
        rounds = 25
        conflicts = [0]
        revisions = []

        def add():
            for _ in range(rounds):
                while True:
                    old = proxy.api("GET", "/v1/pools/main/servers/a")
                    answer = proxy.api("PATCH", "/v1/pools/main/servers/a",
                                       {"weight": old.body["weight"] + 1},
                                       headers={"If-Match": old.etag})
                    if answer.status == 200:
                        revisions.append(answer.revision)
                        break
                    self.assertEqual(answer.status, 412)
                    self.assertGreater(answer.body["current"]["weight"], old.body["weight"])
                    conflicts[0] += 1

        self.run_all(add, add, add)
        self.assertEqual(proxy.get("/v1/pools/main/servers/a")["weight"], 1 + 3 * rounds)

    def test_many_that_do_not(self):
        """Merge patches without If-Match: the last wins per field, none is lost, each has a revision
        of its own; what was answered is on the disk."""
        proxy = self.lbd(config_for(self.server))
        first = proxy.api("GET", "/v1/config").revision
        writers, rounds = 8, 15
        seen = []

        def write(number):
            def run():
                for i in range(rounds):
                    answer = proxy.api("PUT", f"/v1/pools/w{number}", {"retries": i % 10,
                                       "servers": {"s": {"address": "127.0.0.1:1",
                                                         "weight": i + 1}}})
                    self.assertIn(answer.status, (200, 201), answer)
                    seen.append(answer.revision)
            return run

        self.run_all(*[write(n) for n in range(writers)])
        proxy.kill()
        proxy.restart()
        pools = proxy.get("/v1/pools")
        for number in range(writers):
            self.assertEqual(pools[f"w{number}"]["servers"]["s"]["weight"], rounds)
        self.assertEqual(proxy.api("GET", "/v1/config").revision, first + writers * rounds)
        listed = [r["revision"] for r in proxy.get("/v1/revisions")["revisions"]]
        self.assertEqual(listed, list(range(first + writers * rounds,
                                            first + writers * rounds - 50, -1)))

    def test_each_sees_its_own_change(self):
        """200 means that it is in effect, whoever else is writing."""
        proxy = self.lbd(config_for(self.server))

        def write(number):
            def run():
                for i in range(10):
                    proxy.put(f"/v1/pools/w{number}", {"retries": i})
                    self.assertEqual(proxy.get(f"/v1/pools/w{number}")["retries"], i)
                    self.assertEqual(proxy.api("DELETE", f"/v1/pools/w{number}").status, 204)
                    self.assertEqual(proxy.api("GET", f"/v1/pools/w{number}").status, 404)
            return run

        self.run_all(*[write(n) for n in range(6)])

    def test_one_bad_listener_among_many_writers(self):
        """What cannot listen spoils it for nobody else."""
        proxy = self.lbd(config_for(self.server))

        def good():
            for i in range(20):
                self.assertIn(proxy.api("PUT", "/v1/pools/w", {"retries": i % 10}).status,
                              (200, 201))

        def bad():
            for _ in range(20):
                answer = proxy.api("PUT", "/v1/listeners/away",
                                   {"bind": ["192.0.2.1:80"], "protocol": "http"})
                self.assertEqual((answer.status, answer.body["type"]),
                                 (409, "/v1/problems/cannot-listen"))

        self.run_all(good, bad, bad, good)
        self.assertNotIn("away", proxy.get("/v1/listeners"))


if __name__ == "__main__":
    unittest.main()
