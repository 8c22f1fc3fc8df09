"""The common part of sources that read an SQS queue."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import structlog
from pydantic import AfterValidator

from exporter.aws.iam_policy import Deployment, Grant
from exporter.aws.queue_policy import open_to
from exporter.aws.queues import LONGEST_WAIT, MOST_AT_ONCE, Message, Queue, QueueUrl
from exporter.aws.roles import Role
from exporter.model import EventFormat, Limits, Partition, PartitionKind, SourceError
from exporter.patterns import FilterPattern
from exporter.planning.forecast import Forecast, Rates, monthly
from exporter.planning.interest import Interest
from exporter.sources.account_options import RoleOptions
from exporter.sources.base import Discovery, Environment, QueueState, Reading, SourceConfig
from exporter.sources.inbox import Inbox
from exporter.sources.options import Distinct, Interval, Start, account_id
from exporter.sources.problems import sentence
from exporter.sources.queue_depth import QueueDepth
from exporter.yamlfile.problems import Problem
from exporter.yamlfile.validation import Fields

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts
    from exporter.aws.quotas import CallCost

QUEUE: Final = PartitionKind("queue", "Queue", by_event_time=False)

_TWO_WEEKS: Final = 14 * 86_400_000
"""Milliseconds. AWS: a queue keeps messages for 14 days at most."""
_CHECKPOINT: Final = "{}"
"""A queue keeps no position."""
_ONCE_WAIT: Final = 2
"""Seconds that ``run --once`` waits for a message: with any wait, AWS asks all of its servers."""
_WAITED: Final = 0.5
"""Seconds. If an empty receive was faster, the queue does not wait (an emulator)."""
_ACTIONS: Final = (
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
)
_MOST_NAMED: Final = 1000
"""Messages that are known to be unreadable, so each is counted and named once."""

_log = structlog.get_logger(__name__)


def _queue_url(url: str) -> str:
    QueueUrl.parse(url)
    return url


_QUIET_CALLS: Final = 4500
"""Requests a day, measured."""
_USD_PER_MILLION: Final = 0.40
"""AWS: the price of SQS requests, standard queues."""


class QueueConfig(SourceConfig, RoleOptions):
    """The configuration of a source that reads a queue, if need be by a role."""

    kind: ClassVar = QUEUE

    queue_url: Annotated[str, AfterValidator(_queue_url)]
    """Its region and account are those of the queue."""
    account_ids: (
        Annotated[tuple[Annotated[str, AfterValidator(account_id)], ...], Distinct] | None
    ) = None
    """Accounts whose events count; None for all."""
    start: Start | None = None
    """Seconds before the first run from which events count; None if all that is queued counts."""
    format: EventFormat = "cloudtrail"
    interval: Interval = 20.0
    """Between two polls. A poll waits for messages for most of that time."""

    def forecast(
        self,
        patterns: Sequence[FilterPattern],  # noqa: ARG002 - a queue cannot select
        rates: Rates,  # noqa: ARG002
    ) -> Forecast:
        """See SourceConfig; of a quiet queue."""
        why = (
            "A quiet queue is asked every 20 seconds. Ten messages take two requests more, and an"
            " object that a message names takes a GetObject."
        )
        usd = monthly(_QUIET_CALLS, _USD_PER_MILLION)
        return Forecast("queue", ("ReceiveMessage",), why, _QUIET_CALLS, usd_a_month=usd)

    @property
    def queue(self) -> QueueUrl:
        """The queue."""
        return QueueUrl.parse(self.queue_url)

    @property
    def aws_regions(self) -> Sequence[str]:
        """See SourceConfig."""
        return (self.queue.region or "",)

    @property
    def exclusive(self) -> str:
        """See SourceConfig. A message is received by one reader only."""
        return self.queue_url

    @property
    def parts(self) -> Sequence[str]:
        """See SourceConfig: the queue."""
        return (self.queue_url,)

    def limits(self, environment: Environment, since: Mapping[str, int]) -> Limits | None:
        """Which events count."""
        accounts = None if self.account_ids is None else frozenset(self.account_ids)
        first = None
        if self.start is not None:
            configured = since.get(self.queue_url, round(environment.clock.now() * 1000))
            first = configured - round(self.start * 1000)
        return None if accounts is None and first is None else Limits(accounts, first)

    def roles(self, deployment: Deployment) -> Sequence[Role | None]:  # noqa: ARG002
        """See SourceConfig."""
        return (self.assumed,)

    def permissions(self, deployment: Deployment) -> Iterator[Grant]:
        """See SourceConfig. A queue's key is in no configuration: docs/aws/queues.md."""
        queue = self.queue
        (region,) = deployment.regions(self.name, [queue.region] if queue.region else None)
        resource = deployment.arn("sqs", region, queue.name, queue.account_id)
        for action in _ACTIONS:
            sid = "ReadQueues" + action.removeprefix("sqs:")
            yield Grant(sid, action, region, resource)

    def problems_online(self, environment: Environment, fields: Fields) -> Iterator[Problem]:
        """See SourceConfig: whether the queue answers, who may write to it, and its redrive."""
        location, name = fields.value_of("queue_url"), self.queue.name
        try:
            accounts = environment.accounts.by_role(self.assumed)
            attributes = Queue(accounts, self.queue, region_of(self.queue, accounts)).attributes()
        except SourceError as error:
            yield Problem(sentence(error), location)
            return
        if not attributes.get("RedrivePolicy"):
            yield Problem(
                f"the queue {name} has no redrive policy: messages that cannot be read come again"
                " until they expire; give it a dead-letter queue",
                location,
                "warning",
            )
        try:
            writers = open_to(attributes.get("Policy") or "{}")
        except ValueError:
            writers = []
        for writer in writers:
            yield Problem(
                f"{writer} may write to the queue {name}: limit its policy with `aws:SourceArn`"
                " or `aws:SourceAccount`",
                location,
                "warning",
            )


