#!/usr/bin/python3
"""demo_server NAME PORT - a small HTTP/1.1 keep-alive server for `make run`.

Answers every request with its name and what it saw; /health with 200.
"""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def answer(self):
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = 0
        got = len(self.rfile.read(length)) if length > 0 else 0
        if self.path == "/health":
            text = "ok\n"
        else:
            text = f"{self.server.name} saw {self.command} {self.path}"
            text += f" with a body of {got} bytes\n" if got else "\n"
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Served-By", self.server.name)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    name = ""


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = Server(("127.0.0.1", int(sys.argv[2])), Handler)
    except OSError as error:
        print(f"demo server {sys.argv[1]}: 127.0.0.1:{sys.argv[2]}: {error.strerror}", file=sys.stderr)
        return 1
    server.name = sys.argv[1]
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
