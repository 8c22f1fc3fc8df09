"""The IAM permissions of a configuration: those of the exporter's identity, and of each role."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from exporter.aws.iam_policy import EVERY_REGION, Deployment, Grant
from exporter.aws.roles import Role
from exporter.sources.base import SourceConfig


def own_grants(sources: Iterable[SourceConfig], deployment: Deployment) -> Iterator[Grant]:
    """The permissions of the environment's credentials; raises IamPolicyError."""
    for source in sources:
        yield from source.permissions_to_find_accounts(deployment)
        for role in source.roles(deployment):
            if role is None:
                yield from source.permissions(deployment)
            else:
                yield Grant("AssumeRoles", "sts:AssumeRole", EVERY_REGION, role.arn)


def grants_of_roles(
    sources: Iterable[SourceConfig], deployment: Deployment
) -> dict[Role, list[Grant]]:
    """The permissions of each role; raises IamPolicyError.

    The account of an organization's role is ``*``.
    """
    found: dict[Role, list[Grant]] = {}
    for source in sources:
        for role in source.roles(deployment):
            if role is not None:
                there = replace(deployment, account_id=role.account_id)
                found.setdefault(role, []).extend(source.permissions(there))
    return found
