"""Bounded waiting: a condition, a limit, and a sentence for the day it does not come true."""

import os
import time

TIMEOUT = float(os.environ.get("LBD_TEST_TIMEOUT", "30"))


def wait_for(condition, what, timeout=None):
    """Polls `condition` until it is true and returns its value; AssertionError after `timeout` s."""
    limit = time.monotonic() + (TIMEOUT if timeout is None else timeout)
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise AssertionError(f"did not happen in time: {what} (last: {value!r})")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
