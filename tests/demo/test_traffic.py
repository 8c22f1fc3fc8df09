"""The demo's events are well-formed, and its rules find what they are for."""

from __future__ import annotations

import ipaddress
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import exporter.demo
from exporter.demo.activities import REGIONS, Account, Occurrence
from exporter.demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from exporter.demo.log_lines import ACCESS, APPLICATION, CHECKOUT, LOG_GROUPS, THUMBNAILER
from exporter.demo.traffic import Traffic
from exporter.patterns import compile_pattern
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail.client import CloudTrailClient
    from mypy_boto3_logs.client import CloudWatchLogsClient

FOLDER = Path(exporter.demo.__file__).parent
DOCUMENTATION = [
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
]
GROUPS = {
    "lambda": (CHECKOUT, THUMBNAILER),
    "access": (ACCESS,),
    "application": (APPLICATION,),
}
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yaml").read_text())["rules"]


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
    if source == "history":
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
        assert record["managementEvent"] is True
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


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_every_rule_finds_something_and_not_everything(
    rule: dict[str, Any], happened: dict[str, list[Occurrence]]
) -> None:
    pattern = compile_pattern(rule["pattern"])
    for source in rule["sources"]:
        found = [pattern.match(message) for message in messages(happened, source)]
        hits = len(found) - found.count(None)
        assert hits > 0
        if rule["name"] not in ("management_events", "http_requests"):
            assert hits < len(found)


@pytest.mark.parametrize(
    ("activity", "rule_name"),
    [
        ("root sign-ins", "root_console_logins"),
        ("failed sign-ins", "console_login_failures"),
        ("sign-ins without MFA", "console_logins_without_mfa"),
        ("IAM changes", "iam_policy_changes"),
        ("security groups", "security_group_changes"),
        ("trail stopped", "trail_changes"),
        ("access denied", "unauthorized_calls"),
    ],
)
def test_a_rule_finds_all_that_its_activity_does_and_nothing_else(
    happened: dict[str, list[Occurrence]], activity: str, rule_name: str
) -> None:
    (rule,) = (rule for rule in RULES if rule["name"] == rule_name)
    pattern = compile_pattern(rule["pattern"])
    for name, occurrences in happened.items():
        for occurrence in occurrences:
            for record in occurrence.records:
                matched = pattern.match(json.dumps(record)) is not None
                assert matched == (name == activity), record


def test_values_that_rules_take_from_lines_are_numbers(
    happened: dict[str, list[Occurrence]],
) -> None:
    taken = 0
    for rule in RULES:
        field = str(rule.get("value", ""))
        if field.startswith("$") and not field.startswith("$."):
            pattern = compile_pattern(rule["pattern"])
            for message in messages(happened, rule["sources"][0]):
                match = pattern.match(message)
                if match is not None:
                    assert float(match.fields[field]) >= 0
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
        assert names == sorted(LOG_GROUPS)
        assert min(made) > 0
        assert (traffic.records, traffic.lines) == made


def test_what_is_of_note_makes_a_headline() -> None:
    aws = EmbeddedAws()
    traffic = Traffic(aws, seed=1)
    for activity in Account(random.Random(1), DEFAULT_ACCOUNT).activities():
        if activity.name == "root sign-ins":
            traffic.put(activity.act())
    (headline,) = traffic.headlines
    assert headline.text.startswith("root signed in to the console from 198.51.100.")
