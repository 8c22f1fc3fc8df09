"""Who calls AWS in scenarios and on the quiet day, and the records of their calls."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from metric_filter_demo.trail_records import GLOBAL_REGION, Caller, Callers, Records

ACCOUNT: Final = "111122223333"
"""The account in texts; the account of a template takes its place."""
OFFICE: Final = "192.0.2.10"
ELSEWHERE: Final = "198.51.100.77"
FOREIGN: Final = "444455556666"
REGION: Final = "eu-west-1"
GLOBAL_SERVICES: Final = frozenset({"iam", "organizations", "route53", "cloudfront", "account"})
BOTO: Final = "Boto3/1.38.23 md/Botocore#1.38.23 ua/2.1 os/linux#6.8.0 lang/python#3.12.3"

_SESSION_BEGAN: Final = "2026-01-01T08:00:00Z"
_RNG: Final = random.Random(0)
_callers = Callers(_RNG, ACCOUNT)
_records = Records(_RNG, ACCOUNT)


def user(name: str, address: str = OFFICE) -> Caller:
    """An IAM user with an access key of its own."""
    caller = _callers.user(name, address)
    identity = {k: v for k, v in caller.identity.items() if k != "sessionContext"}
    key = str(identity["accessKeyId"])
    return Caller({**identity, "accessKeyId": "AKIA" + key.removeprefix("ASIA")}, address, BOTO)


def console_user(name: str, address: str = OFFICE, *, mfa: bool = True) -> Caller:
    """An IAM user in a console session."""
    return _dated(_callers.user(name, address, mfa=mfa))


def role(name: str, session: str, address: str = OFFICE, *, agent: str = BOTO) -> Caller:
    """A session of a role."""
    return replace(_dated(_callers.role(name, session, address)), agent=agent)


def person(name: str, permissions: str = "Administrator", address: str = OFFICE) -> Caller:
    """A person who came through Identity Center."""
    set_name = f"AWSReservedSSO_{permissions}_0123456789abcdef"
    caller = role(set_name, f"{name}@example.com", address, agent=console_user(name).agent)
    path = "aws-reserved/sso.amazonaws.com/eu-west-1/"
    context = dict(caller.identity["sessionContext"])
    issuer = dict(context["sessionIssuer"])
    issuer["arn"] = issuer["arn"].replace(":role/", f":role/{path}")
    identity = {**caller.identity, "sessionContext": {**context, "sessionIssuer": issuer}}
    return replace(caller, identity=identity)


def instance(name: str, instance_id: str, address: str) -> Caller:
    """The role of an instance, with the credentials of its metadata service."""
    caller = role(name, instance_id, address)
    context = {**caller.identity["sessionContext"], "ec2RoleDelivery": "2.0"}
    return replace(caller, identity={**caller.identity, "sessionContext": context})


def service_role(name: str, service: str) -> Caller:
    """An AWS service that uses its service-linked role."""
    caller = role(name, service.partition(".")[0], service, agent=service)
    return replace(caller, identity={**caller.identity, "invokedBy": service})


def on_behalf(caller: Caller, service: str) -> Caller:
    """A service that makes calls with its caller's permissions, such as CloudFormation."""
    identity = {**caller.identity, "invokedBy": service}
    return Caller(identity, service, service)


def foreign(address: str = ELSEWHERE, account: str = FOREIGN) -> Caller:
    """A principal of another account, as the called account's trail shows it."""
    identity = {
        "type": "AWSAccount",
        "principalId": "AROAFOREIGNEXAMPLE00:session",
        "accountId": account,
    }
    return Caller(identity, address, BOTO)


def web_identity(provider: str, subject: str, address: str) -> Caller:
    """Someone with a token of an identity provider."""
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}"
    identity = {
        "type": "WebIdentityUser",
        "principalId": f"{arn}:sts.amazonaws.com:{subject}",
        "userName": subject,
        "identityProvider": arn,
    }
    return Caller(identity, address, BOTO)


service = Callers.service
root = _callers.root


def call(
    caller: Caller,
    action: str,
    *,
    region: str = "",
    extra: Mapping[str, Any] | None = None,
    **parts: Any,
) -> str:
    """A call as a template of its record.

    ``action``, ``parts``: see ``Records.call``. ``extra``: more fields. The region of global
    services is us-east-1.
    """
    named = action.partition(":")[0]
    where = region or (GLOBAL_REGION if named in GLOBAL_SERVICES else REGION)
    return template(_records.call(caller, action, where, **parts), extra)


def sign_in(caller: Caller, *, mfa: bool, failed: bool = False) -> str:
    """A sign-in to the console as a template of its record."""
    return template(_records.console_login(caller, GLOBAL_REGION, mfa=mfa, failed=failed), None)


def template(record: Mapping[str, Any], extra: Mapping[str, Any] | None) -> str:
    """A record as text with places for its time and ids."""
    placed = {**record, "eventTime": "@TIME@", "eventID": "@EVENT@", **(extra or {})}
    if "requestID" in placed:
        placed["requestID"] = "@REQUEST@"
    return json.dumps(placed)


def filled(
    text: str, at: float, rng: random.Random, account: str, values: Mapping[str, str]
) -> str:
    """A template as the record of an account at a time; ``values`` for its other places."""
    text = text.replace("@TIME@", iso(at)).replace(ACCOUNT, account)
    for place in ("@EVENT@", "@REQUEST@"):
        text = text.replace(place, str(uuid.UUID(int=rng.getrandbits(128), version=4)))
    for place, value in values.items():
        text = text.replace(place, value)
    return text


def iso(at: float) -> str:
    """A time as records have it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _dated(caller: Caller) -> Caller:
    """The caller with a session that began at a fixed time, so that runs are alike."""
    context = dict(caller.identity["sessionContext"])
    context["attributes"] = {**context["attributes"], "creationDate": _SESSION_BEGAN}
    return replace(caller, identity={**caller.identity, "sessionContext": context})
