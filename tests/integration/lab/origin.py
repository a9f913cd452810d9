"""Scripted servers behind lbd.

An Origin listens on a free port of 127.0.0.1 and runs one function per connection in a thread.
The default function answers every request with 200 and a body that says who answered.

    def script(peer):
        peer.rx().expect(method="GET", target="/slow")
        peer.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhe")
        peer.stall()          # until the test ends or lbd goes away
    origin = self.origin(script)

Whatever a script raises (a request it did not expect, bytes that are not HTTP) is kept in
`errors` and makes the test fail when it ends.
"""

import socket
import threading

from . import wire
from .client import reset_socket
from .ports import hold
from .waits import TIMEOUT, wait_for


def respond(status=200, body=b"", headers=None, version="HTTP/1.1", reason="Answer", length=True):
    """The bytes of a response."""
    if isinstance(body, str):
        body = body.encode("latin-1")
    lines = [f"{version} {status} {reason}"]
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    lines += [f"{n}: {v}" for n, v in pairs]
    if length and status not in (204, 304) and status >= 200:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Received:
    """A request the origin received, with questions a test asks."""

    def __init__(self, message):
        self.message = message

    def __getattr__(self, name):
        return getattr(self.message, name)

    def expect(self, method=None, target=None, body=None, headers=None):
        """Raises AssertionError unless the request is what the script was written for."""
        message = self.message
        if method is not None and message.method != method:
            raise AssertionError(f"expected method {method}, got {message.start!r}")
        if target is not None and message.target != target:
            raise AssertionError(f"expected target {target}, got {message.start!r}")
        if body is not None and message.body != body:
            raise AssertionError(f"expected body {body[:80]!r}, got {message.body[:80]!r}")
        for name, value in (headers or {}).items():
            if message.get(name) != value:
                raise AssertionError(f"expected {name}: {value}, got {message.headers}")
        return self


