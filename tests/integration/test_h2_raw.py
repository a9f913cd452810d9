"""Frames of HTTP/2, one table: what a client sends after its greeting, and what must come of it.

Each case is a fresh connection. `Ends` is a connection error: GOAWAY with exactly this code, then
the end. `Resets` is a stream error: RST_STREAM with this code, no answer, and the connection serves
on. `Answers` is a final status (malformed requests are told why, then reset: RFC 9113 8.1.1), and
`Lives` that nothing at all comes of it. Wherever the connection lives a PING and one more request
show it. The origin sees exactly the requests that are answered with 200 (those that are held until the
case is over are not counted).
"""

import shutil
import struct
import tempfile
import threading
import unittest

from lab import TIMEOUT, LabCase, config_for
from lab.certs import Authority, client_context
from lab.h2 import (
    ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH,
    END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GET, GOAWAY,
    HEADER_TABLE_SIZE, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE, NO_ERROR, PADDED, PING, POST, PREFACE, PRIORITY, PRIORITY_UPDATE,
    PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED,
    WINDOW_UPDATE, WITH_PRIORITY, Answer, H2Client, H2Closed, block, continuation, data, frame,
    goaway, headers, integer, literal, ping, priority, reset, settings, settings_ack,
    window_update, with_padding,
)

PATIENCE_S = float(TIMEOUT)
SENTINEL = 1001  # the stream that shows that the connection lives
WINDOW = 65535


class Ends:
    def __init__(self, code):
        self.code = code


class Resets:
    def __init__(self, code, stream=1, origin=0):
        self.code, self.stream, self.origin = code, stream, origin


class Answers:
    def __init__(self, status=200, reset=None, stream=1, body=None, reason=None):
        self.status, self.reset, self.stream = status, reset, stream
        self.body, self.reason = body, reason


class Lives:
    def __init__(self, origin=0):
        self.origin = origin


def malformed(reason=None):
    return Answers(400, reset=PROTOCOL_ERROR, reason=reason)


def without(name, fields=GET):
    return tuple(f for f in fields if f[0] != name)


def having(name, value, fields=GET):
    return tuple((n, value if n == name else v) for n, v in fields)


def posts(*pairs):
    return tuple(POST) + pairs


def u32(value):
    return struct.pack(">I", value)


HELD = having(":path", "/hold")  # answered when the case is over
HELD_POST = having(":path", "/hold", POST)
REST = block(GET)[1:]
FIRST = block(GET)[:1]

