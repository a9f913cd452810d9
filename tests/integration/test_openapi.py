"""The documents about the API and the configuration: do they say what lbd does?

GET /v1/openapi.json and GET /v1/schema.json are what `lbd --openapi` and `lbd --schema` print. Whatever
lbd accepts fits the JSON Schema, and what does not fit is refused. That answers fit the OpenAPI document
is tested everywhere: lab/contract.py looks at each.
"""

import copy
import json
import random
import tempfile
import unittest

import jsonschema

from lab import LabCase, config_for, run_lbd
from lab import jsonc
from lab.certs import Authority
from lab.contract import Contract, ContractError
from lab.lbd import ROOT

EXAMPLES = sorted((ROOT / "conf/examples").glob("*.json")) + [ROOT / "conf/lbd.json"]

# Each: where, the value put there (or REMOVE), and what is wrong.
REMOVE = object()
MISTAKES = [
    ("/pools/web/servers/a/adress", "10.0.0.1:80", "an unknown key"),
    ("/pools/web/servers/a/address", REMOVE, "a key that must be set"),
    ("/pools/web/servers/a/address", 80, "a number for a string"),
    ("/pools/web/servers/a/address", "", "an empty string"),
    ("/pools/web/servers/a/weight", 0, "below the range"),
    ("/pools/web/servers/a/weight", 1001, "above the range"),
    ("/pools/web/servers/a/weight", 1.5, "a fraction"),
    ("/pools/web/servers/a/weight", "100", "a string for a number"),
    ("/pools/web/servers/a/admin_state", "off", "not one of the words"),
    ("/pools/web/servers/A", {"address": "10.0.0.1:80"}, "not a name"),
    ("/pools/web/servers", [], "a list for a map"),
    ("/pools/web/algorithm", "fastest", "not one of the words"),
    ("/pools/web/timeouts/connect", 3, "a number for a duration"),
    ("/pools/web/timeouts/connect", "3 s", "not a duration"),
    ("/pools/web/meta/labels/a", 1, "a label that is no string"),
    ("/listeners/web/bind", [], "an empty list"),
    ("/listeners/web/bind", "0.0.0.0:80", "a string for a list"),
    ("/listeners/web/limits/header_size", "64 KB", "not a size"),
    ("/listeners/web/limits/header_fields", 9, "below the range"),
    ("/listeners/web/protocol", "gopher", "not one of the words"),
    ("/routes/r/action", {}, "no action"),
    ("/routes/r/action/respond", {"status": 200}, "two actions"),
    ("/routes/r/action", {"redirect": {"status": 300, "location": "/"}}, "not one of the numbers"),
    ("/routes/r/match/path", "/x", "path and path_prefix"),
    ("/routes/r/listener", REMOVE, "a key that must be set"),
    ("/health_checks/h/expect/status", ["9xx"], "no such class"),
    ("/health_checks/h/expect/status", [], "an empty list"),
    ("/health_checks/t/path", "/x", "a path for a check that has none"),
    ("/schema", 2, "a version that is not known"),
    ("/pool", {}, "an unknown key"),
]

DOCUMENT = {
    "listeners": {"web": {"bind": ["127.0.0.1:0"], "default_pool": "web",
                          "limits": {"header_size": "16KiB"}, "protocol": "http"}},
    "routes": {"r": {"listener": "web", "match": {"path_prefix": "/r"}, "action": {"pool": "web"}}},
    "pools": {"web": {"health_check": "h", "timeouts": {"connect": "1s"},
                      "meta": {"labels": {"a": "b"}, "managed_by": "x"},
                      "servers": {"a": {"address": "127.0.0.1:9", "weight": 7},
                                  "b": {"address": "127.0.0.1:9"}}}},
    "health_checks": {"h": {"path": "/h", "expect": {"status": ["2xx", 304]}}, "t": {"type": "tcp"}},
}


def put(document, pointer, value):
    """A copy with `value` at `pointer`; objects on the way are made."""
    document = copy.deepcopy(document)
    at = document
    *way, last = pointer.strip("/").split("/")
    for key in way:
        at = at.setdefault(key, {})
    if value is REMOVE:
        del at[last]
    else:
        at[last] = value
    return document


def schema():
    got = run_lbd("--schema")
    assert got.returncode == 0, got.stderr
    return json.loads(got.stdout)


