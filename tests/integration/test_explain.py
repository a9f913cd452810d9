"""explain says where a request would go: exactly where requests do go.

Routes, servers and requests at random, polite and hostile ones; each request is explained and sent, and
what the access log says of it must be what was explained.
"""

import json
import random
import unittest

from lab import LabCase, config_for, run_lbctl

HOSTS = ["a.example.com", "b.example.com", "*.example.com", "*.b.example.com", "example.com"]
ASKED_HOSTS = ["a.example.com", "B.Example.Com", "c.b.example.com", "x.example.com", "example.com.",
               "other", "127.0.0.1", "[::1]", "a.example.com:8080", "q.c.b.example.com"]
PATHS = ["/", "/a", "/a/b", "/ab", "/c", "/a/b/c"]
ASKED_PATHS = ["/", "/a", "/a/b", "/a/", "/ab", "/c?q=/a", "/a/./b", "/a/%62", "/A", "/c/../a", "/%61/b",
               "/a/b/c/d?x", "//a", "/a//b", "/z", "/?"]
HOST_PATTERNS = ["[ab][.].*", ".*[.]com", "x"]
TEMPLATES = ["/{x}", "/a/{x}", "/{x}/b", "/a/{x*}", "/{x*}"]
PATH_PATTERNS = ["/[ab]", ".*/b", "/a(/.*)?", "(/a|/a)*c"]
CONDITIONS = [
    {"method": ["POST", "DELETE"]}, {"source": ["127.0.0.0/8"]}, {"source": ["10.0.0.0/8", "::/0"]},
    {"header": {"exact": {"X-Env": "canary"}}}, {"header": {"regex": {"X-Env": "c.*"}, "absent": ["X-Old"]}},
    {"cookie": {"prefix": {"group": "be"}}}, {"cookie": {"present": ["group"]}, "method": ["GET"]},
    {"query": {"exact": {"q": "/a"}}}, {"query": {"absent": ["q"]}},
]
ASKED_HEADERS = [{}, {"X-Env": "canary"}, {"X-Env": "other", "X-Old": "1"}, {"Cookie": "a=1; group=beta"}]
HOSTILE = [
    {"host": "a b", "path": "/a"}, {"host": "a,b", "path": "/"}, {"host": "", "path": "/a"},
    {"host": "x", "path": "/a/%00"}, {"host": "x", "path": "/a%2fb"}, {"host": "x", "path": "/..\\a"},
    {"host": "x", "path": "/a#b"}, {"host": "x", "path": "a"}, {"host": "x", "path": "/\u00e4"},
    {"host": "x", "path": "/a", "headers": {"Bad Name": "x"}},
    {"host": "x", "path": "/a", "headers": {"Host": "y"}},
    {"host": "x", "path": "/a", "headers": {"Connection": "host"}},
    {"host": "x", "path": "/a", "headers": {"Transfer-Encoding": "gzip"}},
    {"host": "x", "path": "/a", "headers": {"Content-Length": "1x"}},
    {"host": "x", "path": "/a", "headers": {"Content-Length": "0", "Transfer-Encoding": "chunked"}},
    {"host": "x", "path": "/a", "headers": {f"X-{i}": "1" for i in range(120)}},
    {"host": "x", "path": "/a", "headers": {"X": "1" * 5000}},
    {"host": "x", "path": "/" + "a" * 9000},
    {"host": "x", "path": "/a", "method": "G T"}, {"host": "x", "path": "/a", "method": "get"},
    {"host": "x", "path": "*", "method": "GET"}, {"host": "x", "path": "*", "method": "OPTIONS"},
    {"host": "x", "path": "http://a.example.com/a"}, {"host": "x", "path": "http://y/a/../b"},
    {"host": "x", "path": "x:80", "method": "CONNECT"}, {"host": "x", "path": "/", "method": "TRACE"},
]


