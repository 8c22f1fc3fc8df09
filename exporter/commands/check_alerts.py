"""``check --alerts``: whether Prometheus rules select series that the exporter's rules can make."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import re2

from exporter.commands.selectors import Matcher, Selector, selectors
from exporter.configuration import DEFAULT_METRIC, RuleConfig
from exporter.configuration.packs import available_packs
from exporter.model import OVERFLOW
from exporter.sources import SERIES_LABELS
from exporter.yamlfile.documents import Item, read_document
from exporter.yamlfile.globs import GlobError, absolute_glob, find_files
from exporter.yamlfile.problems import Findings, Location, Problem, did_you_mean

_OF_HISTOGRAMS = re.compile("_(bucket|sum|count)$")
_SIMILAR = 0.9
"""Names that differ by a letter or two: other exporters have metrics too."""


def check_alerts(names: Iterable[str], rules: Sequence[RuleConfig]) -> Sequence[Problem]:
    """Return the problems of rule files of Prometheus, which may be named by globs."""
    findings = Findings()
    known = _Metrics(rules)
    for name in names:
        try:
            paths = find_files(absolute_glob(Path(), name))
        except GlobError as error:
            findings.error(Location(name), str(error))
            continue
        if not paths:
            findings.error(Location(name), "there is no such file")
        for path in paths:
            here, found = Path.cwd(), Path(path)
            shown = found.relative_to(here) if found.is_relative_to(here) else found
            document = read_document(shown, findings)
            if document is None:
                continue
            alerts = list(_rules(document))
            if not alerts:
                text = "no alerts or recording rules: Prometheus has them under `groups`"
                findings.warning(Location(str(shown)), text)
            for rule in alerts:
                for selector in selectors(rule.child("expr").text or ""):
                    known.check(selector, rule, findings)
    return findings.problems


def _rules(document: Item) -> Iterator[Item]:
    """Yield the alerts and recording rules of a file, which may be a PrometheusRule."""
    for root in (document, document.child("spec")):
        for group in root.elements("groups"):
            yield from group.elements("rules")


@dataclass
class _Metrics:
    """The metrics of rules."""

    rules: Sequence[RuleConfig]

    @cached_property
    def by_metric(self) -> Mapping[str, Sequence[RuleConfig]]:
        """The rules that count in each metric."""
        found: dict[str, list[RuleConfig]] = defaultdict(list)
        for rule in self.rules:
            found[rule.metric].append(rule)
        return found

    @cached_property
    def of_packs(self) -> Mapping[str, str]:
        """The pack of each metric of all packs."""
        found: dict[str, str] = {}
        for pack, path in available_packs().items():
            document = read_document(path, Findings())
            for rule in [] if document is None else document.elements("rules"):
                found.setdefault(rule.child("metric").text or "", pack)
        return found

    def check(self, selector: Selector, rule: Item, findings: Findings) -> None:
        """Add the problems of a selector."""
        metric = selector.metric
        if metric not in self.by_metric:
            metric = _OF_HISTOGRAMS.sub("", metric)
        of = self.by_metric.get(metric, ())
        if not of:
            self._check_unknown(selector, rule, findings)
            return
        if metric == DEFAULT_METRIC:
            of = self._named(selector, of, rule, findings)
        for matcher in selector.matchers:
            message = _problem(matcher, metric, of)
            if message:
                findings.warning(_location(rule, matcher.position), message)

    def _check_unknown(self, selector: Selector, rule: Item, findings: Findings) -> None:
        name = selector.metric
        pack = self.of_packs.get(name) or self.of_packs.get(_OF_HISTOGRAMS.sub("", name))
        message = ""
        if name and pack:
            message = f"no rule makes the metric {name}: use the rule pack `{pack}`, which has it"
        elif selector.is_certain and (
            similar := get_close_matches(name, list(self.by_metric), n=1, cutoff=_SIMILAR)
        ):
            message = f"no rule makes the metric {name}; did you mean {similar[0]}?"
        if message:
            findings.warning(_location(rule, selector.position), message)

    def _named(
        self, selector: Selector, of: Sequence[RuleConfig], rule: Item, findings: Findings
    ) -> Sequence[RuleConfig]:
        """Return the rules that a selector of the default metric names."""
        for matcher in selector.matchers:
            if matcher.label == "rule" and matcher.operator == "=":
                found = [one for one in of if one.name == matcher.value]
                if not found:
                    hint = did_you_mean(matcher.value, [one.name for one in of])
                    findings.warning(
                        _location(rule, matcher.position),
                        f"no rule `{matcher.value}` counts in {DEFAULT_METRIC}{hint}",
                    )
                return found
        return of


def _problem(matcher: Matcher, metric: str, rules: Sequence[RuleConfig]) -> str:
    """Why a matcher does not select as its author expects; empty if there is no reason."""
    label, value = matcher.label, matcher.value
    if label in SERIES_LABELS or matcher.operator not in ("=", "=~") or not rules:
        return ""
    values = [rule.labels[label] for rule in rules if label in rule.labels]
    if not values:
        # Targets have labels that are not known here.
        known = list({name for rule in rules for name in rule.labels})
        similar = get_close_matches(label, known, n=1, cutoff=_SIMILAR) if value else ()
        return "".join(f"{metric} has no label `{label}`; did you mean `{one}`?" for one in similar)
    if any(one.unbounded for one in values) and not _selects(matcher, OVERFLOW):
        return (
            f'`{label}` of {metric} is unbounded: past `max_series` it is "{OVERFLOW}", and this'
            " does not select it; select by bounded labels, or let the rule's pattern or a rule of"
            " its own tell the events apart"
        )
    literals = [one.literal for one in values if one.literal is not None]
    if len(literals) == len(values) and not any(_selects(matcher, one) for one in literals):
        has = ", ".join(f'"{one}"' for one in dict.fromkeys(literals))
        return f"this never matches: `{label}` of {metric} is always {has}"
    return ""


def _selects(matcher: Matcher, value: str) -> bool:
    if matcher.operator == "=":
        return matcher.value == value
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(matcher.value, options=options).fullmatch(value) is not None
    except re2.error:  # Prometheus says so
        return True


def _location(rule: Item, position: int) -> Location:
    return rule.character_of(("expr",), position) or rule.value_of("expr")
