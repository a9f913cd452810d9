"""Certificates for tests, made by the openssl command line.

    ca = Authority(directory, "test CA")
    server = ca.issue("server", cn="localhost", names=["DNS:localhost", "IP:127.0.0.1"])
    server.chain, server.key        paths of PEM files
    context = client_context(ca, alice)     an ssl.SSLContext that trusts `ca` and shows `alice`
"""

import base64
import hashlib
import os
import shutil
import ssl
import subprocess
from pathlib import Path


P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-newkey", "rsa:2048")


def _openssl(*args, stdin=None):
    done = subprocess.run(
        ["openssl", *[str(a) for a in args]], capture_output=True, text=True, input=stdin,
        timeout=60,
    )
    if done.returncode != 0:
        raise AssertionError(f"openssl {args}: {done.stderr}")
    return done.stdout


class Certificate:
    """Paths of a certificate (with what is between it and the root) and its key."""

    def __init__(self, chain, key):
        self.chain = Path(chain)
        self.key = Path(key)

    def replace_with(self, other):
        """The other's files in the place of ours, key first, each by a rename."""
        for mine, theirs in ((self.key, other.key), (self.chain, other.chain)):
            fresh = mine.with_suffix(".fresh")
            shutil.copy(theirs, fresh)
            os.replace(fresh, mine)

    def pin(self):
        """base64 of the SHA-256 over its public key, as pools.X.tls.pin_sha256 has it."""
        pem = _openssl("x509", "-in", self.chain, "-noout", "-pubkey")
        der = ssl.PEM_cert_to_DER_cert(pem.replace("PUBLIC KEY", "CERTIFICATE"))
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def serial(self):
        return _openssl("x509", "-in", self.chain, "-noout", "-serial").strip().partition("=")[2]


class Authority:
    def __init__(self, directory, name="test CA"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        stem = name.replace(" ", "-")
        self.certificate = self.directory / f"{stem}.pem"
        self.key = self.directory / f"{stem}-key.pem"
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )
        os.chmod(self.key, 0o600)

    def authority(self, name):
        """Another authority whose certificate is signed by ours."""
        below = Authority(self.directory, name)
        request = self.directory / "below.csr"
        extensions = self.directory / "below.ext"
        extensions.write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n")
        _openssl("req", "-new", "-key", below.key, "-subj", f"/CN={name}", "-out", request)
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
            "-CAcreateserial", "-days", 30, "-extfile", extensions, "-out", below.certificate,
        )
        return below

    def issue(self, stem, cn="", names=(), days=30, rsa=False, more=()):
        """A certificate; `days` below zero: it has expired. Its key is one of P-256, or of RSA. `more`: lines of
        extensions."""
        chain = self.directory / f"{stem}.pem"
        key = self.directory / f"{stem}-key.pem"
        request = self.directory / f"{stem}.csr"
        extensions = self.directory / f"{stem}.ext"
        lines = ["basicConstraints=critical,CA:FALSE", *more]
        if names:
            lines.append("subjectAltName=" + ",".join(names))
        extensions.write_text("\n".join(lines) + "\n")
        _openssl(
            "req", *(RSA if rsa else P256), "-nodes",
            "-subj", f"/CN={cn}" if cn else "/O=nobody", "-keyout", key, "-out", request,
        )
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
            "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", chain,
        )
        os.chmod(key, 0o600)
        request.unlink()
        extensions.unlink()
        return Certificate(chain, key)


    def revoked(self, *certificates):
        """A list of what it takes back, as a PEM file."""
        settings = self.directory / "revoke.cnf"
        index = self.directory / "revoke.index"
        found = self.directory / "revoked.pem"
        settings.write_text("[ca]\ndefault_ca=us\n[us]\ndefault_md=sha256\ndefault_crl_days=30\n"
                            f"database={index}\n")
        index.write_text("")
        ours = ("-config", settings, "-cert", self.certificate, "-keyfile", self.key)
        for certificate in certificates:
            _openssl("ca", *ours, "-revoke", certificate.chain)
        _openssl("ca", *ours, "-gencrl", "-out", found)
        return found


def server_context(certificate, version=None, clients=None, protocols=None):
    """Shows `certificate`; `clients`: the authority whose certificates clients must show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if clients is not None:
        context.load_verify_locations(clients.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    if protocols is not None:
        context.set_alpn_protocols(protocols)
    return context


def client_context(authority=None, certificate=None, version=None, protocols=None):
    """Trusts only `authority` (None: believes anybody) and shows `certificate`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(authority.certificate)
    if certificate is not None:
        context.load_cert_chain(certificate.chain, certificate.key)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if protocols is not None:
        context.set_alpn_protocols(protocols)
    return context
