"""The exporter as a child process, and its answers over HTTP."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from exporter.settings import ListenAddress

CONFIG_FILE = Path(__file__).with_name("config.yaml")
_SECONDS_TO_END = 15.0
_LONGEST_LINE = 500
_OWN_METRICS = ("metric_filter_", "python_", "process_")


class Exporter:
    """The exporter, run as it would run against AWS: ``python -m exporter run``."""

    def __init__(self, address: ListenAddress, storage: Path, log: Path) -> None:
        everywhere = address.host in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
        local = ListenAddress("127.0.0.1", address.port) if everywhere else address
        self.url = f"http://{local}"
        self._command = [sys.executable, "-m", "exporter", "run"]
        self._command += ["--config.file", str(CONFIG_FILE)]
        self._command += ["--web.listen-address", str(address)]
        self._command += ["--storage.path", str(storage)]
        # The demo itself looks at the page before Prometheus has come for the first time.
        self._command += ["--metrics.birth-hold", "5s"]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        # The exporter is on this machine: a proxy has no business between.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it with these variables instead of every inherited AWS_ and MFE_ variable."""
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "MFE_"))
        }
        with self._log.open("ab") as log:
            # A separate process group: ctrl-C reaches the demo only, which then ends the exporter.
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                env=own | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process is not None else None

    def ready(self) -> bool:
        """Whether it has tried to read everything once."""
        return self._get("/-/ready") is not None

    def counters(self) -> list[Metric]:
        """The rules' metrics as they are exposed now; empty if it does not answer."""
        page = self._get("/metrics")
        if page is None:
            return []
        return [
            metric
            for metric in text_string_to_metric_families(page)
            if metric.type in ("counter", "histogram") and not metric.name.startswith(_OWN_METRICS)
        ]

    def last_words(self, lines: int = 20) -> str:
        """The end of its log, long lines cut."""
        with contextlib.suppress(OSError):
            said = self._log.read_text(errors="replace").splitlines()[-lines:]
            return "\n".join(line[:_LONGEST_LINE] for line in said)
        return ""

    def stop(self) -> None:
        """End it: politely, then not; idempotent."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _get(self, path: str) -> str | None:
        try:
            with self._opener.open(self.url + path, timeout=2) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None
