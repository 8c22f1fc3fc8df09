"""The packs for CloudTrail on real records: series stay few, and known attacks are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.patterns import compile_pattern
from tests.support.alerting import pack_rules
from tests.support.expositions import Exposition
from tests.support.samples import cloudtrail_files, count_once

PACKS = [
    "cis-aws-foundations",
    "cloudtrail-account",
    "cloudtrail-ai",
    "cloudtrail-compute",
    "cloudtrail-data",
    "cloudtrail-defenses",
    "cloudtrail-exposure",
    "cloudtrail-identity",
    "cloudtrail-security",
]
STRATUS = "stratus_red_team.jsonl"
MOST_SERIES = 50


def rules(*packs: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for pack in packs:
        found += pack_rules(pack)
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Exposition:
    folder: Path = tmp_path_factory.mktemp("all")
    return count_once(folder, cloudtrail_files(), rule_packs=PACKS)


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> Exposition:
    """Detonations of published attack techniques."""
    files = [file for file in cloudtrail_files() if file.name == STRATUS]
    folder: Path = tmp_path_factory.mktemp("attacks")
    return count_once(folder, files, rule_packs=PACKS)


def test_each_rule_has_few_series(page: Exposition) -> None:
    """Although the samples are of hundreds of accounts and regions, made up for anonymity."""
    counts = {rule["name"]: len(page.series(rule["metric"])) for rule in rules(*PACKS)}
    assert {name: count for name, count in counts.items() if count >= MOST_SERIES} == {}


def test_series_come_from_what_was_matched(page: Exposition) -> None:
    """No rule ran over its max_series, and its labels are those that the pack gives it."""
    for rule in rules(*PACKS):
        for labels in page.series(rule["metric"]):
            names = {name for name, value in labels if value}
            given = {"account_id", "region", "source", *rule["labels"]}
            assert names <= given, rule["name"]
            assert "__overflow__" not in dict(labels).values(), rule["name"]


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        (
            "aws_security_access_keys_created_total",
            {"target_user": "stratus-red-team-backdoor-u-user"},
        ),
        ("aws_security_admin_policy_attached_total", {"target": "malicious-iam-user"}),
        ("aws_security_principals_created_total", {"event": "CreateRole"}),
        ("aws_security_login_profile_changes_total", {"event": "CreateLoginProfile"}),
        ("aws_security_login_profile_changes_total", {"event": "UpdateLoginProfile"}),
        ("aws_security_trust_policy_changes_total", {"role": "stratus-red-team-backdoor-r-role"}),
        ("aws_security_identity_provider_changes_total", {"event": "CreateTrustAnchor"}),
        ("aws_security_federation_tokens_issued_total", {}),
        ("aws_security_assume_role_failures_total", {"error_code": "AccessDenied"}),
        ("aws_security_snapshots_shared_total", {"event": "ModifyImageAttribute"}),
        ("aws_security_snapshots_shared_total", {"event": "ModifySnapshotAttribute"}),
        ("aws_security_snapshots_shared_total", {"event": "ModifyDBSnapshotAttribute"}),
        ("aws_security_lambda_made_public_total", {"function": "stratus-red-team-backdoor-f-func"}),
        ("aws_security_trail_tampering_total", {"event": "StopLogging"}),
        ("aws_security_trail_tampering_total", {"event": "PutEventSelectors"}),
        ("aws_security_logs_deleted_total", {"event": "DeleteFlowLogs"}),
        ("aws_security_logs_deleted_total", {"event": "DeleteResolverQueryLogConfig"}),
        ("aws_security_organization_departures_total", {"error_code": "AccessDenied"}),
        ("aws_security_secrets_read_total", {"event": "GetSecretValue"}),
        ("aws_security_secrets_read_total", {"event": "BatchGetSecretValue"}),
        ("aws_security_parameters_decrypted_total", {"event": "GetParameters"}),
        ("aws_security_instance_secrets_read_total", {"event": "GetPasswordData"}),
        ("aws_security_instance_secrets_read_total", {"event": "DescribeInstanceAttribute"}),
        ("aws_security_remote_sessions_total", {"event": "SendSerialConsoleSSHPublicKey"}),
        ("aws_security_console_logins_total", {"result": "Success", "mfa": "No"}),
    ],
)
def test_attacks_are_seen(attacks: Exposition, metric: str, labels: dict[str, str]) -> None:
    assert (attacks.value(metric, **labels) or 0) > 0


def test_patterns_can_be_pasted_into_a_metric_filter() -> None:
    """No warning of any kind: within AWS's limits, and nothing that AWS leaves open."""
    compiled = {rule["name"]: compile_pattern(rule["pattern"]) for rule in rules(*PACKS)}
    assert {name: found.warnings for name, found in compiled.items() if found.warnings} == {}


def test_labels_that_may_grow_say_so_and_are_bounded() -> None:
    """What a caller, a name or an address can be is not for the pack to say."""
    growing = {"user", "source_ip", "bucket", "role", "target", "target_user", "function"}
    for rule in rules(*PACKS):
        if growing & {name for name, value in rule["labels"].items() if str(value)[0] in "$[{"}:
            assert "may grow" in " ".join(rule["description"].split()), rule["name"]
            assert rule["max_series"] <= 500, rule["name"]
