"""Log groups are found by name and pattern, and bring every log event of a time span."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.clock import Clock
from exporter.configuration import RuleConfig
from exporter.exactness import RuleVersion
from exporter.model import Partition, PartitionGoneError, SourceError
from exporter.rules import RuleSet
from exporter.rules.rule import definition
from exporter.sources.base import Environment
from exporter.sources.log_group_names import LogGroupNames
from exporter.sources.log_groups import LogGroups, LogGroupsConfig
from exporter.yamlfile.problems import Location
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.answering import Answer, Answering
from tests.support.aws import ACCOUNT, log_groups, open_account
from tests.support.envelopes import sign_in

REGION = "us-east-1"
NOW = int(time.time()) * 1000
NAMES = st.text("/ab.+[", min_size=1, max_size=8)
PATTERNS = st.lists(st.text("/ab.+[*", min_size=1, max_size=8), min_size=1, max_size=4)


def _partition(name: str, region: str = REGION) -> Partition:
    return Partition("apps", ACCOUNT, region, resource=name)


def _found(groups: LogGroups) -> list[str | None]:
    return [partition.resource for partition in groups.discover().partitions]


@given(patterns=PATTERNS, names=st.lists(NAMES, max_size=8))
@example(patterns=["a*", "ab"], names=["a", "ab", "ba"])
@example(patterns=["*b"], names=["/a/b", "ba"])
def test_a_name_is_wanted_where_a_pattern_covers_all_of_it(
    patterns: list[str], names: list[str]
) -> None:
    group_names = LogGroupNames(patterns)
    for name in [*names, *patterns]:
        wanted = any(
            re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name)
            for pattern in patterns
        )
        assert group_names.wanted(name) == wanted
        prefixed = [prefix for prefix in group_names.prefixes if name.startswith(prefix)]
        assert len(prefixed) <= 1
        assert prefixed or not wanted


def test_many_asterisks_take_no_time() -> None:
    names = LogGroupNames(["*a" * 250])
    began = time.monotonic()
    assert not names.wanted("a" * 249 + "b" * 263)
    assert time.monotonic() - began < 0.5


def test_groups_are_found_by_name_and_pattern_over_many_pages(aws: EmbeddedAws) -> None:
    wanted = [f"/aws/ecs/service-{number:03}" for number in range(120)] + ["/aws/ecs/x/y"]
    for name in [*wanted, "/aws/ecsx", "app.log", "appxlog", "app", "lambda/app"]:
        aws.log_group_create(REGION, name)
    groups = log_groups("apps", open_account(), ["/aws/ecs/*", "/aws/ecs/x/y", "app.l*", "app"])

    assert _found(groups) == [*wanted, "app", "app.log"]
    # 121 groups under /aws/ecs/ are 3 pages, and `app` covers `app.l`.
    assert aws.calls.count("DescribeLogGroups") == 4


def test_a_leading_asterisk_looks_at_every_group(aws: EmbeddedAws) -> None:
    for name in ("one/app", "two/app", "two/other"):
        aws.log_group_create(REGION, name)

    assert _found(log_groups("apps", open_account(), ["*/app"])) == ["one/app", "two/app"]


def test_groups_come_and_go(aws: EmbeddedAws) -> None:
    groups = log_groups("apps", open_account(), ["a*"])
    aws.log_group_create(REGION, "a1")
    assert _found(groups) == ["a1"]

    aws.log_group_create(REGION, "a2")
    aws.log_group_delete(REGION, "a1")
    assert _found(groups) == ["a2"]


def test_a_group_s_creation_time_is_known_once_it_is_found(aws: EmbeddedAws) -> None:
    groups = log_groups("apps", open_account(), ["a*"])
    aws.log_group_create(REGION, "a1")
    assert groups.created_at(_partition("a1")) is None

    groups.discover()
    created = groups.created_at(_partition("a1"))
    assert created is not None
    assert abs(created - time.time() * 1000) < 60_000


def test_an_absent_name_and_a_denied_region_do_not_stop_the_others(aws: EmbeddedAws) -> None:
    for region in ("us-east-1", "eu-west-1"):
        aws.log_group_create(region, "there")
    aws.faults = Faults(denied={"eu-west-1": {"DescribeLogGroups"}})
    groups = log_groups("apps", open_account(), ["there", "absent"], ["eu-west-1", "us-east-1"])
    discovery = groups.discover()
    failures = dict(discovery.failures)

    assert list(discovery.partitions) == [_partition("there")]
    assert {scope: error.reason for scope, error in failures.items()} == {
        Partition("apps", ACCOUNT, "eu-west-1"): "access_denied",
        _partition("absent"): "not_found",
    }
    assert "logs:DescribeLogGroups" in str(failures[Partition("apps", ACCOUNT, "eu-west-1")])
    assert "no log group absent in account 123456789012" in str(failures[_partition("absent")])


def test_a_failing_sts_is_a_failure_of_each_region(aws: EmbeddedAws) -> None:
    aws.faults = Faults(expired=True)
    discovery = log_groups("apps", open_account(), ["a"], ["eu-west-1", "eu-west-2"]).discover()

    assert [(scope.region, error.reason) for scope, error in discovery.failures] == [
        ("eu-west-1", "expired_credentials"),
        ("eu-west-2", "expired_credentials"),
    ]


def test_a_group_of_a_class_that_cannot_be_read_is_a_failure_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    described = [
        {"logGroupName": "a1", "logGroupClass": "INFREQUENT_ACCESS"},
        {"logGroupName": "a2", "logGroupClass": "STANDARD"},
    ]
    with Answering() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.answer = Answer(json.dumps({"logGroups": described}).encode())
        discovery = log_groups("apps", open_account(), ["a*"]).discover()

    assert list(discovery.partitions) == [_partition("a2")]
    ((scope, error),) = discovery.failures
    assert scope == _partition("a1")
    assert error.reason == "unsupported"


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    times=st.lists(st.integers(0, 30), max_size=40),
    span=st.tuples(st.integers(-1, 31), st.integers(0, 12)),
    sizes=st.tuples(st.integers(1, 4), st.integers(4, 50)),
    seed=st.integers(0, 1000),
)
def test_every_log_event_of_the_span_comes_however_it_is_paged(
    aws: EmbeddedAws, times: list[int], span: tuple[int, int], sizes: tuple[int, int], seed: int
) -> None:
    name = f"group-{time.time_ns()}"  # each example has a log group of its own
    aws.log_group_create(REGION, name)
    for number, at in enumerate(times):
        aws.put_log_event(REGION, name, f"message {number}", timestamp=NOW - 1000 + at)
    aws.faults = Faults(page_size=sizes, empty_page=0.3, duplicate=0.1, seed=seed)
    groups = log_groups("apps", open_account(), [name])
    start, end = NOW - 1000 + span[0], NOW - 1000 + span[0] + span[1]

    pages = list(groups.pages(_partition(name), start, end))
    found = {(event.message, event.time) for page in pages for event in page.events}
    ids = {event.id for page in pages for event in page.events}

    def within(last: int) -> set[tuple[str, int]]:
        return {
            (f"message {number}", NOW - 1000 + at)
            for number, at in enumerate(times)
            if start <= NOW - 1000 + at < last
        }

    assert within(end) <= found <= (within(end + 1) if end > start else set())
    assert len(ids) == len(found)


@pytest.mark.parametrize("start", ["now", "90d"])
def test_history_that_is_imported_does_not_count_as_new(aws: EmbeddedAws, start: str) -> None:
    # An import makes a log group, whose name has no leading slash, with log events of any age.
    month = 30 * 86_400_000
    name = "aws-cloudtrail-lake-imports"
    aws.log_group_create(REGION, name)
    old = datetime.fromtimestamp((NOW - 10 * month) / 1000, UTC).isoformat()
    new = datetime.fromtimestamp(NOW / 1000, UTC).isoformat()
    for time_of_event, logged in ((old, NOW - month), (old, NOW), (new, NOW)):
        record = json.dumps(sign_in(eventTime=time_of_event))
        aws.put_log_event(REGION, name, record, timestamp=logged)
    config = LogGroupsConfig(
        name="apps",
        log_groups=("aws-cloudtrail-*",),
        regions=(REGION,),
        start=start,
        format="cloudtrail",
    )
    configured = dict.fromkeys(config.parts, NOW - 60_000)
    source = config.source(Environment(open_account(), Clock(), complete=True), configured)
    (partition,) = source.discover().partitions
    rule = RuleConfig(
        name="sign_in",
        sources=("apps",),
        pattern="{ $.eventName = ConsoleLogin }",
        metric="sign_in_total",
        labels={},
        location=Location("rules.yaml"),
    )
    since = NOW - 60_000 if start == "now" else NOW - 3 * month
    version = RuleVersion(rule.name, since, None, definition(rule))
    rules = RuleSet({"apps": [version]}, [rule])
    counted = [
        event.event_time
        for reading in source.poll(partition, None, own_starts={})
        for event in rules.evaluate(
            reading.events, partition, "cloudtrail", watermark=reading.watermark
        ).events
    ]
    assert counted == [NOW]


def test_a_log_event_has_the_id_that_cloudwatch_gave_it(aws: EmbeddedAws) -> None:
    aws.log_group_create(REGION, "a")
    event_id = aws.put_log_event(REGION, "a", "hello", timestamp=NOW)
    (page,) = log_groups("apps", open_account(), ["a"]).pages(_partition("a"), NOW, NOW + 1)

    assert [event.id for event in page.events] == [event_id]


@pytest.mark.usefixtures("aws")
def test_a_deleted_group_is_gone() -> None:
    groups = log_groups("apps", open_account(), ["a"])

    with pytest.raises(PartitionGoneError, match="log group a in account"):
        list(groups.pages(_partition("a"), NOW, NOW + 1))


def test_a_denied_group_is_an_error_that_names_it(aws: EmbeddedAws) -> None:
    aws.log_group_create(REGION, "a")
    aws.faults = Faults(denied={REGION: {"FilterLogEvents"}})

    with pytest.raises(SourceError, match="allow logs:FilterLogEvents") as caught:
        list(log_groups("apps", open_account(), ["a"]).pages(_partition("a"), NOW, NOW + 1))
    assert "log group a" in str(caught.value)
    assert not isinstance(caught.value, PartitionGoneError)
