"""The rules of sixteen.yaml as a loop of ``json`` and ifs, as one would write it by hand.

    python by_hand.py FILE.json.gz ...

Prints the matches by rule as JSON.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from typing import Any

IAM = frozenset(
    [
        "DeleteGroupPolicy",
        "DeleteRolePolicy",
        "DeleteUserPolicy",
        "PutGroupPolicy",
        "PutRolePolicy",
        "PutUserPolicy",
        "CreatePolicy",
        "DeletePolicy",
        "CreatePolicyVersion",
        "DeletePolicyVersion",
        "AttachRolePolicy",
        "DetachRolePolicy",
        "AttachUserPolicy",
        "DetachUserPolicy",
        "AttachGroupPolicy",
        "DetachGroupPolicy",
    ]
)
TRAIL = frozenset(["CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging"])
KEY = frozenset(("DisableKey", "ScheduleKeyDeletion"))
BUCKET = frozenset(
    [
        "PutBucketAcl",
        "PutBucketPolicy",
        "PutBucketCors",
        "PutBucketLifecycle",
        "PutBucketReplication",
        "DeleteBucketPolicy",
        "DeleteBucketCors",
        "DeleteBucketLifecycle",
        "DeleteBucketReplication",
    ]
)
CONFIG = frozenset(
    [
        "StopConfigurationRecorder",
        "DeleteDeliveryChannel",
        "PutDeliveryChannel",
        "PutConfigurationRecorder",
    ]
)
GROUP = frozenset(
    [
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "RevokeSecurityGroupEgress",
        "CreateSecurityGroup",
        "DeleteSecurityGroup",
        "ModifySecurityGroupRules",
    ]
)
NACL = frozenset(
    [
        "CreateNetworkAcl",
        "CreateNetworkAclEntry",
        "DeleteNetworkAcl",
        "DeleteNetworkAclEntry",
        "ReplaceNetworkAclEntry",
        "ReplaceNetworkAclAssociation",
    ]
)
GATEWAY = frozenset(
    [
        "CreateCustomerGateway",
        "DeleteCustomerGateway",
        "AttachInternetGateway",
        "CreateInternetGateway",
        "DeleteInternetGateway",
        "DetachInternetGateway",
    ]
)
ROUTE = frozenset(
    [
        "CreateRoute",
        "CreateRouteTable",
        "ReplaceRoute",
        "ReplaceRouteTableAssociation",
        "DeleteRouteTable",
        "DeleteRoute",
        "DisassociateRouteTable",
    ]
)
VPC = frozenset(
    [
        "CreateVpc",
        "DeleteVpc",
        "ModifyVpcAttribute",
        "AcceptVpcPeeringConnection",
        "CreateVpcPeeringConnection",
        "DeleteVpcPeeringConnection",
        "RejectVpcPeeringConnection",
        "AttachClassicLinkVpc",
        "DetachClassicLinkVpc",
        "DisableVpcClassicLink",
        "EnableVpcClassicLink",
    ]
)
ORGANIZATION = frozenset(
    [
        "AcceptHandshake",
        "AttachPolicy",
        "CreateAccount",
        "CreateOrganizationalUnit",
        "CreatePolicy",
        "DeclineHandshake",
        "DeleteOrganization",
        "DeleteOrganizationalUnit",
        "DeletePolicy",
        "DetachPolicy",
        "DisablePolicyType",
        "EnablePolicyType",
        "InviteAccountToOrganization",
        "LeaveOrganization",
        "MoveAccount",
        "RemoveAccountFromOrganization",
        "UpdatePolicy",
        "UpdateOrganizationalUnit",
    ]
)


def count(record: dict[str, Any], matches: Counter[str]) -> None:  # noqa: PLR0912 - an if a rule
    """Count the rules that a record matches."""
    name, service = record.get("eventName"), record.get("eventSource")
    identity = record.get("userIdentity") or {}
    error = record.get("errorCode")
    if (
        error is not None
        and (error.endswith("UnauthorizedOperation") or error.startswith("AccessDenied"))
        and record.get("sourceIPAddress") != "delivery.logs.amazonaws.com"
        and name != "HeadBucket"
    ):
        matches["unauthorized_api_calls"] += 1
    if name == "ConsoleLogin":
        used = (record.get("additionalEventData") or {}).get("MFAUsed")
        if (
            used is not None
            and used != "Yes"
            and identity.get("type") == "IAMUser"
            and (record.get("responseElements") or {}).get("ConsoleLogin") == "Success"
        ):
            matches["console_signin_without_mfa"] += 1
        if record.get("errorMessage") == "Failed authentication":
            matches["console_authentication_failures"] += 1
    if (
        identity.get("type") == "Root"
        and "invokedBy" not in identity
        and record.get("eventType") != "AwsServiceEvent"
    ):
        matches["root_usage"] += 1
    if service == "iam.amazonaws.com" and name in IAM:
        matches["iam_policy_changes"] += 1
    if name in TRAIL:
        matches["cloudtrail_changes"] += 1
    if service == "kms.amazonaws.com" and name in KEY:
        matches["cmk_disabled"] += 1
    if service == "s3.amazonaws.com" and name in BUCKET:
        matches["bucket_policy_changes"] += 1
    if service == "config.amazonaws.com" and name in CONFIG:
        matches["config_changes"] += 1
    if name in GROUP:
        matches["security_group_changes"] += 1
    if name in NACL:
        matches["nacl_changes"] += 1
    if name in GATEWAY:
        matches["gateway_changes"] += 1
    if service == "ec2.amazonaws.com" and name in ROUTE:
        matches["route_changes"] += 1
    if name in VPC:
        matches["vpc_changes"] += 1
    if service == "organizations.amazonaws.com" and name in ORGANIZATION:
        matches["organization_changes"] += 1
    if (
        service == "secretsmanager.amazonaws.com"
        and name == "GetSecretValue"
        and "errorCode" not in record
    ):
        matches["secrets_read"] += 1


def main() -> None:
    """Count the records of the files that the command line names."""
    matches: Counter[str] = Counter()
    for path in sys.argv[1:]:
        with gzip.open(path, "rb") as file:
            for record in json.loads(file.read())["Records"]:
                count(record, matches)
    print(json.dumps(matches))


if __name__ == "__main__":
    main()
