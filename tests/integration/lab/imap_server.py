"""An IMAP server that does what it is told: for what a real one would never do."""

import re
import socket
import threading

from .waits import wait_for


class ImapServer:
    """Lets users in with `passwords`; each other command is answered by `answer(connection, tag, verb, line)`,
    which gives bytes, or None for the usual answer. `capabilities`: after the login. `told(connection, "in" or "out")`
    hears of logins and of the ends of their connections, before anybody else can."""

    def __init__(self, case, passwords=None, capabilities="IMAP4rev1 UNSELECT", answer=None, tls=None, told=None):
        self.told = told or (lambda *_: None)
        self.passwords = dict(passwords or {"anna": "secret"})
        self.capabilities = capabilities
        self.answer = answer or (lambda *_: None)
        self.tls = tls
        self.connections = []
        self.lock = threading.Lock()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        case.addCleanup(self.close)

    def close(self):
        self.listening.close()
        for connection in list(self.connections):
            connection.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            with self.lock:
                connection = ImapConnection(self, sock)
                self.connections.append(connection)
            threading.Thread(target=connection.run, daemon=True).start()

    @property
    def logins(self):
        """The connections that somebody logged in on."""
        return [c for c in self.connections if c.user]

    def wait_closed(self, connection):
        wait_for(lambda: connection.ended, "the end of a connection of the server")

    def wait_asked(self, connection, pattern, count=1):
        wait_for(lambda: len(re.findall(pattern, connection.text)) >= count, f"{pattern} at the server")


class ImapConnection:
    def __init__(self, server, sock):
        self.server = server
        self.sock = sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.user = None
        self.lines = []
        self.ended = False
        self.idle = None

    @property
    def text(self):
        return "\n".join(self.lines)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def run(self):
        try:
            if self.server.tls is not None:
                self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
            self.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN ID] ready\r\n")
            reader = self.sock.makefile("rb")
            while True:
                line = reader.readline()
                if not line:
                    break
                line = line.decode("latin-1").rstrip("\r\n")
                self.lines.append(line)
                self.handle(line, reader)
        except OSError:
            pass
        if self.user:
            self.server.told(self, "out")
        self.ended = True
        self.sock.close()

    def handle(self, line, reader):
        if self.idle is not None and line.upper() == "DONE":
            self.send(b"%s OK idle\r\n" % self.idle.encode())
            self.idle = None
            return
        tag, _, rest = line.partition(" ")
        verb = rest.split(" ")[0].upper()
        literal = re.search(r"\{(\d+)(\+?)\}$", line)
        if literal:
            if not literal.group(2):
                self.send(b"+ go\r\n")
            reader.read(int(literal.group(1)))
            reader.readline()
        if verb in ("LOGIN", "AUTHENTICATE"):
            self.log_in(tag, rest)
            return
        said = self.server.answer(self, tag, verb, line)
        self.send(said if said is not None else self.usual(tag, verb))

    def log_in(self, tag, rest):
        import base64
        words = rest.split(" ")
        if words[0].upper() == "LOGIN":
            user, password = (w.strip('"') for w in words[1:3])
        else:
            user, password = base64.b64decode(words[2]).decode().split("\0")[1:]
        if self.server.passwords.get(user) != password:
            self.send(f"{tag} NO [AUTHENTICATIONFAILED] no\r\n".encode())
            return
        self.user = user
        self.server.told(self, "in")
        self.send(f"{tag} OK [CAPABILITY {self.server.capabilities}] in\r\n".encode())

    def usual(self, tag, verb):
        if verb == "SELECT":
            return f"* 1 EXISTS\r\n{tag} OK [READ-WRITE] selected\r\n".encode()
        if verb == "IDLE":
            self.idle = tag
            return b"+ idling\r\n"
        if verb == "ID":
            return f"* ID NIL\r\n{tag} OK id\r\n".encode()
        if verb == "LOGOUT":
            return f"* BYE bye\r\n{tag} OK out\r\n".encode()
        return f"{tag} OK {verb}\r\n".encode()