# name, RFC 9113 unless said otherwise, what is sent, what comes of it
CASES = [
    # -- 3.4, 4.1, 4.2: the frame itself
    ("nothing but the greeting", "3.4", b"", Lives()),
    ("a request", "8.1", headers(1), Answers()),
    ("an unknown type", "4.1", frame(0xBB, 0xFF, 0, b"x" * 8), Lives()),
    ("an unknown type on an idle stream", "4.1", frame(0x20, 0, 7, b""), Lives()),
    ("an unknown type on an open stream", "4.1",
     headers(1, HELD) + frame(0x20, END_STREAM, 1, b"abc") + headers(3), Answers(stream=3)),
    ("an unknown type of the largest size", "4.2", frame(0x20, 0, 0, bytes(16384)), Lives()),
    ("an unknown type that is too large", "4.2", frame(0x20, 0, 0, bytes(16385)),
     Ends(FRAME_SIZE_ERROR)),
    ("a DATA frame that is too large", "4.2", headers(1, POST, end=False) + data(1, bytes(16385)),
     Ends(FRAME_SIZE_ERROR)),
    ("a HEADERS frame that is too large", "4.2",
     headers(1, GET, extra=[("x", "y" * 16384)]), Ends(FRAME_SIZE_ERROR)),
    ("a length of 2^24 - 1", "4.2", frame(DATA, 0, 1, b"", length=0xFFFFFF),
     Ends(FRAME_SIZE_ERROR)),
    ("the reserved bit of a stream", "4.1", frame(HEADERS, END_STREAM | END_HEADERS,
     1 | 1 << 31, block(GET)), Answers()),
    ("flags that HEADERS has not", "4.1", headers(1, flags=END_STREAM | END_HEADERS | 0xD2),
     Answers()),
    ("flags that DATA has not", "4.1",
     headers(1, POST, end=False) + frame(DATA, END_STREAM | 0xF6, 1, b"ab"),
     Answers(body="POST / 2")),
    ("flags that PING has not", "4.1", frame(PING, 0xFE, 0, b"abcdefgh"), Lives()),

    # -- 6.1 DATA
    ("DATA on stream 0", "6.1", data(0, b"x"), Ends(PROTOCOL_ERROR)),
    ("DATA on an idle stream", "5.1", data(1, b"x"), Ends(PROTOCOL_ERROR)),
    ("DATA on an idle stream of the server", "5.1", data(2, b"x"), Ends(PROTOCOL_ERROR)),
    ("a body in two frames", "8.1", headers(1, POST, end=False) + data(1, b"ab")
     + data(1, b"cd", end=True), Answers(body="POST / 4")),
    ("a body that ends with an empty frame", "8.1", headers(1, POST, end=False) + data(1, b"ab")
     + data(1, end=True), Answers(body="POST / 2")),
    ("a body of nothing", "8.1", headers(1, POST, end=False) + data(1, end=True),
     Answers(body="POST / 0")),
    ("DATA with padding", "6.1", headers(1, POST, end=False)
     + frame(DATA, END_STREAM | PADDED, 1, with_padding(b"ab", 9)), Answers(body="POST / 2")),
    ("DATA with padding of no bytes", "6.1", headers(1, POST, end=False)
     + frame(DATA, END_STREAM | PADDED, 1, with_padding(b"ab", 0)), Answers(body="POST / 2")),
    ("DATA that is all padding", "6.1", headers(1, POST, end=False)
     + frame(DATA, END_STREAM | PADDED, 1, with_padding(b"", 255)), Answers(body="POST / 0")),
    ("padding as long as the payload", "6.1", headers(1, POST, end=False)
     + frame(DATA, END_STREAM | PADDED, 1, b"\x03abc"[:3]), Ends(PROTOCOL_ERROR)),
    ("padding longer than the payload", "6.1", headers(1, POST, end=False)
     + frame(DATA, END_STREAM | PADDED, 1, b"\xffabc"), Ends(PROTOCOL_ERROR)),
    ("DATA with padding and no byte", "6.1", headers(1, POST, end=False)
     + frame(DATA, END_STREAM | PADDED, 1, b""), Ends((FRAME_SIZE_ERROR, PROTOCOL_ERROR))),
    ("DATA after END_STREAM in HEADERS", "5.1", headers(1, HELD) + data(1, b"x"),
     Resets(STREAM_CLOSED, origin=None)),
    ("DATA after END_STREAM in DATA", "5.1", headers(1, HELD_POST, end=False)
     + data(1, b"x", end=True) + data(1, b"y"), Resets(STREAM_CLOSED, origin=None)),

    # -- 5.2, 6.9: flow control
    ("WINDOW_UPDATE of the connection", "6.9", window_update(0, 1000), Lives()),
    ("WINDOW_UPDATE with the reserved bit", "6.9", window_update(0, 1 << 31 | 5), Lives()),
    ("WINDOW_UPDATE of 3 bytes", "6.9", frame(WINDOW_UPDATE, 0, 0, b"abc"),
     Ends(FRAME_SIZE_ERROR)),
    ("WINDOW_UPDATE of 5 bytes", "6.9", frame(WINDOW_UPDATE, 0, 0, b"abcde"),
     Ends(FRAME_SIZE_ERROR)),
    ("WINDOW_UPDATE of 5 bytes on a stream", "6.9",
     headers(1, HELD) + frame(WINDOW_UPDATE, 0, 1, b"abcde"), Ends(FRAME_SIZE_ERROR)),
    ("WINDOW_UPDATE of 0 on the connection", "6.9", window_update(0, 0), Ends(PROTOCOL_ERROR)),
    ("WINDOW_UPDATE of 0 on a stream", "6.9", headers(1, HELD) + window_update(1, 0),
     Resets(PROTOCOL_ERROR, origin=None)),
    ("the connection's window beyond 2^31 - 1", "6.9.1", window_update(0, 0x7FFFFFFF),
     Ends(FLOW_CONTROL_ERROR)),
    ("a stream's window beyond 2^31 - 1", "6.9.1", headers(1, HELD) + window_update(1, 0x7FFFFFFF),
     Resets(FLOW_CONTROL_ERROR, origin=None)),
    ("WINDOW_UPDATE of an idle stream", "5.1", window_update(1, 1), Ends(PROTOCOL_ERROR)),
    ("WINDOW_UPDATE of an idle stream of the server", "5.1", window_update(2, 1),
     Ends(PROTOCOL_ERROR)),
    ("WINDOW_UPDATE after our END_STREAM", "5.1", headers(1) + window_update(1, 5), Answers()),

    # -- 6.2 HEADERS, 5.1.1 ids
    ("HEADERS on stream 0", "6.2", headers(0), Ends(PROTOCOL_ERROR)),
    ("HEADERS on an even stream", "5.1.1", headers(2), Ends(PROTOCOL_ERROR)),
    ("a lower stream than before", "5.1.1", headers(5) + headers(3), Ends(PROTOCOL_ERROR)),
    ("streams with gaps", "5.1.1", headers(5) + headers(999), Answers(stream=5)),
    ("the same stream twice", "5.1", headers(1, HELD) + headers(1), Resets(STREAM_CLOSED,
     origin=None)),
    ("HEADERS with padding", "6.2", frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1,
     with_padding(block(GET), 20)), Answers()),
    ("HEADERS with priority", "6.2", frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1,
     u32(0) + b"\x0f" + block(GET)), Answers()),
    ("HEADERS with padding and priority", "6.2",
     frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY | PADDED, 1,
           with_padding(u32(1 << 31 | 3) + b"\xff" + block(GET), 3)), Answers()),
    ("a stream that depends on itself", "5.3.1 of RFC 7540: no longer an error",
     frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, u32(1) + b"\x0f" + block(GET)),
     Answers()),
    ("HEADERS with padding longer than the block", "6.2",
     frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\x05abcd"), Ends(PROTOCOL_ERROR)),
    ("HEADERS with padding and no byte", "6.2",
     frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b""),
     Ends((FRAME_SIZE_ERROR, PROTOCOL_ERROR))),
    ("HEADERS with priority cut", "6.2",
     frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, b"abcd"),
     Ends((FRAME_SIZE_ERROR, PROTOCOL_ERROR))),
    ("HEADERS of nothing", "8.3.1", headers(1, b""), malformed()),

    # -- 6.3 PRIORITY and RFC 9218
    ("PRIORITY of an idle stream", "6.3", priority(1), Lives()),
    ("PRIORITY of an even stream", "6.3", priority(2, depends=1), Lives()),
    ("PRIORITY of an open stream", "6.3", headers(1, HELD) + priority(1, weight=255) + headers(3),
     Answers(stream=3)),
    ("PRIORITY that depends on itself", "5.3.1 of RFC 7540: no longer an error",
     priority(3, depends=3), Lives()),
    ("PRIORITY on stream 0", "6.3", priority(0), Ends(PROTOCOL_ERROR)),
    ("PRIORITY of 4 bytes, idle stream", "6.3", frame(PRIORITY, 0, 1, b"abcd"), Lives()),
    ("PRIORITY of 6 bytes, open stream", "6.3", headers(1, HELD) + frame(PRIORITY, 0, 1, b"abcdef"),
     Resets(FRAME_SIZE_ERROR, origin=None)),
    ("PRIORITY_UPDATE", "7.1 of RFC 9218", frame(PRIORITY_UPDATE, 0, 0, u32(1) + b"u=5, i")
     + headers(1), Answers()),
    ("PRIORITY_UPDATE of nonsense", "7.1 of RFC 9218",
     frame(PRIORITY_UPDATE, 0, 0, u32(1) + b"u=99,,=\x00\xff"), Lives()),
    ("PRIORITY_UPDATE on a stream", "7.1 of RFC 9218",
     frame(PRIORITY_UPDATE, 0, 1, u32(1) + b"u=1"), Ends(PROTOCOL_ERROR)),
    ("PRIORITY_UPDATE of stream 0", "7.1 of RFC 9218",
     frame(PRIORITY_UPDATE, 0, 0, u32(0) + b"u=1"), Ends(PROTOCOL_ERROR)),
    ("PRIORITY_UPDATE of 3 bytes", "7.1 of RFC 9218", frame(PRIORITY_UPDATE, 0, 0, b"abc"),
     Ends(FRAME_SIZE_ERROR)),

    # -- 6.4 RST_STREAM
    ("RST_STREAM on stream 0", "6.4", reset(0), Ends(PROTOCOL_ERROR)),
    ("RST_STREAM of an idle stream", "6.4", reset(1), Ends(PROTOCOL_ERROR)),
    ("RST_STREAM of an idle stream of the server", "6.4", reset(2), Ends(PROTOCOL_ERROR)),
    ("RST_STREAM of 3 bytes", "6.4", headers(1, HELD) + frame(RST_STREAM, 0, 1, b"abc"),
     Ends(FRAME_SIZE_ERROR)),
    ("RST_STREAM of 5 bytes", "6.4", headers(1, HELD) + frame(RST_STREAM, 0, 1, b"abcde"),
     Ends(FRAME_SIZE_ERROR)),
    ("RST_STREAM of an open stream", "6.4", headers(1, HELD) + reset(1), Lives(origin=None)),
    ("RST_STREAM with an unknown code", "7", headers(1, HELD) + reset(1, 0xFFFFFFFF),
     Lives(origin=None)),
    ("RST_STREAM twice", "5.1", headers(1, HELD) + reset(1) + reset(1), Lives(origin=None)),
    ("DATA after RST_STREAM", "5.1", headers(1, HELD_POST, end=False) + reset(1) + data(1, b"x"),
     Resets(STREAM_CLOSED, origin=None)),
    ("HEADERS after RST_STREAM", "5.1", headers(1, HELD) + reset(1) + headers(1),
     Ends((STREAM_CLOSED, PROTOCOL_ERROR))),
    ("WINDOW_UPDATE after RST_STREAM", "5.1", headers(1, HELD) + reset(1) + window_update(1, 9),
     Lives(origin=None)),
    ("PRIORITY after RST_STREAM", "5.1", headers(1, HELD) + reset(1) + priority(1),
     Lives(origin=None)),

    # -- 6.5 SETTINGS
    ("SETTINGS of nothing", "6.5", settings(), Lives()),
    ("SETTINGS on a stream", "6.5", frame(SETTINGS, 0, 1, b""), Ends(PROTOCOL_ERROR)),
    ("SETTINGS of 5 bytes", "6.5", frame(SETTINGS, 0, 0, b"abcde"), Ends(FRAME_SIZE_ERROR)),
    ("SETTINGS of 7 bytes", "6.5", frame(SETTINGS, 0, 0, b"abcdefg"), Ends(FRAME_SIZE_ERROR)),
    ("an ACK with a payload", "6.5", frame(SETTINGS, ACK, 0, b"abcdef"), Ends(FRAME_SIZE_ERROR)),
    ("an ACK for nothing", "6.5.3", settings_ack(), Lives()),
    ("an unknown setting", "6.5.2", settings((0xFFFF, 0xFFFFFFFF), (0, 1)), Lives()),
    ("ENABLE_PUSH 0 and 1", "6.5.2", settings((ENABLE_PUSH, 0), (ENABLE_PUSH, 1)), Lives()),
    ("ENABLE_PUSH 2", "6.5.2", settings((ENABLE_PUSH, 2)), Ends(PROTOCOL_ERROR)),
    ("INITIAL_WINDOW_SIZE 2^31", "6.5.2", settings((INITIAL_WINDOW_SIZE, 1 << 31)),
     Ends(FLOW_CONTROL_ERROR)),
    ("INITIAL_WINDOW_SIZE 2^31 - 1", "6.5.2", settings((INITIAL_WINDOW_SIZE, 0x7FFFFFFF)),
     Lives()),
    ("INITIAL_WINDOW_SIZE twice, the last one counts", "6.5.3",
     settings((INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 5000)) + headers(1), Answers()),
    ("INITIAL_WINDOW_SIZE that overflows a stream", "6.9.2",
     headers(1, HELD) + window_update(1, 0x7FFFFFFF - WINDOW)
     + settings((INITIAL_WINDOW_SIZE, WINDOW + 1)), Ends(FLOW_CONTROL_ERROR)),
    ("MAX_FRAME_SIZE 16383", "6.5.2", settings((MAX_FRAME_SIZE, 16383)), Ends(PROTOCOL_ERROR)),
    ("MAX_FRAME_SIZE 16384", "6.5.2", settings((MAX_FRAME_SIZE, 16384)), Lives()),
    ("MAX_FRAME_SIZE 2^24 - 1", "6.5.2", settings((MAX_FRAME_SIZE, 0xFFFFFF)), Lives()),
    ("MAX_FRAME_SIZE 2^24", "6.5.2", settings((MAX_FRAME_SIZE, 1 << 24)), Ends(PROTOCOL_ERROR)),
    ("MAX_CONCURRENT_STREAMS 0", "6.5.2", settings((MAX_CONCURRENT_STREAMS, 0)) + headers(1),
     Answers()),
    ("MAX_HEADER_LIST_SIZE 0, which is advice", "6.5.2",
     settings((MAX_HEADER_LIST_SIZE, 0)) + headers(1), Answers()),
    ("HEADER_TABLE_SIZE 0", "6.5.2", settings((HEADER_TABLE_SIZE, 0)) + headers(1), Answers()),
    ("HEADER_TABLE_SIZE 2^32 - 1", "6.5.2", settings((HEADER_TABLE_SIZE, 0xFFFFFFFF)) + headers(1),
     Answers()),
    ("ENABLE_CONNECT_PROTOCOL 2", "3 of RFC 8441", settings((ENABLE_CONNECT_PROTOCOL, 2)),
     Ends(PROTOCOL_ERROR)),
    ("SETTINGS in a header block", "6.10", frame(HEADERS, END_STREAM, 1, FIRST) + settings(),
     Ends(PROTOCOL_ERROR)),

    # -- 6.6, 6.7, 6.8
    ("PUSH_PROMISE", "8.4", headers(1, HELD)
     + frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + block(GET)), Ends(PROTOCOL_ERROR)),
    ("PUSH_PROMISE on stream 0", "6.6", frame(PUSH_PROMISE, END_HEADERS, 0, u32(2) + block(GET)),
     Ends(PROTOCOL_ERROR)),
    ("PING of 7 bytes", "6.7", frame(PING, 0, 0, b"abcdefg"), Ends(FRAME_SIZE_ERROR)),
    ("PING of 9 bytes", "6.7", frame(PING, 0, 0, b"abcdefghi"), Ends(FRAME_SIZE_ERROR)),
    ("PING of no bytes", "6.7", frame(PING), Ends(FRAME_SIZE_ERROR)),
    ("PING on a stream", "6.7", frame(PING, 0, 1, b"abcdefgh"), Ends(PROTOCOL_ERROR)),
    ("an answer to no PING", "6.7", ping(ack=True), Lives()),
    ("GOAWAY of 7 bytes", "6.8", frame(GOAWAY, 0, 0, b"abcdefg"), Ends(FRAME_SIZE_ERROR)),
    ("GOAWAY on a stream", "6.8", frame(GOAWAY, 0, 1, bytes(8)), Ends(PROTOCOL_ERROR)),
    ("GOAWAY, what is open is answered", "6.8", headers(1) + goaway(0, NO_ERROR, b"bye"),
     Answers()),

    # -- 6.10 CONTINUATION
    ("a block in two frames", "6.10", frame(HEADERS, END_STREAM, 1, FIRST) + continuation(1, REST),
     Answers()),
    ("a block byte by byte, in 8 frames", "6.10",
     frame(HEADERS, END_STREAM, 1, FIRST)
     + b"".join(continuation(1, REST[i:i + 1], end_headers=False) for i in range(7))
     + continuation(1, REST[7:]), Answers()),
    ("empty frames in a block", "6.10", frame(HEADERS, END_STREAM, 1, b"")
     + continuation(1, b"", end_headers=False) + continuation(1, block(GET)), Answers()),
    ("END_STREAM on the HEADERS, DATA after the block", "6.10",
     frame(HEADERS, END_STREAM, 1, block(HELD)) + continuation(1, b"") + data(1, b"x"),
     Resets(STREAM_CLOSED, origin=None)),
    ("CONTINUATION first", "6.10", continuation(1, block(GET)), Ends(PROTOCOL_ERROR)),
    ("CONTINUATION on stream 0", "6.10", frame(HEADERS, END_STREAM, 1, FIRST)
     + continuation(0, REST), Ends(PROTOCOL_ERROR)),
    ("CONTINUATION after END_HEADERS", "6.10", headers(1, HELD) + continuation(1, b""),
     Ends(PROTOCOL_ERROR)),
    ("CONTINUATION on another stream", "6.10", frame(HEADERS, END_STREAM, 1, FIRST)
     + continuation(3, REST), Ends(PROTOCOL_ERROR)),
    ("DATA in a block", "6.10", frame(HEADERS, 0, 1, FIRST) + data(1, b"x"), Ends(PROTOCOL_ERROR)),
    ("HEADERS in a block", "6.10", frame(HEADERS, END_STREAM, 1, FIRST) + headers(3),
     Ends(PROTOCOL_ERROR)),
    ("PING in a block", "6.10", frame(HEADERS, END_STREAM, 1, FIRST) + ping(),
     Ends(PROTOCOL_ERROR)),
    ("PRIORITY in a block", "6.10", frame(HEADERS, END_STREAM, 1, FIRST) + priority(3),
     Ends(PROTOCOL_ERROR)),
    ("WINDOW_UPDATE in a block", "6.10", frame(HEADERS, END_STREAM, 1, FIRST)
     + window_update(0, 1), Ends(PROTOCOL_ERROR)),
    ("RST_STREAM in a block", "6.10", frame(HEADERS, END_STREAM, 1, FIRST) + reset(1),
     Ends(PROTOCOL_ERROR)),
    ("GOAWAY in a block", "6.10", frame(HEADERS, END_STREAM, 1, FIRST) + goaway(),
     Ends(PROTOCOL_ERROR)),
    ("an unknown type in a block", "5.5", frame(HEADERS, END_STREAM, 1, FIRST)
     + frame(0x20, 0, 1, b""), Ends(PROTOCOL_ERROR)),

    # -- 4.3 and RFC 7541: compression
    ("index 0", "6.1 of RFC 7541", headers(1, b"\x80"), Ends(COMPRESSION_ERROR)),
    ("an index beyond the tables", "2.3.3 of RFC 7541", headers(1, block([*GET, b"\xbe"])),
     Ends(COMPRESSION_ERROR)),
    ("a literal cut", "4.3", headers(1, block(GET)[:-1]), Ends(COMPRESSION_ERROR)),
    ("an integer without end", "5.1 of RFC 7541", headers(1, b"\xff" + b"\xff" * 12),
     Ends(COMPRESSION_ERROR)),
    ("Huffman with EOS", "5.2 of RFC 7541", headers(1, block([*GET, b"\x00\x01x\x84" + b"\xff" * 4])),
     Ends(COMPRESSION_ERROR)),
    ("Huffman with a byte of padding", "5.2 of RFC 7541",
     headers(1, block([*GET, b"\x00\x01x\x82\x1f\xff"])), Ends(COMPRESSION_ERROR)),
    ("a size update beyond our limit", "6.3 of RFC 7541",
     headers(1, block([integer(4097, 5, 0x20), *GET])), Ends(COMPRESSION_ERROR)),
    ("a size update after a field", "4.2 of RFC 7541", headers(1, block([*GET, b"\x20"])),
     Ends(COMPRESSION_ERROR)),
    ("size updates at the start", "4.2 of RFC 7541",
     headers(1, block([b"\x20", integer(4096, 5, 0x20), *GET])), Answers()),
    ("an error in trailers is the connection's, too", "4.3",
     headers(1, HELD_POST, end=False) + headers(1, b"\x80"), Ends(COMPRESSION_ERROR)),
    ("an error in the block of a stream that was reset", "4.3",
     headers(1, HELD_POST, end=False) + window_update(1, 0) + headers(1, b"\x80"),
     Ends(COMPRESSION_ERROR)),
    ("the table is kept from request to request", "2.2 of RFC 7541",
     headers(1, block([*GET, literal("x-a", "b", 0x40)])) + headers(3, block([*GET, b"\xbe"])),
     Answers(stream=3)),
    ("... and after a malformed one", "4.3",
     headers(1, block([*GET, literal("X-A", "b", 0x40), literal("x-a", "b", 0x40)]))
     + headers(3, block([*GET, b"\xbe"])), Answers(stream=3)),
    ("... and after one that is too large", "R2",
     headers(1, block([*GET, *[("x", "y")] * 200, literal("x-a", "b", 0x40)]))
     + headers(3, block([*GET, b"\xbe"])), Answers(stream=3)),

    # -- 8.3: pseudo-headers
    ("no :method", "8.3.1", headers(1, without(":method")), malformed("bad_request_line")),
    ("no :scheme", "8.3.1", headers(1, without(":scheme")), malformed("bad_request_line")),
    ("no :path", "8.3.1", headers(1, without(":path")), malformed("bad_request_line")),
    ("no :authority and no host", "8.3.1", headers(1, without(":authority")),
     malformed("bad_host")),
    ("host alone", "8.3.1", headers(1, without(":authority"), extra=[("host", "test")]),
     Answers()),
    ("host like :authority", "8.3.1", headers(1, extra=[("host", "test")]), Answers()),
    ("host unlike :authority", "8.3.1", headers(1, extra=[("host", "other")]),
     malformed("bad_host")),
    ("host twice", "R8", headers(1, extra=[("host", "test"), ("host", "test")]),
     malformed("bad_host")),
    (":authority with user information", "8.3.1", headers(1, having(":authority", "u@test")),
     malformed("bad_host")),
    (":authority of nothing", "8.3.1", headers(1, having(":authority", "")),
     malformed("bad_host")),
    (":authority with a comma", "R8", headers(1, having(":authority", "a,b")),
     malformed("bad_host")),
    (":authority with a blank", "R8", headers(1, having(":authority", "a b")),
     malformed("bad_host")),
    (":path of nothing", "8.3.1", headers(1, having(":path", "")), malformed("bad_target")),
    (":path without '/'", "8.3.1", headers(1, having(":path", "x")), malformed("bad_target")),
    (":path of a whole URI", "8.3.1", headers(1, having(":path", "http://test/")),
     malformed("bad_target")),
    (":path with a blank", "R10", headers(1, having(":path", "/a b")), malformed("bad_target")),
    (":path with '#'", "R10", headers(1, having(":path", "/a#b")), malformed("bad_target")),
    (":path with a byte above ASCII", "R10", headers(1, having(":path", "/\xe4")),
     malformed("bad_target")),
    (":path with CRLF", "8.2.1", headers(1, having(":path", "/ HTTP/1.1\r\nx: y")),
     malformed("bad_header")),
    (":path with %00", "R10", headers(1, having(":path", "/%00")),
     Answers(400, reason="bad_target")),
    ("'*' for OPTIONS", "8.3.1", headers(1, having(":method", "OPTIONS", having(":path", "*"))),
     Answers(body="OPTIONS * 0")),
    ("'*' for GET", "8.3.1", headers(1, having(":path", "*")), malformed("bad_target")),
    (":scheme of another kind", "8.3.1", headers(1, having(":scheme", "ftp")),
     malformed("bad_target")),
    (":method of nothing", "8.3.1", headers(1, having(":method", "")), malformed("bad_method")),
    (":method that is no token", "8.3.1", headers(1, having(":method", "GE T")),
     malformed("bad_method")),
    (":method with a CRLF", "8.2.1", headers(1, having(":method", "GET / HTTP/1.1\r\na: b")),
     malformed("bad_header")),
    (":method of its own", "8.3.1", headers(1, having(":method", "PURGE")),
     Answers(body="PURGE / 0")),
    (":method TRACE", "R7", headers(1, having(":method", "TRACE")), Answers(501)),
    (":method twice", "8.3", headers(1, (("%s" % ":method", "GET"), *GET)), malformed("bad_header")),
    (":path twice", "8.3", headers(1, (*GET, (":path", "/"))), malformed("bad_header")),
    (":authority twice", "8.3", headers(1, (*GET, (":authority", "test"))),
     malformed("bad_header")),
    (":status in a request", "8.3.1", headers(1, (*GET, (":status", "200"))),
     malformed("bad_request_line")),
    ("a pseudo-header nobody knows", "8.3", headers(1, (*GET, (":x", "y"))),
     malformed("bad_header")),
    ("a pseudo-header after a field", "8.3", headers(1, (*GET[:3], ("a", "b"), GET[3])),
     malformed("bad_header")),
    ("CONNECT", "8.5", headers(1, ((":method", "CONNECT"), (":authority", "test:80")), end=False),
     Answers(501, reset=(NO_ERROR, CANCEL))),
    ("CONNECT with a path and no :protocol", "8.5",
     headers(1, having(":method", "CONNECT"), end=False), Answers(501, reset=(NO_ERROR, CANCEL))),
    ("CONNECT of a protocol that is not known", "4 of RFC 8441",
     headers(1, (*having(":method", "CONNECT"), (":protocol", "gopher")), end=False),
     Answers(501, reset=(NO_ERROR, CANCEL))),
    ("extended CONNECT that ends at once", "4 of RFC 8441",
     headers(1, (*having(":method", "CONNECT"), (":protocol", "websocket"))),
     malformed("bad_upgrade")),
    ("extended CONNECT without a path", "4 of RFC 8441",
     headers(1, (*without(":path", having(":method", "CONNECT")), (":protocol", "websocket")),
             end=False), malformed("bad_request_line")),
    (":protocol with GET", "4 of RFC 8441", headers(1, (*GET, (":protocol", "websocket"))),
     malformed("bad_request_line")),

    # -- 8.2: fields
    ("a name in upper case", "8.2.1", headers(1, extra=[("X-A", "b")]), malformed("bad_header")),
    ("a name with a blank", "8.2.1", headers(1, extra=[("a b", "c")]), malformed("bad_header")),
    ("a name with a colon", "8.2.1", headers(1, extra=[("a:b", "c")]), malformed("bad_header")),
    ("a name of nothing", "8.2.1", headers(1, extra=[("", "c")]), malformed("bad_header")),
    ("a name with CRLF", "8.2.1", headers(1, extra=[("a\r\nb", "c")]), malformed("bad_header")),
    ("a name above ASCII", "8.2.1", headers(1, extra=[("\xe4", "c")]), malformed("bad_header")),
    ("a name with '_'", "R9", headers(1, extra=[("x_forwarded_for", "c")]),
     malformed("bad_header")),
    ("a value with CR", "8.2.1", headers(1, extra=[("a", "b\rc")]), malformed("bad_header")),
    ("a value with LF", "8.2.1", headers(1, extra=[("a", "b\nc: d")]), malformed("bad_header")),
    ("a value with NUL", "8.2.1", headers(1, extra=[("a", "b\0c")]), malformed("bad_header")),
    ("a value that begins with a blank", "8.2.1", headers(1, extra=[("a", " b")]),
     malformed("bad_header")),
    ("a value that ends with HTAB", "8.2.1", headers(1, extra=[("a", "b\t")]),
     malformed("bad_header")),
    ("a value of nothing", "8.2.1", headers(1, extra=[("a", "")]), Answers()),
    ("Connection", "8.2.2", headers(1, extra=[("connection", "close")]),
     malformed("bad_connection_header")),
    ("Keep-Alive", "8.2.2", headers(1, extra=[("keep-alive", "timeout=5")]),
     malformed("bad_connection_header")),
    ("Proxy-Connection", "8.2.2", headers(1, extra=[("proxy-connection", "x")]),
     malformed("bad_connection_header")),
    ("Transfer-Encoding", "8.2.2", headers(1, posts(("transfer-encoding", "chunked")), end=False),
     malformed("bad_connection_header")),
    ("Upgrade", "8.2.2", headers(1, extra=[("upgrade", "h2c")]),
     malformed("bad_connection_header")),
    ("TE: trailers", "8.2.2", headers(1, extra=[("te", "trailers")]), Answers()),
    ("TE: gzip", "8.2.2", headers(1, extra=[("te", "gzip")]), malformed("bad_connection_header")),
    ("TE: trailers, deflate", "8.2.2", headers(1, extra=[("te", "trailers, deflate")]),
     malformed("bad_connection_header")),
    ("Expect: 100-continue", "10.1.1 of RFC 9110",
     headers(1, posts(("expect", "100-continue")), end=False) + data(1, b"ab", end=True),
     Answers(body="POST / 2")),
    ("Expect of something else", "10.1.1 of RFC 9110", headers(1, extra=[("expect", "x")]),
     Answers(417)),
    ("101 fields", "R2", headers(1, extra=[("x", "y")] * 97), Answers(431)),
    ("100 fields", "R2", headers(1, extra=[("x", "y")] * 96), Answers()),
    ("a head of more than 64 KB", "R2",
     headers(1, block([*GET, *[literal("x", "y" * 3900, 0x40)], *[b"\xbe"] * 17])), Answers(431)),

    # -- 8.1.1: lengths (R5)
    ("Content-Length and as many bytes", "8.1.1",
     headers(1, posts(("content-length", "5")), end=False) + data(1, b"12345", end=True),
     Answers(body="POST / 5")),
    ("fewer bytes than Content-Length", "8.1.1",
     headers(1, posts(("content-length", "5")), end=False) + data(1, b"1234", end=True),
     Resets(PROTOCOL_ERROR)),
    ("more bytes than Content-Length", "8.1.1",
     headers(1, posts(("content-length", "5")), end=False) + data(1, b"123456", end=True),
     Resets(PROTOCOL_ERROR)),
    ("more bytes than Content-Length, two frames", "8.1.1",
     headers(1, (*HELD_POST, ("content-length", "5")), end=False) + data(1, b"12345")
     + data(1, b"6", end=True), Resets(PROTOCOL_ERROR, origin=None)),
    ("Content-Length and END_STREAM on HEADERS", "8.1.1",
     headers(1, posts(("content-length", "5"))), malformed("bad_content_length")),
    ("Content-Length: 0 and END_STREAM on HEADERS", "8.1.1",
     headers(1, posts(("content-length", "0"))), Answers(body="POST / 0")),
    ("Content-Length: 0 and END_STREAM on DATA", "8.1.1",
     headers(1, posts(("content-length", "0")), end=False) + data(1, end=True),
     Answers(body="POST / 0")),
    ("Content-Length: 0 and a byte", "8.1.1",
     headers(1, (*HELD_POST, ("content-length", "0")), end=False) + data(1, b"x", end=True),
     Resets(PROTOCOL_ERROR, origin=None)),
    ("Content-Length and trailers too early", "8.1.1",
     headers(1, posts(("content-length", "5")), end=False) + data(1, b"1234")
     + headers(1, (("a", "b"),)), Resets(PROTOCOL_ERROR)),
    ("Content-Length and trailers in time", "8.1.1",
     headers(1, posts(("content-length", "5")), end=False) + data(1, b"12345")
     + headers(1, (("a", "b"),)), Answers(body="POST / 5")),
    ("Content-Length twice", "R5",
     headers(1, posts(("content-length", "1"), ("content-length", "1")), end=False),
     malformed("bad_content_length")),
    ("Content-Length: +5", "R5", headers(1, posts(("content-length", "+5")), end=False),
     malformed("bad_content_length")),
    ("Content-Length: 5, 5", "R5", headers(1, posts(("content-length", "5, 5")), end=False),
     malformed("bad_content_length")),
    ("Content-Length of nothing", "R5", headers(1, posts(("content-length", "")), end=False),
     malformed("bad_content_length")),
    ("Content-Length: 2^64", "R5",
     headers(1, posts(("content-length", "18446744073709551616")), end=False),
     malformed("bad_content_length")),

    # -- 8.1: trailers
    ("trailers", "8.1", headers(1, POST, end=False) + data(1, b"ab") + headers(1, (("a", "b"),)),
     Answers(body="POST / 2")),
    ("trailers and no DATA", "8.1", headers(1, POST, end=False) + headers(1, (("a", "b"),)),
     Answers(body="POST / 0")),
    ("trailers of nothing", "8.1", headers(1, POST, end=False) + headers(1, b""),
     Answers(body="POST / 0")),
    ("trailers without END_STREAM", "8.1",
     headers(1, POST, end=False) + headers(1, (("a", "b"),), end=False), Resets(PROTOCOL_ERROR)),
    ("trailers with a pseudo-header", "8.1",
     headers(1, POST, end=False) + headers(1, ((":path", "/"),)), Resets(PROTOCOL_ERROR)),
    ("trailers with a name in upper case", "8.2.1",
     headers(1, POST, end=False) + headers(1, (("A", "b"),)), Resets(PROTOCOL_ERROR)),
    ("trailers with LF", "8.2.1", headers(1, POST, end=False) + headers(1, (("a", "b\nc"),)),
     Resets(PROTOCOL_ERROR)),
    ("trailers with Connection", "8.2.2",
     headers(1, POST, end=False) + headers(1, (("connection", "close"),)), Resets(PROTOCOL_ERROR)),
    ("trailers after the end", "5.1", headers(1, HELD) + headers(1, (("a", "b"),)),
     Resets(STREAM_CLOSED, origin=None)),
    ("DATA after trailers", "5.1", headers(1, HELD_POST, end=False) + headers(1, (("a", "b"),))
     + data(1, b"x"), Resets(STREAM_CLOSED, origin=None)),
]


