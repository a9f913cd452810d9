"""The laboratory: lbd, scripted origins and raw clients for the integration tests.

    Client  --raw bytes-->  Lbd (the real binary)  --bytes-->  Origin (scripted server)

The standard library of Python 3.11, jsonschema to hold answers against the OpenAPI document, and hpack
to read header blocks of HTTP/2 (lab.h2). Ports are never fixed, every wait ends, and a test
that fails shows the log of its lbd.

Environment: LBD_BIN and LBCTL_BIN name the binaries (default build/asan/bin/...),
LBD_TEST_TIMEOUT the seconds any single wait may take (default 30): patience for
a machine that is busy with others, no measure of lbd.
"""

from .case import LabCase
from .client import Client
from .config import config_for
from .lbd import LBCTL_BIN, LBD_BIN, Lbd, run_lbctl, run_lbd
from .origin import Origin, respond
from .waits import TIMEOUT, wait_for
from .watch import Watch
from .wire import Closed, WireError

__all__ = [
    "LBCTL_BIN",
    "LBD_BIN",
    "Client",
    "Closed",
    "LabCase",
    "Lbd",
    "Origin",
    "TIMEOUT",
    "Watch",
    "WireError",
    "config_for",
    "respond",
    "run_lbctl",
    "run_lbd",
    "wait_for",
]
