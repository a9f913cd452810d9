"""Steady traffic on keep-alive connections, with every answer checked."""

import threading

from . import wire
from .client import Client
from .waits import TIMEOUT


class Load:
    """`clients` connections in as many threads, each asking for `target` over and over.

    A failure is anything but a whole 200 on the connection that asked: another status, a cut, a
    connection closed without `Connection: close` having been said. A connection that was told to
    close is replaced; `reconnects` counts those.
    """

    def __init__(self, address, clients=8, target="/", body=None, statuses=(200,)):
        self.address = address
        self.target = target
        self.body = body
        self.statuses = statuses
        self.stop_now = threading.Event()
        self.failures = []
        self.done = [0] * clients
        self.reconnects = 0
        self.threads = [
            threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(clients)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stop_now.set()
        for thread in self.threads:
            thread.join(TIMEOUT * 3)

    @property
    def total(self):
        return sum(self.done)

    def _run(self, number):
        client = Client(self.address, timeout=TIMEOUT * 2)
        try:
            while not self.stop_now.is_set():
                method = "POST" if self.body is not None else "GET"
                response = client.request(method, self.target, body=self.body)
                del client.reader.log[:]
                if response.status not in self.statuses:
                    self.failures.append(f"{response.status} {response.get('Lbd-Reason')}")
                self.done[number] += 1
                if (response.get("Connection") or "").lower() == "close":
                    client.close()
                    self.reconnects += 1
                    client = Client(self.address, timeout=TIMEOUT * 2)
        except (wire.Closed, wire.WireError, OSError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        finally:
            client.close()
