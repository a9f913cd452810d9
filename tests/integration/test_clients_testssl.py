"""What testssl.sh makes of our TLS, for each profile, and the letter that SSL Labs would give for that.

Debian's version gives no letter, only findings with their severity: lab/ssl_rating makes one of them by the public
guide. What keeps a site from an A (an old protocol, a weak cipher or key exchange, a known attack, a bad chain) is LOW
or worse there. What it says of HTTP headers is the servers' business, and stapling has a test of its own
(test_certificates_ocsp).
"""

import copy
import json
import os
import shutil
import unittest

from lab.clients import run
from lab.ssl_rating import rate
from test_clients_http import ClientCase

ELSEWHERE = {"HSTS", "HSTS_time", "security_headers", "OCSP_stapling"}

# testssl.sh shows s_client an input that ends at once, and with that s_client leaves: often before a ticket of TLS 1.3,
# which comes after the handshake, has come (of OpenSSL's own server 4 of 40 times on a quiet machine, 31 on a busy
# one). Then there is no session to come back with, and the finding is a "connect problem". Here the input ends when the
# ticket is there, or after ten seconds, when there is none.
PATIENT = """#!/bin/sh
ticket=
for word in "$@"; do
    if [ "$before" = -sess_out ]; then
        ticket=$word
    fi
    before=$word
done
if [ -z "$ticket" ]; then
    exec OPENSSL "$@"
fi
left=100
while [ ! -s "$ticket" ] && [ $left -gt 0 ]; do
    sleep 0.1
    left=$((left - 1))
done | OPENSSL "$@"
"""


class Testssl(ClientCase):
    hang_limit_s = 600

    def findings(self, **tls):
        self.certificate = self.ca.issue(
            "long", names=["DNS:localhost", "IP:127.0.0.1"], days=365,
            more=["authorityInfoAccess=OCSP;URI:http://127.0.0.1:9/"])
        self.start(listener={"tls": {"certificates": ["site"], **tls}})
        openssl = self.folder / "openssl"
        openssl.write_text(PATIENT.replace("OPENSSL", shutil.which("openssl")))
        openssl.chmod(0o755)
        report = self.folder / "report.json"
        run("testssl", "--openssl", openssl, "-p", "-s", "-f", "-P", "-S", "-U", "-E", "--warnings", "off", "--color", "0",
            "--add-ca", self.ca.certificate, "--nodns", "none", "--jsonfile", report,
            f"https://localhost:{self.port}/", timeout=500, check=False,
            env={**os.environ, "NO_ENGINE": "true"})  # that this OpenSSL has no GOST is no finding about us
        return {entry["id"]: entry for entry in json.loads(report.read_text())}

    def check(self, found, expected):
        bad = [f"{entry['severity']} {name}: {entry['finding']}" for name, entry in found.items()
               if entry["severity"] not in ("OK", "INFO") and name not in ELSEWHERE]
        self.assertEqual(bad, [])
        for name, words in expected:
            self.assertIn(words, found[name]["finding"], found[name])
        rating = rate(found)
        self.assertEqual((rating.letter, rating.scores),
                         ("A", {"protocol": 100, "key exchange": 90, "cipher": 90}), str(rating))

    def test_intermediate(self):
        found = self.findings()
        self.check(found, (
            ("TLS1", "not offered"), ("TLS1_1", "not offered"), ("TLS1_2", "offered"),
            ("TLS1_3", "offered with final"), ("cipher_order", "server"), ("PFS", "offered"),
            ("secure_renego", "supported"), ("secure_client_renego", "not vulnerable"),
            ("ROBOT", "not vulnerable"), ("ticketbleed", "not vulnerable"),
            ("sessionresumption_ticket", "supported"), ("sessionresumption_ID", "supported")))
        for name, finding, letter in (
                ("TLS1", "offered", "B"), ("TLS1_3", "not offered and downgraded", "A-"), ("SSLv2", "offered", "F"),
                ("ROBOT", "VULNERABLE", "F"), ("PFS", "not offered", "B"), ("cert_keySize", "RSA 1024 bits", "B"),
                ("cert_keySize", "RSA 2048 bits", "A"), ("cert_chain_of_trust", "failed", "T"),
                ("cert_signatureAlgorithm", "SHA1 with RSA", "T"), ("HSTS", "offered", "A+"),
                ("cipherlist_3DES_IDEA", "offered", "C"), ("heartbleed", "test failed", "F"),
                ("cipher-tls1_2_x3b", "TLS 1.2   x3b   NULL-SHA256   RSA   None   0   TLS_RSA_WITH_NULL_SHA256", "B")):
            with self.subTest(name, finding=finding):
                other = copy.deepcopy(found)
                other[name] = {"severity": "INFO", "finding": finding}
                self.assertEqual(rate(other).letter, letter, str(rate(other)))
        del found["heartbleed"]
        self.assertEqual(rate(found).letter, "F", "what was not looked at gives no A")

    def test_modern(self):
        self.check(self.findings(profile="modern"), (
            ("TLS1_2", "not offered"), ("TLS1_3", "offered with final"), ("PFS", "offered"),
            ("sessionresumption_ticket", "supported")))


if __name__ == "__main__":
    unittest.main()
