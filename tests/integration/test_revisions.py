"""What ran before is listed, shown, compared and can run again; the way back is a change like any other."""

import json
import unittest

from lab import LabCase, config_for
from lab.ports import free_port


class Revisions(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")

    def weights(self, proxy, *weights):
        return [
            proxy.patch("/v1/pools/main/servers/a", {"weight": w}).revision for w in weights
        ]

    def listed(self, proxy):
        return proxy.get("/v1/revisions")["revisions"]

    def test_list_says_who_how_and_what(self):
        proxy = self.lbd(config_for(self.server))
        proxy.patch("/v1/pools/main", {"retries": 3})
        proxy.put("/v1/pools/second", {"servers": {"x": {"address": "127.0.0.1:1"}}})
        proxy.delete("/v1/pools/second")
        newest = self.listed(proxy)
        self.assertEqual([r["via"] for r in newest], ["delete", "put", "patch", "start"])
        self.assertEqual([r["current"] for r in newest], [True, False, False, False])
        self.assertTrue(all(r["confirmed"] for r in newest))
        self.assertEqual(newest[2]["summary"], "pools/main/retries: set to 3")
        self.assertEqual(newest[1]["summary"], "pools/second: added")
        self.assertEqual(newest[2]["changes_total"], 1)
        self.assertRegex(newest[0]["who"], r"^unix uid=\d+ pid=\d+$")
        self.assertRegex(newest[0]["time"], r"^\d{4}-\d\d-\d\dT")
        self.assertEqual(newest[0]["hash"], proxy.api("GET", "/v1/config").etag.strip('"'))
        self.assertEqual(newest[0]["hash"], newest[2]["hash"], "same document, same hash")
        one = proxy.get(f"/v1/revisions/{newest[1]['revision']}")
        self.assertEqual(one, newest[1])

    def test_unchanged_and_refused_make_none(self):
        proxy = self.lbd(config_for(self.server))
        before = self.listed(proxy)
        proxy.patch("/v1/pools/main", {})
        self.assertEqual(proxy.api("PATCH", "/v1/pools/main", {"retries": -1}).status, 422)
        proxy.api("PATCH", "/v1/pools/main?dry_run=true", {"retries": 2})
        self.assertEqual(self.listed(proxy), before)

    def test_documents_and_differences(self):
        proxy = self.lbd(config_for(self.server))
        first = proxy.get("/v1/config")
        r1 = proxy.api("GET", "/v1/config").revision
        r2, r3 = self.weights(proxy, 5, 6)
        self.assertEqual(proxy.get(f"/v1/revisions/{r1}/config"), first)
        self.assertEqual(proxy.get(f"/v1/revisions/{r3}/config"), proxy.get("/v1/config"))
        diff = proxy.get(f"/v1/revisions/{r2}/diff?to={r3}")
        self.assertEqual((diff["from"], diff["to"], diff["changes_total"]), (r2, r3, 1))
        self.assertEqual(
            diff["changes"],
            [{"change": "changed", "pointer": "#/pools/main/servers/a/weight", "before": 5,
              "after": 6}],
        )
        back = proxy.get(f"/v1/revisions/{r3}/diff?to={r2}")
        self.assertEqual((back["changes"][0]["before"], back["changes"][0]["after"]), (6, 5))
        self.assertEqual(proxy.get(f"/v1/revisions/{r2}/diff")["to"], r3, "the current one")
        self.assertEqual(proxy.get(f"/v1/revisions/{r3}/diff")["changes_total"], 0)

    def test_unknown_ones(self):
        proxy = self.lbd(config_for(self.server))
        for path in ("999", "0", "x", "18446744073709551616", "999/config", "999/diff", "1/diff?to=9"):
            answer = proxy.api("GET", f"/v1/revisions/{path}")
            self.assertEqual(answer.status, 404, path)
            self.assertEqual(answer.body["type"], "/v1/problems/not-found")
        self.assertEqual(proxy.api("GET", "/v1/revisions/1/diff?to=x").status, 400)
        self.assertEqual(proxy.api("POST", "/v1/revisions/999/rollback").status, 404)
        for verb in ("confirm", "reject"):
            answer = proxy.api("POST", f"/v1/revisions/1/{verb}")
            self.assertEqual((answer.status, answer.body["type"]),
                             (409, "/v1/problems/not-unconfirmed"))

    def test_rollback_is_a_new_revision(self):
        proxy = self.lbd(config_for(self.server))
        (r2,) = self.weights(proxy, 5)
        then = proxy.api("GET", "/v1/config")
        (r3,) = self.weights(proxy, 6)
        answer = proxy.api("POST", f"/v1/revisions/{r2}/rollback")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.header("Lbd-Changed"), "true")
        self.assertEqual(
            {k: answer.body[k] for k in ("revision", "rolled_back_to", "changed", "changes_total")},
            {"revision": r3 + 1, "rolled_back_to": r2, "changed": True, "changes_total": 1},
        )
        now = proxy.api("GET", "/v1/config")
        self.assertEqual((now.body, now.etag), (then.body, then.etag))
        self.assertEqual(answer.etag, now.etag)
        newest = self.listed(proxy)[0]
        self.assertEqual((newest["via"], newest["rolled_back_to"]), ("rollback", r2))
        again = proxy.api("POST", f"/v1/revisions/{r2}/rollback")
        self.assertEqual((again.status, again.body["changed"], again.body["revision"]),
                         (200, False, r3 + 1))

    def test_rollback_brings_back_what_was_removed(self):
        """A removed listener, route, pool and health check come back, sockets and all."""
        config = config_for(self.server)
        config["health_checks"] = {"alive": {"type": "tcp", "interval": "100ms"}}
        config["pools"]["main"]["health_check"] = "alive"
        config["routes"] = {"r": {"listener": "web", "match": {"path": "/r"},
                                  "action": {"respond": {"status": 418}}}}
        proxy = self.lbd(config)
        proxy.wait_health("a", "up")
        before = proxy.api("GET", "/v1/config")
        port = proxy.port()
        fixed = json.loads(json.dumps(before.body))
        fixed["listeners"]["web"]["bind"] = [f"127.0.0.1:{port}"]
        full = proxy.put("/v1/config", fixed)
        proxy.put("/v1/config", {"schema": 1})
        self.assertEqual(proxy.listening_ports() & {port}, set())
        answer = proxy.api("POST", f"/v1/revisions/{full.revision}/rollback")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(proxy.get("/v1/config"), fixed)
        self.assertEqual(proxy.port(), port)
        proxy.wait_health("a", "up")
        self.assertEqual(self.connect(proxy).get("/").status, 200)
        self.assertEqual(self.connect(proxy).get("/r").status, 418)

    def test_rollback_runs_the_whole_road(self):
        """Dry run, If-Match, and an address that somebody else has taken meanwhile."""
        import socket
        proxy = self.lbd(config_for(self.server))
        taken = free_port()
        listener = {"bind": [f"127.0.0.1:{taken}"], "protocol": "http"}
        with_second = proxy.put("/v1/listeners/second", listener).revision
        without = proxy.delete("/v1/listeners/second").revision
        path = f"/v1/revisions/{with_second}/rollback"
        dry = proxy.api("POST", path + "?dry_run=true")
        self.assertEqual((dry.status, dry.body["changes_total"]), (200, 1))
        self.assertEqual(proxy.api("GET", "/v1/config").revision, without)
        stale = proxy.api("POST", path, headers={"If-Match": '"0000000000000000"'})
        self.assertEqual(stale.status, 412)
        self.assertEqual(stale.etag, proxy.api("GET", "/v1/config").etag)
        thief = socket.create_server(("127.0.0.1", taken))
        refused = proxy.api("POST", path)
        self.assertEqual((refused.status, refused.body["type"]),
                         (409, "/v1/problems/cannot-listen"))
        self.assertEqual(proxy.api("POST", path + "?dry_run=true").status, 409)
        thief.close()
        tag = proxy.api("GET", "/v1/config").etag
        self.assertEqual(proxy.api("POST", path, headers={"If-Match": tag}).status, 200)

    def test_history_is_found_again(self):
        proxy = self.lbd(config_for(self.server))
        self.weights(proxy, 5, 6, 7)
        before = self.listed(proxy)
        proxy.kill()
        proxy.restart()
        self.assertEqual(self.listed(proxy), before)
        answer = proxy.api("POST", f"/v1/revisions/{before[1]['revision']}/rollback")
        self.assertEqual((answer.status, answer.body["revision"]), (200, before[0]["revision"] + 1))
        self.assertEqual(proxy.get("/v1/pools/main/servers/a")["weight"], 6)

    def test_a_state_directory_without_notes(self):
        """What an older lbd has left is still listed, shown and rolled back to."""
        proxy = self.lbd(config_for(self.server))
        r2, r3 = self.weights(proxy, 5, 6)
        hashes = {r["revision"]: r["hash"] for r in self.listed(proxy)}
        proxy.stop()
        for note in (proxy.state_directory / "revisions").glob("*.meta"):
            note.unlink()
        (proxy.state_directory / "revisions" / f"{r3:06}.meta").write_text("{ half a no")
        proxy.restart()
        listed = self.listed(proxy)
        self.assertEqual({r["revision"]: r["hash"] for r in listed}, hashes)
        self.assertEqual({r["via"] for r in listed}, {"unknown"})
        self.assertTrue(all(r["confirmed"] for r in listed))
        self.assertEqual(proxy.api("POST", f"/v1/revisions/{r2}/rollback").status, 200)
        self.assertEqual(proxy.get("/v1/pools/main/servers/a")["weight"], 5)

    def test_fifty_are_kept(self):
        proxy = self.lbd(config_for(self.server))
        numbers = self.weights(proxy, *range(1, 56))
        listed = [r["revision"] for r in self.listed(proxy)]
        self.assertEqual(listed, numbers[::-1][:50])
        proxy.stop()
        files = sorted(p.name for p in (proxy.state_directory / "revisions").iterdir())
        self.assertEqual(len(files), 100, files)

    def test_file_mode_has_a_history_too(self):
        config = config_for(self.server)
        proxy = self.lbd(config, daemon={"config_source": "file"})
        r1 = proxy.api("GET", "/v1/config").revision
        config["pools"]["main"]["retries"] = 4
        proxy.write_config(config)
        answer = proxy.api("POST", "/v1/config/reload")
        self.assertEqual((answer.status, answer.body), (200, {"revision": r1 + 1, "changed": True}))
        self.assertEqual(proxy.api("POST", "/v1/config/reload").body["changed"], False)
        self.assertEqual([r["via"] for r in self.listed(proxy)], ["reload", "start"])
        self.assertEqual(proxy.get(f"/v1/revisions/{r1}/diff")["changes"][0]["pointer"],
                         "#/pools/main/retries")
        refused = proxy.api("POST", f"/v1/revisions/{r1}/rollback")
        self.assertEqual((refused.status, refused.body["type"]),
                         (409, "/v1/problems/managed-by-file"))
        proxy.write_config({"pools": {"main": {"retries": -1}}})
        wrong = proxy.api("POST", "/v1/config/reload")
        self.assertEqual((wrong.status, wrong.pointers), (422, ["#/pools/main/retries"]))
        self.assertIn("line", wrong.body["errors"][0])
        proxy.write_config(config)
        proxy.kill()
        proxy.restart()
        self.assertEqual(proxy.api("GET", "/v1/config").revision, r1 + 1,
                         "the same document again is no new revision")

    def test_api_mode_does_not_reload(self):
        proxy = self.lbd(config_for(self.server))
        answer = proxy.api("POST", "/v1/config/reload")
        self.assertEqual((answer.status, answer.body["type"]),
                         (409, "/v1/problems/managed-by-api"))

    def test_from_file_mode_to_api_mode(self):
        """The file's revisions are no saved state of the API: the file is the seed."""
        config = config_for(self.server)
        proxy = self.lbd(config, daemon={"config_source": "file"})
        last = proxy.api("GET", "/v1/config").revision
        proxy.stop()
        proxy.daemon["config_source"] = "api"
        config["pools"]["main"]["retries"] = 4
        proxy.write_config(config)
        proxy.restart()
        self.assertEqual(proxy.get("/v1/pools/main")["retries"], 4)
        self.assertEqual(proxy.api("GET", "/v1/config").revision, last + 1)
        self.assertFalse(proxy.get("/v1/config/status")["degraded"])

    def test_validate_and_diff(self):
        proxy = self.lbd(config_for(self.server))
        document = proxy.get("/v1/config")
        self.assertEqual(proxy.api("POST", "/v1/config/diff", document).body["changes_total"], 0)
        document["pools"]["main"]["retries"] = 7
        for path in ("/v1/config/diff", "/v1/config/validate"):
            answer = proxy.api("POST", path, document)
            self.assertEqual(answer.status, 200, path)
            self.assertEqual(
                answer.body["changes"],
                [{"change": "added", "pointer": "#/pools/main/retries", "after": 7}],
            )
        document["pools"]["main"]["retries"] = -7
        document["pools"]["main"]["nonsense"] = 1
        for path in ("/v1/config/diff", "/v1/config/validate"):
            answer = proxy.api("POST", path, document)
            self.assertEqual((answer.status, sorted(answer.pointers)),
                             (422, ["#/pools/main/nonsense", "#/pools/main/retries"]))
        self.assertEqual(proxy.get("/v1/pools/main").get("retries"), None)
        # validate opens sockets, diff does not
        away = {"listeners": {"x": {"bind": ["192.0.2.1:80"], "protocol": "http"}}}
        self.assertEqual(proxy.api("POST", "/v1/config/validate", away).status, 409)
        self.assertEqual(proxy.api("POST", "/v1/config/diff", away).status, 200)


if __name__ == "__main__":
    unittest.main()
