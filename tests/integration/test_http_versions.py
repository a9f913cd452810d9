"""The same conversation between each version of HTTP and each: what one side says, the other hears."""

import threading
import unittest

from lab import LabCase, config_for, h2
from lab.origin import respond

TRAILERS = {"routes": {"all": {"listener": "web", "action": {"pool": "main"},
                               "trailers": "forward"}}}


class Heard:
    """An answer or a request, whatever it came by."""

    def __init__(self, fields, body=b"", trailers=(), interim=(), ended=True):
        self.fields = {n.lower(): v for n, v in fields}
        self.body = body
        self.trailers = [(n.lower(), v) for n, v in trailers or ()]
        self.interim = list(interim)
        self.ended = ended

    def __getitem__(self, name):
        return self.fields.get(name)


class Answer:
    """What a server says: status, fields, body (None: none), trailers, interim answers first."""

    def __init__(self, status=200, fields=(), body=b"", trailers=(), interim=(), length=True):
        self.status = status
        self.fields = list(fields)
        self.body = body
        self.trailers = list(trailers)
        self.interim = list(interim)
        self.length = length and not trailers


def lines_of(pairs):
    return "".join(f"{n}: {v}\r\n" for n, v in pairs)


def say_http1(peer, answer, is_head):
    for status, fields in answer.interim:
        peer.send(f"HTTP/1.1 {status} Interim\r\n{lines_of(fields)}\r\n")
    if answer.body is None or answer.length:
        length = answer.body is not None
        peer.send(respond(answer.status, b"" if is_head else answer.body or b"",
                          answer.fields + ([("Content-Length", str(len(answer.body)))]
                                           if length else []), length=False))
        return
    peer.send(f"HTTP/1.1 {answer.status} Fine\r\n{lines_of(answer.fields)}"
              "Transfer-Encoding: chunked\r\n\r\n")
    if not is_head:
        body = f"{len(answer.body):x}\r\n".encode() + answer.body + b"\r\n" if answer.body else b""
        peer.send(body + f"0\r\n{lines_of(answer.trailers)}\r\n".encode())


def say_http2(peer, stream, answer, is_head):
    for status, fields in answer.interim:
        peer.send(h2.headers(stream, ((":status", str(status)), *lower(fields)), end=False))
    fields = [(":status", str(answer.status)), *lower(answer.fields)]
    if answer.body is not None and answer.length:
        fields.append(("content-length", str(len(answer.body))))
    has_body = bool(answer.body) and not is_head
    peer.send(h2.headers(stream, fields, end=not has_body and not answer.trailers))
    if has_body:
        peer.send(h2.data(stream, answer.body, end=not answer.trailers))
    if answer.trailers:
        peer.send(h2.headers(stream, lower(answer.trailers)))


def lower(pairs):
    return tuple((n.lower(), v) for n, v in pairs)


