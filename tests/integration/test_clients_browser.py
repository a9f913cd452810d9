"""Chromium: a page whose forty requests and WebSocket go over one HTTP/2 connection."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import unittest

from lab import TIMEOUT
from test_clients_http import ClientCase


def key_pin(certificate):
    """SHA-256 of the public key, as Chromium wants to know it."""
    public = subprocess.run(["openssl", "x509", "-in", str(certificate), "-noout", "-pubkey"],
                            capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public,
                         capture_output=True, check=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Browser(ClientCase):
    def browse(self, url):
        """What the page reports."""
        log = open(self.folder / "chromium.log", "wb")
        self.addCleanup(log.close)
        browser = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             f"--user-data-dir={self.folder / 'profile'}",
             f"--ignore-certificate-errors-spki-list={key_pin(self.certificate.chain)}", url],
            stdout=log, stderr=log, start_new_session=True,
        )
        try:
            return json.loads(self.server.said("report", TIMEOUT * 6)["report"])
        finally:
            os.killpg(browser.pid, signal.SIGTERM)
            try:
                browser.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(browser.pid, signal.SIGKILL)
                browser.wait()

    def test_a_page_over_http2_with_a_websocket(self):
        self.start()
        self.assertEqual(self.browse(f"{self.url}/"),
                         {"right": 40, "protocols": ["h2"], "socket": "from the page", "chosen": "lab"})
        lines = self.proxy.wait_access_log(41)
        page = {line["connection_id"] for line in lines if line.get("path", "").startswith("/size/")}
        self.assertEqual(len(page), 1, "all over one connection")

    def test_the_same_in_clear(self):
        self.start()
        self.assertEqual(self.browse(f"{self.clear_url}/"),
                         {"right": 40, "protocols": ["http/1.1"], "socket": "from the page",
                          "chosen": "lab"})


if __name__ == "__main__":
    unittest.main()
