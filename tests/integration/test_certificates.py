"""Certificates as objects of the API: keys go in and are never seen again, in no answer and in no file but one."""

import json
import os
import unittest
from pathlib import Path

from lab import LabCase, config_for, run_lbctl
from lab.certs import Authority

SECRET = b"PRIVATE KEY"


def pem_of(certificate):
    return {"chain": certificate.chain.read_text(), "key": certificate.key.read_text()}


class CertificateCase(LabCase):
    def setUp(self):
        super().setUp()
        self.server = self.origin(name="a")
        self.ca = Authority(self.directory / "ca")
        self.shop = self.ca.issue("shop", cn="shop.test", names=["DNS:shop.test", "DNS:*.shop.test"])
        self.other = self.ca.issue("other", cn="other.test", names=["DNS:other.test"])

    @property
    def directory(self):
        if not hasattr(self, "_directory"):
            import tempfile
            held = tempfile.TemporaryDirectory()
            self.addCleanup(held.cleanup)
            self._directory = Path(held.name)
        return self._directory

    def store(self, proxy):
        folder = proxy.state_directory / "certificates"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def assert_no_secret(self, proxy):
        """In no file of the state folder but the store, in no log."""
        for path in proxy.state_directory.rglob("*"):
            if path.is_file() and path.parent.name != "certificates":
                self.assertNotIn(SECRET, path.read_bytes(), f"{path} shows a key")
        self.assertNotIn(SECRET.decode(), proxy.log_text())

    def end(self, proxy, code):
        """It ends by itself."""
        self.assertEqual(proxy.wait_exit(), code)
        proxy.process = None
        proxy.notify.close()

    def assert_invalid(self, answer, pointer, words):
        self.assertEqual(answer.status, 422, answer)
        found = {entry["pointer"]: entry["detail"] for entry in answer.body["errors"]}
        self.assertIn(pointer, found)
        self.assertIn(words, found[pointer])
        self.assertNotIn(SECRET, answer.raw)


class Doors(CertificateCase):
    def test_every_door_takes_a_key_and_shows_a_name(self):
        proxy = self.lbd(config_for(self.server))
        body = pem_of(self.shop)
        first = proxy.api("PUT", "/v1/certificates/shop", body)
        self.assertEqual(first.status, 201, first)
        stored = first.body["stored"]
        self.assertRegex(stored, "^sha256:[0-9a-f]{64}$")
        self.assertEqual(first.body, {"stored": stored})

        whole = proxy.get("/v1/config")
        self.assertEqual(whole["certificates"], {"shop": {"stored": stored}})
        whole["certificates"]["shop"] = body
        same = proxy.api("PUT", "/v1/config", whole)
        self.assertEqual((same.status, same.header("Lbd-Changed")), (200, "false"), "the same key is the same")

        doors = [
            ("PATCH", "/v1/config", {"certificates": {"b": body}}),
            ("PUT", "/v1/config?owner=me", {"certificates": {"c": body}}),
            ("POST", "/v1/batch", [{"method": "PUT", "path": "/v1/certificates/d", "body": body}]),
            ("PATCH", "/v1/certificates/d", pem_of(self.other)),
        ]
        for method, path, document in doors:
            answer = proxy.api(method, path, document)
            self.assertIn(answer.status, (200, 201), answer)
            self.assertNotIn(SECRET, answer.raw)
        held = proxy.get("/v1/certificates")
        self.assertEqual(held["b"], {"stored": stored})
        self.assertEqual(held["c"]["stored"], stored)
        self.assertNotEqual(held["d"]["stored"], stored)
        self.assertEqual(len(self.store(proxy)), 2, "content-addressed")
        for path in ("/v1/config?defaults=true", "/v1/certificates/shop?defaults=true", "/v1/revisions",
                     "/v1/revisions/3/config", "/v1/revisions/2/diff?to=5", "/v1/events", "/v1/status",
                     "/v1/certificates/shop/status"):
            self.assertNotIn(SECRET, proxy.api("GET", path).raw, path)
        self.assert_no_secret(proxy)
        for name in self.store(proxy):
            path = proxy.state_directory / "certificates" / name
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual((proxy.state_directory / "certificates").stat().st_mode & 0o777, 0o700)

    def test_what_is_read_can_be_put_again(self):
        proxy = self.lbd(config_for(self.server))
        proxy.put("/v1/certificates/shop", pem_of(self.shop))
        again = proxy.api("PUT", "/v1/certificates/shop", proxy.get("/v1/certificates/shop"))
        self.assertEqual((again.status, again.header("Lbd-Changed")), (200, "false"))
        copy = proxy.api("PUT", "/v1/certificates/copy", proxy.get("/v1/certificates/shop"))
        self.assertEqual(copy.status, 201)

    def test_the_file_may_hold_a_key_and_the_store_has_it(self):
        document = config_for(self.server, certificates={"shop": pem_of(self.shop)})
        for source in ("api", "file"):
            proxy = self.lbd(document, daemon={"config_source": source})
            self.assertEqual(len(self.store(proxy)), 1)
            self.assertNotIn(SECRET, proxy.api("GET", "/v1/config").raw)
            proxy.stop()
            proxy.restart()
            self.assertEqual(proxy.get("/v1/certificates/shop/status")["state"], "valid")
            self.assert_no_secret(proxy)

    def test_idempotent_and_audited_without_the_key(self):
        proxy = self.lbd(config_for(self.server), daemon={}, api={"audit": {"path": str(self.directory / "audit")}})
        key = {"Idempotency-Key": "one"}
        first = proxy.api("PUT", "/v1/certificates/shop", pem_of(self.shop), headers=key)
        second = proxy.api("PUT", "/v1/certificates/shop", pem_of(self.shop), headers=key)
        self.assertEqual((first.status, second.status), (201, 201))
        self.assertEqual(first.raw, second.raw)
        audit = (self.directory / "audit").read_bytes()
        self.assertIn(b"/v1/certificates/shop", audit)
        self.assertNotIn(SECRET, audit)


