"""Each setting is changed while requests come, and set back: none of them fails, and what is known of servers stays."""

import copy
import unittest

from lab import LabCase, config_for
from lab.load import Load

# settings whose example is meant to end or refuse requests here, or needs what this test has not
OTHERWISE = {
    "Listener": {
        "bind": "requests come by it", "protocol": "another protocol", "tls": "the load is in clear",
        "proxy_protocol_from": "the load sends none", "default_pool": "the load's route", "mail": "of mail",
        "policies": "names of others", "meta": "no setting",
    },
    "Route": {"listener": "where it is", "match": "whom it takes", "action": "what it does", "policies": "names of others",
              "meta": "no setting", "rewrite": "another path is asked for"},
    "Pool": {
        "tls": "the servers are in clear", "http_version": "they speak HTTP/1.1", "send_proxy": "they take none",
        "source_address": "of another machine", "mail": "of mail", "servers": "see Server", "meta": "no setting",
        "fallback_pool": "goes with when_all_down", "health_check": "its name", "agent": "there is none",
        "members": "of file mode",
    },
    "Server": {"address": "where it is", "admin_state": "a state of its own", "meta": "no setting"},
    "HealthCheck": {"type": "see fields of each", "address": "somebody else", "port": "nobody listens there", "meta": "no setting",
                    "expect": "what the servers do not say", "send": "of tcp", "receive": "of tcp", "service": "of grpc",
                    "user": "of mail", "password_file": "of mail", "method": "with body", "host": "as it is"},
}
# what a setting does not go without
WITH = {"hash": {"algorithm": "maglev", "hash": {"key": "cookie", "name": "id"}}, "sticky": {"sticky": {"cookie": "lbd"}}}


def merged(base, patch):
    """RFC 7396, of objects alone."""
    if not isinstance(base, dict) or not isinstance(patch, dict):
        return copy.deepcopy(patch)
    return {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}


class ChangeEach(LabCase):
    hang_limit_s = 300

    def setUp(self):
        super().setUp()
        servers = [self.origin(name=name) for name in "abc"]
        for server in servers:
            server.keep = False
        self.proxy = self.lbd(config_for(
            *servers, pool={"health_check": "h"},
            routes={"r": {"listener": "web", "match": {"path_prefix": "/r"}, "action": {"pool": "main"}}},
            health_checks={"h": {"interval": "200ms", "timeout": "200ms"}}))
        for name in "abc":
            self.proxy.wait_health(name, "up")
        self.schema = self.proxy.get("/v1/schema.json")["$defs"]

    def settings(self, definition, prefix=()):
        """(keys, example) of every setting, those of objects in it one by one."""
        for key, field in self.schema[definition]["properties"].items():
            if not prefix and key in OTHERWISE[definition]:
                continue
            inner = field.get("$ref", "").rpartition("/")[2]
            for example in field["examples"][:1]:
                yield (*prefix, key), example
            if inner and inner in self.schema and "properties" in self.schema[inner]:
                yield from self.settings_of(inner, (*prefix, key))

    def settings_of(self, inner, prefix):
        for key, field in self.schema[inner]["properties"].items():
            for example in field["examples"][:1]:
                yield (*prefix, key), example

    def change(self, path, definition):
        before = self.proxy.get(path)
        changed, refused = [], []
        for keys, example in self.settings(definition):
            body = copy.deepcopy(example)
            for key in reversed(keys):
                body = {key: body}
            body = merged(WITH.get(keys[0], {}), body)
            count = len(self.load.failures)
            answer = self.proxy.api("PATCH", path, body)
            if answer.status == 422:  # does not go alone
                refused.append(".".join(keys))
                continue
            self.assertEqual(answer.status, 200, (keys, answer))
            done = self.load.total
            self.wait_for(lambda d=done: self.load.total >= d + 20 or self.load.failures, "some requests")
            self.assertEqual(self.load.failures[count:], [], f"{path}: {'.'.join(keys)} = {example!r}")
            self.proxy.put(path, before)
            changed.append(".".join(keys))
        return changed, refused

    def each(self, path, definition, least):
        since = {n: self.proxy.server_status(n)["since"] for n in "abc"}
        with Load(self.proxy.address(), clients=4, target="/r/x") as self.load:
            changed, refused = self.change(path, definition)
        self.assertEqual(self.load.failures, [])
        self.assertGreaterEqual(len(changed), least, (changed, refused))
        self.assertLessEqual(len(refused), 6, refused)
        for name in "abc":
            self.assertEqual(self.proxy.server_status(name)["health"], "up")
            self.assertEqual(self.proxy.server_status(name)["since"], since[name], "its state was kept")
        self.assertNotIn(" error ", self.proxy.log_text())

    def test_of_a_listener(self):
        self.each("/v1/listeners/web", "Listener", 20)

    def test_of_a_route(self):
        self.each("/v1/routes/r", "Route", 5)

    def test_of_a_pool(self):
        self.each("/v1/pools/main", "Pool", 40)

    def test_of_a_server(self):
        self.each("/v1/pools/main/servers/a", "Server", 4)

    def test_of_a_health_check(self):
        self.each("/v1/health-checks/h", "HealthCheck", 6)


if __name__ == "__main__":
    unittest.main()