class Table(LabCase):
    """One lbd and one origin for the whole table."""

    tls = None

    def setUp(self):
        super().setUp()
        self.lock = threading.Lock()
        self.begun = []  # targets of heads the origin read
        self.complete = []  # ... of whole requests
        self.release = threading.Event()
        self.server = self.origin(self.serve)
        self.proxy = self.start()
        self.address = self.proxy.address()

    def start(self):
        ours = {
            "listener": "web", "match": {"host": ["ours.test"]}, "action": {"respond": {"status": 200}}
        }
        return self.lbd(config_for(self.server, routes={"ours": ours}))

    def serve(self, peer):
        while True:
            request = peer.rx_head()
            with self.lock:
                self.begun.append(request.target)
            if request.target == "/stall":
                peer.stall()
            peer.rx_body(request)
            with self.lock:
                self.complete.append(request.target)
            if request.target == "/hold":
                self.release.wait(PATIENCE_S)
            peer.tx(200, f"{request.method} {request.target} {len(request.body)}")

    # -- the reactions

    def check_lives(self, client):
        client.settle()
        client.send(headers(SENTINEL, having(":path", "/sentinel")))
        answer = client.answer(SENTINEL)
        self.assertEqual((answer.status, answer.body), (200, b"GET /sentinel 0"), answer)

    def of_stream(self, client, stream, until):
        """What came on a stream until it is over in the way that is wanted."""
        answer = Answer()
        for got in client.seen:
            if got.stream == stream:
                answer.note(got)
        while not until(answer):
            got = client.read()
            if got.stream == stream:
                answer.note(got)
        return answer

    def check_code(self, got, want, what):
        self.assertIn(got, want if isinstance(want, tuple) else (want,), what)

    def check_Ends(self, client, want):
        client.read_to_end()
        goaways = [f for f in client.seen if f.kind == GOAWAY]
        self.assertEqual(len(goaways), 1, client.seen)
        self.check_code(goaways[0].code, want.code, goaways[0])
        self.assertIs(client.seen[-1], goaways[0], "frames after GOAWAY")

    def check_Resets(self, client, want):
        answer = self.of_stream(client, want.stream, lambda a: a.reset is not None or a.ended)
        self.check_code(answer.reset, want.code, client.seen)
        self.assertEqual(answer.status, 0, "an answer, too")
        self.check_lives(client)

    def check_Answers(self, client, want):
        answer = self.of_stream(client, want.stream, lambda a: a.ended or a.reset is not None)
        self.assertEqual(answer.status, want.status, client.seen)
        self.assertTrue(answer.ended, answer)
        if want.body is not None:
            self.assertEqual(answer.body.decode(), want.body)
        if want.reason is not None:
            self.assertEqual(answer.get("lbd-reason"), want.reason)
        if want.reset is not None:
            answer = self.of_stream(client, want.stream, lambda a: a.reset is not None)
            self.check_code(answer.reset, want.reset, client.seen)
        else:
            self.assertIsNone(answer.reset, client.seen)
        self.check_lives(client)

    def check_Lives(self, client, want):
        self.check_lives(client)
        wrong = [f for f in client.seen if f.kind in (GOAWAY, RST_STREAM)]
        self.assertEqual(wrong, [])

    def wanted_at_origin(self, want):
        if isinstance(want, Answers):
            return None if want.status == 200 else 0
        return getattr(want, "origin", None)

    def run_case(self, sent, want):
        self.release.clear()
        with self.lock:
            self.begun.clear()
            self.complete.clear()
        try:
            with H2Client(self.address, tls=self.tls, timeout=PATIENCE_S) as client:
                client.send(sent)
                getattr(self, f"check_{type(want).__name__}")(client, want)
        finally:
            self.release.set()
        with self.lock:
            complete = [t for t in self.complete if t not in ("/sentinel", "/hold")]
        count = self.wanted_at_origin(want)
        if count is not None:
            self.assertEqual(len(complete), count, f"the origin saw {complete}")

    def run_table(self):
        for name, rfc, sent, want in CASES:
            with self.subTest(name, rfc=rfc):
                try:
                    self.run_case(sent, want)
                except (H2Closed, TimeoutError) as error:
                    self.fail(f"{type(error).__name__}: {error}")
        self.assertTrue(self.proxy.is_running())


