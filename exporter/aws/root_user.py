"""The names by which LookupEvents shows the root user of an account.

AWS: in a record of the root user, ``userName`` is the account's alias, if there is one. Observed on
AWS: Username is ``root`` if the record has no ``userName``, and for other users it is their
``userName``. So one of the two, and a request for each returns all of root's events.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from exporter.aws.calls import Call
from exporter.aws.records import HistoryEvent
from exporter.model import SourceError

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

ROOT: Final = "root"
_CHANGES: Final = ("CreateAccountAlias", "DeleteAccountAlias")
_HOMES: Final = {"cn-": "cn-north-1", "us-gov-": "us-gov-west-1"}


def home_of(region: str) -> str:
    """The region whose event history has the events of IAM, in the AWS partition of a region."""
    return next((home for start, home in _HOMES.items() if region.startswith(start)), "us-east-1")


def root_names(accounts: AwsAccounts, account_id: str, region: str) -> frozenset[str]:
    """``root``, and every alias that the account had in the last 90 days; raises SourceError.

    An account has one alias at most. Those before are in the events that changed it.
    """
    asked = Call("iam", "ListAccountAliases", account_id, region)
    aliases = accounts.answer(asked, {}).get("AccountAliases") or ()
    names = {ROOT, *(str(alias) for alias in aliases)}
    history = Call("cloudtrail", "LookupEvents", account_id, home_of(region))
    for name in _CHANGES:
        selected = {"AttributeKey": "EventName", "AttributeValue": name}
        for page in accounts.pages(history, {"LookupAttributes": [selected]}):
            names.update(alias for record in page for alias in _alias_in(record, history))
    return frozenset(names)


def _alias_in(record: Any, call: Call) -> Iterator[str]:
    """The alias that an event has set or deleted; none if AWS has refused the change."""
    message = record.message if isinstance(record, HistoryEvent) else record["CloudTrailEvent"]
    try:
        event = json.loads(message)
        if not event.get("errorCode"):
            yield str(event["requestParameters"]["accountAlias"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SourceError(f"{call} returned an event without its alias.", reason="error") from error


@dataclass(frozen=True, slots=True)
class _Known:
    asked: float
    """When it was requested last, seconds of any clock."""
    answered: float = -float("inf")
    names: frozenset[str] = frozenset()
    error: str = ""


class RootNames:
    """The names of root by account, requested again from time to time. Thread-safe."""

    def __init__(self, within: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``within``: seconds after which an answer is too old, requested again after half."""
        self._within = within
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def of(self, account_id: str, ask: Callable[[], frozenset[str]]) -> tuple[frozenset[str], str]:
        """All names that were found up to now, empty if they are not known, and why not.

        ``ask``: see ``root_names``. Other threads do not wait for it.
        """
        now = self._clock()
        known = self._known.get(account_id, _Known(-float("inf")))
        if now - known.asked >= self._within / 2:
            self._known[account_id] = _Known(now, known.answered, known.names, known.error)
            try:
                known = _Known(now, now, known.names | ask())
            except SourceError as failed:
                known = _Known(now, names=known.names, error=str(failed))
            self._known[account_id] = known
        if now - known.answered >= self._within:
            return frozenset(), known.error
        return known.names, ""