class Explain(LabCase):
    def setUp(self):
        super().setUp()
        self.dice = random.Random(11)
        self.origins = [self.origin(name=name) for name in "ab"]
        a, b = (origin.address for origin in self.origins)
        self.pools = {
            "main": {"servers": {"a": {"address": a}, "b": {"address": b, "admin_state": "drain"}}},
            "both": {"servers": {"a": {"address": a}, "b": {"address": b},
                                 "dead": {"address": "127.0.0.1:1"}},
                     "health_check": "alive"},
            "none": {"servers": {"a": {"address": a, "admin_state": "maint"}}},
            "open": {"servers": {"dead": {"address": "127.0.0.1:1"}}, "health_check": "alive",
                     "when_all_down": "fail_open", "retries": 0},
            "empty": {"servers": {}},
        }
        document = config_for(pool={"servers": self.pools["main"]["servers"]})
        document["pools"] = self.pools
        document["listeners"]["web"]["limits"] = {"header_size": "8KiB", "header_fields": 100}
        document["health_checks"] = {"alive": {"type": "tcp", "interval": "100ms", "fall": 1}}
        self.document = document
        self.proxy = self.lbd(document, daemon={"workers": 1})
        for pool in ("both", "open"):
            self.wait_for(lambda pool=pool: self.proxy.get(f"/v1/pools/{pool}/status")["servers"]["dead"]
                          ["health"] == "down", "the dead server is found dead")
        for server in "ab":
            self.proxy.wait_health(server, "up", pool="both")
        self.logged = 0

    def explain(self, question):
        answer = self.proxy.api("POST", "/v1/explain/route", question)
        self.assertEqual(answer.status, 200, answer)
        return answer.body

    def ask(self, question):
        """Sends what was asked about, and waits for the answer."""
        client = self.connect(self.proxy)
        method = question.get("method", "GET")
        host = question.get("host")
        lines = [f"{method} {question['path']} HTTP/1.1"]
        lines += [f"Host: {host}"] if host else []
        lines += [f"{name}: {value}" for name, value in question.get("headers", {}).items()]
        client.send("\r\n".join(lines).encode("utf-8") + b"\r\n\r\n")
        client.read_response(method)
        client.close()

    def random_routes(self):
        actions = [{"pool": name} for name in self.pools]
        actions += [{"respond": {"status": status}} for status in (200, 418)]
        actions += [{"redirect": {"status": 308, "location": "/elsewhere"}}]
        routes = {}
        for i in range(self.dice.randrange(0, 14)):
            match = {}
            if self.dice.random() < 0.7:
                match["host"] = self.dice.sample(HOSTS, self.dice.randrange(1, 3))
            elif self.dice.random() < 0.3:
                match["host_regex"] = self.dice.choice(HOST_PATTERNS)
            kind = self.dice.choice(["path", "path_prefix", "path_template", "path_regex", None])
            if kind:
                match[kind] = self.dice.choice({"path_template": TEMPLATES, "path_regex": PATH_PATTERNS}
                                               .get(kind, PATHS))
            if self.dice.random() < 0.4:
                match.update(self.dice.choice(CONDITIONS))
            routes[f"r{i}"] = {"listener": "web", "match": match, "action": self.dice.choice(actions),
                               "priority": self.dice.choice([0, 0, 0, 5, -5])}
        return routes

    def compare(self, questions):
        """Explains and sends each; then the access log, in which they stand in this order, is read."""
        explained = []
        for question in questions:
            explained.append(self.explain({"listener": "web", "client": "127.0.0.1", **question}))
            self.ask(question)
        lines = self.proxy.wait_access_log(self.logged + len(questions))[self.logged:]
        self.logged += len(questions)
        for question, said, line in zip(questions, explained, lines, strict=True):
            self.compare_one(question, said, line)

    def compare_one(self, question, said, line):
        what = f"{question}\nsaid {json.dumps(said, indent=1)}\nlogged {line}"
        if "reason" in said:
            self.assertEqual((said["reason"], said["status"]), (line["reason"], line["status"]), what)
            return
        self.assertTrue(said["matched"], what)
        self.assertEqual(line["route"], "default" if said["is_default"] else said["route"], what)
        if "pool" not in said:
            self.assertEqual(line["status"], said["status"], what)
            return
        self.assertEqual(line["pool"], said["pool"], what)
        candidates = {s["name"] for s in said["servers"] if s["is_candidate"]}
        self.assertEqual(len(candidates), said["candidates"], what)
        if candidates:
            self.assertIn(line["server"], candidates, what)
        else:
            self.assertIn(line["reason"], ("no_server", "unresolved", "server_limit"), what)

    def test_requests_go_where_explain_says(self):
        for round_ in range(12):
            document = dict(self.document, routes=self.random_routes())
            if round_ % 4 == 3:
                document["listeners"] = json.loads(json.dumps(document["listeners"]))
                del document["listeners"]["web"]["default_pool"]
            self.proxy.put("/v1/config", document)
            polite = [{"host": self.dice.choice(ASKED_HOSTS), "path": self.dice.choice(ASKED_PATHS),
                       "method": self.dice.choice(["GET", "POST", "DELETE", "OPTIONS"]),
                       "headers": self.dice.choice(ASKED_HEADERS)}
                      for _ in range(25)]
            self.compare(polite + self.dice.sample(HOSTILE, 8))

    def test_a_limit_that_was_reached_is_no_mismatch(self):
        routes = {"slow": {"listener": "web", "match": {"path_regex": "/(a+)+[bc]"}, "action": {"pool": "main"}},
                  "slow-header": {"listener": "web", "match": {"header": {"regex": {"X-A": "(a+)+[bc]"}}},
                                  "action": {"pool": "main"}}}
        self.proxy.put("/v1/config", {**self.document, "routes": routes})
        answer = self.explain({"host": "x", "path": "/" + "a" * 60, "headers": {"X-A": "a" * 60}})
        why = {one["route"]: one["why"] for one in answer["considered"]}
        self.assertIn("the limit of steps was reached", why["slow"])
        self.assertIn("is not matched by '(a+)+[bc]' within its limit of steps", why["slow-header"])
        why = {one["route"]: one["why"] for one in self.explain({"host": "x", "path": "/c"})["considered"]}
        self.assertIn("is not matched by /(a+)+[bc]", why["slow"])

    def test_policies_are_named_in_their_order(self):
        policy = {"access": {"deny": ["10.0.0.0/8"]}}
        listener = {**self.document["listeners"]["web"], "policies": ["c", "b"]}
        self.proxy.put("/v1/config", {
            **self.document, "listeners": {"web": listener}, "policies": {name: policy for name in "abc"},
            "routes": {"r": {"listener": "web", "match": {"path_prefix": "/r"}, "policies": ["b", "a"],
                             "action": {"pool": "main"}}}})
        self.assertEqual(self.explain({"host": "x", "path": "/r"})["policies"], ["c", "b", "a"])
        self.assertEqual(self.explain({"host": "x", "path": "/"})["policies"], ["c", "b"])
        self.assertNotIn("policies", self.explain({"host": "x", "path": "/%00"}))
        told = run_lbctl("explain", "route", "GET", "http://x/r", socket_path=self.proxy.api_socket)
        self.assertIn("  policies, in this order: c, b, a\n", told.stdout)

    def test_all_that_is_hostile_once(self):
        self.proxy.put("/v1/config", dict(self.document, routes=self.random_routes()))
        self.compare(HOSTILE)


