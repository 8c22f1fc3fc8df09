"""The alerts, and what time series their expressions may speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from prometheus_client.metrics import MetricWrapperBase

from exporter.aws.bucket import QuotaState
from exporter.aws.uses import Use, using
from exporter.configuration.thresholds import Threshold
from exporter.metrics.by_source import BySource
from exporter.metrics.partitions import Meter
from exporter.metrics.rule_info import RULE_INFO, THRESHOLD, RuleInfo
from exporter.metrics.tables import LabelledMetric
from exporter.metrics.telemetry import Telemetry
from exporter.model import Partition
from exporter.planning.plan import READ_EVERYTHING
from exporter.sources.base import Backlog
from exporter.sources.thinning import Rereads
from tests.support.promql import Labels, output_labels
from tests.support.tools import ROOT

ALERTS: Final = ROOT / "alerts"
ALERT_TESTS: Final = ALERTS / "tests"
RUNBOOKS: Final = ROOT / "docs" / "runbooks"
PACKS: Final = ROOT / "config" / "rules"

_SCRAPED: Final = frozenset({"job", "instance"})
_PLACE: Final = frozenset({"account_id", "region", "source", "log_group"})
_PROCESS: Final = (
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
)


@dataclass(frozen=True)
class Alert:
    """An alerting rule."""

    group: str
    """Of the rule files: ``lambda`` for alerts/lambda.yaml."""
    name: str
    expression: str
    severity: str
    summary: str
    description: str
    runbook_url: str


def rule_files() -> list[Path]:
    """Prometheus's rule files of the project."""
    return sorted(ALERTS.glob("*.yaml"))


@cache
def rules_of(path: Path) -> list[dict[str, Any]]:
    """All rules of a file, of all its groups."""
    groups: list[dict[str, Any]] = _document(path)["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[Alert]:
    """All alerts; a name may come twice, with a severity each."""
    return [
        Alert(
            path.stem,
            rule["alert"],
            rule["expr"],
            rule.get("labels", {}).get("severity", ""),
            rule.get("annotations", {}).get("summary", ""),
            rule.get("annotations", {}).get("description", ""),
            rule.get("annotations", {}).get("runbook_url", ""),
        )
        for path in rule_files()
        for rule in rules_of(path)
        if "alert" in rule
    ]


def metric_labels() -> dict[str, Labels]:
    """The label names of each time series name that a user's Prometheus can have.

    Of Prometheus, of the exporter itself, of the rule packs, and what the rule files record.
    """
    labels = {"up": _SCRAPED, **_telemetry_labels(), **_pack_labels()}
    for path in rule_files():
        for rule in rules_of(path):
            if "record" in rule:
                labels.setdefault(rule["record"], frozenset())  # it may read itself
                labels[rule["record"]] = output_labels(rule["expr"], labels)
    return labels


def pack_rules(pack: str) -> list[dict[str, Any]]:
    """The rules of a pack, as they are written."""
    rules: list[dict[str, Any]] = _document(PACKS / f"{pack}.yaml")["rules"]
    return rules


def pack_thresholds(pack: str) -> dict[str, float]:
    """The thresholds of a pack, by name."""
    given = _document(PACKS / f"{pack}.yaml").get("thresholds", {})
    return {name: float(value) for name, value in given.items()}


def _document(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def _telemetry_labels() -> dict[str, Labels]:
    telemetry = Telemetry()
    telemetry.set_rules([RuleInfo("rule", "Title", "high", "rule_total", "counter", 10)])
    telemetry.thresholds.set([Threshold("name", 1.0)])
    rereads = Rereads(1.5, 11, 11, load=0.1, full_load=0.1, page_seconds=0.1)
    backlog = Backlog(1, size=1, oldest=0)
    meter = Meter(Partition("source"), found=0.0, read_up_to=0, rereads=rereads, backlog=backlog)
    meter.plan = READ_EVERYTHING
    telemetry.read.add(meter)
    telemetry.usage.read("source", "fresh", events=1, size=1)
    with using(Use("source")):
        telemetry.usage.request("LookupEvents")
    telemetry.usage.quotas = lambda: [QuotaState("", "", "", 1, 0, 0, 0, (), has_budget=False)]
    labels: dict[str, Labels] = dict.fromkeys(_PROCESS, _SCRAPED)
    for attribute in vars(telemetry).values():
        metric = attribute.metric if isinstance(attribute, BySource) else attribute
        if isinstance(metric, MetricWrapperBase):
            for family in metric.describe():
                labels |= _names(family.name, family.type, _SCRAPED.union(metric._labelnames))
        elif isinstance(metric, LabelledMetric):
            for family in metric.collect():
                labels |= _names(family.name, family.type, _SCRAPED.union(metric.labelnames))
    for family in (*telemetry.read.collect(), *telemetry.usage.collect()):
        own = frozenset(label for sample in family.samples for label in sample.labels)
        labels |= _names(family.name, family.type, _SCRAPED | own)
    for family in telemetry.registry.collect():
        if family.name in (RULE_INFO, THRESHOLD):
            labels[family.name] = _SCRAPED.union(*(sample.labels for sample in family.samples))
    return labels


def _pack_labels() -> dict[str, Labels]:
    labels: dict[str, Labels] = {}
    for path in sorted(PACKS.glob("*.yaml")):
        for rule in pack_rules(path.stem):
            name = rule["metric"].removesuffix("_total")
            own = _SCRAPED | _PLACE | frozenset(rule.get("labels", {}))
            labels |= _names(name, rule.get("type", "counter"), own)
    return labels


def _names(name: str, kind: str, labels: Labels) -> Mapping[str, Labels]:
    match kind:
        case "counter":
            return {f"{name}_total": labels}
        case "info":
            return {f"{name}_info": labels | {"version", "python_version"}}
        case "histogram":
            return {
                f"{name}_bucket": labels | {"le"},
                f"{name}_sum": labels,
                f"{name}_count": labels,
            }
        case _:
            return {name: labels}
