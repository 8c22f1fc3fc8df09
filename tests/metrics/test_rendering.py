"""A page that is rendered change by change equals one that is rendered from nothing."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from zlib_ng import zlib_ng

from exporter.compression import Deflated, deflate, deflater, gzip_file
from exporter.ledger.base import SeriesTotal
from exporter.metrics import blocks
from exporter.metrics.exposition import deflated
from exporter.metrics.families import MetricFamily
from exporter.metrics.scrapers import NOBODY
from exporter.metrics.series import SeriesStore
from exporter.metrics.text import label_value, labels_text
from exporter.model import SeriesKey

FAMILIES = (
    MetricFamily("logins_total", "counter", "Logins."),
    MetricFamily("matches_total", "counter", "Matches.", rules=frozenset({"a", "b"})),
    MetricFamily("matches_total", "counter", "Matches.", rules=frozenset({"b"})),
    MetricFamily("size_bytes", "histogram", "Sizes.", (0.5, 10.0)),
    MetricFamily("size_bytes", "histogram", "Sizes, more finely.", (1.0, 2.0)),
    MetricFamily("calls", "counter", "A name that OpenMetrics does not take for a counter."),
)
METRICS = ("logins_total", "matches_total", "size_bytes", "calls", "gone_total")
users = st.sampled_from(
    ["", "a", "a b", 'a"', 'a",rule="b', "a\\", "\n", "ü", "\ud800", "\udfff", "z"]
)
series = st.tuples(st.sampled_from(METRICS), users, st.sampled_from(["a", "b"]))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.lists(st.tuples(series, st.integers(0, 20)), max_size=12)),
        st.tuples(st.just("reveal"), st.integers(0, 9)),
        st.tuples(st.just("end"), st.lists(series, max_size=4)),
        st.tuples(st.just("describe"), st.sets(st.sampled_from(range(len(FAMILIES))))),
        st.tuples(st.just("scrape"), st.booleans()),
    ),
    max_size=25,
)


def total_of(name: tuple[str, str, str], value: int, *, revealed: bool = False) -> SeriesTotal:
    """A series that came to this total."""
    metric, user, rule = name
    counts = (value, 2 * value, value % 3) if metric == "size_bytes" else None
    return SeriesTotal(
        key=SeriesKey(metric, (("rule", rule), ("user", user))),
        total=value + 0.5,
        buckets=counts,
        created=1_700_000_000_000,
        revealed=revealed,
        event_id=f"e-{value}" if value % 2 else None,
        event_value=float(value % 4),
        event_time=1_700_000_000_000 + value,
    )


def text(store: SeriesStore, *, openmetrics: bool) -> str:
    return "".join(family.text for family in store.render(openmetrics=openmetrics).families)


def unzipped(store: SeriesStore, *, openmetrics: bool) -> str:
    """The same by way of the parts that are kept compressed."""
    families = store.render(openmetrics=openmetrics, compressed=True).families
    parts = [part for family in families for part in family.parts]
    return gzip.decompress(gzip_file(deflated(parts))).decode()


class Story:
    """A store, and what it should show."""

    def __init__(self, created: bool) -> None:
        self.created = created
        self.store = SeriesStore(None, created=created)
        self.totals: dict[SeriesKey, SeriesTotal] = {}
        self.families: list[MetricFamily] | None = None

    def tell(self, what: str, how: Any) -> None:
        if what == "commit":
            self._commit([total_of(name, value) for name, value in how])
        elif what == "reveal":
            due = self.store.due()[:how]
            self.store.recorded(due)
            self.store.reveal(NOBODY)
            for key in due:
                self.totals[key] = replace(self.totals[key], revealed=True)
        elif what == "end":
            keys = [total_of(name, 0).key for name in how]
            self.store.end(keys)
            for key in keys:
                self.totals.pop(key, None)
        elif what == "describe":
            self.families = [FAMILIES[index] for index in sorted(how)]
            self.store.describe(self.families)
        else:
            unzipped(self.store, openmetrics=how)

    def _commit(self, totals: Iterable[SeriesTotal]) -> None:
        for total in totals:
            known = self.totals.get(total.key)
            if known is None or total.total >= known.total:
                shown = known is not None and known.revealed
                self.totals[total.key] = replace(total, revealed=shown)
        self.store.apply(totals)

    def afresh(self) -> SeriesStore:
        """A store that has taken over nothing but the outcome."""
        store = SeriesStore(None, created=self.created)
        if self.families is not None:
            store.describe(self.families)
        store.apply(self.totals.values())
        return store


@pytest.mark.parametrize("most", [2, 5])
@settings(max_examples=40, deadline=None)
@given(steps=steps, created=st.booleans())
def test_a_page_of_many_changes_is_that_of_their_outcome(
    most: int, steps: list[tuple[str, Any]], created: bool
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(blocks, "MOST", most)
        story = Story(created)
        for what, how in steps:
            story.tell(what, how)
        for openmetrics in (False, True):
            page = text(story.store, openmetrics=openmetrics)
            assert page == text(story.afresh(), openmetrics=openmetrics)
            for _ in range(2):
                assert unzipped(story.store, openmetrics=openmetrics) == page
            parse: Any = parse_openmetrics if openmetrics else parse_text
            read = [
                (sample.name, sample.labels)
                for family in parse(page + "# EOF\n" * openmetrics)
                for sample in family.samples
            ]
            assert len(read) == len(re.findall("^(?!#).", page, re.MULTILINE))


def test_a_change_while_a_page_is_compressed_is_on_the_next_page() -> None:
    store = SeriesStore(None)
    store.apply([total_of(("logins_total", "a", "a"), 1, revealed=True)])
    (family,) = store.render(openmetrics=False, compressed=True).families
    store.apply([total_of(("logins_total", "a", "a"), 2, revealed=True)])
    assert b" 1.5\n" in gzip.decompress(gzip_file(deflated(family.parts)))
    assert "} 2.5\n" in unzipped(store, openmetrics=False)


awkward = st.text(st.sampled_from('\\"\n,={} ab'), max_size=8)


@given(st.lists(awkward, min_size=1, max_size=4))
def test_a_label_is_read_back_from_a_line(values: list[str]) -> None:
    labels = tuple((f"label_{number}", value) for number, value in enumerate(values))
    line = f"metric{labels_text(labels)} 1"
    assert [label_value(line, name) for name, _ in labels] == values
    assert label_value(line, "other") is None


@pytest.mark.parametrize(("library", "level"), [(isal_zlib, 0), (zlib_ng, 1), (zlib, 1)])
@given(texts=st.lists(st.binary(max_size=300), max_size=6), again=st.randoms())
def test_parts_of_a_gzip_file_are_joined_in_any_order(
    library: Any, level: int, texts: list[bytes], again: Any
) -> None:
    compress = deflater(library, level)
    parts = [Deflated(compress(text), zlib.crc32(text), len(text)) for text in texts]
    pairs = list(zip(texts, parts, strict=True))
    again.shuffle(pairs)
    file = gzip_file(part for _, part in pairs)
    # Of one member: this reads no other.
    stream = zlib.decompressobj(31)
    assert stream.decompress(file) == b"".join(text for text, _ in pairs)
    assert stream.eof
    assert not stream.unused_data


def test_a_part_knows_its_checksum() -> None:
    part = deflate(b"text")
    assert (part.crc, part.length) == (zlib.crc32(b"text"), 4)


def test_blocks_that_do_not_change_become_smaller_page_by_page() -> None:
    store = SeriesStore(None)
    names = [("logins_total", f"user-{number}", "a") for number in range(500)]
    store.apply([total_of(name, 1, revealed=True) for name in names])

    def size() -> int:
        (family,) = store.render(openmetrics=True, compressed=True).families
        return len(gzip_file(deflated(family.parts)))

    first = size()
    assert size() < first
    smallest = size()
    store.apply([total_of(names[0], 3, revealed=True)])
    assert smallest < size() < first
    assert "} 3.5" in unzipped(store, openmetrics=True)
