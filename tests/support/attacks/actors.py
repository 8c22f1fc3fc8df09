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
    return _at_path(caller, "aws-reserved/sso.amazonaws.com/eu-west-1/")


def instance(name: str, instance_id: str, address: str) -> Caller:
    """The role of an instance, with the credentials of its metadata service."""
    caller = role(name, instance_id, address)
    context = {**caller.identity["sessionContext"], "ec2RoleDelivery": "2.0"}
    return replace(caller, identity={**caller.identity, "sessionContext": context})


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


def actor(name: str) -> Caller:
    """An actor of ``ACTORS``; or ``lambda.amazonaws.com``, or ``role by lambda``: for a role.

    Raises KeyError for any other name.
    """
    if name.endswith(".amazonaws.com"):
        return Callers.service(name)
    own, by, service = name.partition(" by ")
    if not by:
        return ACTORS[own]
    caller = ACTORS[own] if own in ACTORS else role(own, service.partition(".")[0])
    host = f"{service}.amazonaws.com"
    if own.startswith("AWSServiceRoleFor"):
        caller = _at_path(caller, f"aws-service-role/{host}/")
    return Caller({**caller.identity, "invokedBy": host}, host, host)


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


def _at_path(caller: Caller, path: str) -> Caller:
    """The session of a role with a path."""
    context = dict(caller.identity["sessionContext"])
    issuer = dict(context["sessionIssuer"])
    issuer["arn"] = issuer["arn"].replace(":role/", f":role/{path}")
    identity = {**caller.identity, "sessionContext": {**context, "sessionIssuer": issuer}}
    return replace(caller, identity=identity)


def _dated(caller: Caller) -> Caller:
    """The caller with a session that began at a fixed time, so that runs are alike."""
    context = dict(caller.identity["sessionContext"])
    context["attributes"] = {**context["attributes"], "creationDate": _SESSION_BEGAN}
    return replace(caller, identity={**caller.identity, "sessionContext": context})


_RUNNER: Final = "203.0.113.20"
_NAT: Final = "203.0.113.40"
_TERRAFORM: Final = "APN/1.0 HashiCorp/1.0 Terraform/1.12.1 aws-sdk-go-v2/1.36.3"

ACTORS: Final[Mapping[str, Caller]] = {
    # Attackers
    "stolen_key": user("ci-deploy", ELSEWHERE),
    "console_user": console_user("maya.okafor", ELSEWHERE),
    "console_user_without_mfa": console_user("maya.okafor", ELSEWHERE, mfa=False),
    "role": role("app-deploy", "deploy-42", ELSEWHERE),
    "person": person("tomas", address=ELSEWHERE),
    "root": _callers.root(ELSEWHERE),
    "instance": instance("web-instance", "i-0abcdef0123456789", "10.0.4.17"),
    "stolen_instance": instance("web-instance", "i-0abcdef0123456789", ELSEWHERE),
    "stolen_function": role("orders-function", "orders", ELSEWHERE),
    "anonymous": Caller(
        {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}, ELSEWHERE
    ),
    # Deployments
    "github-actions": web_identity(
        "token.actions.githubusercontent.com", "repo:example/shop:ref:refs/heads/main", _RUNNER
    ),
    "ci-deploy": role("ci-deploy", "GitHubActions", _RUNNER),
    "ci-terraform": role("ci-terraform", "GitHubActions", _RUNNER, agent=_TERRAFORM),
    "cdk-hnb659fds-deploy-role": role("cdk-hnb659fds-deploy-role", "aws-cdk-ci", _RUNNER),
    "codebuild-release": role("codebuild-release", "AWSCodeBuild-@HEX@", "10.0.12.7"),
    "codepipeline-release": role("codepipeline-release", "17642016", "codepipeline.amazonaws.com"),
    # Kubernetes
    "karpenter-controller": role("karpenter-controller", "1764201600000000000", _NAT),
    "external-dns": role("external-dns", "1764201600000000001", _NAT),
    "aws-load-balancer-controller": role("aws-load-balancer-controller", "17642016002", _NAT),
    "eks-node": instance("eks-node", "i-@HEX@", "10.0.3.14"),
    "eks-node-behind-nat": instance("eks-node", "i-0123456789abcde@NAME@", _NAT),
    "eks-node-behind-endpoint": instance("eks-node", "i-0123456789abcde@NAME@", "10.0.3.14"),
    "pod": web_identity(
        "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
        "system:serviceaccount:shop:web-@NAME@",
        _NAT,
    ),
    # Workloads and their care
    "shop-task": role("shop-task", "0123456789abcdef@NAME@", "10.0.7.1@NAME@"),
    "shop-execution": role("shop-execution", "0123456789abcdef@NAME@", "10.0.7.2"),
    "orders-function": role("orders-function", "orders", "10.0.9.3"),
    "web-instance": instance("web-instance", "i-0abcdef012345678@NAME@", "10.0.4.1@NAME@"),
    "backup-on-premises": user("backup-on-premises", "203.0.113.99"),
    "secret-rotation": role("secret-rotation", "rotate-@NAME@", "10.0.9.8"),
    "key-rotation": role("key-rotation", "monthly", "10.0.9.40"),
    "image-clean-up": role("image-clean-up", "clean-up", "10.0.9.9"),
    "finops-export": role("finops-export", "costs", "10.0.9.30"),
    "ssm-maintenance-window": role("ssm-maintenance-window", "SSM", "ssm.amazonaws.com"),
    "AWSDataLifecycleManagerDefaultRole": role(
        "AWSDataLifecycleManagerDefaultRole", "AWSDataLifecycleManager", "dlm.amazonaws.com"
    ),
    "datadog-integration": role("datadog-integration", "Datadog", "198.51.100.20"),
    "monitoring-account": foreign("198.51.100.20"),
    # People
    "developer": person("@EACH@", "Developer"),
    "oncall": console_user("oncall"),
    "break-glass": role("break-glass", "oncall"),
}
"""By name, who may act."""
