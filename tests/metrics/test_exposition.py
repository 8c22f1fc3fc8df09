"""The page as Prometheus reads it; prometheus_client's parsers are the judge."""

from __future__ import annotations

import dataclasses
import gzip
import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from exporter.ledger.base import SeriesTotal
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.exposition import Exposition
from exporter.metrics.families import MetricFamily
from exporter.metrics.partitions import Meter
from exporter.metrics.rule_info import RuleInfo
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.text import OPENMETRICS, PLAIN, accepts_gzip, negotiate
from exporter.model import Partition, SeriesKey
from exporter.sources.files import FILE
from tests.support.counting import METRIC, SOURCE, key, total
from tests.support.tools import PrometheusBinaries

OPENMETRICS_TYPE = "application/openmetrics-text"
CREATED = re.compile(r"_created[ {]")


def parse_openmetrics(text: str) -> Iterable[Metric]:
    found: Iterable[Metric] = openmetrics_parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return found


HISTOGRAM = MetricFamily("size_bytes", "histogram", "Sizes.", (0.5, 10.0))


@pytest.fixture
def telemetry() -> Telemetry:
    telemetry = Telemetry()
    telemetry.set_rules([RuleInfo("logins", 'A "title"\n', "high", METRIC, "counter", 10)])
    telemetry.initialise(SOURCE, ["logins"])
    file = Partition(SOURCE, resource="/log/\udcff\n", kind=FILE)
    telemetry.read.add(Meter(file, found=1.0))
    telemetry.read.add(Meter(Partition(SOURCE, "1", "us-east-1"), found=1.0))
    telemetry.poll_duration.labels(SOURCE).observe(0.5)
    return telemetry


@pytest.fixture
def exposition(telemetry: Telemetry, tmp_path: Path, request: pytest.FixtureRequest) -> Exposition:
    store = SeriesStore(None, created=getattr(request, "param", False))
    store.describe([MetricFamily(METRIC, "counter", 'Sign-ins\nof \\ "users".'), HISTOGRAM])
    ledger = SqliteLedger.open(tmp_path)
    exposition = Exposition(store, telemetry, ledger)
    store.load(
        [
            total("b", 2.0, revealed=True, event_id="e-2"),
            total("a", 1.5, revealed=True, event_id="e-1", event_value=0.5),
            total("c", 7.0, revealed=True),
            total(
                "a",
                14.25,
                metric="size_bytes",
                buckets=(1, 2, 1),
                revealed=True,
                event_id="e-3",
                event_value=10.0,
            ),
        ]
    )
    return exposition


def families(exposition: Exposition, *, openmetrics: bool) -> dict[str, Metric]:
    page = exposition.scrape(OPENMETRICS_TYPE if openmetrics else None)
    parse = parse_openmetrics if openmetrics else parse_text
    return {family.name: family for family in parse(page.body.decode("utf-8"))}


def samples(family: Metric) -> list[Sample]:
    return [sample for sample in family.samples if not sample.name.endswith("_created")]


@pytest.mark.parametrize("openmetrics", [False, True])
def test_counters_and_histograms_come_with_help_type_and_values(
    exposition: Exposition, openmetrics: bool
) -> None:
    page = families(exposition, openmetrics=openmetrics)
    counter = page["logins"]
    assert (counter.type, counter.documentation) == ("counter", 'Sign-ins\nof \\ "users".')
    assert [(s.name, s.labels["user"], s.value) for s in samples(counter)] == [
        (METRIC, "a", 1.5),
        (METRIC, "b", 2.0),
        (METRIC, "c", 7.0),
    ]
    histogram = page["size_bytes"]
    assert (histogram.type, histogram.documentation) == ("histogram", "Sizes.")
    assert [(s.name, s.labels.get("le"), s.value) for s in samples(histogram)] == [
        ("size_bytes_bucket", "0.5", 1),
        ("size_bytes_bucket", "10.0", 3),
        ("size_bytes_bucket", "+Inf", 4),
        ("size_bytes_sum", None, 14.25),
        ("size_bytes_count", None, 4),
    ]


@pytest.mark.parametrize("exposition", [True], indirect=True)
def test_created_times_are_in_openmetrics_if_asked_for_and_never_in_the_text_format(
    exposition: Exposition,
) -> None:
    page = families(exposition, openmetrics=True)
    created = [s.value for s in page["logins"].samples if s.name == "logins_created"]
    assert created == [1_700_000_000.0] * 3
    for family in ("size_bytes", "metric_filter_exporter_polls"):
        assert f"{family}_created" in {sample.name for sample in page[family].samples}
    assert not CREATED.search(exposition.scrape("text/plain").body.decode())


def test_without_that_no_format_has_created_times(exposition: Exposition) -> None:
    for accept in (OPENMETRICS_TYPE, "text/plain"):
        assert not CREATED.search(exposition.scrape(accept).body.decode())


