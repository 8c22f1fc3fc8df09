"""A rule: its sources, its filter pattern and its metric."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
)

from exporter.configuration.names import (
    DEFAULT_METRIC,
    check_label_name,
    check_metric_name,
    check_rule_name,
)
from exporter.configuration.references import (
    EXACT_INTEGERS,
    VALUES,
    LabelValue,
    Reference,
    ValueSpec,
    is_value,
    parse_label_value,
    parse_max_value,
    parse_scale,
    parse_value,
    read_number,
)
from exporter.configuration.selection_criteria import SelectionCriteria, parse_criteria
from exporter.patterns import FilterPattern, compile_pattern
from exporter.sources.options import Names, Start
from exporter.yamlfile.problems import Location

MetricType: TypeAlias = Literal["counter", "histogram"]

MAX_BUCKETS = 200
"""Each bucket adds a series to every series of the rule."""
MAX_SERIES = 1_000_000
"""The largest `max_series`; Prometheus does not accept larger pages."""

_INFINITY = ("inf", "+inf", "infinity", "+infinity", ".inf", "+.inf")
_WHOLE = re.compile("[+-]?[0-9]+")


def _compile(data: object) -> FilterPattern:
    if isinstance(data, dict | list):
        raise ValueError(  # noqa: TRY004 pydantic's
            "must be quoted, because { and [ have a meaning in YAML; write pattern: '{ … }'"
        )
    if not isinstance(data, str):
        raise ValueError('must be a text (write "" for an empty one)')  # noqa: TRY004 pydantic's
    return compile_pattern(data, aws_limits=False)


def _read_buckets(data: object) -> tuple[float, ...]:
    elements = list(data) if isinstance(data, list) else []
    if elements and str(elements[-1]).lower() in _INFINITY:
        elements.pop()  # every histogram has it
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


def _matching(pattern: str, requirement: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {requirement}")
        return text

    return AfterValidator(check)


_BENCHMARK = _matching(
    "[A-Za-z0-9][A-Za-z0-9._-]*", "the name of a benchmark and its version such as cis-v3.0.0"
)
_CONTROL = _matching(r"[^\s/]+", 'the id of a control such as "4.3", without blanks')


def _check_whole_number(data: object) -> object:
    """Refuse ``1_000`` and digits of other scripts, which Python accepts."""
    if isinstance(data, str) and not _WHOLE.fullmatch(data):
        raise ValueError("must be a whole number")
    return data


def _name_if_empty(title: str, rule: ValidationInfo) -> str:
    return title or str(rule.data.get("name", ""))


def _scaled_and_bounded(value: ValueSpec, rule: ValidationInfo) -> ValueSpec:
    known = {key: rule.data[key] for key in ("scale", "max_value") if key in rule.data}
    return replace(value, **known)


class RuleConfig(BaseModel):
    """A rule, in either spelling."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: Annotated[str, AfterValidator(check_rule_name)]
    title: Annotated[str, AfterValidator(_name_if_empty)] = Field("", validate_default=True)
    """By default, the name."""
    description: str = ""
    remediation: str = ""
    """The action after a match."""
    sources: Names = ()
    """Names of the sources that it listens to, in the configuration's order. Before the loader has
    resolved them: as written, or empty for the default."""
    compiled: Annotated[FilterPattern, PlainValidator(_compile)] = Field(alias="pattern")
    field_selection_criteria: Annotated[
        SelectionCriteria | None, PlainValidator(parse_criteria)
    ] = None
    """The accounts and regions whose log groups it listens to; None for all."""
    metric: Annotated[str, AfterValidator(check_metric_name)] = DEFAULT_METRIC
    metric_help: str = ""
    """HELP of the metric; by default, the description or the title of its only rule."""
    type: MetricType = "counter"
    scale: Annotated[Decimal, PlainValidator(parse_scale)] = Decimal(1)
    max_value: Annotated[float, PlainValidator(parse_max_value)] = EXACT_INTEGERS
    value: Annotated[
        ValueSpec, PlainValidator(parse_value), AfterValidator(_scaled_and_bounded)
    ] = Field("1", validate_default=True)
    """With ``scale`` and ``max_value``."""
    buckets: Annotated[tuple[float, ...], PlainValidator(_read_buckets)] | None = None
    """Ascending finite upper bounds of a histogram; None for a counter."""
    labels: dict[
        Annotated[str, AfterValidator(check_label_name)],
        Annotated[LabelValue, PlainValidator(parse_label_value)],
    ] = Field(default_factory=dict)
    """By name, in the file's order; without the labels that all rule series have."""
    max_series: Annotated[int, BeforeValidator(_check_whole_number), Field(ge=1, le=MAX_SERIES)] = (
        1000
    )
    severity: str = ""
    controls: dict[Annotated[str, _BENCHMARK], Annotated[str, _CONTROL]] = Field(
        default_factory=dict
    )
    """Ids of the controls that it implements, by benchmark and version."""
    start: Start | None = None
    """Seconds before the rule is first loaded; None for the start of its sources."""
    pack: str = ""
    """The rule's pack, if any."""
    location: Location
    """Its location in the files, which does not matter for equality."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RuleConfig) and super().__eq__(
            other.model_copy(update={"location": self.location})
        )

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def pattern(self) -> str:
        """The filter pattern's text."""
        return self.compiled.text

    @property
    def uses_default_metric(self) -> bool:
        """Whether its series have the label ``rule``, so its label names need not match others'."""
        return self.metric == DEFAULT_METRIC

    @property
    def controls_text(self) -> str:
        """The controls as text: ``cis-v1.2.0/3.3 cis-v3.0.0/4.3``."""
        return " ".join(f"{benchmark}/{control}" for benchmark, control in self.controls.items())

    @property
    def references(self) -> Iterator[Reference]:
        """The fields of a log event that its value and labels read."""
        if self.value.reference is not None:
            yield self.value.reference
        for label in self.labels.values():
            yield from label.references


RULE_KEYS = tuple(
    field.alias or name
    for name, field in RuleConfig.model_fields.items()
    if name not in ("pack", "location")
)
"""The keys of a rule in a file; the loader sets the others."""
