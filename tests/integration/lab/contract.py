"""What the API promises: every answer that a test sees is compared with the OpenAPI document.

    Lbd.api()  -->  check(method, target, request, answer)  -->  lbd --openapi

The status must be one of the operation's, the headers and the body must fit. The document is open to
members that come later; here it is closed: what is not described fails the test. Answers to paths,
methods and bodies that the document does not know must be problems.

Validators are made once for each operation and status. Bodies above BODY_MAX are compared in part: a
thousand members of a map stand for all of them.
"""

import copy
import functools
import json
import os
import re
import subprocess
import warnings
from pathlib import Path

MEMBERS_MAX = 1000
SENT_MAX = 65536


class ContractError(AssertionError):
    """An answer is not what the OpenAPI document says."""


def _close(schema):
    """The same schema without room for members that it does not name."""
    if isinstance(schema, list):
        return [_close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: value if key in ("examples", "example", "default", "enum", "const") else _close(value)
              for key, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")  # RFC 3339


class Contract:
    def __init__(self, document):
        import jsonschema  # Debian: python3-jsonschema

        self.jsonschema = jsonschema
        self.document = document
        self.closed = copy.deepcopy(document)
        self.closed["components"]["schemas"] = _close(document["components"]["schemas"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # in versions later than Debian's
            self.resolver = jsonschema.RefResolver("", self.closed)
        self.formats = jsonschema.FormatChecker(formats=())
        self.formats.checks("date-time")(
            lambda value: not isinstance(value, str) or TIME.fullmatch(value) is not None)
        self.validators = {}
        self.paths = []
        for path, item in document["paths"].items():
            # an explained key, and the id that a client gave its request, may hold slashes
            hole = r"(.+)" if path in ("/v1/explain/{key}", "/v1/requests/{request}") else r"([^/]+)"
            pattern = re.sub(r"\{[a-z_]+\}", lambda _: hole, path.replace(".", r"\."))
            self.paths.append((re.compile(pattern), path, item))
        self.paths.sort(key=lambda entry: entry[1].count("{"))
        self.seen = set()

    def find(self, target):
        """(path of the document, its item) or (None, None)."""
        plain = target.partition("?")[0]  # cut into parts before they are decoded
        for pattern, path, item in self.paths:
            if pattern.fullmatch(plain):
                return path, item
        return None, None

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            _, node = self.resolver.resolve(node["$ref"])
        return node

    def validator(self, key, schema):
        found = self.validators.get(key)
        if found is None:
            kind = self.jsonschema.Draft202012Validator
            found = kind(_close(schema), resolver=self.resolver, format_checker=self.formats)
            self.validators[key] = found
        return found

    def compare(self, key, schema, body, what):
        errors = list(self.validator(key, schema).iter_errors(_sample(body)))
        if errors:
            error = self.jsonschema.exceptions.best_match(errors)
            where = "/".join(str(part) for part in error.absolute_path)
            text = json.dumps(body, indent=1)
            raise ContractError(
                f"{what}: at '/{where}': {error.message[:500]}\n"
                f"the OpenAPI document says something else (api/api_schemas.def)\n{text[:4000]}")

    def check(self, method, target, sent, answer):
        """Raises ContractError when `answer` (an ApiAnswer) is not what the document says."""
        verb = "get" if method == "HEAD" else method.lower()
        path, item = self.find(target)
        what = f"{method} {target} -> {answer.status}"
        operation = item.get(verb) if item else None
        if operation is None:
            if answer.status < 400:
                raise ContractError(f"{what}: the OpenAPI document lacks this operation")
            return self.check_problem(answer, what)
        response = self.resolve(operation["responses"].get(str(answer.status)))
        if response is None:
            if answer.status in (405, 414, 431):  # of the transport
                return None
            raise ContractError(
                f"{what}: the OpenAPI document has only {sorted(operation['responses'])} for "
                f"{operation['operationId']}; see api/api_describe.def")
        self.seen.add((operation["operationId"], answer.status))
        for name, header in response.get("headers", {}).items():
            value = answer.header(name)
            header = self.resolve(header)
            if value is None:
                continue
            kind = header["schema"].get("type")
            if kind == "integer" and not value.isdigit():
                raise ContractError(f"{what}: {name}: {value} is not a number")
            words = header["schema"].get("enum")
            if words and value not in words:
                raise ContractError(f"{what}: {name}: {value} is not one of {words}")
        if answer.header("Lbd-Request-Id") is None or answer.header("Lbd-Revision") is None:
            raise ContractError(f"{what}: no Lbd-Request-Id or Lbd-Revision")
        self.check_body(method, operation, response, answer, what)
        if answer.status < 300 and sent is not None:
            self.check_sent(operation, sent, what)
        return None

    def check_body(self, method, operation, response, answer, what):
        content = response.get("content")
        if answer.raw is None:
            return  # nobody read it
        if not content:
            if answer.raw:
                raise ContractError(f"{what}: has a body, the OpenAPI document says none")
            return
        kind = (answer.header("Content-Type") or "").partition(";")[0].strip()
        if kind not in content:
            raise ContractError(f"{what}: is {kind or 'nothing'}, not {', '.join(content)}")
        if method == "HEAD" or not kind.endswith("json"):
            return
        self.compare((operation["operationId"], answer.status), content[kind]["schema"], answer.body,
                     what)

    def check_sent(self, operation, sent, what):
        """What was accepted must be what the document takes."""
        request = operation.get("requestBody")
        if request is None or len(sent) > SENT_MAX:
            return
        (media,) = request["content"].values()
        self.compare((operation["operationId"], "request"), media["schema"],
                     json.loads(sent), f"{what}: the request")

    def check_problem(self, answer, what):
        kind = (answer.header("Content-Type") or "").partition(";")[0].strip()
        if kind == "application/problem+json" and answer.raw:
            self.compare("problem", {"$ref": "#/components/schemas/Problem"}, answer.body, what)


def _sample(value):
    """A part of what is very large."""
    if isinstance(value, dict):
        items = value.items()
        if len(value) > MEMBERS_MAX:
            items = list(items)[:MEMBERS_MAX // 2] + list(items)[-MEMBERS_MAX // 2:]
        return {key: _sample(item) for key, item in items}
    if isinstance(value, list):
        if len(value) > MEMBERS_MAX:
            value = value[:MEMBERS_MAX // 2] + value[-MEMBERS_MAX // 2:]
        return [_sample(item) for item in value]
    return value


@functools.lru_cache(maxsize=None)
def contract():
    """The contract of this lbd; made once for each process of tests."""
    root = Path(__file__).resolve().parents[3]
    program = os.environ.get("LBD_BIN", str(root / "build/asan/bin/lbd"))
    text = subprocess.run([program, "--openapi"], capture_output=True, check=True, timeout=60,
                          stdin=subprocess.DEVNULL).stdout
    return Contract(json.loads(text))


class _Answer:
    """What a raw client read, as check() takes it."""

    def __init__(self, message, with_body):
        self.status = message.status
        self.header = message.get
        self.raw = message.body if with_body else None
        kind = message.get("Content-Type") or ""
        self.body = json.loads(message.body) if "json" in kind and self.raw else self.raw


def check_message(method, target, sent, message, with_body=True):
    """The same for a raw client: an answer of the API is known by its Lbd-Request-Id."""
    if message.get("Lbd-Request-Id") is None:
        return
    answer = _Answer(message, with_body)
    if message.status == 404:  # perhaps of the observe address, where little is
        contract().check_problem(answer, f"{method} {target}")
    else:
        contract().check(method, target, sent, answer)
