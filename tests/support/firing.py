"""The alerts that fire for the events of the rule tests, with their texts, as Prometheus has them.

Each event is a case with an account of its own, so one run of promtool tells the cases apart. All
alerts and the rules of all packs take part.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from exporter.configuration import RuleConfig
from exporter.configuration.packs import available_packs
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.ruletests.loading import load_rule_tests
from exporter.ruletests.models import SOURCE, RuleTestFile
from exporter.sources.log_groups import LOG_GROUP
from tests.support.alerting import PACKS, alerts, groups_of, rule_files
from tests.support.tools import FRUGAL, PrometheusBinaries

SECURITY_PACKS: Final = ("aws-", "cis-", "cloudtrail-")
"""How the names of packs begin whose events have a caller."""

Series = tuple[str, Mapping[str, str]]
_PLACE: Final = Partition(SOURCE, "1", "us-east-1", resource="/logs", kind=LOG_GROUP)
_ERROR: Final = 400
"""The lowest HTTP status of a request that failed."""
_COUNTED_SINCE: Final = "metric_filter_exporter_partition_counted_since_timestamp_seconds"
_LONG_AGO: Final = f"{-30 * 86400}x40"
"""Of a partition that has been read for a month; promtool's time begins at 0."""
_AT_ONCE: Final = 1000
"""Cases of one test: a query of promtool may load 10,000 samples."""
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Case:
    """An event and what the rules make of it."""

    name: str
    """The file of the rule tests and the test's name, or the file of samples."""
    pack: str
    """Of the rule test; empty for a sample."""
    record: Mapping[str, Any]
    """The event; empty where it is no JSON object."""
    rules: frozenset[str]
    series: tuple[Series, ...]

    @property
    def refused(self) -> bool:
        """Whether AWS or Kubernetes refused the call. Sign-ins say so without an error code."""
        if status := self.record.get("responseStatus"):
            return bool(status.get("code", 0) >= _ERROR)
        answer = self.record.get("responseElements")
        failed = isinstance(answer, dict) and "Failure" in answer.values()
        return failed or bool(self.record.get("errorCode"))


@dataclass(frozen=True)
class Firing:
    """A firing alert."""

    case: Case
    many: bool
    """Whether the event came a thousand times a minute instead of once."""
    name: str
    severity: str
    labels: Mapping[str, str]
    summary: str
    description: str


@cache
def _rule_tests() -> Mapping[str, RuleTestFile]:
    """The rule tests of all packs, by pack."""
    packs = sorted(available_packs())
    loaded = {pack: load_rule_tests(PACKS / "tests" / f"{pack}.test.yaml") for pack in packs}
    return {pack: one.file for pack, one in loaded.items() if one.file is not None}


@cache
def rules() -> Mapping[str, RuleConfig]:
    """The rules of all packs, by name."""
    return {rule.name: rule for file in _rule_tests().values() for rule in file.rules}


def cases(samples: Iterable[tuple[str, str]] = ()) -> list[Case]:
    """The events of all rule tests that a rule matches, each set of series once.

    Each call that was carried out comes again, refused, and each event that rules of several packs
    match comes again for each of the packs, as if the others were not in use.
    ``samples``: more events, as pairs of name and message.
    """
    of_security = _Judge(rule for rule in rules().values() if rule.pack.startswith(SECURITY_PACKS))
    found: dict[Any, Case] = {}
    for pack, tests in _rule_tests().items():
        judge = of_security
        if not pack.startswith(SECURITY_PACKS):
            judge = _Judge(rule for rule in rules().values() if rule.pack == pack)
        for test in tests.tests:
            for message in test.messages:
                name = f"{pack}: {test.name}"
                _add(found, judge.case(name, pack, message))
                if judge is of_security and (refused := _refused(message)):
                    _add(found, judge.case(f"{name}, refused", pack, refused))
    for name, message in samples:
        _add(found, of_security.case(name, "", message))
    return list(found.values())


def _add(found: dict[Any, Case], case: Case) -> None:
    for one in (case, *_by_pack(case)):
        if one.series:
            key = frozenset((metric, frozenset(labels.items())) for metric, labels in one.series)
            found.setdefault((key, one.refused), one)


