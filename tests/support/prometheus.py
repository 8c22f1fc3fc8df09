"""A real Prometheus server on loopback, for a test."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from tests.support.http import PLAIN_HTTP
from tests.support.processes import free_port, stop_process
from tests.support.waiting import wait_for

CREATED_FEATURES: Mapping[str, Sequence[str]] = {
    "2": (),
    "3": ("created-timestamp-zero-ingestion",),
}
"""By major version: what makes use of ``_created`` lines."""


def load(promtool: Path, directory: Path) -> None:
    """Fill the database of a Prometheus that is not started: ``samples.txt`` of its directory."""
    source, database = directory / "samples.txt", directory / "tsdb"
    command = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", str(source)]
    subprocess.run([*command, str(database)], check=True, capture_output=True)


@dataclass(frozen=True)
class Sample:
    """One series of an instant query's answer."""

    labels: dict[str, str]
    value: float


class Prometheus:
    """Scrapes targets, by default every second, and answers PromQL.

    Use as a context manager: it is running inside, and nothing of it is left behind outside of
    ``directory``.
    """

    def __init__(
        self,
        binary: Path,
        directory: Path,
        *,
        targets: Mapping[str, str],
        extra: Mapping[str, Any] | None = None,
        rule_files: Sequence[Path] = (),
        interval: str = "1s",
        features: Sequence[str] = (),
        retention: str = "15d",
    ) -> None:
        """``targets``: address (host:port) of each job's target; ``extra``: goes into each job.

        ``interval``: of scrapes and evaluations, and the scrapes' timeout. ``features``: feature
        flags beside exemplar-storage. ``retention``: how long samples are kept.
        """
        self._binary = binary
        self._directory = directory
        self._targets = dict(targets)
        self._extra = dict(extra or {})
        self._interval = interval
        self._rule_files = [str(path) for path in rule_files]
        self._features = ",".join(("exemplar-storage", *features))
        self._retention = retention
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = directory / "prometheus.log"

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        configuration = self._directory / "prometheus.yml"
        configuration.write_text(yaml.safe_dump(self._configuration()))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(self._binary),
                    f"--config.file={configuration}",
                    f"--storage.tsdb.path={self._directory / 'tsdb'}",
                    f"--storage.tsdb.retention.time={self._retention}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                    f"--enable-feature={self._features}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for("Prometheus to be ready", self._is_ready)
        except BaseException:
            stop_process(self._process)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            stop_process(self._process)

    def _configuration(self) -> dict[str, Any]:
        return {
            "global": {
                "scrape_interval": self._interval,
                "scrape_timeout": self._interval,
                "evaluation_interval": self._interval,
            },
            "rule_files": self._rule_files,
            "scrape_configs": [
                {
                    "job_name": job,
                    "honor_labels": True,  # as docs, compose and chart have it
                    "static_configs": [{"targets": [address]}],
                    **self._extra,
                }
                for job, address in self._targets.items()
            ],
        }

    def _is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"Prometheus ended:\n{self.log.read_text()[-2000:]}")
        try:
            return PLAIN_HTTP.get(f"{self.url}/-/ready").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """Return the ``data`` of an API answer: ``get("/api/v1/targets")``."""
        answer = PLAIN_HTTP.get(f"{self.url}{path}", params=parameters)
        body = answer.json()
        assert body["status"] == "success", body
        return body["data"]

    def wait_until_up(self, job: str, *, timeout: float = 30.0) -> None:
        """Wait until the job's target was scraped well (the first scrape comes some 5 s late)."""

        def is_up() -> bool:
            active = self.get("/api/v1/targets")["activeTargets"]
            mine = [target for target in active if target["labels"]["job"] == job]
            problems = [target["lastError"] for target in mine if target["lastError"]]
            assert not problems, problems
            return bool(mine) and all(target["health"] == "up" for target in mine)

        wait_for(f"{job} to be up", is_up, timeout=timeout)

    def wait_for_scrapes(self, job: str, count: int, *, timeout: float = 30.0) -> None:
        """Wait until ``count`` scrapes of the job's target that began from now on are over."""
        seen: set[str] = set()

        def are_over() -> bool:
            active = self.get("/api/v1/targets")["activeTargets"]
            seen.update(row["lastScrape"] for row in active if row["labels"]["job"] == job)
            return len(seen) > count  # the first of them began before

        wait_for(f"{count} scrapes of {job}", are_over, timeout=timeout)

    def query(self, expression: str, *, at: float | None = None) -> list[Sample]:
        """Return the answer of an instant query, now or at a time in seconds."""
        parameters = {"query": expression}
        if at is not None:
            parameters["time"] = f"{at:.3f}"
        data = self.get("/api/v1/query", **parameters)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(row["metric"], float(row["value"][1])) for row in data["result"]]

    def samples(self, selector: str, *, since: float = 0.0) -> list[tuple[float, float]]:
        """Return the stored samples of one series of the last hour: (seconds, value).

        ``since``: only those from then on. Empty if there is no such series.
        """
        rows = self.get("/api/v1/query", query=f"{selector}[1h]")["result"]
        assert len(rows) <= 1, [row["metric"] for row in rows]
        values = rows[0]["values"] if rows else []
        return [(at, float(value)) for at, value in values if at >= since]
