"""Groups of servers: by priority, near before far, by labels; who stands by and when it helps."""

import collections
import threading
import unittest

from lab import LabCase, config_for, run_lbctl
from lab.ports import free_port


class Groups(LabCase):
    def serve(self, servers, daemon=None, workers=1, script=None, **pool):
        """`servers`: {"a": {"priority": 1}, ...}"""
        self.servers = {n: self.origin(script, name=n) for n in servers}
        document = config_for(pool={"algorithm": "round_robin", **pool})
        document["pools"]["main"]["servers"] = {
            n: {"address": self.servers[n].address, **more} for n, more in servers.items()
        }
        self.proxy = self.lbd(document, daemon={"workers": workers, **(daemon or {})})

    def spread(self, count=100):
        """How many of so many requests each server answered."""
        found = collections.Counter()
        with self.connect(self.proxy) as client:
            for _ in range(count):
                response = client.get("/")
                self.assertEqual(response.status, 200, response)
                found[response.get("Origin-Name")] += 1
        return dict(found)

    def set(self, state, *names):
        for name in names:
            self.proxy.patch(f"/v1/pools/main/servers/{name}", {"admin_state": state})

    def groups(self):
        return [(g["priority"], g["near"], g["usable"], g["share"])
                for g in self.proxy.get("/v1/pools/main/status").get("groups", [])]

    # -- priorities

    def test_what_a_group_cannot_carry_goes_to_the_next(self):
        self.serve({"a": {}, "b": {}, "c": {"priority": 1}, "d": {"priority": 1}})
        self.assertEqual(self.spread(), {"a": 50, "b": 50})
        self.assertEqual(self.groups(), [(0, True, 2, 100), (1, True, 2, 0)])
        self.set("maint", "b")  # half of it is usable: 70 %
        self.assertEqual(self.spread(200), {"a": 140, "c": 30, "d": 30})
        self.assertEqual(self.groups(), [(0, True, 1, 70), (1, True, 2, 30)])
        self.set("maint", "a")
        self.assertEqual(self.spread(), {"c": 50, "d": 50})
        self.set("ready", "a", "b")
        self.assertEqual(self.spread(), {"a": 50, "b": 50})
        self.proxy.patch("/v1/pools/main", {"groups": {"overprovisioning": 200}})
        self.set("maint", "b")
        self.assertEqual(self.spread(), {"a": 100})

    def test_every_algorithm_knows_them(self):
        self.serve({"a": {}, "b": {"priority": 1}, "c": {"priority": 2}})
        for algorithm in ("least_request", "random", "peak_ewma", "maglev", "ring_hash"):
            with self.subTest(algorithm):
                self.proxy.patch("/v1/pools/main", {"algorithm": algorithm})
                self.assertEqual(self.spread(20), {"a": 20})
                self.set("maint", "a")
                self.assertEqual(self.spread(20), {"b": 20})
                self.set("maint", "b")
                self.assertEqual(self.spread(20), {"c": 20})
                self.set("ready", "a", "b")

    def test_who_stands_by_says_so(self):
        self.serve({"a": {"weight": 7}, "b": {"priority": 1}})
        status = self.proxy.get("/v1/pools/main/status")["servers"]
        self.assertEqual([status[n]["effective_weight"] for n in "ab"], [7, 0])
        explained = self.proxy.api("POST", "/v1/explain/route", {"url": "http://x/"}).body
        self.assertEqual([s["is_candidate"] for s in explained["servers"]], [True, False])
        self.assertIn("stands by", explained["servers"][1]["reason"])

    def test_it_helps_at_once_when_no_other_can_be_reached(self):
        self.serve({"a": {}, "b": {"priority": 1}}, retries=1)
        self.proxy.patch("/v1/pools/main/servers/a", {"address": f"127.0.0.1:{free_port()}"})
        self.assertEqual(self.spread(2), {"b": 2})

    def test_it_helps_when_the_others_are_full(self):
        go = threading.Event()

        def hold(peer):
            while True:
                peer.rx()
                go.wait(60)
                peer.tx(200, "x")

        self.serve({"a": {"max_connections": 1}, "b": {"priority": 1}}, script=hold)
        clients = []
        for index in range(2):
            client = self.connect(self.proxy)
            client.send_request("GET", "/")
            clients.append(client)
            self.wait_for(lambda: sum(o.request_count for o in self.servers.values()) == index + 1,
                          "it arrived")
        self.assertEqual([o.request_count for o in self.servers.values()], [1, 1])
        go.set()
        for client in clients:
            self.assertEqual(client.read_response().status, 200)

    def test_what_overflows_is_shared_by_weight(self):
        go = threading.Event()

        def hold(peer):
            while True:
                target = peer.rx().target
                if target == "/hold":
                    go.wait(60)
                peer.tx(200, target)

        servers = {n: {"max_connections": 1} for n in "abcd"}
        servers |= {"e": {"priority": 1, "labels": {"v": "2"}},
                    "f": {"priority": 1, "weight": 300, "labels": {"v": "2"}}}
        self.serve(servers, script=hold)
        self.proxy.put("/v1/routes/s", {"listener": "web", "match": {"path_prefix": "/s"},
                                        "action": {"pool": "main", "subset": {"v": "2"}}})
        origins = [self.servers[n] for n in "abcd"]
        clients = [self.connect(self.proxy) for _ in "abcd"]
        for client in clients:
            client.send_request("GET", "/hold")
        self.wait_for(lambda: sum(o.request_count for o in origins) == 4, "they are full")

        def counts(path):
            before = [self.servers[n].request_count for n in "ef"]
            with self.connect(self.proxy) as client:
                for _ in range(400):
                    self.assertEqual(client.get(path).status, 200)
            return [self.servers[n].request_count - b for n, b in zip("ef", before, strict=True)]

        # six and a half deviations of 400 drawn ones
        for algorithm in ("round_robin", "least_request", "random", "peak_ewma"):
            with self.subTest(algorithm):
                self.proxy.patch("/v1/pools/main", {"algorithm": algorithm})
                light, heavy = counts("/")
                self.assertEqual(light + heavy, 400)
                self.assertLess(abs(light - 100), 57)
        self.proxy.patch("/v1/pools/main", {"algorithm": "round_robin"})
        self.assertEqual(counts("/s"), [100, 300], "a subset of those who stand by")
        go.set()
        for client in clients:
            self.assertEqual(client.read_response().status, 200)

    def test_sticky_clients_stay_where_they_went(self):
        self.serve({"a": {}, "b": {"priority": 1}}, sticky={"cookie": "lb"})
        self.set("maint", "a")
        with self.connect(self.proxy) as client:
            cookie = client.get("/").get("Set-Cookie").partition(";")[0]
            self.set("ready", "a")
            self.assertEqual(client.get("/", {"Cookie": cookie}).get("Origin-Name"), "b")
            self.assertEqual(client.get("/").get("Origin-Name"), "a")

    # -- zones

    def test_near_servers_first(self):
        self.serve({"a": {"zone": "x"}, "b": {"zone": "x"}, "c": {"zone": "y"}, "d": {"zone": "y"}},
                   daemon={"zone": "x"})
        self.assertEqual(self.spread(), {"a": 50, "b": 50})
        self.set("maint", "a")
        self.assertEqual(self.spread(200), {"b": 140, "c": 30, "d": 30})
        self.assertEqual(self.groups(), [(0, True, 1, 70), (0, False, 2, 30)])
        self.set("maint", "b")
        self.assertEqual(self.spread(), {"c": 50, "d": 50})
        self.set("ready", "a", "b")
        self.proxy.patch("/v1/pools/main", {"groups": {"zone": "y"}})
        self.assertEqual(self.spread(), {"c": 50, "d": 50})
        self.proxy.patch("/v1/pools/main", {"groups": {"zone_aware": False}})
        self.assertEqual(self.spread(), {n: 25 for n in "abcd"})
        self.assertEqual(self.groups(), [])

    def test_priority_goes_before_zone(self):
        self.serve({"a": {"zone": "y"}, "b": {"zone": "x", "priority": 1}, "c": {}},
                   daemon={"zone": "x"})
        self.assertEqual(self.spread(20), {"c": 20}, "who is in no zone is near")
        self.set("maint", "c")
        self.assertEqual(self.spread(20), {"a": 20})
        self.set("maint", "a")
        self.assertEqual(self.spread(20), {"b": 20})

    def test_without_a_zone_of_its_own_all_are_near(self):
        self.serve({"a": {"zone": "x"}, "b": {"zone": "y"}})
        self.assertEqual(self.spread(), {"a": 50, "b": 50})

    # -- labels

    def test_a_route_asks_for_servers_with_labels(self):
        labels = {"a": {"v": "1", "disk": "ssd"}, "b": {"v": "2", "disk": "ssd"},
                  "c": {"v": "2", "disk": "hdd"}, "d": {}}
        self.serve({n: {"labels": l} for n, l in labels.items()}, workers=2)

        def route(path, **action):
            self.proxy.put(f"/v1/routes/{path}", {
                "listener": "web", "match": {"path_prefix": f"/{path}"},
                "action": {"pool": "main", **action}})

        def spread(path, count=40):
            found = collections.Counter()
            with self.connect(self.proxy) as client:
                for _ in range(count):
                    response = client.get(path)
                    found[response.get("Origin-Name") or response.get("Lbd-Reason")] += 1
                    client.get("/")  # turns of the whole pool do not disturb those of a subset
            return dict(found)

        route("ssd", subset={"disk": "ssd"})
        route("ssd2", subset={"v": "2", "disk": "ssd"}, subset_fallback="none")
        route("v3", subset={"v": "3"})
        route("v3none", subset={"v": "3"}, subset_fallback="none")
        self.assertEqual(spread("/ssd"), {"a": 20, "b": 20})
        self.assertEqual(spread("/ssd2"), {"b": 40})
        self.assertGreater(len(spread("/v3")), 1, "nobody has it, so any")
        self.assertEqual(spread("/v3none", 3), {"no_server": 3})
        self.set("maint", "b")
        self.assertEqual(spread("/ssd"), {"a": 40})
        self.assertEqual(spread("/ssd2", 3), {"no_server": 3})
        self.set("maint", "a")
        self.assertLessEqual(set(spread("/ssd")), {"c", "d"})
        self.set("ready", "a", "b")
        self.proxy.patch("/v1/pools/main/servers/d", {"labels": {"v": "3"}})
        self.assertEqual(spread("/v3"), {"d": 40})
        explained = self.proxy.api("POST", "/v1/explain/route", {"url": "http://x/v3"}).body
        self.assertEqual([s["name"] for s in explained["servers"]], ["d"])

    def test_a_subset_is_sticky_for_itself(self):
        self.serve({n: {"labels": {"v": n}} for n in "abc"}, sticky={"cookie": "lb"})
        for name in "abc":
            self.proxy.put(f"/v1/routes/{name}", {
                "listener": "web", "match": {"path": f"/{name}"},
                "action": {"pool": "main", "subset": {"v": name}}})
        with self.connect(self.proxy) as client:
            cookies = {n: client.get(f"/{n}").get("Set-Cookie").partition(";")[0] for n in "abc"}
            for name, cookie in cookies.items():
                self.assertEqual(client.get("/", {"Cookie": cookie}).get("Origin-Name"), name)
                answer = client.get("/a", {"Cookie": cookie})
                self.assertEqual(answer.get("Origin-Name"), "a")
                self.assertEqual(answer.get("Set-Cookie") is None, name == "a")

    # -- shares

    def test_a_share_is_one_of_all_whatever_others_there_are(self):
        self.serve({"a": {}, "b": {}, "c": {"weight": 200}, "new": {"weight": "5%"}})
        self.assertEqual(self.spread(400), {"a": 95, "b": 95, "c": 190, "new": 20})
        status = self.proxy.get("/v1/pools/main/status")["servers"]
        self.assertEqual({n: s["effective_weight"] for n, s in status.items()},
                         {"a": 100, "b": 100, "c": 200, "new": 21})
        rows = run_lbctl("get", "servers", "main", socket_path=self.proxy.api_socket).stdout
        self.assertRegex(rows, r"\bnew\b.*\b21/5%")
        # another server takes nothing of it
        self.proxy.delete("/v1/pools/main/servers/b")
        self.assertEqual(self.spread(300), {"a": 95, "c": 190, "new": 15})
        self.proxy.patch("/v1/pools/main/servers/new", {"weight": "50%"})
        self.assertEqual(self.spread(300), {"a": 50, "c": 100, "new": 150})

    def test_who_is_out_leaves_its_part_to_all(self):
        self.serve({"a": {"weight": "50%"}, "b": {"weight": "30%"}, "c": {"weight": "20%"}})
        self.assertEqual(self.spread(100), {"a": 50, "b": 30, "c": 20})
        self.set("maint", "a")
        self.assertEqual(self.spread(100), {"b": 60, "c": 40})
        self.set("ready", "a")
        self.proxy.put("/v1/pools/main/servers/a/overrides/weight", {"weight": "40%"})
        self.assertEqual(self.spread(70), {"a": 20, "b": 30, "c": 20})

    def test_what_is_set_by_hand_is_of_the_share(self):
        self.serve({"a": {"weight": 80}, "new": {"weight": "20%"}})
        path = "/v1/pools/main/servers/new/overrides/weight"
        self.assertEqual(self.spread(100), {"a": 80, "new": 20})
        self.assertEqual(self.proxy.get(path), {
            "weight": 20, "configured": 20, "configured_share": "20%"})
        self.assertEqual(self.proxy.put(path, {"weight": "25%"}).body["weight"], 5)
        self.assertEqual(self.spread(85), {"a": 80, "new": 5})
        # of the share of now, not of what it came to then
        self.proxy.patch("/v1/pools/main/servers/a", {"weight": 160})
        self.assertEqual(self.proxy.get(path)["weight"], 10)
        self.assertEqual(self.spread(85), {"a": 80, "new": 5})
        self.assertIn("weight 25%", run_lbctl("describe", "server", "main/new", socket_path=self.proxy.api_socket).stdout)
        self.proxy.stop()
        self.proxy.restart()
        self.assertEqual(self.spread(85), {"a": 80, "new": 5})
        self.assertEqual(self.proxy.put(path, {"weight": 160}).body["weight"], 160)
        self.assertEqual(self.spread(100), {"a": 50, "new": 50})
        # an edit of the share takes over again
        self.proxy.patch("/v1/pools/main/servers/new", {"weight": "50%"})
        self.assertNotIn("override", self.proxy.get(path))
        self.assertEqual(self.spread(100), {"a": 50, "new": 50})

    def test_shares_are_of_a_priority(self):
        self.serve({"a": {"weight": "25%"}, "b": {}, "c": {"weight": "10%", "priority": 1},
                    "d": {"priority": 1}})
        self.assertEqual(self.spread(100), {"a": 25, "b": 75})
        self.set("maint", "a", "b")
        self.assertEqual(self.spread(100), {"c": 10, "d": 90})

    def test_every_algorithm_heeds_shares(self):
        self.serve({"a": {}, "b": {}, "new": {"weight": "20%"}})
        for algorithm in ("least_request", "random", "peak_ewma", "maglev", "ring_hash"):
            more = {"hash": {"key": "query", "name": "k"}} if algorithm in ("maglev", "ring_hash") else {}
            with self.subTest(algorithm):
                self.proxy.patch("/v1/pools/main", {"algorithm": algorithm, "hash": None, **more})
                found = collections.Counter()
                with self.connect(self.proxy) as client:
                    for index in range(1000):
                        found[client.get(f"/?k={index}").get("Origin-Name")] += 1
                if algorithm == "peak_ewma":  # by what it measures
                    self.assertGreater(found["new"], 0, dict(found))
                else:  # six times the deviation of 1000 drawn ones
                    self.assertLess(abs(found["new"] - 200), 76, dict(found))

    def test_nonsense_is_refused_with_what_it_comes_to(self):
        self.serve({"a": {"weight": "50%"}, "b": {}})
        for change, says in (({"a": {"weight": "60%"}, "b": {"weight": "41%"}}, "come to 101%"),
                             ({"a": {"weight": "100%"}}, "leave nothing to its 1 with a number"),
                             ({"b": {"weight": "30%"}}, "come to 80% and nobody has a number"),
                             ({"b": {"weight": "0%"}}, "1% to 100%"),
                             ({"b": {"address": "dns:x:1", "weight": "5%"}}, "must be a number")):
            with self.subTest(says):
                answer = self.proxy.api("PATCH", "/v1/pools/main", {"servers": change})
                self.assertEqual(answer.status, 422, answer.body)
                self.assertIn(says, answer.body["errors"][0]["detail"])
        self.assertEqual(self.spread(100), {"a": 50, "b": 50})

    # -- accuracy

    def test_four_workers_together_are_near_exact(self):
        """Each worker has its own turns and random numbers; the sum still follows the weights."""
        weights = {"a": 100, "b": 200, "c": 50, "d": 150}
        self.serve({n: {"weight": w} for n, w in weights.items()}, workers=4)
        for algorithm, slack in (("round_robin", 0.01), ("least_request", 0.12), ("random", 0.12)):
            with self.subTest(algorithm):
                self.proxy.patch("/v1/pools/main", {"algorithm": algorithm})
                clients = [self.connect(self.proxy) for _ in range(16)]
                found = collections.Counter()
                for index in range(1600):
                    found[clients[index % 16].get("/").get("Origin-Name")] += 1
                for name, weight in weights.items():
                    want = 1600 * weight / 500
                    self.assertLess(abs(found[name] - want), slack * 1600 + 2, dict(found))


if __name__ == "__main__":
    unittest.main()
