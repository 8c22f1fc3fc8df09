"""The CIS pack counts what plain Python counts: on real records, and on each event of the lists."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.patterns import FilterPattern, compile_pattern
from tests.support import cis
from tests.support.cis_pack import CIS_PACK, user_of
from tests.support.expositions import Exposition
from tests.support.samples import cloudtrail_files, count_once, distinct_records
from tests.support.tools import ROOT

PACK = ROOT / "config" / "rules" / "cis-aws-foundations.yaml"
NAMES = [
    *(name for names in (cis.IAM, cis.TRAIL, cis.BUCKET, cis.CONFIG, cis.GROUP) for name in names),
    *(name for names in (cis.NACL, cis.GATEWAY, cis.ROUTE, cis.VPC) for name in names),
    *cis.ORGANIZATION,
    *("DisableKey", "ScheduleKeyDeletion", "ConsoleLogin", "HeadBucket", "DescribeInstances"),
]
SERVICES = "ec2 iam s3 kms config cloudtrail organizations apigateway appmesh iot signin".split()
CODES = (
    *(None, "AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation", "NoSuchKey"),
    *("AuthorizationErrorException", "ForbiddenException", "NotAuthorizedException"),
    *("VpceAccessDenied", "Client.AuthFailure", "UnauthorizedException", "InvalidClientTokenId"),
)
VERSIONS = {f"cis-{version}" for version in "v1.3.0 v1.4.0 v1.5.0 v2.0.0 v3.0.0 v4.0.0".split()}


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(PACK.read_text())["rules"]
    return found


@pytest.fixture(scope="module")
def patterns() -> dict[str, FilterPattern]:
    return {rule["name"]: compile_pattern(rule["pattern"]) for rule in rules()}


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(distinct_records(cloudtrail_files()))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Exposition:
    folder: Path = tmp_path_factory.mktemp("cis")
    return count_once(folder, cloudtrail_files(), rule_packs=["cis-aws-foundations"])


def matching(patterns: dict[str, FilterPattern], record: dict[str, Any]) -> set[str]:
    message = json.dumps(record)
    return {name for name, pattern in patterns.items() if pattern.match(message) is not None}


def wanted(record: dict[str, Any]) -> set[str]:
    return {name for name, matches in CIS_PACK.items() if matches(record)}


def test_each_rule_counts_what_plain_python_counts(
    page: Exposition, records: list[dict[str, Any]]
) -> None:
    metrics = {rule["name"]: rule["metric"] for rule in rules()}
    assert list(metrics) == list(CIS_PACK)
    expected: Counter[str] = Counter()
    for record in records:
        expected.update(metrics[name] for name in wanted(record))
    counted = {metric: page.value(metric) or 0 for metric in metrics.values()}
    assert counted == {metric: expected[metric] for metric in metrics.values()}
    assert {metric for metric, count in counted.items() if count} >= {
        "aws_cis_unauthorized_api_calls_total",
        "aws_cis_console_signin_without_mfa_total",
        "aws_cis_root_usage_total",
        "aws_cis_iam_policy_changes_total",
        "aws_cis_cloudtrail_configuration_changes_total",
        "aws_cis_organizations_changes_total",
        "aws_cis_security_group_changes_total",
    }


def test_an_event_counts_once_in_a_metric(records: list[dict[str, Any]]) -> None:
    """Rules that share a metric never match the same record."""
    metrics = {rule["name"]: rule["metric"] for rule in rules()}
    for record in records:
        found = [metrics[name] for name in wanted(record)]
        assert len(found) == len(set(found)), record["eventID"]


def test_each_user_has_what_plain_python_gives_it(
    page: Exposition, records: list[dict[str, Any]]
) -> None:
    denied = CIS_PACK["cis_unauthorized_api_calls"]
    expected = Counter(user_of(record) for record in records if denied(record))
    counted: Counter[str] = Counter()
    for labels, value in page.series("aws_cis_unauthorized_api_calls_total").items():
        counted[dict(labels).get("user", "")] += int(value)
    assert counted == expected


@pytest.mark.parametrize("service", SERVICES)
def test_each_event_counts_where_the_benchmark_has_it(
    patterns: dict[str, FilterPattern], service: str
) -> None:
    for name in NAMES:
        for code in CODES:
            record: dict[str, Any] = {
                "eventSource": f"{service}.amazonaws.com",
                "eventName": name,
                "sourceIPAddress": "192.0.2.1",
                "eventType": "AwsApiCall",
                "userIdentity": {"type": "IAMUser", "userName": "alice"},
            }
            if code is not None:
                record["errorCode"] = code
            assert matching(patterns, record) == wanted(record), record


@pytest.mark.parametrize("mfa", ["Yes", "YES", "No", None, "missing"])
@pytest.mark.parametrize("kind", ["IAMUser", "Root", "AssumedRole", "FederatedUser"])
@pytest.mark.parametrize("result", ["Success", "Failure"])
def test_sign_ins_count_by_who_and_how(
    patterns: dict[str, FilterPattern], kind: str, result: str, mfa: str | None
) -> None:
    record: dict[str, Any] = {
        "eventSource": "signin.amazonaws.com",
        "eventName": "ConsoleLogin",
        "eventType": "AwsConsoleSignIn",
        "sourceIPAddress": "192.0.2.1",
        "userIdentity": {"type": kind},
        "responseElements": {"ConsoleLogin": result},
        "additionalEventData": {} if mfa == "missing" else {"MFAUsed": mfa},
    }
    if result == "Failure":
        record["errorMessage"] = "Failed authentication"
    found = matching(patterns, record)
    assert found == wanted(record)
    without = kind == "IAMUser" and result == "Success" and mfa not in ("Yes", "YES")
    assert ("cis_console_signin_without_mfa" in found) is without
    assert ("cis_root_usage" in found) is (kind == "Root")


def test_patterns_can_be_pasted_into_a_metric_filter(patterns: dict[str, FilterPattern]) -> None:
    """No warning of any kind: within AWS's limits, and nothing that AWS leaves open."""
    assert {name: pattern.warnings for name, pattern in patterns.items() if pattern.warnings} == {}


def test_controls_are_numbered_as_in_each_version() -> None:
    order = list(dict.fromkeys(rule["metric"] for rule in rules()))
    for rule in rules():
        number = order.index(rule["metric"]) + 1
        controls = {name: id_ for name, id_ in rule["controls"].items() if name.startswith("cis-")}
        old = {"cis-v1.2.0"} if number < 15 else set()
        assert set(controls) == VERSIONS | old | {"cis-v5.0.0", "cis-v6.0.0", "cis-v7.0.0"}
        for version, control in controls.items():
            chapter = {"cis-v1.2.0": 3, "cis-v6.0.0": 5, "cis-v7.0.0": 5}.get(version, 4)
            assert control == f"{chapter}.{number}", rule["name"]
