"""A Prometheus next to the demo's exporter, if it is installed: it scrapes and alerts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]
_ALERTS = _REPOSITORY / "alerts"
"""The alert rules; an installed package has none."""
_TOOLS = _REPOSITORY / ".tools" / "bin"
_SECONDS_TO_END = 10.0

_CONFIGURATION = """\
global: {{scrape_interval: 5s, evaluation_interval: 5s}}
rule_files: {rules}
scrape_configs:
  - job_name: metric-filter-exporter
    honor_labels: true
    static_configs: [{{targets: ["{target}"]}}]
"""


def configuration(rule_files: Iterable[Path], target: str) -> str:
    """Prometheus's configuration file; ``target``: the exporter's host and port."""
    return _CONFIGURATION.format(rules=[str(path) for path in rule_files], target=target)


def find_prometheus() -> Path | None:
    """The path of Prometheus, if installed: the newest of the repository's tools first."""
    places = os.pathsep.join((str(_TOOLS), os.environ["PATH"]))
    for name in ("prometheus3", "prometheus2", "prometheus"):
        found = shutil.which(name, path=places)
        if found is not None:
            return Path(found)
    return None


class Prometheus:
    """Prometheus as a child process, with the alert rules that come with the exporter."""

    def __init__(self, binary: Path, folder: Path, target: str) -> None:
        """``folder`` takes all its files; ``target``: the exporter's host and port."""
        self.binary = binary
        self._folder = folder
        self._target = target
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{self._address}"

    def start(self) -> None:
        """Start it; it scrapes within some seconds."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "prometheus.yml"
        path.write_text(configuration(sorted(_ALERTS.glob("*.yaml")), self._target))
        with (self._folder / "prometheus.log").open("wb") as log:
            # A separate process group, like the exporter: ctrl-C reaches the demo only.
            self._process = subprocess.Popen(  # noqa: S603
                [
                    str(self.binary),
                    f"--config.file={path}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={self._address}",
                    "--enable-feature=exemplar-storage",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def stop(self) -> None:
        """End it; idempotent."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
