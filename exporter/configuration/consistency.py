"""What holds between rules, and between rules and sources."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.configuration.drafts import Draft
from exporter.configuration.names import did_you_mean
from exporter.configuration.problems import Findings, Location
from exporter.configuration.rules import RuleConfig
from exporter.configuration.sources import EVENT_HISTORY_DAYS, SourceConfig


def check_rule_names(drafts: Sequence[Draft], findings: Findings) -> None:
    """A rule's name is unique over all files."""
    seen: dict[str, Location] = {}
    for draft in drafts:
        if "name" in draft.rejected:
            continue
        place = draft.fields.value_of("name")
        first = seen.setdefault(draft.entry.name, place)
        if first is not place:
            sentence = duplicate_sentence("rule", draft.entry.name, first)
            if "name" in draft.fields.origin:
                # AWS: a filter's name is unique in its log group only.
                sentence += "; add a `name` beside the filter's"
            findings.error(place, sentence)


def duplicate_sentence(what: str, name: str, first: Location) -> str:
    """The sentence for a name that is taken; says where the first one is."""
    where = f"{first.file}:{first.line}"
    return f"there is a {what} `{name}` already ({where}): names are unique"


def check_shared_metrics(drafts: Sequence[Draft], findings: Findings) -> None:
    """Rules that share a metric agree in type, label names and buckets; families do not clash."""
    first_of: dict[str, Draft] = {}
    families: dict[str, Draft] = {}
    for draft in drafts:
        if draft.rejected & {"metric", "type"} or draft.uses_default_metric:
            continue
        first = first_of.setdefault(draft.metric, draft)
        if first is not draft:
            _compare(first, draft, findings)
            continue
        family = draft.metric.removesuffix("_total")
        other = families.setdefault(family, draft)
        if other is not draft:
            findings.error(
                draft.fields.value_of("metric"),
                f"{draft.metric} and {other.metric} of rule `{other.entry.name}` are one metric"
                f" family ({family}) in OpenMetrics: rename one",
            )


def _compare(first: Draft, draft: Draft, findings: Findings) -> None:
    where = draft.fields.value_of("name").file, first.fields.value_of("name")
    rule = f"rule `{first.entry.name}` ({where[1].file}:{where[1].line})"
    same = f"rules that share the metric {draft.metric} need"
    if draft.entry.type != first.entry.type:
        findings.error(
            draft.fields.value_of("type"),
            f"{same} the same type: {rule} has {first.entry.type}, this one {draft.entry.type}",
        )
    elif draft.entry.buckets != first.entry.buckets and "buckets" not in (
        draft.rejected | first.rejected
    ):
        findings.error(draft.fields.value_of("buckets"), f"{same} the same buckets as {rule}")
    if "labels" not in draft.rejected | first.rejected:
        here, there = sorted(draft.entry.labels), sorted(first.entry.labels)
        if here != there:
            findings.error(
                draft.fields.value_of("labels"),
                f"{same} equal label names: {rule} has {_listed(there)}, this one {_listed(here)}",
            )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def resolve(
    draft: Draft, sources: Sequence[SourceConfig], unusable: frozenset[str], findings: Findings
) -> RuleConfig | None:
    """Complete a rule with the sources that it listens to.

    ``unusable``: names of sources that are in error themselves; a rule may name them.
    """
    names = _listened(draft, sources, unusable, findings)
    if draft.compiled is None or draft.rejected or not names:
        return None
    entry = draft.entry
    for source in sources:
        if source.type == "event_history" and source.name in names:
            _check_reach(draft, source.name, findings)
    return RuleConfig(
        name=entry.name,
        title=entry.title or entry.name,
        description=entry.description,
        severity=entry.severity,
        sources=names,
        pattern=entry.pattern,
        compiled=draft.compiled,
        metric=draft.metric,
        uses_default_metric=draft.uses_default_metric,
        type=entry.type,
        value=draft.value,
        buckets=entry.buckets,
        labels=entry.labels,
        max_series=entry.max_series,
        start=entry.start,
        location=draft.fields.item.location,
    )


def _check_reach(draft: Draft, source: str, findings: Findings) -> None:
    if draft.entry.start is not None and draft.entry.start > EVENT_HISTORY_DAYS * 86400:
        findings.warning(
            draft.fields.value_of("start"),
            f"the source `{source}` is event history, which goes back {EVENT_HISTORY_DAYS} days",
        )


def _listened(
    draft: Draft, sources: Sequence[SourceConfig], unusable: frozenset[str], findings: Findings
) -> tuple[str, ...]:
    known = [source.name for source in sources]
    if draft.entry.sources is not None:
        for index, name in enumerate(draft.entry.sources):
            if name not in known and name not in unusable:
                hint = did_you_mean(name, known) or f"; there are: {_listed(known)}"
                findings.error(
                    draft.fields.value_of("sources", index), f"there is no source `{name}`{hint}"
                )
        return tuple(name for name in known if name in draft.entry.sources)
    if draft.compiled is None or "sources" in draft.rejected:
        return ()
    fitting = tuple(
        source.name
        for source in sources
        if not (source.format == "lines" and draft.compiled.kind == "json")
    )
    if sources and not fitting:
        findings.error(
            draft.fields.item.location,
            "no source fits a JSON pattern, all have the format `lines`: name them in `sources`"
            " if their lines are JSON",
        )
    return fitting
