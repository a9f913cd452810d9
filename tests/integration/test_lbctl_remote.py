"""lbctl from another machine: TLS, tokens, certificates, contexts; and that no secret gets out."""

import json
import os
import shutil
import tempfile
import unittest

from lab import LabCase, config_for, run_lbctl
from lab.certs import Authority
from lab.lbd import environment


class Remote(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="lab-remote-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.ca = Authority(cls.folder, "test CA")
        cls.other_ca = Authority(cls.folder, "other CA")
        cls.server = cls.ca.issue("server", "localhost", ["DNS:localhost", "IP:127.0.0.1"])
        cls.alice = cls.ca.issue("alice", "alice")

    def setUp(self):
        super().setUp()
        self.home = tempfile.mkdtemp(dir=self.folder)
        self.proxy = self.lbd(
            config_for(self.origin()),
            api={
                "listen": ["127.0.0.1:0"],
                "tls": {
                    "chain_file": str(self.server.chain),
                    "key_file": str(self.server.key),
                    "client_ca_file": str(self.ca.certificate),
                },
                "certificates": {"operate": ["CN:alice"]},
            },
        )
        ((_, self.port),) = self.proxy.api_addresses()
        self.url = f"https://localhost:{self.port}"

    def run_(self, *args, stdin=None, **env):
        env = environment(XDG_CONFIG_HOME=self.home, HOME=self.home, **env)
        for name in ("LBCTL_SOCKET", "LBCTL_CONTEXT"):
            if name not in env or not env[name]:
                env.pop(name, None)
        return run_lbctl(*[str(a) for a in args], stdin=stdin, env=env)

    def ok(self, *args, **more):
        done = self.run_(*args, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def local(self, *args, **more):
        return self.ok("--socket", self.proxy.api_socket, *args, **more)

    def remote(self, *args):
        return ["--url", self.url, "--ca", self.ca.certificate, *args]

    def test_a_token_from_making_to_revoking(self):
        made = self.local("token", "create", "ci", "operate", "--for", "30d", "--reason", "shop")
        secret = made.stdout.strip()
        self.assertRegex(secret, r"\Albd_[A-Za-z0-9_-]{43}\Z")
        self.assertNotIn(secret, made.stderr)
        self.assertIn("undo: lbctl token revoke ci", made.stderr)
        listed = self.local("token", "list").stdout
        self.assertRegex(listed, r"ci +operate +\S.* +shop\n")
        self.assertNotIn(secret, listed)

        path = os.path.join(self.home, "token")
        with open(path, "w") as file:
            file.write(secret + "\n")
        os.chmod(path, 0o644)
        done = self.run_(*self.remote("--token-file", path, "status"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("open to others", done.stderr)
        os.chmod(path, 0o600)
        token = self.remote("--token-file", path)
        self.assertIn("main", self.ok(*token, "status").stdout)
        self.ok(*token, "drain", "main/a", "--yes")
        self.ok(*token, "enable", "main/a")
        done = self.run_(*token, "set", "pools/main/retries", "2")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("admin", done.stderr)

        # what it would be with curl, without the secret
        trace = self.ok(*token, "--trace", "get", "pools").stderr
        self.assertIn(f'-H "Authorization: Bearer $(cat {path})"', trace)
        self.assertIn(f"--cacert {self.ca.certificate}", trace)
        self.assertIn(f"{self.url}/v1/", trace)
        self.assertNotIn(secret, trace)

        # asked again: a new secret, after asking; the old one is worth nothing
        done = self.run_("--socket", self.proxy.api_socket, "token", "create", "ci", "read")
        self.assertEqual(done.returncode, 2)
        self.local("token", "create", "ci", "read", "--yes")
        self.assertEqual(self.run_(*token, "status").returncode, 4)
        self.local("token", "revoke", "ci")
        done = self.run_("--socket", self.proxy.api_socket, "token", "revoke", "ci")
        self.assertEqual(done.returncode, 5)

    def test_contexts(self):
        secret = self.local("token", "create", "anna", "read").stdout
        added = self.ok("context", "add", "shop", "--url", self.url, "--ca", self.ca.certificate,
                        "--token-file", "-", stdin=secret)
        self.assertNotIn(secret.strip(), added.stdout + added.stderr)
        path = os.path.join(self.home, "lbd", "contexts.json")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path) as file:
            text = file.read()
        self.assertNotIn(secret.strip(), text)
        self.assertEqual(json.loads(text)["contexts"]["shop"]["url"], self.url)
        self.ok("context", "add", "here", "--socket", self.proxy.api_socket)
        self.ok("context", "use", "shop")
        self.assertIn("main", self.ok("get", "pools").stdout)
        self.assertEqual(self.run_("set", "pools/main/retries", "2").returncode, 4)
        self.ok("set", "pools/main/retries", "2", LBCTL_CONTEXT="here")
        self.ok("--context", "here", "set", "pools/main/retries", "1")
        self.ok("get", "pools", LBCTL_SOCKET=self.proxy.api_socket)
        self.assertEqual(self.run_("get", "pools", LBCTL_SOCKET="/nowhere").returncode, 3)
        done = self.run_("--context", "shpo", "get", "pools")
        self.assertEqual(done.returncode, 5)
        completed = self.run_("__complete", "context", "use", "s")
        self.assertEqual(completed.stdout, "shop\n")
        # asks the one in use, for 300 ms at most: a busy machine may need another try
        self.wait_for(lambda: self.run_("__complete", "get", "pools", "m").stdout == "main\n", "completed")
        os.chmod(path, 0o666)
        done = self.run_("get", "pools")
        self.assertEqual(done.returncode, 2)
        self.assertIn("may be written by others", done.stderr)

    def test_certificates(self):
        mine = self.remote("--cert", self.alice.chain, "--key", self.alice.key)
        self.ok(*mine, "drain", "main/a", "--yes")
        state = self.proxy.get("/v1/pools/main/servers/a/admin-state")
        self.assertEqual(state["override"]["who"], "certificate CN:alice")
        done = self.run_(*self.remote("status"))
        self.assertEqual(done.returncode, 4)
        self.assertIn("a token or a certificate is needed", done.stderr)

    def test_whom_lbctl_believes(self):
        done = self.run_("--url", self.url, "--ca", self.other_ca.certificate, "status")
        self.assertEqual(done.returncode, 4)
        self.assertIn("the certificate of 'CN=localhost'", done.stderr)
        done = self.run_("--url", self.url, "status")  # the system does not know our authority
        self.assertEqual(done.returncode, 4)
        self.assertIn("hint: --ca FILE", done.stderr)
        done = self.run_("--url", f"https://127.0.0.2:{self.port}", "--ca", self.ca.certificate,
                         "status")
        self.assertIn(done.returncode, (3, 4))
        done = self.run_("--url", f"http://lb1.example.com:{self.port}", "status")
        self.assertEqual(done.returncode, 2)
        self.assertIn("in the clear", done.stderr)
        done = self.run_("--url", f"http://127.0.0.1:{self.port}", "--timeout", "2s", "status")
        self.assertIn(done.returncode, (3, 8, 9))  # it speaks TLS only
        done = self.run_("--url", f"https://127.0.0.1:{self.proxy.port()}", "status")
        self.assertEqual(done.returncode, 3)
        self.assertIn("what answers there does not speak TLS", done.stderr)

    def test_streams_and_large_answers(self):
        secret = self.local("token", "create", "w", "admin").stdout
        self.ok("context", "add", "shop", "--url", self.url, "--ca", self.ca.certificate,
                "--token-file", "-", stdin=secret)
        self.ok("context", "use", "shop")
        servers = {f"s{n}": {"address": f"127.0.0.1:{1000 + n}"} for n in range(5000)}
        path = os.path.join(self.home, "conf.json")
        document = config_for(self.origin())
        document["pools"]["large"] = {"servers": servers}
        with open(path, "w") as file:
            json.dump(document, file)
        self.ok("apply", "-f", path)
        got = json.loads(self.ok("get", "config").stdout)
        self.assertEqual(len(got["pools"]["large"]["servers"]), 5000)
        self.assertIn("config.applied", self.ok("events").stdout)


if __name__ == "__main__":
    unittest.main()