def _by_pack(case: Case) -> Iterator[Case]:
    packs = sorted({rules()[name].pack for name in case.rules})
    for pack in packs if len(packs) > 1 else ():
        own = frozenset(name for name in case.rules if rules()[name].pack == pack)
        metrics = {rules()[name].metric for name in own}
        series = tuple(one for one in case.series if one[0] in metrics)
        yield replace(case, name=f"{case.name}, {pack} alone", rules=own, series=series)


class _Judge:
    def __init__(self, chosen: Iterable[RuleConfig]) -> None:
        own = list(chosen)
        self._counters = {rule.name for rule in own if rule.type == "counter"}
        self._rules = RuleSet.of(own)

    def case(self, name: str, pack: str, message: str) -> Case:
        judged = self._rules.evaluate([LogEvent(message, time=0, id="1")], _PLACE, "auto")
        counted = [one for one in judged.increments if one.rule in self._counters and one.value]
        series = tuple((one.series.metric, dict(one.series.labels)) for one in counted)
        return Case(name, pack, _record(message), frozenset(one.rule for one in counted), series)


def _refused(message: str) -> str:
    """The record of the same call that AWS refused; empty if it is no call that was carried out."""
    record = _record(message)
    if record.get("eventType") != "AwsApiCall" or record.get("errorCode"):
        return ""
    refusal = {"errorCode": "AccessDenied", "errorMessage": "Denied", "responseElements": None}
    return json.dumps({**record, **refusal})


def _record(message: str) -> Mapping[str, Any]:
    try:
        record = json.loads(message)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def firings(cases: Sequence[Case], binaries: PrometheusBinaries, folder: Path) -> list[Firing]:
    """The alerts that fire for each case: 11 minutes after the event, and if it comes often."""
    own = [alert for alert in alerts() if alert.group != "exporter"]
    names, groups = sorted({alert.name for alert in own}), {alert.group for alert in own}
    files = [path for path in rule_files() if path.stem in groups]
    numbered = list(enumerate(cases))
    parts = [numbered[start : start + _AT_ONCE] for start in range(0, len(numbered), _AT_ONCE)]
    document = {
        "rule_files": [str(path) for path in files],
        "evaluation_interval": "10m",
        "group_eval_order": [name for path in files for name in groups_of(path)],
        "tests": [
            *(_test(part, names, "0x8 1x12", "20m") for part in parts),
            *(_test(part, names, "0x5 1000+1000x40", "40m") for part in parts),
        ],
    }
    path = folder / "firing.test.yaml"
    path.write_text(json.dumps(document))  # which is YAML
    done = subprocess.run(
        [binaries.promtool, "test", "rules", path],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | FRUGAL,
    )
    output = done.stdout + done.stderr
    assert "got:[" in output, output[:2000]
    assert ", err: " not in output, output[:2000]
    return list(_read(output, cases))


def _test(cases: Sequence[tuple[int, Case]], names: Sequence[str], values: str, moment: str) -> Any:
    return {
        "interval": "1m",
        "input_series": [
            *(
                {"series": _selector(metric, labels, number), "values": values}
                for number, case in cases
                for metric, labels in case.series
            ),
            *(
                {"series": _selector(_COUNTED_SINCE, labels, number), "values": _LONG_AGO}
                for number, case in cases
                for labels in case.series[0][1:]
            ),
        ],
        "alert_rule_test": [
            {"eval_time": moment, "alertname": name, "exp_alerts": []} for name in names
        ],
    }


def _selector(metric: str, labels: Mapping[str, str], number: int) -> str:
    own = {**labels, "account_id": f"{number:012}", "job": "exporter", "instance": "exporter:10911"}
    if labels.get("finding_account"):
        own["finding_account"] = own["account_id"]
    inside = ",".join(f"{name}={json.dumps(value)}" for name, value in own.items() if value)
    return f"{metric}{{{inside}}}"


def _read(output: str, cases: Sequence[Case]) -> Iterator[Firing]:
    many = False
    lines = iter(output.splitlines())
    for line in lines:
        if moment := re.search(r"alertname: \w+, time: (\w+)", line):
            many = moment[1] == "40m"
        elif (text := line.strip()).startswith("Labels:{"):
            labels = _labels(text)
            texts = _labels(next(lines))
            yield Firing(
                cases[int(labels["account_id"])],
                many,
                labels["alertname"],
                labels["severity"],
                labels,
                texts["summary"],
                texts["description"],
            )


def _labels(text: str) -> dict[str, str]:
    return {name: ast.literal_eval(f'"{value}"') for name, value in _LABEL.findall(text)}
