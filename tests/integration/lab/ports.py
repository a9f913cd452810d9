"""Ports that are ours although nobody listens there yet, or any more.

A port that was free a moment ago may be somebody else's when it is needed, and one that nobody listens on may even be
connected to: by a socket that the kernel gave the same number (a connection to itself). A socket that is bound and does
not listen prevents both: connections are refused, the kernel gives the number to nobody, and whoever names it and says
SO_REUSEADDR (lbd and all servers of the lab) can listen there nevertheless.
"""

import socket

TRIES = 100

_kept = []  # to the end of the process


def hold(port=0, host="127.0.0.1"):
    """A socket that keeps a port; port 0: one that is free."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((host, port))
    except OSError:
        holder.close()
        raise
    return holder


def free_port(*hosts):
    """A port that nobody listens on at any of these addresses (127.0.0.1), and that nobody else gets."""
    first, *others = hosts or ("127.0.0.1",)
    for _ in range(TRIES):
        holders = [hold(0, first)]
        port = holders[0].getsockname()[1]
        try:
            holders += [hold(port, host) for host in others]
        except OSError:  # somebody has it there
            holders[0].close()
            continue
        _kept.extend(holders)
        return port
    raise AssertionError(f"no port is free at {hosts}")


def free_ports(count, host="127.0.0.1"):
    return [free_port(host) for _ in range(count)]
