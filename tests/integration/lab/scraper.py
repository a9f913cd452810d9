"""A real Prometheus that scrapes, in a directory of its own."""

import json
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

from .ports import free_port
from .waits import wait_for

START_TRIES = 5


class Prometheus:
    """`jobs`: {name: "host:port"}. Ends with stop()."""

    def __init__(self, jobs, rules=(), interval="1s"):
        self.directory = Path(tempfile.mkdtemp(prefix="lab-prometheus-"))
        self.process = None
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval,
                       "evaluation_interval": interval},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [address]}]}
                for name, address in jobs.items()
            ],
        }
        (self.directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        for _ in range(START_TRIES):  # somebody may take the port between the look and the start
            self.port = free_port()
            if self._start():
                return
        raise AssertionError(f"prometheus does not start\n{self.log()}")

    def _start(self):
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "prometheus", f"--config.file={self.directory}/prometheus.yml",
                 f"--storage.tsdb.path={self.directory}/data", "--log.level=warn",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        wait_for(lambda: self.process.poll() is not None or self._is_ready(), "prometheus", 60)
        return self.process.poll() is None

    def _is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def get(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def query(self, expression):
        """{labels: value} of an instant query."""
        result = self.get("query", query=expression)["result"]
        return {frozenset(item["metric"].items()): float(item["value"][1]) for item in result}

    def value(self, expression):
        """The one value of it, or None."""
        values = list(self.query(expression).values())
        assert len(values) <= 1, values
        return values[0] if values else None

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        shutil.rmtree(self.directory, ignore_errors=True)
