"""Numbers and references in a rule's values and labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

from exporter.patterns import FilterPattern, PatternError, Selector, parse_selector
from exporter.patterns.syntax import NUMBER, decimal_of
from exporter.yamlfile.problems import did_you_mean

EXACT_INTEGERS = 2.0**53
"""Up to here, a float represents all whole numbers exactly; Prometheus has only floats."""

_SMALLEST_VALUE = Decimal("1e-9")
"""Much smaller values would be lost when they are added to a total."""
_LARGEST_VALUE = Decimal(2**53)
VALUES = f"{_SMALLEST_VALUE:g} to {_LARGEST_VALUE} (2^53)"
"""The values other than 0, for messages."""

_FIELD = re.compile(r"\$[A-Za-z0-9_-]+")


_FORM = ("from", "after", "before", "unbounded")
"""Keys of a label that is written as a mapping."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a text after the first ``after`` and before the next ``before``."""

    after: str = ""
    """Empty: from the start of the text."""
    before: str = ""
    """Empty: to the end of the text."""

    @property
    def written(self) -> dict[str, str]:
        """The separators by their keys in a rule."""
        return {key: text for key, text in asdict(self).items() if text}

    def of(self, text: str) -> str:
        """Return the part; empty if the text lacks a separator."""
        if self.after:
            _, found, text = text.partition(self.after)
            if not found:
                return ""
        if self.before:
            text, found, _ = text.partition(self.before)
            if not found:
                return ""
        return text


@dataclass(frozen=True, slots=True)
class Reference:
    """A field of a log event; exactly one of ``selector`` and ``field`` is set."""

    text: str
    """As written in the rule: ``$.userIdentity.arn``, ``$status`` or ``$1``."""
    selector: Selector | None = None
    """For JSON messages."""
    field: str | None = None
    """For space-delimited patterns, as in ``Match.fields``: ``$name``, or ``$1`` if unnamed."""
    part: Part | None = None
    """The part of the field's text that is taken; None for all of it."""

    def __str__(self) -> str:
        return self.text

    def part_of(self, text: str) -> str:
        """Return the part of the field's text that is taken."""
        return text if self.part is None else self.part.of(text)


@dataclass(frozen=True, slots=True)
class LabelValue:
    """The value of a label: a literal, or the first reference that the log event has."""

    literal: str | None = None
    references: tuple[Reference, ...] = ()
    unbounded: bool = False
    """Whether its values are replaced by ``__overflow__`` past the rule's ``max_series``."""

    @property
    def written(self) -> object:
        """What ``parse_label_value`` reads as this value; without ``unbounded``."""
        if not self.references:
            return self.literal
        texts = [str(reference) for reference in self.references]
        part = self.references[0].part
        return texts if part is None else {"from": texts, **part.written}


@dataclass(frozen=True, slots=True)
class ValueSpec:
    """The value that a match adds; exactly one of ``number`` and ``reference`` is set."""

    number: float | None = None
    reference: Reference | None = None
    scale: Decimal = Decimal(1)
    """Factor for the referenced value: 0.001 converts milliseconds to seconds. It is a Decimal, so
    12.34 ms are exactly 0.01234 s."""
    max_value: float = EXACT_INTEGERS
    """The largest scaled value; a match with a larger one is a value error."""

    @property
    def written(self) -> object:
        """What ``parse_value`` reads as this value."""
        if self.reference is None:
            return self.number
        part = self.reference.part
        text = str(self.reference)
        return text if part is None else {"from": text, **part.written}


def read_number(data: object) -> Decimal | None:
    """Return a number's exact value, or None for anything else, NaN and infinity."""
    text = str(data) if isinstance(data, str | int | float) else ""
    return decimal_of(text) if NUMBER.fullmatch(text) else None


def is_value(number: Decimal) -> bool:
    """Return whether a number is valid for series: 0, or in the range VALUES."""
    return not number or _SMALLEST_VALUE <= number <= _LARGEST_VALUE


def parse_scale(data: object) -> Decimal:
    """Read a rule's ``scale``; raises ValueError."""
    return _positive_number(data, "1e-15", "1e15", example="0.001")


def parse_max_value(data: object) -> float:
    """Read a rule's ``max_value``; raises ValueError."""
    return float(_positive_number(data, "1e-9", "1e300", example="1e12"))


def _positive_number(data: object, least: str, most: str, *, example: str) -> Decimal:
    number = read_number(data)
    if number is None or number <= 0:
        raise ValueError(f"must be a number greater than 0 such as {example}")
    if not Decimal(least) <= number <= Decimal(most):
        raise ValueError(f"must be from {least} to {most}")
    return number


