"""Clients stay with their pool of a split: by a cookie of ours, over every change of weights."""

import os
import re
import shutil
import tempfile
import unittest

from lab import LabCase, certs, config_for, h2, run_lbctl

TOKEN = re.compile(r"\Arelease=([0-9a-f]{16})((?:; [^;]+)*)\Z")


class SplitCookie(LabCase):
    def serve(self, pools=None, cookie=None, more_pools=None, daemon=None, **listener):
        """Pools with one server each, whose clients are told apart by X-User."""
        weights = pools or {"one": 1, "two": 1}
        names = list(weights) + list(more_pools or ())
        self.servers = {name: self.origin(name=name) for name in names}
        document = config_for(self.servers[names[0]], listener=listener)
        del document["listeners"]["web"]["default_pool"]
        document["pools"] = {name: {"servers": {"a": {"address": o.address}}} for name, o in self.servers.items()}
        for name, more in (more_pools or {}).items():
            document["pools"][name].update(more)
        document["routes"] = {"r": {"listener": "web", "action": {"split": {
            "pools": weights, "key": "header", "name": "X-User", "cookie": {"name": "release", **(cookie or {})}}}}}
        self.document = document
        self.proxy = self.lbd(document, daemon={"workers": 2, **(daemon or {})})

    def ask(self, user=0, cookie=None, target="/", listener="web", tls=None):
        """(who answered, the cookie we got or None), on a connection of its own."""
        headers = {"X-User": str(user), **({"Cookie": cookie} if cookie is not None else {})}
        with self.connect(self.proxy, listener=listener, tls=tls) as client:
            response = client.get(target, headers)
        self.assertEqual(response.status, 200, response)
        return response.get("Origin-Name"), response.get("Set-Cookie")

    def weigh(self, **weights):
        self.proxy.patch("/v1/routes/r", {"action": {"split": {"pools": weights}}})

    def belong(self):
        """One client of each pool: {pool: cookie}."""
        found = {}
        for user in range(64):
            name, cookie = self.ask(user)
            found.setdefault(name, cookie.partition(";")[0])
        self.assertEqual(set(found), set(self.document["routes"]["r"]["action"]["split"]["pools"]))
        return found

    def stays(self, clients):
        for name, cookie in clients.items():
            for user in range(12):  # whoever it is by the key
                self.assertEqual(self.ask(user, cookie), (name, None))

    def split_metric(self, pool, result):
        return self.proxy.metric("lbd_pool_split_total", pool=pool, result=result)

    def test_who_has_none_gets_one_by_the_weights(self):
        """A hash of user and pool alone decides: the counts are the same each time."""
        self.serve({"one": 70, "two": 30})
        with self.connect(self.proxy) as client:
            answers = [client.get("/", {"X-User": f"u{i}"}) for i in range(300)]
        counts = {name: sum(a.get("Origin-Name") == name for a in answers) for name in self.servers}
        self.assertTrue(180 <= counts["one"] <= 240, counts)
        cookies = {(a.get("Origin-Name"), a.get("Set-Cookie")) for a in answers}
        self.assertEqual(len(cookies), 2, "a cookie says the pool and nothing of the client")
        self.assertEqual(self.split_metric("one", "new"), counts["one"])
        self.assertEqual(self.split_metric("two", "new"), counts["two"])

    def test_who_has_one_stays_when_weights_change(self):
        self.serve()
        clients = self.belong()
        self.stays(clients)
        self.weigh(one=1, two=1000000)
        self.stays(clients)
        self.weigh(one=1000000, two=1)
        self.stays(clients)
        self.assertEqual(self.split_metric("one", "stayed"), 36)
        self.assertEqual(self.split_metric("two", "stayed"), 36)
        self.assertEqual(self.split_metric("one", "moved"), 0)

    def test_a_restart_changes_nothing(self):
        self.serve()
        clients = self.belong()
        self.proxy.stop()
        self.proxy.restart()
        self.stays(clients)

    def test_a_pool_without_weight_gets_nobody(self):
        """The end of a canary is one change."""
        self.serve()
        clients = self.belong()
        self.weigh(two=0)
        name, cookie = self.ask(1, clients["two"])
        self.assertEqual((name, cookie.partition(";")[0]), ("one", clients["one"]))
        self.assertEqual(self.split_metric("one", "moved"), 1)
        self.weigh(two=1)
        self.stays(clients)  # who kept the old cookie is where it was

    def test_a_pool_that_leaves_gives_its_clients_away(self):
        self.serve({"one": 1, "two": 1, "three": 1})
        clients = self.belong()
        self.weigh(two=None)
        moved = {self.ask(user, clients["two"]) for user in range(40)}
        self.assertEqual({name for name, _ in moved}, {"one", "three"})
        self.assertEqual({(name, cookie.partition(";")[0]) for name, cookie in moved},
                         {(name, clients[name]) for name in ("one", "three")})
        self.stays({name: clients[name] for name in ("one", "three")})

    def test_what_lbd_did_not_make_counts_for_nothing(self):
        self.serve()
        clients = self.belong()
        home = {user: self.ask(user) for user in range(20)}
        for value in ("", "0" * 16, "f" * 17, "G" * 16, "two", "one", "\"" + "1" * 14 + "\"",
                      clients["two"][8:-1] + ("0" if clients["two"][-1] != "0" else "1")):
            with self.subTest(value):
                for user, (name, cookie) in home.items():
                    self.assertEqual(self.ask(user, f"release={value}"), (name, cookie))
        self.assertEqual(self.split_metric("one", "unknown") + self.split_metric("two", "unknown"), 160)

    def test_values_are_those_of_the_key_file(self):
        folder = tempfile.mkdtemp(prefix="lab-split-")
        self.addCleanup(shutil.rmtree, folder)
        secret = os.path.join(folder, "secret")

        def write(text):
            with open(os.open(secret + ".new", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(text)
            os.replace(secret + ".new", secret)

        self.serve()
        known = self.belong()
        write("0123456789abcdef")
        self.proxy.patch("/v1/routes/r", {"action": {"split": {"cookie": {"key_file": secret}}}})
        made = self.belong()
        self.assertFalse(set(known.values()) & set(made.values()))
        self.stays(made)
        for user in range(8):  # what was made without it is of nobody
            self.assertEqual(self.ask(user, known["two"]), self.ask(user))
        write("short")
        refused = self.proxy.api("PATCH", "/v1/routes/r", {"action": {"split": {"cookie": {"key_file": folder}}}})
        self.assertEqual(refused.status, 422, refused)
        self.assertEqual(refused.body["errors"][0]["pointer"], "#/routes/r/action/split/cookie/key_file")
        self.stays(made)

    def test_what_the_cookie_looks_like(self):
        self.serve()
        _, cookie = self.ask()
        self.assertEqual(TOKEN.match(cookie).group(2), "; Path=/; HttpOnly; SameSite=Lax")
        self.proxy.patch("/v1/routes/r", {"action": {"split": {"cookie": {
            "path": "/shop", "domain": "test", "http_only": False, "secure": "on", "same_site": "none",
            "max_age": "90s"}}}})
        _, other = self.ask()
        self.assertEqual(TOKEN.match(other).groups(), (
            TOKEN.match(cookie).group(1), "; Path=/shop; Domain=test; Max-Age=90; Secure; SameSite=None"))

    def test_it_is_secure_over_tls(self):
        folder = tempfile.mkdtemp(prefix="lab-split-")
        self.addCleanup(shutil.rmtree, folder)
        authority = certs.Authority(folder)
        certificate = authority.issue("web", names=["DNS:localhost"])
        self.serve()
        self.proxy.put("/v1/certificates/c", {"chain_file": str(certificate.chain), "key_file": str(certificate.key)})
        self.proxy.put("/v1/listeners/safe", {"bind": ["127.0.0.1:0"], "tls": {"certificates": ["c"]}})
        self.proxy.put("/v1/routes/s", {**self.document["routes"]["r"], "listener": "safe"})
        name, cookie = self.ask(3, listener="safe", tls=certs.client_context(authority))
        self.assertIn("; Secure;", cookie)
        # the other route with this name and these pools agrees
        self.assertEqual(self.ask(4, cookie.partition(";")[0]), (name, None))
        self.assertNotIn("Secure", self.ask(3)[1])

    def test_servers_do_not_see_it(self):
        self.serve()
        name, cookie = next(iter(self.belong().items()))
        for sent, seen in [(cookie, None), (f"x=1; {cookie}; y=2", "x=1; y=2"), ("release=; x=1", "x=1")]:
            with self.subTest(sent):
                who, _ = self.ask(0, sent)
                self.assertEqual(self.servers[who].requests[-1].get("Cookie"), seen)
        self.proxy.patch("/v1/routes/r", {"action": {"split": {"cookie": {"forward": True}}}})
        self.ask(0, f"x=1; {cookie}")
        self.assertEqual(self.servers[name].requests[-1].get("Cookie"), f"x=1; {cookie}")

    def test_both_cookies_of_a_sticky_pool(self):
        self.serve({"one": 1, "two": 0})
        self.proxy.patch("/v1/pools/one", {"sticky": {"cookie": "server"}})
        with self.connect(self.proxy) as client:
            response = client.get("/", {"X-User": "1"})
            made = [line.partition(";")[0] for line in response.all("Set-Cookie")]
            self.assertEqual(sorted(pair.partition("=")[0] for pair in made), ["release", "server"])
            self.assertIsNone(client.get("/", {"Cookie": "; ".join(made)}).get("Set-Cookie"))
        self.assertIsNone(self.servers["one"].requests[-1].get("Cookie"))
        clash = self.proxy.api("PATCH", "/v1/pools/one", {"sticky": {"cookie": "release"}})
        self.assertEqual(clash.status, 422, clash)
        self.assertEqual(clash.body["errors"][0]["pointer"], "#/routes/r/action/split/cookie/name")
        self.assertIn("sticky.cookie of pool 'one'", clash.body["errors"][0]["detail"])

    def test_a_pool_that_stands_in_is_no_new_home(self):
        self.serve(more_pools={"spare": {}})
        clients = self.belong()
        self.proxy.patch("/v1/pools/two", {"when_all_down": "fallback", "fallback_pool": "spare",
                                              "servers": {"a": {"admin_state": "maint"}}})
        self.assertEqual(self.ask(1, clients["two"]), ("spare", None))
        for user in range(64):
            name, cookie = self.ask(user)
            if name == "spare":
                self.assertEqual(cookie.partition(";")[0], clients["two"])
                break
        else:
            self.fail("nobody new belongs to two")
        self.proxy.patch("/v1/pools/two", {"servers": {"a": {"admin_state": "ready"}}})
        self.stays(clients)

    def test_answers_of_lbd_tell_nothing(self):
        self.serve({"one": 1})
        self.proxy.patch("/v1/pools/one", {"servers": {"a": {"admin_state": "maint"}}})
        with self.connect(self.proxy) as client:
            response = client.get("/")
        self.assertEqual((response.status, response.get("Set-Cookie")), (503, None))

    def test_over_http2_and_crumbs(self):
        self.serve()
        clients = self.belong()
        client = h2.H2Client(self.proxy.address("web"))
        self.addCleanup(client.close)
        homes = {user: self.ask(user) for user in range(8)}
        for user, (name, cookie) in homes.items():  # the same as over HTTP/1
            answer = client.request(extra=(("x-user", str(user)),))
            self.assertEqual((answer.get("origin-name"), answer.get("set-cookie")), (name, cookie))
        self.weigh(one=1, two=1000000)
        for name, cookie in clients.items():
            for user in range(8):
                answer = client.request(extra=(("x-user", str(user)), ("cookie", "x=1"), ("cookie", cookie),
                                               ("cookie", "y=2")))
                self.assertEqual((answer.get("origin-name"), answer.get("set-cookie")), (name, None))
            self.assertEqual(self.servers[name].requests[-1].get("Cookie"), "x=1; y=2")

    def test_it_is_explained(self):
        self.serve({"one": 70, "two": 30})
        clients = self.belong()

        def explain(**headers):
            said = self.proxy.api("POST", "/v1/explain/route", {
                "url": "http://x/", "listener": "web", "client": "192.0.2.1",
                "headers": {name.replace("_", "-"): value for name, value in headers.items()}}).body
            return said["pool"], said["split_by"], said["split_why"]

        for user in range(4):
            name, _ = self.ask(user)
            share = {"one": 70, "two": 30}[name]
            self.assertEqual(explain(X_User=str(user)),
                             (name, "key", f"header 'X-User' falls into its share, {share} of 100"))
        for name, cookie in clients.items():
            self.assertEqual(explain(Cookie=cookie),
                             (name, "cookie", "cookie 'release' says so, whatever the weights are"))
        pool, by, why = explain(Cookie="release=0123456789abcdef")
        share = {"one": 70, "two": 30}[pool]
        self.assertEqual((by, why), ("address", "its cookie names no pool of the split: the client's address "
                                     f"falls into its share, {share} of 100"))
        self.weigh(two=0)
        self.assertEqual(explain(Cookie=clients["two"], X_User="3"), (
            "one", "key", "its cookie names a pool of weight 0: header 'X-User' falls into its share, 70 of 70"))
        text = self.ctl("explain", "route", "GET", "http://x/", "--listener", "web", "-H", f"Cookie: {clients['one']}")
        self.assertIn("split, here pool one", text.stdout)
        self.assertIn("this pool because: cookie 'release' says so", text.stdout)

    def test_without_a_key_chance_draws_who_is_new(self):
        self.serve({"one": 50, "two": 50})
        self.proxy.patch("/v1/routes/r", {"action": {"split": {"key": None, "name": None}}})
        clients = {}
        for _ in range(64):  # one client to lbd: it has one address
            name, cookie = self.ask()
            clients[name] = cookie.partition(";")[0]
        self.assertEqual(set(clients), {"one", "two"})
        self.stays(clients)
        said = self.proxy.api("POST", "/v1/explain/route", {"url": "http://x/", "listener": "web"}).body
        self.assertEqual((said["split_by"], said["split_why"]),
                         ("chance", "drawn by chance, the next one anew, 50 of 100"))
        self.proxy.patch("/v1/routes/r", {"action": {"split": {"key": "source"}}})
        self.assertEqual(len({self.ask()[0] for _ in range(16)}), 1)

    def ctl(self, *arguments):
        result = run_lbctl(*arguments, socket_path=self.proxy.api_socket)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result


if __name__ == "__main__":
    unittest.main()
