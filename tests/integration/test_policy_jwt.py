"""JWT: each algorithm signed by OpenSSL, what is wrong with a token, keys that change, what servers are told."""

import base64
import hashlib
import hmac
import json
import os
import ssl
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from lab import LabCase, config_for
from lab.certs import Authority
from lab.origin import respond

SECRET = b"0123456789abcdef0123456789abcdef"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout


def raw_of(der):
    """The two numbers of an ECDSA signature side by side (RFC 7518 3.4)."""
    def number(at):
        length = der[at + 1]
        return der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0"), at + 2 + length
    r, at = number(2)
    return r + number(at)[0]


class Signer:
    """Keys of each kind, made once."""

    def __init__(self, folder):
        self.folder = folder
        for name, args in (("rsa", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
                           ("ec", ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("ed", ["ED25519"])):
            openssl("genpkey", "-algorithm", *args, "-out", f"{folder}/{name}.pem")
        modulus = openssl("rsa", "-in", f"{folder}/rsa.pem", "-noout", "-modulus").decode().strip().partition("=")[2]
        self.modulus = bytes.fromhex(modulus)
        point = self.public("ec")[-64:]
        self.keys = [
            {"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": b64(self.modulus), "e": "AQAB"},
            {"kty": "EC", "kid": "e", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])},
            {"kty": "OKP", "kid": "o", "crv": "Ed25519", "x": b64(self.public("ed")[-32:])},
            {"kty": "oct", "kid": "h", "k": b64(SECRET)},
            {"kty": "EC", "kid": "other", "crv": "P-521", "x": "AA", "y": "AA"},
        ]

    def public(self, name):
        return openssl("pkey", "-in", f"{self.folder}/{name}.pem", "-pubout", "-outform", "DER")

    def sign(self, alg, data):
        if alg == "HS256":
            return hmac.new(SECRET, data, hashlib.sha256).digest()
        if alg == "EdDSA":
            path = Path(self.folder) / "data"
            path.write_bytes(data)
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", f"{self.folder}/ed.pem", "-in", str(path))
        name = {"RS256": "rsa", "ES256": "ec"}[alg]
        made = openssl("dgst", "-sha256", "-sign", f"{self.folder}/{name}.pem", data=data)
        return raw_of(made) if alg == "ES256" else made

    def token(self, alg="HS256", header=(), **claims):
        claims = {"exp": int(time.time()) + 600, "sub": "ann", "n": 7, **claims}
        claims = {key: value for key, value in claims.items() if value is not None}
        head = b64(json.dumps({"alg": alg, **dict(header)}).encode())
        data = f"{head}.{b64(json.dumps(claims).encode())}"
        return f"{data}.{b64(self.sign(alg, data.encode()))}"


