"""The CIS metric filters as patterns, and again as plain Python that knows nothing of patterns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Record = Mapping[str, Any]


def any_of(*names: str) -> str:
    """A pattern's condition that the event name is one of these."""
    return " || ".join(f"($.eventName = {name})" for name in names)


def from_source(source: str, *names: str) -> str:
    """A pattern for some events of one service."""
    return f"{{ ($.eventSource = {source}) && ({any_of(*names)}) }}"


IAM = (
    "DeleteGroupPolicy DeleteRolePolicy DeleteUserPolicy PutGroupPolicy PutRolePolicy PutUserPolicy"
    " CreatePolicy DeletePolicy CreatePolicyVersion DeletePolicyVersion AttachRolePolicy"
    " DetachRolePolicy AttachUserPolicy DetachUserPolicy AttachGroupPolicy DetachGroupPolicy"
).split()
TRAIL = "CreateTrail UpdateTrail DeleteTrail StartLogging StopLogging".split()
BUCKET = (
    "PutBucketAcl PutBucketPolicy PutBucketCors PutBucketLifecycle PutBucketReplication"
    " DeleteBucketPolicy DeleteBucketCors DeleteBucketLifecycle DeleteBucketReplication"
).split()
CONFIG = (
    "StopConfigurationRecorder DeleteDeliveryChannel PutDeliveryChannel PutConfigurationRecorder"
).split()
GROUP = (
    "AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress"
    " RevokeSecurityGroupEgress CreateSecurityGroup DeleteSecurityGroup ModifySecurityGroupRules"
).split()
NACL = (
    "CreateNetworkAcl CreateNetworkAclEntry DeleteNetworkAcl DeleteNetworkAclEntry"
    " ReplaceNetworkAclEntry ReplaceNetworkAclAssociation"
).split()
GATEWAY = (
    "CreateCustomerGateway DeleteCustomerGateway AttachInternetGateway CreateInternetGateway"
    " DeleteInternetGateway DetachInternetGateway"
).split()
ROUTE = (
    "CreateRoute CreateRouteTable ReplaceRoute ReplaceRouteTableAssociation DeleteRouteTable"
    " DeleteRoute DisassociateRouteTable"
).split()
VPC = (
    "CreateVpc DeleteVpc ModifyVpcAttribute AcceptVpcPeeringConnection CreateVpcPeeringConnection"
    " DeleteVpcPeeringConnection RejectVpcPeeringConnection AttachClassicLinkVpc"
    " DetachClassicLinkVpc DisableVpcClassicLink EnableVpcClassicLink"
).split()
ORGANIZATION = (
    "AcceptHandshake AttachPolicy CreateAccount CreateOrganizationalUnit CreatePolicy"
    " DeclineHandshake DeleteOrganization DeleteOrganizationalUnit DeletePolicy DetachPolicy"
    " DisablePolicyType EnablePolicyType InviteAccountToOrganization LeaveOrganization MoveAccount"
    " RemoveAccountFromOrganization UpdatePolicy UpdateOrganizationalUnit"
).split()

