"""A DNS server of one socket: answers A questions from a dict, NXDOMAIN to the rest."""

import socket
import struct
import threading


class NameServer:
    """`names`: {"app.test": "127.0.0.1"} (may be changed while it runs)."""

    def __init__(self, names):
        self.names = {k.lower(): v for k, v in names.items()}
        self.questions = []
        self.silent = False
        self.stopping = False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(0.1)
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def asked(self):
        return {name for name, _ in self.questions}

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
        known = name in self.names
        records = b""
        count = 0
        if known and kind == 1:
            data = socket.inet_aton(self.names[name])
            records = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, len(data)) + data
            count = 1
        code = 0 if known else 3
        reply = 0x8480 | (flags & 0x0100) | code
        return struct.pack("!HHHHHH", number, reply, questions and 1, count, 0, 0) + question + records

    def stop(self):
        self.stopping = True
        self.thread.join(5)
        self.sock.close()
