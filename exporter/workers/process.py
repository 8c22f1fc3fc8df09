"""A worker process: it reads objects and partitions, and evaluates their log events."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any, Final

import structlog

from exporter.aws.accounts import AwsAccounts
from exporter.clock import Clock
from exporter.logs import LogFormat, LogLevel, configure_logging
from exporter.model import DamagedCheckpointError, LogEvent, SourceError
from exporter.rules import RuleSet
from exporter.workers.ahead import Window
from exporter.workers.jobs import Item, Job
from exporter.workers.judged import Judged, size_of

_MOST_MATCHED: Final = 5_000
"""Log events that rules match in a message, about."""
_MOST_ITEMS: Final = 256

_log = structlog.get_logger(__name__)

Outcome = tuple[int, Item | Exception | None]
"""The number of a job in its chunk, and its next item, or its error, or None at its end."""
Attempts = Counter[tuple[str, str, str, str, str]]
"""HTTP attempts by the arguments of ``ApiObserver.api_request``."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How a worker behaves like the main process."""

    log_level: LogLevel = "info"
    log_format: LogFormat = "logfmt"
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass(slots=True)
class Message:
    """The message of a worker about the oldest chunk of jobs that it has."""

    outcomes: list[Outcome] = field(default_factory=list)
    """In their order."""
    attempts: Attempts = field(default_factory=Counter)
    dates: list[tuple[str, float, bool]] = field(default_factory=list)
    """For ``Clock.learn``."""
    is_last: bool = False
    """Whether the chunk is done."""


class _Observed(Clock):
    """The worker's clock and observer of requests, which the main process hears of, too."""

    def __init__(self) -> None:
        super().__init__()
        self._noted = threading.Lock()
        self._attempts: Attempts = Counter()
        self._dates: dict[str, tuple[str, float, bool]] = {}

    def learn(self, date: str, sent: float, *, accepted: bool = True) -> None:
        """See Clock."""
        super().learn(date, sent, accepted=accepted)
        with self._noted:  # the last one of each second
            self._dates[date] = date, sent, accepted

    def api_request(
        self, *, service: str, operation: str, account_id: str, region: str, outcome: str
    ) -> None:
        """See ApiObserver."""
        with self._noted:
            self._attempts[service, operation, account_id, region, outcome] += 1

    def fill(self, message: Message) -> None:
        """Put everything that was noted into a message."""
        with self._noted:
            message.attempts, self._attempts = self._attempts, Counter()
            message.dates, self._dates = list(self._dates.values()), {}


@dataclass(frozen=True, slots=True)
class _Task:
    job: Job
    number: int
    is_last: bool
    """Whether it is the last of its chunk."""
    rules: RuleSet


def work(connection: Connection, setup: Setup) -> None:
    """Work until the connection ends, because the main process closed it or is gone."""
    gc.freeze()  # what the processes share is not touched
    # The terminal sends SIGINT to every process, but only the main one ends by it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(setup.environment)
    configure_logging(setup.log_level, setup.log_format)
    orders: SimpleQueue[bytes] = SimpleQueue()

    def receive() -> None:
        try:
            while True:
                orders.put(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)

    # Whatever is being worked on, this process ends with the main one.
    threading.Thread(target=receive, name="orders", daemon=True).start()
    _Worker(connection, orders).run()


class _Worker:
    def __init__(self, connection: Connection, orders: SimpleQueue[bytes]) -> None:
        self._connection = connection
        self._orders = orders
        self._observed = _Observed()
        accounts = AwsAccounts(observer=self._observed, clock=self._observed)
        self._window: Window[_Task] = Window(accounts)
        self._waiting: list[_Task] = []
        """Jobs that were received and are not being loaded, the next one last."""
        self._rules = RuleSet({})
        self._message = Message()
        self._matched = 0

    def run(self) -> None:
        while True:
            self._load_ahead()
            task, loaded = self._window.take()
            for item in self._items(task, loaded):
                self._say(task.number, item)
            if task.is_last:
                self._send(is_last=True)

    def _load_ahead(self) -> None:
        while self._window.has_room:
            while not self._waiting:
                try:
                    order = pickle.loads(self._orders.get(block=not self._window))  # noqa: S301
                except Empty:
                    return
                if isinstance(order, RuleSet):
                    self._rules = order
                    continue
                last = len(order) - 1
                self._waiting = [
                    _Task(job, number, number == last, self._rules)
                    for number, job in enumerate(order)
                ][::-1]
            task = self._waiting.pop()
            self._window.add(task, task.job.content)

    def _items(self, task: _Task, loaded: bytes | SourceError) -> Iterator[Item | Exception | None]:
        job = task.job
        try:
            for item in job.items(loaded, round(self._observed.now() * 1000)):
                # A document of records has no length before it is evaluated.
                is_empty = item.events == ()
                yield item if is_empty else replace(item, events=self._judged(task, item.events))
        except (SourceError, DamagedCheckpointError) as error:
            yield error
        except Exception as error:
            # Its message may contain a part of a log event.
            frames = "".join(traceback.format_tb(error.__traceback__))
            _log.debug("internal error", partition=str(job.partition), frames=frames)
            yield RuntimeError(type(error).__name__)
        else:
            yield None

    def _judged(self, task: _Task, events: Sequence[LogEvent]) -> Judged:
        job = task.job
        evaluation = task.rules.evaluate(events, job.partition, job.format, limits=job.limits)
        self._matched += len(evaluation.events)
        return Judged(evaluation, len(events), size_of(events))

    def _say(self, number: int, item: Item | Exception | None) -> None:
        self._message.outcomes.append((number, item))
        if self._matched >= _MOST_MATCHED or len(self._message.outcomes) >= _MOST_ITEMS:
            self._send(is_last=False)

    def _send(self, *, is_last: bool) -> None:
        message, self._message, self._matched = self._message, Message(), 0
        message.is_last = is_last
        self._observed.fill(message)
        try:
            self._connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
        except OSError:
            os._exit(0)  # the main process is gone


def dumped(order: RuleSet | Sequence[Job]) -> bytes:
    """An order for a worker: other rules, or a chunk of jobs."""
    return pickle.dumps(order, pickle.HIGHEST_PROTOCOL)


def message_of(data: bytes) -> Any:
    """The message in some bytes of a worker."""
    return pickle.loads(data)  # noqa: S301 - a process of ours
