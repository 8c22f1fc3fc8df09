"""Whose partitions a source has: the account of its credentials, and those it had before."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.aws.session import AwsAccount, account_changed_error, no_region_error
from exporter.model import Partition, SourceError

Failures = list[tuple[Partition, SourceError]]


def locate(account: AwsAccount, regions: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The account's id and the regions, by default the session's own; raises SourceError."""
    if not regions:
        home = account.default_region
        if not home:
            raise no_region_error()
        regions = (home,)
    return account.identify(regions), regions


def unidentified(name: str, regions: Sequence[str], error: SourceError) -> Failures:
    """The failures of a discovery that does not know its account: one a configured region."""
    return [(Partition(name, region=region), error) for region in regions or ("",)]


def out_of_reach(name: str, account: AwsAccount, regions: Sequence[str], now: str) -> Failures:
    """The failures of a discovery whose credentials were another account's before.

    The partitions of that account have not gone: nobody can look.
    """
    return [
        (Partition(name, former, region), account_changed_error(former, region, now))
        for former in account.former_accounts
        for region in regions
    ]
