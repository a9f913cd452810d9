"""A strict HTTP/1.1 reader, written apart from lbd's own so that both cannot share a mistake.

Everything that RFC 9112 does not allow raises WireError: a bare LF, folded lines, a
Content-Length beside Transfer-Encoding, chunk extensions, bytes after the end.
"""

import re
import ssl
import socket
import struct

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])\Z")


class WireError(Exception):
    """The peer sent something HTTP/1.1 does not allow."""


class Closed(Exception):
    """The peer ended the connection before the message was complete."""


class Reader:
    """Bytes of one socket, taken in order; `log` keeps everything that was taken."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()
        self.log = bytearray()
        self.at_eof = False
        self.was_reset = False  # and not simply ended

    def fill(self):
        """Reads once from the socket. False at the end of the stream."""
        if self.at_eof:
            return False
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            self.was_reset = True
            data = b""
        except ssl.SSLZeroReturnError:  # close_notify, after ours was sent
            data = b""
        if not data:
            self.at_eof = True
            return False
        self.buffer += data
        return True

    def take(self, count):
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        self.log += data
        return data

    def line(self, limit=200000):
        """One line without its CRLF; a bare LF or CR is an error."""
        searched = 0
        while True:
            end = self.buffer.find(b"\n", searched)
            if end >= 0:
                break
            searched = len(self.buffer)
            if searched > limit:
                raise WireError(f"line longer than {limit} bytes")
            if not self.fill():
                raise Closed(f"inside a line, after {bytes(self.buffer[:80])!r}")
        data = self.take(end + 1)
        if not data.endswith(b"\r\n"):
            raise WireError(f"bare LF: {data[:80]!r}")
        if b"\r" in data[:-2]:
            raise WireError(f"bare CR: {data[:80]!r}")
        return data[:-2]

    def exact(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise Closed(f"{len(self.buffer)} of {count} bytes")
        return self.take(count)

    def some(self):
        """Whatever is there, at least one byte; b"" at the end of the stream."""
        if not self.buffer:
            self.fill()
        return self.take(len(self.buffer))

    def rest(self):
        """Everything up to the end of the stream."""
        while self.fill():
            pass
        return self.take(len(self.buffer))


class Message:
    """A request or a response as it stood on the wire."""

    def __init__(self):
        self.start = b""
        self.version = ""
        self.headers = []  # (name, value) as str, in order, case kept
        self.trailers = []
        self.body = b""
        self.framing = "none"  # none | length | chunked | close
        self.chunks = []  # sizes, when chunked
        self.raw_head = b""
        # of a response
        self.status = 0
        self.reason = ""
        self.interim = []  # 1xx messages that came before
        # of a request
        self.method = ""
        self.target = ""
        self.connection = 0  # which connection of the origin brought it, from 1

    def get(self, name, default=None):
        """The only value of a header; more than one is an error of the test's peer."""
        values = self.all(name)
        if len(values) > 1:
            raise WireError(f"{name} came {len(values)} times: {values}")
        return values[0] if values else default

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def has(self, name):
        return bool(self.all(name))

    @property
    def text(self):
        return self.body.decode("latin-1")

    def __repr__(self):
        return f"<{self.start.decode('latin-1')} {self.headers} {len(self.body)} bytes>"


def read_fields(reader):
    """Header or trailer lines up to the empty line."""
    fields = []
    while True:
        line = reader.line()
        if not line:
            return fields
        if line[:1] in b" \t":
            raise WireError(f"folded line: {line[:80]!r}")
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise WireError(f"bad field name: {line[:80]!r}")
        value = value.strip(b" \t")
        if not VALUE.match(value):
            raise WireError(f"bad field value: {line[:80]!r}")
        fields.append((name.decode("latin-1"), value.decode("latin-1")))


def read_chunks(reader, message):
    parts = []
    while True:
        line = reader.line(1000)
        if not re.match(rb"[0-9A-Fa-f]{1,16}\Z", line):
            raise WireError(f"bad chunk size: {line[:40]!r}")
        size = int(line, 16)
        if size == 0:
            break
        parts.append(reader.exact(size))
        message.chunks.append(size)
        if reader.exact(2) != b"\r\n":
            raise WireError("chunk does not end in CRLF")
    message.body = b"".join(parts)
    message.trailers = read_fields(reader)


