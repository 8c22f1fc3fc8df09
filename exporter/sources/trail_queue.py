"""CloudTrail's objects in S3, by an SQS queue of notifications."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from exporter.aws.objects import ObjectName
from exporter.aws.queues import Message
from exporter.model import SourceError
from exporter.patterns.compile import wildcard_test
from exporter.sources.base import Environment, Reading
from exporter.sources.contents import InTurn, Portion
from exporter.sources.notifications import UnknownNotificationError, read_notification
from exporter.sources.queue_source import QueueSource, WorkedOff, checkpoint
from exporter.sources.trail_objects import TrailObject

if TYPE_CHECKING:
    from exporter.sources.trail_bucket import TrailBucketConfig

_PASSING: Final = frozenset(
    {"stopping", "throttled", "unreachable", "no_credentials", "expired_credentials"}
)
"""Errors that are not the object's own: the message is worked off by a later poll."""
_MOST_TRIES: Final = 3
"""Polls that an object may stop with one of these, so that it does not stop the others forever."""
_MOST_NAMED: Final = 1000
_FOLDER: Final = re.compile("(?:^|/)AWSLogs/(?:.*/)?(CloudTrail(?:-[A-Za-z]+)?)/")
_READ_FOLDERS: Final = frozenset({"CloudTrail", "CloudTrail-NetworkActivity"})

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Plan:
    """The objects of a message."""

    message: Message
    wanted: list[TrailObject] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)
    """Objects that are not read because of what they are, by reason."""
    error: str = ""
    """Why it cannot be read."""


class TrailQueue(QueueSource):
    """The records of the objects that messages name.

    Who can write to the queue does not choose what is read: the configuration names the buckets
    and their owner; region, endpoint and credentials are the queue's and the environment's.
    """

    def __init__(
        self, config: TrailBucketConfig, environment: Environment, since: Mapping[str, int]
    ) -> None:
        super().__init__(config, environment, since)
        self._contents = environment.contents or InTurn(environment.accounts, environment.clock)
        self._is_wanted = [wildcard_test(pattern) for pattern in config.buckets]
        self._prefix = config.prefix
        self._owner = config.expected_bucket_owner
        self._role = config.assumed
        self._tries: Counter[str] = Counter()
        """By message id, polls that ended because of an error that may pass."""
        self._named: set[tuple[str, str]] = set()

    def work_off(self, messages: Sequence[Message]) -> Iterator[WorkedOff]:
        """The records of each object in a reading of their own, or in several."""
        plans = [self._plan(message) for message in messages]
        portions = self._contents.portions(
            self.partition,
            self.format,
            self.limits,
            (content for plan in plans for content in plan.wanted),
        )
        for plan in plans:
            message = plan.message
            if plan.error:
                is_new = self.unreadable(message, plan.error)
                yield WorkedOff(Reading((), checkpoint(), undecodable=is_new), left=[message])
                continue
            failures: list[str] = []
            for _ in plan.wanted:
                yield from self._read(message, portions, failures)
            if failures:
                self.unreadable(message, failures[0])
            done, left = ([], [message]) if failures else ([message], [])
            self._tries.pop(message.id, None)
            yield WorkedOff(Reading((), checkpoint()), done, left, plan.excluded)

    def _plan(self, message: Message) -> _Plan:
        """Which objects of a message are read."""
        try:
            notification = read_notification(message.body)
        except UnknownNotificationError as error:
            return _Plan(message, error=str(error))
        plan = _Plan(message)
        if notification.others:
            plan.excluded["event"] = notification.others
        for name in notification.objects:
            reason = self._excludes(name)
            if reason:
                plan.excluded[reason] += 1
                self._name_excluded(reason, name)
            else:
                region = self.partition.region
                plan.wanted.append(TrailObject(name, region, self._owner, self._role))
        return plan

    def _read(
        self, message: Message, portions: Iterator[Portion[TrailObject]], failures: list[str]
    ) -> Iterator[WorkedOff]:
        """The records of the next object; adds the error to ``failures`` if it cannot be read."""
        for portion in portions:
            error = portion.error
            if isinstance(error, SourceError):
                if error.reason in _PASSING and not self._is_stopper(message, error):
                    raise error
                failures.append(str(error))
            elif error is not None:
                failures.append(
                    f"{portion.content.name} is damaged: {error}; the records before that count"
                )
            if portion.size or portion.events:
                yield WorkedOff(Reading(portion.events, checkpoint(), size=portion.size))
            if portion.last:
                return

    def _is_stopper(self, message: Message, error: SourceError) -> bool:
        """Whether an error that may pass has stopped too many polls."""
        if error.reason != "unreachable":
            return False
        self._tries[message.id] += 1
        return self._tries[message.id] > _MOST_TRIES

    def _excludes(self, name: ObjectName) -> str:
        """Why an object is not read; empty if it is."""
        if not any(is_wanted(name.bucket) for is_wanted in self._is_wanted):
            return "bucket"
        if not name.key.startswith(self._prefix):
            return "prefix"
        folder = _FOLDER.search(name.key)
        if folder is None or folder[1] not in _READ_FOLDERS:
            return "folder"
        return ""

    def _name_excluded(self, reason: str, name: ObjectName) -> None:
        key = (reason, name.bucket)
        if key in self._named or len(self._named) >= _MOST_NAMED:
            return
        self._named.add(key)
        why = {
            "bucket": "the bucket is not one of the source's `buckets`",
            "prefix": "the key does not begin with the source's `prefix`",
            "folder": "the folder has no events, or it is not CloudTrail's",
        }
        _log.warning(
            "objects are excluded",
            source=self.name,
            bucket=name.bucket,
            example=name.key,
            why=why[reason],
        )