class Tls(Table):
    """The same over TLS, where HTTP/2 is agreed upon by ALPN."""

    def start(self):
        folder = tempfile.mkdtemp(prefix="lab-h2-")
        self.addCleanup(shutil.rmtree, folder, True)
        authority = Authority(folder)
        pair = authority.issue("test", cn="test", names=["DNS:localhost"])
        self.tls = client_context(authority, protocols=["h2"])
        return self.lbd(
            config_for(
                self.server,
                listener={"tls": {"certificates": ["test"]}},
                certificates={"test": {"chain_file": str(pair.chain), "key_file": str(pair.key)}},
            )
        )

    def test_table(self):
        self.run_table()

    def test_bytes_that_are_no_preface(self):
        """RFC 9113 3.4. In clear they would be HTTP/1."""
        for sent in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                     b"\0" * 24, headers(1)):
            with self.subTest(sent=sent):
                client = H2Client(self.address, tls=self.tls, greet=False, timeout=PATIENCE_S)
                self.addCleanup(client.close)
                client.send(sent)
                self.check_Ends(client, Ends(PROTOCOL_ERROR))


class Clear(Table):
    """In clear, where HTTP/2 is known by its preface."""

    def test_table(self):
        self.assertGreaterEqual(len(CASES), 120)
        self.assertEqual(len({c[0] for c in CASES}), len(CASES), "names say which case it is")
        self.run_table()

    def test_table_byte_by_byte(self):
        """Cut after every byte, each case comes to the same. The large ones are not tried."""
        for name, rfc, sent, want in CASES:
            if len(sent) > 400:
                continue
            with self.subTest(name, rfc=rfc):
                self.release.clear()
                try:
                    with H2Client(self.address, timeout=PATIENCE_S) as client:
                        for i in range(len(sent)):
                            if not client.send(sent[i : i + 1]):
                                break
                        getattr(self, f"check_{type(want).__name__}")(client, want)
                except (H2Closed, TimeoutError) as error:
                    self.fail(f"{type(error).__name__}: {error}")
                finally:
                    self.release.set()
        self.assertTrue(self.proxy.is_running())

    # -- the greeting (3.4)

    def greeted(self, sent):
        client = H2Client(self.address, greet=False, timeout=PATIENCE_S)
        self.addCleanup(client.close)
        client.send(sent)
        return client

    def test_the_first_frame_is_settings(self):
        for first in (ping(), headers(1), settings_ack(), window_update(0, 1), priority(1),
                      frame(0x20, 0, 0, b""), goaway()):
            with self.subTest(first=first[:9]):
                client = self.greeted(PREFACE + first)
                self.check_Ends(client, Ends(PROTOCOL_ERROR))

    def test_settings_come_with_the_preface_in_any_pieces(self):
        sent = PREFACE + settings() + headers(1)
        for cut in range(1, len(sent)):
            client = self.greeted(sent[:cut])
            client.send(sent[cut:])
            self.assertEqual(client.answer(1).status, 200, cut)
            client.close()

    def test_our_settings_come_first(self):
        client = self.greeted(PREFACE + settings() + headers(1))
        client.answer(1)
        self.assertEqual(client.seen[0].kind, SETTINGS)
        self.assertFalse(client.seen[0].flags & ACK)

    def test_each_settings_is_acknowledged_once_and_in_order(self):
        with H2Client(self.address) as client:
            for i in range(5):
                client.send(settings((INITIAL_WINDOW_SIZE, 1000 * i)), ping(b"%08d" % i))
            frames = client.settle()
            acks = [(f.kind, bytes(f.payload)) for f in frames if f.flags & ACK]
            want = []
            for i in range(5):
                want += [(SETTINGS, b""), (PING, b"%08d" % i)]
            self.assertEqual(acks[:-1], want)

    def test_a_ping_comes_back_as_it_was(self):
        with H2Client(self.address) as client:
            client.settle(bytes(range(8)))

    # -- windows (6.9)

    def received(self, client):
        return sum(len(f.payload) for f in client.seen if f.kind == DATA)

    def wait_received(self, client, count):
        """Waits for so many bytes; no more come."""
        while self.received(client) < count:
            client.read()
        client.settle()
        self.assertEqual(self.received(client), count)

    def test_a_body_waits_for_windows(self):
        self.server.script = lambda peer: (peer.rx(), peer.tx(200, b"z" * 100000))
        with H2Client(self.address, options=[(INITIAL_WINDOW_SIZE, 10)]) as client:
            client.send(headers(1))
            self.wait_received(client, 10)
            client.send(window_update(1, 5))
            self.wait_received(client, 15)
            # the windows of streams that are open change with the setting, below 0 too (6.9.2)
            client.send(settings((INITIAL_WINDOW_SIZE, 0)), window_update(1, 10))
            self.wait_received(client, 15)
            client.send(settings((INITIAL_WINDOW_SIZE, 200000)))
            self.wait_received(client, WINDOW)  # the connection's window
            client.send(window_update(0, 100000))
            answer = self.of_stream(client, 1, lambda a: a.ended)
            self.assertEqual(len(answer.body), 100000)

    def test_a_window_that_shuts_while_its_stream_waits(self):
        """6.9.2: the connection's window is used up, the stream's still open, then below 0."""
        self.server.script = lambda peer: (peer.rx(), peer.tx(200, b"z" * 100000))
        with H2Client(self.address, options=[(INITIAL_WINDOW_SIZE, 200000)]) as client:
            client.send(headers(1))
            self.wait_received(client, WINDOW)
            client.send(settings((INITIAL_WINDOW_SIZE, 0)), window_update(0, 100000))
            self.wait_received(client, WINDOW)
            client.send(settings((INITIAL_WINDOW_SIZE, WINDOW + 10)))
            self.wait_received(client, WINDOW + 10)
            client.send(window_update(1, 100000))
            answer = self.of_stream(client, 1, lambda a: a.ended)
            self.assertEqual(len(answer.body), 100000)

    def test_more_than_the_window_of_a_stream(self):
        """6.9.1: while nobody reads it, a stream takes what its window says and not a byte more."""
        for padded in (False, True):
            with self.subTest(padded=padded), H2Client(self.address) as client:
                client.send(headers(1, having(":path", "/stall", POST), end=False))
                sent = 0
                while not any(f.kind == RST_STREAM for f in client.seen):
                    updates = (f for f in client.seen if f.kind == WINDOW_UPDATE and f.stream == 1)
                    window = WINDOW + sum(f.increment for f in updates) - sent
                    if window <= 16384 and client.waits_for_frame(0.1):
                        client.read()
                        continue
                    size = min(window if window > 16384 else window + 1, 16384)
                    if padded and size > 256:
                        part = frame(DATA, PADDED, 1, with_padding(bytes(size - 256), 255))
                    else:
                        part = data(1, bytes(size))
                    client.send(part)
                    sent += size
                    self.assertLess(sent, 1 << 28, "it takes everything")
                    if window < 16384:
                        client.settle()
                got = next(f for f in client.seen if f.kind == RST_STREAM)
                self.check_code(got.code, FLOW_CONTROL_ERROR, got)
                self.check_lives(client)

    def test_more_streams_than_we_allow(self):
        """5.1.2; R1: a stream counts until it is over on the other side, too."""
        with H2Client(self.address) as client:
            most = client.server_settings[MAX_CONCURRENT_STREAMS]
            self.assertEqual(most, 100)
            client.send(*[headers(client.new_stream(), HELD) for _ in range(most + 2)])
            for stream in (1 + 2 * most, 3 + 2 * most):
                answer = self.of_stream(client, stream, lambda a: a.reset is not None)
                self.assertEqual((answer.status, answer.reset), (0, REFUSED_STREAM))
            self.release.set()
            for stream in range(1, 2 * most, 2):
                self.assertEqual(self.of_stream(client, stream, lambda a: a.ended).status, 200)
            self.check_lives(client)

    def test_credit_comes_back_for_what_was_read(self):
        with H2Client(self.address) as client:
            client.send(headers(1, POST, end=False))
            window = WINDOW
            sent = 0
            while sent < 1000000:
                size = min(16384, window, 1000000 - sent)
                if size == 0:
                    got = client.read_until(lambda f: f.kind == WINDOW_UPDATE and f.stream == 1)
                    window += got[-1].increment
                    continue
                client.send(data(1, bytes(size)))
                window -= size
                sent += size
            client.send(data(1, end=True))
            self.assertEqual(client.answer(1).body, b"POST / 1000000")

    def test_uploads_that_were_under_way_cost_nothing(self):
        """lbd answers 20 uploads by itself and resets them; what the client sent before it could
        know, trailers too, is no fault of its."""
        with H2Client(self.address) as client:
            ours = (*POST[:2], (":authority", "ours.test"), (":path", "/"))
            streams = [client.new_stream() for _ in range(20)]
            for stream in streams:
                client.send(headers(stream, ours, end=False), data(stream, bytes(1000)) * 60)
            client.settle()
            client.send(*[headers(stream, (("a", "b"),)) for stream in streams])
            for stream in streams:
                answer = self.of_stream(client, stream, lambda a: a.reset is not None)
                self.assertEqual((answer.status, answer.reset), (200, NO_ERROR))
            self.check_lives(client)

    def test_data_of_a_reset_stream_gives_its_credit_back(self):
        """What is dropped counts for the connection's window (6.9): it must not run dry."""
        with H2Client(self.address) as client:
            for i in range(60):
                stream = client.new_stream()
                client.send(headers(stream, HELD_POST, end=False), reset(stream))
                client.send(data(stream, bytes(16384)), data(stream, bytes(16384)))
            self.check_lives(client)

    # -- what the origin sees

    def test_crumbs_are_one_cookie(self):
        with H2Client(self.address) as client:
            crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")]
            self.assertEqual(client.request(extra=crumbs).status, 200)
        self.assertEqual(self.server.requests[-1].all("cookie"), ["a=1; b=2; c=3"])

    def test_a_post_without_a_body_says_so(self):
        """HTTP/1 servers want a length where a body has a meaning (RFC 9110 8.6)."""
        with H2Client(self.address) as client:
            for fields, want in ((POST, ["0"]), (GET, []), (having(":method", "PUT"), ["0"])):
                self.assertEqual(client.request(fields).status, 200)
                self.assertEqual(self.server.requests[-1].all("content-length"), want)

    def test_the_authority_is_the_host(self):
        with H2Client(self.address) as client:
            fields = having(":authority", "example.com:8080")
            self.assertEqual(client.request(fields).status, 200)
        self.assertEqual(self.server.requests[-1].all("host"), ["example.com:8080"])


if __name__ == "__main__":
    unittest.main()
