"""Which accounts and regions a source reads: those of roles, and those of an organization."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from exporter.aws.accounts import AwsAccounts
from exporter.aws.quotas import Quotas
from exporter.clock import Clock
from exporter.model import Partition
from exporter.sources import regional
from exporter.sources.base import Discovery, Environment
from exporter.sources.event_history import EventHistory, EventHistoryConfig
from exporter.sources.log_groups import LogGroupsConfig
from exporter.sources.trail_bucket import TrailBucketConfig
from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from metric_filter_demo.buckets import bucket_create, object_put
from metric_filter_demo.faults import Faults

A, B = "111122223333", "444455556666"
EAST, WEST = "us-east-1", "eu-west-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


class Organization:
    """An organization whose management account is the environment's."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws
        self.client: Any = boto3.client("organizations")
        self.client.create_organization()
        self.root = self.client.list_roots()["Roots"][0]["Id"]

    def account(self, name: str, parent: str = "", **tags: str) -> str:
        """Create an account with a role, and return its id."""
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        created = self.client.create_account(
            AccountName=name, Email=f"{name}@aws.test", Tags=listed
        )
        account = str(created["CreateAccountStatus"]["AccountId"])
        if parent:
            self.move(account, self.root, parent)
        self._aws.accounts.role_create(f"arn:aws:iam::{account}:role/reader")
        return account

    def move(self, account: str, source: str, destination: str) -> None:
        self.client.move_account(
            AccountId=account, SourceParentId=source, DestinationParentId=destination
        )

    def unit(self, name: str, parent: str = "") -> str:
        made = self.client.create_organizational_unit(ParentId=parent or self.root, Name=name)
        return str(made["OrganizationalUnit"]["Id"])


@pytest.fixture
def organization(aws: EmbeddedAws) -> Organization:
    return Organization(aws)


def history(**options: Any) -> EventHistory:
    accounts = AwsAccounts(quotas=Quotas(lambda *_: None))
    config = EventHistoryConfig.model_validate({"name": "h", "regions": [EAST, WEST], **options})
    return config.source(Environment(accounts, Clock()), {})


def of_organization(**options: Any) -> EventHistory:
    return history(organization={"role_name": "reader", **options})


def read(discovery: Discovery) -> set[str]:
    assert not discovery.failures
    return {partition.account_id for partition in discovery.partitions}


def role(account: str) -> dict[str, str]:
    return {"role_arn": f"arn:aws:iam::{account}:role/reader"}


def test_a_denied_role_is_an_error_of_its_account_only(aws: EmbeddedAws) -> None:
    aws.accounts.role_create(role(A)["role_arn"])
    source = history(accounts=[{"name": "tools"}, {"name": "shop", **role(A)}, role(B)])
    found = source.discover()
    assert set(found.partitions) == {
        Partition("h", account, region)
        for account in (A, DEFAULT_ACCOUNT)
        for region in (EAST, WEST)
    }
    ((place, error),) = found.failures
    assert place == Partition("h", B)
    assert error.reason == "access_denied"
    assert found.accounts == {DEFAULT_ACCOUNT: "tools", A: "shop", B: ""}


def test_log_groups_are_found_and_read_by_the_role_of_their_account(aws: EmbeddedAws) -> None:
    aws.accounts.role_create(role(A)["role_arn"])
    aws.log_group_create(WEST, "/app/own")
    aws.log_group_create(WEST, "/app/theirs", account=A)
    aws.put_log_event(WEST, "/app/theirs", "hello", timestamp=1000, account=A)
    config = LogGroupsConfig.model_validate(
        {"name": "g", "log_groups": ["/app/*"], "regions": [WEST], "accounts": [role(A)]}
    )
    source = config.source(Environment(AwsAccounts(), Clock()), {})
    (partition,) = source.discover().partitions
    assert (partition.account_id, partition.resource) == (A, "/app/theirs")
    (page,) = source.pages(partition, 0, 2000)
    assert [event.message for event in page.events] == ["hello"]
    assert aws.calls.count("FilterLogEvents", account=A) == 1


def test_a_region_that_is_out_of_reach_is_not_waited_for_in_each_account(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regional, "_AT_ONCE", 1)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    for account in (A, B):
        aws.accounts.role_create(role(account)["role_arn"])
        aws.log_group_create(WEST, "/app/theirs", account=account)
    config = LogGroupsConfig.model_validate(
        {"name": "g", "log_groups": ["*"], "regions": [WEST], "accounts": [role(A), role(B)]}
    )
    source = config.source(Environment(AwsAccounts(), Clock()), {})
    aws.faults = Faults(drop=1, operations=["DescribeLogGroups"])
    failures = source.discover().failures
    assert [place for place, _ in failures] == [Partition("g", one, WEST) for one in (A, B)]
    assert {error.reason for _, error in failures} == {"unreachable"}
    assert str(failures[1][1]).startswith("Not asked because it was out of reach for another")
    assert aws.calls.count("DescribeLogGroups", account=B) == 0
    aws.faults = Faults()
    assert read(source.discover()) == {A, B}


def test_all_regions_are_those_that_each_account_has_enabled(aws: EmbeddedAws) -> None:
    aws.accounts.role_create(role(A)["role_arn"])
    aws.accounts.enable_regions(A, [EAST, "ap-southeast-3"])
    source = history(regions="all", accounts=[{"name": "tools"}, role(A)])

    def regions(account: str) -> list[str]:
        return [one.region for one in source.discover().partitions if one.account_id == account]

    assert regions(A) == ["ap-southeast-3", EAST]
    assert regions(DEFAULT_ACCOUNT) == [WEST, EAST]
    aws.accounts.enable_regions(A, [EAST])
    assert regions(A) == [EAST]
    aws.faults = Faults(denied={(A, EAST): ["ListRegions"]})
    found = source.discover()
    ((place, error),) = found.failures
    assert place == Partition("h", A)
    assert "allow account:ListRegions in the IAM policy" in str(error)
    assert len(found.partitions) == 2


