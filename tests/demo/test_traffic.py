"""The demo's events are well-formed, and its rules find what they are for."""

from __future__ import annotations

import ipaddress
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import metric_filter_demo
from exporter.aws.accounts import AwsAccounts
from exporter.clock import Clock
from exporter.configuration import load
from exporter.configuration.rules import RuleConfig
from exporter.sources import queue_source
from exporter.sources.base import Environment
from metric_filter_demo.activities import REGIONS, Account, Occurrence
from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from metric_filter_demo.child import CONFIG_FILE
from metric_filter_demo.drills import LOG_GROUPS as DRILL_GROUPS
from metric_filter_demo.drills import drills
from metric_filter_demo.log_lines import ACCESS, APPLICATION, CHECKOUT, LOG_GROUPS, THUMBNAILER
from metric_filter_demo.traffic import Traffic
from metric_filter_demo.trail import Trail
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail.client import CloudTrailClient
    from mypy_boto3_logs.client import CloudWatchLogsClient

FOLDER = Path(metric_filter_demo.__file__).parent
DOCUMENTATION = [
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
]
GROUPS = {
    "lambda": (CHECKOUT, THUMBNAILER),
    "access": (ACCESS,),
    "application": (APPLICATION,),
}
OWN_RULES = {rule["name"] for rule in yaml.safe_load((FOLDER / "rules.yaml").read_text())["rules"]}


@cache
def configured() -> dict[str, RuleConfig]:
    """The demo's rules, by name."""
    return {rule.name: rule for rule in load([CONFIG_FILE]).rules}


def happenings(times: int = 200) -> dict[str, list[Occurrence]]:
    """Each activity so many times."""
    activities = Account(random.Random(7), DEFAULT_ACCOUNT).activities()
    return {activity.name: [activity.act() for _ in range(times)] for activity in activities}


@pytest.fixture(scope="module")
def happened() -> dict[str, list[Occurrence]]:
    return happenings()


@pytest.fixture(scope="module")
def records(happened: dict[str, list[Occurrence]]) -> list[dict[str, Any]]:
    return [record for each in happened.values() for one in each for record in one.records]


def messages(happened: dict[str, list[Occurrence]], source: str) -> list[str]:
    everything = [one for each in happened.values() for one in each]
    if source in ("history", "bus", "trail"):
        return [json.dumps(record) for one in everything for record in one.records]
    return [
        line.message for one in everything for line in one.lines if line.group in GROUPS[source]
    ]


def test_every_record_has_what_cloudtrail_always_writes(records: list[dict[str, Any]]) -> None:
    for record in records:
        assert record["eventVersion"] == "1.11"
        assert record["eventSource"].endswith(".amazonaws.com")
        assert record["awsRegion"] in REGIONS
        assert record["recipientAccountId"] == DEFAULT_ACCOUNT
        assert record["eventType"] in ("AwsApiCall", "AwsConsoleSignIn")
        assert record["managementEvent"] is (record["eventCategory"] == "Management")
        assert isinstance(record["readOnly"], bool)
        datetime.strptime(record["eventTime"], "%Y-%m-%dT%H:%M:%SZ")
        assert {"userAgent", "requestParameters", "responseElements"} <= record.keys()
    ids = [record["eventID"] for record in records]
    assert len(set(ids)) == len(ids)


def test_all_kinds_of_identity_occur(records: list[dict[str, Any]]) -> None:
    kinds = Counter(record["userIdentity"]["type"] for record in records)
    assert set(kinds) == {"IAMUser", "AssumedRole", "Root", "AWSService"}


def test_addresses_are_those_set_aside_for_documentation(
    records: list[dict[str, Any]], happened: dict[str, list[Occurrence]]
) -> None:
    addresses = [record["sourceIPAddress"] for record in records]
    addresses += [message.split()[0] for message in messages(happened, "access")]
    for address in addresses:
        if not address.endswith(".amazonaws.com"):
            assert any(ipaddress.ip_address(address) in network for network in DOCUMENTATION)


def test_global_services_are_recorded_in_us_east_1(records: list[dict[str, Any]]) -> None:
    for record in records:
        if record["eventSource"] in ("iam.amazonaws.com", "signin.amazonaws.com"):
            assert record["awsRegion"] == "us-east-1"


@pytest.mark.parametrize("name", sorted(OWN_RULES))
def test_every_rule_of_its_own_finds_something_and_not_everything(
    name: str, happened: dict[str, list[Occurrence]]
) -> None:
    rule = configured()[name]
    for source in rule.sources:
        found = [rule.compiled.match(message) for message in messages(happened, source)]
        hits = len(found) - found.count(None)
        assert hits > 0
        assert hits < len(found) or name == "management_events"


