"""A real Prometheus scrapes a running lbd, in both formats, and answers queries."""

import http.server
import threading
import unittest
import urllib.request
from pathlib import Path

from lab import LabCase, config_for
from lab.scraper import Prometheus

ROOT = Path(__file__).resolve().parents[2]


class PlainText(http.server.BaseHTTPRequestHandler):
    """Stands in front of an lbd and asks it for the text format, whatever was asked."""

    target = None
    types = set()

    def do_GET(self):  # the name is the library's
        request = urllib.request.Request(
            f"http://{self.target}{self.path}", headers={"Accept": "text/plain"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                body = answer.read()
                kind = answer.headers["Content-Type"]
            self.types.add(kind)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # one of the two is gone
            self.close_connection = True

    def log_message(self, *_):
        pass


class RealPrometheus(LabCase):
    def scrape(self, proxy):
        """Both formats of one lbd, as the jobs `lbd` and `text`."""
        host, port = proxy.observe_address()
        PlainText.target = f"{host}:{port}"
        PlainText.types = set()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PlainText)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        prometheus = Prometheus(
            {"lbd": PlainText.target, "text": f"127.0.0.1:{server.server_port}"},
            rules=[ROOT / "contrib/prometheus/lbd-alerts.yml"],
        )
        self.addCleanup(prometheus.stop)
        return prometheus

    def test_both_formats(self):
        document = config_for(
            self.origin(), pool={"health_check": "t"},
            health_checks={"t": {"type": "tcp", "interval": "1s"}},
            observability={"metrics": {"server_scope": "full"}},
        )
        proxy = self.lbd(document)
        proxy.wait_health("a", "up")
        prometheus = self.scrape(proxy)
        self.wait_for(lambda: set(prometheus.query("up").values()) == {1.0}
                      and len(prometheus.query("up")) == 2, "both are up")
        # one may be late on a busy machine; the next is not
        self.wait_for(lambda: {(target["health"], target["lastError"])
                               for target in prometheus.get("targets")["activeTargets"]} == {("up", "")}, "no error")
        self.assertEqual(PlainText.types, {"text/plain; version=0.0.4; charset=utf-8"})

        client = self.connect(proxy)
        for _ in range(50):
            client.get("/")
        for job in ("lbd", "text"):
            total = f'lbd_http_requests_total{{job="{job}",protocol="http1",code_class="2xx"}}'
            self.wait_for(lambda: prometheus.value(total) == 50, f"{job}: 50 requests")
            self.wait_for(lambda: (prometheus.value(f"rate({total}[1m])") or 0) > 0,
                          f"{job}: a rate")
            count = f'lbd_pool_response_duration_seconds_count{{job="{job}"}}'
            self.wait_for(lambda: prometheus.value(count) == 50, f"{job}: histogram")
            up = f'lbd_pool_servers{{job="{job}",state="up"}}'
            self.wait_for(lambda: prometheus.value(up) == 1, f"{job}: a server")
            quantile = f'histogram_quantile(0.99, lbd_pool_response_duration_seconds_bucket{{job="{job}"}})'
            self.wait_for(lambda: 0 < (prometheus.value(quantile) or 0) < 100, f"{job}: a quantile")

        # the same series, whatever was negotiated
        for name in ("__name__", "le", "reason", "code_class"):
            with self.subTest(name):
                values = [
                    set(prometheus.get(f"label/{name}/values", **{"match[]": f'{{job="{job}"}}'}))
                    for job in ("lbd", "text")
                ]
                self.assertEqual(values[0], values[1])
        names = prometheus.get("label/__name__/values", **{"match[]": '{job="lbd"}'})
        self.assertIn("lbd_listener_connections", names)
        self.assertIn("lbd_listener_connections_total", names)

        # what it knows of their kinds
        kinds = {
            item["metric"]: item["type"]
            for item in prometheus.get("targets/metadata", match_target='{job="text"}')
        }
        self.assertEqual(kinds["lbd_http_requests_total"], "counter")
        self.assertEqual(kinds["lbd_http_request_duration_seconds"], "histogram")
        self.assertNotIn("unknown", kinds.values())

        def rules():
            return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]

        self.assertGreaterEqual(len(rules()), 12)
        for rule in rules():
            self.assertIn(rule["health"], ("ok", "unknown"), rule)  # unknown: not evaluated yet
        # a scrape that was late may have made one pending for a moment
        self.wait_for(lambda: {rule["state"] for rule in rules()} == {"inactive"}, "nothing to complain of")

    def test_a_dead_lbd_is_seen(self):
        proxy = self.lbd(config_for(self.origin()))
        prometheus = self.scrape(proxy)
        self.wait_for(lambda: prometheus.value('up{job="lbd"}') == 1, "up")
        proxy.stop()
        self.wait_for(lambda: prometheus.value('up{job="lbd"}') == 0, "down")
        self.wait_for(
            lambda: any(a["labels"]["alertname"] == "LbdDown"
                        for a in prometheus.get("alerts")["alerts"]),
            "an alert",
        )


if __name__ == "__main__":
    unittest.main()
