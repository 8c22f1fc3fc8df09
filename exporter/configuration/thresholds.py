"""Thresholds of rule packs: numbers that the packs' alerts compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from exporter.configuration.references import read_number
from exporter.sources.options import account_id


def _read(data: object) -> float:
    number = read_number(data)
    if number is None or number < 0:
        raise ValueError("must be a number that is not negative")
    return float(number)


Number: TypeAlias = Annotated[float, PlainValidator(_read)]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold of a pack in use."""

    name: str
    value: float
    accounts: Mapping[str, float] = field(default_factory=dict)
    """Other values, by account id."""


class ThresholdUse(BaseModel):
    """A threshold as a configuration sets it: a number, or a mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: Number | None = None
    """None if the pack's value holds."""
    accounts: dict[Annotated[str, AfterValidator(account_id)], Number] = Field(default_factory=dict)


def _as_mapping(data: object) -> object:
    return data if isinstance(data, dict | ThresholdUse) else {"default": data}


AnyThreshold: TypeAlias = Annotated[ThresholdUse, BeforeValidator(_as_mapping)]


def thresholds(
    defaults: Mapping[str, float], given: Mapping[str, ThresholdUse]
) -> tuple[Threshold, ...]:
    """Return a pack's thresholds as a configuration changes them."""
    found = []
    for name, value in defaults.items():
        use = given.get(name, ThresholdUse())
        found.append(Threshold(name, value if use.default is None else use.default, use.accounts))
    return tuple(found)
