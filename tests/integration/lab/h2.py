"""Raw HTTP/2: frames as bytes, a client and a server that send exactly what they are told.

Apart from lbd's own code so that both cannot share a mistake: frames are made and read here, header
blocks are read by python3-hpack and written by hand (field by field, as plain literals), so that
anything can be sent.

    with H2Client(address) as client:             # preface, SETTINGS, ACK
        client.send(headers(1, REQUEST), data(3, b"x"))
        client.events_until(lambda event: ...)    # frames that came, read strictly

A server for lbd's other side is H2Origin: one function per connection, in a thread.
"""

import contextlib
import select
import socket
import ssl
import struct
import threading

from hpack import Decoder

from .client import reset_socket
from .waits import TIMEOUT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION = 8, 9
PRIORITY_UPDATE = 16
NAMES = {
    DATA: "DATA", HEADERS: "HEADERS", PRIORITY: "PRIORITY", RST_STREAM: "RST_STREAM",
    SETTINGS: "SETTINGS", PUSH_PROMISE: "PUSH_PROMISE", PING: "PING", GOAWAY: "GOAWAY",
    WINDOW_UPDATE: "WINDOW_UPDATE", CONTINUATION: "CONTINUATION",
}

ACK = END_STREAM = 1
END_HEADERS, PADDED, WITH_PRIORITY = 4, 8, 32

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM = 4, 5, 6, 7
CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = 8, 9, 10, 11

(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE,
 MAX_HEADER_LIST_SIZE) = range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8

GET = ((":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", "/"))
POST = ((":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", "/"))


