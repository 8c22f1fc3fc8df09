"""Rules read one by one: what can be said of a rule without the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

from exporter.configuration.aws_spelling import is_metric_filter, read_metric_filter
from exporter.configuration.names import (
    DEFAULT_METRIC,
    DEFAULT_METRIC_LABEL,
    check_metric_family,
)
from exporter.configuration.packs import PackMembership
from exporter.configuration.references import EXACT_INTEGERS, Reference, ValueSpec, check_fit
from exporter.configuration.rule_warnings import warn_of_forgotten_signs, warn_of_unit
from exporter.configuration.rules import RuleEntry
from exporter.patterns import FilterPattern, PatternError, compile_pattern
from exporter.patterns.errors import caret
from exporter.yamlfile.documents import Item
from exporter.yamlfile.problems import Findings
from exporter.yamlfile.validation import Fields, fill

_OWN_KEYS = tuple(RuleEntry.model_fields)
_STAND_INS = {"name": "unnamed", "pattern": ""}
_SCRAPE_LABELS = ("job", "instance")


@dataclass(frozen=True)
class Draft:
    """A rule that may still have errors, on its way to a RuleConfig."""

    entry: RuleEntry
    fields: Fields
    rejected: frozenset[str]
    """Fields in error, which stand-ins replace."""
    compiled: FilterPattern | None
    """None: the pattern is in error."""
    membership: PackMembership | None = None
    """None: a rule of the user's own."""

    @property
    def metric(self) -> str:
        """The metric's name, the default filled in."""
        return self.entry.metric or DEFAULT_METRIC

    @property
    def uses_default_metric(self) -> bool:
        """Whether the label ``rule`` tells its series apart."""
        return self.metric == DEFAULT_METRIC

    @property
    def value(self) -> ValueSpec:
        """What a match adds, the default filled in."""
        value = self.entry.value or ValueSpec(number=1.0)
        if self.entry.scale is not None:
            value = replace(value, scale=self.entry.scale)
        if self.entry.max_value is not None:
            value = replace(value, max_value=self.entry.max_value)
        return value


def read_rule(
    item: Item, findings: Findings, membership: PackMembership | None = None
) -> Draft | None:
    """Read a rule in either spelling; what is wrong with it goes to ``findings``."""
    if not isinstance(item.data, dict):
        findings.error(item.location, "a rule must be a mapping with `name` and `pattern`")
        return None
    if is_metric_filter(item):
        fields = read_metric_filter(item, _OWN_KEYS, findings)
    else:
        fields = Fields(item, item.data, {})
    filled = fill(RuleEntry, fields, findings, stand_ins=_STAND_INS)
    if filled is None:
        return None
    compiled = None
    if "pattern" not in filled.rejected:
        compiled = _compile(filled.model.pattern, fields, findings)
    draft = Draft(filled.model, fields, filled.rejected, compiled, membership)
    if membership is not None and filled.model.sources is not None:
        findings.error(
            fields.key_of("sources"),
            "a rule of a pack names no sources: whoever uses the pack does, in `rule_packs`",
        )
    _check_metric(draft, findings)
    _check_type(draft, findings)
    _check_labels(draft, findings)
    if compiled is not None:
        warn_of_forgotten_signs(draft.entry, compiled, fields, findings)
    warn_of_unit(draft.metric, draft.entry, fields, findings)
    return draft


def _compile(text: str, fields: Fields, findings: Findings) -> FilterPattern | None:
    try:
        pattern = compile_pattern(text, aws_limits=False)
    except PatternError as error:
        _report_in_pattern(fields, findings, text, error.message, error.position, is_error=True)
        return None
    for warning in pattern.warnings:
        _report_in_pattern(
            fields, findings, text, warning.message, warning.position, is_error=False
        )
    return pattern


def _report_in_pattern(
    fields: Fields,
    findings: Findings,
    text: str,
    message: str,
    position: int | None,
    *,
    is_error: bool,
) -> None:
    path = fields.path_of("pattern")
    place = fields.item.character_of(path, position or 0)
    if place is None:
        place = fields.value_of("pattern")
        message = f"{message}\n{caret(text, position or 0)}"
    report = findings.error if is_error else findings.warning
    report(place, f"in the pattern: {message}")


def _check_metric(draft: Draft, findings: Findings) -> None:
    if "metric" in draft.rejected or "type" in draft.rejected:
        return
    try:
        check_metric_family(draft.metric, draft.entry.type)
    except ValueError as error:
        if draft.entry.metric is None or draft.uses_default_metric:
            findings.error(
                draft.fields.value_of("type"),
                "a histogram needs a `metric` of its own, whose name says what it measures",
            )
        else:
            place = draft.fields.value_of("metric")
            findings.error(place, f"`{draft.fields.spelling_of('metric')}` is wrong: {error}")


def _check_type(draft: Draft, findings: Findings) -> None:
    entry, fields = draft.entry, draft.fields
    if entry.type == "histogram":
        for name, given in (("value", entry.value), ("buckets", entry.buckets)):
            if given is None and name not in draft.rejected:
                findings.error(fields.value_of("type"), f"a histogram needs `{name}`")
    elif entry.buckets is not None and "type" not in draft.rejected:
        findings.error(fields.key_of("buckets"), "only a histogram (`type: histogram`) has buckets")
    if entry.value is not None and entry.value.reference is not None:
        _check_reference(draft, entry.value.reference, ("value",), findings)
    elif entry.scale is not None and "value" not in draft.rejected:
        findings.error(
            fields.key_of("scale"),
            "`scale` needs a `value` that is read from the log event, such as $.latency or $bytes",
        )
    _check_max_value(draft, findings)


def _check_max_value(draft: Draft, findings: Findings) -> None:
    value, fields = draft.value, draft.fields
    if value.number is not None and value.number > value.max_value:
        key = "max_value" if draft.entry.max_value is not None else "value"
        findings.error(
            fields.value_of(key),
            f"`{fields.spelling_of('value')}` is {value.number:g}, more than the rule's"
            f" `max_value` ({value.max_value:g}): nothing would ever be added",
        )
    if value.max_value > EXACT_INTEGERS:
        findings.warning(
            fields.value_of("max_value"),
            "`max_value` is above 2^53, from where on a total does not hold every whole number:"
            " after one such value, smaller ones may be value errors for good",
        )


def _check_labels(draft: Draft, findings: Findings) -> None:
    fields = draft.fields
    for name, value in draft.entry.labels.items():
        place = fields.key_of("labels", name)
        if name == DEFAULT_METRIC_LABEL and draft.uses_default_metric:
            findings.error(place, f"{DEFAULT_METRIC} carries the label `rule` by itself")
        if name == "le" and draft.entry.type == "histogram":
            findings.error(place, "a histogram carries the label `le` by itself")
        if name in _SCRAPE_LABELS:
            findings.warning(
                place,
                f"Prometheus sets `{name}` itself: with honor_labels this replaces it, without it"
                f" becomes exported_{name}; choose another name",
            )
        for reference in value.references:
            _check_reference(draft, reference, ("labels", name), findings)


def _check_reference(
    draft: Draft, reference: Reference, path: tuple[str, ...], findings: Findings
) -> None:
    if draft.compiled is None:
        return
    try:
        check_fit(reference, draft.compiled)
    except ValueError as error:
        findings.error(
            draft.fields.value_of(*path), f"`{draft.fields.spelling_of(*path)}`: {error}"
        )
