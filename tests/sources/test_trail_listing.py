"""A trail in a bucket that is listed: each object is read, whenever and wherever it appears."""

from __future__ import annotations

import json
import math
from bisect import bisect_right, insort
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.aws.accounts import AwsAccounts
from exporter.aws.listing import ListedObject, ListingPage
from exporter.aws.roles import Role
from exporter.clock import Clock
from exporter.model import EventFormat, Limits, Partition, SourceError
from exporter.sources import trail_listing, trail_walk
from exporter.sources.base import Environment, Reading
from exporter.sources.contents import ContentT, Portion
from exporter.sources.trail_bucket import TrailListingConfig
from exporter.sources.trail_listing import TrailListing
from exporter.sources.trail_objects import TrailObject

ACCOUNT, REGION = "111122223333", "us-east-1"
FOLDER = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/"
PARTITION = Partition("trail", ACCOUNT, REGION, f"s3://trail/{FOLDER}")
START = int(datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()) // 60
"""Minute at which the source is first configured."""
HOUR, DAY = 60, 1440


@dataclass
class Bucket:
    """A model of S3: lists in pages, objects that may fail, and time."""

    minute: float = START
    page: int = 1000
    contents: dict[str, bytes] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    """In their order."""
    failing: dict[str, str] = field(default_factory=dict)
    """Error by key; the key ``list`` stands for listings."""
    calls: Counter[str] = field(default_factory=Counter)
    fails_from: float = math.inf
    """The number of the listing from which on listings fail."""
    default_region: str | None = REGION

    def earliest(self) -> float:
        return self.minute * 60

    now = earliest

    def put(self, minute: int, number: int = 0, folder: str = FOLDER) -> str:
        """Write an object of one record whose id is its key."""
        time = datetime.fromtimestamp(minute * 60, UTC)
        account, kind, region = folder.split("/")[-4:-1]
        name = f"{account}_{kind}_{region}_{time:%Y%m%dT%H%MZ}_{number:016}.json"
        return self.write(f"{folder}{time:%Y/%m/%d}/{name}")

    def by_role(self, role: Role | None) -> Bucket:
        assert role is None
        return self

    def write(self, key: str) -> str:
        self.contents[key] = json.dumps({"Records": [{"eventID": key}]}).encode()
        insort(self.keys, key)
        return key

    def read(self, key: str) -> bytes:
        self._call("GetObject", key)
        return self.contents[key]

    def pages(self, prefix: str, start_after: str, delimiter: str) -> Iterator[ListingPage]:
        first = bisect_right(self.keys, max(prefix, start_after))
        end = bisect_right(self.keys, f"{prefix}\U0010ffff")
        if delimiter:
            self._call("ListObjectsV2", "list")
            ends = [key.removeprefix(prefix).partition("/")[0] for key in self.keys[first:end]]
            yield ListingPage([], [f"{prefix}{one}/" for one in dict.fromkeys(ends)], is_last=True)
            return
        modified = datetime.fromtimestamp(self.minute * 60, UTC)
        for start in range(first, max(end, first + 1), self.page):
            self._call("ListObjectsV2", "list")
            keys = self.keys[start : min(end, start + self.page)]
            found = [ListedObject(key, len(self.contents[key]), modified) for key in keys]
            yield ListingPage(found, [], is_last=start + self.page >= end)

    def _call(self, operation: str, key: str) -> None:
        self.calls[operation] += 1
        if key in self.failing:
            raise SourceError(f"{operation} of {key} failed.", reason=self.failing[key])
        if key == "list" and self.calls[operation] >= self.fails_from:
            raise SourceError(f"{operation} failed.", reason="error")


