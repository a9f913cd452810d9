"""A responder for tests: what an authority says of its certificates."""

import subprocess
from pathlib import Path

from .ports import free_port


class Responder:
    """`openssl ocsp` with the index of an authority."""

    def __init__(self, case, authority, directory):
        self.case = case
        self.authority = authority
        self.index = Path(directory) / "index.txt"
        self.index.write_text("")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/ask"
        self.process = None
        case.addCleanup(self.stop)

    def note(self, certificate, state="V"):
        serial = certificate.serial()
        when = "261126000000Z"
        revoked = f"{when},keyCompromise" if state == "R" else ""
        lines = [line for line in self.index.read_text().splitlines() if f"\t{serial}\t" not in line]
        lines.append(f"{state}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/CN=it")
        self.index.write_text("\n".join(lines) + "\n")

    def start(self):
        self.process = subprocess.Popen(
            ["openssl", "ocsp", "-index", self.index, "-port", str(self.port), "-rsigner", self.authority.certificate,
             "-rkey", self.authority.key, "-CA", self.authority.certificate, "-ndays", "7", "-text"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:  # a connection to see whether it is up would block it for ever
            if "waiting for" in line:
                return
        self.case.fail(f"the responder did not start: {line}")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
            self.process = None
