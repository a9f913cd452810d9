"""What a CA says of a certificate is fetched, with `openssl ocsp` as its responder."""

import tempfile
import time
import unittest
from pathlib import Path

from lab import LabCase, config_for
from lab.certs import Authority
from lab.ocsp import Responder


class Ocsp(LabCase):
    def setUp(self):
        super().setUp()
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.directory = Path(held.name)
        self.server = self.origin(name="a")
        self.ca = Authority(self.directory / "ca")
        self.responder = Responder(self, self.ca, self.directory)
        self.shop = self.issue("shop")

    def issue(self, stem):
        """A certificate that names the responder, with its issuer behind it."""
        made = self.ca.issue(stem, cn="shop.test", names=["DNS:shop.test"],
                             more=[f"authorityInfoAccess=OCSP;URI:{self.responder.url}"])
        made.chain.write_text(made.chain.read_text() + self.ca.certificate.read_text())
        return made

    def document(self, **more):
        files = {"chain_file": str(self.shop.chain), "key_file": str(self.shop.key)}
        return config_for(self.server, certificates={"shop": {**files, **more}})

    def ocsp(self, proxy):
        return proxy.get("/v1/certificates/shop/status")["ocsp"]

    def wait_state(self, proxy, state):
        self.wait_for(lambda: self.ocsp(proxy)["state"] == state, f"the state {state}, not {self.ocsp(proxy)}")

    def test_good(self):
        self.responder.note(self.shop)
        self.responder.start()
        proxy = self.lbd(self.document())
        self.wait_state(proxy, "good")
        ocsp = self.ocsp(proxy)
        self.assertTrue(ocsp["stapled"])
        self.assertGreater(ocsp["next_update"], ocsp["this_update"])
        self.wait_for(
            lambda: proxy.metric("lbd_tls_ocsp_next_update_timestamp_seconds", certificate="shop") > 0, "lbd_tls_ocsp_next_update_timestamp_seconds")
        self.assertEqual(proxy.get("/v1/status")["certificates"]["shop"]["ocsp"], "good")

    def test_the_last_answer_outlives_the_process(self):
        self.responder.note(self.shop)
        self.responder.start()
        proxy = self.lbd(self.document())
        self.wait_state(proxy, "good")
        proxy.stop()
        self.responder.stop()
        proxy.restart()
        ocsp = self.ocsp(proxy)
        self.assertEqual((ocsp["state"], ocsp["stapled"]), ("good", True))
        (kept,) = (proxy.state_directory / "certificates").glob("*.ocsp")
        proxy.stop()
        answer = kept.read_bytes()
        kept.write_bytes(answer.replace(time.strftime("%Y", time.gmtime()).encode(), b"1999", 1))  # a forged one is worth nothing
        self.assertNotEqual(kept.read_bytes(), answer)
        proxy.restart()
        self.assertNotEqual(self.ocsp(proxy)["state"], "good")

    def test_revoked(self):
        self.responder.note(self.shop, "R")
        self.responder.start()
        proxy = self.lbd(self.document())
        self.wait_state(proxy, "revoked")
        status = proxy.get("/v1/certificates/shop/status")
        self.assertEqual(status["state"], "revoked")
        self.assertFalse(status["ocsp"]["stapled"])
        self.assertEqual([event["name"] for event in proxy.get("/v1/events?types=cert.failed")["events"]],
                         ["certificate/shop"])

    def test_nobody_answers_at_first(self):
        proxy = self.lbd(self.document())
        self.wait_state(proxy, "failed")
        self.assertIn("refused", self.ocsp(proxy)["failure"])
        # a new certificate is asked about at once, however long the pause after the failure
        renewed = self.issue("renewed")
        self.responder.note(renewed)
        self.responder.start()
        self.shop.replace_with(renewed)
        self.wait_state(proxy, "good")

    def test_switched_off_and_on(self):
        self.responder.note(self.shop)
        self.responder.start()
        proxy = self.lbd(self.document())
        self.wait_state(proxy, "good")
        proxy.patch("/v1/certificates/shop", {"ocsp": False})
        self.wait_for(lambda: not self.ocsp(proxy)["stapled"], "the end of stapling")
        self.assertEqual(self.ocsp(proxy)["state"], "off")
        proxy.patch("/v1/certificates/shop", {"ocsp": True})
        self.wait_state(proxy, "good")

    def test_by_https(self):
        """The responder behind TLS: another lbd ends it, whose certificate the system has to trust."""
        door = self.ca.issue("door", cn="localhost", names=["DNS:localhost", "IP:127.0.0.1"])
        front = self.lbd({
            "listeners": {"web": {"bind": ["127.0.0.1:0"], "default_pool": "main", "tls": {"certificates": ["door"]}}},
            "pools": {"main": {"servers": {"a": {"address": f"127.0.0.1:{self.responder.port}"}}}},
            "certificates": {"door": {"chain_file": str(door.chain), "key_file": str(door.key), "ocsp": False}}})
        self.responder.url = f"https://127.0.0.1:{front.port()}/ask"
        self.shop.replace_with(self.issue("secure"))
        self.responder.note(self.shop)
        self.responder.start()
        untrusting = self.lbd(self.document())
        self.wait_state(untrusting, "failed")
        self.assertIn("certificate", self.ocsp(untrusting)["failure"])
        trusting = self.lbd(self.document(), env={"SSL_CERT_FILE": str(self.ca.certificate)})
        self.wait_state(trusting, "good")

    def test_off(self):
        proxy = self.lbd(self.document(ocsp=False))
        self.assertEqual(self.ocsp(proxy)["state"], "off")
        self.assertEqual(self.ocsp(proxy)["url"], self.responder.url)


if __name__ == "__main__":
    unittest.main()
