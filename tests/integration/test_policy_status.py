"""What policies say of themselves: decisions, whom they hold back, keys, services, users, sets; and who may read it."""

import base64
import json
import os
import shutil
import tempfile
import threading
import unittest
import warnings
from pathlib import Path

from lab import LabCase, config_for, h2, run_lbctl, wait_for
from lab.origin import respond

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

HASH = crypt.crypt("secret", "$6$rounds=1000$salt")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def login(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class PolicyStatus(LabCase):
    def start(self, policy, name="p", script=None, workers=2, **sections):
        self.server = self.origin(script)
        self.document = config_for(self.server, **sections)
        self.document["policies"] = {name: policy}
        self.document["routes"] = {"r": {"listener": "web", "policies": [name], "action": {"pool": "main"}}}
        self.proxy = self.lbd(self.document, daemon={"workers": workers})
        return self.connect(self.proxy)

    def status(self, name="p"):
        return self.proxy.get(f"/v1/policies/{name}/status")

    def summary(self, name="p"):
        return self.proxy.get("/v1/status")["policies"][name]

    def problems(self):
        return [p["message"] for p in self.proxy.get("/v1/status")["problems"] if p["pointer"] == "#/policies/p"]

    def ctl(self, *args):
        result = run_lbctl(*args, socket_path=self.proxy.api_socket)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def folder(self):
        folder = tempfile.mkdtemp(prefix="lab-policy-")
        self.addCleanup(shutil.rmtree, folder)
        return Path(folder)

    @staticmethod
    def write(path, text):
        fresh = path.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        os.replace(fresh, path)

    # -- decisions --

    def test_decisions_and_who_asks(self):
        client = self.start({"access": {"deny": ["127.0.0.2"]}})
        self.document["listeners"]["web"]["policies"] = ["p"]
        self.document["policies"]["idle"] = {"access": {"deny": ["10.0.0.0/8"]}}
        self.proxy.put("/v1/config", self.document)
        client.get("/")
        other = self.connect(self.proxy, source="127.0.0.2")
        other.get("/")
        second = h2.H2Client(self.proxy.address("web"))
        self.addCleanup(second.close)
        second.request()
        got = self.status()
        self.assertEqual((got["kind"], got["mode"]), ("access", "enforce"))
        self.assertEqual(got["decisions"], {"allow": 2, "deny": 1, "shadow": 0, "wait": 0})  # once, though both name it
        self.assertEqual((got["used_by"], got["used_by_total"]), (["#/listeners/web", "#/routes/r"], 2))
        self.assertEqual(self.status("idle")["used_by"], [])
        self.assertEqual(self.summary()["decisions"], got["decisions"])
        self.proxy.patch("/v1/policies/p", {"mode": "shadow"})
        other = self.connect(self.proxy, source="127.0.0.2")
        self.assertEqual(other.get("/").status, 200)
        got = self.status()
        self.assertEqual((got["mode"], got["decisions"]["shadow"], got["decisions"]["deny"]), ("shadow", 1, 1))
        self.assertEqual(self.proxy.metric("lbd_policy_decisions_total", policy="p", decision="shadow"), 1)
        missing = self.proxy.api("GET", "/v1/policies/nobody/status")
        self.assertEqual(missing.status, 404)

    def test_lbctl_shows_them(self):
        self.start({"rate_limit": {"requests": 2, "per": "hour"}})
        with self.connect(self.proxy, source="127.0.0.2") as client:
            self.assertEqual([client.get("/").status for _ in range(5)], [200, 200, 429, 429, 429])
        lines = self.ctl("get", "policies").splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "KIND", "MODE", "ALLOWED", "DENIED", "SHADOW", "KEYS"])
        self.assertEqual(lines[1].split(), ["p", "rate_limit", "enforce", "2", "3", "0", "1"])
        text = self.ctl("describe", "policy", "p")
        self.assertRegex(text, r"decisions\.deny +3\n")
        self.assertRegex(text, r"KEY +USED +LIMIT +NEXT-ONE\n +127\.0\.0\.2 +2 +2 +refused\n")
        self.assertIn("refused 3 of 5", self.ctl("status"))
        self.assertEqual(json.loads(self.ctl("describe", "policy", "p", "-ojson"))["status"]["keys"]["held"], 1)

    # -- keys --

    def test_rate_limit_names_the_addresses_it_refuses(self):
        self.start({"rate_limit": {"requests": 4, "per": "hour"}}, workers=3)
        for last, count in ((1, 1), (2, 4), (3, 9), (4, 3)):
            with self.connect(self.proxy, source=f"127.0.0.{last}") as client:
                for _ in range(count):
                    client.get("/")
        keys = self.status()["keys"]
        self.assertEqual((keys["held"], keys["limit"], keys["evictions"]), (4, 4, 0))
        self.assertEqual({(k["key"], k["used"], k["full"]) for k in keys["fullest"]},
                         {("127.0.0.2", 4, True), ("127.0.0.3", 4, True)})
        self.assertEqual(len({k["id"] for k in keys["fullest"]}), 2)

    def test_networks_are_named_as_networks(self):
        client = self.start({"rate_limit": {"requests": 1, "per": "hour", "key": {"ipv4_prefix": 24}}})
        self.assertEqual([client.get("/").status for _ in range(2)], [200, 429])
        self.assertEqual([k["key"] for k in self.status()["keys"]["fullest"]], ["127.0.0.0/24"])

    def test_values_of_headers_are_not_told(self):
        secret = "api-key-0123456789"
        client = self.start({"rate_limit": {"requests": 1, "per": "hour",
                                            "key": {"by": "header", "name": "X-Api-Key"}}})
        for headers in ({"X-Api-Key": secret}, {}, {"X-Api-Key": "other"}):
            self.assertEqual([client.get("/", headers).status for _ in range(2)], [200, 429])
        answer = self.proxy.api("GET", "/v1/policies/p/status")
        full = answer.body["keys"]["fullest"]
        self.assertEqual(sorted(k.get("key", "-") for k in full), ["-", "-", "missing"])
        self.assertTrue(all(len(k["id"]) == 16 for k in full))
        self.assertNotIn(b"api-key", answer.raw)
        self.assertRegex(self.ctl("describe", "policy", "p"), r"id [0-9a-f]{16} +1 +1 +refused")

    def test_the_log_has_the_id_of_a_key_that_is_refused(self):
        client = self.start({"rate_limit": {"requests": 1, "per": "hour",
                                            "key": {"by": "header", "name": "X-Api-Key"}}})
        self.assertEqual([client.get("/", {"X-Api-Key": "a"}).status for _ in range(2)], [200, 429])
        (key,) = [k["id"] for k in self.status()["keys"]["fullest"] if k["full"]]
        passed, refused = self.proxy.wait_access_log(2)
        self.assertNotIn("policy_key", passed)
        self.assertEqual(refused["policy_key"], key)
        story = self.proxy.get("/v1/requests/" + refused["request_id"])
        self.assertEqual(story["policy_key"], key)
        self.assertIn(f"the key it counted: id {key}", self.ctl("explain", "request", refused["request_id"]))
        self.proxy.patch("/v1/policies/p", {"mode": "shadow"})
        self.assertEqual(client.get("/", {"X-Api-Key": "a"}).status, 200)
        self.assertEqual(self.proxy.wait_access_log(3)[2].get("policy_key"), key)

    def test_routes_and_all(self):
        client = self.start({"rate_limit": {"requests": 1, "per": "hour", "key": {"by": "route"}}})
        self.assertEqual([client.get("/").status for _ in range(2)], [200, 429])
        self.assertEqual([k["key"] for k in self.status()["keys"]["fullest"]], ["r"])
        self.proxy.patch("/v1/policies/p", {"rate_limit": {"key": {"by": "all"}}})
        self.assertEqual([client.get("/").status for _ in range(2)], [200, 429])
        self.assertIn("all", [k["key"] for k in self.status()["keys"]["fullest"]])

    def test_many_keys_are_bounded(self):
        self.start({"rate_limit": {"requests": 1, "per": "hour"}})
        for last in range(1, 61):
            with self.connect(self.proxy, source=f"127.0.1.{last}") as client:
                self.assertEqual([client.get("/").status for _ in range(2)], [200, 429])
        keys = self.status()["keys"]
        self.assertEqual((keys["held"], len(keys["fullest"])), (60, 20))
        self.assertEqual(self.summary()["keys"], 60)

    def test_no_more_are_held_than_there_are_places(self):
        self.start({"rate_limit": {"requests": 1, "per": "hour", "keys": 16}})
        for last in range(1, 101):
            with self.connect(self.proxy, source=f"127.0.1.{last}") as client:
                client.get("/")
        keys = self.status()["keys"]
        self.assertLessEqual(keys["held"], keys["max"])
        self.assertEqual(keys["max"], 32)

    def test_concurrency_shows_who_is_there(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def slow(peer):
            peer.rx()
            go.wait(30)
            peer.send(respond(200))

        self.start({"concurrency": {"requests": 2}}, script=slow)
        clients = [self.connect(self.proxy) for _ in range(2)]
        threads = [threading.Thread(target=client.get) for client in clients]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(self.server.requests) == 2, "both requests at the server")
        keys = self.status()["keys"]
        self.assertEqual(keys["limit"], 2)
        self.assertEqual([(k["key"], k["used"], k["full"]) for k in keys["fullest"]], [("127.0.0.1", 2, True)])
        self.assert_reason(self.connect(self.proxy).get("/"), 429, "concurrency_limit")
        go.set()
        for thread in threads:
            thread.join()
        wait_for(lambda: self.status()["keys"]["fullest"] == [], "they are gone")

    # -- what policies depend on --

    def test_access_counts_its_networks(self):
        path = self.folder() / "set"
        self.write(path, "203.0.113.0/24\n# nobody\n198.51.100.7\n")
        self.start({"access": {"allow": ["127.0.0.0/8", "127.0.0.1"], "deny_sets": ["bad"], "allow_sets": ["good"]}},
                   address_sets={"bad": {"addresses": ["192.0.2.1"], "file": str(path)}, "good": {"addresses": []}})
        self.assertEqual(self.status()["access"], {
            "allow": 1, "deny": 3, "sets": [{"name": "good", "list": "allow", "networks": 0},
                                            {"name": "bad", "list": "deny", "networks": 3}]})
        self.write(path, "203.0.113.0/24\n")
        wait_for(lambda: self.status()["access"]["deny"] == 2, "the file is read again")
        self.write(path, "nonsense\n")
        refused = wait_for(lambda: self.status().get("file_refused"), "the file is refused")
        self.assertIn("line 1: is no network", refused)
        self.assertEqual(self.problems(), [f"its file cannot be used, the one before goes on: {refused}"])
        self.assertEqual(self.status()["access"]["deny"], 2)
        self.write(path, "")
        wait_for(lambda: "file_refused" not in self.status(), "a good one is taken")
        self.assertEqual(self.problems(), [])

    def test_basic_auth_counts_users_and_what_it_remembers(self):
        client = self.start({"basic_auth": {"realm": "x", "users": [f"ann:{HASH}", f"bob:{HASH}"]}}, workers=1)
        for _ in range(3):
            self.assertEqual(client.get("/", login("ann", "secret")).status, 200)
        self.assertEqual(client.get("/", login("ann", "wrong")).status, 401)
        got = self.status()
        self.assertEqual((got["users"], got["cache"]), (2, {"hits": 2, "misses": 2}))
        self.assertEqual(got["decisions"], {"allow": 3, "deny": 1, "shadow": 0, "wait": 2})
        self.assertEqual(self.proxy.metric("lbd_policy_cache_total", policy="p", result="hit"), 2)
        self.assertNotIn("$6$", json.dumps(got))

    def test_keys_of_a_file(self):
        path = self.folder() / "keys"
        keys = [{"kty": "oct", "kid": "one", "k": b64(b"0123456789abcdef0123456789abcdef")},
                {"kty": "oct", "k": b64(b"fedcba9876543210fedcba9876543210")}]
        self.write(path, json.dumps({"keys": keys}))
        self.start({"jwt": {"keys_file": str(path)}})
        self.assertEqual(self.status()["jwt"], {
            "source": "file", "file": str(path),
            "keys": [{"kid": "one", "algorithm": "HS256"}, {"algorithm": "HS256"}]})
        self.write(path, "{}")
        wait_for(lambda: self.status().get("file_refused"), "the file is refused")
        self.assertEqual(len(self.status()["jwt"]["keys"]), 2)
        self.write(path, json.dumps({"keys": keys[1:]}))
        wait_for(lambda: len(self.status()["jwt"]["keys"]) == 1, "the file is read again")

    def test_keys_of_a_url(self):
        said = [respond(500)]

        def service(peer):
            peer.rx()
            peer.send(said[0])

        keys = self.origin(service)
        client = self.start({"jwt": {"keys_url": f"http://{keys.address}/keys", "refresh": "1m"}})
        got = wait_for(lambda: (s := self.status()["jwt"]).get("failures") and s, "the first question failed")
        self.assertEqual((got["source"], got["keys"], got["last_error"]),
                         ("url", [], "it answers with HTTP status 500"))
        self.assertNotIn("fetched_at", got)
        self.assertIn("next_fetch_at", got)
        self.assertEqual(self.problems(), ["keys cannot be fetched: it answers with HTTP status 500; "
                                           "tokens are answered 503"])
        self.assert_reason(client.get("/", {"Authorization": "Bearer a.b.c"}), 503, "keys_unavailable")
        said[0] = respond(200, json.dumps({"keys": [{"kty": "oct", "kid": "k", "k": b64(b"x" * 32)}]}).encode())
        got = wait_for(lambda: (s := self.status()["jwt"])["keys"] and s, "keys came")
        self.assertEqual((got["keys"], got["failures"]), ([{"kid": "k", "algorithm": "HS256"}], 0))
        self.assertIn("fetched_at", got)
        self.assertEqual(got["last_error"], "it answers with HTTP status 500")  # that was, and when
        self.assertEqual(self.problems(), [])

    def test_a_service_that_answers_and_one_that_does_not(self):
        said = [respond(204)]

        def service(peer):
            while True:
                peer.rx()
                peer.send(said[0])

        door = self.origin(service)
        client = self.start({"external_auth": {"url": f"http://{door.address}/", "cache_ttl": "1h"}}, workers=1)
        self.assertEqual(self.status()["external_auth"],
                         {"url": f"http://{door.address}/", "state": "unknown", "failures": 0})
        self.assertEqual([client.get("/").status for _ in range(2)], [200, 200])
        got = self.status()
        self.assertEqual((got["external_auth"]["state"], got["cache"]), ("answering", {"hits": 1, "misses": 1}))
        said[0] = respond(500)
        for count in (1, 2):
            self.assert_reason(client.get(f"/{count}"), 503, "external_failed")
            got = self.status()["external_auth"]
            self.assertEqual((got["state"], got["failures"], got["last_error"]),
                             ("failing", count, "it answers with HTTP status 500"))
        self.assertEqual(self.problems(),
                         ["its service does not answer as it should: it answers with HTTP status 500"])
        for count, status in enumerate((304, 400, 404, 429), 3):  # neither a yes nor a no
            said[0] = respond(status)
            answer = client.get(f"/{count}")
            self.assert_reason(answer, 503, "external_failed")
            self.assertEqual(answer.body, b"lbd: external_failed: the service that a policy asks said neither yes nor no\n")
            got = self.status()["external_auth"]
            self.assertEqual((got["state"], got["failures"], got["last_error"]),
                             ("failing", count, f"it answers with HTTP status {status}"))
        said[0] = respond(403)
        self.assertEqual(client.get("/no").status, 403)  # a no is an answer
        got = self.status()["external_auth"]
        self.assertEqual((got["state"], got["failures"]), ("answering", 0))
        self.assertEqual(self.problems(), [])
        # another url is another service
        self.proxy.patch("/v1/policies/p", {"external_auth": {"url": f"http://{door.address}/other"}})
        self.assertEqual(self.status()["external_auth"]["state"], "unknown")

    def test_other_kinds_have_the_common_part_only(self):
        self.start({"headers": {"response": {"set": {"X-A": "b"}}}})
        self.assertEqual(set(self.status()),
                         {"observed_revision", "kind", "mode", "decisions", "used_by", "used_by_total"})


if __name__ == "__main__":
    unittest.main()