class BucketListing:
    """Stands in for Listing."""

    def __init__(self, bucket: Bucket, region: str, *, owner: str | None) -> None:
        assert (region, owner) == (REGION, None)
        self._bucket = bucket

    def pages(
        self, bucket: str, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> Iterator[ListingPage]:
        assert bucket == "trail"
        return self._bucket.pages(prefix, start_after, delimiter)


@dataclass
class AskingAhead:
    """Reads objects of the bucket, and asks for ``most`` of them ahead."""

    bucket: Bucket
    most: int

    def portions(
        self,
        _partition: Partition,
        _format: EventFormat,
        _limits: Limits | None,
        contents: Iterable[ContentT],
    ) -> Generator[Portion[ContentT]]:
        asked: deque[ContentT] = deque()
        for content in contents:
            asked.append(content)
            if len(asked) > self.most:
                yield from self._portions(asked.popleft())
        for content in asked:
            yield from self._portions(content)

    def _portions(self, content: ContentT) -> Iterator[Portion[ContentT]]:
        assert isinstance(content, TrailObject)
        try:
            loaded = self.bucket.read(content.name.key)
        except SourceError as error:
            yield Portion(content, last=True, error=error)
            return
        try:
            for events in content.events(loaded, 0):
                yield Portion(content, list(events), len(loaded))
        except Exception as error:
            yield Portion(content, last=True, error=cast("Any", error))
            return
        yield Portion(content, last=True)


@pytest.fixture(autouse=True, scope="module")
def bucket_is_listed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trail_listing, "Listing", BucketListing)
        yield


@dataclass
class Exporter:
    """A source that is polled, and the checkpoint and events that its consumer committed."""

    bucket: Bucket
    options: Mapping[str, Any] = field(default_factory=dict)
    ahead: int = 0
    """Objects that are asked for ahead."""
    checkpoint: str | None = None
    events: Counter[str] = field(default_factory=Counter)
    """How often each record was read."""
    outcomes: Counter[str] = field(default_factory=Counter)
    last: Reading | None = None

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, *, complete: bool = False) -> None:
        config = TrailListingConfig(name="trail", bucket="trail", **self.options)
        accounts, clock = cast("AwsAccounts", self.bucket), cast("Clock", self.bucket)
        contents = AskingAhead(self.bucket, self.ahead)
        environment = Environment(accounts, clock, complete, contents)
        self.source: TrailListing = config.source(environment, {config.part: START * 60_000})

    def poll(self, readings: float = math.inf, turn: float = math.inf) -> Exporter:
        """Commit the readings of a poll; a crash comes after ``readings`` of them."""
        polled: Iterator[Reading] = self.source.poll(
            PARTITION, self.checkpoint, own_starts={}, turn=turn
        )
        for number, reading in enumerate(polled):
            if number >= readings:
                self.restart()
                return self
            self.checkpoint, self.last = reading.checkpoint, reading
            self.events.update(json.loads(event.message)["eventID"] for event in reading.events)
            self.outcomes.update(reading.objects)
        return self

    def poll_until(self, minute: float, every: float = 1) -> Exporter:
        while self.bucket.minute < minute:
            self.bucket.minute += every
            self.poll()
        return self


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def test_objects_are_read_once_from_the_start_on(bucket: Bucket) -> None:
    before = bucket.put(START - 1)
    exporter = Exporter(bucket).poll()
    keys = {bucket.put(START, 1), bucket.put(START + 3, 1), bucket.put(START + 3, 2)}
    exporter.poll_until(START + 30)
    assert exporter.events == dict.fromkeys(keys, 1)
    assert before not in exporter.events


def test_events_before_an_edit_of_the_prefix_count(bucket: Bucket) -> None:
    edited = TrailListingConfig(name="trail", bucket="trail", prefix=f"AWSLogs/{ACCOUNT}/")
    since = dict.fromkeys(TrailListingConfig(name="trail", bucket="trail").parts, START * 60_000)
    bucket.put(START + 30)
    bucket.minute = START + HOUR
    accounts, clock = cast("AwsAccounts", bucket), cast("Clock", bucket)
    environment = Environment(accounts, clock, contents=AskingAhead(bucket, 0))
    *_, last = edited.source(environment, since).poll(PARTITION, None, own_starts={})
    assert last.limits == Limits(None, START * 60_000)


