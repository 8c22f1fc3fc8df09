"""The packs of detections see attacks, and keep quiet on a day of ordinary automation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.rules import RuleSet
from scripts.detections import detecting, every_rule, matching
from tests.packs.test_trail_packs import CALL, NEWER
from tests.support.alerting import pack_rules
from tests.support.shared import shared_files

SERVICE_POLICY = json.dumps(
    {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": "SNS:Publish",
                "Resource": "*",
                "Condition": {"StringEquals": {"AWS:SourceOwner": "123456789012"}},
            }
        ]
    }
)
LAMBDA = "arn:aws:lambda:eu-west-1:123456789012:function:ship"
# Deployments, scaling, Karpenter, clean-up, backups, rotation, single sign-on.
A_DAY: list[tuple[str, dict[str, Any]]] = [
    ("cloudformation:CreateStack", {"capabilities": ["CAPABILITY_NAMED_IAM"]}),
    ("cloudformation:ExecuteChangeSet", {}),
    ("lambda:UpdateFunctionCode20150331v2", {"functionName": "orders"}),
    ("lambda:AddPermission20150331v2", {"principal": "events.amazonaws.com"}),
    ("ecs:RegisterTaskDefinition", {}),
    ("ecs:UpdateService", {}),
    ("ecs:RunTask", {}),
    ("ecs:RegisterContainerInstance", {}),
    ("ecr:PutImage", {}),
    ("ec2:RunInstances", {"metadataOptions": {"httpTokens": "optional"}}),
    ("ec2:CreateFleet", {}),
    ("ec2:CreateLaunchTemplate", {}),
    ("ec2:TerminateInstances", {}),
    ("ec2:ModifyInstanceAttribute", {"groupSet": {"items": [{"groupId": "sg-1"}]}}),
    ("ec2:CreateTags", {}),
    ("ec2:CreateSnapshot", {}),
    ("ec2:DeleteSnapshot", {}),
    ("ec2:DeregisterImage", {}),
    ("ec2:DeleteVolume", {}),
    ("autoscaling:UpdateAutoScalingGroup", {}),
    ("rds:CreateDBSnapshot", {}),
    ("rds:ModifyDBInstance", {"dBInstanceIdentifier": "orders", "allocatedStorage": 200}),
    ("backup:StartBackupJob", {}),
    ("kms:CreateGrant", {}),
    ("kms:Decrypt", {}),
    ("secretsmanager:GetSecretValue", {}),
    ("secretsmanager:RotateSecret", {}),
    ("ssm:PutParameter", {}),
    ("ssm:StartSession", {}),
    ("iam:CreateRole", {"assumeRolePolicyDocument": "{}"}),
    ("iam:PutRolePolicy", {}),
    ("iam:UpdateAccessKey", {"status": "Inactive"}),
    ("sts:AssumeRole", {}),
    ("sts:AssumeRoleWithWebIdentity", {}),
    ("sts:GetCallerIdentity", {}),
    ("sso:GetRoleCredentials", {}),
    ("identitystore:CreateGroupMembership", {}),
    ("route53:ChangeResourceRecordSets", {}),
    ("elasticloadbalancing:ModifyListener", {}),
    ("wafv2:UpdateIPSet", {}),
    ("cloudfront:CreateInvalidation2020_05_31", {}),
    ("logs:PutRetentionPolicy", {"retentionInDays": 30}),
    ("logs:PutSubscriptionFilter", {"destinationArn": LAMBDA}),
    ("events:PutRule", {}),
    ("events:DeleteRule", {}),
    ("sns:SetTopicAttributes", {"attributeName": "Policy", "attributeValue": SERVICE_POLICY}),
    ("s3:PutObject", {"bucketName": "example-data", "key": "docs/readme.txt"}),
    ("s3:DeleteObjects", {"bucketName": "example-data"}),
    ("s3:PutBucketVersioning", {"VersioningConfiguration": {"Status": "Enabled"}}),
    ("bedrock:InvokeModel", {"modelId": "anthropic.example-v1"}),
    ("sagemaker:CreatePresignedDomainUrl", {}),
    ("ses:GetSendQuota", {}),
    ("support:CreateCase", {}),
]


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return every_rule()


@pytest.fixture(scope="module")
def alerting() -> set[str]:
    """The newer packs' rules of the severities that alert."""
    return {
        rule["name"]
        for pack in NEWER
        for rule in pack_rules(pack)
        if rule["severity"] in {"medium", "high", "critical"}
    }


@pytest.mark.parametrize(("call", "parameters"), A_DAY, ids=[call for call, _ in A_DAY])
def test_ordinary_automation_matches_no_rule_that_alerts(
    rules: RuleSet, alerting: set[str], call: str, parameters: dict[str, Any]
) -> None:
    service, name = call.split(":")
    event = {
        **CALL,
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "requestParameters": parameters,
        "readOnly": False,
    }
    assert not matching(rules, event) & alerting


def test_nineteen_in_twenty_of_the_events_that_were_missed_are_seen(rules: RuleSet) -> None:
    (file,) = shared_files("detections", "missed.jsonl")
    cases = [json.loads(line) for line in file.read_text().splitlines()]
    missed = [case["case"] for case in cases if not detecting(rules, case["event"])]
    assert len(missed) <= len(cases) / 20, missed
