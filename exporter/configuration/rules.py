"""Rules: as a file writes them, and complete, as the rule set takes them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
)

from exporter.configuration.names import check_label_name, check_metric_name, check_rule_name
from exporter.configuration.numbers import (
    MAX_BUCKETS,
    MAX_SERIES,
    VALUES,
    check_whole_number,
    is_value,
    read_number,
)
from exporter.configuration.references import (
    LabelValue,
    Reference,
    ValueSpec,
    parse_label_value,
    parse_max_value,
    parse_scale,
    parse_value,
)
from exporter.patterns import FilterPattern
from exporter.sources.options import Names, Start
from exporter.yamlfile.problems import Location

MetricType: TypeAlias = Literal["counter", "histogram"]

_INFINITY = ("inf", "+inf", "infinity", "+infinity", ".inf", "+.inf")
_BENCHMARK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CONTROL = re.compile(r"[^\s/]+")


def _read_pattern(data: object) -> object:
    if isinstance(data, dict | list):
        raise ValueError(  # noqa: TRY004 pydantic's
            "must be quoted: without quotes YAML takes { and [ for its own; write pattern: '{ … }'"
        )
    return data


def _read_buckets(data: object) -> tuple[float, ...]:
    elements = list(data) if isinstance(data, list) else []
    if elements and str(elements[-1]).lower() in _INFINITY:
        # Every histogram has this one anyway.
        elements.pop()
    numbers = [number for number in map(read_number, elements) if number is not None]
    if not elements or len(numbers) < len(elements):
        raise ValueError("must be a list of upper bounds such as [0.1, 1, 10]")
    if len(numbers) > MAX_BUCKETS:
        raise ValueError(f"must be at most {MAX_BUCKETS} bounds, not {len(numbers)}")
    if not all(is_value(number) or is_value(number.copy_negate()) for number in numbers):
        raise ValueError(f"must be bounds that are 0, or from {VALUES}, or the negative of these")
    bounds = tuple(float(number) for number in numbers)
    if any(low >= high for low, high in itertools.pairwise(bounds)):
        raise ValueError("must be in ascending order, each bound once")
    return bounds


def _check_benchmark(name: str) -> str:
    if not _BENCHMARK.fullmatch(name):
        raise ValueError("must be the name of a benchmark and its version such as cis-v3.0.0")
    return name


def _check_control(control: str) -> str:
    if not _CONTROL.fullmatch(control):
        raise ValueError('must be the id of a control such as "4.3", without blanks')
    return control


Benchmark: TypeAlias = Annotated[str, AfterValidator(_check_benchmark)]
Control: TypeAlias = Annotated[str, AfterValidator(_check_control)]
LabelName: TypeAlias = Annotated[str, AfterValidator(check_label_name)]


class RuleEntry(BaseModel):
    """A rule as it is written in a file, each value checked by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: Annotated[str, AfterValidator(check_rule_name)]
    title: str = ""
    description: str = ""
    remediation: str = ""
    sources: Names | None = None
    pattern: Annotated[str, BeforeValidator(_read_pattern)]
    metric: Annotated[str, AfterValidator(check_metric_name)] | None = None
    type: MetricType = "counter"
    value: Annotated[ValueSpec, PlainValidator(parse_value)] | None = None
    scale: Annotated[Decimal, PlainValidator(parse_scale)] | None = None
    max_value: Annotated[float, PlainValidator(parse_max_value)] | None = None
    buckets: Annotated[tuple[float, ...], PlainValidator(_read_buckets)] | None = None
    labels: dict[LabelName, Annotated[LabelValue, PlainValidator(parse_label_value)]] = Field(
        default_factory=dict
    )
    max_series: Annotated[int, BeforeValidator(check_whole_number), Field(ge=1, le=MAX_SERIES)] = (
        1000
    )
    severity: str = ""
    controls: dict[Benchmark, Control] = Field(default_factory=dict)
    start: Start | None = None


@dataclass(frozen=True, slots=True)
class RuleConfig:
    """A rule, complete and checked: nothing is left to look up."""

    name: str
    title: str
    """The name where the file gives none."""
    description: str
    severity: str
    sources: tuple[str, ...]
    """Names of the sources that it listens to, in the configuration's order."""
    pattern: str
    compiled: FilterPattern = field(compare=False, repr=False)
    metric: str
    uses_default_metric: bool
    """Its series carry the label ``rule``, and its labels are its own affair."""
    type: MetricType
    value: ValueSpec
    buckets: tuple[float, ...] | None
    """Histograms: finite upper bounds, ascending. None: a counter."""
    labels: Mapping[str, LabelValue]
    """By name, in the file's order; without the labels that every rule series carries."""
    max_series: int
    start: float | None
    """The rule's own start: seconds back from when it is first loaded. None: its sources'."""
    location: Location = field(compare=False)
    remediation: str = ""
    """What to do about a match."""
    controls: Mapping[str, str] = field(default_factory=dict)
    """Ids of the controls that it is for, by benchmark and version."""
    pack: str = ""
    """The rule pack that it comes from; empty for a rule of the user's own."""

    @property
    def controls_text(self) -> str:
        """The controls in short: ``cis-v1.2.0/3.3 cis-v3.0.0/4.3``."""
        return " ".join(f"{benchmark}/{control}" for benchmark, control in self.controls.items())

    @property
    def has_dynamic_labels(self) -> bool:
        """Whether its series depend on the log events."""
        return any(value.is_dynamic for value in self.labels.values())


__all__ = ["LabelValue", "MetricType", "Reference", "RuleConfig", "RuleEntry", "ValueSpec"]
