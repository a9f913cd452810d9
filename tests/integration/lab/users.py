"""Being somebody else for the length of a connect: what SO_PEERCRED and SO_PEERGROUPS tell."""

import contextlib
import os


@contextlib.contextmanager
def acting_as(uid, gid, groups=()):
    """For tests that run as root. The whole process is that user inside the block."""
    before = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)
