"""A raw client: sends exactly the bytes it is told, cut where it is told, and reads strictly."""

import socket
import struct
import time

from . import wire
from .contract import check_message
from .waits import TIMEOUT


def reset_socket(sock):
    """Closes with a RST instead of a FIN."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


class Client:
    """One connection to (host, port) or to the path of a unix socket."""

    def __init__(self, address, timeout=None, receive_buffer=None, tls=None, name="localhost", source=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT if timeout is None else timeout)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:  # the address it comes from
            self.sock.bind((source, 0))
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        if family == socket.AF_INET:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:  # an ssl.SSLContext
            self.sock = tls.wrap_socket(self.sock, server_hostname=name)
        self.reader = wire.Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data, cuts=(), pause=0.001):
        """Sends `data`, as separate segments at each offset in `cuts`.

        A peer that already refused may have closed: what cannot be sent is not an error here,
        the test reads what came back.
        """
        if isinstance(data, str):
            data = data.encode("latin-1")
        begin = 0
        try:
            for cut in sorted(set(c for c in cuts if 0 < c < len(data))):
                self.sock.sendall(data[begin:cut])
                begin = cut
                if pause:
                    time.sleep(pause)
            self.sock.sendall(data[begin:])
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def send_request(self, method="GET", target="/", headers=None, body=None, host="test"):
        """Sends a well-formed request; `headers` is a dict or a list of pairs."""
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        lines = [f"{method} {target} HTTP/1.1"]
        if host is not None and not any(n.lower() == "host" for n, _ in pairs):
            lines.append(f"Host: {host}")
        lines += [f"{n}: {v}" for n, v in pairs]
        if body is not None and not any(
            n.lower() in ("content-length", "transfer-encoding") for n, _ in pairs
        ):
            lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))

    def request(self, method="GET", target="/", headers=None, body=None, host="test"):
        """One request and its answer."""
        self.send_request(method, target, headers, body, host)
        response = self.read_response(method)
        check_message(method, target, body, response)
        return response

    def get(self, target="/", headers=None, host="test"):
        return self.request("GET", target, headers, None, host)

    def read_head(self):
        """The head of the final response (and the 1xx before it); the body is still to be read."""
        return wire.read_final_head(self.reader)

    def read_interim(self):
        """One response head, 1xx or not."""
        return wire.read_response_head(self.reader)

    def read_body(self, message, method="GET"):
        wire.read_response_body(self.reader, message, method)
        return message.body

    def read_response(self, method="GET"):
        return wire.read_response(self.reader, method)

    def read_exact(self, count):
        return self.reader.exact(count)

    def read_rest(self):
        """Everything until the peer closes."""
        return self.reader.rest()

    def is_quiet(self, seconds=0.05):
        """True when nothing arrives (and nothing closes) for that long."""
        if self.reader.buffer:
            return False
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            return not self.reader.fill() and not self.reader.at_eof
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(before)

    def closed_cleanly(self):
        """Waits for the end of the stream; True when no byte came before it."""
        return self.reader.rest() == b""

    def shut_write(self):
        self.sock.shutdown(socket.SHUT_WR)

    def abort(self):
        reset_socket(self.sock)

    def close(self):
        self.sock.close()
