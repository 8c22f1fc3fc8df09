"""Log groups are selected by tag, in linked accounts, and as copies of other log groups."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exporter.aws.accounts import AwsAccounts
from exporter.aws.quotas import Quotas
from exporter.clock import Clock
from exporter.model import Partition
from exporter.patterns import compile_pattern
from exporter.planning.interest import Interest, Wanted
from exporter.sources.base import Environment
from exporter.sources.log_group_options import Identity
from exporter.sources.log_groups import LogGroups, LogGroupsConfig
from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.iam import RecordingAws, denied, policy_for

EAST, WEST = "us-east-1", "eu-west-1"
A, B = "111122223333", "444455556666"
CENTRAL = "${source.accountId}/${source.region}/${source.logGroup}"
ROLE = {"role_arn": f"arn:aws:iam::{A}:role/reader"}


def configured(**options: Any) -> LogGroupsConfig:
    return LogGroupsConfig.model_validate({"name": "g", "regions": [EAST], **options})


def source(since: Mapping[str, int] | None = None, **options: Any) -> LogGroups:
    accounts = AwsAccounts(quotas=Quotas(lambda *_: None))
    return configured(**options).source(Environment(accounts, Clock()), since or {})


def found(groups: LogGroups) -> list[tuple[str, str, str]]:
    return [(p.account_id, p.region, p.resource) for p in groups.discover().partitions]


def names(groups: LogGroups) -> list[str]:
    return [name for _, _, name in found(groups)]


def messages(groups: LogGroups, partition: Partition) -> list[str]:
    return [one.message for page in groups.pages(partition, 0, 2000) for one in page.events]


@pytest.mark.parametrize(
    ("tags", "selected"),
    [
        ({"team": "shop"}, ["/a", "/b"]),
        ({"team": "shop", "stage": "prod"}, ["/a"]),
        ({"team": ["shop", "data"]}, ["/a", "/b", "/c"]),
        ({"stage": "*"}, ["/a", "/b"]),
        ({"stage": "PRO*"}, ["/a"]),
        ({"team": "!shop"}, ["/c"]),
        ({"team": "nobody"}, []),
    ],
)
def test_tags_select_log_groups(aws: EmbeddedAws, tags: Any, selected: list[str]) -> None:
    aws.log_group_create(EAST, "/a", tags={"team": "shop", "stage": "prod"})
    aws.log_group_create(EAST, "/b", tags={"team": "shop", "stage": "test"})
    aws.log_group_create(EAST, "/c", tags={"team": "data"})
    aws.log_group_create(EAST, "/d")
    assert names(source(tags=tags)) == selected


def test_names_and_tags_both_select_and_exclude_leaves_out(aws: EmbeddedAws) -> None:
    for name in ("/ecs/a", "/ecs/debug-a", "/ecs/b", "/lambda/a"):
        aws.log_group_create(EAST, name, tags={} if name == "/ecs/b" else {"team": "shop"})
    some: dict[str, Any] = {"log_groups": ["/ecs/*"], "exclude": ["*/debug-*"]}
    assert names(source(**some, tags={"team": "shop"})) == ["/ecs/a"]
    assert names(source(**some)) == ["/ecs/a", "/ecs/b"]


def test_many_log_groups_take_few_calls(aws: EmbeddedAws) -> None:
    for number in range(1100):
        aws.log_group_create(EAST, f"/{number:04}", tags={"team": "shop"})
    groups = source(tags={"team": "shop"})
    assert len(names(groups)) == 1100
    assert aws.calls.count("ListLogGroups") == 2
    assert aws.calls.count("DescribeLogGroups") == 22
    assert all(groups.created_at(partition) for partition in groups.discover().partitions)
    assert aws.calls.count("ListLogGroups") == 4
    assert aws.calls.count("DescribeLogGroups") == 44


@pytest.mark.parametrize("options", [{"log_groups": ["/app"]}, {"tags": {"team": "shop"}}])
@pytest.mark.parametrize(
    "policy",
    [
        {"dataProtectionStatus": "ACTIVATED"},
        {"dataProtectionStatus": "DELETED"},
        {"inheritedProperties": ["ACCOUNT_DATA_PROTECTION"]},
    ],
)
def test_a_log_group_with_masked_events_is_read_completely(
    aws: EmbeddedAws, options: dict[str, Any], policy: dict[str, Any]
) -> None:
    aws.log_group_create(EAST, "/app", tags={"team": "shop"})
    groups = source(start="10m", **options)
    (partition,) = groups.discover().partitions
    for message in ("ERROR of ****", "of ****"):
        aws.put_log_event(EAST, "/app", message, timestamp=round(time.time() * 1000) - 60_000)
    interest = Interest([Wanted(compile_pattern("ERROR"))])

    def read() -> set[str]:
        readings = groups.poll(partition, None, own_starts={}, interest=interest)
        return {event.message for reading in readings for event in reading.events}

    assert read() == {"ERROR of ****"}
    aws.log_group_lists.protect((DEFAULT_ACCOUNT, EAST, "/app"), **policy)
    groups.discover()
    assert read() == {"ERROR of ****", "of ****"}


def test_a_log_group_that_gets_the_tag_later_counts_from_then_on(aws: EmbeddedAws) -> None:
    tags = {"team": "shop"}
    aws.log_group_create(EAST, "/first", tags=tags)
    aws.log_group_create(EAST, "/second")
    before = dict.fromkeys(configured(tags=tags).parts, 1000)
    groups = source(before, tags=tags)
    (first,) = groups.discover().partitions
    aws.log_group_create(EAST, "/new", tags=tags)
    aws.log_group_tag(EAST, "/second", tags=tags)
    _, new, second = groups.discover().partitions
    groups.discover()
    assert groups._configured_since(first, before) == 1000
    assert groups._configured_since(new, before) == 1000
    joined = groups._configured_since(second, before)
    assert joined is not None
    assert joined > 1_000_000


def test_a_selection_that_changes_is_a_new_one() -> None:
    parts = [
        tuple(configured(log_groups=["/a"], **options).parts)
        for options in (
            {},
            {"tags": {"team": "shop"}},
            {"tags": {"team": "data"}},
            {"exclude": ["/b"]},
            {"include_linked_accounts": True},
            {"identity": CENTRAL},
        )
    ]
    assert parts[0] == ("us-east-1 /a",)
    assert len(set(parts)) == len(parts)


def test_log_groups_of_linked_accounts_are_read_through_the_monitoring_account(
    aws: EmbeddedAws,
) -> None:
    for account in (DEFAULT_ACCOUNT, A, B):
        aws.log_group_create(EAST, "/app", account)
        aws.put_log_event(EAST, "/app", f"of {account}", timestamp=1000, account=account)
    aws.log_group_lists.link(A, monitoring=DEFAULT_ACCOUNT)
    groups = source(log_groups=["/app"], include_linked_accounts=True)
    partitions = groups.discover().partitions
    assert [one.account_id for one in partitions] == [DEFAULT_ACCOUNT, A]
    assert [messages(groups, one) for one in partitions] == [[f"of {DEFAULT_ACCOUNT}"], [f"of {A}"]]
    assert aws.calls.count("FilterLogEvents", account=A) == 0
    assert all(groups.created_at(one) for one in partitions)
    assert names(source(log_groups=["/app"])) == ["/app"]


def test_tags_select_log_groups_of_linked_accounts(aws: EmbeddedAws) -> None:
    aws.log_group_create(EAST, "/own", tags={"team": "shop"})
    aws.log_group_create(EAST, "/theirs", A, tags={"team": "shop"})
    aws.log_group_lists.link(A, monitoring=DEFAULT_ACCOUNT)
    groups = source(tags={"team": "shop"}, include_linked_accounts=True)
    assert names(groups) == ["/own", "/theirs"]
    assert all(groups.created_at(partition) for partition in groups.discover().partitions)


def test_an_account_that_is_linked_and_configured_is_read_once_by_its_role(
    aws: EmbeddedAws,
) -> None:
    aws.accounts.role_create(ROLE["role_arn"])
    aws.log_group_lists.link(A, monitoring=DEFAULT_ACCOUNT)
    aws.log_group_create(EAST, "/app", A)
    aws.put_log_event(EAST, "/app", "theirs", timestamp=1000, account=A)
    groups = source(log_groups=["/*"], include_linked_accounts=True, accounts=[{"name": "m"}, ROLE])
    discovery = groups.discover()
    (partition,) = discovery.partitions
    assert not discovery.failures
    assert messages(groups, partition) == ["theirs"]
    assert aws.calls.count("FilterLogEvents", account=A) == 1


@pytest.mark.parametrize("options", [{"include_linked_accounts": True}, {"identity": CENTRAL}])
def test_log_groups_of_others_are_kept_while_the_account_that_reads_them_does_not_answer(
    aws: EmbeddedAws, options: dict[str, Any]
) -> None:
    aws.log_group_lists.link(A, monitoring=DEFAULT_ACCOUNT)
    aws.log_group_create(EAST, "/app", A)
    aws.log_group_create(EAST, f"{A}/{WEST}//copied")
    groups = source(log_groups=["*"], **options)
    before = found(groups)
    assert any(account == A for account, _, _ in before)
    for faults in (Faults(denied={EAST: {"DescribeLogGroups"}}), Faults(expired=True)):
        aws.faults = faults
        assert found(groups) == before
    aws.faults = Faults()
    aws.log_group_delete(EAST, "/app", A)
    aws.log_group_delete(EAST, f"{A}/{WEST}//copied")
    assert found(groups) == []


def test_a_centralized_log_group_is_named_by_its_origin(aws: EmbeddedAws) -> None:
    copied = f"{A}/{WEST}//aws/lambda/checkout"
    for name in (copied, "/own"):
        aws.log_group_create(EAST, name)
        aws.put_log_event(EAST, name, f"in {name}", timestamp=1000)
    groups = source(log_groups=["*"], identity=CENTRAL)
    assert found(groups) == [
        (DEFAULT_ACCOUNT, EAST, "/own"),
        (A, WEST, "/aws/lambda/checkout"),
    ]
    partitions = groups.discover().partitions
    assert [messages(groups, one) for one in partitions] == [["in /own"], [f"in {copied}"]]
    assert groups.created_at(partitions[1]) is not None


def test_of_two_copies_of_a_log_group_one_is_read_and_the_other_named(aws: EmbeddedAws) -> None:
    copied = f"{DEFAULT_ACCOUNT}/{EAST}//app"
    for region in (EAST, WEST):
        aws.log_group_create(region, copied)
    aws.log_group_create(EAST, "/app")
    aws.put_log_event(EAST, "/app", "original", timestamp=1000)
    groups = source(log_groups=["*"], identity=CENTRAL, regions=[WEST, EAST])
    discovery = groups.discover()
    (partition,) = discovery.partitions
    assert messages(groups, partition) == ["original"]
    assert {(place.region, place.resource) for place, _ in discovery.failures} == {
        (EAST, copied),
        (WEST, copied),
    }
    assert "leave one of them out with `exclude`" in str(discovery.failures[0][1])


ACCOUNTS = st.from_regex("[0-9]{12}", fullmatch=True, alphabet="0123456789")
REGIONS = st.sampled_from(["us-east-1", "ap-southeast-3", "us-gov-west-1", "us-iso-east-1"])
GROUPS = st.text("/ab1-._#", min_size=1, max_size=20)


@given(account=ACCOUNTS, region=REGIONS, group=GROUPS, prefix=st.text("/a.+", max_size=4))
def test_the_origin_is_told_from_the_name_that_aws_makes(
    account: str, region: str, group: str, prefix: str
) -> None:
    values = {
        "source.accountId": account,
        "source.region": region,
        "source.logGroup": group,
        "source.org.id": "o-0a1b2c3d4e",
    }
    for template in (
        f"{prefix}{CENTRAL}",
        "${source.accountId}/${source.region}${source.logGroup}",
        "${source.org.id}/${source.region}-${source.accountId}-${source.logGroup}",
        "${source.logGroup}/" + prefix + "${source.accountId}.${source.region}",
    ):
        name = re.sub(r"\$\{(.*?)\}", lambda match: values[match[1]], template)
        origin = Identity(template).origin(name)
        assert origin == {"account": account, "region": region, "group": group}


def test_classes_that_cannot_be_read_are_named_and_those_for_others_are_left_out(
    aws: EmbeddedAws,
) -> None:
    for log_group_class in ("STANDARD", "INFREQUENT_ACCESS", "DELIVERY", "ESSENTIALS"):
        aws.log_group_create(EAST, f"/{log_group_class}", log_group_class=log_group_class)
    discovery = source(log_groups=["/*"]).discover()
    assert [one.resource for one in discovery.partitions] == ["/ESSENTIALS", "/STANDARD"]
    ((place, error),) = discovery.failures
    assert place.resource == "/INFREQUENT_ACCESS"
    assert (error.reason, "leave it out with `exclude`" in str(error)) == ("unsupported", True)
    ((place, _),) = source(log_groups=["/DELIVERY"]).discover().failures
    assert place.resource == "/DELIVERY"


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, "Field required"),
        ({"tags": {}}, "at least 1"),
        ({"tags": {str(n): "x" for n in range(6)}}, "at most 5"),
        ({"tags": {"team": "a?b"}}, "is not the value of a tag"),
        ({"tags": {"te*m": "a"}}, "is not the key of a tag"),
        ({"tags": {129 * "a": "a"}}, "is not the key of a tag"),
        ({"tags": {"team": 260 * "a"}}, "is not the value of a tag"),
        ({"tags": {"team": []}}, "must not be empty"),
        ({"log_groups": ["/a"], "exclude": ["arn:aws:logs"]}, "not its ARN"),
        ({"log_groups": ["/a", "/b"], "exclude": ["/b*"]}, "names /b, and `exclude` leaves"),
        ({"log_groups": ["*"], "identity": "${source.logGroup}"}, "must have"),
        ({"log_groups": ["*"], "identity": "${source.accountID}"}, "is not a variable"),
        ({"log_groups": ["*"], "identity": 2 * "${source.accountId}"}, "written twice"),
    ],
)
def test_options_that_aws_would_refuse_are_errors(options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        configured(**options)


def test_the_policy_allows_all_calls_and_those_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "exporter.yaml"
    options = {"name": "g", "type": "log_groups", "log_groups": ["/app*"], "tags": {"team": "shop"}}
    linked = {**options, "include_linked_accounts": "true"}
    rules = [{"name": "r", "pattern": "x"}]
    path.write_text(yaml.safe_dump({"sources": [linked], "rules": rules}))
    with RecordingAws() as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        aws.log_group_create(EAST, "/app", A, tags={"team": "shop"})
        aws.log_group_lists.link(A, monitoring=DEFAULT_ACCOUNT)
        groups = source(log_groups=["/app*"], tags={"team": "shop"}, include_linked_accounts=True)
        (partition,) = groups.discover().partitions
        assert messages(groups, partition) == []
        policy = policy_for(path)
        assert denied(policy, aws.requests) == []
    actions = {statement["Action"] for statement in policy["Statement"]}
    assert actions == {"logs:ListLogGroups", "logs:DescribeLogGroups", "logs:FilterLogEvents"}
    path.write_text(yaml.safe_dump({"sources": [options], "rules": rules}))
    own = json.dumps(policy_for(path))
    assert f"arn:aws:logs:{EAST}:{DEFAULT_ACCOUNT}:log-group:/app*:*" in own
