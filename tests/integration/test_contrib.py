"""What lies in contrib/: the alerts hold, the dashboard is what its script makes, and every metric they
name is one that a real lbd shows."""

import imaplib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from lab import LabCase, config_for
from lab import metrics as prometheus
from lab.certs import Authority
from lab.imap_server import ImapServer

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "contrib/prometheus"
GRAFANA = ROOT / "contrib/grafana"
NAME = re.compile(r"\b(?:lbd|process)_[a-z0-9_]+")


def promtool(*args, cwd=PROMETHEUS):
    return subprocess.run(["promtool", *args], cwd=cwd, text=True, capture_output=True, timeout=200)


def rules():
    """[(alert, expression)]: the file is YAML of a plain kind."""
    found = []
    lines = (PROMETHEUS / "lbd-alerts.yml").read_text().splitlines()
    for number, line in enumerate(lines):
        if "- alert: " in line:
            found.append([line.split(": ")[1], ""])
        elif line.strip().startswith("expr: "):
            found[-1][1] = line.split("expr: ", 1)[1]
            if found[-1][1] == "|":
                indent = len(lines[number + 1]) - len(lines[number + 1].lstrip())
                body = []
                for more in lines[number + 1:]:
                    if len(more) - len(more.lstrip()) < indent:
                        break
                    body.append(more.strip())
                found[-1][1] = " ".join(body)
    return found


def dashboard():
    return json.loads((GRAFANA / "lbd.json").read_text())


def expressions():
    """[(panel, expression)] of the dashboard, its variables and annotations included."""
    found = []
    for panel in dashboard()["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", [])]
    for note in dashboard()["annotations"]["list"]:
        found.append((note["name"], note["expr"]))
    for variable in dashboard()["templating"]["list"]:
        query = variable["query"]
        if isinstance(query, dict):
            found.append((variable["name"],
                          re.sub(r"label_values\((.*), \w+\)", r"\1", query["query"])))
    return found


