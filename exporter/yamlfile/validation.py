"""Models filled from YAML, with pydantic's errors as sentences at their places."""

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
    """What a model's validator raises of several fields, and the field that is to be changed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Fields:
    """Values to fill a model with, and the place of each in the file."""

    item: Item
    values: Mapping[str, Value]
    origin: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    """Path of each value in the file, if that is not its own name (AWS's spelling)."""

    @classmethod
    def of(cls, item: Item, short: str = "") -> Fields | None:
        """A mapping's fields, or of a text the field ``short``; None if it is neither."""
        if short and isinstance(item.data, str):
            return cls(item, {short: item.data}, {short: ()})
        return cls(item, item.data) if isinstance(item.data, dict) else None

    def path_of(self, *path: Step) -> tuple[Step, ...]:
        """The path in the file of a part of the model."""
        first = str(path[0])
        return (*self.origin.get(first, (first,)), *path[1:])

    def value_of(self, *path: Step) -> Location:
        """Where a value begins."""
        return self.item.value_of(*self.path_of(*path))

    def key_of(self, *path: Step) -> Location:
        """Where a value's key begins."""
        return self.item.key_of(*self.path_of(*path))

    def spelling_of(self, *path: Step) -> str:
        """A value's name as the file has it: ``labels.user``, ``metricTransformations[0]``."""
        text = ""
        for step in self.path_of(*path):
            text += f"[{step}]" if isinstance(step, int) else f".{step}"
        return text.removeprefix(".")

    def in_text(self, name: str, message: str, position: int) -> tuple[Location, str]:
        """A problem of a pattern's character: its place, or the value's if it has none."""
        place = self.item.character_of(self.path_of(name), position)
        if place is None:
            return self.value_of(name), f"in the pattern, character {position + 1}: {message}"
        return place, f"in the pattern: {message}"


@dataclass(frozen=True)
class Filled(Generic[Model]):
    """A model, and what of it could not be taken from the file."""

    model: Model
    fields: Fields
    rejected: frozenset[str] = frozenset()
    """Keys that were wrong or missing and have a stand-in, which is only there for checks."""

    def is_right(self, *names: str) -> bool:
        """Whether all of these keys were taken from the file, or left to their defaults."""
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
    """Fill a model; each error is reported at its place.

    The fields in error are replaced by ``stand_ins`` (or left to their defaults), so that what
    is right can be checked further and the user sees everything at once. ``given``: fields that
    the program sets and no file can. ``context``: for the model's validators.
    """
    values: dict[str, object] = dict(fields.values)
    known = [info.alias or name for name, info in kind.model_fields.items() if name not in given]
    unknown = values.keys() & given.keys()
    for key in unknown:
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
        # Errors between fields: their parts were right, so nothing is left to check.
        return None
    return Filled(model, fields, rejected)


def reject_unknown(
    item: Item,
    known: Iterable[str],
    findings: Findings,
    *,
    hints: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Report each key of a mapping that is none of ``known``; ``hints`` say more about some."""
    known = list(known)
    for key in item.mapping:
        if key in hints:
            findings.error(item.key_of(key), hints[key])
        elif key not in known:
            findings.error(item.key_of(key), unknown_key(key, known))


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The sentence for a key that is not known here."""
    known = list(known)
    hint = did_you_mean(key, known)
    return f"unknown key `{key}`" + (hint or f"; known here: {', '.join(known)}")


def list_at(item: Item, key: str, findings: Findings) -> list[Item]:
    """The elements of the list that a mapping may have; that it is none, or empty, is an error."""
    if key not in item.mapping:
        return []
    elements, data = item.elements(key), item.mapping[key]
    if data is not None and not isinstance(data, list):
        findings.error(item.value_of(key), f"`{key}` must be a list")
    elif not elements:
        findings.error(item.value_of(key), f"`{key}` is empty")
    return elements


def _report(known: Iterable[str], fields: Fields, detail: ErrorDetails, findings: Findings) -> None:
    # A dictionary's key in error is reported as (name, key, "[key]").
    is_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
    path = detail["loc"][:-1] if is_key else detail["loc"]
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, BetweenFieldsError):
        findings.error(fields.key_of(error.field), str(error))
    elif isinstance(error, PatternError):
        name = str(path[0])
        findings.error(*fields.in_text(name, error.message, error.position))
    elif not path:
        findings.error(fields.item.location, sentence_of(detail))
    elif detail["type"] == "extra_forbidden":
        findings.error(fields.key_of(*path), unknown_key(str(path[-1]), known))
    elif detail["type"] == "missing":
        findings.error(fields.item.location, f"`{fields.spelling_of(*path)}` is missing")
    else:
        place = fields.key_of(*path) if is_key else fields.value_of(*path)
        sentence = sentence_of(detail)
        is_wrong = "" if sentence.startswith("must") or error is None else "is wrong: "
        findings.error(place, f"`{fields.spelling_of(*path)}` {is_wrong}{sentence}")


def sentence_of(detail: ErrorDetails) -> str:
    """What is wrong with a value, without its name; what validators say themselves as it is."""
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
