"""The roles in docs/aws: what they hold is what ``iam-policy`` prints."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import hcl2
import pytest
from moto import mock_aws

from exporter.aws.iam_policy import Deployment, iam_policy, trust_policy
from exporter.sources.event_history import EventHistoryConfig
from exporter.sources.permissions import grants_of_roles
from metric_filter_demo.aws import DEFAULT_ACCOUNT
from tests.support.tools import ROOT

STACK = ROOT / "docs" / "aws" / "role.yaml"
TERRAFORM = ROOT / "docs" / "aws" / "role.tf"
NAME = "metric-filter-exporter"
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
RUNS_ON = ("irsa", "pod-identity", "ec2")


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """IAM in an AWS of moto's, inside this process."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("iam")


def deploy(runs_on: str) -> None:
    parameters = {"RunsOn": runs_on, "OidcIssuer": ISSUER}
    boto3.client("cloudformation").create_stack(
        StackName="stack",
        TemplateBody=STACK.read_text(),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )


def test_cfn_lint_has_nothing_to_say() -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [lint, *map(str, STACK.parent.glob("*.yaml"))], capture_output=True, text=True, check=False
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("runs_on", RUNS_ON)
def test_the_stack_makes_a_role_with_the_examples_policy(iam: Any, runs_on: str) -> None:
    deploy(runs_on)
    policy = iam.get_role_policy(RoleName=NAME, PolicyName="read")["PolicyDocument"]
    reviewed = Path(__file__).parent / "policies" / "example.json"
    # moto keeps a stack's policies as Python prints them.
    assert ast.literal_eval(policy) == json.loads(reviewed.read_text())
    profiles = iam.list_instance_profiles()["InstanceProfiles"]
    assert len(profiles) == (runs_on == "ec2")


def test_the_stack_trusts_who_it_runs_on_and_nobody_else(iam: Any) -> None:
    deploy("irsa")
    (statement,) = iam.get_role(RoleName=NAME)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    provider = f"arn:aws:iam::{DEFAULT_ACCOUNT}:oidc-provider/{ISSUER}"
    assert statement["Principal"] == {"Federated": provider}
    assert statement["Condition"]["StringEquals"] == {
        f"{ISSUER}:aud": "sts.amazonaws.com",
        f"{ISSUER}:sub": "system:serviceaccount:monitoring:metric-filter-exporter",
    }


def test_terraform_takes_the_policy_as_it_was_printed() -> None:
    document = hcl2.loads(TERRAFORM.read_text())
    kinds = [kind.strip('"') for resource in document["resource"] for kind in resource]
    assert kinds == ["aws_iam_role", "aws_iam_role_policy", "aws_iam_instance_profile"]
    (read,) = (
        body['"read"']
        for resource in document["resource"]
        for body in resource.values()
        if '"read"' in body
    )
    assert read["policy"] == "${file(var.policy_file)}"
    trusted = document["locals"][0]["trust"]
    assert {name.strip('"') for name in trusted if not name.startswith("__")} == set(RUNS_ON)


ORGANIZATION = {
    **{"name": "history", "type": "event_history", "regions": "all"},
    "organization": {"role_name": NAME, "external_id_env": "EXTERNAL_ID"},
}
EXPORTER = f"arn:aws:iam::111122223333:role/{NAME}"


def test_the_role_of_members_is_the_one_that_iam_policy_prints(iam: Any) -> None:
    parameters = {
        **{"ExporterRoleArn": EXPORTER, "ExternalId": "an-id", "OrganizationId": "o-abc1234567"},
    }
    boto3.client("cloudformation").create_stack(
        StackName="member",
        TemplateBody=(STACK.parent / "member-role.yaml").read_text(),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    config = EventHistoryConfig.model_validate(ORGANIZATION)
    ((role, grants),) = grants_of_roles([config], Deployment()).items()
    assert role.arn == f"arn:aws:iam::*:role/{NAME}"
    made = iam.get_role_policy(RoleName=NAME, PolicyName="read")["PolicyDocument"]
    printed = json.dumps(iam_policy(grants)).replace("::*:", f"::{DEFAULT_ACCOUNT}:")
    assert ast.literal_eval(made) == json.loads(printed)
    trusted = trust_policy(EXPORTER, external_id="an-id", organization="o-abc1234567")
    assert iam.get_role(RoleName=NAME)["Role"]["AssumeRolePolicyDocument"] == trusted


def test_terraform_deploys_the_template_with_all_of_its_parameters() -> None:
    document = hcl2.loads((STACK.parent / "organization.tf").read_text())
    (stack_set,) = (
        body['"role"']
        for resource in document["resource"]
        for kind, body in resource.items()
        if kind.strip('"') == "aws_cloudformation_stack_set"
    )
    template = (STACK.parent / "member-role.yaml").read_text()
    required = {name for name in stack_set["parameters"] if not name.startswith("__")}
    assert required == {"ExporterRoleArn", "OrganizationId", "ExternalId"}
    assert all(f"  {name}:" in template for name in required)
    assert "member-role.yaml" in stack_set["template_body"]
