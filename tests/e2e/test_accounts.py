"""The exporter reads several accounts by roles, and those of an organization."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import httpx
import pytest

from metric_filter_demo.aws import DEFAULT_ACCOUNT
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.records import trail_record
from tests.support.waiting import wait_for

A, B, DENIED = "111122223333", "444455556666", "777788889999"
REGIONS = ["us-east-1", "eu-west-1"]
SECRET = "an-external-id"
HISTORY = {
    **{"name": "history", "type": "event_history", "regions": REGIONS},
    **{"interval": "1s", "lookback": "30s", "discovery_interval": "1s"},
}
RULE = {"name": "logins", "pattern": "{ $.eventName = ConsoleLogin }", "metric": "logins_total"}

_BY_TEST = tuple(f"organizations:{verb}" for verb in ("Create", "Remove"))

MakeExporter = Callable[..., Exporter]


def role(account: str, **options: str) -> dict[str, str]:
    return {"role_arn": f"arn:aws:iam::{account}:role/reader", **options}


def log_in(aws: RecordingAws, account: str, region: str) -> None:
    aws.record(
        account, region, trail_record("ConsoleLogin", region=region, recipientAccountId=account)
    )


def counted(exporter: Exporter) -> dict[tuple[str, str], float]:
    series = exporter.scrape().series("logins_total")
    found = {
        (dict(labels)["account_id"], dict(labels)["region"]): series[labels] for labels in series
    }
    return {place: value for place, value in found.items() if value}


def test_accounts_and_regions_are_counted_exactly_and_a_denied_role_is_seen(
    aws: RecordingAws, make_exporter: MakeExporter
) -> None:
    for account, external_id in ((A, SECRET), (B, "another-id"), (DENIED, "not-this-one")):
        aws.accounts.role_create(role(account)["role_arn"], external_id)
    accounts = [
        role(A, external_id=SECRET, name="shop"),
        role(B, external_id="another-id"),
        role(DENIED, external_id=SECRET),
        {"name": "tools"},
    ]
    exporter = make_exporter({"sources": [{**HISTORY, "accounts": accounts}], "rules": [RULE]})
    expected: dict[tuple[str, str], float] = {}

    def log_in_everywhere() -> None:
        for number, account in enumerate((A, B, DEFAULT_ACCOUNT, DENIED), 1):
            for region in REGIONS:
                for _ in range(number):
                    log_in(aws, account, region)
                if account != DENIED:
                    expected[account, region] = expected.get((account, region), 0) + number

    with exporter:
        exporter.wait_until_ready()
        log_in_everywhere()
        wait_for("some of them", lambda: counted(exporter))
        exporter.kill()
        log_in_everywhere()
        exporter.start()
        exporter.wait_until_ready()
        wait_for("all of them", lambda: counted(exporter) == expected)
        page, status = exporter.scrape(), exporter.get("/").text
        names = page.series("metric_filter_exporter_account_info")
        assert {dict(one)["account_id"]: dict(one)["account_name"] for one in names} == {
            **{A: "shop", B: "", DENIED: "", DEFAULT_ACCOUNT: "tools"}
        }
        failures = "metric_filter_exporter_discovery_failures_total"
        assert page.value(failures, account_id=DENIED, region="", reason="access_denied")
        assert f"sts:AssumeRole on role {role(DENIED)['role_arn']}" in status
        assert exporter.get("/-/ready").status_code == httpx.codes.OK
        assert SECRET not in exporter.logs() + status
        assert "Traceback" not in exporter.logs()
        # Once it is allowed, its events count from when it was configured.
        aws.accounts.role_create(role(DENIED)["role_arn"], SECRET)
        expected.update({(DENIED, region): 8.0 for region in REGIONS})
        wait_for("the account that was denied", lambda: counted(exporter) == expected)
        assert exporter.terminate() == 0


@pytest.fixture
def organization(aws: RecordingAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An organization whose management account runs the exporter."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    client = boto3.client("organizations")
    client.create_organization()
    yield client
    # The rest is the exporter's.
    aws.requests -= {one for one in aws.requests if one.action.startswith(_BY_TEST)}


def test_accounts_that_join_and_leave_an_organization_are_followed_without_a_restart(
    make_exporter: MakeExporter, aws: RecordingAws, organization: Any
) -> None:
    def join(name: str) -> str:
        made = organization.create_account(AccountName=name, Email=f"{name}@aws.test")
        account = str(made["CreateAccountStatus"]["AccountId"])
        aws.accounts.role_create(role(account)["role_arn"], SECRET)
        return account

    first = join("first")
    options = {"role_name": "reader", "external_id": SECRET, "exclude": [DEFAULT_ACCOUNT]}
    source = {**HISTORY, "regions": "all", "organization": options}
    with make_exporter({"sources": [source], "rules": [RULE]}) as exporter:
        exporter.wait_until_ready()
        log_in(aws, first, "eu-west-1")
        joined = join("joined")
        log_in(aws, joined, "us-east-1")
        expected = {(first, "eu-west-1"): 1.0, (joined, "us-east-1"): 1.0}
        wait_for("the account that joined", lambda: counted(exporter) == expected)
        name = "metric_filter_exporter_account_info"
        assert exporter.scrape().value(name, account_id=joined, account_name="joined") == 1
        organization.remove_account_from_organization(AccountId=first)
        gauge = "metric_filter_exporter_partitions"
        wait_for("two regions", lambda: exporter.scrape().value(gauge, source="history") == 2)
        # Its counts stay.
        assert counted(exporter) == expected
        assert exporter.terminate() == 0