class Refusals(CertificateCase):
    def test_what_is_wrong_is_told_where_it_is(self):
        proxy = self.lbd(config_for(self.server))
        good = pem_of(self.shop)
        locked = self.directory / "locked.pem"
        from lab.certs import _openssl
        _openssl("pkey", "-in", self.shop.key, "-aes256", "-passout", "pass:x", "-out", locked)
        at = "#/certificates/shop"
        cases = [
            ({"chain": good["chain"], "key": pem_of(self.other)["key"]}, f"{at}/key", "not that of"),
            ({"chain": "x", "key": good["key"]}, f"{at}/chain", "PEM"),
            ({"chain": good["chain"], "key": "x"}, f"{at}/key", "PEM"),
            ({"chain": good["chain"], "key": locked.read_text()}, f"{at}/key", "passphrase"),
            ({"chain": good["chain"]}, f"{at}/key", "together"),
            ({"key": good["key"]}, f"{at}/chain", "together"),
            ({"stored": "sha256:" + "a" * 64}, f"{at}/stored", "is stored here"),
            ({"chain_file": "/nowhere", "key_file": str(self.shop.key)}, f"{at}/chain_file", "No such file"),
            ({"chain_file": str(self.shop.chain), "key_file": str(self.other.key)}, f"{at}/key_file", "not that of"),
        ]
        for body, pointer, words in cases:
            for suffix in ("", "?dry_run=true"):
                with self.subTest(pointer=pointer, words=words, suffix=suffix):
                    answer = proxy.api("PUT", "/v1/certificates/shop" + suffix, body)
                    self.assert_invalid(answer, pointer, words)
                    entry = answer.body["errors"][0]
                    if "together" not in words:
                        self.assertGreater(entry.get("line", 0), 0)
        self.assertEqual(self.store(proxy), [], "what is refused leaves nothing")
        self.assertEqual(proxy.get("/v1/config/status")["revision"], 1)
        self.assert_no_secret(proxy)

    def test_a_dry_run_leaves_nothing(self):
        proxy = self.lbd(config_for(self.server))
        answer = proxy.api("PUT", "/v1/certificates/shop?dry_run=true", pem_of(self.shop))
        self.assertEqual(answer.status, 201)
        self.assertNotIn(SECRET, answer.raw)
        self.assertEqual(self.store(proxy), [])
        validated = proxy.api("POST", "/v1/config/validate", config_for(
            self.server, certificates={"shop": pem_of(self.shop)}))
        self.assertEqual(validated.status, 200)
        self.assertEqual(self.store(proxy), [])

    def test_a_key_in_a_ca_set_is_refused(self):
        proxy = self.lbd(config_for(self.server))
        answer = proxy.api("PUT", "/v1/ca-sets/inside", {"pem": self.shop.chain.read_text() + self.shop.key.read_text()})
        self.assert_invalid(answer, "#/ca_sets/inside/pem", "private key")

    def test_one_in_use_stays(self):
        proxy = self.lbd(config_for(self.server, pool={"tls": {"certificate": "shop"}},
                                    certificates={"shop": pem_of(self.shop)}))
        answer = proxy.api("DELETE", "/v1/certificates/shop")
        self.assertEqual(answer.status, 409)
        self.assertEqual(answer.body["errors"][0]["pointer"], "#/pools/main/tls/certificate")

    def test_what_a_change_shows(self):
        """By their digests certificates are told apart, in the history and in what differs."""
        proxy = self.lbd(config_for(self.server))
        proxy.put("/v1/certificates/x", pem_of(self.shop))
        before = proxy.get("/v1/certificates/x")["stored"]
        revision = proxy.put("/v1/certificates/x", pem_of(self.other)).revision
        after = proxy.get("/v1/certificates/x")["stored"]
        short = [f'"{stored[:59]}..."' for stored in (before, after)]
        shown = run_lbctl("--socket", proxy.api_socket, "diff", "--rev", f"{revision - 1}..{revision}").stdout
        self.assertEqual(shown, f"~ /certificates/x/stored: {short[0]} -> {short[1]}\n")
        self.assertIn(f"certificates/x/stored: {short[0]} -> {short[1]}",
                      run_lbctl("--socket", proxy.api_socket, "history").stdout)

    def test_warnings(self):
        late = self.ca.issue("late", cn="late.test", names=["DNS:late.test"], days=-1)
        document = config_for(self.server, listener={"tls": {"certificates": ["late"]}},
                              certificates={"late": pem_of(late)},
                              routes={"r": {"listener": "web", "match": {"host": ["late.test", "no.test"]},
                                            "action": {"pool": "main"}}})
        proxy = self.lbd(config_for(self.server))
        answer = proxy.api("PUT", "/v1/config?dry_run=true", document)
        self.assertEqual(answer.status, 200, answer)
        warned = {(entry["pointer"], entry["code"]) for entry in answer.body["warnings"]}
        self.assertIn(("#/certificates/late", "expired-certificate"), warned)
        self.assertIn(("#/certificates/late", "short-chain"), warned)
        self.assertIn(("#/routes/r/match/host/1", "uncovered-host"), warned)
        self.assertNotIn(("#/routes/r/match/host/0", "uncovered-host"), warned)


