"""Models filled from YAML, with pydantic's errors as sentences at their places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

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
    """Values to fill a model with, and where in the file each stands."""

    item: Item
    values: Mapping[str, Value]
    origin: Mapping[str, tuple[Step, ...]]
    """Path of each value in the file, where that is not its own name (AWS's spelling)."""

    def path_of(self, *path: Step) -> tuple[Step, ...]:
        """The path in the file of a part of the model."""
        first = str(path[0])
        return (*self.origin.get(first, (first,)), *path[1:])

    def value_of(self, *path: Step) -> Location:
        """Where a value stands."""
        return self.item.value_of(*self.path_of(*path))

    def key_of(self, *path: Step) -> Location:
        """Where a value's key stands."""
        return self.item.key_of(*self.path_of(*path))

    def spelling_of(self, *path: Step) -> str:
        """A value's name as the file has it: ``labels.user``, ``metricTransformations[0]``."""
        text = ""
        for step in self.path_of(*path):
            text += f"[{step}]" if isinstance(step, int) else f".{step}"
        return text.removeprefix(".")


@dataclass(frozen=True)
class Filled(Generic[Model]):
    """A model, and what of it could not be taken from the file."""

    model: Model
    rejected: frozenset[str]
    """Fields that were wrong or missing and have a stand-in; never used for more than checks."""


def fill(
    kind: type[Model],
    fields: Fields,
    findings: Findings,
    *,
    stand_ins: Mapping[str, Value],
    folder: Path | None = None,
) -> Filled[Model] | None:
    """Fill a model; each error is reported at its place.

    The fields in error are replaced by ``stand_ins`` (or left to their defaults), so that what
    is right can be checked further and the user sees everything at once.
    """
    try:
        model = kind.model_validate(dict(fields.values), context=folder)
    except ValidationError as error:
        details = error.errors(include_url=False)
    else:
        return Filled(model, frozenset())
    for detail in details:
        _report(kind, fields, detail, findings)
    rejected = frozenset(str(detail["loc"][0]) for detail in details if detail["loc"])
    values = {key: value for key, value in fields.values.items() if key not in rejected}
    try:
        model = kind.model_validate({**stand_ins, **values}, context=folder)
    except ValidationError:
        # Errors between fields: their parts were right, so nothing is left to check.
        return None
    return Filled(model, rejected)


def reject_unknown(
    item: Item, known: Iterable[str], findings: Findings, *, hints: Mapping[str, str]
) -> None:
    """Report each key of a mapping that is none of ``known``; ``hints`` say more about some."""
    known = list(known)
    for key in item.data if isinstance(item.data, dict) else ():
        if key in hints:
            findings.error(item.key_of(key), hints[key])
        elif key not in known:
            findings.error(item.key_of(key), unknown_key(key, known))


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The sentence for a key that is not known here."""
    known = list(known)
    hint = did_you_mean(key, known)
    return f"unknown key `{key}`" + (hint or f"; known here: {', '.join(known)}")


def _report(kind: type[Model], fields: Fields, detail: ErrorDetails, findings: Findings) -> None:
    # A dictionary's key in error is reported as (name, key, "[key]").
    is_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
    path = detail["loc"][:-1] if is_key else detail["loc"]
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, BetweenFieldsError):
        findings.error(fields.key_of(error.field), str(error))
    elif not path:
        findings.error(fields.item.location, _own_sentence(detail) or detail["msg"])
    elif detail["type"] == "extra_forbidden":
        findings.error(fields.key_of(*path), unknown_key(str(path[-1]), kind.model_fields))
    elif detail["type"] == "missing":
        findings.error(fields.item.location, f"`{fields.spelling_of(*path)}` is missing")
    else:
        place = fields.key_of(*path) if is_key else fields.value_of(*path)
        findings.error(place, f"`{fields.spelling_of(*path)}` {_sentence(detail)}")


def _sentence(detail: ErrorDetails) -> str:
    own = _own_sentence(detail)
    if own is not None:
        return own if own.startswith("must") else f"is wrong: {own}"
    context = detail.get("ctx", {})
    if detail["type"] == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        hint = did_you_mean(str(detail["input"]), expected.replace(" or ", ", ").split(", "))
        return f"must be {expected}, not {detail['input']!r}{hint}"
    if detail["type"] == "greater_than_equal":
        return f"must be at least {context['ge']}"
    if detail["type"] == "less_than_equal":
        return f"must be at most {context['le']}"
    sentence = _KINDS.get(detail["type"], detail["msg"])
    if detail["type"] == "string_type" and detail["input"] is None:
        sentence += ' (write "" for an empty one)'
    return sentence


def _own_sentence(detail: ErrorDetails) -> str | None:
    """What this package's validators say themselves."""
    error = detail.get("ctx", {}).get("error")
    return None if error is None else str(error)
