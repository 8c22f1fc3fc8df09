"""CloudTrail's objects in S3, by an SQS queue of notifications."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from exporter.aws.objects import ObjectName, is_bucket
from exporter.aws.queues import Message
from exporter.model import SourceError
from exporter.patterns.compile import wildcard_test
from exporter.sources.base import Environment, Reading
from exporter.sources.contents import Gathered, InTurn, Portion
from exporter.sources.notifications import UnknownNotificationError, read_notification
from exporter.sources.queue_source import QueueSource, WorkedOff, checkpoint
from exporter.sources.trail_folders import folder_of, is_read
from exporter.sources.trail_objects import TrailObject, Tries

if TYPE_CHECKING:
    from exporter.sources.trail_bucket import TrailBucketConfig

_MOST_NAMED: Final = 1000

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Plan:
    """The objects of a message."""

    message: Message
    wanted: list[TrailObject] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)
    """Objects that are not read because of what they are, by reason."""
    failures: list[str] = field(default_factory=list)
    """Why it cannot be read, or objects of it."""
    is_undecodable: bool = False
    """Whether it is no notification, or an object of it is damaged."""


@dataclass(slots=True)
class _Together:
    """The objects and messages of the next reading."""

    gathered: Gathered = field(default_factory=Gathered)
    undecodable: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    """By outcome."""
    done: list[Message] = field(default_factory=list)
    left: list[Message] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)

    def end(self, plan: _Plan) -> None:
        """All records of a message are in this reading, or in one before it."""
        (self.left if plan.failures else self.done).append(plan.message)
        self.excluded += plan.excluded

    def worked_off(self) -> WorkedOff:
        """The reading with its messages; another one begins."""
        events, size = self.gathered.take()
        reading = Reading(
            events, checkpoint(), size=size, undecodable=self.undecodable, objects=self.objects
        )
        worked_off = WorkedOff(reading, self.done, self.left, self.excluded)
        self.undecodable, self.done, self.left = 0, [], []
        self.objects, self.excluded = Counter(), Counter()
        return worked_off


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
        self._folders = config.folders
        self._owner = config.expected_bucket_owner
        self._role = config.assumed
        self._tries = Tries()
        """By message id."""
        self._named: set[tuple[str, str, str | None]] = set()

    def work_off(self, messages: Sequence[Message]) -> Iterator[WorkedOff]:
        """The records of the objects, those of many small ones in one reading."""
        plans = [self._plan(message) for message in messages]
        portions = self._contents.portions(
            self.partition,
            self.format,
            self.limits,
            (content for plan in plans for content in plan.wanted),
        )
        together = _Together()
        failure: Exception | None = None
        with closing(portions):
            for plan in plans:
                try:
                    for _ in plan.wanted:
                        yield from self._read(plan, portions, together)
                except Exception as error:
                    failure = error
                    if isinstance(error, SourceError) or self._tries.may_pass(
                        plan.message.id, error
                    ):
                        break
                    plan.failures.append(f"internal error ({type(error).__name__})")
                if plan.failures:
                    is_new = self.unreadable(plan.message, plan.failures[0])
                    together.undecodable += is_new and plan.is_undecodable
                together.end(plan)
                self._tries.forget(plan.message.id)
                if failure is not None:
                    break  # nothing more comes from ``portions``
        yield together.worked_off()
        if failure is not None:
            raise failure

    def _plan(self, message: Message) -> _Plan:
        """Which objects of a message are read."""
        try:
            notification = read_notification(message.body)
        except UnknownNotificationError as error:
            return _Plan(message, failures=[str(error)], is_undecodable=True)
        plan = _Plan(message)
        if notification.others:
            plan.excluded["event"] = notification.others
        for name in dict.fromkeys(notification.objects):
            reason = self._excludes(name)
            if reason:
                plan.excluded[reason] += 1
                self._name_excluded(reason, name)
            else:
                plan.wanted.append(self._object(name))
        return plan

    def _object(self, name: ObjectName) -> TrailObject:
        return TrailObject(name, self.partition.region, self._owner, self.format, self._role)

    def _read(
        self, plan: _Plan, portions: Iterator[Portion[TrailObject]], together: _Together
    ) -> Iterator[WorkedOff]:
        """The records of the next object of a message. Raises an error that may pass."""
        for portion in portions:
            error = portion.error
            if isinstance(error, SourceError):
                if self._tries.may_pass(plan.message.id, error):
                    raise error
                plan.failures.append(str(error))
            elif error is not None:
                plan.is_undecodable = True
                plan.failures.append(
                    f"{portion.content.name} is damaged: {error}; the records before that count"
                )
            together.gathered.add(portion)
            if portion.last:
                failed = "failed" if self.is_new(plan.message) else "failed_again"
                together.objects[failed if error else "read"] += 1
            if together.gathered.is_full:
                yield together.worked_off()
            if portion.last:
                return

    def _excludes(self, name: ObjectName) -> str:
        """Why an object is not read; empty if it is."""
        if not (is_bucket(name.bucket) and any(fits(name.bucket) for fits in self._is_wanted)):
            return "bucket"
        if not name.key.startswith(self._prefix):
            return "prefix"
        if not is_read(folder_of(name.key), self._folders, self.format):
            return "folder"
        return ""

    def _name_excluded(self, reason: str, name: ObjectName) -> None:
        folder = folder_of(name.key) if reason == "folder" else None
        key = (reason, name.bucket, folder)
        if key in self._named or len(self._named) >= _MOST_NAMED:
            return
        self._named.add(key)
        why = {
            "bucket": "the bucket is not one of the source's `buckets`",
            "prefix": "the key does not begin with the source's `prefix`",
            "folder": f"the folder {folder} is not one of the source's `folders`"
            if folder
            else "it is not in a folder of CloudTrail: `format` says how other objects are read",
        }
        _log.warning(
            "objects are excluded",
            source=self.name,
            bucket=name.bucket,
            example=name.key,
            why=why[reason],
        )