class Life(CertificateCase):
    def test_status_says_what_it_is(self):
        proxy = self.lbd(config_for(self.server))
        proxy.put("/v1/certificates/shop", pem_of(self.shop))
        status = proxy.get("/v1/certificates/shop/status")
        self.assertEqual(status["names"], ["shop.test", "*.shop.test"])
        self.assertEqual((status["subject"], status["issuer"]), ("CN=shop.test", "CN=test CA"))
        self.assertEqual((status["key_type"], status["key_bits"]), ("ec", 256))
        self.assertEqual((status["state"], status["source"], status["chain"]), ("valid", "stored", "short"))
        self.assertIn(status["days_left"], (29, 30))
        self.assertEqual(status["serial"].lstrip("0"), self.shop.serial().lstrip("0"))
        self.assertTrue(all(condition["status"] for condition in status["conditions"]))
        self.assertEqual(proxy.get("/v1/status")["certificates"]["shop"]["state"], "valid")
        value = proxy.metric("lbd_tls_certificate_not_after_timestamp_seconds", certificate="shop")
        self.assertGreater(value, 0)
        loaded = proxy.get("/v1/events?types=cert.loaded")["events"]
        self.assertEqual([event["name"] for event in loaded], ["certificate/shop"])
        self.assertEqual(loaded[0]["data"]["sha256"], status["sha256"])
        self.assertEqual(proxy.api("GET", "/v1/certificates/no/status").status, 404)

    def test_its_end_is_told(self):
        proxy = self.lbd(config_for(self.server))
        proxy.put("/v1/certificates/soon", pem_of(self.ca.issue("soon", cn="soon.test", days=6)))
        proxy.put("/v1/certificates/late", pem_of(self.ca.issue("late", cn="late.test", days=-1)))
        told = {(event["type"], event["name"]) for event in proxy.get("/v1/events?types=cert.expiring,cert.expired")["events"]}
        self.assertEqual(told, {("cert.expiring", "certificate/soon"), ("cert.expired", "certificate/late")})
        self.assertEqual(proxy.get("/v1/certificates/late/status")["state"], "expired")
        problems = {problem["pointer"] for problem in proxy.get("/v1/status")["problems"]}
        self.assertLessEqual({"#/certificates/soon", "#/certificates/late"}, problems)

    def test_what_was_removed_can_be_had_again(self):
        proxy = self.lbd(config_for(self.server))
        put = proxy.put("/v1/certificates/shop", pem_of(self.shop))
        proxy.delete("/v1/certificates/shop")
        proxy.stop()
        proxy.restart()
        self.assertEqual(proxy.get("/v1/certificates"), {})
        back = proxy.api("POST", f"/v1/revisions/{put.revision}/rollback")
        self.assertEqual(back.status, 200, back)
        self.assertEqual(proxy.get("/v1/certificates/shop/status")["state"], "valid")

    def test_a_key_goes_when_no_revision_needs_it(self):
        proxy = self.lbd(config_for(self.server))
        proxy.put("/v1/certificates/shop", pem_of(self.shop))
        proxy.delete("/v1/certificates/shop")
        self.assertEqual(len(self.store(proxy)), 1)
        for weight in range(1, 51):
            proxy.patch("/v1/pools/main/servers/a", {"weight": weight})
        self.assertEqual(self.store(proxy), [])

    def test_an_unconfirmed_certificate(self):
        proxy = self.lbd(config_for(self.server))
        proxy.api("PUT", "/v1/certificates/shop?confirm_within=1h", pem_of(self.shop))
        self.assertEqual(len(self.store(proxy)), 1)
        proxy.kill()
        proxy.restart()
        self.assertEqual(proxy.get("/v1/certificates"), {})

    def test_a_store_that_lost_a_key(self):
        proxy = self.lbd(config_for(self.server))
        proxy.put("/v1/certificates/shop", pem_of(self.shop))
        proxy.stop()
        path = proxy.state_directory / "certificates" / self.store(proxy)[0]
        path.write_text(path.read_text().replace("A", "B"))
        proxy.start(ready=False)
        self.end(proxy, 78)
        self.assertIn("damaged", proxy.everything())
        self.assertIn("/certificates/shop/stored", proxy.everything())

    def test_killed_at_every_step(self):
        body = pem_of(self.shop)
        for step in ("key-open", "key-write", "key-fsync", "key-rename", "key-dirsync", "save-open", "save-rename",
                     "save-dirsync"):
            with self.subTest(step=step):
                proxy = self.lbd(config_for(self.server), env={"LBD_TEST_CRASH_AT": ""})
                proxy.stop()
                proxy.env = {**(proxy.env or {}), "LBD_TEST_CRASH_AT": step}
                proxy.start()
                try:
                    proxy.api("PUT", "/v1/certificates/shop", body)
                except Exception:  # the connection ends with the process
                    pass
                self.end(proxy, 137)
                proxy.env = {**proxy.env, "LBD_TEST_CRASH_AT": ""}
                proxy.start()
                held = proxy.get("/v1/certificates")
                if held:
                    self.assertEqual(proxy.get("/v1/certificates/shop/status")["state"], "valid")
                self.assertEqual(len(self.store(proxy)), len(held), "a key without a document is swept")
                proxy.put("/v1/certificates/shop", body)
                proxy.stop()