# -- frames as bytes --------------------------------------------------------------------------


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """`length` lies about the payload's."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def integer(value, prefix, first=0):
    """RFC 7541 5.1"""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value >= 128:
        out.append(128 | (value & 127))
        value >>= 7
    return bytes([*out, value])


def string(text):
    text = text if isinstance(text, bytes) else text.encode("latin-1")
    return integer(len(text), 7) + text


def literal(name, value, first=0x00):
    """A field with its name, not indexed; `first` 0x40 asks the peer to remember it."""
    return bytes([first]) + string(name) + string(value)


def block(fields):
    """A header block of plain literals; what is bytes already goes as it is."""
    return b"".join(f if isinstance(f, bytes) else literal(*f) for f in fields)


def with_padding(payload, padding):
    return bytes([padding]) + payload + bytes(padding)


def headers(stream, fields=GET, end=True, flags=None, extra=()):
    """HEADERS; `extra` adds fields."""
    flags = END_HEADERS | (END_STREAM if end else 0) if flags is None else flags
    payload = fields if isinstance(fields, bytes) else block(tuple(fields) + tuple(extra))
    return frame(HEADERS, flags, stream, payload)


def continuation(stream, payload, end_headers=True):
    return frame(CONTINUATION, END_HEADERS if end_headers else 0, stream, payload)


def data(stream, payload=b"", end=False):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", k, v) for k, v in pairs))


def settings_ack():
    return frame(SETTINGS, ACK)


def ping(payload=b"12345678", ack=False):
    return frame(PING, ACK if ack else 0, 0, payload)


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def priority(stream, depends=0, weight=15, exclusive=False):
    return frame(PRIORITY, 0, stream, struct.pack(">IB", depends | exclusive << 31, weight))


def goaway(last=0, code=NO_ERROR, debug=b""):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


# -- frames that came -------------------------------------------------------------------------


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind = kind
        self.flags = flags
        self.stream = stream
        self.payload = payload
        self.fields = None  # of HEADERS, with its CONTINUATIONs

    @property
    def code(self):
        """Of RST_STREAM and GOAWAY."""
        at = 4 if self.kind == GOAWAY else 0
        return struct.unpack_from(">I", self.payload, at)[0]

    @property
    def last_stream(self):
        return struct.unpack_from(">I", self.payload)[0] & 0x7FFFFFFF

    @property
    def increment(self):
        return struct.unpack(">I", self.payload)[0] & 0x7FFFFFFF

    @property
    def ends_stream(self):
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    @property
    def status(self):
        return int(self.get(":status", "0"))

    def get(self, name, default=None):
        return next((v for n, v in self.fields or () if n == name), default)

    def __repr__(self):
        name = NAMES.get(self.kind, self.kind)
        code = f" code={self.code}" if self.kind in (RST_STREAM, GOAWAY) else ""
        text = f" {self.fields}" if self.fields else ""
        return f"<{name} {self.stream} flags={self.flags:#x} {len(self.payload)} bytes{code}{text}>"


class H2Error(Exception):
    """The peer sent something HTTP/2 does not allow."""


class H2Closed(Exception):
    """The peer ended the connection."""


class H2Peer:
    """One end of a connection. Reads frame by frame and is strict about what it gets."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()
        self.decoder = Decoder()
        self.seen = []  # every frame that came
        self.was_reset = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def abort(self):
        reset_socket(self.sock)

    def send(self, *frames):
        """False when the peer has closed already: what came back says why."""
        try:
            self.sock.sendall(b"".join(frames))
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            return False
        return True

    def _fill(self, count):
        """Waits until so many bytes are there; none of them is taken."""
        while len(self.buffer) < count:
            try:
                more = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                self.was_reset = True
                more = b""
            if not more:
                raise H2Closed(f"{len(self.buffer)} of {count} bytes, after {self.seen[-3:]}")
            self.buffer += more

    def exact(self, count):
        self._fill(count)
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def _raw_frame(self):
        """The next frame, whole or not at all: a socket that does not block may be asked again."""
        self._fill(9)
        length = int.from_bytes(self.buffer[:3], "big")
        if length > 16384:
            raise H2Error(f"a frame of {length} bytes")
        self._fill(9 + length)
        head = self.exact(9)
        return Frame(head[3], head[4], int.from_bytes(head[5:], "big"), self.exact(length))

    def read(self):
        """The next frame; a header block is one. H2Closed at the end."""
        got = self._raw_frame()
        if got.kind == HEADERS:
            payload, part = got.payload, got
            while not part.flags & END_HEADERS:
                part = self._raw_frame()
                if part.kind != CONTINUATION or part.stream != got.stream:
                    raise H2Error(f"{part} inside a header block")
                payload += part.payload
            got.fields = [
                (n.decode("latin-1"), v.decode("latin-1"))
                for n, v in self.decoder.decode(payload, raw=True)
            ]
            check_fields(got)
        elif got.kind == CONTINUATION:
            raise H2Error("a CONTINUATION without its HEADERS")
        self.seen.append(got)
        return got

    def waits_for_frame(self, seconds):
        """Is something to be read within that time?"""
        if self.buffer or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
            return True
        return bool(select.select([self.sock], [], [], seconds)[0])

    def read_until(self, condition):
        """Frames up to the one that fits; H2Closed when none does."""
        frames = []
        while True:
            frames.append(self.read())
            if condition(frames[-1]):
                return frames

    def read_to_end(self):
        """Everything until the peer closes."""
        frames = []
        try:
            while True:
                frames.append(self.read())
        except H2Closed:
            return frames

    def flood(self, chunks, reads=True):
        """Sends chunk after chunk until the peer ends the connection; how many went.

        Reads meanwhile what comes, or leaves it where it is.
        """
        count = 0
        limit = self.sock.gettimeout()
        poller = select.poll()
        poller.register(self.sock, select.POLLOUT | (select.POLLIN if reads else 0))
        self.sock.setblocking(False)
        try:
            for chunk in chunks:
                at = 0
                while at < len(chunk):
                    ready = poller.poll(limit * 1000)
                    if not ready:
                        raise TimeoutError(f"the peer takes nothing after {count} chunks")
                    if ready[0][1] & select.POLLIN:
                        with contextlib.suppress(BlockingIOError):
                            self.read()
                    if ready[0][1] & (select.POLLOUT | select.POLLERR | select.POLLHUP):
                        with contextlib.suppress(BlockingIOError):
                            at += self.sock.send(chunk[at:])
                count += 1
        except (H2Closed, BrokenPipeError, ConnectionResetError):
            pass
        finally:
            self.sock.settimeout(limit)
        return count

    def settle(self, token=b"settled!"):
        """Waits until all that was sent so far was read by the peer; the frames that came."""
        self.send(ping(token))
        return self.read_until(
            lambda f: f.kind == PING and f.flags & ACK and f.payload == token
        )


