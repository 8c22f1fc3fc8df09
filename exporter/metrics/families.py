"""Families of rule series, and the lines that one series has on the page."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

from prometheus_client.utils import floatToGoString

from exporter.ledger.base import SeriesTotal
from exporter.metrics.text import escape_help, escape_value, labels_text, number, seconds
from exporter.model import SeriesKey

_EXEMPLAR_LENGTH: Final = 128
"""OpenMetrics 1.0: an exemplar's label names and values together, in characters."""
_EXEMPLAR_LABEL: Final = "event_id"
_UNKNOWN_HELP: Final = "Log events that matched a rule which is no longer configured."


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A metric that rules count in."""

    name: str
    """As in the rule: a counter's ends in ``_total``."""
    type: Literal["counter", "histogram"]
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


def unknown_family(total: SeriesTotal) -> MetricFamily:
    """The family of a series that no configured rule feeds any more.

    The bounds of a histogram are the rule's: without it, only sum and count are shown.
    """
    kind: Literal["counter", "histogram"] = "counter" if total.buckets is None else "histogram"
    return MetricFamily(total.key.metric, kind, _UNKNOWN_HELP)


class Lines:
    """One series' lines, rendered once and kept until it changes."""

    __slots__ = ("_created", "_openmetrics", "_plain", "key", "labels")

    def __init__(self, key: SeriesKey) -> None:
        self.key = key
        self.labels = labels_text(key.labels)
        self.forget()

    def forget(self) -> None:
        """Drop the rendered text: the series or its family changed."""
        self._plain: str | None = None
        self._openmetrics: str | None = None

    def text(
        self,
        total: SeriesTotal,
        family: MetricFamily,
        *,
        shown: bool,
        openmetrics: bool,
        created: bool,
    ) -> str:
        """The lines; a series that is not ``shown`` yet is at 0, without exemplar.

        ``created``: OpenMetrics has a ``_created`` line.
        """
        kept = self._openmetrics if openmetrics else self._plain
        if kept is None:
            render = _counter if family.type == "counter" else _histogram
            kept = render(
                self.labels,
                total,
                family,
                shown=shown,
                openmetrics=openmetrics,
                created=created and openmetrics,
            )
            if openmetrics:
                self._openmetrics = kept
            else:
                self._plain = kept
        return kept


def _counter(
    labels: str,
    total: SeriesTotal,
    family: MetricFamily,
    *,
    shown: bool,
    openmetrics: bool,
    created: bool,
) -> str:
    line = f"{family.name}{labels} {number(total.total) if shown else '0'}"
    if not openmetrics or not family.name.endswith("_total"):
        return line + "\n"
    exemplar = _exemplar(total) if shown else ""
    birth = f"{family.base}_created{labels} {seconds(total.created)}\n" if created else ""
    return f"{line}{exemplar}\n{birth}"


def _histogram(
    labels: str,
    total: SeriesTotal,
    family: MetricFamily,
    *,
    shown: bool,
    openmetrics: bool,
    created: bool,
) -> str:
    name, counts = family.name, total.buckets or ()
    if not shown:
        counts = (0,) * len(counts)
    observations = sum(counts)
    # A family without the rule's bounds still has +Inf, which both formats want.
    bounds = family.buckets if len(family.buckets) + 1 == len(counts) else ()
    exemplar, marked = "", -1
    if openmetrics and shown and observations:
        exemplar, marked = _exemplar(total), bisect_left(bounds, total.event_value)
    start = labels[:-1] + "," if labels else "{"
    cumulated = [*accumulate(counts[: len(bounds)]), observations]
    lines = [
        f'{name}_bucket{start}le="{_bound(bound)}"}} {count}{exemplar if index == marked else ""}\n'
        for index, (bound, count) in enumerate(zip((*bounds, float("inf")), cumulated, strict=True))
    ]
    lines.append(f"{name}_sum{labels} {number(total.total) if shown else '0'}\n")
    lines.append(f"{name}_count{labels} {observations}\n")
    if created:
        lines.append(f"{name}_created{labels} {seconds(total.created)}\n")
    return "".join(lines)


def _bound(bound: float) -> str:
    # OpenMetrics wants canonical numbers in le: 1.0, not 1.
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]


def _exemplar(total: SeriesTotal) -> str:
    if total.event_id is None:
        return ""
    event_id = escape_value(total.event_id)
    # No real id needs escaping, and some parsers do not know of it in exemplars.
    if event_id != total.event_id or len(_EXEMPLAR_LABEL) + len(event_id) > _EXEMPLAR_LENGTH:
        return ""
    time = "" if total.event_time is None else f" {seconds(total.event_time)}"
    return f' # {{{_EXEMPLAR_LABEL}="{event_id}"}} {number(total.event_value)}{time}'
