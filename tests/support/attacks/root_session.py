"""One administrator's session in the console as root: a sign-in and some hundred calls."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from tests.support.attacks.actors import actor, call, filled, sign_in
from tests.support.attacks.played import Logged

_READS: Final = (
    "iam:GetAccountSummary",
    "iam:ListUsers",
    "iam:ListAccessKeys",
    "iam:ListMFADevices",
    "account:GetContactInformation",
    "billing:GetBillingPreferences",
    "ce:GetCostAndUsage",
    "ec2:DescribeRegions",
    "ec2:DescribeInstances",
    "s3:ListBuckets",
    "s3:GetBucketAcl",
    "cloudtrail:DescribeTrails",
    "cloudtrail:LookupEvents",
    "organizations:DescribeOrganization",
    "support:DescribeCases",
)
_ALL_BLOCKED: Final = {
    "BlockPublicAcls": True,
    "BlockPublicPolicy": True,
    "IgnorePublicAcls": True,
    "RestrictPublicBuckets": True,
}
_CHANGES: Final[Sequence[tuple[str, dict[str, Any]]]] = (
    ("account:PutAlternateContact", {"alternateContactType": "SECURITY"}),
    ("iam:UpdateAccountPasswordPolicy", {"minimumPasswordLength": 14}),
    ("iam:CreateUser", {"userName": "backup-admin"}),
    ("billing:UpdateBillingPreferences", {}),
    (
        "s3:PutAccountPublicAccessBlock",
        {"PublicAccessBlockConfiguration": _ALL_BLOCKED},
    ),
)


def root_session(account: str, start: float) -> list[Logged]:
    """Its events: a sign-in with MFA, 120 reads in several regions and five changes, in an hour."""
    caller = replace(actor("root"), address="192.0.2.10")
    calls = [sign_in(caller, mfa=True)]
    for number in range(120):
        region = ("us-east-1", "eu-west-1", "eu-central-1")[number % 3]
        calls.append(call(caller, _READS[number % len(_READS)], region=region, read_only=True))
    for number, (action, request) in enumerate(_CHANGES):
        calls.insert(20 * (number + 1), call(caller, action, request=request))
    rng = random.Random(0)
    times = [start + 28 * number for number in range(len(calls))]
    return [
        Logged(at, account, filled(text, at, rng, account, {}))
        for at, text in zip(times, calls, strict=True)
    ]
