"""Where log events happened: the labels that all series of a place carry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from exporter.model import Delivered, Labels, LogEvent, Partition, Records
from exporter.rules.cloudtrail import is_account_id
from exporter.rules.labels import label_text

_MOST_KEPT = 4096
"""Pairs of account and region; a CloudTrail record can name any."""


class Place(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """An account and a region as a partition reads them."""

    labels: Labels
    """``account_id``, ``region``, the feed as ``source``, and the resource's label if series carry
    it."""

    @classmethod
    def of(cls, account_id: str, region: str, partition: Partition, feed: str = "") -> Place:
        """The place of an event that a partition reads. ``feed``: by default, its source's name."""
        source = feed or partition.source
        labels = ("account_id", account_id), ("region", region), ("source", source)
        if partition.kind.on_series:
            return cls((*labels, (partition.kind.label, partition.resource)))
        return cls(labels)


class Places:
    """The places of a partition, each made once."""

    __slots__ = ("_feed", "_known", "_partition")

    def __init__(self, partition: Partition, feed: str = "") -> None:
        self._partition = partition
        self._feed = feed
        self._known: dict[tuple[str, str], Place] = {}

    def of(self, account_id: str, region: str) -> Place:
        """The place of an event of an account and a region."""
        place = self._known.get((account_id, region))
        if place is None:
            if len(self._known) >= _MOST_KEPT:
                self._known = {}
            place = Place.of(account_id, region, self._partition, self._feed)
            self._known[account_id, region] = place
        return place


def by_log_group(
    events: Sequence[LogEvent], partition: Partition
) -> Iterable[tuple[Partition, Sequence[LogEvent]]]:
    """The log events of a reading by where they come from: a partition for each log group.

    Only Delivered ones come from a log group. Its region is that of the partition that was read.
    """
    if isinstance(events, Records) or Delivered not in set(map(type, events)):
        return [(partition, events)]
    found: dict[tuple[str, str] | None, list[LogEvent]] = {}
    for event in events:
        group = (event.account_id, event.log_group) if isinstance(event, Delivered) else None
        found.setdefault(group, []).append(event)
    return [(_origin(some[0], partition), some) for some in found.values()]


def _origin(event: LogEvent, partition: Partition) -> Partition:
    if not isinstance(event, Delivered):
        return partition
    return Partition(
        partition.source,
        event.account_id if is_account_id(event.account_id) else "",
        partition.region,
        label_text(event.log_group),
        event.kind,
    )
