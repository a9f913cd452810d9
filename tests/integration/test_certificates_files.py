"""Certificates in files: checked at the start and by lbd -t, read again when they change, kept when they turn bad."""

import json
import os
import tempfile
import unittest
from pathlib import Path

from lab import LabCase, config_for, run_lbd
from lab.certs import Authority


class Files(LabCase):
    def setUp(self):
        super().setUp()
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.directory = Path(held.name)
        self.server = self.origin(name="a")
        self.ca = Authority(self.directory / "ca")
        self.shop = self.ca.issue("shop", cn="shop.test", names=["DNS:shop.test"])

    def document(self, **more):
        files = {"chain_file": str(self.shop.chain), "key_file": str(self.shop.key)}
        return config_for(self.server, certificates={"shop": {**files, **more}},
                          ca_sets={"inside": {"file": str(self.ca.certificate)}})

    def status(self, proxy, path="/v1/certificates/shop/status"):
        return proxy.get(path)

    @staticmethod
    def replace(path, text):
        """At once: half a file is bad in another way."""
        fresh = path.with_suffix(".fresh")
        fresh.write_text(text)
        os.replace(fresh, path)

    def condition(self, status, kind):
        return next(found for found in status["conditions"] if found["type"] == kind)

    def test_a_file_that_changes_is_read_again(self):
        proxy = self.lbd(self.document())
        before = self.status(proxy)
        generation = proxy.get("/v1/config/status")["workers"][0]["generation"]
        self.shop.replace_with(self.ca.issue("renewed", cn="shop.test", names=["DNS:shop.test", "DNS:new.test"]))
        self.wait_for(lambda: self.status(proxy)["sha256"] != before["sha256"], "the new certificate")
        self.assertEqual(self.status(proxy)["names"], ["shop.test", "new.test"])
        config = proxy.get("/v1/config/status")
        self.assertEqual(config["revision"], 1, "no revision")
        self.wait_for(lambda: proxy.get("/v1/config/status")["workers"][0]["generation"] > generation, "a generation")
        loaded = proxy.get("/v1/events?types=cert.loaded&name=certificate/shop")["events"]
        self.assertEqual(len(loaded), 2)
        proxy.wait_metric(1, "lbd_config_revision")

    def test_a_bad_file_leaves_the_old_one(self):
        proxy = self.lbd(self.document())
        before = self.status(proxy)
        other = self.ca.issue("other", cn="other.test")
        good = self.shop.chain.read_text()
        self.replace(self.shop.chain, other.chain.read_text())  # its key is not there yet
        self.wait_for(lambda: "failure" in self.status(proxy), "the failure")
        status = self.status(proxy)
        self.assertEqual(status["sha256"], before["sha256"])
        self.assertIn("is not that of", status["failure"])
        self.assertFalse(self.condition(status, "ResolvedRefs")["status"])
        self.assertTrue(self.condition(status, "Ready")["status"])
        failed = proxy.get("/v1/events?types=cert.failed")["events"]
        self.assertEqual([event["name"] for event in failed], ["certificate/shop"])
        pointers = {problem["pointer"] for problem in proxy.get("/v1/status")["problems"]}
        self.assertIn("#/certificates/shop", pointers)
        # changes of other things are not held up by it
        self.assertEqual(proxy.patch("/v1/pools/main", {"retries": 2}).status, 200)
        self.replace(self.shop.chain, good)
        self.wait_for(lambda: "failure" not in self.status(proxy), "the end of the failure")

    def test_a_ca_set_changes(self):
        proxy = self.lbd(self.document())
        status = self.status(proxy, "/v1/ca-sets/inside/status")
        self.assertEqual((status["count"], status["subjects"], status["state"]), (1, ["CN=test CA"], "valid"))
        second = Authority(self.directory / "second", "second CA")
        self.replace(self.ca.certificate, self.ca.certificate.read_text() + second.certificate.read_text())
        self.wait_for(lambda: self.status(proxy, "/v1/ca-sets/inside/status")["count"] == 2, "the second one")
        self.assertEqual(proxy.get("/v1/status")["ca_sets"]["inside"]["count"], 2)
        self.ca.certificate.write_text("nothing\n")
        self.wait_for(lambda: "failure" in self.status(proxy, "/v1/ca-sets/inside/status"), "the failure")
        self.assertEqual(self.status(proxy, "/v1/ca-sets/inside/status")["count"], 2)

    def test_bad_ones_are_told_by_the_check_and_stop_the_start(self):
        self.shop.key.write_text("no key\n")
        document = self.document()
        for source in ("file", "api"):
            proxy = self.lbd(document, daemon={"config_source": source}, start=False)
            checked = run_lbd("-t", "--json", "-c", str(proxy.config_path))
            self.assertEqual(checked.returncode, 78)
            errors = json.loads(checked.stdout)["errors"]
            self.assertEqual([error["pointer"] for error in errors], ["#/certificates/shop/key_file"])
            self.assertGreater(errors[0]["line"], 1)
            proxy.start(ready=False)
            self.assertEqual(proxy.wait_exit(), 78)
            proxy.process = None
            self.assertIn("#/certificates/shop/key_file", proxy.log_text())
            self.assertIn("cannot read the key", proxy.stderr_text())

    def test_a_reload_tells_where_it_is_bad(self):
        proxy = self.lbd(self.document(), daemon={"config_source": "file"})
        proxy.write_config(config_for(self.server, certificates={
            "shop": {"chain_file": "/nowhere.pem", "key_file": str(self.shop.key)}}))
        answer = proxy.api("POST", "/v1/config/reload")
        self.assertEqual(answer.status, 422, answer)
        self.assertEqual(answer.pointers, ["#/certificates/shop/chain_file"])
        self.assertGreater(answer.body["errors"][0]["line"], 1)
        self.assertEqual(self.status(proxy)["state"], "valid")

    def test_a_key_that_others_may_read(self):
        os.chmod(self.shop.key, 0o644)
        proxy = self.lbd(config_for(self.server))
        answer = proxy.api("PUT", "/v1/certificates/shop", self.document()["certificates"]["shop"])
        self.assertEqual(answer.status, 422)
        self.assertIn("open to others", answer.body["errors"][0]["detail"])


if __name__ == "__main__":
    unittest.main()
