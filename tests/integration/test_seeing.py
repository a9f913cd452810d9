"""What a request's end says: the setting behind it, who ended it, and what can be done."""

import unittest

from lab import LabCase, config_for


def silent(peer):
    """Takes a request and never answers."""
    peer.rx_head()
    peer.wait_closed()


class Settings(LabCase):
    def test_a_timeout_names_its_setting(self):
        proxy = self.lbd(config_for(self.origin(silent), pool={"retries": 0, "timeouts": {"response": "200ms"}}))
        response = self.connect(proxy).get("/")
        self.assert_reason(response, 504, "response_timeout")
        self.assertIsNone(response.get("Lbd-Reason-Detail"), "names of pools are told only when asked to")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual((line["setting"], line["setting_value"]), ("/pools/main/timeouts/response", "200ms"))

    def test_a_limit_names_the_server_that_has_it(self):
        server = self.origin(silent)
        document = config_for({"address": server.address, "max_connections": 1}, listener={"reason_detail": True})
        proxy = self.lbd(document)
        self.connect(proxy).send_request("GET", "/first")
        server.wait_requests(1)
        response = self.connect(proxy).get("/second")
        self.assert_reason(response, 503, "server_limit")
        self.assertEqual(response.get("Lbd-Reason-Detail"), "/pools/main/servers/a/max_connections=1")
        (line,) = proxy.wait_access_log(1)
        self.assertEqual(line["setting"], "/pools/main/servers/a/max_connections")
        self.assertEqual(line["setting_value"], "1")

    def test_a_limit_of_the_listener(self):
        proxy = self.lbd(config_for(self.origin(), listener={
            "reason_detail": True, "limits": {"header_fields": 10}}))
        response = self.connect(proxy).get("/", {f"X-{index}": "y" for index in range(20)})
        self.assert_reason(response, 431, "too_many_headers")
        self.assertEqual(response.get("Lbd-Reason-Detail"), "/listeners/web/limits/header_fields=10")

    def test_what_no_setting_is_behind_names_none(self):
        proxy = self.lbd(config_for(listener={"reason_detail": True}))
        response = self.connect(proxy).get("/")
        self.assert_reason(response, 503, "no_server")
        self.assertIsNone(response.get("Lbd-Reason-Detail"))
        (line,) = proxy.wait_access_log(1)
        self.assertNotIn("setting", line)

    def test_every_setting_that_is_named_exists(self):
        """The pointer can be given to the API as it is."""
        proxy = self.lbd(config_for(self.origin(silent), pool={"timeouts": {"response": "200ms"}, "retries": 0}))
        self.connect(proxy).get("/")
        (line,) = proxy.wait_access_log(1)
        node = proxy.get("/v1/config?defaults=true")
        for key in line["setting"].strip("/").split("/"):
            node = node[key]
        self.assertEqual(node, line["setting_value"])

    def test_a_silent_tunnel(self):
        proxy = self.lbd(config_for(self.origin(lambda peer: peer.wait_closed()), listener={
            "protocol": "tcp", "timeouts": {"tunnel_idle": "200ms"}}))
        client = self.connect(proxy)
        client.send("hello")
        client.read_rest()
        (line,) = proxy.wait_access_log(1)
        self.assertEqual(line["reason"], "tunnel_timeout")
        self.assertEqual((line["setting"], line["setting_value"]), ("/listeners/web/timeouts/tunnel_idle", "200ms"))

    def test_reasons_come_with_advice(self):
        proxy = self.lbd(config_for())
        reasons = proxy.get("/v1/reasons")
        self.assertEqual(reasons["client_abort"]["ended_by"], "client")
        self.assertEqual(reasons["server_reset"]["ended_by"], "server")
        for word, reason in reasons.items():
            self.assertTrue(reason["advice"], word)


if __name__ == "__main__":
    unittest.main()