def test_openmetrics_has_exemplars(exposition: Exposition) -> None:
    page = families(exposition, openmetrics=True)
    exemplars = [s.exemplar for s in samples(page["logins"])]
    assert [e and (e.labels, e.value, float(e.timestamp or 0)) for e in exemplars] == [
        ({"event_id": "e-1"}, 0.5, 1_700_000_000.123),
        ({"event_id": "e-2"}, 1.0, 1_700_000_000.123),
        None,
    ]
    marked = {s.labels.get("le"): s.exemplar for s in page["size_bytes"].samples if s.exemplar}
    assert {le: e.labels for le, e in marked.items()} == {"10.0": {"event_id": "e-3"}}


def test_the_text_format_has_no_exemplars(exposition: Exposition) -> None:
    text = exposition.scrape("text/plain").body.decode()
    assert "# {" not in text
    assert "# EOF" not in text


def test_one_page_holds_the_exporters_own_metrics_in_order(exposition: Exposition) -> None:
    text = exposition.scrape(OPENMETRICS_TYPE).body.decode()
    assert text.endswith("\n# EOF\n")
    assert text.count("# EOF") == 1
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert names == sorted(set(names))
    assert {"logins", "metric_filter_exporter_polls", "metric_filter_rule_info"} <= set(names)
    plain = re.findall(r"^# TYPE (\S+)", exposition.scrape().body.decode(), re.MULTILINE)
    assert plain == sorted(set(plain))
    assert len(plain) == len(names)


def test_a_series_that_is_held_shows_nothing_of_its_match() -> None:
    store = SeriesStore(60.0)
    store.describe([HISTOGRAM])
    store.load(
        [
            total("a", 3.0, event_id="e-1"),
            total("a", 3.0, metric="size_bytes", buckets=(1, 0, 2), event_id="e-1"),
        ]
    )
    text = "".join(family.text for family in store.render(openmetrics=True).families) + "# EOF\n"
    assert "e-1" not in text
    parsed = {family.name: family for family in parse_openmetrics(text)}
    for family in parsed.values():
        assert {sample.value for sample in samples(family)} == {0}


@pytest.mark.parametrize(("length", "kept"), [(120, True), (121, False)])
def test_an_exemplar_that_is_too_long_is_left_out(length: int, kept: bool) -> None:
    store = SeriesStore(None)
    store.load([total("a", 1.0, revealed=True, event_id="x" * length)])
    text = "".join(family.text for family in store.render(openmetrics=True).families) + "# EOF\n"
    (family,) = parse_openmetrics(text)
    assert (samples(family)[0].exemplar is not None) == kept


def test_a_series_whose_rule_is_gone_is_not_exposed_and_comes_back_where_it_stood() -> None:
    store = SeriesStore(0.0)
    old = total("b", 3.0, metric="old_total", revealed=True)
    store.load([total("a", 1.0, revealed=True), old])
    logins = MetricFamily(METRIC, "counter", "Logins.")
    store.describe([logins])
    assert [family.name for family in store.render(openmetrics=False).families] == [METRIC]
    store.describe([logins, MetricFamily("old_total", "counter", "Old.")])
    again = store.render(openmetrics=False).families
    assert [family.name for family in again] == [METRIC, "old_total"]
    assert again[1].text.endswith("} 3\n")


def test_the_shared_default_metric_shows_the_rules_that_are_configured() -> None:
    store = SeriesStore(None)
    store.load(
        SeriesTotal(SeriesKey("m_total", (("rule", rule),)), 1.0, None, 0, True, None, 0.0, None)
        for rule in ("kept", "gone")
    )
    store.describe([MetricFamily("m_total", "counter", "Matches.", rules=frozenset({"kept"}))])
    (family,) = store.render(openmetrics=False).families
    assert 'rule="kept"' in family.text
    assert 'rule="gone"' not in family.text


awkward = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('\\"\n\r\x00{},= #')),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(awkward, st.floats(0, allow_nan=False, allow_infinity=False), min_size=1),
    awkward,
    awkward,
)
def test_any_text_comes_back_from_both_parsers(
    values: dict[str, float], help_text: str, event_id: str
) -> None:
    store = SeriesStore(None)
    store.describe([MetricFamily(METRIC, "counter", help_text)])
    store.load(
        total(user, value, revealed=True, event_id=event_id) for user, value in values.items()
    )
    for openmetrics in (False, True):
        text = "".join(family.text for family in store.render(openmetrics=openmetrics).families)
        lines = [line for line in text.split("\n") if line.startswith(METRIC)]
        assert len(lines) == len(values)
        parse = parse_openmetrics if openmetrics else parse_text
        (family,) = parse(text + "# EOF\n" * openmetrics)
        found = {sample.labels["user"]: sample.value for sample in samples(family)}
        assert found == values


