"""The page of every configuration in this repository is one that strict readers take."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from exporter.configuration import Configuration, RuleConfig, check, load
from exporter.configuration.packs import available_packs
from exporter.ledger.base import SeriesTotal
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.exposition import Exposition
from exporter.metrics.rule_info import RuleInfo
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import SeriesKey
from exporter.runtime.assembly import _metric_families
from tests.support.expositions import parse_exposition
from tests.support.tools import ROOT, PrometheusBinaries

SOURCES = """\
sources:
  - {name: history, type: event_history}
  - {name: h, type: event_history}
  - {name: apps, type: log_groups, log_groups: [g]}
  - {name: f, type: files, paths: [x]}
"""
LINT_ONLY = 3  # promtool: the page can be read, and a name is not in the best style


def pack_configurations(folder: Path) -> Iterator[tuple[str, Configuration]]:
    for name in (*available_packs(), ", ".join(available_packs())):
        path = folder / "pack.yaml"
        path.write_text(
            f"sources:\n  - {{name: h, type: event_history}}\n"
            f"  - {{name: l, type: log_groups, log_groups: [g]}}\nrule_packs: [{name}]\n"
        )
        configuration = check([path]).configuration
        assert configuration is not None, name
        yield name, configuration


def texts() -> Iterator[tuple[str, str]]:
    """What may be a configuration: texts of tests and documents, and YAML files."""
    for path in sorted(ROOT.glob("tests/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path}:{node.lineno}", dedent(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "x" for p in node.values]
                yield f"{path}:{node.lineno}", "".join(map(str, parts))
    for path in sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]):
        for block in path.read_text().split("```yaml\n")[1:]:
            yield str(path), dedent(block.partition("```")[0])
    for folder in ("config", "deploy", "tests", "bench", "fuzz"):
        for path in sorted(ROOT.glob(f"{folder}/**/*.y*ml")):
            yield str(path), path.read_text()


def other_configurations(folder: Path) -> Iterator[tuple[str, Configuration]]:
    """Each set of metrics once."""
    seen = set()
    path = folder / "configuration.yaml"
    for where, text in texts():
        if text.startswith("{name:"):
            path.write_text(f"{SOURCES}rules:\n  - {text}\n")
        elif "rules:" in text or "metricFilters" in text:
            path.write_text(text if "sources:" in text else SOURCES + text)
        else:
            continue
        configuration = check([path]).configuration
        if configuration is None:
            continue
        metrics = frozenset(
            (rule.metric, rule.type, rule.buckets, *rule.labels, rule.title, rule.description)
            for rule in configuration.rules
        )
        if metrics not in seen:
            seen.add(metrics)
            yield where, configuration


def series_of(rule: RuleConfig) -> SeriesTotal:
    """A series that the rule may have come to."""
    labels = {name: value.literal or "x\n" for name, value in rule.labels.items()}
    labels |= {"account_id": "111122223333", "region": "us-east-1", "source": rule.sources[0]}
    if rule.uses_default_metric:
        labels["rule"] = rule.name
    return SeriesTotal(
        key=SeriesKey(rule.metric, tuple(sorted(labels.items()))),
        total=3.0,
        buckets=None if rule.buckets is None else (3, *(0 for _ in rule.buckets)),
        created=1_700_000_000_000,
        revealed=True,
        event_id="e-1",
        event_time=1_700_000_000_000,
        event_value=1.0,
    )


def exposition(configuration: Configuration, ledger: SqliteLedger) -> Exposition:
    telemetry = Telemetry()
    telemetry.set_rules(
        RuleInfo(rule.name, rule.title, rule.severity, rule.metric, rule.type, rule.max_series)
        for rule in configuration.rules
    )
    store = SeriesStore(None)
    store.describe(_metric_families(configuration.rules))
    store.apply(series_of(rule) for rule in configuration.rules)
    return Exposition(store, telemetry, ledger)


def check_page(page: Exposition, promtool: Path) -> int:
    """Parse both forms of a page; return what promtool says of it."""
    openmetrics = page.scrape("application/openmetrics-text").body.decode()
    assert parse_exposition(openmetrics, openmetrics=True).families
    text = page.scrape().body
    assert parse_exposition(text.decode()).families
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert done.returncode in (0, LINT_ONLY), done.stderr.decode()
    return done.returncode


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger.open(tmp_path / "ledger")
    yield ledger
    ledger.close()


def test_a_metric_that_rules_share_has_the_help_of_no_single_rule(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        """\
        sources: [{name: history, type: event_history}]
        rules:
          - {name: a, pattern: x, metric: said_total, title: A, description: Of a.}
          - {name: b, pattern: x, metric: said_total, metric_help: Of a and b.}
          - {name: c, pattern: x, metric: unsaid_total, description: Of c.}
          - {name: d, pattern: x, metric: unsaid_total, description: Of d.}
          - {name: e, pattern: x, metric: own_total, description: Of e.}
          - {name: f, pattern: x, metric: untold_total, title: F}
        """
    )
    helps = {one.name: one.help for one in _metric_families(load([path]).rules)}
    assert helps == {
        "metric_filter_matches_total": "Log events that matched the rule.",
        "said_total": "Of a and b.",
        "unsaid_total": "Counted by the rules c, d.",
        "own_total": "Of e.",
        "untold_total": "F",
    }


def test_the_pages_of_the_packs_are_taken(
    tmp_path: Path, ledger: SqliteLedger, prometheus_binaries: PrometheusBinaries
) -> None:
    for name, configuration in pack_configurations(tmp_path):
        code = check_page(exposition(configuration, ledger), prometheus_binaries.promtool)
        assert code == 0, name


def test_the_pages_of_all_other_configurations_are_taken(
    tmp_path: Path, ledger: SqliteLedger, prometheus_binaries: PrometheusBinaries
) -> None:
    checked = []
    for where, configuration in other_configurations(tmp_path):
        check_page(exposition(configuration, ledger), prometheus_binaries.promtool)
        checked.append(where)
    assert len(checked) > 20, checked


def test_a_clash_would_be_noticed(ledger: SqliteLedger, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        f"{SOURCES}rules:\n  - {{name: a, pattern: x, metric: foo_total}}\n"
        "  - {name: b, pattern: x, metric: bar_total}\n"
    )
    configuration = check([path]).configuration
    assert configuration is not None
    page = exposition(configuration, ledger).scrape("application/openmetrics-text").body.decode()
    with pytest.raises(ValueError, match="Clashing name"):
        parse_exposition(page.replace("bar", "foo_created"), openmetrics=True)
