"""Machines with mail: a process each, with a port for each protocol, that can be killed and stopped.

    Machine(case, "b1").ports["imap"]     machine.logins -> [("imap", "joe"), ...]

Every password but "wrong" is right. They know what a login needs and no more.
"""

import base64
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading

PROTOCOLS = ("imap", "pop3", "smtp", "sieve")


class Machine:
    def __init__(self, case, name, ports=None):
        self.name = name
        self.logins = []
        from .ports import free_port  # this file is a program, too
        self.ports = {**{protocol: free_port() for protocol in PROTOCOLS}, **(ports or {})}
        self.case = case
        self.process = None
        self.start()
        case.addCleanup(self.kill)

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.abspath(__file__), json.dumps(self.ports)], stdout=subprocess.PIPE,
            text=True, stdin=subprocess.DEVNULL)
        if not select.select([self.process.stdout], [], [], 60)[0]:
            raise TimeoutError("a machine does not start")
        self.ports = json.loads(self.process.stdout.readline())
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, out):
        for line in out:
            protocol, _, user = line.rstrip("\n").partition(" ")
            self.logins.append((protocol, user))
        out.close()

    def address(self, protocol):
        return "127.0.0.1:%d" % self.ports[protocol]

    def users(self, *protocols):
        return {user for protocol, user in list(self.logins) if not protocols or protocol in protocols}

    def kill(self):
        """As by kill -9, or a machine that lost its power."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self):
        """It hangs: the kernel still takes connections."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)


class Refused(Exception):
    pass


class Mailbox:
    """A client that logs in, in any of the protocols."""

    def __init__(self, address, protocol, source=None, timeout=None):
        from .waits import TIMEOUT  # this file is a program, too
        host, port = address.rsplit(":", 1)
        self.protocol = protocol
        self.sock = socket.create_connection((host, int(port)), timeout=timeout or TIMEOUT,
                                             source_address=(source, 0) if source else None)
        self.reader = self.sock.makefile("rb")
        self.greeting = self._answer()

    def close(self):
        self.reader.close()
        self.sock.close()

    def _line(self):
        line = self.reader.readline()
        if not line:
            raise ConnectionError("closed")
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def _answer(self, tag=None):
        """The last line of an answer (of a greeting)."""
        while True:
            line = self._line()
            if self.protocol == "imap" and (tag is None or line.startswith(tag + " ")):
                return line
            if self.protocol == "pop3":
                return line
            if self.protocol == "smtp" and line[3:4] == " ":
                return line
            if self.protocol == "sieve" and re.match(r"(OK|NO|BYE)\b", line):
                return line

    def send(self, line):
        self.sock.sendall(line.encode() + b"\r\n")

    def log_in(self, user, password="secret"):
        """The answer; Refused with it."""
        initial = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        if self.protocol == "imap":
            self.send(f'a LOGIN "{user}" "{password}"')
            answer = self._answer("a")
            good = answer.startswith("a OK")
        elif self.protocol == "pop3":
            self.send(f"USER {user}")
            self._answer()
            self.send(f"PASS {password}")
            answer = self._answer()
            good = answer.startswith("+OK")
        elif self.protocol == "smtp":
            self.send("EHLO client.example")
            self._answer()
            self.send(f"AUTH PLAIN {initial}")
            answer = self._answer()
            good = answer.startswith("235")
        else:
            self.send(f'AUTHENTICATE "PLAIN" "{initial}"')
            answer = self._answer()
            good = answer.startswith("OK")
        if not good:
            raise Refused(answer)
        return answer

    def is_closed(self):
        """Whether the other side has ended it."""
        if not select.select([self.sock], [], [], 0)[0]:
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True


# -- the process --------------------------------------------------------------------------------


def told(protocol, user):
    print(protocol, user, flush=True)


def credentials(initial):
    _, user, password = base64.b64decode(initial).decode().split("\0")
    return user, password


