"""Weights and states by hand: what they do, when they end, and what beats them."""

import unittest
from collections import Counter

from lab import LabCase, config_for

WEIGHT = "/v1/pools/main/servers/a/overrides/weight"
STATE = "/v1/pools/main/servers/a/admin-state"


class Overrides(LabCase):
    def setUp(self):
        super().setUp()
        self.a, self.b = self.origin(name="a"), self.origin(name="b")
        self.proxy = self.lbd(config_for(self.a, self.b, pool={"algorithm": "round_robin"}),
                              daemon={"workers": 1})

    def shares(self, count=40):
        client = self.connect(self.proxy)
        return Counter(client.get("/").get("Origin-Name") for _ in range(count))

    def events(self, types):
        return self.proxy.get(f"/v1/events?types={types}")["events"]

    def test_a_weight_takes_effect_without_a_revision(self):
        self.assertEqual(self.shares(), {"a": 20, "b": 20})
        revision = self.proxy.api("GET", "/v1/config").revision
        etag = self.proxy.api("GET", "/v1/pools/main").etag
        answer = self.proxy.put(WEIGHT, {"weight": 300, "reason": "large machine"})
        self.assertEqual(answer.header("Lbd-Changed"), "true")
        self.assertEqual((answer.body["weight"], answer.body["configured"]), (300, 100))
        self.assertEqual(answer.body["override"]["weight"], 300)
        self.assertEqual(answer.body["override"]["base"], 100)
        self.assertEqual(answer.revision, revision)
        self.assertEqual(self.proxy.api("GET", "/v1/pools/main").etag, etag)
        self.assertEqual(self.shares(), {"a": 30, "b": 10})
        status = self.proxy.server_status("a")
        self.assertEqual((status["effective_weight"], status["overridden"]), (300, True))
        again = self.proxy.put(WEIGHT, {"weight": 300, "reason": "large machine"})
        self.assertEqual(again.header("Lbd-Changed"), "false")
        self.proxy.delete(WEIGHT)
        self.assertEqual(self.shares(), {"a": 20, "b": 20})
        self.assertNotIn("override", self.proxy.get(WEIGHT))

    def test_a_share_of_the_configured_weight(self):
        self.proxy.patch("/v1/pools/main/servers/a", {"weight": 60})
        body = self.proxy.put(WEIGHT, {"weight": "50%"}).body
        self.assertEqual((body["weight"], body["override"]["weight"]), (30, "50%"))
        self.assertEqual(self.proxy.put(WEIGHT, {"weight": "1%"}).body["weight"], 1)
        answer = self.proxy.api("PUT", WEIGHT, {"weight": "2000%"})
        self.assertEqual((answer.status, answer.pointers), (422, ["#/weight"]))
        answer = self.proxy.api("PUT", WEIGHT + "?dry_run=true", {"weight": "200%"})
        self.assertEqual((answer.status, answer.body["weight"]), (200, 120))
        self.assertEqual(self.proxy.get(WEIGHT)["weight"], 1)

    def test_an_edit_of_the_field_beats_it(self):
        self.proxy.put(WEIGHT, {"weight": 300})
        self.proxy.put(STATE, {"state": "maint"})
        self.proxy.patch("/v1/pools/main/servers/a", {"max_connections": 5})
        self.proxy.patch("/v1/pools/main/servers/b", {"weight": 7})
        self.assertEqual(len(self.proxy.get("/v1/overrides")["overrides"]), 2)
        self.proxy.patch("/v1/pools/main/servers/a", {"weight": 100})  # set, but the same
        self.assertEqual(len(self.proxy.get("/v1/overrides")["overrides"]), 2)
        self.proxy.patch("/v1/pools/main/servers/a", {"weight": 7})
        self.assertEqual(self.proxy.get(WEIGHT)["weight"], 7)
        self.proxy.patch("/v1/pools/main/servers/a", {"admin_state": "drain"})
        self.assertEqual(self.proxy.get(STATE)["state"], "drain")
        self.assertEqual(self.proxy.get("/v1/overrides")["overrides"], [])
        told = [(e["name"], e["data"]["kind"]) for e in self.events("override.superseded")]
        self.assertEqual(told, [("main/a", "weight"), ("main/a", "admin_state")])
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.proxy.get("/v1/overrides")["overrides"], [])

    def test_a_server_that_goes_takes_them_along(self):
        self.proxy.put(WEIGHT, {"weight": 300})
        self.proxy.put(STATE, {"state": "maint"})
        server = self.proxy.get("/v1/pools/main/servers/a")
        self.proxy.delete("/v1/pools/main/servers/a")
        server.pop("meta", None)
        self.proxy.put("/v1/pools/main/servers/a", server)
        self.assertEqual(self.proxy.get(WEIGHT)["weight"], 100)
        self.assertEqual(self.proxy.get(STATE)["state"], "ready")
        self.assertEqual(len(self.events("override.superseded")), 2)

    def test_it_expires(self):
        self.proxy.put(WEIGHT, {"weight": 300, "expires": "1500ms"})
        self.proxy.put(STATE, {"state": "maint", "expires": "2s"})
        self.assertIn("expires", self.proxy.get(STATE)["override"])
        self.wait_for(lambda: not self.proxy.get("/v1/overrides")["overrides"], "both have ended")
        self.assertEqual(self.proxy.get(STATE)["state"], "ready")
        self.assertEqual([e["data"]["kind"] for e in self.events("override.expired")],
                         ["weight", "admin_state"])
        self.wait_for(lambda: self.shares() == {"a": 20, "b": 20}, "as configured")

    def test_it_expires_while_lbd_is_down(self):
        self.proxy.put(WEIGHT, {"weight": 300, "expires": "1s"})
        self.proxy.put(STATE, {"state": "maint", "expires": "1h"})
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.proxy.get(STATE)["state"], "maint")
        self.wait_for(lambda: len(self.proxy.get("/v1/overrides")["overrides"]) == 1, "one ended")
        self.assertEqual(self.proxy.get(STATE)["state"], "maint")

    def test_all_are_listed(self):
        self.proxy.put(WEIGHT, {"weight": "50%", "reason": "warming up"})
        self.proxy.put(STATE, {"state": "drain"})
        self.proxy.put("/v1/listeners/web/admin-state", {"state": "drain", "expires": "1h"})
        self.proxy.put("/v1/admin-state", {"state": "drain"})
        listed = {(o["kind"], o["target"]): o for o in self.proxy.get("/v1/overrides")["overrides"]}
        self.assertEqual(set(listed), {("weight", "main/a"), ("admin_state", "main/a"),
                                       ("admin_state", "listener/web"), ("admin_state", "process")})
        self.assertEqual(listed["weight", "main/a"]["reason"], "warming up")
        self.assertIn("expires", listed["admin_state", "listener/web"])
        self.assertEqual(self.proxy.get("/v1/config/status")["overrides"], 4)
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(len(self.proxy.get("/v1/overrides")["overrides"]), 4)
        self.assertEqual(self.proxy.get(WEIGHT)["weight"], 50)

    def test_what_cannot_be_saved_does_not_happen(self):
        state = self.proxy.state_directory / "overrides.json"
        state.with_suffix(".json.tmp").mkdir()  # where it would be written
        for path, body in ((WEIGHT, {"weight": 3}), (STATE, {"state": "maint"}),
                           ("/v1/listeners/web/admin-state", {"state": "drain"})):
            answer = self.proxy.api("PUT", path, body)
            self.assertEqual((answer.status, answer.body["type"]), (507, "/v1/problems/storage"))
        self.assertEqual(self.proxy.get("/v1/overrides")["overrides"], [])
        self.assertEqual(self.shares(), {"a": 20, "b": 20})
        state.with_suffix(".json.tmp").rmdir()
        self.proxy.put(STATE, {"state": "maint"})
        self.assertEqual(self.shares(), {"b": 40})

    def test_every_one_of_many_survives_a_kill(self):
        for weight in range(1, 41):
            self.proxy.put(WEIGHT, {"weight": weight})
        self.proxy.put(STATE, {"state": "maint"})
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.proxy.get(WEIGHT)["weight"], 40)
        self.assertEqual(self.proxy.get(STATE)["state"], "maint")
        self.proxy.put(WEIGHT, {"weight": 41})
        self.proxy.delete(STATE)
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.proxy.get(WEIGHT)["weight"], 41)
        self.assertEqual(self.proxy.get(STATE)["state"], "ready")

    def test_half_a_record_is_the_end(self):
        self.proxy.put(WEIGHT, {"weight": 7})  # into the file
        self.proxy.put(WEIGHT, {"weight": 8})  # the rest into its journal
        self.proxy.put(WEIGHT, {"weight": 9})
        self.proxy.kill()
        log = self.proxy.state_directory / "overrides.log"
        text = log.read_bytes()
        last = text.rindex(b"\n")
        log.write_bytes(text[:last - 5] + b"\0" * (len(text) - last + 5))
        self.proxy.restart()
        self.assertEqual(self.proxy.get(WEIGHT)["weight"], 8)
        self.assertEqual(self.proxy.api("GET", "/v1/config/status").body["degraded"], False)

    def test_what_is_lost_of_them_is_told(self):
        """A server in maintenance that is in use again after a start: somebody must know."""
        self.proxy.put(WEIGHT, {"weight": 7})  # into the file
        self.proxy.put(STATE, {"state": "maint"})  # the rest into its journal
        self.proxy.put(WEIGHT, {"weight": 9})
        self.proxy.stop()
        state = self.proxy.state_directory
        good = {name: (state / name).read_bytes() for name in ("overrides.json", "overrides.log")}
        log = good["overrides.log"]
        damages = {
            "empty": ("overrides.json", b""),
            "no object": ("overrides.json", b"[1]"),
            "a flipped bit": ("overrides.log", log[:50] + bytes([log[50] ^ 1]) + log[51:]),
            "cut": ("overrides.log", log[:60]),
            "cut to nothing": ("overrides.log", b""),
            "gone": ("overrides.log", None),
            "a folder": ("overrides.log", "folder"),
        }
        for what, (name, damage) in damages.items():
            with self.subTest(what):
                for other, text in good.items():
                    (state / other).write_bytes(text)
                path = state / name
                if isinstance(damage, bytes):
                    path.write_bytes(damage)
                else:
                    path.unlink()
                    if damage is not None:
                        path.mkdir()
                self.proxy.start()
                self.assertTrue(self.proxy.get("/v1/config/status")["degraded"])
                self.proxy.wait_log("overrides.damaged")
                self.proxy.put(STATE, {"state": "drain"})  # and it goes on
                self.proxy.kill()
                if path.is_dir():
                    path.rmdir()
                self.proxy.start()
                self.assertEqual(self.proxy.get(STATE)["state"], "drain")
                self.assertFalse(self.proxy.get("/v1/config/status")["degraded"])
                self.proxy.stop()

    def test_a_file_of_an_earlier_version(self):
        self.proxy.kill()
        (self.proxy.state_directory / "overrides.json").write_text(
            '{"servers":{"main/a":{"base":"ready","reason":"kernel","since":1770000000000000,'
            '"state":"maint","who":"unix"}}}')
        self.proxy.restart()
        self.assertEqual(self.proxy.get(STATE)["override"]["reason"], "kernel")
        self.proxy.put(WEIGHT, {"weight": 9})
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.proxy.get(STATE)["state"], "maint")
        self.assertEqual(self.proxy.get(WEIGHT)["weight"], 9)

    def test_bad_weights(self):
        for body in ({"weight": 0}, {"weight": 1001}, {"weight": "x"}, {"weight": None}, {}, [],
                     {"weight": 5, "state": "drain"}, {"weight": "0%"}):
            with self.subTest(body):
                self.assertEqual(self.proxy.api("PUT", WEIGHT, body).status, 422)
        self.assertEqual(
            self.proxy.api("PUT", "/v1/pools/main/servers/no/overrides/weight",
                           {"weight": 1}).status, 404)
        self.assertEqual(self.proxy.api("GET", WEIGHT).body["weight"], 100)


if __name__ == "__main__":
    unittest.main()
