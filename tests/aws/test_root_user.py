"""The names that root may have in LookupEvents."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from exporter.aws.root_user import RootNames, home_of, root_names
from exporter.model import SourceError
from metric_filter_demo.aws import EmbeddedAws
from tests.support.aws import ACCOUNT, open_account

IRELAND = "eu-west-1"


def changed(name: str, alias: str, **fields: Any) -> dict[str, Any]:
    happened = datetime.fromtimestamp(time.time() - 86_400, UTC)
    return {
        "eventID": f"{name}-{alias}",
        "eventName": name,
        "eventTime": happened.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "requestParameters": {"accountAlias": alias},
        **fields,
    }


@pytest.mark.usefixtures("aws")
def test_without_an_alias_it_is_root() -> None:
    assert root_names(open_account(), ACCOUNT, IRELAND) == {"root"}


def test_the_alias_of_now_and_those_before_are_names_but_not_those_that_aws_refused(
    aws: EmbeddedAws,
) -> None:
    boto3.client("iam", region_name="us-east-1").create_account_alias(AccountAlias="now")
    aws.record(ACCOUNT, "us-east-1", changed("CreateAccountAlias", "created"))
    aws.record(ACCOUNT, "us-east-1", changed("DeleteAccountAlias", "deleted"))
    refused = changed("CreateAccountAlias", "taken", errorCode="EntityAlreadyExistsException")
    aws.record(ACCOUNT, "us-east-1", refused)
    found = root_names(open_account(), ACCOUNT, IRELAND)
    assert found == {"root", "now", "created", "deleted"}


def test_an_event_without_its_alias_is_an_error(aws: EmbeddedAws) -> None:
    aws.record(ACCOUNT, "us-east-1", changed("CreateAccountAlias", "x", requestParameters=None))
    with pytest.raises(SourceError, match=r"cloudtrail:LookupEvents.* without its alias"):
        root_names(open_account(), ACCOUNT, IRELAND)


@pytest.mark.parametrize(
    ("region", "home"),
    [(IRELAND, "us-east-1"), ("cn-northwest-1", "cn-north-1"), ("us-gov-east-1", "us-gov-west-1")],
)
def test_the_events_of_iam_are_in_one_region(region: str, home: str) -> None:
    assert home_of(region) == home


def test_names_are_requested_again_and_kept_and_not_used_once_they_are_old() -> None:
    now, answers, asked = 0.0, [frozenset({"root", "a"}), frozenset({"root", "b"})], list[float]()
    known = RootNames(600, lambda: now)

    def ask() -> frozenset[str]:
        asked.append(now)
        if not answers:
            raise SourceError("It was denied.", reason="access_denied")
        return answers.pop(0)

    assert known.of(ACCOUNT, ask) == (frozenset({"root", "a"}), "")
    now = 299.0
    assert known.of(ACCOUNT, ask) == (frozenset({"root", "a"}), "")
    now = 300.0
    assert known.of(ACCOUNT, ask) == (frozenset({"root", "a", "b"}), "")
    now = 600.0
    assert known.of(ACCOUNT, ask) == (frozenset(), "It was denied.")
    answers.append(frozenset({"root"}))
    now = 900.0
    assert known.of(ACCOUNT, ask) == (frozenset({"root", "a", "b"}), "")
    assert asked == [0, 300, 600, 900]


def test_other_threads_do_not_wait_for_the_answer() -> None:
    known = RootNames(600, lambda: 0.0)
    seen: list[object] = []

    def ask() -> frozenset[str]:
        seen.append(known.of(ACCOUNT, ask))
        return frozenset({"root"})

    assert known.of(ACCOUNT, ask) == (frozenset({"root"}), "")
    assert seen == [(frozenset(), "")]