def test_an_object_counts_that_arrives_late_within_the_lookback(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll()
    on_time = [bucket.put(START + number, number) for number in range(2000)]
    bucket.minute = START + DAY + HOUR
    exporter.poll()
    late = bucket.put(START + 2 * HOUR, 9999)
    exporter.poll_until(bucket.minute + DAY // 12, every=10)
    assert exporter.events == dict.fromkeys([*on_time[: DAY + HOUR + 1440], late], 1)


def test_a_day_goes_on_after_midnight(bucket: Bucket) -> None:
    midnight = START + 12 * HOUR
    exporter = Exporter(bucket).poll().poll_until(midnight + 2, every=30)
    keys = [bucket.put(midnight - 1), bucket.put(midnight), bucket.put(midnight + 1)]
    assert exporter.poll().events == dict.fromkeys(keys, 1)


def test_an_object_between_those_of_cloudtrail_is_read_once(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll_until(START + 30)
    key = bucket.put(START + 20)
    other = bucket.write(key.replace("Z_", "_"))
    exporter.poll_until(START + 2 * DAY, every=30)
    assert exporter.events == {key: 1, other: 1}


def test_an_object_with_any_name_is_read_in_the_folder_of_a_day(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll()
    names = ("0.json", "zzz", f"{ACCOUNT}_CloudTrail_{REGION}_20261125T2359Z_x.json", "2026_ä.gz")
    keys = [bucket.write(f"{FOLDER}2026/11/27/{name}") for name in names]
    bucket.write(f"{FOLDER}2026/11/x/a.json")
    exporter.poll_until(START + DAY, every=60)
    bucket.page = 2
    keys.append(bucket.put(START + DAY - HOUR))
    exporter.poll_until(START + 2 * DAY, every=60)
    assert exporter.events == dict.fromkeys(keys, 1)


def test_fresh_objects_come_before_late_ones_and_history(bucket: Bucket) -> None:
    old, late, fresh = bucket.put(START - 20 * DAY), bucket.put(START - HOUR), bucket.put(START)
    exporter = Exporter(bucket, {"start": "30d"}).poll()
    assert list(exporter.events) == [fresh, late, old]


def test_history_goes_on_where_the_turn_ended_and_its_size_is_known(bucket: Bucket) -> None:
    bucket.page = 10
    keys = [bucket.put(START - 20 * DAY + number) for number in range(50)]
    exporter = Exporter(bucket, {"start": "30d"}).poll()
    assert exporter.events == dict.fromkeys(keys, 1)
    exporter = Exporter(bucket, {"start": "30d"}).poll(turn=0)
    assert exporter.last is not None
    assert exporter.last.behind
    assert exporter.last.backlog is not None
    assert exporter.last.backlog.objects == 50
    assert exporter.last.backlog.size == sum(map(len, bucket.contents.values()))
    exporter.poll()
    assert exporter.events == dict.fromkeys(keys, 1)
    assert not exporter.last.behind
    assert exporter.last.backlog.objects == 0


def test_a_run_to_the_end_knows_how_much_it_reads(bucket: Bucket) -> None:
    bucket.page = 100
    for number in range(600):
        bucket.put(START - 20 * DAY + number)
        bucket.put(START - number)
    exporter = Exporter(bucket, {"start": "30d"})
    exporter.restart(complete=True)
    readings = exporter.source.poll(PARTITION, None, own_starts={})
    left = [one.backlog.objects for one in readings if one.backlog]
    older = left[left.index(max(left)) :]
    assert 900 < older[0] < 1200
    assert older == sorted(older, reverse=True)
    assert older[-1] == 0


@pytest.mark.parametrize("readings", [3, 500])
def test_a_crash_in_the_middle_makes_few_objects_be_read_again(
    bucket: Bucket, readings: int
) -> None:
    keys = [bucket.put(START - 20 * DAY + number) for number in range(1000)]
    exporter = Exporter(bucket, {"start": "30d"}).poll(readings)
    exporter.poll()
    assert set(exporter.events) == set(keys)
    assert exporter.events.total() <= 1000 + 32


def test_late_objects_that_a_poll_has_left_are_read_by_the_next(bucket: Bucket) -> None:
    exporter = Exporter(bucket, {"lookback": "1h"}).poll()
    keys = [bucket.put(START + number) for number in range(75)]
    bucket.minute = START + 75
    exporter.poll(turn=0)
    assert set(exporter.events) == set(keys[-10:])
    assert exporter.poll().events == dict.fromkeys(keys, 1)


def test_fresh_objects_are_read_once_that_become_history_before_the_backlog_is_read(
    bucket: Bucket,
) -> None:
    exporter = Exporter(bucket, {"lookback": "1h"}).poll()
    keys = [bucket.put(START + number) for number in range(5 * HOUR)]
    bucket.minute = START + HOUR
    while bucket.minute < START + 5 * HOUR:
        bucket.minute += 5
        exporter.poll(turn=0)
    assert set(exporter.events) == set(keys[HOUR - 5 :])
    assert exporter.poll().events == dict.fromkeys(keys, 1)
    assert exporter.checkpoint is not None
    assert len(exporter.checkpoint) < 40 * HOUR


def test_an_object_that_fails_is_named_and_tried_again_while_the_others_are_read(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []
    log = SimpleNamespace(warning=lambda text, **said: named.append(f"{text} {said['object']}"))
    monkeypatch.setattr(trail_listing, "_log", log)
    exporter = Exporter(bucket).poll()
    keys = [bucket.put(START + number) for number in range(5)]
    bucket.failing = {keys[1]: "access_denied", keys[3]: "access_denied"}
    exporter.poll_until(START + HOUR)
    assert exporter.events == dict.fromkeys((keys[0], keys[2], keys[4]), 1)
    del bucket.failing[keys[1]]
    exporter.restart()
    exporter.poll_until(START + 3 * HOUR)
    assert exporter.events[keys[1]] == 1
    exporter.poll_until(START + DAY + 3 * HOUR, every=10)
    assert [text.partition(" s3://")[0] for text in named] == [
        "an object cannot be read: it is tried again",
        "an object cannot be read: it is tried again",
        "an object cannot be read: it is given up",
    ]
    assert named[-1].endswith(keys[3])
    assert exporter.outcomes["given_up"] == 1
    assert exporter.outcomes["failed"] == 2
    assert exporter.outcomes["failed_again"] < 60


def test_if_all_objects_fail_reading_waits_and_loses_none(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll()
    keys = [bucket.put(START + number) for number in range(2 * trail_walk.MOST_FAILING)]
    bucket.failing = dict.fromkeys(keys, "access_denied")
    bucket.minute = START + 4 * HOUR
    for _ in range(2):
        with pytest.raises(SourceError, match=r"100 objects in .* cannot be read"):
            exporter.poll()
    bucket.failing = {}
    exporter.poll_until(bucket.minute + 2 * HOUR)
    assert exporter.events == dict.fromkeys(keys, 1)


def test_fresh_objects_do_not_wait_for_history_that_cannot_be_read(bucket: Bucket) -> None:
    old = [bucket.put(START - 2 * DAY + number) for number in range(2 * trail_walk.MOST_FAILING)]
    bucket.failing = dict.fromkeys(old, "access_denied")
    exporter = Exporter(bucket, {"start": 3 * 86_400}, ahead=len(old))
    for _ in range(2):
        with pytest.raises(SourceError, match=r"50 objects in .* history is read once these can"):
            exporter.poll()
    fresh = bucket.put(START)
    with pytest.raises(SourceError):
        exporter.poll()
    assert exporter.events == {fresh: 1}
    bucket.failing = {}
    bucket.minute += HOUR
    with suppress(SourceError):
        exporter.poll()
    assert exporter.poll().events == dict.fromkeys([fresh, *old], 1)


def test_no_object_waits_for_archived_ones(bucket: Bucket) -> None:
    old = [bucket.put(START - 2 * DAY + number) for number in range(2 * trail_walk.MOST_FAILING)]
    bucket.failing = dict.fromkeys(old, "archived")
    last = bucket.put(START - DAY)
    exporter = Exporter(bucket, {"start": 3 * 86_400}).poll()
    assert exporter.events == {last: 1}


def test_no_object_waits_for_damaged_ones(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll()
    for number in range(2 * trail_walk.MOST_FAILING):
        bucket.contents[bucket.put(START + number // 10, number)] = b'{"Records": [{"'
    keys = [bucket.put(START + number, 9999) for number in range(20)]
    exporter.poll_until(START + HOUR)
    assert exporter.events == dict.fromkeys(keys, 1)
    assert exporter.outcomes["given_up"] >= trail_walk.MOST_FAILING


@pytest.mark.parametrize("reason", ["throttled", "unreachable", "expired_credentials"])
def test_an_error_that_passes_ends_the_poll_and_keeps_what_was_read(
    bucket: Bucket, reason: str
) -> None:
    exporter = Exporter(bucket).poll()
    keys = [bucket.put(START + number) for number in range(5)]
    bucket.failing = {keys[3]: reason}
    bucket.minute = START + 5
    with pytest.raises(SourceError):
        exporter.poll()
    bucket.failing = {}
    exporter.poll()
    assert exporter.events == dict.fromkeys(keys, 1)


def test_a_listing_that_fails_ends_the_poll_and_moves_nothing(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll()
    key = bucket.put(START)
    bucket.failing = {"list": "access_denied"}
    bucket.minute += 3 * DAY
    with pytest.raises(SourceError):
        exporter.poll()
    bucket.failing = {}
    assert exporter.poll().events == {key: 1}


def test_all_that_a_stop_of_days_has_missed_is_read(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll()
    keys = [bucket.put(START + 7 * number) for number in range(1500)]
    bucket.minute = START + 7 * 1500
    exporter.poll()
    assert exporter.events == dict.fromkeys(keys, 1)


def test_what_is_remembered_is_small_and_gone_after_the_lookback(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll()
    for number in range(12 * HOUR):
        for copy in range(4):
            bucket.put(START + number, copy)
    exporter.poll_until(START + 12 * HOUR, every=60)
    assert exporter.checkpoint is not None
    assert len(exporter.checkpoint) < 20 * 4 * 12 * HOUR
    exporter.poll_until(START + 3 * DAY, every=60)
    assert len(exporter.checkpoint) < 100
    assert len(exporter.events) == 4 * 12 * HOUR


def test_a_quiet_folder_takes_one_call_a_poll_and_seldom_a_commit(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll()
    for number in range(DAY // 5):
        bucket.put(START + number * 5)
    bucket.minute = START + DAY
    exporter.poll()
    bucket.calls.clear()
    checkpoints = set()
    while bucket.minute < START + 2 * DAY:
        exporter.poll_until(bucket.minute + 5, every=5)
        checkpoints.add(exporter.checkpoint)
    assert bucket.calls == {"ListObjectsV2": DAY // 5}
    assert len(checkpoints) <= 13


def test_a_busy_folder_takes_few_calls_for_late_objects(bucket: Bucket) -> None:
    exporter = Exporter(bucket).poll()
    for number in range(DAY):
        for copy in range(4):
            bucket.put(START + number, copy)
    exporter.poll_until(START + DAY, every=120)
    bucket.calls.clear()
    exporter.poll_until(START + DAY + 4 * HOUR)
    assert bucket.calls["ListObjectsV2"] < 1.5 * 4 * HOUR


def test_a_listing_of_history_that_fails_moves_past_no_late_object(bucket: Bucket) -> None:
    old = bucket.put(START - 2 * DAY)
    exporter = Exporter(bucket, {"start": 3 * 86_400})
    exporter.poll(turn=0)
    late = bucket.put(START - DAY + 60)
    bucket.minute += 4 * HOUR
    exporter.restart(complete=True)
    bucket.fails_from = bucket.calls["ListObjectsV2"] + 2
    with pytest.raises(SourceError):
        exporter.poll()
    bucket.fails_from = math.inf
    assert exporter.poll().events == {old: 1, late: 1}


def test_runs_to_the_end_get_past_objects_that_s3_never_returns(bucket: Bucket) -> None:
    keys = [bucket.put(START, number) for number in range(12)]
    exporter = Exporter(bucket)
    bucket.failing = dict.fromkeys(keys[1:-1], "error")
    for _ in range(5):
        exporter.restart(complete=True)
        with suppress(SourceError):
            exporter.poll()
    assert exporter.events == {keys[0]: 1, keys[-1]: 1}


def test_a_run_to_the_end_reads_the_whole_lookback(bucket: Bucket) -> None:
    keys = [bucket.put(START + number, number) for number in range(1500)]
    bucket.minute = START + 1500
    exporter = Exporter(bucket)
    exporter.restart(complete=True)
    exporter.poll()
    late = bucket.put(START + HOUR, 9999)
    exporter.restart(complete=True)
    exporter.poll()
    assert exporter.events == dict.fromkeys([*keys, late], 1)


ORGANIZATION = "AWSLogs/o-abc123/"


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", {"a1", "b1", "b2", "n1"}),
        ("AWSLogs/", {"a1", "b1", "b2", "n1"}),
        (ORGANIZATION, {"b1", "b2", "n1"}),
        ("AWSLogs/o-abc123", {"b1", "b2", "n1"}),
        (f"{ORGANIZATION}444455556666/", {"b1", "b2", "n1"}),
        (f"{ORGANIZATION}444455556666/CloudTrail/", {"b1", "b2"}),
        (f"{ORGANIZATION}444455556666/CloudTrail/eu-west-1/", {"b2"}),
        ("logs/", {"p1"}),
        ("logs", {"p1"}),
        ("nothing/", set()),
    ],
)
def test_accounts_and_regions_are_found(bucket: Bucket, prefix: str, found: set[str]) -> None:
    folders = {
        "a1": FOLDER,
        "b1": f"{ORGANIZATION}444455556666/CloudTrail/us-east-1/",
        "b2": f"{ORGANIZATION}444455556666/CloudTrail/eu-west-1/",
        "n1": f"{ORGANIZATION}444455556666/CloudTrail-NetworkActivity/us-east-1/",
        "p1": f"logs/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/",
    }
    for folder in folders.values():
        bucket.put(START, folder=folder)
        bucket.put(START, folder=folder.replace("CloudTrail", "CloudTrail-Digest"))
        bucket.write(f"{folder.partition('CloudTrail')[0]}Config/{REGION}/2026/1/1/x")
    bucket.write("other/deep/key")
    discovery = Exporter(bucket, {"prefix": prefix}).source.discover()
    assert {one.resource for one in discovery.partitions} == {
        f"s3://trail/{folders[name]}" for name in found
    }
    assert not discovery.failures


def test_only_wanted_accounts_and_regions_are_read(bucket: Bucket) -> None:
    for account in (ACCOUNT, "444455556666"):
        for region in (REGION, "eu-west-1"):
            bucket.put(START, folder=f"AWSLogs/{account}/CloudTrail/{region}/")
    options = {"account_ids": (ACCOUNT,), "regions": ("eu-west-1",)}
    (partition,) = Exporter(bucket, options).source.discover().partitions
    assert (partition.account_id, partition.region) == (ACCOUNT, "eu-west-1")


def test_a_bucket_that_cannot_be_listed_is_a_failure_of_all(bucket: Bucket) -> None:
    bucket.failing = {"list": "access_denied"}
    discovery = Exporter(bucket).source.discover()
    assert not discovery.partitions
    assert [partition.key for partition, _ in discovery.failures] == [""]


ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 3 * HOUR),
        st.one_of(st.integers(0, 3), st.integers(0, 60)),
        st.sampled_from(("", "", "", "access_denied", "throttled")),
    ),
    max_size=40,
)
"""Objects: minute, delay, and an error that lasts for some time."""
PAUSES = st.lists(
    st.tuples(
        st.integers(1, 100),
        st.sampled_from((0.0, math.inf)),
        st.one_of(st.just(math.inf), st.integers(0, 4)),
        st.booleans(),
    ),
    max_size=15,
)
"""Minutes, then a poll that is over at once or never, ends with a crash, or lists in vain."""


@settings(max_examples=40, deadline=None)
@given(arrivals=ARRIVALS, pauses=PAUSES, page=st.integers(1, 8), ahead=st.integers(0, 9))
def test_every_object_that_comes_within_the_lookback_is_read(
    arrivals: list[tuple[int, int, str]],
    pauses: list[tuple[int, float, float, bool]],
    page: int,
    ahead: int,
) -> None:
    bucket = Bucket(page=page)
    exporter = Exporter(bucket, {"lookback": "1h"}, ahead).poll(readings=1)
    coming = sorted((at + delay, at, error) for at, delay, error in arrivals)
    expected: set[str] = set()
    cured: dict[str, float] = {}

    def after(minutes: int) -> None:
        for _ in range(minutes):
            bucket.minute += 1
            while coming and START + coming[0][0] <= bucket.minute:
                _, at, error = coming.pop(0)
                key = bucket.put(START + at, len(coming))
                expected.add(key)
                if error:
                    bucket.failing[key], cured[key] = error, bucket.minute + 30
            for key in [key for key, until in cured.items() if until <= bucket.minute]:
                del cured[key], bucket.failing[key]

    def poll(readings: float = math.inf, turn: float = math.inf) -> None:
        with suppress(SourceError):
            exporter.poll(readings, turn)

    for minutes, turn, readings, is_denied in pauses:
        after(minutes)
        if is_denied:
            bucket.failing["list"] = "access_denied"
        poll(readings, turn)
        bucket.failing.pop("list", None)
    while coming or bucket.failing:
        after(5)
        poll()
    for _ in range(20):
        after(6)
        poll()
    assert set(exporter.events) == expected
    for _ in range(3):
        after(60)
        poll()
    assert exporter.checkpoint is not None
    assert len(exporter.checkpoint) < 100
