"""A client of GET /v1/watch: Server-Sent Events, read one at a time."""

import json

from .client import Client


class Watch:
    """`status` tells whether it watches; then next() gives events as dicts."""

    def __init__(self, address, query="", last_event_id=None, timeout=None):
        self.client = Client(address, timeout=timeout)
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        self.client.send_request("GET", "/v1/watch" + (f"?{query}" if query else ""), headers,
                                 host="lbd")
        self.head = self.client.read_head()
        self.status = self.head.status
        self.text = b""
        self.ended = False

    def close(self):
        self.client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fill(self):
        """One more chunk; False at the end of the stream."""
        if self.ended:
            return False
        reader = self.client.reader
        size = int(reader.line(), 16)
        self.text += reader.exact(size)
        reader.line()
        self.ended = size == 0
        return not self.ended

    def block(self):
        """The next block of lines, of whatever kind, as (field, value) pairs; None at the end."""
        while b"\n\n" not in self.text:
            if not self.fill():
                return None
        block, _, self.text = self.text.partition(b"\n\n")
        pairs = []
        for line in block.decode().split("\n"):
            field, _, value = line.partition(":")
            pairs.append((field, value.removeprefix(" ")))
        return pairs

    def next(self):
        """The next event: {"id", "event", "data"}; comments are passed over. None at the end."""
        while True:
            block = self.block()
            if block is None:
                return None
            fields = dict(block)
            if "data" in fields:
                return {"id": int(fields["id"]) if "id" in fields else None,
                        "event": fields["event"], "data": json.loads(fields["data"])}

    def take(self, count):
        return [self.next() for _ in range(count)]

    def comment(self):
        """The next comment."""
        while True:
            block = self.block()
            if block is None:
                return None
            for field, value in block:
                if field == "":
                    return value