@dataclass(frozen=True, slots=True)
class WorkedOff:
    """A reading, and what is done with messages once it is committed."""

    reading: Reading
    done: Sequence[Message] = ()
    """Deleted."""
    left: Sequence[Message] = ()
    """Left to the queue's redrive policy."""
    excluded: Mapping[str, int] = field(default_factory=dict)
    """Objects that were not read because of what they are, by reason."""


class QueueSource(ABC):
    """One queue, a partition.

    A message is deleted after the commit of all its events, never before. It may come again until
    then and, as AWS promises at-least-once delivery, after that; the memory of counted events makes
    it count once.
    """

    memory = _TWO_WEEKS
    place: Partition | None = None

    def __init__(
        self, config: QueueConfig, environment: Environment, since: Mapping[str, int]
    ) -> None:
        self.name = config.name
        self.format: EventFormat = config.format
        self.interval = config.interval
        self.discovery_interval = max(60.0, config.interval)
        self._url = config.queue
        self._accounts = environment.accounts.by_role(config.assumed)
        self._complete = environment.complete
        self.limits = config.limits(environment, since)
        self.partition = Partition(config.name)
        """The queue, once it is polled."""
        self._inbox: Inbox | None = None
        self._is_released = False
        self._depth: QueueDepth | None = None
        self._unreadable: OrderedDict[str, None] = OrderedDict()
        """Ids of messages that were named."""

    @abstractmethod
    def work_off(self, messages: Sequence[Message]) -> Iterator[WorkedOff]:
        """Read the events of messages. Each message has to be ``done`` or ``left`` once."""

    def discover(self) -> Discovery:
        """The queue, whether or not it can be read."""
        try:
            return Discovery([self._partition()])
        except SourceError as error:
            return Discovery((), [(Partition(self.name), error)])

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int | None:  # noqa: ARG002
        """None, because a queue is not read by time."""
        return None

    def counted_from(self, partition: Partition) -> int:  # noqa: ARG002
        """See Source: the ``start``, or now; older messages count too."""
        since = None if self.limits is None else self.limits.since
        return round(time.time() * 1000) if since is None else since

    def size(self, partition: Partition) -> int | None:  # noqa: ARG002
        """None, because AWS only estimates how much is queued."""
        return None

    def cost(self, partition: Partition) -> CallCost | None:  # noqa: ARG002
        """None, because SQS has no quota of requests."""
        return None

    def release(self, partition: Partition) -> None:  # noqa: ARG002
        """Give back what was received and not worked off, also by a poll that just begins."""
        self._is_released = True
        if self._inbox is not None:
            self._inbox.release()

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        own_starts: Mapping[str, int],  # noqa: ARG002 - everything that is queued counts
        interest: Interest | None = None,  # noqa: ARG002 - everything is read
        turn: float = math.inf,  # noqa: ARG002
    ) -> Iterator[Reading]:
        """Receive and work off messages for an interval, or until the queue is empty."""
        self.partition = partition
        if checkpoint is None:
            # The first reading only stores the position, as for other sources.
            yield Reading((), _CHECKPOINT, behind=True)
        # The first receive does not wait, so that the source is ready as soon as it can be read.
        is_first = self._inbox is None
        if self._inbox is None or self._depth is None:
            queue = Queue(self._accounts, self._url, partition.region)
            self._inbox, self._depth = Inbox(queue, self.name), QueueDepth(queue)
        inbox, depth = self._inbox, self._depth
        if self._is_released:
            inbox.release()
        # It ends a little early, so a poll takes no longer than the interval.
        end = time.monotonic() + self.interval - 1
        while True:
            wait = _ONCE_WAIT if self._complete else self._seconds_until(end) * (not is_first)
            began = time.monotonic()
            messages, malformed = inbox.receive(wait=wait)
            oldest = min((one.sent for one in messages if one.sent), default=None)
            depth.ask()
            if malformed:
                yield self._reading(QueueState(oldest, _outcomes(malformed=malformed)))
            if not messages:
                # After a wait, the next poll may follow at once.
                has_waited = time.monotonic() - began > _WAITED
                yield replace(
                    self._reading(QueueState(None, _outcomes()), behind=has_waited or is_first),
                    backlog=depth.backlog(None),
                )
                return
            is_first = False
            yield from self._work_off(inbox, depth, messages, oldest)
            if not self._complete and not self._seconds_until(end):
                return

    def _work_off(
        self, inbox: Inbox, depth: QueueDepth, messages: Sequence[Message], oldest: int | None
    ) -> Iterator[Reading]:
        done: list[Message] = []
        try:
            for one in self.work_off(messages):
                outcomes = _outcomes(done=len(one.done), unreadable=self._name_left(one.left))
                state = QueueState(oldest, outcomes, one.excluded)
                depth.deleted(len(one.done))
                yield replace(
                    one.reading,
                    limits=self.limits,
                    queue=state,
                    backlog=depth.backlog(oldest),
                    behind=True,
                )
                inbox.leave(one.left)
                done += one.done
                if len(done) >= MOST_AT_ONCE:
                    inbox.delete(done)
                    done = []
        except SourceError:
            with suppress(SourceError):  # they come again
                inbox.delete(done)
            raise
        inbox.delete(done)

    def is_new(self, message: Message) -> bool:
        """Whether a message was not left to the redrive policy before."""
        return message.id not in self._unreadable

    def unreadable(self, message: Message, why: str) -> bool:
        """Name a message that is left to the redrive policy, the first time that it comes.

        ``why``: without its content. Returns whether it is the first time.
        """
        is_new = self.is_new(message)
        if is_new:
            _log.warning(
                "a message of the queue cannot be read: it is left to the queue's redrive policy",
                source=self.name,
                queue=self._url.name,
                message_id=message.id,
                why=why,
            )
        return is_new

    def _name_left(self, messages: Sequence[Message]) -> int:
        """Count messages that were not left before."""
        new = [one for one in messages if self.is_new(one)]
        self._unreadable |= dict.fromkeys(one.id for one in new)
        while len(self._unreadable) > _MOST_NAMED:
            self._unreadable.popitem(last=False)
        return len(new)

    def _reading(self, queue: QueueState, *, behind: bool = True) -> Reading:
        return Reading((), _CHECKPOINT, queue=queue, behind=behind)

    def _partition(self) -> Partition:
        region = region_of(self._url, self._accounts)
        return Partition(self.name, self._url.account_id, region, self._url.name, QUEUE)

    def _seconds_until(self, end: float) -> int:
        return max(0, min(LONGEST_WAIT, int(end - time.monotonic())))


def region_of(queue: QueueUrl, accounts: AwsAccounts) -> str:
    """The region of a queue, by default the environment's; raises SourceError."""
    region = queue.region or accounts.default_region
    if region is None:
        raise SourceError(
            f"The region of queue {queue.name} is not known; set AWS_REGION.",
            reason="invalid_request",
        )
    return region


def checkpoint() -> str:
    """The checkpoint of every reading of a queue."""
    return _CHECKPOINT


def _outcomes(*, done: int = 0, unreadable: int = 0, malformed: int = 0) -> Mapping[str, int]:
    return {"read": done, "unreadable": unreadable + malformed}