class Conversation:
    def __init__(self, reader, writer, protocol):
        self.reader = reader
        self.writer = writer
        self.protocol = protocol

    def say(self, *lines):
        self.writer.write("".join(line + "\r\n" for line in lines).encode())

    async def line(self):
        line = await self.reader.readline()
        if not line:
            raise ConnectionError
        return line.decode().rstrip("\r\n")

    def check(self, user, password, good, bad):
        if password == "wrong":
            self.say(bad)
        else:
            told(self.protocol, user)
            self.say(good)

    async def imap(self):
        self.say("* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN] ready")
        while True:
            line = await self.line()
            while literal := re.search(r"\{(\d+)\+?\}$", line):
                if not line.endswith("+}"):
                    self.say("+ go")
                text = (await self.reader.readexactly(int(literal.group(1)))).decode()
                line = line[:literal.start()] + '"' + text + '"' + await self.line()
            tag, _, rest = line.partition(" ")
            verb = rest.split(" ")[0].upper()
            if verb in ("LOGIN", "AUTHENTICATE"):
                if verb == "LOGIN":
                    user, password = [w.strip('"') for w in re.findall(r'"[^"]*"|\S+', rest)[1:3]]
                else:
                    words = rest.split(" ")
                    if len(words) < 3:
                        self.say("+ ")
                        words.append(await self.line())
                    user, password = credentials(words[2])
                self.check(user, password, f"{tag} OK [CAPABILITY IMAP4rev1 IDLE] in",
                           f"{tag} NO [AUTHENTICATIONFAILED] no")
            elif verb == "LOGOUT":
                self.say("* BYE bye", f"{tag} OK out")
                return
            elif verb == "CAPABILITY":
                self.say("* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN", f"{tag} OK done")
            else:
                self.say(f"{tag} OK {verb}")

    async def pop3(self):
        user = ""
        self.say("+OK ready")
        while True:
            verb, _, rest = (await self.line()).partition(" ")
            verb = verb.upper()
            if verb == "CAPA":
                self.say("+OK", "USER", "SASL PLAIN", ".")
            elif verb == "USER":
                user = rest
                self.say("+OK")
            elif verb == "PASS":
                self.check(user, rest, "+OK in", "-ERR [AUTH] no")
            elif verb == "AUTH":
                words = rest.split(" ")
                if len(words) < 2:
                    self.say("+ ")
                    words.append(await self.line())
                self.check(*credentials(words[1]), "+OK in", "-ERR [AUTH] no")
            elif verb == "QUIT":
                self.say("+OK bye")
                return
            else:
                self.say("+OK")

    async def smtp(self):
        self.say("220 machine ESMTP")
        while True:
            verb, _, rest = (await self.line()).partition(" ")
            verb = verb.upper()
            if verb == "EHLO":
                self.say("250-machine", "250-8BITMIME", "250 AUTH PLAIN")
            elif verb == "AUTH":
                words = rest.split(" ")
                if len(words) < 2:
                    self.say("334 ")
                    words.append(await self.line())
                self.check(*credentials(words[1]), "235 2.7.0 in", "535 5.7.8 no")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    async def sieve(self):
        capabilities = ['"IMPLEMENTATION" "machine"', '"SASL" "PLAIN"', '"VERSION" "1.0"', "OK"]
        self.say(*capabilities)
        while True:
            line = await self.line()
            while literal := re.search(r"\{(\d+)\+?\}$", line):
                text = (await self.reader.readexactly(int(literal.group(1)))).decode()
                line = line[:literal.start()] + '"' + text + '"' + await self.line()
            words = [w.strip('"') for w in line.split(" ")]
            verb = words[0].upper()
            if verb == "AUTHENTICATE":
                self.check(*credentials(words[2]), "OK", 'NO "no"')
            elif verb == "CAPABILITY":
                self.say(*capabilities)
            elif verb == "LOGOUT":
                self.say("OK")
                return
            else:
                self.say("OK")


async def serve(ports):
    import asyncio

    def handler(protocol):
        async def handle(reader, writer):
            try:
                await getattr(Conversation(reader, writer, protocol), protocol)()
                await writer.drain()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            writer.close()
        return handle
    servers = {}
    for protocol in PROTOCOLS:
        servers[protocol] = await asyncio.start_server(handler(protocol), "127.0.0.1", ports.get(protocol, 0),
                                                       backlog=512)
    print(json.dumps({name: server.sockets[0].getsockname()[1] for name, server in servers.items()}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import asyncio
    asyncio.run(serve(json.loads(sys.argv[1])))
