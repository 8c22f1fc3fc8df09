"""Label values and metric values that a match takes from its log event."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal

from exporter.configuration import EXACT_INTEGERS, Reference, ValueSpec
from exporter.patterns import MISSING, Document, Match, NumberText

MAX_LABEL_LENGTH = 200
"""Characters; a longer value is cut."""

_UNSCALED = Decimal(1)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def label_value(references: Iterable[Reference], document: Document, match: Match) -> str:
    """The first referenced value that exists and is not null, as a label value.

    A string as it is, a number as it was written, a boolean as ``true`` or ``false``; a list, an
    object, and nothing at all as the empty string; of these the part that is referenced, and then
    as ``label_text`` has it.
    """
    for reference in references:
        value = _look_up(reference, document, match)
        if value is not MISSING and value is not None:
            return label_text(reference.part_of(scalar_text(value)))
    return ""


def label_text(text: str) -> str:
    r"""A text as a label value: cut at MAX_LABEL_LENGTH.

    A lone surrogate, which UTF-8 has no bytes for, is the text ``\ud800``: as the page has it, so
    that no two series look the same there.
    """
    text = text[:MAX_LABEL_LENGTH]
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()[:MAX_LABEL_LENGTH]


def metric_value(spec: ValueSpec, document: Document, match: Match) -> float | None:
    """The value that a rule reads from the log event, scaled: what a match adds."""
    return (
        None if spec.reference is None else amount(spec, _look_up(spec.reference, document, match))
    )


def amount(spec: ValueSpec, value: object) -> float | None:
    """A referenced value, scaled.

    None if it is missing, not a number (a text that reads as a decimal number is one), negative,
    above the rule's ``max_value``, or written as a whole number that a float cannot hold exactly.
    """
    if not isinstance(value, str):
        return None
    if spec.reference is not None:
        value = spec.reference.part_of(value)
    if len(value) > MAX_LABEL_LENGTH:
        return None
    if _NUMBER.fullmatch(value) is None:
        return None
    number = float(value)
    if spec.scale != _UNSCALED and number and abs(number) < math.inf:
        number = float(Decimal(value) * spec.scale)
    if not 0 <= number <= spec.max_value:
        return None
    if number >= EXACT_INTEGERS:
        exact, limit = Decimal(value) * spec.scale, Decimal(str(spec.max_value))
        if exact > limit or (value.lstrip("+").isdigit() and exact != number):
            return None
    return number


def _look_up(reference: Reference, document: Document, match: Match) -> object:
    if reference.selector is not None:
        return MISSING if document.json is None else reference.selector.select(document.json)
    return match.fields.get(reference.field or "", MISSING)


def scalar_text(value: object) -> str:
    """A string, a number or a boolean as text; a list, an object and null as the empty string."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, NumberText):
        return str(value)
    return value if isinstance(value, str) else ""
