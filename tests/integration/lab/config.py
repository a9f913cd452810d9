"""Configuration documents for tests, as dicts."""


def servers_of(origins):
    """{"a": {...}, "b": {...}} for a list of origins, addresses or server dicts."""
    servers = {}
    for index, origin in enumerate(origins):
        if isinstance(origin, dict):
            server = dict(origin)
        elif isinstance(origin, str):
            server = {"address": origin}
        else:
            server = {"address": origin.address}
        servers["abcdefghijklmnopqrstuvwxyz"[index]] = server
    return servers


def config_for(*origins, pool=None, listener=None, **sections):
    """One http listener `web` on a free port in front of one pool `main` of the given origins."""
    document = {
        "listeners": {
            "web": {"bind": ["127.0.0.1:0"], "protocol": "http", "default_pool": "main"}
        },
        "pools": {"main": {"servers": servers_of(origins)}},
    }
    document["listeners"]["web"].update(listener or {})
    document["pools"]["main"].update(pool or {})
    for name, value in sections.items():
        document.setdefault(name, {}).update(value)
    return document
