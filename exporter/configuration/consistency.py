"""Checks between rules, and between sources: unique names, shared metrics, shared queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from exporter.configuration.names import family_names
from exporter.configuration.rules import RuleConfig
from exporter.sources import SourceConfig
from exporter.yamlfile.problems import Findings, Location
from exporter.yamlfile.validation import Filled


def check_between_rules(rules: Iterable[Filled[RuleConfig]], findings: Findings) -> None:
    """Check that names are unique, rules that share a metric agree, and other metrics differ."""
    names: dict[str, Location] = {}
    first_of: dict[str, Filled[RuleConfig]] = {}
    taken: dict[str, Filled[RuleConfig]] = {}
    helped: dict[str, Filled[RuleConfig]] = {}
    for rule in rules:
        if rule.is_right("name"):
            _check_name(rule, names, findings)
        if rule.is_right("metric", "type"):
            first = first_of.setdefault(rule.model.metric, rule)
            if first is rule:
                _check_family(rule, taken, findings)
            elif not rule.model.uses_default_metric:
                _compare(first, rule, findings)
            if rule.model.metric_help:
                _compare_help(helped.setdefault(rule.model.metric, rule), rule, findings)


def check_between_sources(sources: Sequence[Filled[SourceConfig]], findings: Findings) -> None:
    """Check that no two sources read what only one may read, and that shared feeds have effect."""
    _check_feeds(sources, findings)
    first_of: dict[str, Filled[SourceConfig]] = {}
    for source in sources:
        exclusive = source.model.exclusive
        if exclusive is None or not source.is_right("queue_url"):
            continue
        first = first_of.setdefault(exclusive, source)
        if first is not source:
            findings.error(
                source.fields.value_of("queue_url"),
                f"the source `{first.model.name}` reads {exclusive} already: each message goes to"
                " one of them only; give each source a queue",
            )


def _check_feeds(sources: Sequence[Filled[SourceConfig]], findings: Findings) -> None:
    """Warn of sources whose events cannot be recognised as those of the other sources."""
    feeds = Counter(source.model.feed_name for source in sources)
    for source in sources:
        model = source.model
        if feeds[model.feed_name] > 1 and model.kind.local_ids and model.format != "cloudtrail":
            findings.warning(
                source.fields.value_of("feed" if model.feed else "name"),
                f"the feed `{model.feed_name}` has other sources, but ids in a"
                f" {model.kind.noun.lower()} of `{model.name}` are unique in it only, so its events"
                " count again: write `format: cloudtrail` if nothing but CloudTrail writes there",
            )


def _check_name(rule: Filled[RuleConfig], names: dict[str, Location], findings: Findings) -> None:
    location = rule.fields.value_of("name")
    first = names.setdefault(rule.model.name, location)
    if first is not location:
        message = duplicate_name("rule", rule.model.name, first)
        if "name" in rule.fields.origin:
            # AWS: a filter's name is unique in its log group only.
            message += "; add a `name` next to the filter's"
        findings.error(location, message)


def duplicate_name(noun: str, name: str, first: Location) -> str:
    """Return the message for a name that is already used at ``first``."""
    return f"there is a {noun} `{name}` already ({first.file}:{first.line}): names are unique"


def _check_family(
    rule: Filled[RuleConfig], taken: dict[str, Filled[RuleConfig]], findings: Findings
) -> None:
    """Check and add the names of the rule's metric; ``taken``: the first rule with each name."""
    metric = rule.model.metric
    for name in sorted(family_names(metric, rule.model.type)):
        other = taken.setdefault(name, rule)
        if other is not rule:
            findings.error(
                rule.fields.value_of("metric"),
                f"the metric {metric} clashes with {other.model.metric} of {_named(other)}: in"
                f" OpenMetrics both have the name {name}, and Prometheus refuses the whole page;"
                " rename one",
            )
            return


def _compare(first: Filled[RuleConfig], rule: Filled[RuleConfig], findings: Findings) -> None:
    model, other, fields = rule.model, first.model, rule.fields
    same = f"rules that share the metric {model.metric} need"
    if model.type != other.type:
        findings.error(
            fields.value_of("type"),
            f"{same} the same type: {_named(first)} has {other.type}, this one {model.type}",
        )
    elif model.buckets != other.buckets and rule.is_right("buckets") and first.is_right("buckets"):
        findings.error(fields.value_of("buckets"), f"{same} the same buckets as {_named(first)}")
    here, there = sorted(model.labels), sorted(other.labels)
    if here != there and rule.is_right("labels") and first.is_right("labels"):
        location = first.fields.value_of("labels")
        if location.file != first.model.location.file:  # a rule of a pack that was changed
            first, rule, here, there = rule, first, there, here
        findings.error(
            rule.fields.value_of("labels"),
            f"{same} equal label names: {_named(first)} has {', '.join(there) or 'none'}, this one"
            f" {', '.join(here) or 'none'}{_remedy(here, there)}",
        )


def _remedy(here: Sequence[str], there: Sequence[str]) -> str:
    """How to make label names equal, since those of a pack change with its versions."""
    added = ", ".join(f"`{name}`" for name in there if name not in here)
    removed = ", ".join(f"`{name}`" for name in here if name not in there)
    remedies = [f"add {added}"] if added else []
    remedies += [f"remove {removed}"] if removed else []
    return f": {' and '.join(remedies)}, or give it a metric of its own"


def _compare_help(first: Filled[RuleConfig], rule: Filled[RuleConfig], findings: Findings) -> None:
    if rule.model.metric_help != first.model.metric_help:
        location = first.fields.value_of("metric_help")
        findings.error(
            rule.fields.value_of("metric_help"),
            f"a metric has one HELP, and rule `{first.model.name}` says another for"
            f" {rule.model.metric} ({location.file}:{location.line}): keep one of them",
        )


def _named(rule: Filled[RuleConfig]) -> str:
    location = rule.fields.value_of("name")
    return f"rule `{rule.model.name}` ({location.file}:{location.line})"