def test_accounts_that_join_and_leave_an_organization_are_followed(
    organization: Organization,
) -> None:
    first = organization.account("first")
    source = of_organization()
    assert read(source.discover()) == {DEFAULT_ACCOUNT, first}
    second = organization.account("second")
    found = source.discover()
    assert read(found) == {DEFAULT_ACCOUNT, first, second}
    assert {found.accounts[first], found.accounts[second]} == {"first", "second"}
    organization.client.close_account(AccountId=first)
    assert read(source.discover()) == {DEFAULT_ACCOUNT, second}
    organization.client.remove_account_from_organization(AccountId=second)
    assert read(source.discover()) == {DEFAULT_ACCOUNT}


def test_accounts_are_selected_by_unit_id_and_tag(organization: Organization) -> None:
    shop = organization.unit("shop")
    inner = organization.unit("inner", shop)
    in_shop = organization.account("a", shop, stage="prod")
    within = organization.account("b", inner, stage="prod")
    test = organization.account("c", shop, stage="test")
    alone = organization.account("d")
    selections: list[tuple[dict[str, Any], set[str]]] = [
        ({"include": [shop]}, {in_shop, within, test}),
        ({"include": [shop, alone]}, {in_shop, within, test, alone}),
        ({"exclude": [inner, DEFAULT_ACCOUNT]}, {in_shop, test, alone}),
        ({"include": [organization.root], "exclude": [shop]}, {DEFAULT_ACCOUNT, alone}),
        ({"include": [shop], "tags": {"stage": "prod"}}, {in_shop, within}),
        ({"tags": {"stage": "prod", "team": "x"}}, set()),
    ]
    for options, accounts in selections:
        assert read(of_organization(**options).discover()) == accounts, options


def test_an_organization_that_does_not_answer_loses_no_account(
    aws: EmbeddedAws, organization: Organization
) -> None:
    member = organization.account("a")
    source = of_organization()
    assert member in read(source.discover())
    aws.faults = Faults(denied={EAST: ["ListAccounts"]})
    found = source.discover()
    # An error of the whole source: partitions that were found before are kept.
    assert [place for place, _ in found.failures] == [
        Partition("h", region=region) for region in (EAST, WEST)
    ]
    assert "with delegated administration" in str(found.failures[0][1])
    assert not found.partitions
    aws.faults = Faults()
    list(source.pages(Partition("h", member, EAST), 0, 1000))
    assert aws.calls.count("LookupEvents", account=member) == 1


def test_no_account_is_assumed_into_that_organizations_does_not_name(
    aws: EmbeddedAws, organization: Organization
) -> None:
    organization.account("a")
    aws.accounts.role_create(role(A)["role_arn"])
    source = of_organization()
    source.discover()
    with pytest.raises(Exception, match="account 123456789012 now"):
        list(source.pages(Partition("h", A, EAST), 0, 1000))
    assert aws.calls.count("LookupEvents", account=A) == 0
    assert aws.calls.count("AssumeRole") == 1


def test_an_account_is_read_from_when_it_joined(organization: Organization) -> None:
    shop, other = organization.unit("shop"), organization.unit("other")
    old = organization.account("old", shop)
    moved = organization.account("moved", other)
    accounts = AwsAccounts(quotas=Quotas(lambda *_: None))
    config = EventHistoryConfig.model_validate(
        {
            **{"name": "h", "regions": [EAST], "lookback": "60s"},
            "organization": {"role_name": "reader", "include": [shop]},
        }
    )
    clock = Clock()
    source = config.source(Environment(accounts, clock), {f"{shop} {EAST}": 1000})

    def origin(account: str) -> int:
        return source.read_up_to(Partition("h", account, EAST), None)

    before = round(clock.earliest() * 1000)
    source.discover()
    joined = organization.client.describe_account(AccountId=old)["Account"]["JoinedTimestamp"]
    assert abs(origin(old) - joined.timestamp() * 1000) <= 2000
    organization.move(moved, other, shop)
    source.discover()
    assert origin(moved) >= before - 3000


def test_a_queue_and_its_buckets_are_read_by_their_role(aws: EmbeddedAws) -> None:
    aws.accounts.role_create(role(A)["role_arn"])
    url = aws.queue_create(EAST, "trail", account=A)
    bucket_create(A, EAST, "org-trail")
    records = [{"eventID": "1", "eventName": "ConsoleLogin"}]
    key = f"AWSLogs/{A}/CloudTrail/us-east-1/2026/11/26/a.json"
    object_put(A, "org-trail", key, json.dumps({"Records": records}).encode())
    message = {"s3Bucket": "org-trail", "s3ObjectKey": [key]}
    aws.send_message(EAST, "trail", json.dumps(message), account=A)
    config = TrailBucketConfig.model_validate(
        {"name": "t", "queue_url": url, "buckets": ["org-trail"], **role(A)}
    )
    source = config.source(Environment(AwsAccounts(), Clock(), complete=True), {})
    (partition,) = source.discover().partitions
    readings = list(source.poll(partition, None, own_starts={}))
    assert sum(len(reading.events) for reading in readings) == 1
    source.release(partition)
    calls = aws.calls.snapshot()
    by_others = {call.operation for call in calls if call.account != A}
    assert by_others == {"AssumeRole"}
    assert aws.calls.count("AssumeRole") == 1