class Versions(LabCase):
    def setUp(self):
        super().setUp()
        self.heard = []  # requests, as Heard with "method" and "path" among its fields
        self.answer = Answer()

    # -- servers --

    def http1_server(self):
        def script(peer):
            while True:
                message = peer.rx().message
                self.heard.append(Heard(
                    [("method", message.method), ("path", message.target), *message.headers],
                    message.body, getattr(message, "trailers", ())))
                say_http1(peer, self.answer, message.method == "HEAD")

        return self.origin(script)

    def http2_server(self):
        def script(peer):
            peer.send(h2.settings())
            begun = {}
            while True:
                got = peer.read()
                if got.kind == h2.HEADERS and got.stream not in begun:
                    fields = [(n.lstrip(":"), v) for n, v in got.fields]
                    begun[got.stream] = Heard(fields)
                elif got.kind == h2.HEADERS:
                    begun[got.stream].trailers = got.fields
                elif got.kind == h2.DATA:
                    begun[got.stream].body += got.payload
                if got.ends_stream:
                    request = begun[got.stream]
                    self.heard.append(request)
                    say_http2(peer, got.stream, self.answer, request["method"] == "HEAD")

        origin = h2.H2Origin(script)

        def stop():
            origin.stop()
            self.assertEqual(origin.errors, [])

        self.addCleanup(stop)
        return origin

    # -- clients --

    def ask_http1(self, proxy, method, path, fields, body, trailers):
        client = self.connect(proxy)
        if trailers:
            client.send(f"{method} {path} HTTP/1.1\r\nHost: test\r\n{lines_of(fields)}"
                        f"Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n")
            client.send(body + f"\r\n0\r\n{lines_of(trailers)}\r\n".encode())
        else:
            client.send_request(method, path, list(fields), body)
        interim = []
        for _ in self.answer.interim:
            got = client.read_interim()
            interim.append((got.status, list(got.headers)))
        got = client.read_response(method)
        return Heard([("status", str(got.status)), *got.headers], got.body,
                     getattr(got, "trailers", ()), interim)

    def ask_http2(self, proxy, method, path, fields, body, trailers):
        client = h2.H2Client(proxy.address())
        self.addCleanup(client.close)
        stream = client.new_stream()
        head = ((":method", method), (":scheme", "http"), (":authority", "test"), (":path", path))
        client.send(h2.headers(stream, head + lower(fields), end=body is None))
        if body is not None:
            client.send(h2.data(stream, body, end=not trailers))
        if trailers:
            client.send(h2.headers(stream, lower(trailers)))
        got = client.answer(stream)
        return Heard([(n.lstrip(":"), v) for n, v in got.head.fields], got.body, got.trailers,
                     [(i.status, [f for f in i.fields if f[0] != ":status"]) for i in got.interim])

    # -- both --

    def each_pair(self, **config):
        """(name, ask) for each pair of versions; ask(method, path, fields, body, trailers)."""
        for server, version in ((self.http1_server(), "1"), (self.http2_server(), "2")):
            proxy = self.lbd(config_for(server, pool={"http_version": version}, **config))
            for name, ask in (("1", self.ask_http1), ("2", self.ask_http2)):
                def run(method="GET", path="/", fields=(), body=None, trailers=(), ask=ask,
                        proxy=proxy):
                    self.heard.clear()
                    return ask(proxy, method, path, fields, body, trailers)

                with self.subTest(client=name, server=version):
                    yield run

    def test_heads_and_bodies(self):
        answers = (
            ("GET", None, Answer(body=b"hello", fields=[("X-A", "1")])),
            ("GET", None, Answer(body=b"")),
            ("GET", None, Answer(body=b"no length", length=False)),
            ("GET", None, Answer(204, body=None)),
            ("GET", None, Answer(304, body=None, fields=[("ETag", '"x"')])),
            ("HEAD", None, Answer(body=b"not sent")),
            ("POST", b"body", Answer(201, body=b"made")),
            ("POST", b"", Answer(404, body=b"none")),
            ("POST", b"x" * 16000, Answer(body=b"y" * 16000)),
        )
        for ask in self.each_pair():
            for method, body, answer in answers:
                with self.subTest(method=method, answer=answer.status):
                    self.answer = answer
                    got = ask(method, "/a?b", [("Cookie", "a=1")], body)
                    self.assertEqual(got["status"], str(answer.status))
                    self.assertEqual(got.body, b"" if method == "HEAD" else answer.body or b"")
                    if answer.body is not None and answer.length:
                        self.assertEqual(got["content-length"], str(len(answer.body)))
                    for name, value in answer.fields:
                        self.assertEqual(got[name.lower()], value)
                    (request,) = self.heard
                    self.assertEqual((request["method"], request["path"]), (method, "/a?b"))
                    self.assertEqual(request.body, body or b"")
                    self.assertEqual(request["cookie"], "a=1")
                    self.assertEqual(request["authority"] or request["host"], "test")
                    self.assertIsNone(request["connection"])

    def test_trailers_both_ways_where_the_route_says_so(self):
        for ask in self.each_pair(**TRAILERS):
            self.answer = Answer(body=b"answer", trailers=[("X-Sum", "1"), ("X-More", "two")])
            got = ask("POST", "/", [("TE", "trailers")], b"ask", [("X-Request-Sum", "9")])
            self.assertEqual(got.body, b"answer")
            self.assertEqual(got.trailers, [("x-sum", "1"), ("x-more", "two")])
            (request,) = self.heard
            self.assertEqual(request.body, b"ask")
            self.assertEqual([t for t in request.trailers if t[0].lower() == "x-request-sum"],
                             [("x-request-sum", "9")])

    def test_trailers_stop_elsewhere(self):
        for ask in self.each_pair():
            self.answer = Answer(body=b"answer", trailers=[("X-Sum", "1")])
            got = ask("POST", "/", (), b"ask", [("X-Request-Sum", "9")])
            self.assertEqual((got.body, got.trailers), (b"answer", []))
            self.assertEqual((self.heard[0].body, self.heard[0].trailers), (b"ask", []))

    def test_interim_answers(self):
        for ask in self.each_pair():
            self.answer = Answer(body=b"late", interim=[
                (100, []), (103, [("Link", "</a.css>; rel=preload")])])
            got = ask("POST", "/", [("Expect", "100-continue")], b"ask")
            self.assertEqual([status for status, _ in got.interim], [100, 103])
            self.assertIn(("link", "</a.css>; rel=preload"),
                          [(n.lower(), v) for n, v in got.interim[1][1]])
            self.assertEqual((got["status"], got.body), ("200", b"late"))
            self.assertEqual(self.heard[0]["expect"], "100-continue")

    def test_an_answer_before_the_end_of_the_request(self):
        """A client of HTTP/2 is told that the rest is not wanted, and its connection lives on."""
        done = threading.Event()

        def script(peer):
            peer.rx_head()
            peer.tx(413, "too much")
            done.wait(60)

        proxy = self.lbd(config_for(self.origin(script)))
        client = h2.H2Client(proxy.address())
        self.addCleanup(client.close)
        stream = client.new_stream()
        client.send(h2.headers(stream, h2.POST, end=False), h2.data(stream, b"begin"))
        answer = client.answer(stream)
        self.assertEqual((answer.status, answer.body), (413, b"too much"))
        reset = client.read_until(lambda f: f.kind == h2.RST_STREAM)[-1]
        self.assertEqual((reset.stream, reset.code), (stream, h2.NO_ERROR))
        client.send(h2.data(stream, b"rest", end=True))
        self.assertEqual(client.settle()[-1].kind, h2.PING)
        done.set()


if __name__ == "__main__":
    unittest.main()