class JsonSchema(unittest.TestCase):
    def setUp(self):
        self.schema = schema()
        jsonschema.Draft202012Validator.check_schema(self.schema)
        self.validator = jsonschema.Draft202012Validator(self.schema)

    def assert_fits(self, document):
        error = jsonschema.exceptions.best_match(self.validator.iter_errors(document))
        self.assertIsNone(error, error)

    def test_examples_fit(self):
        self.assertGreater(len(EXAMPLES), 5)
        for path in EXAMPLES:
            with self.subTest(path.name):
                self.assert_fits(jsonc.loads(path.read_text()))

    def test_the_document_of_this_test_fits(self):
        self.assert_fits(DOCUMENT)
        self.assert_fits({"$schema": "lbd.schema.json", **DOCUMENT})
        self.assert_fits({"daemon": {"workers": "auto", "api": {"listen": ["unix:/x"]}}, **DOCUMENT})

    def test_what_is_wrong_does_not_fit(self):
        for pointer, value, what in MISTAKES:
            with self.subTest(what, at=pointer):
                self.assertFalse(self.validator.is_valid(put(DOCUMENT, pointer, value)))
        for daemon in ({"workers": 0}, {"workers": "all"}, {"worker": 1}, {"api": {"listen": "x"}},
                       {"log": {"level": "loud"}}, {"drain_timeout": 5}):
            self.assertFalse(self.validator.is_valid({"daemon": daemon}), daemon)


def examples_of(schema):
    """{(definition, key): [values]} of every setting below the document."""
    found = {}
    for name, definition in schema["$defs"].items():
        for key, field in definition["properties"].items():
            found[name, key] = field["examples"] + ([field["default"]] if "default" in field else [])
    return found


class SchemaAgreesWithLbd(LabCase):
    """The validator of lbd and the JSON Schema are two programs that follow one table."""

    def setUp(self):
        super().setUp()
        self.schema = schema()
        self.validator = jsonschema.Draft202012Validator(self.schema)
        self.proxy = self.lbd({})

    def refused(self, document):
        answer = self.proxy.api("PUT", "/v1/config?dry_run=true", document)
        self.assertIn(answer.status, (200, 201, 422), answer)
        return answer.status == 422

    def test_mistakes_are_refused_by_both(self):
        self.assertFalse(self.refused(DOCUMENT))
        for pointer, value, what in MISTAKES:
            with self.subTest(what, at=pointer):
                self.assertTrue(self.refused(put(DOCUMENT, pointer, value)))

    def test_what_lbd_takes_fits(self):
        """Documents put together at random from examples, defaults and mistakes: accepted by lbd means
        that the schema has nothing to say either."""
        dice = random.Random(3)
        examples = examples_of(self.schema)
        accepted = 0
        for _ in range(300):
            document = copy.deepcopy(DOCUMENT)
            for _ in range(dice.randrange(1, 4)):
                pointer, value = self.random_setting(dice, examples)
                document = put(document, pointer, value)
            if dice.random() < 0.2:
                pointer, value, _ = dice.choice(MISTAKES)
                try:
                    document = put(document, pointer, value)
                except (KeyError, AttributeError, TypeError):
                    continue
            if self.refused(document):
                continue
            accepted += 1
            error = jsonschema.exceptions.best_match(self.validator.iter_errors(document))
            self.assertIsNone(error, f"{error}\n{json.dumps(document)}")
        self.assertGreater(accepted, 60)

    def random_setting(self, dice, examples):
        """A path of keys down from one of the maps, and a value for its end."""
        names = {"listeners": "web", "routes": "r", "pools": "web", "health_checks": "h",
                 "servers": "a"}
        top = dice.choice(["listeners", "routes", "pools", "health_checks"])
        definition = {"listeners": "Listener", "routes": "Route", "pools": "Pool",
                      "health_checks": "HealthCheck"}[top]
        pointer = f"/{top}/{names[top]}"
        while True:
            key = dice.choice(list(self.schema["$defs"][definition]["properties"]))
            field = self.schema["$defs"][definition]["properties"][key]
            pointer += f"/{key}"
            if "$ref" in field and dice.random() < 0.8:
                definition = field["$ref"].rpartition("/")[2]
            elif key == "servers" and dice.random() < 0.8:
                definition = "Server"
                pointer += "/a"
            else:
                return pointer, copy.deepcopy(dice.choice(examples[definition, key]))


MAIL_NAMES = {"user": "joe@example.com", "map": "domains", "entry": "example.com", "callback": "auth"}


