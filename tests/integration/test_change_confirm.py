"""A change on trial: it runs, and goes away by itself unless somebody says that it may stay."""

import json
import unittest

from lab import Closed, LabCase, WireError, config_for
from lab.ports import free_port
from lab.waits import wait_for


class Confirm(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")
        self.proxy = self.lbd(config_for(self.server))

    def weight(self, proxy=None):
        return (proxy or self.proxy).get("/v1/pools/main/servers/a").get("weight")

    def set_weight(self, weight, query="?confirm_within=1h", **more):
        return self.proxy.patch(f"/v1/pools/main/servers/a{query}", {"weight": weight}, **more)

    def status(self):
        return self.proxy.get("/v1/config/status")

    def newest(self):
        return self.proxy.get("/v1/revisions")["revisions"][0]

    def saved(self):
        return json.loads((self.proxy.state_directory / "config.json").read_text())

    def saved_weight(self):
        return self.saved()["pools"]["main"]["servers"]["a"].get("weight")

    def post(self, revision, verb, **more):
        return self.proxy.api("POST", f"/v1/revisions/{revision}/{verb}", **more)

    def test_it_runs_but_is_not_what_a_restart_runs(self):
        base = self.set_weight(1, "").revision
        answer = self.set_weight(2)
        self.assertEqual(self.weight(), 2)
        self.assertEqual(self.saved_weight(), 1)
        unconfirmed = self.status()["unconfirmed"]
        self.assertEqual(unconfirmed["revision"], answer.revision)
        self.assertEqual(unconfirmed["base_revision"], base)
        self.assertEqual(answer.header("Lbd-Confirm-Deadline"), unconfirmed["deadline"])
        newest = self.newest()
        self.assertEqual((newest["confirmed"], newest["base_revision"]), (False, base))

    def test_confirm(self):
        self.set_weight(1, "")
        number = self.set_weight(2).revision
        self.assertEqual(self.post(number - 1, "confirm").status, 409)
        answer = self.post(number, "confirm")
        self.assertEqual(answer.header("Lbd-Changed"), "true")
        self.assertEqual((answer.status, answer.body), (200, {"revision": number, "confirmed": True}))
        self.assertEqual(self.saved_weight(), 2)
        self.assertNotIn("unconfirmed", self.status())
        self.assertTrue(self.newest()["confirmed"])
        self.assertEqual(self.post(number, "confirm").status, 409, "once")
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.weight(), 2)
        self.assertTrue(self.newest()["confirmed"])

    def test_reject(self):
        base = self.set_weight(1, "").revision
        before = self.proxy.api("GET", "/v1/config")
        number = self.set_weight(2).revision
        answer = self.post(number, "reject")
        self.assertEqual((answer.status, answer.body),
                         (200, {"revision": number + 1, "rolled_back_to": base}))
        now = self.proxy.api("GET", "/v1/config")
        self.assertEqual((now.body, now.etag), (before.body, before.etag))
        newest = self.newest()
        self.assertEqual((newest["via"], newest["rolled_back_to"], newest["confirmed"]),
                         ("auto-rollback", base, True))
        self.assertIn("rejected", newest["reason"])
        self.assertNotIn("unconfirmed", self.status())
        self.assertEqual(self.post(number, "reject").status, 409)
        self.proxy.wait_metric(1, "lbd_config_applies_total", result="rolled_back")

    def test_deadline(self):
        base = self.set_weight(1, "").revision
        number = self.set_weight(2, "?confirm_within=5s").revision
        self.assertEqual(self.weight(), 2)
        wait_for(lambda: self.newest()["via"] == "auto-rollback", "the way back", 20)
        self.assertEqual(self.weight(), 1)
        self.assertEqual(self.newest()["revision"], number + 1)
        self.assertEqual(self.newest()["rolled_back_to"], base)
        self.assertIn("not confirmed within 5s", self.newest()["reason"])
        self.assertEqual(self.saved_weight(), 1)
        self.proxy.wait_log("config.rolled_back")

    def test_restart_in_the_window(self):
        for how in ("kill", "stop"):
            with self.subTest(how):
                base = self.set_weight(1, "").revision
                number = self.set_weight(2).revision
                getattr(self.proxy, how)()
                self.proxy.restart()
                self.assertEqual(self.weight(), 1)
                newest = self.newest()
                self.assertEqual((newest["revision"], newest["rolled_back_to"], newest["via"]),
                                 (number + 1, base, "auto-rollback"))
                self.assertIn("restarted", newest["reason"])
                self.assertEqual((newest["summary"], newest["changes_total"]),
                                 ("pools/main/servers/a/weight: 2 -> 1", 1))
                self.proxy.wait_log("config.rolled_back")
                self.proxy.kill()
                self.proxy.restart()
                self.assertEqual(self.newest(), newest, "once")
                self.set_weight(9, "")

    def test_a_later_write_joins(self):
        base = self.set_weight(1, "").revision
        self.set_weight(2)
        deadline = self.status()["unconfirmed"]["deadline"]
        second = self.proxy.put("/v1/pools/second", {"servers": {}})
        unconfirmed = self.status()["unconfirmed"]
        self.assertEqual(unconfirmed, {"revision": second.revision, "deadline": deadline,
                                       "base_revision": base})
        self.assertNotIn("second", self.saved()["pools"])
        third = self.set_weight(3, "?confirm_within=2h")
        self.assertGreater(self.status()["unconfirmed"]["deadline"], deadline)
        self.assertEqual(self.post(second.revision, "reject").status, 409)
        answer = self.post(third.revision, "reject")
        self.assertEqual(answer.body["rolled_back_to"], base)
        self.assertEqual(self.weight(), 1)
        self.assertNotIn("second", self.proxy.get("/v1/config")["pools"])

    def test_confirm_keeps_what_has_joined(self):
        self.set_weight(2)
        second = self.proxy.put("/v1/pools/second", {"servers": {}})
        self.assertEqual(self.post(second.revision, "confirm").status, 200)
        self.proxy.kill()
        self.proxy.restart()
        self.assertEqual(self.weight(), 2)
        self.assertIn("second", self.proxy.get("/v1/config")["pools"])

    def test_there_and_back_again_in_the_window(self):
        """The document is the base's again, and still somebody must say so."""
        base = self.set_weight(1, "").revision
        self.set_weight(2)
        number = self.set_weight(1, "").revision
        self.assertEqual(self.status()["unconfirmed"]["revision"], number)
        answer = self.post(number, "reject")
        self.assertEqual(answer.body, {"revision": number + 1, "rolled_back_to": base})
        self.assertNotIn("unconfirmed", self.status())

    def test_unchanged_opens_no_window(self):
        self.set_weight(1, "")
        answer = self.set_weight(1)
        self.assertEqual(answer.header("Lbd-Changed"), "false")
        self.assertNotIn("unconfirmed", self.status())

    def test_every_door_takes_it(self):
        first = self.set_weight(1, "").revision
        document = self.proxy.get("/v1/config")
        other = json.loads(json.dumps(document))
        other["pools"]["main"]["retries"] = 9
        doors = (
            ("PUT", "/v1/config", other),
            ("PATCH", "/v1/config", {"pools": {"main": {"retries": 8}}}),
            ("PUT", "/v1/pools/second", {"servers": {}}),
            ("POST", "/v1/batch", [{"method": "PUT", "path": "/v1/pools/x", "body": {}}]),
            ("PUT", "/v1/pools/main/endpoints", {"b": {"address": "127.0.0.1:1"}}),
            ("POST", f"/v1/revisions/{first - 1}/rollback", None),
        )
        for method, path, body in doors:
            with self.subTest(path):
                answer = self.proxy.api(method, path + "?confirm_within=1h", body)
                self.assertIn(answer.status, (200, 201), answer)
                self.assertEqual(self.status()["unconfirmed"]["revision"], answer.revision)
                self.assertEqual(self.saved(), document)
                self.assertEqual(self.post(answer.revision, "reject").status, 200)
                self.assertEqual(self.proxy.get("/v1/config"), document)

    def test_wrong_durations(self):
        for text in ("4s", "25h", "5", "x", "", "-5s"):
            answer = self.proxy.api("PATCH", f"/v1/pools/main?confirm_within={text}", {})
            self.assertEqual((answer.status, answer.body["type"]),
                             (400, "/v1/problems/unknown-parameter"), text)

    def test_dry_run_opens_no_window(self):
        self.proxy.api("PATCH", "/v1/pools/main?confirm_within=1h&dry_run=true", {"retries": 2})
        self.assertNotIn("unconfirmed", self.status())

    def test_an_owner_must_look_first(self):
        """What was taken back is not put back at once by the machine that made it."""
        mine = {"pools": {"mine": {"servers": {"x": {"address": "127.0.0.1:1"}}}}}
        worse = {"pools": {"mine": {"servers": {"x": {"address": "127.0.0.1:2"}}}}}
        self.proxy.put("/v1/config?owner=ingress", mine)
        bad = self.proxy.put("/v1/config?owner=ingress&confirm_within=1h", worse)
        back = self.post(bad.revision, "reject").body["revision"]
        for _ in range(2):
            answer = self.proxy.api("PUT", "/v1/config?owner=ingress", worse)
            self.assertEqual((answer.status, answer.body["type"]),
                             (409, "/v1/problems/rolled-back"))
            self.assertIn(str(back), answer.body["detail"])
            self.proxy.kill()
            self.proxy.restart()
        self.assertEqual(
            self.proxy.api("PUT", "/v1/config?owner=ingress&dry_run=true", worse).status, 200)
        self.proxy.put("/v1/config?owner=other", {"pools": {"theirs": {}}})
        self.proxy.patch("/v1/pools/main", {"retries": 5})
        self.assertEqual(self.post(back - 1, "confirm").status, 409)
        answer = self.post(back, "confirm")
        self.assertEqual((answer.status, answer.body), (200, {"revision": back, "confirmed": True}))
        self.proxy.put("/v1/config?owner=ingress", worse)
        self.proxy.kill()
        self.proxy.restart()
        self.proxy.put("/v1/config?owner=ingress", mine)

    def test_an_owner_after_a_restart_in_the_window(self):
        body = {"pools": {"mine": {}}}
        self.proxy.put("/v1/config?owner=ingress&confirm_within=1h", body)
        self.set_weight(7, "")  # joins, and is the newest
        self.proxy.kill()
        self.proxy.restart()
        back = self.newest()["revision"]
        self.assertEqual(self.proxy.api("PUT", "/v1/config?owner=ingress", body).status, 409)
        self.assertEqual(self.post(back, "confirm").status, 200)
        self.proxy.put("/v1/config?owner=ingress", body)

    def test_the_way_back_waits_until_it_is_free(self):
        """An address of the base is taken meanwhile: going back fails aloud, and is tried again."""
        import socket
        taken = free_port()
        self.proxy.put("/v1/listeners/second",
                       {"bind": [f"127.0.0.1:{taken}"], "protocol": "http"})
        number = self.proxy.delete("/v1/listeners/second?confirm_within=1h").revision
        thief = socket.create_server(("127.0.0.1", taken))
        answer = self.post(number, "reject")
        self.assertEqual(answer.status, 409, answer)
        self.assertIn("unconfirmed", self.status())
        thief.close()
        self.assertEqual(self.post(number, "reject").status, 200)
        self.assertIn("second", self.proxy.get("/v1/config")["listeners"])


