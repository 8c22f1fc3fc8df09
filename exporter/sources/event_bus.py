"""EventBridge, by an SQS queue that a rule or a subscriber sends events to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from exporter.aws.queues import Message
from exporter.model import LogEvent
from exporter.sources.base import Environment, Reading
from exporter.sources.bus_messages import UnknownShapeError, bus_events
from exporter.sources.queue_source import QueueConfig, QueueSource, WorkedOff, checkpoint

_MOST_EVENTS = 5_000
"""Log events of a reading, unless a single message has more."""


class EventBusConfig(QueueConfig):
    """A source of the type ``event_bus``."""

    stand_ins: ClassVar = {"queue_url": "https://sqs.us-east-1.amazonaws.com/000000000000/queue"}

    type: Literal["event_bus"] = "event_bus"
    format: Literal["cloudtrail"] = "cloudtrail"

    def source(self, environment: Environment, since: Mapping[str, int]) -> EventBus:
        """See SourceConfig."""
        return EventBus(self, environment, since)


class EventBus(QueueSource):
    """The events of a bus."""

    def work_off(self, messages: Sequence[Message]) -> Iterator[WorkedOff]:
        """The events of several messages in each reading."""
        events: list[LogEvent] = []
        done: list[Message] = []
        left: list[Message] = []
        size = undecodable = 0
        for message in messages:
            if events and len(events) >= _MOST_EVENTS:
                yield _worked_off(events, done, left, size, undecodable)
                events, done, left, size, undecodable = [], [], [], 0, 0
            found, errors = _events_of(message)
            events += found
            size += len(message.body)
            if errors:
                undecodable += len(errors) if self.unreadable(message, str(errors[0])) else 0
                left.append(message)
            else:
                done.append(message)
        yield _worked_off(events, done, left, size, undecodable)


def _events_of(message: Message) -> tuple[list[LogEvent], list[UnknownShapeError]]:
    """The log events of a message, and an error for each part that is not an event."""
    events: list[LogEvent] = []
    errors: list[UnknownShapeError] = []
    for number, one in enumerate(bus_events(message.body)):
        if isinstance(one, UnknownShapeError):
            errors.append(one)
        else:
            # An event without an id of its own comes again with the same message.
            events.append(LogEvent(one.text, message.sent, one.id or f"{message.id}/{number}"))
    return events, errors


def _worked_off(
    events: Sequence[LogEvent],
    done: Sequence[Message],
    left: Sequence[Message],
    size: int,
    undecodable: int,
) -> WorkedOff:
    reading = Reading(events, checkpoint(), size=size, undecodable=undecodable)
    return WorkedOff(reading, done, left)
