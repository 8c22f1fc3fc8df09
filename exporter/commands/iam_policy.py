"""``iam-policy``: the permissions that the exporter needs in AWS."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from exporter.aws import iam_policy as iam
from exporter.commands.options import USAGE_ERROR, ConfigFile, fail, settings_from
from exporter.configuration import ConfigurationError, SourceConfig, load
from exporter.sources.permissions import grants_of_roles, own_grants

_EXTERNAL_ID: Final = "THE-EXTERNAL-ID"
"""Instead of an external id."""


def iam_policy(
    *,
    config_file: ConfigFile = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            metavar="ID",
            help="The account that the log groups are in. [default: any, which for a role is its"
            " own]",
        ),
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option(
            "--partition",
            metavar="NAME",
            help="aws, aws-cn, aws-us-gov … [default: that of the regions]",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            metavar="REGION",
            help="The region of the exporter, for sources without `regions`. [default: AWS_REGION,"
            " AWS_DEFAULT_REGION]",
        ),
    ] = None,
    roles: Annotated[
        bool, typer.Option("--roles", help="Print the roles instead that the exporter assumes.")
    ] = False,
    principal: Annotated[
        str | None,
        typer.Option(
            "--principal",
            metavar="ARN",
            help="For --roles: the exporter's identity. [default: all of --account]",
        ),
    ] = None,
    organization: Annotated[
        str | None,
        typer.Option(
            "--organization",
            metavar="ID",
            help="For --roles: require that the exporter's identity is in this organization.",
        ),
    ] = None,
) -> None:
    """Print the smallest IAM policy, as JSON, for a configuration; asks nothing of AWS.

    With --roles: the trust policy and the policy of each role that the sources name.
    """
    if account is not None and not re.fullmatch("[0-9]{12}", account):
        fail(f"--account: {account!r} is no account id: 12 digits", USAGE_ERROR)
    if partition is not None and not re.fullmatch("aws(-[a-z]+)*", partition):
        fail(f"--partition: {partition!r} is no partition such as aws or aws-cn", USAGE_ERROR)
    home = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    try:
        configuration = load(settings_from({"config_file": config_file}).config_file)
        where = iam.Deployment(account or "*", partition, home or None)
        if roles:
            trusted = principal or _everyone_in(account, where)
            document = _roles(configuration.sources, where, trusted, organization or "")
            policies = [one["Policy"] for one in document.values()]
        else:
            policy = iam.iam_policy(own_grants(configuration.sources, where))
            document, policies = policy, [policy]
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error
    except iam.IamPolicyError as error:
        fail(str(error), 1)
    most = iam.LONGEST_MANAGED_POLICY
    length = max(len("".join(json.dumps(policy).split())) for policy in policies)
    if length > most:
        print(
            f"warning: the policy has {length} characters, AWS takes {most}:"
            " name the log groups by fewer patterns, or attach the statements as several policies",
            file=sys.stderr,
        )
    print(json.dumps(document, indent=2))


def _everyone_in(account: str | None, where: iam.Deployment) -> str:
    if account is None:
        fail("--roles needs --principal or --account: who assumes the roles", USAGE_ERROR)
    return where.global_arn("iam", iam.EVERY_REGION, "root", account)


def _roles(
    sources: Sequence[SourceConfig], where: iam.Deployment, principal: str, organization: str
) -> dict[str, Any]:
    """The policies of each role by its ARN; raises IamPolicyError if there is no role."""
    grants = grants_of_roles(sources, where)
    if not grants:
        raise iam.IamPolicyError("no source names a role: see `accounts` and `organization`")
    return {
        role.arn: {
            "AssumeRolePolicyDocument": iam.trust_policy(
                principal,
                # Output is kept in logs and repositories, where it must not be.
                external_id=_EXTERNAL_ID if role.external_id else "",
                organization=organization,
            ),
            "Policy": iam.iam_policy(of_role),
        }
        for role, of_role in grants.items()
    }
