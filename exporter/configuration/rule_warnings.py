"""Warnings of valid rules that are probably mistakes."""

from __future__ import annotations

from exporter.configuration.names import snake_case
from exporter.configuration.references import Reference
from exporter.configuration.rules import RuleConfig
from exporter.patterns import FilterPattern, PatternError, parse_selector
from exporter.yamlfile.problems import Findings
from exporter.yamlfile.validation import Filled

_SCALES = {
    "_seconds": {
        **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), "0.001"),
        **dict.fromkeys(("us", "usec", "usecs", "micros", "microseconds"), "0.000001"),
        **dict.fromkeys(("ns", "nsec", "nsecs", "nanos", "nanoseconds"), "0.000000001"),
        **dict.fromkeys(("min", "mins", "minutes"), "60"),
        "hours": "3600",
    },
    "_bytes": {
        **dict.fromkeys(("kb", "kilobytes"), "1000 (or 1024, if they are counted so)"),
        **dict.fromkeys(("mb", "megabytes"), "1000000 (or 1048576, if they are counted so)"),
        **dict.fromkeys(("gb", "gigabytes"), "1000000000 (or 1073741824, if they are counted so)"),
        **dict.fromkeys(("kib", "kibibytes"), "1024"),
        **dict.fromkeys(("mib", "mebibytes"), "1048576"),
        **dict.fromkeys(("gib", "gibibytes"), "1073741824"),
        "bits": "0.125",
    },
}
"""The scale, by the unit that a metric's name ends in and the unit that a field's name ends in."""


def warn_of_missing_signs(rule: Filled[RuleConfig], findings: Findings) -> None:
    """Warn of labels whose literal text is the name of a field, without its ``$``."""
    for name, value in rule.model.labels.items():
        if value.literal is not None and (meant := _field(value.literal, rule.model.compiled)):
            findings.warning(
                rule.fields.value_of("labels", name),
                f"the label `{name}` is always the text {value.literal!r}: to take the value of the"
                f" field, write {meant}",
            )


def _field(literal: str, pattern: FilterPattern) -> str | None:
    """Return the reference that a literal was probably meant to be, if any."""
    name = literal.removeprefix(".")
    if f"${name}" in pattern.field_names:
        return f"${name}"
    try:
        steps = parse_selector(f"$.{name}").steps
    except PatternError:
        return None
    tested = {selector.steps for selector in pattern.selectors}
    # A path of several keys below a key of the pattern is not a text either.
    is_below = len(steps) > 1 and steps[0] in {other[0] for other in tested}
    return f"$.{name}" if literal != name or steps in tested or is_below else None


def warn_of_unit(rule: Filled[RuleConfig], findings: Findings) -> None:
    """Warn if the metric's name has another unit than the name of the field of its value."""
    metric, reference = rule.model.metric, rule.model.value.reference
    if reference is None or "scale" in rule.model.model_fields_set:
        return
    base = metric.removesuffix("_total")
    for suffix, scales in _SCALES.items():
        scale = scales.get(_last_word(reference)) if base.endswith(suffix) else None
        if scale is not None:
            factor, _, remark = scale.partition(" ")
            findings.warning(
                rule.fields.value_of("value"),
                f"the metric {metric} is in {suffix[1:]}, but the name {reference} says another"
                f" unit: add `scale: {factor}` {remark}".rstrip(),
            )


def _last_word(reference: Reference) -> str:
    """Return the last word of a field's name: ``ms`` for ``$.took_ms`` and ``$.durationMs``."""
    keys = (reference.field,) if reference.selector is None else reference.selector.steps
    names = [key for key in keys if isinstance(key, str)]
    # KiB is one word.
    return snake_case(names[-1].replace("iB", "ib")).rpartition("_")[2] if names else ""
