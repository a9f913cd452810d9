"""GET /v1/requests/recent answers "why 503": the way a request went, each try, and who ended it."""

import time
import unittest

from lab import LabCase, config_for, run_lbctl
from lab.ports import free_port
from test_seeing import silent


def recent(proxy, query=""):
    return proxy.get(f"/v1/requests/recent{query}")


class Recent(LabCase):
    def wait_recent(self, proxy, count, query=""):
        """Entries appear when the worker is done with a request, which may be after its client is."""
        return self.wait_for(
            lambda: (found := recent(proxy, query))["total"] >= count and found["requests"], "recent requests")

    def test_what_goes_well_is_not_kept(self):
        proxy = self.lbd(config_for(self.origin()))
        client = self.connect(proxy)
        for _ in range(20):
            client.get("/")
        self.assertEqual(recent(proxy), {"requests": [], "total": 0})

    def test_a_sample_of_what_goes_well(self):
        proxy = self.lbd(config_for(self.origin(), observability={"recent": {"sample": 10}}), daemon={"workers": 1})
        client = self.connect(proxy)
        for _ in range(100):
            client.get("/")
        self.wait_recent(proxy, 10)
        self.assertEqual(recent(proxy)["total"], 10)
        self.assertEqual({one["reason"] for one in recent(proxy)["requests"]}, {"ok"})

    def test_why_503(self):
        server = self.origin(silent)
        document = config_for({"address": server.address, "max_connections": 1},
                              {"address": self.origin().address, "admin_state": "maint"})
        document["routes"] = {"api": {"listener": "web", "match": {"path_prefix": "/api"}, "action": {"pool": "main"}}}
        proxy = self.lbd(document)
        self.connect(proxy).send_request("GET", "/api/first")
        server.wait_requests(1)
        response = self.connect(proxy).get("/api/second?x", host="shop.example:8080")
        self.assert_reason(response, 503, "server_limit")
        (one,) = self.wait_recent(proxy, 1)
        self.assertEqual((one["method"], one["host"], one["path"]), ("GET", "shop.example:8080", "/api/second?x"))
        self.assertEqual((one["listener"], one["route"], one["pool"]), ("web", "api", "main"))
        self.assertEqual(one["match"], "any host, path_prefix /api")
        self.assertEqual((one["status"], one["reason"], one["ended_by"]), (503, "server_limit", "lbd"))
        self.assertEqual((one["setting"], one["setting_value"]), ("/pools/main/servers/a/max_connections", "1"))
        self.assertEqual(one["candidates"], [{"server": "a", "state": "full"}, {"server": "b", "state": "maint"}])
        self.assertEqual(one["candidates_total"], 2)
        self.assertEqual(one["tries"], [])
        self.assertIn("max_connections", one["advice"])
        (line,) = proxy.wait_access_log(1)
        self.assertEqual(proxy.get(f"/v1/requests/{line['request_id']}"), one)
        listed = run_lbctl("requests", "--ended=server_limit", socket_path=proxy.api_socket)
        self.assertIn("GET shop.example:8080/api/second?x", listed.stdout, listed)
        story = run_lbctl("explain", "request", one["id"], socket_path=proxy.api_socket)
        self.assertEqual(story.returncode, 0, story)
        self.assertIn("servers at its end: a full, b maint\n", story.stdout)
        self.assertIn("the setting behind it: /pools/main/servers/a/max_connections = 1\n", story.stdout)
        self.assertIn(f"what to do: {one['advice']}\n", story.stdout)

    def test_each_try(self):
        document = config_for(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}",
                              pool={"retries": 1, "algorithm": "round_robin"})
        proxy = self.lbd(document)
        self.assert_reason(self.connect(proxy).get("/"), 502, "connect_refused")
        (one,) = self.wait_recent(proxy, 1)
        self.assertEqual(sorted(item["server"] for item in one["tries"]), ["a", "b"])
        self.assertEqual({item["reason"] for item in one["tries"]}, {"connect_refused"})
        first, second = one["tries"]
        self.assertEqual((first["began_us"], second["began_us"]), (0, first["took_us"]))
        self.assertEqual(one["ended_by"], "server")

    def test_a_second_try_that_went_well_is_kept(self):
        document = config_for(f"127.0.0.1:{free_port()}", self.origin(name="good"), pool={"algorithm": "round_robin"})
        proxy = self.lbd(document, daemon={"workers": 1})
        client = self.connect(proxy)
        for _ in range(2):
            self.assertEqual(client.get("/").status, 200)
        (one, *_) = self.wait_recent(proxy, 1)
        self.assertEqual(one["reason"], "ok")
        self.assertEqual([item["reason"] for item in one["tries"]], ["connect_refused", "ok"])
        self.assertEqual([item["server"] for item in one["tries"]], ["a", "b"])
        self.assertEqual({item["server"]: item["state"] for item in one["candidates"]}["b"], "usable")

    def test_a_server_that_answers_500_ended_it(self):
        def broken(peer):
            peer.rx()
            peer.send("HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

        proxy = self.lbd(config_for(self.origin(broken)))
        self.assertEqual(self.connect(proxy).get("/").status, 500)
        (one,) = self.wait_recent(proxy, 1)
        self.assertEqual((one["reason"], one["status"], one["ended_by"]), ("ok", 500, "server"))
        self.assertEqual(one["detail"], "the server itself answered 500")
        self.assertEqual((one["route"], one["is_default"]), ("default", True))

    def test_the_advice_names_the_policy_and_the_pool(self):
        document = config_for(pool={"servers": {}})
        document["policies"] = {"closed": {"maintenance": {}}}
        document["routes"] = {"shut": {"listener": "web", "match": {"path_prefix": "/shut"},
                                       "action": {"pool": "main"}, "policies": ["closed"]}}
        proxy = self.lbd(document)
        client = self.connect(proxy)
        client.get("/shut")
        client.get("/open")
        open_, shut = self.wait_recent(proxy, 2)
        self.assertIn("take the policy `closed` out", shut["advice"])
        self.assertIn("`lbctl describe pool main`", open_["advice"])
        self.assertEqual((shut["route"], "is_default" in shut), ("shut", False))

    def test_an_answer_that_was_not_good_enough(self):
        def busy(peer):
            peer.rx()
            peer.send("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

        document = config_for(self.origin(busy), self.origin(name="good"), pool={
            "algorithm": "round_robin", "retry": {"on": ["connect", "reset", "503"]}})
        proxy = self.lbd(document, daemon={"workers": 1})
        client = self.connect(proxy)
        for _ in range(2):
            self.assertEqual(client.get("/").status, 200)
        (one, *_) = self.wait_recent(proxy, 1)
        self.assertEqual([(item["server"], item["reason"], item.get("status")) for item in one["tries"]],
                         [("a", "ok", 503), ("b", "ok", None)])

    def test_slow_ones(self):
        def slow(peer):
            peer.rx()
            time.sleep(0.15)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        proxy = self.lbd(config_for(self.origin(slow), observability={"recent": {"slow": "100ms"}}))
        self.connect(proxy).get("/slow")
        (one,) = self.wait_recent(proxy, 1)
        self.assertEqual((one["reason"], one["path"]), ("ok", "/slow"))
        self.assertGreaterEqual(one["first_byte_us"], 100000)
        self.assertEqual(recent(proxy, "?min_ms=100")["total"], 1)
        self.assertEqual(recent(proxy, "?min_ms=100000")["total"], 0)

    def test_what_is_known_without_the_head(self):
        """Without an access log the head is given back early; what stays is told all the same."""
        def stalls(peer):
            peer.rx()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + "x" * 50000)
            peer.close()

        proxy = self.lbd(config_for(self.origin(stalls)), daemon={"access_log": None})
        client = self.connect(proxy)
        client.send_request("GET", "/half")
        client.read_rest()
        (one,) = self.wait_recent(proxy, 1)
        self.assertEqual((one["reason"], one["status"], one["pool"]), ("server_truncated", 200, "main"))
        self.assertRegex(one["id"], r"\A[0-9a-f]{16}\Z")

    def test_filters(self):
        dead = f"127.0.0.1:{free_port()}"
        document = config_for(dead, pool={"retries": 0})
        document["pools"]["empty"] = {"servers": {}}
        document["routes"] = {
            "none": {"listener": "web", "match": {"path_prefix": "/none"}, "action": {"pool": "empty"}}}
        proxy = self.lbd(document)
        client = self.connect(proxy)
        client.get("/none/1")
        client.get("/refused")
        client.get("/none/2")
        self.wait_recent(proxy, 3)
        for query, paths in {
            "": ["/none/2", "/refused", "/none/1"],
            "?limit=1": ["/none/2"],
            "?reason=no_server": ["/none/2", "/none/1"],
            "?route=none": ["/none/2", "/none/1"],
            "?route=default": ["/refused"],
            "?pool=empty": ["/none/2", "/none/1"],
            "?server=a": ["/refused"],
            "?server=main/a": ["/refused"],
            "?server=empty/a": [],
            "?status=502": ["/refused"],
            "?status=5xx": ["/none/2", "/refused", "/none/1"],
            "?status=4xx": [],
            "?listener=web": ["/none/2", "/refused", "/none/1"],
            "?listener=other": [],
            "?client=127.0.0.1": ["/none/2", "/refused", "/none/1"],
            "?client=127.0.0.2": [],
            "?pool=empty&reason=connect_refused": [],
        }.items():
            with self.subTest(query):
                self.assertEqual([one["path"] for one in recent(proxy, query)["requests"]], paths)

    def test_bad_questions(self):
        proxy = self.lbd(config_for())
        for query, words in {
            "?reason=no_servre": "did you mean 'no_server'?",
            "?status=600": "'status' is as in 503 or 5xx",
            "?status=6xx": "'status' is as in 503 or 5xx",
            "?min_ms=soon": "'min_ms' is a number of milliseconds",
            "?client=joe": "'client' is an IP address",
            "?limit=5000": "'limit' is a number",
        }.items():
            with self.subTest(query):
                answer = proxy.api("GET", f"/v1/requests/recent{query}")
                self.assertEqual(answer.status, 400)
                self.assertIn(words, answer.body["detail"])
        answer = proxy.api("GET", "/v1/requests/unheard-of")
        self.assertEqual(answer.status, 404)
        self.assertIn("observability.recent", answer.body["detail"])

    def test_many_failures_stay_bounded(self):
        proxy = self.lbd(config_for(), daemon={"workers": 1})
        client = self.connect(proxy)
        for index in range(700):
            client.get(f"/{index}")
        self.wait_for(lambda: recent(proxy)["requests"][0]["path"] == "/699", "the last one")
        found = recent(proxy, "?limit=1000")
        self.assertLessEqual(found["total"], 512)
        self.assertGreaterEqual(found["total"], 200)
        paths = [one["path"] for one in found["requests"]]
        self.assertEqual(paths, [f"/{index}" for index in range(699, 699 - found["total"], -1)])

    def test_refused_heads_and_connections_of_tcp(self):
        document = config_for(f"127.0.0.1:{free_port()}", pool={"retries": 0})
        document["listeners"]["raw"] = {"bind": ["127.0.0.1:0"], "protocol": "tcp", "default_pool": "main"}
        proxy = self.lbd(document)
        client = self.connect(proxy)
        client.send("NONSENSE\r\n\r\n")
        client.read_rest()
        raw = self.connect(proxy, listener="raw")
        raw.read_rest()
        tcp, head = self.wait_recent(proxy, 2)
        self.assertEqual((tcp["listener"], tcp["protocol"], tcp["reason"]), ("raw", "tcp", "connect_refused"))
        self.assertEqual((head["listener"], head["reason"], head["ended_by"]), ("web", "bad_request_line", "client"))

    def test_an_id_of_the_client_with_odd_characters(self):
        proxy = self.lbd(config_for())
        self.connect(proxy).get("/", {"X-Request-Id": "A+b/C="})
        self.wait_recent(proxy, 1)
        self.assertEqual(proxy.get("/v1/requests/A%2Bb%2FC%3D")["id"], "A+b/C=")

    def test_an_id_of_the_client(self):
        proxy = self.lbd(config_for())
        self.connect(proxy).get("/", {"X-Request-Id": "mine-1"})
        self.wait_recent(proxy, 1)
        self.assertEqual(proxy.get("/v1/requests/mine-1")["reason"], "no_server")


if __name__ == "__main__":
    unittest.main()