class Commands(CertificateCase):
    def lbctl(self, proxy, *args, **more):
        return run_lbctl(*args, socket_path=proxy.api_socket, **more)

    def test_lbctl_cert(self):
        proxy = self.lbd(config_for(self.server))
        done = self.lbctl(proxy, "cert", "put", "shop", "--chain", str(self.shop.chain), "--key", str(self.shop.key))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("put: 1 change", done.stdout)
        both = self.other.chain.read_text() + self.other.key.read_text()
        done = self.lbctl(proxy, "cert", "put", "shop", "--chain", "-", "--trace", stdin=both)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("PRIVATE", done.stdout + done.stderr)
        listed = self.lbctl(proxy, "cert", "list")
        self.assertIn("other.test", listed.stdout)
        wrong = self.lbctl(proxy, "cert", "put", "shop", "--chain", str(self.shop.chain), "--key", str(self.other.key))
        self.assertEqual(wrong.returncode, 7)
        self.assertIn("/certificates/shop/key", wrong.stderr)
        self.assertEqual(self.lbctl(proxy, "cert", "put", "shop", "--chain", str(self.shop.chain)).returncode, 2)
        self.assertEqual(self.lbctl(proxy, "cert", "expiring", "--for", "5d").returncode, 0)
        soon = self.lbctl(proxy, "cert", "expiring", "--for", "60d", "-o", "name")
        self.assertEqual((soon.returncode, soon.stdout), (1, "shop\n"))
        described = self.lbctl(proxy, "describe", "certificate", "shop")
        self.assertIn("cert.loaded", described.stdout)
        self.assertEqual(json.loads(self.lbctl(proxy, "get", "certificates", "-o", "json").stdout),
                         proxy.get("/v1/certificates"))
        self.assertEqual(self.lbctl(proxy, "cert", "rm", "shop", "--yes").returncode, 0)
        self.assertEqual(proxy.get("/v1/certificates"), {})


if __name__ == "__main__":
    unittest.main()
