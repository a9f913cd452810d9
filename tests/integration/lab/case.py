"""The base of every integration test: starts things, stops them, and shows the log on failure."""

import faulthandler
import sys
import unittest

from .client import Client
from .lbd import Lbd
from .origin import Origin
from .waits import wait_for

# A test that hangs in spite of all timeouts says where and ends.
HANG_LIMIT_S = 600


class LabCase(unittest.TestCase):
    maxDiff = 4000
    hang_limit_s = HANG_LIMIT_S

    def setUp(self):
        faulthandler.dump_traceback_later(self.hang_limit_s, exit=True)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)

    def run(self, result=None):
        self._result = result
        return super().run(result)

    def failed_so_far(self):
        """For cleanups. (The outcome unittest keeps says nothing inside of one: it looks at the cleanup alone there.)"""
        result = self._result
        return result is not None and any(
            getattr(test, "test_case", test) is self for test, _ in [*result.failures, *result.errors])

    def lbd(self, config, **more):
        """Starts an lbd that ends with the test."""
        lbd = Lbd(config, **more)
        self.addCleanup(self._end_lbd, lbd)
        return lbd

    def _end_lbd(self, lbd):
        if self.failed_so_far():
            print(f"\n=== {self.id()}\n{lbd.everything()}", file=sys.stderr)
        lbd.cleanup()

    def origin(self, script=None, **more):
        """Starts an origin that ends with the test; its script's errors fail the test."""
        origin = Origin(script, **more)
        self.addCleanup(self._end_origin, origin)
        return origin

    def _end_origin(self, origin):
        origin.stop()
        self.assertEqual(origin.errors, [], "the origin's script found something wrong")

    def connect(self, target, **more):
        """A raw client to an lbd (its listener `web`) or to an address."""
        listener = more.pop("listener", "web")
        address = target.address(listener) if isinstance(target, Lbd) else target
        client = Client(address, **more)
        self.addCleanup(client.close)
        return client

    def wait_for(self, condition, what, timeout=None):
        return wait_for(condition, what, timeout)

    def assert_reason(self, response, status, reason):
        """An answer lbd made itself: status, Lbd-Reason and the small text body."""
        self.assertEqual(response.status, status, response)
        self.assertEqual(response.get("Lbd-Reason"), reason, response)
        self.assertEqual(response.get("Content-Type", "").partition(";")[0], "text/plain")
        self.assertRegex(response.text, rf"\Albd: {reason}: .+\n\Z")
