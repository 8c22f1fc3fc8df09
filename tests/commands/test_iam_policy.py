"""``iam-policy``: what it prints, and what it says where it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

Invoke = Callable[..., Result]

SOURCE = {"name": "apps", "type": "log_groups", "log_groups": ["/app/*"]}


@pytest.fixture(autouse=True)
def _no_region_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def written(tmp_path: Path, *sources: object) -> str:
    path = tmp_path / "exporter.yaml"
    rules = [{"name": "errors", "pattern": "ERROR"}]
    path.write_text(yaml.safe_dump({"sources": list(sources), "rules": rules}))
    return f"--config.file={path}"


def test_it_prints_a_policy_that_iam_takes_as_it_is(invoke: Invoke, tmp_path: Path) -> None:
    config = written(tmp_path, {**SOURCE, "regions": ["eu-west-1"]})
    result = invoke("iam-policy", config, "--account", "123456789012")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert json.loads(result.stdout) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "FindLogGroups",
                "Effect": "Allow",
                "Action": "logs:DescribeLogGroups",
                "Resource": ["arn:aws:logs:eu-west-1:123456789012:log-group:*"],
            },
            {
                "Sid": "ReadLogGroups",
                "Effect": "Allow",
                "Action": "logs:FilterLogEvents",
                "Resource": ["arn:aws:logs:eu-west-1:123456789012:log-group:/app/*:*"],
            },
        ],
    }


def test_without_an_account_it_is_any_and_with_a_partition_that_one(
    invoke: Invoke, tmp_path: Path
) -> None:
    config = written(tmp_path, {**SOURCE, "regions": ["eu-west-1"]})
    assert "arn:aws-eusc:logs:eu-west-1:*:log-group:/app/*:*" in (
        invoke("iam-policy", config, "--partition", "aws-eusc").stdout
    )


def test_the_region_is_taken_as_the_exporter_takes_it(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = written(tmp_path, SOURCE)
    unknown = invoke("iam-policy", config)
    assert unknown.exit_code == 1
    assert "`apps` names no `regions`" in unknown.stderr
    assert unknown.stdout == ""
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-is-not-on-this-machine")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert ":eu-west-1:" in invoke("iam-policy", config).stdout
    assert ":us-east-2:" in invoke("iam-policy", config, "--region", "us-east-2").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--account", "12345"), "--account: '12345' is no account id"),
        (("--partition", "AWS"), "--partition: 'AWS' is no partition"),
    ],
)
def test_what_cannot_be_is_refused(
    invoke: Invoke, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = invoke("iam-policy", written(tmp_path, SOURCE), *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_errors_of_the_configuration_are_told_as_check_tells_them(
    invoke: Invoke, tmp_path: Path
) -> None:
    result = invoke("iam-policy", written(tmp_path, {**SOURCE, "log_group": "x"}))
    assert result.exit_code == 1
    assert "log_group" in result.stderr
    assert "exporter.yaml:" in result.stderr


def test_a_policy_that_aws_would_refuse_for_its_length_is_a_warning(
    invoke: Invoke, tmp_path: Path
) -> None:
    names = [f"/app/of/a/team/with/a/long/name/number-{number}" for number in range(100)]
    source = {**SOURCE, "log_groups": names, "regions": ["eu-west-1"]}
    result = invoke("iam-policy", written(tmp_path, source))
    assert result.exit_code == 0
    assert "6144" in result.stderr
    assert len(json.loads(result.stdout)["Statement"]) == 2


ROLE = "arn:aws:iam::111122223333:role/reader"
EXPORTER = "arn:aws:iam::123456789012:role/exporter"


def test_roles_are_assumed_and_have_policies_of_their_own(invoke: Invoke, tmp_path: Path) -> None:
    accounts = [{"role_arn": ROLE, "external_id": "s3cr3t-id"}, {"name": "own"}]
    config = written(tmp_path, {**SOURCE, "regions": ["eu-west-1"], "accounts": accounts})
    own = json.loads(invoke("iam-policy", config, "--account", "123456789012").stdout)
    assert [one["Sid"] for one in own["Statement"]] == [
        *("AssumeRoles", "FindLogGroups", "ReadLogGroups"),
    ]
    assert own["Statement"][0]["Resource"] == [ROLE]
    told = invoke(
        *("iam-policy", config, "--roles", "--principal", EXPORTER, "--organization", "o-abc")
    )
    assert told.exit_code == 0, told.stderr
    assert "s3cr3t-id" not in told.stdout
    ((arn, role),) = json.loads(told.stdout).items()
    assert arn == ROLE
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"AWS": EXPORTER}
    assert trusted["Condition"]["StringEquals"] == {
        "sts:ExternalId": "THE-EXTERNAL-ID",
        "aws:PrincipalOrgID": "o-abc",
    }
    found, _ = role["Policy"]["Statement"]
    assert found["Resource"] == ["arn:aws:logs:eu-west-1:111122223333:log-group:*"]


def test_an_organization_is_listed_and_its_role_is_assumed_in_any_account(
    invoke: Invoke, tmp_path: Path
) -> None:
    organization = {"role_name": "reader", "include": ["ou-ab12-11111111"], "tags": {"a": "b"}}
    source = {"name": "h", "type": "event_history", "regions": "all", "organization": organization}
    own = json.loads(invoke("iam-policy", written(tmp_path, source)).stdout)["Statement"]
    assert {one["Action"] for one in own if one["Action"].startswith("organizations:")} == {
        f"organizations:{operation}"
        for operation in (
            *("ListAccounts", "ListAccountsForParent"),
            *("ListOrganizationalUnitsForParent", "ListTagsForResource"),
        )
    }
    (assumed,) = (one for one in own if one["Action"] == "sts:AssumeRole")
    assert assumed["Resource"] == ["arn:aws:iam::*:role/reader"]
    assert not any("Condition" in one for one in own)  # any region


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("--roles",), "--roles needs --principal or --account", 2),
        (("--roles", "--account", "123456789012"), "no source names a role", 1),
    ],
)
def test_roles_that_cannot_be_printed(
    invoke: Invoke, tmp_path: Path, arguments: tuple[str, ...], said: str, code: int
) -> None:
    result = invoke(
        "iam-policy", written(tmp_path, {**SOURCE, "regions": ["eu-west-1"]}), *arguments
    )
    assert said in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")