def test_lone_surrogates_are_written_out_and_stay_apart() -> None:
    store = SeriesStore(None)
    store.describe([MetricFamily(METRIC, "counter", "help \ud800")])
    store.load(total(u, 1.0, revealed=True, event_id=u) for u in ("\ud800", "\ud801", "ü"))
    for openmetrics in (False, True):
        text = "".join(family.text for family in store.render(openmetrics=openmetrics).families)
        parse = parse_openmetrics if openmetrics else parse_text
        (family,) = parse(text.encode("utf-8").decode() + "# EOF\n" * openmetrics)
        assert {s.labels["user"] for s in samples(family)} == {"\\ud800", "\\ud801", "ü"}


def test_labels_may_be_missing_altogether() -> None:
    store = SeriesStore(None)
    bare = SeriesKey(key().metric, ())
    store.load(
        [
            dataclasses.replace(total(value=2.0, revealed=True), key=bare),
            dataclasses.replace(
                total(value=2.0, revealed=True, buckets=(2,)),
                key=SeriesKey("h", ()),
            ),
        ]
    )
    text = "".join(family.text for family in store.render(openmetrics=False).families)
    assert "\nlogins_total 2\n" in text
    assert '\nh_bucket{le="+Inf"} 2\n' in text


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, PLAIN.content_type),
        ("", PLAIN.content_type),
        ("*/*", PLAIN.content_type),
        ("text/html, image/png;q=0.8", PLAIN.content_type),
        ("text/plain", PLAIN.content_type),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", PLAIN.content_type),
        (OPENMETRICS_TYPE, OPENMETRICS.content_type),
        (f"{OPENMETRICS_TYPE}; version=1.0.0; charset=utf-8", OPENMETRICS.content_type),
        (f"{OPENMETRICS_TYPE};version=2.0.0,text/plain;q=0.3", PLAIN.content_type),
        (f"{OPENMETRICS_TYPE};q=0,text/plain;q=0.1", PLAIN.content_type),
        (f"{OPENMETRICS_TYPE};q=nonsense", PLAIN.content_type),
        (f"text/plain;q=0.9,{OPENMETRICS_TYPE};q=0.1", PLAIN.content_type),
        (
            f"{OPENMETRICS_TYPE};version=0.0.1;q=0.75,text/plain;q=0.5",
            f"{OPENMETRICS_TYPE}; version=0.0.1; charset=utf-8",
        ),
        (
            # Prometheus 3.5
            f"{OPENMETRICS_TYPE};version=1.0.0;escaping=allow-utf-8;q=0.6,"
            f"{OPENMETRICS_TYPE};version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
            "*/*;q=0.2",
            f"{OPENMETRICS.content_type}; escaping=allow-utf-8",
        ),
        (
            "text/plain;version=1.0.0;escaping=dots;q=0.4,text/plain;version=0.0.4;q=0.3",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
    ],
)
def test_the_format_is_negotiated(accept: str | None, content_type: str) -> None:
    found = negotiate(accept)
    assert found.content_type == content_type
    assert found.openmetrics == content_type.startswith(OPENMETRICS_TYPE)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("*", True),
        ("gzip;q=0, *", False),
        ("identity", False),
    ],
)
def test_gzip_where_it_is_accepted(
    exposition: Exposition, header: str | None, accepted: bool
) -> None:
    assert accepts_gzip(header) == accepted
    page = exposition.scrape("text/plain", header)
    assert (page.headers.get("Content-Encoding") == "gzip") == accepted
    body = gzip.decompress(page.body) if accepted else page.body
    assert b"\nlogins_total{" in body


def many(count: int) -> Iterable[SeriesTotal]:
    return [total(f"user-{n}", float(n), revealed=True, event_id=f"e-{n}") for n in range(count)]


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_page_of_20000_series_is_quick(openmetrics: bool) -> None:
    store = SeriesStore(None, created=True)
    store.load(many(20_000))
    store.render(openmetrics=openmetrics)
    store.apply([total(f"user-{n}", 1e6 + n, revealed=True) for n in range(100)])
    start = time.process_time()
    rendered = store.render(openmetrics=openmetrics)
    body = "".join(family.text for family in rendered.families).encode()
    # Some 10 ms on one core; prometheus_client takes 160 to 400.
    assert time.process_time() - start < 0.08
    assert body.count(b"\n") == 20_000 * (1 + openmetrics) + 2


def test_promtool_has_nothing_to_say(
    exposition: Exposition, each_prometheus: PrometheusBinaries
) -> None:
    for accept in ("text/plain", None):
        checked = subprocess.run(
            [each_prometheus.promtool, "check", "metrics"],
            input=exposition.scrape(accept).body,
            capture_output=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
