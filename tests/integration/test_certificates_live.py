"""Certificates that come through the API, as clients see them: changed under load, taken back, stapled."""

import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from lab import Client, LabCase, config_for
from lab.certs import Authority, client_context
from lab.ocsp import Responder

NAMES = ["DNS:shop.test"]


def pem_of(pair):
    return {"chain": pair.chain.read_text(), "key": pair.key.read_text()}


class Handshakes:
    """Threads that shake hands in full, ask once and hang up, over and over."""

    def __init__(self, address, context, threads=4):
        self.address = address
        self.context = context
        self.stop_now = threading.Event()
        self.failures = []
        self.seen = set()
        self.count = 0
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop_now.set()
        for thread in self.threads:
            thread.join(60)

    def run(self):
        while not self.stop_now.is_set():
            try:
                with Client(self.address, tls=self.context, name="shop.test", timeout=60) as client:
                    self.seen.add(client.sock.getpeercert()["serialNumber"].lstrip("0"))
                    status = client.get(host="shop.test").status
                    if status != 200:
                        self.failures.append(status)
                    self.count += 1
            except (OSError, ssl.SSLError) as error:
                self.failures.append(repr(error))


class Live(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="lab-certs-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.ca = Authority(cls.folder, "test CA")
        cls.pairs = [cls.ca.issue(f"shop-{n}", cn=f"shop-{n}", names=NAMES) for n in range(3)]

    def start(self, certificate):
        return self.lbd(config_for(self.origin(), listener={"tls": {"certificates": ["shop"]}},
                                   certificates={"shop": certificate}))

    def shown(self, lbd):
        context = client_context(self.ca)
        with socket.create_connection(lbd.address(), timeout=60) as sock:
            with context.wrap_socket(sock, server_hostname="shop.test") as tls:
                return tls.getpeercert()["serialNumber"].lstrip("0")

    def serial(self, pair):
        return pair.serial().lstrip("0")

    def test_swapped_under_load_without_a_failed_handshake(self):
        lbd = self.start(pem_of(self.pairs[0]))
        held = [Client(lbd.address(), tls=client_context(self.ca), name="shop.test") for _ in range(4)]
        for client in held:
            self.addCleanup(client.close)
            self.assertEqual(client.get(host="shop.test").status, 200)
        with Handshakes(lbd.address(), client_context(self.ca)) as load:
            for n in range(1, 10):
                pair = self.pairs[n % 3]
                before = load.count
                lbd.put("/v1/certificates/shop", pem_of(pair))
                self.assertEqual(self.shown(lbd), self.serial(pair), "200: every worker shows it")
                self.wait_for(lambda: load.count > before + 4, "handshakes between two changes")
            first = next(revision["revision"] for revision in lbd.get("/v1/revisions")["revisions"]
                         if revision["revision"] == 1)
            lbd.change("POST", f"/v1/revisions/{first}/rollback")
            self.assertEqual(self.shown(lbd), self.serial(self.pairs[0]))
        self.assertEqual(load.failures, [])
        self.assertEqual(load.seen, {self.serial(pair) for pair in self.pairs})
        for client in held:  # those that were there before go on
            self.assertEqual(client.get(host="shop.test").status, 200)

    def test_what_is_refused_changes_nothing_for_clients(self):
        lbd = self.start(pem_of(self.pairs[0]))
        wrong = {**pem_of(self.pairs[1]), "key": pem_of(self.pairs[2])["key"]}
        self.assertEqual(lbd.api("PUT", "/v1/certificates/shop", wrong).status, 422)
        lbd.api("PUT", "/v1/certificates/shop?dry_run=true", pem_of(self.pairs[1]))
        self.assertEqual(self.shown(lbd), self.serial(self.pairs[0]))

    def test_taken_back_when_nobody_confirms(self):
        lbd = self.start(pem_of(self.pairs[0]))
        trial = lbd.api("PUT", "/v1/certificates/shop?confirm_within=1h", pem_of(self.pairs[1]))
        self.assertEqual(self.shown(lbd), self.serial(self.pairs[1]))
        lbd.change("POST", f"/v1/revisions/{trial.revision}/reject")
        self.assertEqual(self.shown(lbd), self.serial(self.pairs[0]))

    def test_the_answer_of_its_ca_is_stapled(self):
        responder = Responder(self, self.ca, self.folder)
        pair = self.ca.issue("stapled", cn="stapled", names=NAMES, more=[f"authorityInfoAccess=OCSP;URI:{responder.url}"])
        pair.chain.write_text(pair.chain.read_text() + self.ca.certificate.read_text())
        responder.note(pair)
        responder.start()
        lbd = self.start(pem_of(pair))
        self.wait_for(lambda: lbd.get("/v1/certificates/shop/status")["ocsp"]["stapled"], "the answer")
        for version in ("-tls1_2", "-tls1_3"):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{lbd.port()}", "-servername", "shop.test", "-status",
                 version, "-CAfile", self.ca.certificate],
                input="", capture_output=True, text=True, timeout=60)
            self.assertIn("OCSP Response Status: successful", done.stdout, version)
            self.assertIn("Cert Status: good", done.stdout)
        lbd.patch("/v1/listeners/web", {"tls": {"ocsp_stapling": False}})
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{lbd.port()}", "-servername", "shop.test", "-status"],
            input="", capture_output=True, text=True, timeout=60)
        self.assertIn("OCSP response: no response sent", done.stdout)

    def test_an_owner_brings_and_takes_its_certificates(self):
        lbd = self.lbd(config_for(self.origin()))
        mine = config_for(self.origin(), certificates={"shop": pem_of(self.pairs[0])})
        mine = {"certificates": mine["certificates"],
                "listeners": {"mine": {"bind": ["127.0.0.1:0"], "default_pool": "main",
                                       "tls": {"certificates": ["shop"]}}}}
        lbd.put("/v1/config?owner=me", mine)
        self.assertEqual(lbd.get("/v1/certificates/shop")["meta"], {"managed_by": "me"})
        with socket.create_connection(lbd.address("mine"), timeout=60) as sock:
            with client_context(self.ca).wrap_socket(sock, server_hostname="shop.test") as tls:
                self.assertEqual(tls.getpeercert()["serialNumber"].lstrip("0"), self.serial(self.pairs[0]))
        other = lbd.api("PUT", "/v1/config?owner=you", {"certificates": mine["certificates"]})
        self.assertEqual(other.status, 409)
        lbd.put("/v1/config?owner=me", {})
        self.assertEqual(lbd.get("/v1/certificates"), {})


if __name__ == "__main__":
    unittest.main()