PATTERNS = {
    "unauthorized_api_calls": '{ (($.errorCode = "*UnauthorizedOperation") ||'
    ' ($.errorCode = "AccessDenied*")) && ($.sourceIPAddress != "delivery.logs.amazonaws.com")'
    ' && ($.eventName != "HeadBucket") }',
    "unauthorized_api_calls_as_printed": "{ ($.errorCode =*UnauthorizedOperation) ||"
    " ($.errorCode =AccessDenied*) && ($.sourceIPAddress!=delivery.logs.amazonaws.com)"
    " && ($.eventName!=HeadBucket) }",
    "console_signin_without_mfa": '{ ($.eventName = "ConsoleLogin") &&'
    ' ($.additionalEventData.MFAUsed != "Yes") && ($.userIdentity.type = "IAMUser")'
    ' && ($.responseElements.ConsoleLogin = "Success") }',
    "console_signin_without_mfa_v1": '{ ($.eventName = "ConsoleLogin") &&'
    ' ($.additionalEventData.MFAUsed != "Yes") }',
    "root_usage": '{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS'
    ' && $.eventType != "AwsServiceEvent" }',
    "iam_policy_changes": f"{{ {any_of(*IAM)} }}",
    "cloudtrail_changes": f"{{ {any_of(*TRAIL)} }}",
    "console_authentication_failures": "{ ($.eventName = ConsoleLogin) &&"
    ' ($.errorMessage = "Failed authentication") }',
    "cmk_disabled": from_source("kms.amazonaws.com", "DisableKey", "ScheduleKeyDeletion"),
    "bucket_policy_changes": from_source("s3.amazonaws.com", *BUCKET),
    "config_changes": from_source("config.amazonaws.com", *CONFIG),
    "security_group_changes": f"{{ {any_of(*GROUP)} }}",
    "nacl_changes": f"{{ {any_of(*NACL)} }}",
    "gateway_changes": f"{{ {any_of(*GATEWAY)} }}",
    "route_changes": f"{{ {any_of(*ROUTE)} }}",
    "vpc_changes": f"{{ {any_of(*VPC)} }}",
    "organization_changes": from_source("organizations.amazonaws.com", *ORGANIZATION),
}


def _inner(record: Record, *keys: str) -> Any:
    value: Any = record
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _other_than(value: Any, text: str) -> bool:
    """AWS's ``!=``: false for what is missing, null, a boolean, a list or an object."""
    return isinstance(value, str) and value != text


def _is_denied(record: Record) -> bool:
    code = record.get("errorCode")
    return isinstance(code, str) and (
        code.endswith("UnauthorizedOperation") or code.startswith("AccessDenied")
    )


def _is_excused(record: Record) -> bool:
    return not (
        _other_than(record.get("sourceIPAddress"), "delivery.logs.amazonaws.com")
        and _other_than(record.get("eventName"), "HeadBucket")
    )


def _as_printed(record: Record) -> bool:
    code = record.get("errorCode")
    if isinstance(code, str) and code.endswith("UnauthorizedOperation"):
        return True
    return isinstance(code, str) and code.startswith("AccessDenied") and not _is_excused(record)


def _login_without_mfa(record: Record) -> bool:
    used = _inner(record, "additionalEventData", "MFAUsed")
    return record.get("eventName") == "ConsoleLogin" and _other_than(used, "Yes")


def _named(names: list[str], source: str | None = None) -> Callable[[Record], bool]:
    return lambda r: r.get("eventName") in names and source in (None, r.get("eventSource"))


INDEPENDENT: dict[str, Callable[[Record], bool]] = {
    "unauthorized_api_calls": lambda r: _is_denied(r) and not _is_excused(r),
    "unauthorized_api_calls_as_printed": _as_printed,
    "console_signin_without_mfa": lambda r: (
        _login_without_mfa(r)
        and _inner(r, "userIdentity", "type") == "IAMUser"
        and _inner(r, "responseElements", "ConsoleLogin") == "Success"
    ),
    "console_signin_without_mfa_v1": _login_without_mfa,
    "root_usage": lambda r: (
        _inner(r, "userIdentity", "type") == "Root"
        and "invokedBy" not in r["userIdentity"]
        and _other_than(r.get("eventType"), "AwsServiceEvent")
    ),
    "iam_policy_changes": _named(IAM),
    "cloudtrail_changes": _named(TRAIL),
    "console_authentication_failures": lambda r: (
        r.get("eventName") == "ConsoleLogin" and r.get("errorMessage") == "Failed authentication"
    ),
    "cmk_disabled": _named(["DisableKey", "ScheduleKeyDeletion"], "kms.amazonaws.com"),
    "bucket_policy_changes": _named(BUCKET, "s3.amazonaws.com"),
    "config_changes": _named(CONFIG, "config.amazonaws.com"),
    "security_group_changes": _named(GROUP),
    "nacl_changes": _named(NACL),
    "gateway_changes": _named(GATEWAY),
    "route_changes": _named(ROUTE),
    "vpc_changes": _named(VPC),
    "organization_changes": _named(ORGANIZATION, "organizations.amazonaws.com"),
}