def parse_reference(text: str) -> Reference:
    """Read ``$.field``, ``$name`` or ``$1``; raises ValueError."""
    if text.startswith(("$.", "$[")):
        try:
            return Reference(text, selector=parse_selector(text))
        except PatternError as error:
            # Not PatternError, whose position is in the pattern.
            raise ValueError(f"{text!r} is not a selector: {error.message}") from error
    if _FIELD.fullmatch(text) is None:
        raise ValueError(
            f"{text!r} refers to nothing: write $.field, or $name of a space-delimited pattern"
        )
    return Reference(text, field=text)


def parse_label_value(data: object) -> LabelValue:
    """Read a label's value; raises ValueError."""
    if isinstance(data, dict):
        return _read_form(data)
    if isinstance(data, str) and not data.startswith("$"):
        return LabelValue(literal=data)
    texts = [data] if isinstance(data, str) else data
    if not isinstance(texts, list):
        raise ValueError(  # noqa: TRY004 pydantic reports no other
            'must be $.field, $name, a list of these, literal text (empty: ""), or a mapping with'
            " `from`"
        )
    if not texts:
        raise ValueError("the list of references is empty")
    for text in texts:
        if not isinstance(text, str) or not text.startswith("$"):
            raise ValueError(f"a list can have only $.field and $name, not {text!r}")
    return LabelValue(references=tuple(map(parse_reference, texts)))


def _read_form(data: Mapping[object, object]) -> LabelValue:
    for key in data:
        if key not in _FORM:
            raise ValueError(
                f"unknown key `{key}`{did_you_mean(str(key), _FORM)}; known: {', '.join(_FORM)}"
            )
    given = data.get("from")
    if not isinstance(given, list) and not str(given).startswith("$"):
        raise ValueError("a mapping needs `from`: $.field, $name, or a list of these")
    part = _read_part(data)
    unbounded = data.get("unbounded", "false")
    if unbounded not in ("true", "false"):
        raise ValueError(f"`unbounded` must be true or false, not {unbounded!r}")
    references = parse_label_value(given).references
    return LabelValue(
        references=tuple(replace(one, part=part) for one in references),
        unbounded=unbounded == "true",
    )


def _read_part(data: Mapping[object, object]) -> Part | None:
    separators = {key: data[key] for key in ("after", "before") if key in data}
    for key, text in separators.items():
        if not isinstance(text, str) or not text:
            raise ValueError(f'`{key}` must be a text such as ":"')
    return Part(**{key: str(text) for key, text in separators.items()}) if separators else None


def parse_value(data: object) -> ValueSpec:
    """Read a rule's ``value``; raises ValueError."""
    if isinstance(data, dict) and "unbounded" not in data:
        (reference, *others) = _read_form(data).references
        if others:
            raise ValueError("`from` of a value must be one $.field or $name")
        return ValueSpec(reference=reference)
    if isinstance(data, str) and data.startswith("$"):
        return ValueSpec(reference=parse_reference(data))
    number = read_number(data)
    if number is None:
        raise ValueError(
            "must be a number, $.field, $name of a space-delimited pattern, or a mapping with"
            " `from`, `after` and `before`"
        )
    if number < 0:
        raise ValueError("must not be negative: counters only go up")
    if not is_value(number):
        raise ValueError(f"must be 0, or from {VALUES}")
    return ValueSpec(number=float(number))


def check_fit(reference: Reference, pattern: FilterPattern) -> None:
    """Raise ValueError if matches of the pattern cannot have the reference.

    AWS: JSON patterns have selectors, space-delimited patterns have fields. Unlike in AWS, text
    patterns can have selectors, for messages that are JSON.
    """
    if reference.selector is not None:
        if pattern.kind == "space":
            raise ValueError(
                f"{reference} is a selector of JSON messages, but the pattern is space-delimited:"
                " name one of its fields, as in $status"
            )
        return
    if pattern.kind != "space":
        raise ValueError(
            f"{reference} names a field of a space-delimited pattern, which this pattern is not:"
            f" write $.{reference.text[1:]} for a field of a JSON message"
        )
    if not pattern.can_extract(reference.text):
        names = sorted(pattern.field_names)
        listed = f" (it has {', '.join(names)})" if names else ""
        raise ValueError(
            f"the pattern has no field {reference}{listed}{did_you_mean(reference.text, names)}"
        )
