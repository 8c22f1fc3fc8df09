"""Which format a source's rules expect of its messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from exporter.configuration.rules import RuleConfig
from exporter.patterns import Selector
from exporter.sources import SourceConfig
from exporter.yamlfile.problems import Findings, Location

_CLOUDTRAIL_FIELDS = frozenset(
    {
        "additionalEventData",
        "awsRegion",
        "eventID",
        "eventName",
        "eventSource",
        "eventVersion",
        "recipientAccountId",
        "requestParameters",
        "responseElements",
        "sourceIPAddress",
        "userIdentity",
    }
)
"""Fields of a CloudTrail record whose names are hardly used elsewhere (``errorCode`` is)."""


def recommend_formats(
    sources: Iterable[SourceConfig],
    places: Mapping[str, Location],
    rules: Iterable[RuleConfig],
    findings: Findings,
) -> None:
    """Warn, once a source, if ids hold in its partitions only unless it says what is in them.

    ``places``: by name, where the source is. There is no warning if no rule of the source reads a
    field of such records, or if the source says ``format: auto`` itself.
    """
    rules = tuple(rules)
    for source in sources:
        if not source.kind.local_ids or "format" in source.model_fields_set:
            continue
        reading = next((r.name for r in rules if source.name in r.sources and _reads(r)), None)
        if reading is not None:
            findings.warning(
                places[source.name],
                f"the source `{source.name}` does not say whether its"
                f" {source.kind.noun.lower()}s hold CloudTrail"
                f" records, whose fields rule `{reading}` reads: write `format: cloudtrail` if"
                " nothing else is in them (a record then counts once over all of them),"
                " `format: lines` if none is in them (rules with JSON patterns then have to name"
                " the source), or else `format: auto`",
            )


def _reads(rule: RuleConfig) -> bool:
    """Whether a rule reads a field of CloudTrail records."""
    return any(selector.steps[0] in _CLOUDTRAIL_FIELDS for selector in _selectors(rule))


def _selectors(rule: RuleConfig) -> Iterator[Selector]:
    yield from rule.compiled.selectors
    references = [reference for label in rule.labels.values() for reference in label.references]
    if rule.value.reference is not None:
        references.append(rule.value.reference)
    for reference in references:
        if reference.selector is not None:
            yield reference.selector
