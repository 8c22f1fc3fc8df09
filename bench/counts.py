"""Whether every number in every dashboard is the difference of the ledger's totals.

    python -m bench.counts [--minutes 10] [--seed N]

The demo's events, the exporter with every pack and a Prometheus that scrapes it. Events stop before
the range and at its end, until all are counted and scraped; the ledger is read then. In the middle
the exporter is killed, and continues at another address, as a new pod does.

For each number, the dashboards' PromQL is compared with the sum of the ledger's differences: the
same dashboards with a counter's selector where its growth was, and a second Prometheus that has
the differences only. Bars are added up.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "grafana-dashboards"))

from exporter.ledger.sqlite import SqliteLedger
from generator import queries
from generator.__main__ import files
from generator.trail_rules import LEVELS, PREFIXES
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.child import CONFIG_FILE
from metric_filter_demo.traffic import Traffic
from tests.support.dashboards import Dashboard, PanelQuery, Window
from tests.support.processes import Exporter
from tests.support.prometheus import Prometheus, Sample, load
from tests.support.tools import find_tool
from tests.support.waiting import wait_for

JOB: Final = "metric-filter-exporter"
OVERVIEW: Final = Path(__file__).parents[1] / "alerts" / "security-overview.yaml"
OWN: Final = "metric_filter_exporter_"
CLOUDTRAIL: Final = re.compile(f"aws_({PREFIXES})_.+_total")
WARM_UP: Final = 40.0
QUIET: Final = 30.0
"""Seconds without a new count, after which all are counted: lines are up to 20 s late."""
STEP: Final = 60
OF_PROCESS: Final = (
    *("late_events", "undecodable_events", "api_throttles", "arrival_delay_seconds_bucket"),
    *("ledger_errors", "ledger_files_lost", "fenced_commits"),
)
"""Counters that are the process's own; the ledger has no totals of them."""

Series = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Check:
    """A panel's query, its number, and the one that the ledger says."""

    query: PanelQuery
    shown: list[Sample]
    counted: list[Sample]

    @property
    def agrees(self) -> bool:
        """Whether they are equal; a series that is missing is 0.

        Of the largest few, only the numbers are compared: others may be as large.
        """
        if "topk(" in self.query.expression:
            return _equal(sorted(_values(self.shown)), sorted(_values(self.counted)))
        shown, counted = _by_labels(self.shown), _by_labels(self.counted)
        return all(
            _equal([shown.get(labels, 0)], [counted.get(labels, 0)])
            for labels in shown.keys() | counted.keys()
        )


def _values(samples: list[Sample]) -> list[float]:
    return [sample.value for sample in samples]


def _by_labels(samples: list[Sample]) -> dict[frozenset[tuple[str, str]], float]:
    return {frozenset(sample.labels.items()): sample.value for sample in samples}


def _equal(some: list[float], others: list[float]) -> bool:
    pairs = zip(some, others, strict=False)
    return len(some) == len(others) and all(math.isclose(a, b, rel_tol=1e-9) for a, b in pairs)


