"""Every row and method of the API, asked by every role through every way in.

Who may do what stands here a second time, by hand: a row that is added with the wrong role fails.
"""

import grp
import os
import pwd
import shutil
import tempfile
import unittest

from lab import Client, LabCase, config_for
from lab.certs import Authority, client_context
from lab.contract import check_message
from lab.users import acting_as

ROLES = ["none", "metrics", "read", "operate", "admin"]

# What is not read (GET) or admin (the rest).
METRICS = {"/metrics", "/healthz", "/readyz", "/v1/whoami"}
ADMIN_GET = {"/v1/tokens"}
READ_POST = {"/v1/config/validate", "/v1/config/diff", "/v1/explain/route"}
OPERATE_ENDINGS = ("/admin-state", "/overrides/weight", "/check", "/confirm", "/reject", "/mail-drain",
                   "/move", "/kick", "/release", "/sessions")
OPERATE_STARTS = ("/v1/connections/", "/v1/mail/sessions/", "/v1/mail/bans", "/v1/mail/cache", "/v1/mail/affinity/")

BODIES = {
    "put": ("application/json", b"{"),
    "patch": ("application/merge-patch+json", b"{"),
    "post": ("application/json", b"{"),
}


def role_needed(method, path):
    if method == "get":
        if path in METRICS:
            return "metrics"
        return "admin" if path in ADMIN_GET else "read"
    if path in READ_POST:
        return "read"
    if path.endswith(OPERATE_ENDINGS) or path.startswith(OPERATE_STARTS):
        return "operate"
    return "admin"


def filled(path):
    """A path of things that do not exist, so that what is allowed does no harm."""
    while "{" in path:
        begin, end = path.index("{"), path.index("}")
        name = "999999" if "revisions/" in path[:begin] else "nothing"
        path = path[:begin] + name + path[end + 1:]
    return path