class Jwt(LabCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.signer = Signer(folder.name)

    def write_keys(self, keys):
        path = Path(self.signer.folder) / "jwks.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"keys": keys}))
        new.chmod(0o600)
        os.replace(new, path)
        return str(path)

    def start(self, mode="enforce", **policy):
        self.seen = []
        def script(peer):
            while True:
                self.seen.append({name.lower(): value for name, value in peer.rx().headers})
                peer.send(respond(200))
        document = config_for(self.origin(script))
        document["policies"] = {"token": {"mode": mode, "jwt": {
            "keys_file": self.write_keys(self.signer.keys), "headers": {"X-User": "sub", "X-Number": "n", "X-No": "no"},
            **policy}}}
        document["listeners"]["web"]["policies"] = ["token"]
        self.document = document
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def ask(self, client, token, **headers):
        return client.get("/", headers={"Authorization": f"Bearer {token}", **headers})

    def test_each_algorithm_and_what_servers_are_told(self):
        client = self.start()
        for alg, kid in (("RS256", "r"), ("ES256", "e"), ("EdDSA", "o"), ("HS256", "h")):
            for header in ({}, {"kid": kid}):
                token = self.signer.token(alg, header)
                for _ in range(2):  # verified, and remembered
                    answer = self.ask(client, token, **{"X-User": "root", "X-No": "forged"})
                    self.assertEqual(answer.status, 200, (alg, header, answer))
                    told = self.seen[-1]
                    self.assertEqual((told["x-user"], told["x-number"]), ("ann", "7"))
                    self.assertNotIn("x-no", told)
                    self.assertNotIn("authorization", told)

    def test_numbers_that_nobody_looks_at(self):
        client = self.start()
        for number in (2**53 - 1, 2**53, 2**53 + 1, 2**64, -2**70, 2**128):
            self.assertEqual(self.ask(client, self.signer.token("HS256", n=number)).status, 200, number)
            self.assertEqual(self.seen[-1].get("x-number"), str(number) if abs(number) < 2**53 else None)
            self.assertEqual(self.seen[-1]["x-user"], "ann")
        self.assert_reason(self.ask(client, self.signer.token("HS256", exp=2**64)), 401, "token_invalid")

    def test_what_is_wrong_with_a_token(self):
        client = self.start(issuer="https://login/", audience=["api", "web"], required={"role": "admin"}, leeway="1s")
        now = int(time.time())
        good = {"iss": "https://login/", "aud": "api", "role": ["user", "admin"]}
        token = self.signer.token
        self.assertEqual(self.ask(client, token(**good)).status, 200)
        self.assertEqual(self.ask(client, token(**{**good, "aud": ["x", "web"], "role": "admin"})).status, 200)
        head, claims, signature = token(**good).split(".")
        public = self.signer.public("ec")
        data = f"{b64(json.dumps({'alg': 'HS256'}).encode())}.{claims}"
        confused = f"{data}.{b64(hmac.new(public, data.encode(), hashlib.sha256).digest())}"
        none = f"{b64(json.dumps({'alg': 'none'}).encode())}.{claims}"
        for wrong, status, reason in [
            ("", 401, "token_required"), ("x", 401, "token_invalid"), ("a.b.c", 401, "token_invalid"), ("..", 401, "token_invalid"),
            (f"{head}.{claims}", 401, "token_invalid"), (f"{head}.{claims}.", 401, "token_invalid"),
            (f"{head}.{claims}.{signature}.x", 401, "token_invalid"), (f"{head}.{claims}.{signature}=", 401, "token_invalid"),
            (f"{head}.{b64(json.dumps({**good, 'exp': now + 600, 'sub': 'root'}).encode())}.{signature}", 401, "token_invalid"),
            (f"{none}.", 401, "token_invalid"), (f"{none}.{signature}", 401, "token_invalid"), (confused, 401, "token_invalid"),
            (token(header={"crit": ["b64"]}, **good), 401, "token_invalid"),
            (token(header={"kid": "e"}, **good), 401, "token_invalid"),
            (token(exp=None, **good), 401, "token_invalid"), (token(exp="soon", **good), 401, "token_invalid"),
            (token(nbf="x", **good), 401, "token_invalid"),
            (token(exp=now - 5, **good), 401, "token_expired"), (token(nbf=now + 60, **good), 401, "token_expired"),
            (token(**{**good, "iss": "https://evil/"}), 401, "token_invalid"), (token(**{**good, "aud": "x"}), 401, "token_invalid"),
            (token(**{**good, "role": "user"}), 403, "token_claims"), (token(**{**good, "role": ["adminx"]}), 403, "token_claims"),
            ("y" * 9000, 401, "token_invalid"),
        ]:
            with self.subTest(wrong[:60]):
                answer = self.ask(client, wrong)
                self.assert_reason(answer, status, reason)
                self.assertTrue(answer.get("WWW-Authenticate").startswith("Bearer"))
        self.assertEqual(len(self.seen), 2)

    def test_algorithms_cookie_optional_shadow(self):
        client = self.start(algorithms=["ES256"], cookie="session", optional=True)
        self.assertEqual(client.get("/", headers={"X-User": "root"}).status, 200)
        self.assertNotIn("x-user", self.seen[-1])
        good = self.signer.token("ES256")
        self.assertEqual(client.get("/", headers={"Cookie": f"a=b; session={good}"}).status, 200)
        self.assertEqual(self.seen[-1]["x-user"], "ann")
        answer = client.get("/", headers={"Cookie": f"session={self.signer.token('HS256')}"})
        self.assert_reason(answer, 401, "token_invalid")
        self.document["policies"]["token"]["mode"] = "shadow"
        self.proxy.put("/v1/config", self.document)
        self.assertEqual(client.get("/", headers={"Cookie": "session=x"}).status, 200)
        self.proxy.wait_metric(1, "lbd_policy_decisions_total", policy="token", decision="shadow")

    def test_keys_that_change_end_what_they_signed(self):
        client = self.start()
        token = self.signer.token("HS256")
        self.assertEqual(self.ask(client, token).status, 200)
        self.write_keys(self.signer.keys[:3])
        self.wait_for(lambda: self.ask(client, token).get("Lbd-Reason") == "token_invalid", "the end of the secret")
        self.assertEqual(self.ask(client, self.signer.token("EdDSA")).status, 200)
        self.write_keys([{"kty": "oct", "k": "c2hvcnQ"}])
        self.proxy.wait_log("policy.file_refused")
        self.assertEqual(self.ask(client, self.signer.token("EdDSA")).status, 200)

    # -- keys_url --

    def start_fetching(self, tls=None, ca=None, **policy):
        """Keys come from a server that answers with self.published, or not at all when that is None."""
        self.published = respond(200, json.dumps({"keys": self.signer.keys}))
        self.fetched = 0

        def publish(peer):
            while True:
                peer.rx()
                self.fetched += 1
                if self.published is None:
                    return
                peer.send(self.published)

        publisher = self.origin(publish, tls=tls)
        document = config_for(self.origin(lambda peer: [peer.tx(200) for _ in iter(peer.rx, None)]))
        self.url = f"http{'s' if tls else ''}://{publisher.address}/jwks.json"
        document["policies"] = {"token": {"jwt": {"keys_url": self.url, "refresh": "1s", **policy}}}
        if ca:
            document["ca_sets"] = {"site": {"file": ca}}
            document["policies"]["token"]["jwt"]["ca"] = "site"
        document["listeners"]["web"]["policies"] = ["token"]
        self.document = document
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def publish(self, keys):
        self.published = respond(200, json.dumps({"keys": keys}))

    def wait_for_answer(self, client, token, status, reason=None):
        self.wait_for(lambda: (lambda a: (a.status, a.get("Lbd-Reason")))(self.ask(client, token)) == (status, reason),
                      f"{status} {reason}")

    def test_keys_are_fetched_and_change(self):
        client = self.start_fetching()
        secret, curve = self.signer.token("HS256"), self.signer.token("ES256")
        self.wait_for_answer(client, secret, 200)
        self.publish(self.signer.keys[:3])
        self.wait_for_answer(client, secret, 401, "token_invalid")
        for self.published in (None, respond(500, b"x"), respond(200, b'{"keys": []}')):
            before = self.fetched
            self.wait_for(lambda: self.fetched > before, "a question")
            self.assertEqual(self.ask(client, curve).status, 200)  # as before
        self.proxy.wait_log("policy.keys_failed")
        self.assertEqual(self.proxy.log_text().count("policy.keys_failed"), 1)
        self.publish(self.signer.keys[3:])
        self.wait_for_answer(client, secret, 200)
        self.wait_for_answer(client, curve, 401, "token_invalid")
        self.proxy.wait_log("policy.keys_read")
        told = [e["type"] for e in self.proxy.get("/v1/events")["events"] if e["type"].startswith("keys.")]
        self.assertEqual(told, ["keys.changed", "keys.changed", "keys.failed", "keys.changed"])

    def test_before_the_first_come(self):
        self.start_fetching()
        self.document["policies"]["token"]["jwt"]["keys_url"] = "http://127.0.0.1:1/jwks.json"
        self.proxy.put("/v1/config", self.document)
        client = self.connect(self.proxy)
        token = self.signer.token()
        for _ in range(2):
            self.assert_reason(self.ask(client, token), 503, "keys_unavailable")  # never the keys of another place
        self.assert_reason(client.get("/"), 401, "token_required")
        self.assert_reason(self.ask(client, "a.b.c"), 503, "keys_unavailable")
        self.proxy.wait_log("policy.keys_failed")
        self.proxy.patch("/v1/policies/token", {"mode": "shadow"})
        self.assertEqual(self.ask(client, token).status, 200)
        self.proxy.patch("/v1/policies/token", {"mode": "enforce", "jwt": {"keys_url": self.url}})
        self.wait_for_answer(client, token, 200)
        self.assertEqual(self.proxy.api("DELETE", "/v1/policies/token").status, 409)
        self.proxy.patch("/v1/listeners/web", {"policies": None})
        self.proxy.delete("/v1/policies/token")
        self.assertEqual(client.get("/").status, 200)

    def test_who_publishes_them_is_verified(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        ours, other = Authority(folder.name, "ours"), Authority(folder.name, "other")
        certificate = ours.issue("keys", "127.0.0.1", ["IP:127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
        client = self.start_fetching(tls=context, ca=str(other.certificate))
        self.proxy.wait_log("policy.keys_failed")
        self.assert_reason(self.ask(client, self.signer.token()), 503, "keys_unavailable")
        self.assertEqual(self.fetched, 0)
        self.document["ca_sets"]["site"]["file"] = str(ours.certificate)
        self.proxy.put("/v1/config", self.document)
        self.wait_for_answer(client, self.signer.token("RS256"), 200)

    def test_either_a_file_or_a_url(self):
        self.start()
        for jwt in ({}, {"keys_file": "/k", "keys_url": "https://a/"}):
            answer = self.proxy.api("PUT", "/v1/policies/q", {"jwt": jwt})
            self.assertEqual((answer.status, answer.pointers), (422, ["#/policies/q/jwt"]))
        answer = self.proxy.api("PUT", "/v1/policies/q", {"jwt": {"keys_url": "https://a/", "ca": "none"}})
        self.assertEqual((answer.status, answer.pointers), (422, ["#/policies/q/jwt/ca"]))


if __name__ == "__main__":
    unittest.main()