def totals_of_the_ledger(storage: Path) -> dict[Series, float]:
    """Everything that the ledger counts, as the page names it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(storage, Path(folder) / "copy"))
        ledger = SqliteLedger.open(copy)
        totals: dict[Series, float] = {}
        for series in ledger.series():
            name = series.key.metric
            if series.buckets is not None:
                totals[f"{name}_sum", series.key.labels] = series.total
                name, count = f"{name}_count", float(sum(series.buckets))
                totals[name, series.key.labels] = count
            else:
                totals[name, series.key.labels] = series.total
        for rule in ledger.rule_totals():
            labels = (("rule", rule.rule), ("source", rule.source))
            totals[f"{OWN}matches_total", labels] = rule.matches
            totals[f"{OWN}value_errors_total", labels] = rule.value_errors
            totals[f"{OWN}series_overflow_total", labels] = rule.overflowed
        ledger.close()
    return totals


class Scene:
    """The demo under a Prometheus."""

    def __init__(self, folder: Path, aws: EmbeddedAws, seed: int) -> None:
        document: dict[str, Any] = yaml.safe_load(CONFIG_FILE.read_text())
        document["rule_files"] = [str(CONFIG_FILE.with_name("rules.yaml"))]
        self._feeds = {s["name"]: s.get("feed", s["name"]) for s in document["sources"]}
        path = folder / "exporter.yaml"
        path.write_text(yaml.safe_dump(document))
        self.storage = folder / "data"
        environment = aws.environment()
        self.before, self.after = (
            Exporter(path, self.storage, environment=environment) for _ in range(2)
        )
        both = {"static_configs": [{"targets": [self.before.address, self.after.address]}]}
        self.prometheus = Prometheus(
            find_tool("prometheus3"),
            folder / "prometheus",
            targets={JOB: ""},
            extra=both,
            rule_files=[OVERVIEW],
        )
        self._traffic = Traffic(aws, seed=seed)

    def begin(self) -> None:
        """Let things happen for a while, so that some series exist. Log groups come first."""
        self._traffic.start()
        self.before.start()
        wait_for("the first scrape", lambda: self.prometheus.query("up == 1"), timeout=60)
        time.sleep(WARM_UP)
        self._traffic.stop()

    def events(self, seconds: float) -> None:
        """Let everything happen, and replace the exporter in the middle."""
        self._traffic.start()
        self._traffic.put_every_drill()
        time.sleep(seconds / 2)
        self.before.kill()
        self.after.start()
        self._traffic.put_every_drill()
        time.sleep(seconds / 2)
        self._traffic.stop()

    def end(self) -> None:
        """End the traffic, and kill what runs."""
        self._traffic.stop()
        for exporter in (self.before, self.after):
            if exporter.running:
                exporter.kill()

    def quiet(self) -> tuple[int, dict[Series, float]]:
        """Wait for the end of counting; a whole minute since the epoch, and the ledger's totals."""
        totals, since = totals_of_the_ledger(self.storage), time.monotonic()
        while time.monotonic() - since < QUIET:
            time.sleep(2)
            now = totals_of_the_ledger(self.storage)
            if now != totals:
                totals, since = now, time.monotonic()
        minute = math.ceil(time.time() / STEP) * STEP
        time.sleep(minute + 2 - time.time())
        if totals_of_the_ledger(self.storage) != totals:
            raise RuntimeError("more was counted in the quiet")
        return minute, totals

    def named(self, series: Series) -> dict[str, str]:
        """The labels of a series in Prometheus."""
        name, labels = series
        found = dict(labels)
        if name.startswith(OWN):
            found["feed"] = self._feeds[found["source"]]
        return {"__name__": name, "job": JOB, "instance": "ledger", **found}


def recorded(totals: Mapping[Series, float]) -> dict[Series, float]:
    """What the overview's rules record of these totals."""
    largest: dict[Series, float] = {}
    for (name, labels), total in totals.items():
        if CLOUDTRAIL.fullmatch(name):
            series = name, tuple(x for x in labels if x[0] not in {"source", "log_group"})
            largest[series] = max(total, largest.get(series, 0.0))
    sums: dict[Series, float] = defaultdict(float)
    for (name, labels), total in largest.items():
        known = [("metric", name), *labels]
        for level, kept in LEVELS.items():
            place = tuple(sorted((key, value) for key, value in known if key in kept))
            sums[f"{level}:aws_events:total", place] += total
    return sums


def differences(
    scene: Scene, facts: list[Sample], begin: Mapping[Series, float], end: Mapping[Series, float]
) -> Iterator[tuple[dict[str, str], float]]:
    """Labels and value: the counts, and the facts that queries join."""
    for series, total in end.items():
        yield scene.named(series), total - begin.get(series, 0.0)
    before = recorded(begin)
    for (name, labels), total in recorded(end).items():
        yield {"__name__": name, **dict(labels)}, total - before.get((name, labels), 0.0)
    for fact in facts:
        yield {**fact.labels, "instance": "ledger"}, fact.value


def prometheus_of(folder: Path, rows: list[tuple[dict[str, str], float]], at: int) -> Prometheus:
    """A Prometheus that has these series at a moment."""
    lines = []
    for labels, value in rows:
        text = ",".join(f"{k}={quoted(v)}" for k, v in labels.items() if k != "__name__")
        lines.append(f"{labels['__name__']}{{{text}}} {value} {at}")
    folder.mkdir()
    (folder / "samples.txt").write_text("\n".join([*sorted(lines), "# EOF", ""]))
    load(find_tool("promtool3"), folder)
    return Prometheus(find_tool("prometheus3"), folder, targets={})


