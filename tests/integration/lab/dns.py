"""Name servers: one of a socket, scripted, and a real one (dnsmasq)."""

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from .ports import free_port
from .waits import TIMEOUT

A, CNAME, AAAA, SRV = 1, 5, 28, 33
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


def encode(name):
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(kind, value, ttl):
    if kind == A:
        data = socket.inet_aton(value)
    elif kind == AAAA:
        data = socket.inet_pton(socket.AF_INET6, value)
    else:
        priority, weight, port, host = value
        data = struct.pack("!HHH", priority, weight, port) + encode(host)
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


class NameServer:
    """`names`: {"app.test": "127.0.0.1"}, or a list of addresses of both kinds, or of SRV tuples
    (priority, weight, port, host). NXDOMAIN to the rest. May be changed while it runs."""

    def __init__(self, names, ttl=1):
        self.names = {k.lower(): v for k, v in names.items()}
        self.ttl = ttl
        self.questions = []
        self.silent = False
        self.code = NOERROR  # another one: the answer to everything
        self.rotates = False
        self.stopping = False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(0.1)
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def asked(self):
        return {name for name, _ in self.questions}

    def count(self, name):
        return sum(1 for asked, _ in self.questions if asked == name)

    def _run(self):
        while not self.stopping:
            try:
                packet, peer = self.sock.recvfrom(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            try:
                answer = self.answer(packet)
            except (IndexError, struct.error):
                continue
            if not self.silent:
                self.sock.sendto(answer, peer)

    def records(self, name, kind):
        values = self.names[name]
        values = list(values) if isinstance(values, (list, tuple)) else [values]
        if self.rotates and values:
            turn = len(self.questions) % len(values)
            values = values[turn:] + values[:turn]
        kinds = [SRV if not isinstance(v, str) else AAAA if ":" in v else A for v in values]
        return [record(kind, value, self.ttl) for value, of in zip(values, kinds, strict=True) if of == kind]

    def answer(self, packet):
        number, flags, questions = struct.unpack_from("!HHH", packet)
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode("latin-1"))
            at += 1 + packet[at]
        kind, _ = struct.unpack_from("!HH", packet, at + 1)
        question = packet[12 : at + 5]
        name = ".".join(labels).lower()  # the question goes back as it came (0x20)
        self.questions.append((name, kind))
        code = self.code or (NOERROR if name in self.names else NXDOMAIN)
        records = self.records(name, kind) if code == NOERROR else []
        reply = 0x8480 | (flags & 0x0100) | code
        head = struct.pack("!HHHHHH", number, reply, questions and 1, len(records), 0, 0)
        return head + question + b"".join(records)

    def stop(self):
        self.stopping = True
        self.thread.join(5)
        self.sock.close()


def find_dnsmasq():
    return shutil.which("dnsmasq") or shutil.which("dnsmasq", path="/usr/sbin")


class Dnsmasq:
    """dnsmasq on a port of 127.0.0.1; `lines` of its configuration, `hosts` in a file it reads again."""

    def __init__(self, hosts, lines=()):
        port = self._free_port()
        self.directory = tempfile.mkdtemp(prefix="lab-dnsmasq-")
        self.hosts = os.path.join(self.directory, "hosts")
        self.address = f"127.0.0.1:{port}"
        self.write(hosts)
        config = os.path.join(self.directory, "conf")
        with open(config, "w") as file:
            file.write("\n".join((
                f"port={port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts",
                f"addn-hosts={self.hosts}", "local=/test/", "local-ttl=1", "keep-in-foreground",
                "user=", "group=", f"pid-file={self.directory}/pid", *lines, "")))
        self.process = subprocess.Popen([find_dnsmasq(), "-k", "-C", config],
                                        stderr=subprocess.PIPE, text=True)

    @staticmethod
    def _free_port():
        """One that nobody has over UDP, either."""
        while True:
            port = free_port()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    pass

    def write(self, hosts):
        with open(self.hosts + ".new", "w") as file:
            file.writelines(f"{address} {name}\n" for name, addresses in hosts.items()
                            for address in addresses)
        os.chmod(self.hosts + ".new", 0o644)
        os.chmod(self.directory, 0o755)
        os.replace(self.hosts + ".new", self.hosts)

    def change(self, hosts):
        self.write(hosts)
        self.process.send_signal(1)

    def wait(self, limit=TIMEOUT):
        """Until it answers."""
        host, port = self.address.split(":")
        end = time.monotonic() + limit
        query = struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0) + encode("x.test") + struct.pack("!HH", A, 1)
        while time.monotonic() < end:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.2)
                sock.connect((host, int(port)))
                try:
                    sock.send(query)
                    sock.recv(512)
                    return
                except OSError:
                    if self.process.poll() is not None:
                        raise RuntimeError(self.process.stderr.read()) from None
                    time.sleep(0.05)
        raise TimeoutError("dnsmasq does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait(TIMEOUT)
        self.process.stderr.close()
        shutil.rmtree(self.directory)