class Alerts(unittest.TestCase):
    def test_rules_are_clean(self):
        done = promtool("check", "rules", "lbd-alerts.yml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_rules_hold(self):
        done = promtool("test", "rules", "lbd-alerts-test.yml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_rule_is_tested_both_ways(self):
        text = (PROMETHEUS / "lbd-alerts-test.yml").read_text()
        for name, _ in rules():
            with self.subTest(name):
                self.assertRegex(text, rf"alertname: {name}, exp_alerts: \[\]")
                self.assertRegex(text, rf"alertname: {name}\n +exp_alerts:\n +- exp_labels")


class Dashboard(unittest.TestCase):
    def test_is_what_the_script_makes(self):
        done = subprocess.run(
            [sys.executable, "-B", GRAFANA / "make_dashboard.py", "--check"], text=True,
            capture_output=True, timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_panels_have_places_of_their_own(self):
        taken = {}
        for panel in dashboard()["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), taken, f"{panel['title']} on {taken.get((x, y))}")
                    taken[(x, y)] = panel["title"]
        ids = [panel["id"] for panel in dashboard()["panels"]]
        self.assertEqual(len(ids), len(set(ids)))

    def test_expressions_are_promql(self):
        groups = []
        for title, expression in expressions():
            expression = expression.replace("$__rate_interval", "1m")
            expression = expression.replace("$instance", ".+").replace("$pool", ".+")
            groups.append({"record": f"lbd:panel{len(groups)}", "expr": expression,
                           "labels": {"panel": re.sub(r"[^a-z]+", "_", title.lower())}})
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "panels.json"  # JSON is YAML
            path.write_text(json.dumps({"groups": [{"name": "panels", "rules": groups}]}))
            done = promtool("check", "rules", str(path))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def reference(values):
    """Every family as a table of Markdown: what docs/metrics.md ends with."""
    lines = ["| metric | type | labels | what |", "|---|---|---|---|"]
    for name, kind in values.types.items():
        labels = []
        for (sample, pairs), _ in values.items():
            if prometheus.family_of(values, sample) == name:
                labels += [label for label, _ in pairs if label not in labels and label != "le"]
        words = " ".join(f"`{label}`" for label in sorted(labels))
        lines.append(f"| `{name}` | {kind} | {words} | {values.helps[name]} |")
    return "\n".join(lines) + "\n"


class Names(LabCase):
    def check_reference(self, values):
        """LBD_WRITE_METRICS=1 writes the table of docs/metrics.md instead of comparing it."""
        path = ROOT / "docs/metrics.md"
        head, mark, table = path.read_text().partition("| metric | type |")
        want = reference(values)
        if os.environ.get("LBD_WRITE_METRICS"):
            path.write_text(head + want)
        else:
            self.assertEqual(mark + table, want, "run this test with LBD_WRITE_METRICS=1")

    def test_every_metric_exists(self):
        go = threading.Event()

        def script(peer):
            while True:
                if peer.rx().target == "/slow":
                    go.wait(60)
                peer.tx(200, "x")

        server = self.origin(script)
        document = config_for(
            server, pool={"health_check": "t"},
            health_checks={"t": {"type": "tcp", "interval": "1s"}},
            routes={"r": {"listener": "web", "match": {"path_prefix": "/r"}, "policies": ["p"],
                          "action": {"pool": "main"}}},
            policies={"p": {"rate_limit": {"requests": 100}}},
            observability={"metrics": {"server_scope": "full"}},
        )
        folder = tempfile.mkdtemp(prefix="lab-contrib-")
        self.addCleanup(shutil.rmtree, folder, True)
        authority = Authority(folder)
        own = authority.issue("own", "localhost", ["DNS:localhost"], days=30)
        shown = authority.issue("shown", "shop.test", more=["authorityInfoAccess=OCSP;URI:http://127.0.0.1:9/"])
        document["certificates"] = {"shop": {"chain_file": str(shown.chain), "key_file": str(shown.key)}}
        boxes = ImapServer(self)
        document["pools"]["boxes"] = {"servers": {"b": {"address": boxes.address}}}
        document["listeners"]["imap"] = {"bind": ["127.0.0.1:0"], "protocol": "imap", "default_pool": "boxes",
                                         "mail": {"allow_cleartext": True}}
        proxy = self.lbd(document, api={
            "listen": ["127.0.0.1:0"],
            "tls": {"chain_file": str(own.chain), "key_file": str(own.key)},
        })
        proxy.wait_health("a", "up")
        user = imaplib.IMAP4("127.0.0.1", proxy.port("imap"), timeout=30)
        self.addCleanup(user.shutdown)
        user.login("anna", "secret")
        self.connect(proxy).get("/r")
        proxy.wait_metric(1, "lbd_mail_sessions_total")
        proxy.wait_metric(1, "lbd_route_requests_total", code_class="2xx")
        # a drain that waits: its numbers are there only then
        slow = self.connect(proxy)
        slow.send_request("GET", "/slow")
        server.wait_requests(2)
        proxy.put("/v1/pools/main/servers/a/admin-state", {"state": "drain", "deadline": "20s"})
        self.addCleanup(go.set)
        values = proxy.metrics()
        self.assertEqual(
            prometheus.total(values, "lbd_drain_connections", pool="main", server="a"), 1)
        left = prometheus.total(values, "lbd_tls_certificate_not_after_timestamp_seconds",
                                certificate="daemon.api") - time.time()
        self.assertAlmostEqual(left / 86400, 30, delta=0.1)
        samples = {name for name, _ in values}
        used = expressions() + rules()
        self.assertGreater(len(used), 80)
        for where, expression in used:
            names = NAME.findall(expression)
            self.assertTrue(names or expression.startswith("up{"), f"{where}: {expression}")
            for name in names:
                with self.subTest(where=where, name=name):
                    self.assertIn(name, samples)
                    self.assertIsNotNone(prometheus.family_of(values, name))
        self.check_reference(values)
        go.set()
        slow.read_response()
        proxy.wait_metric(1, "lbd_drains_total", result="done")
        self.assertNotIn("lbd_drain_connections", {name for name, _ in proxy.metrics()})


if __name__ == "__main__":
    unittest.main()
