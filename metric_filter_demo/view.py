"""The demo's view in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from prometheus_client import Metric
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.child import Exporter
from metric_filter_demo.prometheus import Prometheus
from metric_filter_demo.traffic import Headline, Traffic

_HIDDEN_LABELS = ("account_id", "source", "instance", "job")
_HEADLINES = 5
"""How many are shown at a time."""
_BESIDE_THE_METRIC = 36
"""Columns of the terminal for a total and the beginning of its labels."""
_FRAME = 17
"""Lines of the picture that are neither headlines nor counters, and the URLs above it."""


class View(Protocol):
    """Shows the demo: once in the beginning, then ``update`` every ``period`` seconds."""

    period: float

    def say_hello(self) -> None:
        """Show the URLs."""

    def __enter__(self) -> View:
        """Start the view."""

    def __exit__(self, *_exception: object) -> None:
        """End it."""

    def update(self) -> None:
        """Show the current state."""

    def say_goodbye(self) -> None:
        """Say that everything ends."""


class _Common:
    """The common part of both views."""

    def __init__(
        self,
        console: Console,
        aws: EmbeddedAws,
        traffic: Traffic,
        exporter: Exporter,
        prometheus: Prometheus | None = None,
    ) -> None:
        self._console = console
        self._aws = aws
        self._traffic = traffic
        self._exporter = exporter
        self._prometheus = prometheus

    def say_hello(self) -> None:
        """Show the URLs."""
        places = [
            ("Status page", f"{self._exporter.url}/"),
            ("Metrics", f"{self._exporter.url}/metrics"),
            ("Embedded AWS", self._aws.endpoint_url),
        ]
        if self._prometheus is not None:
            places.append(("Prometheus", f"{self._prometheus.url}/alerts"))
        for name, url in places:
            self._console.print(f"{name:<13}[bold]{url}[/bold]", highlight=False)
        if self._prometheus is None:
            self._console.print(
                "Prometheus   none is installed; with one on the PATH the alerts run as well",
                highlight=False,
            )
        else:
            self._console.print(
                f"The Prometheus is {self._prometheus.binary}, started for the demo.",
                highlight=False,
                soft_wrap=True,
            )
        self._console.print(
            "The AWS and everything in it is made up; its CloudTrail delivers within seconds,"
            " the real one within minutes. Ctrl-C ends it all.",
            highlight=False,
            soft_wrap=True,
        )

    def say_goodbye(self) -> None:
        """Say that everything ends."""
        self._console.print(f"Ended. {self._made()}.", highlight=False, soft_wrap=True)

    def _made(self) -> str:
        calls = self._aws.calls
        return (
            f"{self._traffic.records:,} CloudTrail records and {self._traffic.lines:,} log lines"
            f" made; {calls.count('LookupEvents'):,} LookupEvents,"
            f" {calls.count('FilterLogEvents'):,} FilterLogEvents calls"
        )


class PlainView(_Common):
    """Lines, for output that is not a terminal."""

    period = 5.0

    def __enter__(self) -> PlainView:
        self._shown: list[Headline] = []
        self._totals: dict[str, float] = {}
        return self

    def __exit__(self, *_exception: object) -> None:
        return

    def update(self) -> None:
        """Print new events, and the counters that rose."""
        headlines = list(self._traffic.headlines)
        for headline in headlines:
            if headline not in self._shown:
                self._line(headline.time, f"event: {headline.text}")
        self._shown = headlines
        now = datetime.now().timestamp()
        self._line(now, self._made())
        totals: dict[str, float] = {}
        for name, _labels, value in rows(self._exporter.counters()):
            totals[name] = totals.get(name, 0) + value
        rising = {n: v for n, v in totals.items() if v > self._totals.get(n, 0)}
        self._totals = totals
        counted = ", ".join(f"{name} {value:,.0f}" for name, value in rising.items())
        self._line(now, f"counters now: {counted or 'no change'}")

    def _line(self, when: float, text: str) -> None:
        # soft_wrap: no line breaks, because there is no terminal with a width.
        self._console.print(f"{_clock(when)} {text}", highlight=False, markup=False, soft_wrap=True)


class LiveView(_Common):
    """A picture that is drawn again each second."""

    period = 1.0

    def __enter__(self) -> LiveView:
        self._values: dict[tuple[str, str], float] = {}
        self._latest: dict[str, str] = {}
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()
        self.update()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._live.stop()

    def update(self) -> None:
        """Draw it again."""
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        headlines = Table(title="What happened in the account", expand=True, show_header=False)
        headlines.add_column(width=8, no_wrap=True, style="dim")
        headlines.add_column(no_wrap=True, ratio=1)  # cut if the terminal is narrow
        for headline in list(self._traffic.headlines)[-_HEADLINES:]:
            headlines.add_row(_clock(headline.time), Text(headline.text))
        return Group(self._counters(), headlines, Text(self._made(), style="dim"))

    def _counters(self) -> Table:
        """The metrics that rose last, with the labels of the series that did; as many as fit."""
        totals: dict[str, float] = {}
        for name, labels, value in rows(self._exporter.counters()):
            totals[name] = totals.get(name, 0) + value
            if value > self._values.get((name, labels), 0):
                self._latest.pop(name, None)
                self._latest[name] = labels  # at the end: the dictionary is in order of rising
            self._values[name, labels] = value
        shown = list(self._latest)[-max(5, self._console.height - _HEADLINES - _FRAME) :]
        table = Table(title="Counters that rose last, read from /metrics", expand=True)
        widest = max(self._console.width - _BESIDE_THE_METRIC, 10)
        table.add_column("metric", no_wrap=True, max_width=widest)
        table.add_column("total", justify="right", style="bold", no_wrap=True)
        table.add_column("rose last", no_wrap=True, style="dim", ratio=1)
        for name in sorted(shown):
            table.add_row(Text(name), f"{totals.get(name, 0):,.0f}", Text(self._latest[name]))
        return table


def rows(metrics: list[Metric]) -> Iterator[tuple[str, str, float]]:
    """Name, labels and value of each counter; of a histogram, its count."""
    for metric in metrics:
        for sample in metric.samples:
            if sample.name.endswith(("_total", "_count")):
                labels = ", ".join(
                    f"{name}={value}"
                    for name, value in sorted(sample.labels.items())
                    if name not in _HIDDEN_LABELS and value
                )
                yield sample.name, labels, sample.value


def _clock(when: float) -> str:
    return f"{datetime.fromtimestamp(when):%H:%M:%S}"