def quoted(value: str) -> str:
    """A label's value in quotes, as the text format has it."""
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def plain_dashboards(folder: Path) -> list[Dashboard]:
    """The dashboards, with counters where their growth was."""
    folder.mkdir()

    def plain(end: str, *_: str) -> str:
        return end

    def edges(selector: str, *_: str) -> tuple[str, str]:
        return selector, selector

    with patch.object(queries, "_since", plain), patch.object(queries, "_edges", edges):
        for path, text in files().items():
            (folder / path.name).write_text(text)
    return [Dashboard(path) for path in sorted(folder.glob("*.json"))]


def numbers(dashboard: Dashboard, chosen: Mapping[str, str], window: Window) -> list[PanelQuery]:
    """The queries that count what the ledger counts."""
    return [
        query
        for query in dashboard.panel_queries(chosen, window)
        if not any(f"{OWN}{name}" in query.expression for name in OF_PROCESS)
    ]


def compare(
    scene: Scene, ledger: Prometheus, folder: Path, begin: int, end: int
) -> Iterator[Check]:
    """Each number of each dashboard; of the rule explorer, for each rule."""
    window = Window(f"{end - begin}s", f"{STEP}s", f"{STEP}s")
    facts = [s.labels for s in scene.prometheus.query("metric_filter_rule_info", at=end)]
    real = [Dashboard(path) for path in sorted(files())]
    for shown, plain in zip(real, plain_dashboards(folder), strict=True):
        choices: list[dict[str, str]] = [{"rule": "", "metric": ""}]
        if any(variable["name"] == "rule" for variable in shown.variables):
            choices = [{"rule": fact["rule"], "metric": fact["metric"]} for fact in facts]
        for chosen in choices:
            pairs = zip(numbers(shown, chosen, window), numbers(plain, chosen, window), strict=True)
            for query, of_ledger in pairs:
                if "last_over_time(" not in query.expression:
                    continue
                if query.instant:
                    found = scene.prometheus.query(query.expression, at=end)
                else:
                    found = added_up(scene.prometheus, query.expression, begin, end)
                counted = ledger.query(of_ledger.expression, at=end)
                named = replace(query, panel=f"{query.panel} ({chosen['rule']})")
                yield Check(named if chosen["rule"] else query, found, counted)


def added_up(prometheus: Prometheus, expression: str, begin: int, end: int) -> list[Sample]:
    """The sums of the bars; those of the largest few are the same all along."""
    data = prometheus.get(
        "/api/v1/query_range",
        query=expression,
        start=str(begin + STEP),
        end=str(end),
        step=str(STEP),
    )
    return [
        Sample(row["metric"], math.fsum(float(value) for _, value in row["values"]))
        for row in data["result"]
    ]


def run(folder: Path, *, minutes: float, seed: int) -> list[Check]:
    """The demo for this time, and each number at its end."""
    free = {"LookupEvents": math.inf, "FilterLogEvents": math.inf}
    with ExitStack() as stack:
        aws = stack.enter_context(EmbeddedAws(quotas=free))
        scene = Scene(folder, aws, seed)
        stack.callback(scene.end)
        stack.enter_context(scene.prometheus)
        scene.begin()
        begin, at_begin = scene.quiet()
        scene.events(minutes * 60)
        end, at_end = scene.quiet()
        facts = scene.prometheus.query('{__name__=~"metric_filter_rule_info|up"} > 0', at=end)
        rows = [*differences(scene, facts, at_begin, at_end)]
        with prometheus_of(folder / "ledger", rows, end) as ledger:
            return list(compare(scene, ledger, folder / "dashboards", begin, end))


def main() -> int:
    """Print what differs; 1 if something does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}: every number of every dashboard, {options.minutes:g} minutes")
    with tempfile.TemporaryDirectory(prefix="counts-") as name:
        checks = run(Path(name), minutes=options.minutes, seed=options.seed)
    wrong = [check for check in checks if not check.agrees]
    for check in wrong:
        print(f"{check.query}: {check.query.expression}")
        print(f"  shown:   {_by_labels(check.shown)}\n  counted: {_by_labels(check.counted)}")
    sums = sum(sum(_values(check.counted)) > 0 for check in checks)
    print(f"{len(checks)} queries, {sums} of them above 0: {len(wrong)} differ from the ledger.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
