"""Metric families, and the pieces of text that one rule series has on the page."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, Literal

from prometheus_client.utils import floatToGoString

from exporter.ledger.base import SeriesTotal
from exporter.metrics.text import (
    encodable,
    escape_help,
    escape_value,
    escaped,
    labels_text,
    number,
    seconds,
)
from exporter.model import SeriesKey

_EXEMPLAR_LENGTH: Final = 128
"""OpenMetrics 1.0: an exemplar's label names and values together, in characters."""
_EXEMPLAR_LABEL: Final = "event_id"
_UNKNOWN_HELP: Final = "Log events that matched a rule which is no longer configured."


Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A metric: one that rules count in, or the exporter's own."""

    name: str
    """A counter's ends in ``_total``, unless a rule says otherwise."""
    type: Kind
    help: str
    buckets: tuple[float, ...] = ()
    """Histograms: upper bounds, ascending, without +Inf."""
    rules: frozenset[str] | None = None
    """A metric whose series carry the label ``rule``: the rules that are configured. None if
    there is no such label."""

    def exposes(self, key: SeriesKey) -> bool:
        """Whether a configured rule feeds this series of the metric."""
        return self.rules is None or dict(key.labels).get("rule") in self.rules

    def header(self, *, openmetrics: bool) -> str:
        """The HELP and TYPE lines."""
        name, kind = self.name, str(self.type)
        if openmetrics and self.type == "counter":
            # Only a name that ends in _total can be a counter there.
            kind = "counter" if name.endswith("_total") else "unknown"
        name = self.base if openmetrics else name
        text = escape_help(self.help, openmetrics=openmetrics)
        return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"

    @property
    def base(self) -> str:
        """The family's name in OpenMetrics: a counter's without ``_total``."""
        return self.name.removesuffix("_total") if self.type == "counter" else self.name


def unknown_family(metric: str, kind: Kind) -> MetricFamily:
    """The family of a metric that no configured rule feeds any more.

    The bounds of a histogram are the rule's: without it, only sum and count are shown.
    """
    return MetricFamily(metric, kind, _UNKNOWN_HELP)


def kind_of(total: SeriesTotal) -> Kind:
    """The type of the metric that a series belongs to."""
    return "counter" if total.buckets is None else "histogram"


def at_zero(total: SeriesTotal) -> SeriesTotal:
    """The series as it was before its first match."""
    zeros = None if total.buckets is None else (0,) * len(total.buckets)
    return replace(total, total=0.0, buckets=zeros, event_id=None)


def series_key(key: SeriesKey) -> tuple[bytes, bytes]:
    """The text of a series up to its value: as its unique name, and as the page has it.

    They differ if a label value has a lone surrogate, which UTF-8 cannot encode.
    """
    shown = f"{key.metric}{labels_text(key.labels)} ".encode()
    if b"\\" not in shown or all(encodable(value) == value for _, value in key.labels):
        return shown, shown
    labels = ",".join(f'{name}="{escaped(value)}"' for name, value in key.labels)
    return f"{key.metric}{{{labels}}} ".encode("utf-8", "surrogatepass"), shown


def counter_lines(
    shown: bytes, total: SeriesTotal, family: MetricFamily, *, created: bool
) -> tuple[bytes, bytes]:
    """A counter's lines in 0.0.4 and in OpenMetrics.

    ``shown``: see ``series_key``. ``created``: OpenMetrics has a ``_created`` line.
    """
    line = shown + number(total.total).encode()
    plain = line + b"\n"
    if not family.name.endswith("_total"):
        return plain, plain
    exemplar = _exemplar(total)
    birth = ""
    if created:
        labels = shown.decode()[len(family.name) :]
        birth = f"{family.base}_created{labels}{seconds(total.created)}\n"
    return plain, line + f"{exemplar}\n{birth}".encode()


def histogram_lines(
    total: SeriesTotal, family: MetricFamily, *, created: bool
) -> tuple[bytes, bytes]:
    """A histogram's lines in 0.0.4 and in OpenMetrics. ``created``: see ``counter_lines``."""
    name, counts, labels = family.name, total.buckets or (), labels_text(total.key.labels)
    observations = sum(counts)
    # A family without the rule's bounds still has +Inf, which both formats want.
    bounds = family.buckets if len(family.buckets) + 1 == len(counts) else ()
    start = labels[:-1] + "," if labels else "{"
    cumulated = [*accumulate(counts[: len(bounds)]), observations]
    buckets = [
        f'{name}_bucket{start}le="{_bound(bound)}"}} {count}'
        for bound, count in zip((*bounds, float("inf")), cumulated, strict=True)
    ]
    ends = f"\n{name}_sum{labels} {number(total.total)}\n{name}_count{labels} {observations}\n"
    plain = "\n".join(buckets) + ends
    if observations:
        buckets[bisect_left(bounds, total.event_value)] += _exemplar(total)
    birth = f"{name}_created{labels} {seconds(total.created)}\n" if created else ""
    return plain.encode(), ("\n".join(buckets) + ends + birth).encode()


def _bound(bound: float) -> str:
    # OpenMetrics wants canonical numbers in le: 1.0, not 1.
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]


def _exemplar(total: SeriesTotal) -> str:
    if total.event_id is None:
        return ""
    event_id = total.event_id
    # No real id needs escaping, and some parsers do not know of it in exemplars.
    if not (event_id.isascii() and event_id.isalnum()) and escape_value(event_id) != event_id:
        return ""
    if len(_EXEMPLAR_LABEL) + len(event_id) > _EXEMPLAR_LENGTH:
        return ""
    time = "" if total.event_time is None else f" {seconds(total.event_time)}"
    return f' # {{{_EXEMPLAR_LABEL}="{event_id}"}} {number(total.event_value)}{time}'