class Served(LabCase):
    def setUp(self):
        super().setUp()
        origin = self.origin()
        self.proxy = self.lbd(config_for(origin))

    def put_certificates(self):
        with tempfile.TemporaryDirectory() as directory:
            authority = Authority(directory)
            shop = authority.issue("shop", cn="shop.test")
            self.proxy.put("/v1/certificates/shop", {"chain": shop.chain.read_text(), "key": shop.key.read_text()})
            self.proxy.put("/v1/ca-sets/inside", {"pem": authority.certificate.read_text()})

    def put_mail(self):
        for pool in ("mail", "main"):
            self.proxy.patch("/v1/config", {"pools": {pool: {"servers": {"b1": {"address": "127.0.0.1:1"}}}}})
        self.proxy.put("/v1/listeners/imap", {"bind": ["127.0.0.1:0"], "protocol": "imap", "default_pool": "mail"})
        self.proxy.put("/v1/pools/main/servers/a/admin-state", {"state": "drain", "reason": "test"})
        self.proxy.put("/v1/pools/main/servers/a/mail-drain", {"mode": "flush"})
        self.proxy.put("/v1/mail/users/joe@example.com", {"pool": "mail", "server": "b1"})
        self.proxy.put("/v1/mail/maps/domains", {"type": "domain", "entries": {"example.com": {"pool": "mail"}}})
        self.proxy.put("/v1/mail/callbacks/auth", {"urls": ["http://127.0.0.1:9/"]})

    def test_served_and_printed_are_the_same(self):
        for path, flag, kind in (("/v1/openapi.json", "--openapi", "application/json"),
                                 ("/v1/schema.json", "--schema", "application/schema+json")):
            answer = self.proxy.api("GET", path)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.header("Content-Type"), kind)
            self.assertEqual(answer.raw.decode(), run_lbd(flag).stdout)

    def test_the_document_names_what_the_router_has(self):
        document = self.proxy.get("/v1/openapi.json")
        self.assertEqual(document["openapi"], "3.1.0")
        version = self.proxy.get("/v1/version")["version"]
        self.assertEqual(document["info"]["version"], version)
        for path, item in document["paths"].items():
            methods = {verb.upper() for verb in item if verb != "parameters"}
            wrong = sorted({"GET", "PUT", "PATCH", "DELETE", "POST"} - methods)
            filled = path.replace("{revision}", "1")
            for name in ("listener", "pool", "route", "policy", "address_set", "server", "health_check", "type", "token",
                         "connection", "key", "certificate", "ca_set", "user", "map", "entry", "callback",
                         "session", "ban", "request"):
                filled = filled.replace("{" + name + "}", "x")
            for method in wrong:
                answer = self.proxy.api(method, filled)
                self.assertEqual(answer.status, 405, f"{method} {filled}")
                allow = set(answer.header("Allow").split(", ")) - {"HEAD"}
                self.assertEqual(allow, methods, filled)


    def test_every_read_answers_as_it_is_described(self):
        """lab/contract.py looks at the answers; here each operation without a body is asked once."""
        self.proxy.put("/v1/health-checks/alive", {"type": "tcp"})
        self.proxy.put("/v1/routes/all", {"listener": "web", "action": {"pool": "main"}})
        self.put_certificates()
        self.put_mail()
        self.proxy.put("/v1/policies/inside", {"access": {"allow": ["10.0.0.0/8"]}})
        self.proxy.put("/v1/address-sets/banned", {"addresses": ["10.0.0.0/8"]})
        self.proxy.patch("/v1/pools/main", {"sticky": {"mode": "learn", "cookie": "session"}})
        names = {**MAIL_NAMES, "listener": "web", "route": "all", "policy": "inside", "address_set": "banned", "pool": "main", "server": "a", "type": "not-found",
                 "certificate": "shop", "ca_set": "inside", "health_check": "alive", "key": "pools",
                 "revision": str(self.proxy.api("GET", "/v1/version").revision)}
        self.connect(self.proxy).get("/", {"X-Request-Id": "one", "Connection": "nonsense, Host"})
        names["request"] = "one"
        self.wait_for(lambda: self.proxy.api("GET", "/v1/requests/one").status == 200, "it is told")
        document = self.proxy.get("/v1/openapi.json")
        asked = 0
        for path, item in document["paths"].items():
            if "get" not in item or path in ("/v1/watch",):
                continue
            with self.subTest(path):
                filled = path
                for name, value in names.items():
                    filled = filled.replace("{" + name + "}", value)
                answer = self.proxy.api("GET", filled)
                self.assertEqual(answer.status, 200, answer)
                asked += 1
        self.assertGreater(asked, 35)


    def test_examples_of_bodies_are_accepted(self):
        """As they stand in the document; those that would listen on port 80, or name files, are left out."""
        for pool in ("web", "api"):
            self.proxy.put(f"/v1/pools/{pool}", {})
        self.proxy.put("/v1/health-checks/alive", {"type": "tcp"})
        self.proxy.put("/v1/routes/all", {"listener": "web", "action": {"pool": "main"}})
        self.put_mail()
        for policy in ("inside", "office-only"):
            self.proxy.put(f"/v1/policies/{policy}", {"access": {"allow": ["10.0.0.0/8"]}})
        self.proxy.put("/v1/address-sets/banned", {"addresses": ["10.0.0.0/8"]})
        names = {**MAIL_NAMES, "listener": "web", "route": "all", "policy": "inside", "address_set": "banned", "pool": "main", "server": "a", "token": "t",
                 "health_check": "alive"}
        sent = 0
        for path, item in self.proxy.get("/v1/openapi.json")["paths"].items():
            for verb, operation in item.items():
                if verb == "parameters" or "requestBody" not in operation:
                    continue
                if path.startswith(("/v1/config", "/v1/batch", "/v1/certificates", "/v1/ca-sets")) or (
                        path == "/v1/listeners/{listener}"):
                    continue
                (media,) = operation["requestBody"]["content"].values()
                filled = path
                for name, value in names.items():
                    filled = filled.replace("{" + name + "}", value)
                if any(parameter.get("name") == "dry_run" for parameter in operation["parameters"]):
                    filled += "?dry_run=true"
                with self.subTest(f"{verb} {filled}"):
                    answer = self.proxy.api(verb.upper(), filled, media["example"])
                    self.assertIn(answer.status, (200, 201), answer)
                    sent += 1
        self.assertGreater(sent, 10)


