"""A rule: read in either spelling, with checks between its fields."""

from __future__ import annotations

from exporter.configuration.aws_spelling import is_metric_filter, read_metric_filter
from exporter.configuration.names import DEFAULT_METRIC, DEFAULT_METRIC_LABEL, check_metric_family
from exporter.configuration.references import EXACT_INTEGERS, Reference, check_fit
from exporter.configuration.rule_warnings import warn_of_missing_signs, warn_of_unit
from exporter.configuration.rules import RULE_KEYS, RuleConfig
from exporter.yamlfile.documents import Item
from exporter.yamlfile.problems import Findings
from exporter.yamlfile.validation import Fields, Filled, fill

_STAND_INS = {"name": "unnamed", "pattern": ""}
_SCRAPE_LABELS = ("job", "instance")


def read_rule(item: Item, findings: Findings, *, pack: str = "") -> Filled[RuleConfig] | None:
    """Read a rule of ``pack``, if given; return None if it is too broken for further checks."""
    fields = Fields.of(item)
    if fields is None:
        findings.error(item.location, "a rule must be a mapping with `name` and `pattern`")
        return None
    if is_metric_filter(item):
        fields = read_metric_filter(item, RULE_KEYS, findings)
    given = {"pack": pack, "location": item.location}
    rule = fill(RuleConfig, fields, findings, stand_ins=_STAND_INS, given=given)
    if rule is None:
        return None
    if pack and "sources" in rule.model.model_fields_set:
        findings.error(
            fields.key_of("sources"),
            "a rule of a pack cannot name sources: the configuration does, in `rule_packs`",
        )
    _check_metric(rule, findings)
    _check_value(rule, findings)
    _check_labels(rule, findings)
    if rule.is_right("pattern"):
        for warning in rule.model.compiled.warnings:
            findings.warning(*fields.in_text("pattern", warning.message, warning.position))
        warn_of_missing_signs(rule, findings)
    warn_of_unit(rule, findings)
    return rule


def _check_metric(rule: Filled[RuleConfig], findings: Findings) -> None:
    if not rule.is_right("metric", "type"):
        return
    model, fields = rule.model, rule.fields
    if model.metric_help and model.uses_default_metric:
        findings.error(
            fields.key_of("metric_help"),
            f"all rules without a `metric` share {DEFAULT_METRIC}: give the rule its own `metric`",
        )
    try:
        check_metric_family(model.metric, model.type)
    except ValueError as error:
        if model.uses_default_metric:
            findings.error(
                fields.value_of("type"),
                "a histogram needs its own `metric`, named after the quantity that it measures",
            )
        else:
            findings.error(
                fields.value_of("metric"), f"`{fields.spelling_of('metric')}` is wrong: {error}"
            )


def _check_value(rule: Filled[RuleConfig], findings: Findings) -> None:
    model, fields, written = rule.model, rule.fields, rule.model.model_fields_set
    if model.type == "histogram":
        for name in ("value", "buckets"):
            if name not in written and rule.is_right(name):
                findings.error(fields.value_of("type"), f"a histogram needs `{name}`")
    elif model.buckets is not None and rule.is_right("type"):
        findings.error(fields.key_of("buckets"), "only a histogram (`type: histogram`) has buckets")
    value = model.value
    if value.reference is not None:
        _check_reference(rule, value.reference, ("value",), findings)
    elif "scale" in written and rule.is_right("value"):
        findings.error(
            fields.key_of("scale"),
            "`scale` needs a `value` that is read from the log event, such as $.latency or $bytes",
        )
    if value.number is not None and value.number > value.max_value:
        findings.error(
            fields.value_of("max_value" if "max_value" in written else "value"),
            f"`{fields.spelling_of('value')}` is {value.number:g}, more than the rule's"
            f" `max_value` ({value.max_value:g}): nothing would ever be added",
        )
    if value.max_value > EXACT_INTEGERS:
        findings.warning(
            fields.value_of("max_value"),
            "`max_value` is above 2^53; larger totals cannot represent every whole number:"
            " after one such value, smaller ones may be value errors from then on",
        )


def _check_labels(rule: Filled[RuleConfig], findings: Findings) -> None:
    model, fields = rule.model, rule.fields
    for name, value in model.labels.items():
        location = fields.key_of("labels", name)
        if name == DEFAULT_METRIC_LABEL and model.uses_default_metric:
            findings.error(location, f"{DEFAULT_METRIC} already has the label `rule`: rename it")
        if name == "le" and model.type == "histogram":
            findings.error(location, "a histogram already has the label `le`: rename it")
        if name in _SCRAPE_LABELS:
            findings.warning(
                location,
                f"Prometheus sets `{name}` itself: with honor_labels this replaces it, without it"
                f" becomes exported_{name}; choose another name",
            )
        for reference in value.references:
            _check_reference(rule, reference, ("labels", name), findings)


def _check_reference(
    rule: Filled[RuleConfig], reference: Reference, path: tuple[str, ...], findings: Findings
) -> None:
    if rule.is_right("pattern"):
        try:
            check_fit(reference, rule.model.compiled)
        except ValueError as error:
            findings.error(
                rule.fields.value_of(*path), f"`{rule.fields.spelling_of(*path)}`: {error}"
            )