class Questions(LabCase):
    """What may be asked, and how."""

    def setUp(self):
        super().setUp()
        origin = self.origin()
        document = config_for(origin)
        document["listeners"]["other"] = {"bind": ["127.0.0.1:0"]}
        document["routes"] = {
            "api": {"listener": "web", "match": {"host": ["*.example.com"], "path_prefix": "/api"},
                    "action": {"pool": "main"}},
            "all": {"listener": "web", "action": {"respond": {"status": 200}}},
        }
        self.proxy = self.lbd(document)

    def ask(self, status=200, **question):
        answer = self.proxy.api("POST", "/v1/explain/route", question)
        self.assertEqual(answer.status, status, answer)
        return answer.body

    def test_by_url(self):
        said = self.ask(url="http://www.example.com/api/x?y=1", listener="web")
        self.assertEqual((said["route"], said["pool"], said["path"]), ("api", "main", "/api/x"))
        self.assertEqual(said["why"], "host *.example.com, path_prefix /api")
        self.assertEqual(said["considered"], [
            {"route": "all", "matched": True,
             "why": "any host is less exact than host *.example.com of route 'api'"}])
        self.assertEqual(said["servers"][0]["reason"], "usable")

    def test_the_port_finds_the_listener(self):
        for listener in ("web", "other"):
            _, port = self.proxy.address(listener)
            self.assertEqual(self.ask(url=f"http://x:{port}/")["listener"], listener)
        self.assertEqual(self.ask(host="x", path="/", listener="other")["reason"], "no_route")
        refused = self.ask(422, url="http://x/")
        self.assertIn("other, web", refused["errors"][0]["detail"])
        self.proxy.delete("/v1/listeners/other")
        self.assertEqual(self.ask(url="https://x/")["listener"], "web")

    def test_what_is_wrong_with_a_question(self):
        for question, pointer in [
            ({}, "#"), ({"url": "x"}, "#/url"), ({"url": "ftp://x/"}, "#/url"), ({"url": 1}, "#/url"),
            ({"url": "http://a b/"}, "#/url"), ({"url": "http://x/", "host": "y"}, "#/url"),
            ({"host": "x", "path": "/\r\nX: y"}, "#/path"), ({"host": "x\n", "path": "/"}, "#/host"),
            ({"host": "x", "path": "/", "headers": []}, "#/headers"),
            ({"host": "x", "path": "/", "headers": {"a": "b\r\nc: d"}}, "#/headers"),
            ({"host": "x", "path": "/", "headers": {"a\r\nb": "c"}}, "#/headers"),
            ({"host": "x", "path": "/", "headers": {"a": 1}}, "#/headers"),
            ({"host": "x", "path": "/", "listener": "wen"}, "#/listener"),
            ({"host": "x", "pfad": "/"}, "#/pfad"),
        ]:
            with self.subTest(question):
                answer = self.proxy.api("POST", "/v1/explain/route", question)
                self.assertEqual(answer.status, 422, answer)
                self.assertEqual(answer.pointers, [pointer])
        self.assertEqual(self.ask(422, host="x", path="/", listener="wen")["errors"][0]["suggestion"], "web")
        self.assertEqual(self.ask(422, host="x", pathh="/")["errors"][0]["suggestion"], "path")
        self.assertEqual(self.proxy.api("POST", "/v1/explain/route", b"{", headers={
            "Content-Type": "application/json"}).status, 400)

    def test_what_is_set_by_hand_counts(self):
        self.proxy.put("/v1/pools/main/servers/a/overrides/weight", {"weight": 7})
        question = {"url": "http://www.example.com/api", "listener": "web"}
        self.assertEqual(self.ask(**question)["servers"][0]["weight"], 7)
        self.proxy.admin("a", "maint")
        (server,) = self.ask(**question)["servers"]
        self.assertEqual((server["is_candidate"], server["reason"]), (False, "admin state maint"))
        self.assertEqual(self.ask(**question)["listener_state"], "up")
        self.proxy.put("/v1/listeners/web/admin-state", {"state": "drain"})
        said = self.ask(**question)
        self.assertEqual((said["listener_state"], said["route"]), ("draining", "api"))
        self.assertIn("takes no new connections", said["why"])

    def test_whom_a_cookie_leads_to(self):
        self.proxy.put("/v1/pools/main", {
            "algorithm": "round_robin", "sticky": {"cookie": "lb"},
            "servers": {n: {"address": self.origin(name=n).address} for n in "ab"}})
        with self.connect(self.proxy) as client:
            answer = client.get("/api", {"Host": "www.example.com"})
            cookie, name = answer.get("Set-Cookie").partition(";")[0], answer.get("Origin-Name")
        question = {"url": "http://www.example.com/api", "listener": "web"}

        def sticky(**headers):
            return self.ask(**question, headers=headers)["sticky"]

        said = sticky(Cookie=f"x=1; {cookie}")
        self.assertEqual((said["by"], said["name"], said["server"], said["stays"]), ("cookie", "lb", name, True))
        self.proxy.admin(name, "drain")
        said = sticky(Cookie=cookie)
        self.assertEqual((said["server"], said["stays"]), (name, True), said)
        self.assertIn("others get no requests", said["why"])
        self.proxy.admin(name, "maint")
        said = sticky(Cookie=cookie)
        self.assertEqual((said["server"], said["stays"], said["otherwise"], said["why"]),
                         (name, False, "any server", "admin state maint"))
        shown = run_lbctl("explain", "route", "GET", question["url"], "--listener", "web", "--header",
                          f"Cookie: {cookie}", socket_path=self.proxy.api_socket).stdout
        self.assertIn(f"the cookie lb led to {name}: admin state maint; any server, which is told", shown)
        self.proxy.patch("/v1/pools/main", {"sticky": {"on_unavailable": "fail"}})
        self.assertEqual(sticky(Cookie=cookie)["otherwise"], "fail")
        self.assertNotIn("server", sticky(Cookie="lb=0123456789abcdef"))
        self.assertNotIn("server", sticky())
        # nobody's session was touched by asking
        self.assertEqual(self.proxy.metric("lbd_pool_sticky_total", pool="main", result="hit") or 0, 0)

    def test_it_is_bounded(self):
        pools = {"big": {"servers": {f"s{i}": {"address": f"127.0.0.1:{i + 1}"} for i in range(300)}}}
        routes = {f"r{i}": {"listener": "web", "match": {"path": f"/{i}"}, "action": {"pool": "big"}}
                  for i in range(300)}
        self.proxy.patch("/v1/config", {"pools": pools, "routes": routes})
        said = self.ask(host="x", path="/7", listener="web")
        self.assertEqual(said["route"], "r7")
        self.assertEqual((len(said["servers"]), said["servers_total"], said["candidates"]), (100, 300, 300))
        self.assertEqual((len(said["considered"]), said["considered_total"]), (50, 301))
        self.assertEqual(said["considered"][0]["route"], "all")  # it alone would take it

    def test_settings(self):
        for path, want in [("", ""), ("/pools.servers.weight", "pools.servers.weight"),
                           ("//pools/main/servers/a/weight", "pools.servers.weight")]:
            self.assertEqual(self.proxy.get("/v1/explain" + path)["path"], want)
        weight = self.proxy.get("/v1/explain/pools.servers.weight")
        self.assertEqual((weight["default"], weight["range"]), (100, "1 to 1000, or 1% to 100%"))
        self.assertNotIn("keys", weight)
        answer = self.proxy.api("GET", "/v1/explain/pools.servers.wieght")
        self.assertEqual(answer.status, 404)
        self.assertIn("pools.servers", json.dumps(self.proxy.api("GET", "/v1/explain/weight").body))


if __name__ == "__main__":
    unittest.main()