def body_framing(message):
    """length (int), "chunked" or None, from the headers; both at once is an error."""
    codings = message.all("Transfer-Encoding")
    lengths = message.all("Content-Length")
    if codings and lengths:
        raise WireError("Transfer-Encoding and Content-Length together")
    if codings:
        if len(codings) != 1 or codings[0].lower() != "chunked":
            raise WireError(f"Transfer-Encoding: {codings}")
        return "chunked"
    if lengths:
        if len(lengths) != 1 or not re.match(r"[0-9]{1,19}\Z", lengths[0]):
            raise WireError(f"Content-Length: {lengths}")
        return int(lengths[0])
    return None


def read_request_head(reader):
    """The head of a request, or None when the peer closed cleanly before it."""
    if not reader.buffer and not reader.fill():
        return None
    begin = len(reader.log)
    message = Message()
    message.start = reader.line()
    match = REQUEST_LINE.match(message.start)
    if not match:
        raise WireError(f"bad request line: {message.start[:120]!r}")
    message.method = match[1].decode()
    message.target = match[2].decode()
    message.version = f"HTTP/1.{match[3].decode()}"
    message.headers = read_fields(reader)
    message.raw_head = bytes(reader.log[begin:])
    framing = body_framing(message)
    message.framing = (
        "none" if framing is None else "chunked" if framing == "chunked" else "length"
    )
    return message


def read_request_body(reader, message):
    framing = body_framing(message)
    if framing == "chunked":
        read_chunks(reader, message)
    elif framing is not None:
        message.body = reader.exact(framing)


def read_request(reader):
    message = read_request_head(reader)
    if message is not None:
        read_request_body(reader, message)
    return message


def read_response_head(reader):
    begin = len(reader.log)
    message = Message()
    message.start = reader.line()
    match = STATUS_LINE.match(message.start)
    if not match:
        raise WireError(f"bad status line: {message.start[:120]!r}")
    message.version = f"HTTP/1.{match[1].decode()}"
    message.status = int(match[2])
    message.reason = match[3].decode("latin-1")
    message.headers = read_fields(reader)
    message.raw_head = bytes(reader.log[begin:])
    return message


def read_final_head(reader):
    """The head of the final response, with the 1xx before it in `interim`."""
    interim = []
    while True:
        message = read_response_head(reader)
        if message.status >= 200 or message.status == 101:
            message.interim = interim
            return message
        if body_framing(message) is not None:
            raise WireError("1xx with a length or coding (RFC 9110 8.6, RFC 9112 6.1)")
        interim.append(message)


def read_response_body(reader, message, method):
    framing = body_framing(message)
    if message.status in (204, 304) or message.status < 200 or method == "HEAD":
        if message.status < 200 or message.status == 204:
            if framing is not None and message.status != 101:
                raise WireError(f"{message.status} with a length or coding (RFC 9112 6)")
        return
    if framing == "chunked":
        message.framing = "chunked"
        read_chunks(reader, message)
    elif framing is not None:
        message.framing = "length"
        message.body = reader.exact(framing)
    else:
        message.framing = "close"
        message.body = reader.rest()


def read_response(reader, method="GET"):
    message = read_final_head(reader)
    if message.status != 101:
        read_response_body(reader, message, method)
    return message


def read_proxy_header(sock):
    """A PROXY header of version 1 or 2, and not a byte more: its text or (command, source,
    destination) with addresses as "ip:port", for version 2."""

    def exact(count):
        data = b""
        while len(data) < count:
            more = sock.recv(count - len(data))
            if not more:
                raise Closed("in the PROXY header")
            data += more
        return data

    first = exact(12)
    if first != b"\r\n\r\n\0\r\nQUIT\n":
        while not first.endswith(b"\r\n"):
            first += exact(1)
            if len(first) > 107:
                raise WireError(f"a PROXY header without end: {first!r}")
        return first.decode("ascii")
    command, family, length = struct.unpack("!BBH", exact(4))
    body = exact(length)
    if command not in (0x20, 0x21):
        raise WireError(f"PROXY v2 command {command:#x}")
    if command == 0x20 or family != 0x11:
        return ("LOCAL" if command == 0x20 else "PROXY", None, None)
    source, destination, source_port, destination_port = struct.unpack("!4s4sHH", body[:12])
    return ("PROXY", f"{socket.inet_ntoa(source)}:{source_port}",
            f"{socket.inet_ntoa(destination)}:{destination_port}")