class Killed(LabCase):
    """kill -9 at each step of every kind of save around the window."""

    def crash(self, proxy, step, call):
        proxy.stop()
        proxy.env = {"LBD_TEST_CRASH_AT": step}
        proxy.restart()
        try:
            call()
            self.fail(f"no crash at {step}")
        except (Closed, WireError, OSError):
            pass
        self.assertEqual(proxy.wait_exit(), 137)
        proxy.process = None
        proxy.env = {}
        proxy.restart()

    def test_while_it_is_put_on_trial(self):
        for kind in ("meta", "history", "number"):
            for step in ("open", "write", "fsync", "rename", "dirsync"):
                if kind == "number" and step != "write":
                    continue
                with self.subTest(f"{kind}-{step}"):
                    proxy = self.lbd(config_for(self.origin(name="a")))
                    proxy.patch("/v1/pools/main", {"retries": 1})
                    old = proxy.get("/v1/config")
                    self.crash(proxy, f"{kind}-{step}", lambda: proxy.patch(
                        "/v1/pools/main?confirm_within=1h", {"retries": 5}))
                    self.assertEqual(proxy.get("/v1/config"), old)
                    self.assertNotIn("unconfirmed", proxy.get("/v1/config/status"))
                    first = proxy.api("GET", "/v1/config").revision
                    self.assertGreater(
                        proxy.patch("/v1/pools/main", {"retries": 3}).revision, first)
                    proxy.cleanup()

    def test_while_it_is_confirmed(self):
        for kind, steps in (("save", ("open", "write", "fsync", "rename", "dirsync")),
                            ("meta", ("open", "rename"))):
            for step in steps:
                with self.subTest(f"{kind}-{step}"):
                    proxy = self.lbd(config_for(self.origin(name="a")))
                    proxy.patch("/v1/pools/main", {"retries": 1})
                    old = proxy.get("/v1/config")
                    # the window must not be opened under LBD_TEST_CRASH_AT=meta-...
                    proxy.stop()
                    proxy.restart()
                    state = {}

                    def call():
                        state["n"] = proxy.patch("/v1/pools/main?confirm_within=1h",
                                                 {"retries": 5}).revision
                        proxy.api("POST", f"/v1/revisions/{state['n']}/confirm")

                    self.crash(proxy, f"{kind}-{step}", call)
                    found = proxy.get("/v1/config")
                    new = json.loads(json.dumps(old))
                    new["pools"]["main"]["retries"] = 5
                    self.assertIn(found, (old, new))
                    if kind == "save" and step != "dirsync":
                        self.assertEqual(found, old)
                    if kind == "save" and step == "dirsync":
                        self.assertEqual(found, new)
                        self.assertTrue(proxy.get("/v1/revisions")["revisions"][0]["confirmed"])
                    self.assertNotIn("unconfirmed", proxy.get("/v1/config/status"))
                    proxy.cleanup()

    def test_while_it_is_taken_back(self):
        for kind, steps in (("save", ("open", "rename", "dirsync")),
                            ("history", ("open", "rename", "dirsync")), ("number", ("write",))):
            for step in steps:
                with self.subTest(f"{kind}-{step}"):
                    proxy = self.lbd(config_for(self.origin(name="a")))
                    proxy.patch("/v1/pools/main", {"retries": 1})
                    old = proxy.get("/v1/config")

                    def call():
                        number = proxy.patch("/v1/pools/main?confirm_within=1h",
                                             {"retries": 5}).revision
                        proxy.api("POST", f"/v1/revisions/{number}/reject")

                    self.crash(proxy, f"{kind}-{step}", call)
                    self.assertEqual(proxy.get("/v1/config"), old)
                    self.assertNotIn("unconfirmed", proxy.get("/v1/config/status"))
                    proxy.cleanup()


if __name__ == "__main__":
    unittest.main()
