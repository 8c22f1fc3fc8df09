"""Random events, and what the exporter has to make of them."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from tests.support.chaos.configuration import GROUPS, LOG_REGION, MOST_DELAY, REGIONS
from tests.support.records import trail_record

Counts = Counter[tuple[str, str, str]]
"""Totals by metric, account and the value of the rule's own label."""

HUGE = ("1e300", "9007199254740994", "-1", "NaN")
"""Values that add nothing: above 2^53, negative, no number."""
_LONG_AGO = "2019-06-01T00:00:00Z"


class Traffic(threading.Thread):
    """Makes events with random delays until it is stopped, and keeps count of them.

    ``lookalikes``: also log lines that resemble CloudTrail records, copies of records, and values
    that cannot be added.
    """

    def __init__(
        self,
        aws: EmbeddedAws,
        seed: int,
        *,
        accounts: Sequence[str] = (DEFAULT_ACCOUNT,),
        lookalikes: bool = False,
    ) -> None:
        super().__init__(daemon=True)
        self._aws = aws
        self._random = random.Random(seed)
        self._accounts = accounts
        self._makers = [self._call, self._log]
        if lookalikes:
            self._makers = [*self._makers * 3, self._huge, self._audit, self._copies]
        self._audit_ids = [self._uuid() for _ in range(3)]
        self.stopped = threading.Event()
        self.expected: Counts = Counter()
        self.made = 0

    def run(self) -> None:
        while not self.stopped.wait(0.03):
            self._random.choice(self._makers)(self._random.choice(self._accounts))
            self.made += 1

    def stop(self) -> Counts:
        """Make no more; return what has to be counted."""
        self.stopped.set()
        self.join()
        return +self.expected

    def _call(self, account: str) -> None:
        region = self._random.choice(REGIONS)
        name = self._random.choice(["ConsoleLogin", "DescribeInstances", "AssumeRole"])
        record = self._record(account, region, name)
        self._aws.record(account, region, record, visible_in=self._delay())
        self.expected["calls_total", account, ""] += 1
        if name == "ConsoleLogin":
            self.expected["logins_total", account, record["userIdentity"]["userName"]] += 1

    def _log(self, account: str) -> None:
        level = self._random.choice(["INFO", "ERROR"])
        path, size = self._path(), self._random.randrange(1000)
        self._put(account, self._random.choice(GROUPS), f"{level} {path} {size}")
        self.expected["sent_bytes_total", account, path] += size
        if level == "ERROR":
            self.expected["errors_total", account, ""] += 1

    def _huge(self, account: str) -> None:
        """A line whose value adds nothing, and must not keep later ones from adding."""
        size = self._random.choice(HUGE)
        self._put(account, self._random.choice(GROUPS), f"INFO {self._path()} {size}")

    def _audit(self, account: str) -> None:
        """An application's own event: CloudTrail's keys, ids that repeat, an old time."""
        line = {
            "audit": "order",
            "eventID": self._random.choice(self._audit_ids),
            "eventVersion": self._random.choice(["2", "1.1"]),
            "eventTime": _LONG_AGO,
            "awsRegion": "mars-1",
        }
        self._put(account, self._random.choice(GROUPS), _json(line))
        self.expected["audits_total", account, ""] += 1

    def _copies(self, account: str) -> None:
        """A CloudTrail record in every log group, at times twice: it counts once in each."""
        record = self._record(account, LOG_REGION, "ConsoleLogin")
        for group in GROUPS:
            for _ in range(self._random.choice([1, 1, 2])):
                self._put(account, group, _json(record))
            self.expected["logged_logins_total", account, record["userIdentity"]["userName"]] += 1

    def _record(self, account: str, region: str, name: str) -> dict[str, Any]:
        user = f"user-{self._random.randrange(6)}"
        return trail_record(
            name,
            region=region,
            userIdentity={"type": "IAMUser", "userName": user},
            recipientAccountId=account,
            eventID=self._uuid(),
        )

    def _put(self, account: str, group: str, line: str) -> None:
        delay = self._delay()
        self._aws.put_log_event(LOG_REGION, group, line, visible_in=delay, account=account)

    def _delay(self) -> float:
        return self._random.choice([0.0, 0.0, self._random.uniform(0, MOST_DELAY)])

    def _path(self) -> str:
        return f"/p{self._random.randrange(4)}"

    def _uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
