"""Request quotas that the scheduled reads do not fit into, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from exporter.aws.bucket import QuotaState

_log = structlog.get_logger(__name__)

_FITS: Final = 0.9
"""Share of a quota below which it is no longer short."""
_REMEDIES: Final = {
    "LookupEvents": "Read a trail in S3 or an event bus instead, use fewer rules that need"
    " read-only events, or raise `interval`.",
    "FilterLogEvents": "Raise `interval`, name fewer log groups, or read some by a separate source"
    " with a longer `interval`.",
}
_BUDGET: Final = " A larger `budget` leaves less to other tools."


class Budgets:
    """Notices quotas that are short, and logs it once; for one thread."""

    def __init__(self, quotas: Callable[[], Sequence[QuotaState]]) -> None:
        self._quotas = quotas
        self._short: set[tuple[str, str, str]] = set()

    def look(self) -> None:
        """Log the quotas that became short, or fit again."""
        for state in self._quotas():
            name = (state.account_id, state.region, state.operation)
            place = {"operation": state.operation, "account_id": name[0], "region": name[1]}
            if state.needed > 1 and name not in self._short:
                self._short.add(name)
                _log.warning("request quota is short", **place, why=shortage(state))
            elif state.needed < _FITS and name in self._short:
                self._short.remove(name)
                _log.warning("request quota is sufficient again", **place)

    def notices(self, source: str) -> list[str]:
        """A sentence for each quota of a source that is short."""
        return [shortage(one) for one in self._quotas() if source in one.sources and one.needed > 1]


def shortage(state: QuotaState) -> str:
    """What a quota that is short means, and what to do."""
    part = " that `budget` allows" if state.has_budget else ""
    effect = "Some re-reads are left out: late events are counted later, and nothing is lost."
    if state.fewest > 1:
        effect = (
            f"Even the fewest reads need {state.fewest:.0%}: all partitions are read later, by"
            " about the same if none needs a large part of the quota, and nothing is lost."
        )
    return (
        f"{state.operation} in account {state.account_id}, region {state.region}: the scheduled"
        f" reads need {state.needed:.0%} of the {state.limit:g} requests a second{part}. {effect}"
        f" {_REMEDIES.get(state.operation, 'Raise `interval`.')}"
        f"{_BUDGET if state.has_budget else ''}"
    )