@pytest.mark.parametrize(
    ("activity", "rule"),
    [
        ("root sign-ins", "cis_root_usage"),
        ("failed sign-ins", "cis_console_authentication_failures"),
        ("sign-ins without MFA", "cis_console_signin_without_mfa"),
        ("IAM changes", "cis_iam_policy_changes"),
        ("security groups", "cis_security_group_changes"),
        ("trail stopped", "cis_cloudtrail_configuration_changes"),
        ("access denied", "cis_unauthorized_api_calls"),
    ],
)
def test_a_rule_finds_all_that_its_activity_does_and_nothing_else(
    happened: dict[str, list[Occurrence]], activity: str, rule: str
) -> None:
    pattern = configured()[rule].compiled
    for name, occurrences in happened.items():
        for occurrence in occurrences:
            for record in occurrence.records:
                matched = pattern.match(json.dumps(record)) is not None
                assert matched == (name == activity), record


def test_the_drills_have_something_for_every_rule_of_every_pack_that_the_demo_uses() -> None:
    drilled = {rule for drill in drills() for rule in drill.rules}
    assert drilled >= configured().keys() - OWN_RULES


def test_a_drill_is_another_event_each_time_and_happens_now() -> None:
    drill = next(drill for drill in drills() if drill.is_record)
    first, second = (drill.records(REGIONS, DEFAULT_ACCOUNT)[0] for _ in range(2))
    assert first["eventID"] != second["eventID"]
    assert first["awsRegion"] in REGIONS
    happened = datetime.strptime(first["eventTime"], "%Y-%m-%dT%H:%M:%S%z")
    assert abs(time.time() - happened.timestamp()) < 60


def test_values_that_rules_take_from_lines_are_numbers(
    happened: dict[str, list[Occurrence]],
) -> None:
    taken = 0
    for rule in configured().values():
        reference = rule.value.reference
        for source in set(rule.sources) & GROUPS.keys():
            for message in messages(happened, source):
                match = rule.compiled.match(message)
                if match is not None and reference is not None and reference.field is not None:
                    assert float(match.fields[reference.field]) >= 0
                    taken += 1
    assert taken > 100


def test_the_same_seed_makes_the_same_events() -> None:
    def ids(seed: int) -> list[str]:
        activities = Account(random.Random(seed), DEFAULT_ACCOUNT).activities()
        made = [activity.act() for activity in activities]
        return [record["eventID"] for one in made for record in one.records]

    assert ids(3) == ids(3)
    assert ids(3) != ids(4)


def test_traffic_reaches_the_apis_within_seconds(
    cloudtrail: Callable[..., CloudTrailClient], logs: Callable[..., CloudWatchLogsClient]
) -> None:
    with EmbeddedAws(quotas={"LookupEvents": 1000, "FilterLogEvents": 1000}) as aws:
        traffic = Traffic(aws, seed=1)
        traffic.start()
        trail, log_groups = cloudtrail(aws), logs(aws)
        wait_for("a management event", lambda: trail.lookup_events()["Events"], timeout=10)
        wait_for(
            "a log event in a group",
            lambda: log_groups.filter_log_events(logGroupName=ACCESS)["events"],
            timeout=10,
        )
        names = [group["logGroupName"] for group in log_groups.describe_log_groups()["logGroups"]]
        traffic.stop()
        made = traffic.records, traffic.lines
        assert set(names) == {*LOG_GROUPS, *DRILL_GROUPS.values()}
        assert min(made) > 0
        assert (traffic.records, traffic.lines) == made


def test_the_trail_has_all_records_in_objects_that_its_queue_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_source, "_ONCE_WAIT", 0)
    with EmbeddedAws() as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        trail = Trail(aws, "us-east-1", random.Random(1), retention=60)
        records = [record for each in happenings(1).values() for o in each for record in o.records]
        for record in records:
            trail.put(record)
        trail.deliver()
        environment = Environment(AwsAccounts(), Clock(), complete=True)
        config = next(one for one in load([CONFIG_FILE]).sources if one.name == "trail")
        source = config.source(environment, {})
        (partition,) = source.discover().partitions
        readings = source.poll(partition, "{}", own_starts={})
        read = [json.loads(event.message) for one in readings for event in one.events]
    assert {one["eventCategory"] for one in read} == {"Management", "Data"}
    assert sorted(one["eventID"] for one in read) == sorted(one["eventID"] for one in records)


def test_what_is_of_note_makes_a_headline() -> None:
    aws = EmbeddedAws()
    traffic = Traffic(aws, seed=1)
    for activity in Account(random.Random(1), DEFAULT_ACCOUNT).activities():
        if activity.name == "root sign-ins":
            traffic.put(activity.act())
    (headline,) = traffic.headlines
    assert headline.text.startswith("root signed in to the console from 198.51.100.")