class Roles(LabCase):
    def setUp(self):
        super().setUp()
        self.groups = {"admin": "games", "operate": "news", "read": "mail"}
        self.proxy = self.lbd(
            config_for(self.origin()),
            api={
                "listen": ["127.0.0.1:0"],
                "insecure": True,
                "groups": self.groups,
                "limits": {"auth_failures_per_minute": 0, "writes_per_second": 0},
            },
        )
        document = self.proxy.get("/v1/openapi.json")
        self.rows = [
            (method, path)
            for path, operations in document["paths"].items()
            for method in operations
            if method in ("get", "put", "patch", "delete", "post")
        ]
        self.assertGreater(len(self.rows), 40)

    def ask(self, client, method, path, headers):
        """The status; only the head is read, for some answers never end."""
        headers = dict(headers)
        body = None
        if method in BODIES:
            headers["Content-Type"], body = BODIES[method]
        client.send_request(method.upper(), filled(path), headers, body, host="localhost")
        head = client.read_head()
        if head.status in (401, 403):
            client.read_body(head)
            self.assertIn(b"/v1/problems/", head.body)
        check_message(method.upper(), filled(path), None, head, with_body=head.status in (401, 403))
        return head

    def check_all(self, role, open_client, headers=None):
        """Everything the table has, as `role`."""
        before = (self.proxy.get("/v1/config"), self.proxy.api("GET", "/v1/config").revision)
        for method, path in self.rows:
            needed = role_needed(method, path)
            with self.subTest(role=role, method=method, path=path):
                with open_client() as client:
                    status = self.ask(client, method, path, headers or {}).status
                if ROLES.index(role) >= ROLES.index(needed):
                    self.assertNotIn(status, (401, 403), f"takes {needed}")
                else:
                    self.assertEqual(status, 403, f"takes {needed}")
        after = (self.proxy.get("/v1/config"), self.proxy.api("GET", "/v1/config").revision)
        if role != "admin":
            self.assertEqual(before, after)

    def test_the_document_says_the_same(self):
        for path, operations in self.proxy.get("/v1/openapi.json")["paths"].items():
            for method, operation in operations.items():
                if method in ("get", "put", "patch", "delete", "post"):
                    with self.subTest(method=method, path=path):
                        self.assertEqual(operation["x-lbd-role"], role_needed(method, path))

    def test_tokens_over_tcp(self):
        (address,) = self.proxy.api_addresses()
        for role in ROLES[1:]:
            secret = self.proxy.token(f"of-{role}", role)
            self.check_all(role, lambda: Client(address), {"Authorization": f"Bearer {secret}"})

    def test_tokens_over_the_unix_socket(self):
        """What the token says counts, whatever the user could do without."""
        for role in ("metrics", "operate"):
            secret = self.proxy.token(f"of-{role}", role)
            self.check_all(
                role,
                lambda: Client(self.proxy.api_socket),
                {"Authorization": f"Bearer {secret}"},
            )

    def test_nobody_over_tcp(self):
        (address,) = self.proxy.api_addresses()
        for headers in ({}, {"Authorization": "Bearer lbd_" + "A" * 43},
                        {"Authorization": "Basic YWRtaW46YWRtaW4="}):
            for method, path in [*self.rows, ("get", "/v1/nowhere"), ("get", "/")]:
                with self.subTest(method=method, path=path, headers=headers):
                    with Client(address) as client:
                        head = self.ask(client, method, path, headers)
                    self.assertEqual(head.status, 401)
                    self.assertEqual(head.get("WWW-Authenticate"), 'Bearer realm="lbd"')

    def test_our_own_user(self):
        self.check_all("admin", lambda: Client(self.proxy.api_socket))

    def test_certificates_over_tls(self):
        folder = tempfile.mkdtemp(prefix="lab-tls-")
        self.addCleanup(shutil.rmtree, folder, True)
        ca = Authority(folder)
        server = ca.issue("server", "localhost", ["DNS:localhost"])
        proxy = self.lbd(
            config_for(self.origin()),
            api={
                "listen": ["127.0.0.1:0"],
                "tls": {
                    "chain_file": str(server.chain),
                    "key_file": str(server.key),
                    "client_ca_file": str(ca.certificate),
                },
                "certificates": {role: [f"CN:{role}"] for role in ROLES[1:]},
                "limits": {"auth_failures_per_minute": 0, "writes_per_second": 0},
            },
        )
        self.proxy = proxy
        (address,) = proxy.api_addresses()
        for role in ROLES:
            context = client_context(ca, ca.issue(role, role))
            self.check_all(role, lambda: Client(address, tls=context))
        context = client_context(ca)
        for method, path in self.rows:
            with self.subTest(method=method, path=path), Client(address, tls=context) as client:
                self.assertEqual(self.ask(client, method, path, {}).status, 401)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_groups_on_the_unix_socket(self):
        os.chmod(self.proxy.directory, 0o755)
        os.chmod(self.proxy.run_directory, 0o755)
        os.chmod(self.proxy.api_socket, 0o666)
        uid = pwd.getpwnam("nobody").pw_uid
        nogroup = grp.getgrnam("nogroup").gr_gid

        def gid(role):
            return grp.getgrnam(self.groups[role]).gr_gid

        def opener(primary, groups):
            def open_client():
                with acting_as(uid, primary, groups):
                    return Client(self.proxy.api_socket)
            return open_client

        self.check_all("none", opener(nogroup, []))
        self.check_all("read", opener(nogroup, [gid("read")]))
        self.check_all("operate", opener(gid("operate"), [gid("read")]))
        self.check_all("admin", opener(nogroup, [gid("read"), gid("admin"), gid("operate")]))
        with opener(nogroup, [gid("operate")])() as client:
            answer = client.get("/v1/whoami", host="lbd")
            self.assertIn(f'"identity": "unix uid={uid} pid={os.getpid()}"', answer.text)
            self.assertIn('"role": "operate"', answer.text)


if __name__ == "__main__":
    unittest.main()