class Peer:
    """One connection of an origin."""

    def __init__(self, origin, sock, number):
        self.origin = origin
        self.sock = sock
        self.number = number  # from 1, in the order of acceptance
        self.reader = wire.Reader(sock)
        self.requests = 0
        self.proxy = None  # (source, destination) of its PROXY header

    def rx(self):
        """The next request, whole. wire.Closed when lbd closes instead."""
        request = self.rx_head()
        wire.read_request_body(self.reader, request.message)
        return request

    def rx_head(self):
        """The head of the next request; its body is still to be read (rx_body)."""
        try:
            self._leave_interviewer()
            message = wire.read_request_head(self.reader)
        except TimeoutError:
            if self.reader.buffer:
                raise  # half a head
            message = None  # an idle connection nobody used again
        if message is None:
            raise wire.Closed("no further request")
        message.connection = self.number
        message.proxy = self.proxy
        self.requests += 1
        self.origin.note(message)
        return Received(message)

    def _leave_interviewer(self):
        """lbd looks what a server speaks whose answers it did not understand: no script is about that."""
        if not self.reader.buffer:
            self.reader.fill()
        first = bytes(self.reader.buffer)
        if first.startswith(b"OPTIONS * ") and b"lbd-health-check" in first:
            self.origin.interviews += 1
            self.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        elif not first.startswith((b"\x16\x03", b"PROXY UNKNOWN")):
            return
        raise wire.Closed("an interview")

    def rx_body(self, request):
        wire.read_request_body(self.reader, request.message)
        return request.body

    def read(self, count):
        return self.reader.exact(count)

    def tx(self, status=200, body=b"", headers=None, **more):
        self.send(respond(status, body, headers, **more))

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.sock.sendall(data)

    def stall(self, event=None, seconds=None):
        """Waits for `event`, or until the origin stops."""
        (event or self.origin.stopping).wait(TIMEOUT * 2 if seconds is None else seconds)

    def wait_closed(self):
        """Everything lbd still sends until it closes (or resets)."""
        return self.reader.rest()

    def shut_write(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        reset_socket(self.sock)

    def close(self):
        self.sock.close()


class Origin:
    """A server on a free port of 127.0.0.1, or of another address of the loopback."""

    def __init__(self, script=None, name="origin", port=0, backlog=512, tls=None, proxy=False,
                 host="127.0.0.1"):
        self.name = name
        self.script = script or Origin.answer_all
        self.lock = threading.Lock()
        self.requests = []  # wire.Message, in the order of arrival
        self.request_count = 0
        self.connection_count = 0
        self.interviews = 0  # by lbd: they are no requests
        self.errors = []
        self.stopping = threading.Event()
        self.peers = {}
        self.delay = 0.0  # seconds answer_all waits before each answer
        self.keep = True  # keep received messages (turn off under load)
        self.body = None  # fixed body of answer_all
        self.tls = tls  # an ssl.SSLContext: it speaks TLS
        self.proxy = proxy  # a PROXY header comes first
        self.names = []  # what clients of TLS asked for
        self.refused = []  # handshakes that failed
        if tls is not None:
            tls.sni_callback = lambda sock, name, context: self.names.append(name)
        # the port is ours until stop(), also when nobody listens there any more: the next of that number may come back
        self.holder = None if port else hold(host=host)
        self.port = port or self.holder.getsockname()[1]
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, self.port))
        self.listener.listen(backlog)
        self.address = f"{host}:{self.port}"
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def note(self, message):
        with self.lock:
            self.request_count += 1
            if self.keep:
                self.requests.append(message)

    def answer_all(self, peer):
        """The default script: 200 to everything, keep-alive, until lbd closes."""
        while True:
            try:
                request = peer.rx()
            except wire.Closed:
                return
            if self.delay:
                self.stopping.wait(self.delay)
            text = f"{self.name} {request.method} {request.target} {len(request.body)}\n"
            body = text.encode("latin-1") if self.body is None else self.body
            head = respond(200, b"", {"Content-Type": "text/plain", "Origin-Name": self.name},
                           length=False)
            head = head[:-2] + f"Content-Length: {len(body)}\r\n\r\n".encode()
            peer.send(head + (b"" if request.method == "HEAD" else body))

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connection_count += 1
                peer = Peer(self, sock, self.connection_count)
                self.peers[peer.number] = peer
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            peer.sock.settimeout(TIMEOUT * 3)
            peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.proxy:
                peer.proxy = wire.read_proxy_header(peer.sock)
            if self.tls is not None:
                try:
                    peer.sock = self.tls.wrap_socket(peer.sock, server_side=True)
                except (OSError, ValueError) as error:
                    self.refused.append(error)
                    return
                peer.reader = wire.Reader(peer.sock)
            if self.script is Origin.answer_all:
                self.answer_all(peer)
            else:
                self.script(peer)
        except wire.Closed:
            pass  # lbd left: what that means is for the test to say
        except (BrokenPipeError, ConnectionResetError):
            pass
        except OSError as error:
            if not self.stopping.is_set() and peer.sock.fileno() >= 0:
                self.errors.append(f"{self.name}: {type(error).__name__}: {error}")
        except Exception as error:
            self.errors.append(f"{self.name}: {type(error).__name__}: {error}")
        finally:
            try:
                peer.sock.close()
            finally:
                with self.lock:
                    self.peers.pop(peer.number, None)

    def open_connections(self):
        with self.lock:
            return len(self.peers)

    def clear(self):
        with self.lock:
            self.requests = []
            self.request_count = 0

    def wait_requests(self, count):
        """Waits until `count` requests have arrived and returns them."""
        wait_for(lambda: self.request_count >= count, f"{count} requests at {self.name}")
        return list(self.requests)

    def wait_idle(self):
        """Waits until no connection is open."""
        wait_for(lambda: self.open_connections() == 0, f"no connection left at {self.name}")

    def kill(self):
        """Dies like a process: no longer listens, every connection is reset."""
        self.stopping.set()
        self._close_listener()
        with self.lock:
            peers = list(self.peers.values())
        for peer in peers:
            # shutdown wakes the thread that blocks in recv; a plain close would not
            try:
                peer.sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
                )
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _close_listener(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def stop(self):
        self.kill()
        self.thread.join(TIMEOUT)
        if self.holder is not None:
            self.holder.close()
