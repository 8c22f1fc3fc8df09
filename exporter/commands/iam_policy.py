"""``iam-policy``: the permissions that the exporter needs in AWS."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Annotated

import typer

from exporter.aws import iam_policy as iam
from exporter.commands.options import USAGE_ERROR, ConfigFile, fail, settings_from
from exporter.configuration import ConfigurationError, load


def iam_policy(
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
) -> None:
    """Print the smallest IAM policy, as JSON, for a configuration; asks nothing of AWS."""
    if account is not None and not re.fullmatch("[0-9]{12}", account):
        fail(f"--account: {account!r} is no account id: 12 digits", USAGE_ERROR)
    if partition is not None and not re.fullmatch("aws(-[a-z]+)*", partition):
        fail(f"--partition: {partition!r} is no partition such as aws or aws-cn", USAGE_ERROR)
    home = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    try:
        configuration = load(settings_from({"config_file": config_file}).config_file)
        where = iam.Deployment(account or "*", partition, home or None)
        policy = iam.iam_policy(
            grant for source in configuration.sources for grant in source.permissions(where)
        )
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error
    except iam.IamPolicyError as error:
        fail(str(error), 1)
    text = json.dumps(policy, indent=2)
    length, most = len("".join(text.split())), iam.LONGEST_MANAGED_POLICY
    if length > most:
        print(
            f"warning: the policy has {length} characters, AWS takes {most}:"
            " name the log groups by fewer patterns, or attach the statements as several policies",
            file=sys.stderr,
        )
    print(text)