class FakeAnswer:
    def __init__(self, status, body, headers=None):
        self.status = status
        self.body = body
        self.raw = json.dumps(body).encode() if body is not None else b""
        self.headers = {"Content-Type": "application/json" if status < 400 else
                        "application/problem+json",
                        "Lbd-Request-Id": "x", "Lbd-Revision": "1", **(headers or {})}

    def header(self, name):
        return self.headers.get(name)


class TheContractIsStrict(unittest.TestCase):
    """The checker itself: it must refuse what is not described."""

    def setUp(self):
        self.contract = Contract(json.loads(run_lbd("--openapi").stdout))

    def assert_refused(self, text, *question):
        with self.assertRaises(ContractError) as caught:
            self.contract.check(*question)
        self.assertIn(text, str(caught.exception))

    def test_it_takes_what_is_described(self):
        good = {"version": "1", "api": "v1"}
        self.contract.check("GET", "/v1/version", None, FakeAnswer(200, good))
        self.contract.check("GET", "/v1/pools/a%2Eb", None,
                            FakeAnswer(200, {"servers": {"x": {"address": "h:1"}}}))
        self.assertEqual(self.contract.seen, {("getVersion", 200), ("getPool", 200)})

    def test_it_refuses_everything_else(self):
        good = {"version": "1", "api": "v1"}
        ask = ("GET", "/v1/version", None)
        self.assert_refused("more", *ask, FakeAnswer(200, {**good, "more": 1}))
        self.assert_refused("'api' is a required", *ask, FakeAnswer(200, {"version": "1"}))
        self.assert_refused("not of type", *ask, FakeAnswer(200, {**good, "api": 1}))
        self.assert_refused("has only", *ask, FakeAnswer(299, good))
        self.assert_refused("lacks this operation", "PUT", "/v1/version", None, FakeAnswer(200, {}))
        self.assert_refused("lacks this operation", "GET", "/v1/none", None, FakeAnswer(200, {}))
        self.assert_refused("is text/html", *ask, FakeAnswer(200, good, {"Content-Type": "text/html"}))
        self.assert_refused("is not a number", *ask, FakeAnswer(200, good, {"Lbd-Revision": "x"}))
        problem = {"type": "x", "title": "x", "status": 404, "detail": "x", "instance": "x",
                   "revision": 1}
        self.contract.check("GET", "/v1/pools/x", None, FakeAnswer(404, problem))
        self.assert_refused("odd", "GET", "/v1/none", None, FakeAnswer(404, {**problem, "odd": 1}))
        self.assert_refused("has a body", "DELETE", "/v1/pools/x", None, FakeAnswer(204, {}))

    def test_times_are_times(self):
        now = {"time": "2026-11-26T12:00:00.000000Z", "revision": 1, "bounds_ms": [1]}
        self.contract.check("GET", "/v1/stats", None, FakeAnswer(200, now))
        self.assert_refused("is not a 'date-time'", "GET", "/v1/stats", None,
                            FakeAnswer(200, {**now, "time": "today"}))

    def test_it_refuses_deep_down(self):
        server = {"address": "h:1", "weight": 2}
        ask = ("GET", "/v1/config", None)
        self.contract.check(*ask, FakeAnswer(200, {"pools": {"p": {"servers": {"s": server}}}}))
        self.assert_refused("pools/p/servers/s", *ask, FakeAnswer(
            200, {"pools": {"p": {"servers": {"s": {**server, "weight": 0}}}}}))
        many = {f"s{i}": server for i in range(3000)} | {"z": {"address": 1}}
        self.assert_refused("pools/p/servers/z", *ask,
                            FakeAnswer(200, {"pools": {"p": {"servers": many}}}))


if __name__ == "__main__":
    unittest.main()
