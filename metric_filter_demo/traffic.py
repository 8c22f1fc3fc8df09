"""Feeds the embedded AWS with the activities in the demo's account."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import deque
from dataclasses import dataclass

from metric_filter_demo.activities import REGIONS, Account, Activity, Occurrence
from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from metric_filter_demo.drills import LOG_GROUPS as DRILL_GROUPS
from metric_filter_demo.drills import Drill, drills, endless
from metric_filter_demo.event_bus import EventBus
from metric_filter_demo.log_lines import LOG_GROUPS
from metric_filter_demo.trail import Trail

LOG_REGION = REGIONS[0]
"""The region of the log groups."""

# AWS takes about 2 to 15 minutes to show a management event. The demo's audience has no such
# patience: seconds, of the same kind of spread.
_RECORD_DELAY = (1.0, 6.0)
_LINE_DELAY = (0.1, 1.5)
# Now and then a log agent was offline for a while.
_LATE_SHARE, _LATE_DELAY = 0.01, (8.0, 20.0)
_DELIVERY_EVERY = 8.0
"""Seconds between two deliveries of the trail, on average; AWS: five minutes."""
_TRAIL_RETENTION = 900.0
_DRILL_EVERY = 1.5
"""Seconds: all of the packs' rules have had something to count within some minutes."""


@dataclass(frozen=True, slots=True)
class Headline:
    """Something a person should know of."""

    time: float
    """Seconds since the epoch."""
    text: str


class Traffic:
    """Makes events in a separate thread, from ``start`` to ``stop``; both can be repeated.

    ``seed``: the same seed makes the same events (except for times). By default they differ,
    which a ledger that outlives the demo needs: an id that was counted is never counted again.
    """

    def __init__(self, aws: EmbeddedAws, *, seed: int | None = None) -> None:
        self._aws = aws
        self._rng = random.Random(seed)  # noqa: S311 - made-up events, no secrets
        self._account = Account(self._rng, DEFAULT_ACCOUNT)
        self._bus = EventBus(aws, LOG_REGION, self._rng)
        self._trail = Trail(aws, LOG_REGION, self._rng, retention=_TRAIL_RETENTION)
        self._drills = drills()
        self._next_drill = endless(self._drills, self._rng)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.headlines: deque[Headline] = deque(maxlen=100)
        """Notable activities, newest last."""
        self.records = 0
        """CloudTrail records made."""
        self.lines = 0
        """Log lines made."""

    def start(self) -> None:
        """Create the log groups and begin; after a stop, begin again."""
        if self._thread is None:
            for group in dict.fromkeys((*LOG_GROUPS, *DRILL_GROUPS.values())):
                self._aws.log_group_create(LOG_REGION, group)
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; idempotent."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def put(self, occurrence: Occurrence) -> None:
        """Store the events of an occurrence, to be seen when it is delivered."""
        for record in occurrence.records:
            self._trail.put(record)
            if record.get("eventCategory") == "Data":
                continue
            delay = self._rng.uniform(*_RECORD_DELAY)
            self._aws.record(DEFAULT_ACCOUNT, record["awsRegion"], record, visible_in=delay)
            self._bus.put(record)
        self.records += len(occurrence.records)
        now = int(time.time() * 1000)
        late = self._rng.random() < _LATE_SHARE
        for line in occurrence.lines:
            self._aws.put_log_event(
                LOG_REGION,
                line.group,
                line.message,
                timestamp=now,
                stream=line.stream,
                visible_in=self._rng.uniform(*(_LATE_DELAY if late else _LINE_DELAY)),
            )
        self.lines += len(occurrence.lines)
        if occurrence.headline:
            self.headlines.append(Headline(time.time(), occurrence.headline))

    def put_every_drill(self) -> None:
        """Let everything happen at once that a pack's rule looks for."""
        for drill in self._drills:
            self.put(_occurrence(drill))

    def _run(self) -> None:
        began = time.monotonic()
        activities = [
            *self._account.activities(),
            Activity("drills", 0, _DRILL_EVERY, lambda: _occurrence(next(self._next_drill))),
            Activity("deliveries", _DELIVERY_EVERY, _DELIVERY_EVERY, self._deliver),
        ]
        due: list[tuple[float, int, Activity]] = [
            (began + activity.first, number, activity) for number, activity in enumerate(activities)
        ]
        heapq.heapify(due)
        while True:
            at, number, activity = due[0]
            if self._stopped.wait(max(0.0, at - time.monotonic())):
                return
            self.put(activity.act())
            # Random but never bunched: half of the mean at least.
            pause = activity.every * (0.5 + self._rng.expovariate(2.0))
            heapq.heapreplace(due, (at + pause, number, activity))

    def _deliver(self) -> Occurrence:
        self._trail.deliver()
        return Occurrence()


def _occurrence(drill: Drill) -> Occurrence:
    if drill.is_record:
        return Occurrence(records=drill.records(REGIONS, DEFAULT_ACCOUNT))
    return Occurrence(lines=drill.lines())
