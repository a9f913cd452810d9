"""A request that comes again under its Idempotency-Key is answered from memory and not run again."""

import threading
import unittest

from lab import LabCase, config_for


class Idempotency(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")
        self.proxy = self.lbd(config_for(self.server))

    def send(self, method, path, body, key):
        return self.proxy.api(method, path, body, headers={"Idempotency-Key": key})

    def test_replay(self):
        first = self.send("PUT", "/v1/pools/x", {"retries": 3}, "k1")
        self.assertEqual((first.status, first.header("Lbd-Changed")), (201, "true"))
        self.assertIsNone(first.header("Idempotent-Replay"))
        self.proxy.patch("/v1/pools/x", {"retries": 5})
        again = self.send("PUT", "/v1/pools/x", {"retries": 3}, "k1")
        self.assertEqual((again.status, again.raw, again.etag, again.header("Lbd-Changed"),
                          again.revision), (201, first.raw, first.etag, "true", first.revision))
        self.assertEqual(again.header("Idempotent-Replay"), "true")
        self.assertNotEqual(again.header("Lbd-Request-Id"), first.header("Lbd-Request-Id"))
        self.assertEqual(self.proxy.get("/v1/pools/x")["retries"], 5, "it did not run again")

    def test_mismatch(self):
        self.send("PUT", "/v1/pools/x", {"retries": 3}, "k1")
        answer = self.send("PUT", "/v1/pools/x", {"retries": 4}, "k1")
        self.assertEqual((answer.status, answer.body["type"]),
                         (422, "/v1/problems/idempotency-mismatch"))
        self.assertEqual(self.send("PUT", "/v1/pools/x?dry_run=true", {"retries": 3}, "k1").status,
                         422)

    def test_refusals_and_dry_runs_too(self):
        for path, body in (("/v1/pools/x", {"retries": -1}), ("/v1/pools/x?dry_run=true", {}),
                           ("/v1/config/validate", {}), ("/v1/batch", [])):
            method = "PUT" if "pools" in path else "POST"
            first = self.send(method, path, body, path)
            again = self.send(method, path, body, path)
            self.assertEqual((again.status, again.header("Idempotent-Replay")),
                             (first.status, "true"), path)

    def test_delete_and_rollback(self):
        number = self.proxy.put("/v1/pools/x", {}).revision
        self.assertEqual(self.send("DELETE", "/v1/pools/x", None, "d").status, 204)
        self.assertEqual(self.send("DELETE", "/v1/pools/x", None, "d").status, 204, "again")
        self.assertEqual(self.proxy.api("DELETE", "/v1/pools/x").status, 404)
        path = f"/v1/revisions/{number}/rollback"
        first = self.send("POST", path, None, "r")
        again = self.send("POST", path, None, "r")
        self.assertEqual((first.status, first.body), (again.status, again.body))
        self.assertTrue(again.body["changed"])

    def test_wrong_keys(self):
        for key in ("a b", "x" * 256, "\xe4"):
            answer = self.send("PUT", "/v1/pools/x", {}, key)
            self.assertEqual(answer.status, 400, key)

    def test_at_the_same_time(self):
        """Ten times the same at once: it runs once; the others wait for another day or get its
        answer."""
        answers = []

        def run():
            answers.append(self.send("PUT", "/v1/pools/x", {"retries": 3}, "k"))

        before = self.proxy.api("GET", "/v1/config").revision
        threads = [threading.Thread(target=run) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({a.status for a in answers} | {201, 409}, {201, 409})
        self.assertEqual(len([a for a in answers if a.status == 201
                              and a.header("Idempotent-Replay") is None]), 1)
        self.assertEqual(self.proxy.api("GET", "/v1/config").revision, before + 1)

    def test_a_large_answer(self):
        servers = {f"s{i:05}": {"address": f"10.0.{i // 250}.{i % 250 + 1}:80"}
                   for i in range(10000)}
        first = self.send("PUT", "/v1/pools/x", {"servers": servers}, "k")
        again = self.send("PUT", "/v1/pools/x", {"servers": servers}, "k")
        self.assertEqual((first.status, again.status), (201, 201))
        self.assertEqual(again.raw, first.raw)


class Wait(LabCase):
    def test_wait(self):
        proxy = self.lbd(config_for(self.origin(name="a")))
        answer = proxy.api("PATCH", "/v1/pools/main?wait=0s", {"retries": 2})
        self.assertEqual((answer.status, answer.header("Lbd-Changed")), (202, "true"))
        self.assertEqual(proxy.get("/v1/pools/main")["retries"], 2)
        self.assertEqual(proxy.api("DELETE", "/v1/pools/x?wait=0&missing=ok").status, 204)
        self.assertEqual(proxy.api("PATCH", "/v1/pools/main?wait=30s", {"retries": 3}).status, 200)
        for text in ("31s", "x", "5", "-1s", ""):
            answer = proxy.api("PATCH", f"/v1/pools/main?wait={text}", {"retries": 4})
            self.assertEqual(answer.status, 400, text)
        self.assertEqual(proxy.get("/v1/pools/main")["retries"], 3)


if __name__ == "__main__":
    unittest.main()
