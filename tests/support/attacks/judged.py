"""The project's alerts over a time that was played, judged by a real Prometheus.

It evaluates the recording rules and the expression of each alert over that time. Only ``for`` and
``keep_firing_for`` are applied here.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from exporter.yamlfile.durations import parse_duration
from tests.support.alerting import rules_of
from tests.support.attacks.played import BLOCK
from tests.support.prometheus import Prometheus
from tests.support.tools import PrometheusBinaries

SEVERITIES: Final = ("critical", "warning", "info")
STEP: Final = 60
"""Seconds between two evaluations."""
RETENTION: Final = "100y"


@dataclass(frozen=True)
class Fired:
    """A series of an alert that fired."""

    alert: str
    severity: str
    account: str
    labels: Mapping[str, str]
    times: Sequence[tuple[float, float]]
    """From when to when, seconds since the epoch."""

    def is_of(self, severity: str, alert: str) -> bool:
        """Whether it belongs to the alert of this severity and name."""
        return (self.severity, self.alert) == (severity, alert)


class Judge:
    """A Prometheus with the samples of a time that was played. Use ``fired``."""

    def __init__(self, binaries: PrometheusBinaries, folder: Path, files: Iterable[Path]) -> None:
        """``files``: of ``played.play``. ``folder`` is for the database."""
        self._binaries = binaries
        self._folder = folder
        folder.mkdir()
        self._load(files)

    def fired(
        self, rule_files: Iterable[Path], start: int, end: int, *, recorded: Sequence[range] = ()
    ) -> list[Fired]:
        """Evaluate the alerts of rule files between two times.

        ``recorded``: earlier times for which the recording rules are evaluated too.
        """
        rules = [rule for path in rule_files for rule in rules_of(path)]
        waiting = [rule for rule in rules if "record" in rule]
        while waiting:
            # A rule may use what another records: that one comes first.
            names = [rule["record"] for rule in waiting]
            ready = [rule for rule in waiting if not any(name in rule["expr"] for name in names)]
            self._record(ready, [*recorded, range(start, end + STEP, STEP)])
            waiting = [rule for rule in waiting if rule not in ready]
        alerts = [rule for rule in rules if "alert" in rule]
        with self._running() as server:
            return [one for rule in alerts for one in _fired(server, rule, start, end)]

    def _running(self) -> Prometheus:
        return Prometheus(self._binaries.prometheus, self._folder, targets={}, retention=RETENTION)

    def _record(self, rules: Sequence[Mapping[str, Any]], windows: Iterable[range]) -> None:
        if not rules:
            raise ValueError("recording rules that use each other")
        lines: dict[int, list[str]] = defaultdict(list)
        with self._running() as server:
            for times in windows:
                for rule in rules:
                    for row in _evaluated(server, rule["expr"], times):
                        labels = {**row["metric"], **rule.get("labels", {}), "__name__": ""}
                        name = rule["record"] + _text(labels)
                        for at, value in row["values"]:
                            lines[int(at) // BLOCK].append(f"{name} {value} {at}")
        files = []
        for block, of in lines.items():
            files.append(self._folder / f"{block}.txt")
            files[-1].write_text("\n".join([*of, "# EOF\n"]))
        self._load(files)

    def _load(self, files: Iterable[Path]) -> None:
        command = [str(self._binaries.promtool), "tsdb", "create-blocks-from", "openmetrics"]
        for file in files:
            arguments = str(file), str(self._folder / "tsdb")
            subprocess.run([*command, *arguments], check=True, capture_output=True)
            file.unlink()


def _evaluated(server: Prometheus, expression: str, times: range) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = server.get(
        "/api/v1/query_range",
        query=expression,
        start=str(times[0]),
        end=str(times[-1]),
        step=str(times.step),
    )["result"]
    return rows


def _text(labels: Mapping[str, str]) -> str:
    """Labels as OpenMetrics has them; those that are empty are none."""
    pairs = (f"{n}={json.dumps(v, ensure_ascii=False)}" for n, v in labels.items() if v)
    return "{" + ",".join(pairs) + "}"


def _fired(server: Prometheus, rule: Mapping[str, Any], start: int, end: int) -> Iterator[Fired]:
    pending = parse_duration(rule.get("for", "0s"))
    kept = parse_duration(rule.get("keep_firing_for", "0s"))
    rows = _evaluated(server, rule["expr"], range(start, end + STEP, STEP))
    for row in rows:
        labels = {name: value for name, value in row["metric"].items() if name != "__name__"}
        times = firing([at for at, _ in row["values"]], pending, kept)
        if times:
            severity = rule["labels"]["severity"]
            yield Fired(rule["alert"], severity, labels.get("account_id", ""), labels, times)


def firing(true: Iterable[float], pending: float, kept: float) -> list[tuple[float, float]]:
    """From when to when an alert fires whose condition is true at these evaluations.

    ``pending``, ``kept``: its ``for`` and ``keep_firing_for``, in seconds.
    """
    spans: list[tuple[float, float]] = []
    since = latest = float("-inf")
    for at in true:
        if at - latest > STEP:
            since = at
        latest = at
        if at - since < pending:
            continue
        began = at
        if spans and at <= spans[-1][1]:
            began, _ = spans.pop()
        spans.append((began, at + STEP + kept))
    return spans


def notifications(fired: Iterable[Fired]) -> Counter[tuple[str, str]]:
    """How often someone is notified, by severity and alert.

    As docs/alerts.md routes them: one notification for each alert and account, and another one if
    it fires again after it had ended.
    """
    by_group: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for one in fired:
        by_group[one.severity, one.alert, one.account] += one.times
    counts: Counter[tuple[str, str]] = Counter()
    for (severity, alert, _), times in by_group.items():
        latest = float("-inf")
        for began, ended in sorted(times):
            counts[severity, alert] += began > latest
            latest = max(latest, ended)
    return counts
