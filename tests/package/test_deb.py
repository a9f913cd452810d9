"""The Debian packages: what is in them, lintian, and a whole life in a root that is thrown away."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = Path(os.environ.get("LBD_BUILD", ROOT / "build/release"))

# Runs in a mount namespace of its own: the machine's root with a layer of memory over it, in which
# every change goes, and goes away.
OVERLAY = r"""
set -eu
base=$1 debs=$2
shift 2
mount -t tmpfs tmpfs "$base"
mkdir "$base/changes" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/changes,workdir=$base/work" "$base/root"
cd "$base/root"
rm -rf var/lib/lbd etc/lbd  # of this machine, if it has any: not of a new one
mkdir -p debs proc dev run tmp
cp -r "$debs/." debs/
cp "$@" debs/
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
exec chroot . sh /debs/lifecycle.sh /debs
"""


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, **more)


def namespaces_work():
    return os.geteuid() == 0 and run("unshare", "--mount", "--pid", "--fork", "true").returncode == 0


class Deb(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory(prefix="lbd-deb-")
        cls.addClassCleanup(holder.cleanup)
        cls.folder = Path(holder.name)
        made = run(str(ROOT / "scripts/deb.sh"), str(BUILD), str(cls.folder))
        if made.returncode != 0:
            raise AssertionError(f"scripts/deb.sh: {made.stdout}{made.stderr}")
        cls.debs = sorted(cls.folder.glob("*.deb"))

    def deb(self, package):
        (found,) = [deb for deb in self.debs if deb.name.startswith(f"{package}_")]
        return str(found)

    def field(self, package, name):
        return run("dpkg-deb", "-f", self.deb(package), name).stdout.strip()

    def test_packages(self):
        self.assertEqual([deb.name.split("_")[0] for deb in self.debs],
                         ["lbctl-dbgsym", "lbctl", "lbd-dbgsym", "lbd"])
        for package, needs in (("lbd", ("libevent-core", "libmicrohttpd12", "libssl3", "libbrotli1", "libzstd1", "lbctl (=")),
                               ("lbctl", ("libc6", "libcjson1")), ("lbd-dbgsym", ("lbd (=",))):
            for need in needs:
                self.assertIn(need, self.field(package, "Depends"))

    def test_contents(self):
        files = {}
        for line in run("dpkg-deb", "-c", self.deb("lbd")).stdout.splitlines():
            mode, owner, _, _, _, name = line.split(maxsplit=5)
            self.assertEqual(owner, "root/root", line)
            files[name[1:]] = mode
        for name in ("/usr/sbin/lbd", "/usr/lib/systemd/system/lbd.service", "/usr/lib/systemd/system/lbd.socket",
                     "/usr/lib/sysusers.d/lbd.conf", "/usr/lib/tmpfiles.d/lbd.conf", "/etc/lbd/lbd.json",
                     "/etc/logrotate.d/lbd", "/usr/share/man/man8/lbd.8.gz", "/usr/share/man/man5/lbd.json.5.gz",
                     "/usr/share/doc/lbd/copyright", "/usr/share/doc/lbd/changelog.Debian.gz",
                     "/usr/share/doc/lbd/notify-reload.conf"):
            self.assertIn(name, files)
        self.assertIn("/etc/lbd/conf.d/", files)
        conffiles = run("dpkg-deb", "-I", self.deb("lbd"), "conffiles").stdout.split()
        self.assertEqual(sorted(conffiles), sorted(n for n, m in files.items() if n.startswith("/etc/") and m[0] == "-"))

    def test_lintian(self):
        said = run("lintian", "--allow-root", "--no-cfg", "--fail-on", "error", *map(str, self.debs))
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        print(said.stdout)

    @unittest.skipUnless(namespaces_work(), "needs root and a mount namespace")
    def test_life(self):
        self.make_newer()
        with tempfile.TemporaryDirectory(prefix="lbd-root-") as base:
            said = run("timeout", "-k", "5", "110", "unshare", "--mount", "--pid", "--fork", "--kill-child",
                       "--propagation", "private", "sh", "-c", OVERLAY, "overlay", base, str(self.folder),
                       str(HERE / "lifecycle.sh"), str(HERE.parent / "docs/example_files.sh"), timeout=120)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        print(said.stdout)
        steps = [line.split()[1] for line in said.stdout.splitlines() if line.startswith("ok ")]
        wanted = ["install", "programs", "run", "upgrade", "wrong_configuration", "remove", "purge"]
        self.assertEqual([step for step in steps if step in wanted], wanted, said.stdout)

    @unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/lib/systemd/systemd"), "needs root and systemd")
    def test_service(self):
        """In a small machine of its own, with systemd as process 1."""
        with tempfile.TemporaryDirectory(prefix="lbd-machine-") as work:
            base, out = Path(work, "base"), Path(work, "out")
            base.mkdir()
            out.mkdir()
            said = run("sh", str(HERE / "machine.sh"), str(base), str(self.folder), str(out), timeout=150)
            logs = {path.name: path.read_text(errors="replace") for path in sorted(out.glob("*.log"))}
        if said.returncode == 77:
            self.skipTest(f"no such machine here: {said.stderr}{logs.get('machine.log', '')}")
        text = logs.get("service.log", "")
        print(text)
        if "SKIP" in text:
            self.skipTest(text)
        self.assertNotIn("FAIL", text)
        steps = [line.split()[1] for line in text.splitlines() if line.startswith("ok ")]
        self.assertEqual(steps, ["start", "reload", "wrong_reload", "wrong_start", "drain", "restart", "socket",
                                 "purge"], (said, logs))

    def make_newer(self):
        """The same lbd under a higher version."""
        with tempfile.TemporaryDirectory() as work:
            subprocess.run(["dpkg-deb", "-R", self.deb("lbd"), work], check=True)
            control = Path(work, "DEBIAN/control")
            version = self.field("lbd", "Version")
            lines = control.read_text().splitlines(keepends=True)
            control.write_text("".join(
                f"Version: {version}+newer\n" if line.startswith("Version:") else line for line in lines))
            (self.folder / "newer").mkdir(exist_ok=True)
            subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", work, str(self.folder / "newer")],
                           check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    unittest.main()
