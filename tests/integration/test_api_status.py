"""What is observed: status documents, conditions, health of the process."""

import unittest

from lab import Client, LabCase, config_for
from lab.ports import free_port


class Status(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")
        self.proxy = self.lbd(config_for(
            self.server, f"127.0.0.1:{free_port()}", pool={"health_check": "t"},
            health_checks={"t": {"type": "tcp", "interval": "100ms", "rise": 1, "fall": 1}},
        ))
        self.proxy.wait_health("a", "up")
        self.proxy.wait_health("b", "down")

    def test_pool(self):
        status = self.proxy.get("/v1/pools/main/status")
        self.assertEqual(set(status["servers"]), {"a", "b"})
        self.assertEqual(status["servers"]["a"]["health"], "up")
        self.assertEqual(status["servers"]["a"]["admin"], "ready")
        self.assertEqual(status["servers"]["b"]["health"], "down")
        self.check_conditions(status)
        self.assertTrue(self.condition(status, "Ready")["status"])

    def test_pool_with_nobody(self):
        self.proxy.admin("a", "maint")
        condition = self.condition(self.proxy.get("/v1/pools/main/status"), "Ready")
        self.assertFalse(condition["status"])
        self.assertTrue(condition["message"])

    def test_server(self):
        status = self.proxy.get("/v1/pools/main/servers/b/status")
        self.assertEqual((status["health"], status["admin"]), ("down", "ready"))
        self.assertTrue(status["last_check"], "says why")
        self.assertEqual(
            self.proxy.get("/v1/pools/main/status")["servers"]["b"]["last_check"][:10],
            status["last_check"][:10],
        )

    def test_listener(self):
        status = self.proxy.get("/v1/listeners/web/status")
        (address,) = status["addresses"]
        self.assertRegex(address, r"\A127\.0\.0\.1:[1-9][0-9]*\Z")
        self.check_conditions(status)
        client = self.connect(self.proxy)
        client.get("/")
        self.assertEqual(self.proxy.get("/v1/listeners/web/status")["connections"], 1)
        client.close()
        self.wait_for(
            lambda: self.proxy.get("/v1/listeners/web/status")["connections"] == 0, "gone"
        )

    def test_endings_have_the_words_of_the_log(self):
        client = self.connect(self.proxy)
        self.assertEqual(client.get("/").status, 200)
        client.send("GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n")
        refused = client.read_response()
        word = refused.get("Lbd-Reason")

        def endings_now():  # a worker counts when it has sent the answer
            endings = self.proxy.get("/v1/listeners/web/status")["endings"]
            return endings if endings.get("ok") == 1 and endings.get(word) == 1 else None

        endings = self.wait_for(endings_now, "both endings are counted")
        reasons = self.proxy.get("/v1/reasons")
        self.assertEqual(reasons[word]["status"], refused.status)
        self.assertIn(reasons[word]["detail"], refused.text)
        self.assertLessEqual(set(endings), set(reasons))

    def test_observed_revision_follows(self):
        before = self.proxy.get("/v1/pools/main/status")["observed_revision"]
        answer = self.proxy.patch("/v1/pools/main", {"retries": 3})
        after = self.proxy.get("/v1/pools/main/status")["observed_revision"]
        self.assertEqual(after, answer.revision)
        self.assertGreater(after, before)
        self.assertEqual(self.proxy.get("/v1/listeners/web/status")["observed_revision"], after)

    def test_config(self):
        status = self.proxy.get("/v1/config/status")
        self.assertEqual(status["source"], "api")
        self.assertEqual(status["revision"], self.proxy.api("GET", "/v1/config").revision)
        workers = status["workers"]
        self.assertEqual(len(workers), 2)
        self.assertNotIn("daemon", status)

    def test_status_of_nothing(self):
        for path in ("/v1/pools/no/status", "/v1/listeners/no/status",
                     "/v1/pools/main/servers/no/status"):
            self.assertEqual(self.proxy.api("GET", path).status, 404, path)

    def test_status_is_read_only(self):
        for path in ("/v1/pools/main/status", "/v1/config/status"):
            self.assertEqual(self.proxy.api("PUT", path, {}).status, 405, path)

    def test_version(self):
        version = self.proxy.get("/v1/version")
        self.assertRegex(version["version"], r"\A[0-9]+\.[0-9]+")

    def condition(self, status, kind):
        (found,) = [c for c in status["conditions"] if c["type"] == kind]
        return found

    def check_conditions(self, status):
        revision = self.proxy.api("GET", "/v1/config").revision
        self.assertEqual(status["observed_revision"], revision)
        self.assertTrue(status["conditions"])
        for condition in status["conditions"]:
            self.assertIn(condition["status"], (True, False))
            self.assertRegex(condition["reason"], r"\A[A-Z][A-Za-z]+\Z")
            self.assertEqual(condition["observed_revision"], revision)
            self.assertRegex(condition["since"], r"\A\d{4}-\d\d-\d\dT[\d:.]+Z\Z")


class Health(LabCase):
    def test_healthz_and_readyz_over_the_api(self):
        proxy = self.lbd(config_for(self.origin()))
        self.assertEqual(proxy.api("GET", "/healthz").status, 200)
        self.assertEqual(proxy.api("GET", "/readyz").status, 200)

    def test_observe_address(self):
        proxy = self.lbd(config_for(self.origin()))
        address = proxy.observe_address()
        for path in ("/healthz", "/readyz", "/metrics"):
            with Client(address) as client:
                self.assertEqual(client.get(path).status, 200, path)
        # and nothing else: this address needs no permission
        for method, path in [("GET", "/v1/config"), ("GET", "/v1/pools/main"), ("GET", "/"),
                             ("PUT", "/v1/pools/p"), ("DELETE", "/v1/pools/main"),
                             ("POST", "/metrics"), ("PUT", "/v1/pools/main/servers/a/admin-state")]:
            with Client(address) as client:
                body = b"{}" if method == "PUT" else None
                headers = {"Content-Type": "application/json"} if body else None
                status = client.request(method, path, headers, body).status
                self.assertIn(status, (403, 404, 405), f"{method} {path}")

    def test_readyz_names_a_pool(self):
        proxy = self.lbd(config_for(self.origin()))
        self.assertEqual(proxy.api("GET", "/readyz?pool=main").status, 200)
        proxy.admin("a", "maint")
        answer = proxy.api("GET", "/readyz?pool=main")
        self.assertEqual(answer.status, 503)
        self.assertEqual(proxy.api("GET", "/readyz").status, 200)

    def test_api_socket_directory_is_for_the_group_only(self):
        import os
        import stat

        proxy = self.lbd(config_for())
        mode = stat.S_IMODE(os.stat(proxy.run_directory).st_mode)
        self.assertEqual(mode & 0o007, 0, oct(mode))

    def test_socket_is_removed_at_the_end(self):
        import os

        proxy = self.lbd(config_for())
        proxy.stop()
        self.assertFalse(os.path.exists(proxy.api_socket))

    def test_leftover_socket_of_a_killed_one_is_replaced(self):
        proxy = self.lbd(config_for())
        proxy.kill()
        proxy.restart()
        self.assertEqual(proxy.api("GET", "/healthz").status, 200)


if __name__ == "__main__":
    unittest.main()
