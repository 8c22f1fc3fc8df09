"""The page that is scraped: rule series and the exporter's own metrics, in one text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from exporter.compression import Deflated, deflate, gzip_file
from exporter.ledger.base import Ledger, LedgerError
from exporter.logs import Failures
from exporter.metrics.blocks import Text
from exporter.metrics.rendering import RenderedFamily, raw_texts
from exporter.metrics.scrapers import Client, Edition
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.text import accepts_gzip, encodable, negotiate

_EOF: Final = Text(b"# EOF\n")


@dataclass(frozen=True, slots=True)
class Page:
    """A response to a scrape."""

    body: bytes
    headers: dict[str, str]
    edition: Edition
    """For ``Exposition.delivered``, once the response was sent."""


class Exposition:
    """Answers scrapes; thread-safe. A scrape has no effect on the ledger: ``record`` has."""

    def __init__(self, store: SeriesStore, telemetry: Telemetry, ledger: Ledger) -> None:
        self._store = store
        self._telemetry = telemetry
        self._ledger = ledger
        self._revealing = Failures("showing new series at their totals")

    def record(self) -> None:
        """Record in the ledger which series may be shown at their totals; called by a timer.

        If that fails, they stay at 0, and the error is logged and counted.

        Raises:
            LedgerError: it fails if series are shown at once (``run --once``): there is no
                later page that could show the values.
        """
        due = self._store.due()
        if not due:
            return
        try:
            self._ledger.reveal(due)
        except LedgerError as error:
            if not self._store.holds:
                raise
            self._telemetry.ledger_errors.labels(operation="reveal").inc()
            self._revealing.failed(error)
            return
        self._revealing.succeeded()
        self._store.recorded(due)

    def reveal(self, client: Client) -> None:
        """Show the recorded totals, before a page that a client requests."""
        self._store.reveal(client)

    def scrape(self, accept: str | None = None, accept_encoding: str | None = None) -> Page:
        """The page for these request headers (``Accept``, ``Accept-Encoding``)."""
        text_format = negotiate(accept)
        compressed = accepts_gzip(accept_encoding)
        families, edition = self._render(text_format.openmetrics, compressed=compressed)
        headers = {"Content-Type": text_format.content_type, "Vary": "Accept, Accept-Encoding"}
        texts = [text for family in families for text in family.parts]
        if text_format.openmetrics:
            texts.append(_EOF)
        if compressed:
            body = gzip_file(deflated(texts))
            headers["Content-Encoding"] = "gzip"
        else:
            body = b"".join(raw_texts(texts))
        return Page(body, headers, edition)

    def delivered(self, page: Page, client: Client) -> None:
        """Note that the page was sent whole to a client, who has seen its series."""
        self._store.delivered(page.edition, client)

    def _render(
        self, openmetrics: bool, *, compressed: bool
    ) -> tuple[list[RenderedFamily], Edition]:
        rendered = self._store.render(openmetrics=openmetrics, compressed=compressed)
        created = self._store.created
        families = [
            *rendered.families,
            *registry_families(self._telemetry.library, openmetrics=openmetrics, created=created),
        ]
        for tables in self._telemetry.tables:
            families += tables.render(openmetrics=openmetrics, created=created)
        families.sort(key=lambda family: family.name)
        return families, rendered.edition


def deflated(parts: Iterable[Text | Deflated]) -> Iterator[Deflated]:
    """The parts, compressed; neighbours that are not kept are compressed together."""
    together: list[bytes] = []
    for part in parts:
        if isinstance(part, Text) and not part.is_of_block:
            together.append(part.raw)
            continue
        if together:
            yield deflate(b"".join(together))
            together = []
        yield part.deflated() if isinstance(part, Text) else part
    if together:
        yield deflate(b"".join(together))


def registry_families(
    registry: CollectorRegistry, *, openmetrics: bool, created: bool = False
) -> Iterator[RenderedFamily]:
    """The text of each family of a registry, by prometheus_client.

    ``created``: with ``_created``, but never in the text format, which would make it a separate
    metric.
    """
    created = created and openmetrics
    encode: Callable[[Any], bytes] = generate_openmetrics if openmetrics else generate_latest
    for metric in registry.collect():
        single = _SingleFamily(_cleaned(metric, created=created))
        text = encode(single).removesuffix(_EOF.raw)
        suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
        yield RenderedFamily(metric.name + ("" if openmetrics else suffix), [Text(text)])


class _SingleFamily(Collector):
    """A registry of one family, as prometheus_client's encoders take it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def _cleaned(metric: Metric, *, created: bool) -> Metric:
    """The family with label values that UTF-8 can encode; a path may be any bytes."""
    cleaned = Metric(metric.name, metric.documentation, metric.type, metric.unit)
    birth = metric.name + "_created"
    cleaned.samples = [
        sample._replace(labels={name: encodable(value) for name, value in sample.labels.items()})
        for sample in metric.samples
        if created or sample.name != birth
    ]
    return cleaned
