"""Pydantic models filled from YAML; errors become sentences with locations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.patterns import PatternError
from exporter.yamlfile.documents import Item, Step, Value
from exporter.yamlfile.problems import Findings, Location, did_you_mean

Model = TypeVar("Model", bound=BaseModel)

_KINDS = {
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "has too many digits",
    "missing": "is missing",
}


class BetweenFieldsError(ValueError):
    """Fields of a model do not fit together; ``field`` is the one to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Fields:
    """Values for a model, and their locations in the file."""

    item: Item
    values: Mapping[str, Value]
    origin: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    """Path of a value in the file, if it differs from its name (AWS's spelling)."""

    @classmethod
    def of(cls, item: Item, short: str = "") -> Fields | None:
        """Return the fields of a mapping; a text becomes the field ``short``, if given."""
        if short and isinstance(item.data, str):
            return cls(item, {short: item.data}, {short: ()})
        return cls(item, item.data) if isinstance(item.data, dict) else None

    def path_of(self, *path: Step) -> tuple[Step, ...]:
        """Return the path in the file of a part of the model."""
        first = str(path[0])
        return (*self.origin.get(first, (first,)), *path[1:])

    def value_of(self, *path: Step) -> Location:
        """Return the location of a value."""
        return self.item.value_of(*self.path_of(*path))

    def key_of(self, *path: Step) -> Location:
        """Return the location of a value's key."""
        return self.item.key_of(*self.path_of(*path))

    def spelling_of(self, *path: Step) -> str:
        """Return a value's path as text: ``labels.user``, ``metricTransformations[0]``."""
        steps = self.path_of(*path)
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        return text.removeprefix(".")

    def in_text(self, name: str, message: str, position: int) -> tuple[Location, str]:
        """Return location and message for a character of a pattern."""
        location = self.item.character_of(self.path_of(name), position)
        if location is None:
            return self.value_of(name), f"in the pattern, character {position + 1}: {message}"
        return location, f"in the pattern: {message}"


@dataclass(frozen=True)
class Filled(Generic[Model]):
    """A model, and the keys that were invalid."""

    model: Model
    fields: Fields
    rejected: frozenset[str] = frozenset()
    """Invalid or missing keys; their values are placeholders for further checks."""

    def is_right(self, *names: str) -> bool:
        """Return whether all of these keys are valid, or have their defaults."""
        return self.rejected.isdisjoint(names)


def fill(
    kind: type[Model],
    fields: Fields,
    findings: Findings,
    *,
    stand_ins: Mapping[str, Value],
    given: Mapping[str, object] = MappingProxyType({}),
    context: object = None,
) -> Filled[Model] | None:
    """Fill a model; add each error to ``findings``. None if the fields do not fit together.

    Invalid fields are replaced by ``stand_ins`` (or defaults), so the others can be checked further
    and one run reports all errors. ``given``: fields that a file must not have. ``context``: for
    the model's validators.
    """
    values: dict[str, object] = dict(fields.values)
    known = [info.alias or name for name, info in kind.model_fields.items() if name not in given]
    for key in values.keys() & given.keys():
        findings.error(fields.key_of(key), unknown_key(key, known))
        del values[key]
    try:
        model = kind.model_validate({**values, **given}, context=context)
    except ValidationError as error:
        details = error.errors(include_url=False)
    else:
        return Filled(model, fields)
    for detail in details:
        _report(known, fields, detail, findings)
    rejected = frozenset(str(detail["loc"][0]) for detail in details if detail["loc"])
    values = {key: value for key, value in values.items() if key not in rejected}
    try:
        model = kind.model_validate({**stand_ins, **values, **given}, context=context)
    except ValidationError:
        return None  # each field is valid, but they do not fit together
    return Filled(model, fields, rejected)


def reject_unknown(
    item: Item,
    known: Iterable[str],
    findings: Findings,
    *,
    hints: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Report each unknown key of a mapping; ``hints`` are messages for some of them."""
    known = list(known)
    for key in item.mapping:
        if key in hints:
            findings.error(item.key_of(key), hints[key])
        elif key not in known:
            findings.error(item.key_of(key), unknown_key(key, known))


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the message for an unknown key."""
    known = list(known)
    hint = did_you_mean(key, known)
    listed = f"; known here: {', '.join(known)}" if known else ""
    return f"unknown key `{key}`" + (hint or listed)


def list_at(item: Item, key: str, findings: Findings) -> list[Item]:
    """Return the elements of an optional list; report it if it is empty or not a list."""
    elements = item.elements(key)
    if key in item.mapping and not elements:
        problem = "is empty" if item.mapping[key] in (None, []) else "must be a list"
        findings.error(item.value_of(key), f"`{key}` {problem}")
    return elements


def _report(known: Iterable[str], fields: Fields, detail: ErrorDetails, findings: Findings) -> None:
    # A dictionary's key in error is reported as (name, key, "[key]").
    is_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
    path = detail["loc"][:-1] if is_key else detail["loc"]
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, BetweenFieldsError):
        findings.error(fields.key_of(*path, error.field), str(error))
    elif isinstance(error, PatternError):
        name = str(path[0])
        findings.error(*fields.in_text(name, error.message, error.position))
    elif not path:
        findings.error(fields.item.location, sentence_of(detail))
    elif detail["type"] == "extra_forbidden":
        # The keys of a model in a model are not known here.
        here = known if len(path) == 1 else ()
        findings.error(fields.key_of(*path), unknown_key(str(path[-1]), here))
    elif detail["type"] == "missing":
        findings.error(fields.item.location, f"`{fields.spelling_of(*path)}` is missing")
    else:
        location = fields.key_of(*path) if is_key else fields.value_of(*path)
        sentence = sentence_of(detail)
        is_wrong = "" if sentence.startswith("must") or error is None else "is wrong: "
        findings.error(location, f"`{fields.spelling_of(*path)}` {is_wrong}{sentence}")


def sentence_of(detail: ErrorDetails) -> str:
    """Return a sentence about an invalid value, without the value's name."""
    context = detail.get("ctx", {})
    if "error" in context:
        return str(context["error"])
    if detail["type"] == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        hint = did_you_mean(str(detail["input"]), expected.replace(" or ", ", ").split(", "))
        return f"must be {expected}, not {detail['input']!r}{hint}"
    if detail["type"] == "greater_than_equal":
        return f"must be at least {context['ge']}"
    if detail["type"] == "less_than_equal":
        return f"must be at most {context['le']}"
    if detail["type"].startswith("bool_"):
        return f"must be true or false, not {detail['input']!r}"
    sentence = _KINDS.get(detail["type"], detail["msg"])
    if detail["type"] == "string_type" and detail["input"] is None:
        sentence += ' (write "" for an empty one)'
    return sentence