def check_fields(got):
    """What holds for every head a good peer sends (RFC 9113 8.2)."""
    in_fields = False
    for name, value in got.fields:
        if name != name.lower() or value != value.strip(" \t"):
            raise H2Error(f"{name!r}: {value!r}")
        if name in ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"):
            raise H2Error(f"{name} in HTTP/2")
        if name.startswith(":"):
            if in_fields:
                raise H2Error(f"{name} after a field")
        else:
            in_fields = True


class Answer:
    """What came on one stream."""

    def __init__(self):
        self.head = None
        self.interim = []
        self.body = b""
        self.trailers = None
        self.ended = False
        self.reset = None  # code of RST_STREAM

    @property
    def status(self):
        return self.head.status if self.head else 0

    def get(self, name, default=None):
        return self.head.get(name, default)

    def note(self, got):
        if got.kind == HEADERS and self.head is None:
            if got.status < 200:
                self.interim.append(got)
                return
            self.head = got
        elif got.kind == HEADERS:
            self.trailers = got.fields
        elif got.kind == DATA:
            if self.head is None:
                raise H2Error("DATA before the head")
            self.body += got.payload
        elif got.kind == RST_STREAM:
            self.reset = got.code
        self.ended = self.ended or got.ends_stream

    def __repr__(self):
        return f"<answer {self.status} {self.body[:60]!r} ended={self.ended} reset={self.reset}>"


class H2Client(H2Peer):
    """A client: connects, and unless told otherwise sends the preface and waits for SETTINGS."""

    def __init__(self, address, tls=None, name="localhost", greet=True, options=(), timeout=None,
                 receive_buffer=None):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(TIMEOUT if timeout is None else timeout)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                sock = tls.wrap_socket(sock, server_hostname=name)
        except OSError:
            sock.close()
            raise
        super().__init__(sock)
        self.next_stream = 1
        self.server_settings = {}
        if greet:
            self.greet(*options)

    def greet(self, *options):
        self.send(PREFACE, settings(*options))
        self.read_until(lambda f: f.kind == SETTINGS and f.flags & ACK)
        theirs = next(f for f in self.seen if f.kind == SETTINGS and not f.flags & ACK)
        pairs = struct.iter_unpack(">HI", theirs.payload)
        self.server_settings = dict(pairs)
        self.send(settings_ack())

    def new_stream(self):
        self.next_stream += 2
        return self.next_stream - 2

    def answer(self, stream, into=None):
        """Reads until this stream has ended or was reset."""
        answer = into or Answer()
        while not (answer.ended or answer.reset is not None):
            got = self.read()
            if got.stream == stream:
                answer.note(got)
            elif got.kind == GOAWAY and got.last_stream < stream:
                raise H2Closed(f"{got} before the answer")
        return answer

    def request(self, fields=GET, body=None, extra=()):
        """One request and its answer."""
        stream = self.new_stream()
        self.send(headers(stream, fields, end=body is None, extra=extra))
        if body is not None:
            self.send(data(stream, body, end=True))
        return self.answer(stream)


class H2Origin:
    """A server that speaks HTTP/2 with prior knowledge: `script(peer)` for each connection.

    The peer is an H2Peer after the preface was read; the script sends the SETTINGS.
    """

    def __init__(self, script, tls=None):
        self.script = script
        self.tls = tls
        self.errors = []
        self.peers = []
        self.stopping = threading.Event()
        self.connections = 0
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.settimeout(TIMEOUT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        peer = None
        try:
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            peer = H2Peer(sock)
            self.peers.append(peer)
            got = peer.exact(len(PREFACE))
            if got != PREFACE:
                raise H2Error(f"no preface: {got!r}")
            self.script(peer)
        except (H2Closed, TimeoutError, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - the test shows it
            self.errors.append(f"{type(error).__name__}: {error}")
        finally:
            sock.close()

    def stop(self):
        self.stopping.set()
        for end in [self.listener, *(p.sock for p in self.peers)]:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()
        self.thread.join(TIMEOUT)
