"""Started as root: binds, drops to its user, and keeps CAP_NET_BIND_SERVICE and nothing else."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from lab import Client, LabCase, config_for
from lab.certs import Authority, client_context

CAP_NET_BIND_SERVICE = 10
USER = "nobody"


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Root(LabCase):
    def start_dropped(self, document, api=None, **daemon):
        holder = tempfile.mkdtemp(prefix="lab-", dir="/tmp")
        self.addCleanup(shutil.rmtree, holder, True)
        os.chmod(holder, 0o755)
        entry = pwd.getpwnam(USER)
        for name in ("run", "state"):
            path = Path(holder) / name
            path.mkdir(mode=0o750)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        # logs are opened before the drop; the directory need not be the user's
        return self.lbd(document, daemon={"user": USER, **daemon}, api=api, directory=holder)

    def status_of_all_threads(self, pid):
        for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
            text = (task / "status").read_text()
            yield dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def test_credentials_of_every_thread(self):
        server = self.origin()
        proxy = self.start_dropped(config_for(server))
        self.assertEqual(self.connect(proxy).get("/").status, 200)
        entry = pwd.getpwnam(USER)
        count = 0
        for status in self.status_of_all_threads(proxy.pid):
            count += 1
            with self.subTest(status["Name"]):
                self.assertEqual(status["Uid"].split(), [str(entry.pw_uid)] * 4)
                self.assertEqual(status["Gid"].split(), [str(entry.pw_gid)] * 4)
                groups = {int(g) for g in status["Groups"].split()}
                self.assertNotIn(0, groups, "root's groups are gone")
                only = 1 << CAP_NET_BIND_SERVICE
                self.assertEqual(int(status["CapEff"], 16), only)
                self.assertEqual(int(status["CapPrm"], 16), only)
                self.assertEqual(int(status["CapInh"], 16) & ~only, 0)
                self.assertEqual(int(status["CapAmb"], 16) & ~only, 0)
                self.assertEqual(status["NoNewPrivs"].strip(), "1")
        self.assertGreaterEqual(count, 3, "control and two workers")

    def test_the_api_after_the_drop(self):
        """Tokens, audit and certificates are the user's business then."""
        entry = pwd.getpwnam(USER)
        folder = tempfile.mkdtemp(prefix="lab-", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder, True)
        os.chmod(folder, 0o755)
        ca = Authority(folder)
        server = ca.issue("server", "localhost", ["DNS:localhost"])
        os.chown(server.key, 0, entry.pw_gid)
        os.chmod(server.key, 0o640)
        audit = os.path.join(folder, "audit.log")  # in a folder of root's
        api = {
            "listen": ["127.0.0.1:0"],
            "tls": {"chain_file": str(server.chain), "key_file": str(server.key)},
            "audit": {"path": audit},
        }
        proxy = self.start_dropped(config_for(self.origin()), api=api)
        secret = proxy.token("t", "read")
        self.assertEqual((proxy.state_directory / "tokens").stat().st_uid, entry.pw_uid)
        (address,) = proxy.api_addresses()
        with Client(address, tls=client_context(ca)) as client:
            headers = {"Authorization": f"Bearer {secret}"}
            answer = client.request("GET", "/v1/whoami", headers, host="localhost")
            self.assertIn('"token t"', answer.text)
        self.assertIn('"path":"/v1/tokens/t"', Path(audit).read_text())
        self.assertEqual(os.stat(audit).st_uid, entry.pw_uid)
        proxy.stop()
        os.chmod(server.key, 0o600)  # root's alone: it can be checked, and not be used
        proxy.start(ready=False)
        self.assertEqual(proxy.wait_exit(), 78)
        proxy.process = None
        self.assertIn(f"as user {entry.pw_uid}: Permission denied", proxy.log_text())

    def privileged_port(self):
        for port in range(1023, 900, -1):
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
        self.skipTest("no privileged port is free")
        return 0

    def test_privileged_port_at_start_and_later(self):
        server = self.origin()
        first = self.privileged_port()
        document = config_for(server, listener={"bind": [f"127.0.0.1:{first}"]})
        proxy = self.start_dropped(document)
        with Client(("127.0.0.1", first)) as client:
            self.assertEqual(client.get("/").status, 200)
        second = self.privileged_port()
        proxy.put("/v1/listeners/later", {
            "bind": [f"127.0.0.1:{second}"], "protocol": "http", "default_pool": "main",
        })
        with Client(("127.0.0.1", second)) as client:
            self.assertEqual(client.get("/").status, 200)

    def test_saves_as_its_user(self):
        proxy = self.start_dropped(config_for(self.origin()))
        proxy.patch("/v1/pools/main", {"retries": 2})
        uid = pwd.getpwnam(USER).pw_uid
        files = [p for p in proxy.state_directory.rglob("*") if p.is_file()]
        self.assertTrue(files)
        self.assertTrue(any(p.stat().st_uid == uid for p in files))
        proxy.kill()
        proxy.restart()
        self.assertEqual(proxy.get("/v1/pools/main")["retries"], 2)

    def test_unknown_user_is_refused(self):
        proxy = self.lbd(config_for(), daemon={"user": "no-such-user-here"}, start=False)
        proxy.start(ready=False)
        self.assertIn(proxy.wait_exit(), (1, 78))
        self.assertIn("no-such-user-here", proxy.stderr_text() + proxy.log_text())
        proxy.process = None

    def test_ordinary_user_needs_nothing(self):
        """Started without root there is nothing to drop; `user` is not in the way."""
        holder = tempfile.mkdtemp(prefix="lab-", dir="/tmp")
        self.addCleanup(shutil.rmtree, holder, True)
        os.chmod(holder, 0o777)
        reachable = subprocess.run(
            ["setpriv", "--reuid", USER, "--regid", "nogroup", "--clear-groups",
             os.environ.get("LBD_BIN", "lbd"), "--version"], capture_output=True,
        )
        if reachable.returncode != 0:
            self.skipTest("the binary cannot be run by another user here")
        proxy = self.lbd(
            config_for(self.origin()), daemon={"user": "lbd"}, directory=holder, start=False,
            wrapper=("setpriv", "--reuid", USER, "--regid", "nogroup", "--clear-groups"),
        )
        for path in (proxy.run_directory, proxy.state_directory):
            shutil.chown(path, USER, "nogroup")
        (Path(holder) / "stderr.txt").touch(0o666)
        proxy.start()
        self.assertEqual(self.connect(proxy).get("/").status, 200)
        self.assertEqual(int(proxy.proc_status()["CapEff"], 16), 0)


if __name__ == "__main__":
    unittest.main()
