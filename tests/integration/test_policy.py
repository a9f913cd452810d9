"""Policies: asked in order, refused with a reason, in shadow only counted; live changes keep connections."""

import os
import shutil
import tempfile
import unittest

from lab import LabCase, config_for, h2, run_lbctl


class Policies(LabCase):
    def start(self, policies, listener=(), route=("p",), listener_more=None, **sections):
        document = config_for(self.origin(), listener=listener_more, **sections)
        document["policies"] = policies
        document["listeners"]["web"]["policies"] = list(listener) or None
        if not listener:
            del document["listeners"]["web"]["policies"]
        document["routes"] = {"guarded": {"listener": "web", "match": {"path_prefix": "/guarded"},
                                          "policies": list(route), "action": {"pool": "main"}}}
        self.document = document
        self.proxy = self.lbd(document)
        return self.connect(self.proxy)

    def decisions(self, policy):
        return {decision: self.proxy.metric("lbd_policy_decisions_total", policy=policy, decision=decision)
                for decision in ("allow", "deny", "shadow")}

    def test_access_by_address(self):
        client = self.start({"p": {"access": {"allow": ["127.0.0.0/8"], "deny": ["127.0.0.2"]}}})
        self.assertEqual(client.get("/guarded").status, 200)
        other = self.connect(self.proxy, source="127.0.0.2")
        self.assert_reason(other.get("/guarded"), 403, "access_denied")
        self.assertEqual(other.get("/").status, 200)
        self.assertEqual(self.decisions("p"), {"allow": 1, "deny": 1, "shadow": 0})

    def test_the_listeners_policies_come_first_and_see_what_has_no_route(self):
        client = self.start({"p": {"access": {"deny": ["10.0.0.0/8"]}},
                             "outer": {"access": {"allow": ["10.0.0.0/8"]}}}, listener=["outer"])
        self.assert_reason(client.get("/guarded"), 403, "access_denied")
        self.assertEqual(self.decisions("outer")["deny"], 1)
        self.assertEqual(self.decisions("p"), {"allow": 0, "deny": 0, "shadow": 0})
        del self.document["listeners"]["web"]["default_pool"]
        self.proxy.put("/v1/config", self.document)
        self.assert_reason(client.get("/nowhere"), 403, "access_denied")

    def test_shadow_counts_and_lets_pass(self):
        client = self.start({"p": {"mode": "shadow", "access": {"allow": ["10.0.0.0/8"]}}})
        self.assertEqual(client.get("/guarded").status, 200)
        self.assertEqual(self.decisions("p"), {"allow": 0, "deny": 0, "shadow": 1})
        self.document["policies"]["p"]["mode"] = "enforce"
        self.proxy.put("/v1/config", self.document)
        self.assert_reason(client.get("/guarded"), 403, "access_denied")  # the same connection
        self.assertEqual(self.decisions("p"), {"allow": 0, "deny": 1, "shadow": 1})  # counts go on

    def test_address_sets_change_by_themselves(self):
        client = self.start({"p": {"access": {"deny_sets": ["banned"], "allow_sets": ["friends"]}}, "q": {"access": {
            "deny_sets": ["banned"]}}}, address_sets={"banned": {"addresses": ["127.0.0.2", "10.0.0.0/8"]},
                                                      "friends": {"addresses": ["127.0.0.0/8"]}}, route=("p", "q"))
        other = self.connect(self.proxy, source="127.0.0.2")
        self.assertEqual(client.get("/guarded").status, 200)
        self.assert_reason(other.get("/guarded"), 403, "access_denied")
        self.proxy.put("/v1/address-sets/banned", {"addresses": ["127.0.0.1"]})
        self.assert_reason(client.get("/guarded"), 403, "access_denied")
        self.assertEqual(other.get("/guarded").status, 200)
        self.assertEqual(self.decisions("p")["deny"], 2)
        self.proxy.patch("/v1/address-sets/banned", {"addresses": []})
        self.assertEqual(client.get("/guarded").status, 200)
        self.assertEqual(other.get("/guarded").status, 200)
        self.proxy.put("/v1/address-sets/friends", {})  # nobody is one, which is not everybody
        self.assert_reason(client.get("/guarded"), 403, "access_denied")
        table = run_lbctl("get", "address-sets", socket_path=self.proxy.api_socket).stdout
        self.assertRegex(table, r"(?m)^banned +0$")
        answer = self.proxy.api("DELETE", "/v1/address-sets/banned")
        self.assertEqual(answer.status, 409)
        answer = self.proxy.api("PUT", "/v1/policies/p", {"access": {"allow_sets": ["nobody"]}})
        self.assertEqual(answer.pointers, ["#/policies/p/access/allow_sets/0"])
        self.proxy.put("/v1/address-sets/spare", {"addresses": ["::/0", "unix"]})
        large = [f"2001:db8:{i:x}:abcd::/64" for i in range(40000)]
        self.proxy.put("/v1/address-sets/banned", {"addresses": large + ["127.0.0.2"]})
        self.assert_reason(other.get("/guarded"), 403, "access_denied")
        self.proxy.delete("/v1/address-sets/spare")

    def test_the_file_of_a_set_is_followed(self):
        folder = tempfile.mkdtemp(prefix="lab-sets-")
        self.addCleanup(shutil.rmtree, folder, True)
        path = os.path.join(folder, "banned")

        def write(text):
            with open(path + ".new", "w") as file:
                file.write(text)
            os.rename(path + ".new", path)

        write("# who was rude\n127.0.0.2 # at night\r\n\n2001:db8::/32\n")
        self.start({"p": {"access": {"deny_sets": ["banned"]}}},
                   address_sets={"banned": {"addresses": ["127.0.0.3"], "file": path}})
        clients = {n: self.connect(self.proxy, source=f"127.0.0.{n}") for n in (2, 3, 4)}

        def statuses():
            return [client.get("/guarded").status for client in clients.values()]

        self.assertEqual(statuses(), [403, 403, 200])
        write("127.0.0.4\n")
        self.wait_for(lambda: statuses() == [200, 403, 403], "the new file")
        write("127.0.0.2\nnobody\n")
        self.proxy.wait_log("policy.file_refused")
        self.assertIn("line 2: is no network: 'nobody'", self.proxy.log_text())
        self.assertEqual(statuses(), [200, 403, 403])
        answer = self.proxy.api("PUT", "/v1/address-sets/banned", {"file": "/nowhere"})
        self.assertEqual(answer.status, 422)
        self.assertEqual(statuses(), [200, 403, 403])

    def test_connections_of_other_protocols(self):
        document = config_for(self.origin(), listener={"protocol": "tcp", "policies": ["p", "s"],
                                                       "proxy_protocol_from": ["127.0.0.9"]})
        document["policies"] = {"p": {"access": {"deny": ["127.0.0.2", "192.0.2.0/24"]}},
                                "s": {"mode": "shadow", "access": {"allow": ["10.0.0.0/8"]}},
                                "c": {"concurrency": {"requests": 1}}}
        self.proxy = self.lbd(document)
        client = self.connect(self.proxy)
        self.assertEqual(client.get("/").status, 200)
        self.assertEqual(self.connect(self.proxy, source="127.0.0.2").read_rest(), b"")
        for address, want in ((b"192.0.2.1", False), (b"198.51.100.1", True)):
            behind = self.connect(self.proxy, source="127.0.0.9")
            behind.send(b"PROXY TCP4 " + address + b" 192.0.2.9 1000 80\r\n")
            behind.send_request()
            self.assertEqual(behind.read_rest() != b"" if not want else behind.read_response().status == 200, want)
        self.assertEqual(self.decisions("p"), {"allow": 2, "deny": 2, "shadow": 0})
        self.assertEqual(self.decisions("s"), {"allow": 0, "deny": 0, "shadow": 2})
        behind.close()
        self.proxy.wait_metric(2, "lbd_listener_connections_rejected_total", reason="acl")
        client.close()
        self.connect(self.proxy).close()
        lines = self.proxy.wait_access_log(5)
        told = sorted((line["reason"], line["protocol"], line.get("setting"), line["client"].split(":")[0],
                       line.get("shadow_policy", "")) for line in lines)
        self.assertEqual([one for one in told if one[0] == "access_denied"],
                         [("access_denied", "tcp", "/policies/p", "127.0.0.2", ""),
                          ("access_denied", "tcp", "/policies/p", "192.0.2.1", "")])
        self.assertEqual([one[4] for one in told], ["", "", "s", "s", "s"])
        recent = self.proxy.get("/v1/requests/recent?reason=access_denied")["requests"]
        self.assertEqual({(one["setting"], one["listener"]) for one in recent}, {("/policies/p", "web")})
        client = self.connect(self.proxy)
        self.assertEqual(client.get("/").status, 200)
        self.proxy.put("/v1/policies/p", {"access": {"deny": ["127.0.0.0/8"]}})
        self.assertEqual(client.get("/").status, 200)  # who is there stays
        answer = self.proxy.api("PATCH", "/v1/listeners/web", {"policies": ["p", "c"]})
        self.assertEqual(answer.pointers, ["#/listeners/web/policies/1"])

    def test_no_spelling_of_a_path_gets_past(self):
        self.start({"p": {"access": {"deny": ["127.0.0.0/8"]}}})
        spoofs = [("X-Forwarded-For", "10.0.0.1"), ("X-Real-IP", "10.0.0.1"), ("Forwarded", "for=10.0.0.1")]
        paths = ("/guarded", "/guarded/", "/guarded/x?y", "/guarded?x", "/%67uarded", "/%67%75arded/", "/./guarded",
                 "/a/../guarded", "/a/%2e%2e/guarded", "/a/.%2E/guarded", "/guarded/../guarded/x", "http://test/guarded",
                 "http://test/a/../guarded", "/guarded%2fx", "/a/..%2fguarded", "/a%5c..%5cguarded", "/guarded%00",
                 "/guarded/..;/guarded", "/guarded#x", "/\\guarded")
        for path in paths:
            answer = self.connect(self.proxy).get(path, headers=spoofs)
            self.assertIn(answer.status, (400, 403), path)
        for path in paths:
            if path.startswith("/"):
                with h2.H2Client(self.proxy.address()) as client:
                    fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "test")]
                    answer = client.request(fields + [(name.lower(), value) for name, value in spoofs])
                    self.assertIn(answer.status, (400, 403), path)
        self.proxy.wait_metric(0, "lbd_policy_decisions_total", policy="p", decision="allow")

    def test_the_log_and_the_recent_ones_name_the_policy(self):
        client = self.start({"p": {"access": {"deny": ["127.0.0.0/8"]}},
                             "s": {"mode": "shadow", "access": {"deny": ["127.0.0.1"]}}}, route=("s", "p"),
                            listener_more={"reason_detail": True})
        refused = client.get("/guarded")
        self.assertEqual(refused.get("Lbd-Reason-Detail"), "/policies/p")
        self.assertEqual(client.get("/").status, 200)
        lines = self.proxy.wait_access_log(2)
        self.assertEqual([(line.get("setting"), line.get("shadow_policy")) for line in lines],
                         [("/policies/p", "s"), (None, None)])
        recent = self.proxy.get("/v1/requests/recent")["requests"]
        self.assertEqual([one["setting"] for one in recent], ["/policies/p"])

    def test_what_is_named_stays_and_must_be_there(self):
        self.start({"p": {"access": {"deny": ["10.0.0.0/8"]}}})
        self.assertEqual(self.proxy.api("DELETE", "/v1/policies/p").status, 409)
        self.document["routes"]["guarded"]["policies"] = ["q"]
        problem = self.proxy.api("PUT", "/v1/config", self.document)
        self.assertEqual(problem.status, 422)
        self.assertEqual(problem.body["errors"][0]["pointer"], "#/routes/guarded/policies/0")


if __name__ == "__main__":
    unittest.main()
