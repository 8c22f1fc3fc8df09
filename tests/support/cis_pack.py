"""What the rules of the pack cis-aws-foundations count, again as plain Python.

It knows nothing of patterns, and departs from ``tests.support.cis`` (the benchmark as it is
printed) where the pack does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support import cis
from tests.support.cis import INDEPENDENT, Record

Predicate = Callable[[Record], bool]

_NOT_OF_ROOT = ("AwsServiceEvent", "AwsVpceEvent")
"""Event types: a service's own, and the second record of a call through a VPC endpoint."""


def _inner(record: Record, outer: str, key: str) -> Any:
    value = record.get(outer)
    return value.get(key) if isinstance(value, dict) else None


def _from(source: str, names: list[str]) -> Predicate:
    return lambda record: record.get("eventSource") == source and record.get("eventName") in names


def _signed_in_without_mfa(record: Record) -> bool:
    """An IAM user's sign-in that does not say that MFA was used."""
    used = _inner(record, "additionalEventData", "MFAUsed")
    return (
        record.get("eventName") == "ConsoleLogin"
        and _inner(record, "userIdentity", "type") == "IAMUser"
        and _inner(record, "responseElements", "ConsoleLogin") == "Success"
        and (used is None or str(used).lower() != "yes")
    )


def _root_acted(record: Record) -> bool:
    """Root itself, not a service on its behalf."""
    return (
        _inner(record, "userIdentity", "type") == "Root"
        and _inner(record, "userIdentity", "invokedBy") is None
        and record.get("eventType") not in _NOT_OF_ROOT
    )


_OTHER_CODES = (
    *("AccessDenied", "NotAuthorized", "Unauthorized", "Forbidden", "AuthorizationError"),
    *("AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "PermissionDenied"),
    *("InsufficientPermission", "InsufficientPrivilege", "InvalidAccessKeyId"),
    "SignatureDoesNotMatch",
)


def _denied_by_another_code(record: Record) -> bool:
    """A code that says so in other words than the benchmark's."""
    code = record.get("errorCode") or ""
    return (
        any(one in code for one in _OTHER_CODES)
        and not code.startswith("AccessDenied")
        and not code.endswith("UnauthorizedOperation")
        and record.get("sourceIPAddress") != "delivery.logs.amazonaws.com"
        and record.get("eventName") != "HeadBucket"
    )


def _root_session(record: Record) -> bool:
    """Root issued the session, or acts in the console."""
    if record.get("eventType") in _NOT_OF_ROOT:
        return False
    if _inner(record, "userIdentity", "type") == "Root":
        return bool(_inner(record, "userIdentity", "invokedBy") == "signin.amazonaws.com")
    session = _inner(record, "userIdentity", "sessionContext")
    issuer = session.get("sessionIssuer") if isinstance(session, dict) else None
    return (
        _by_someone_else(record)
        and not _assumes_root(record)
        and isinstance(issuer, dict)
        and issuer.get("type") == "Root"
    )


def _root_assumed(record: Record) -> bool:
    """Root of a member account is assumed."""
    return (
        record.get("eventType") not in _NOT_OF_ROOT
        and _by_someone_else(record)
        and _assumes_root(record)
    )


def _by_someone_else(record: Record) -> bool:
    """Neither root itself nor a service on its behalf."""
    return (
        _inner(record, "userIdentity", "type") not in (None, "Root")
        and _inner(record, "userIdentity", "invokedBy") is None
    )


def _assumes_root(record: Record) -> bool:
    called = record.get("eventSource"), record.get("eventName")
    return called == ("sts.amazonaws.com", "AssumeRoot")


def _sign_in_failed_otherwise(record: Record) -> bool:
    """A sign-in that failed with another message than the benchmark's."""
    return (
        record.get("eventName") == "ConsoleLogin"
        and _inner(record, "responseElements", "ConsoleLogin") == "Failure"
        and record.get("errorMessage") != "Failed authentication"
    )


CIS_PACK: dict[str, Predicate] = {
    "cis_unauthorized_api_calls": INDEPENDENT["unauthorized_api_calls"],
    "cis_unauthorized_api_calls_other_codes": _denied_by_another_code,
    "cis_console_signin_without_mfa": _signed_in_without_mfa,
    "cis_root_usage": _root_acted,
    "cis_root_sessions": _root_session,
    "cis_root_assumed": _root_assumed,
    "cis_iam_policy_changes": _from("iam.amazonaws.com", cis.IAM),
    "cis_cloudtrail_configuration_changes": INDEPENDENT["cloudtrail_changes"],
    "cis_console_authentication_failures": INDEPENDENT["console_authentication_failures"],
    "cis_console_authentication_failures_other_messages": _sign_in_failed_otherwise,
    "cis_cmk_disabled_or_deleted": INDEPENDENT["cmk_disabled"],
    "cis_s3_bucket_policy_changes": INDEPENDENT["bucket_policy_changes"],
    "cis_config_configuration_changes": INDEPENDENT["config_changes"],
    "cis_security_group_changes": INDEPENDENT["security_group_changes"],
    "cis_nacl_changes": INDEPENDENT["nacl_changes"],
    "cis_network_gateway_changes": INDEPENDENT["gateway_changes"],
    "cis_route_table_changes": _from("ec2.amazonaws.com", cis.ROUTE),
    "cis_vpc_changes": INDEPENDENT["vpc_changes"],
    "cis_organizations_changes": INDEPENDENT["organization_changes"],
}
"""By the name of the rule, in the benchmark's order."""


def user_of(record: Record) -> str:
    """The label ``user``: the first name that the record has for its caller, else its type."""
    session = _inner(record, "userIdentity", "sessionContext")
    issuer = session.get("sessionIssuer") if isinstance(session, dict) else None
    names = (
        _inner(record, "userIdentity", "userName"),
        issuer.get("userName") if isinstance(issuer, dict) else None,
        _inner(record, "userIdentity", "invokedBy"),
        _inner(record, "userIdentity", "type"),
    )
    return next((str(name) for name in names if name is not None), "")
