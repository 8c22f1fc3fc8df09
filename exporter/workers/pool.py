"""The worker processes, lent to whoever has jobs for them."""

from __future__ import annotations

import multiprocessing
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Final

import structlog

from exporter.aws.client import ApiObserver
from exporter.aws.quotas import stopping_error
from exporter.clock import Clock
from exporter.model import SourceError
from exporter.rules import RuleSet
from exporter.workers.jobs import Job
from exporter.workers.process import Message, Setup, dumped, message_of, work

HANGS_AFTER: Final = 300.0
"""Seconds without a message after which a worker is replaced. A call of AWS and its retries take
up to four minutes."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process. It is used by one thread at a time."""

    process: ForkServerProcess
    connection: Connection
    rules: RuleSet | None = None
    """The rules that it has."""
    chunks: deque[RuleSet] = field(default_factory=deque)
    """The rules that evaluate each chunk of jobs that is not done, oldest first."""


class Workers:
    """Up to ``most`` worker processes, started when they are needed. Thread-safe."""

    def __init__(
        self,
        most: int,
        *,
        rules: Callable[[], RuleSet],
        observer: ApiObserver,
        clock: Clock,
        setup: Setup | None = None,
        hangs_after: float = HANGS_AFTER,
    ) -> None:
        """``rules``: returns those in force. ``observer``, ``clock``: hear of each request."""
        self.most = most
        self.hangs_after = hangs_after
        self._rules = rules
        self._observer = observer
        self._clock = clock
        self._setup = setup or Setup()
        self._dumped: tuple[RuleSet | None, bytes] = (None, b"")
        self._free: list[Worker] = []
        self._all: set[Worker] = set()
        self._starting = 0
        self._waiting = 0
        self._changed = threading.Condition()
        self.closed = False

    @property
    def are_wanted(self) -> bool:
        """Whether a thread waits for a worker."""
        return self._waiting > 0

    def borrow(self, *, wait: bool, start: bool = True) -> Worker | None:
        """Lend a worker; None if all are lent and the caller does not wait. Raises SourceError.

        ``start``: whether another process may be started.
        """
        with self._changed:
            if wait:
                self._waiting += 1
                self._changed.wait_for(lambda: self.closed or self._free or self._may_start)
                self._waiting -= 1
            if self.closed:
                raise stopping_error()
            if not wait and (self._waiting or not (self._free or (start and self._may_start))):
                return None
            if self._free:
                return self._free.pop()
            self._starting += 1
        worker = None
        try:
            worker = self._start()
        except (OSError, EOFError) as error:
            raise SourceError(
                f"A worker process cannot be started ({error}); raise the limit of memory or of "
                "processes, or lower `--workers`.",
                reason="worker_ended",
            ) from error
        finally:
            with self._changed:
                self._starting -= 1
                if worker is not None:
                    self._all.add(worker)
                self._changed.notify()
        return worker

    def give_back(self, worker: Worker) -> None:
        """Take back a worker that has no chunk."""
        with self._changed:
            self._free.append(worker)
            self._changed.notify()

    def discard(self, worker: Worker) -> None:
        """End a worker; another one is started when it is needed."""
        if worker.process.is_alive():
            worker.process.kill()
        worker.connection.close()
        worker.process.join()
        with self._changed:
            self._all.discard(worker)
            self._changed.notify()

    def close(self) -> None:
        """End all workers. Who waits for one gets a SourceError with reason ``stopping``."""
        with self._changed:
            self.closed = True
            for worker in self._all:
                worker.process.kill()
            self._changed.notify_all()

    def hand_over(self, worker: Worker, chunk: Sequence[Job]) -> None:
        """Send a worker jobs, and the rules in force. Raises OSError if it is gone."""
        rules = self._rules()
        worker.chunks.append(rules)
        if worker.rules is not rules:
            worker.connection.send_bytes(self._dumped_rules(rules))
            worker.rules = rules
        worker.connection.send_bytes(dumped(chunk))

    def receive(self, worker: Worker) -> Message:
        """The next message of a worker. Raises EOFError or OSError if it is gone."""
        message: Message = message_of(worker.connection.recv_bytes())
        for (service, operation, account_id, region, outcome), times in message.attempts.items():
            for _ in range(times):
                self._observer.api_request(
                    service=service,
                    operation=operation,
                    account_id=account_id,
                    region=region,
                    outcome=outcome,
                )
        for date, sent, accepted in message.dates:
            self._clock.learn(date, sent, accepted=accepted)
        return message

    @property
    def _may_start(self) -> bool:
        return len(self._all) + self._starting < self.most

    def _start(self) -> Worker:
        context = multiprocessing.get_context("forkserver")
        # Imported once: all workers share the memory of that.
        context.set_forkserver_preload([work.__module__])
        ours, theirs = context.Pipe()
        # A worker that takes no orders any more is found out when one cannot be sent.
        with socket.fromfd(ours.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as pipe:
            timeout = struct.pack("ll", max(1, round(self.hangs_after)), 0)
            pipe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        process = context.Process(target=work, args=(theirs, self._setup), name="worker")
        process.daemon = True
        with theirs:
            process.start()
        return Worker(process, ours)

    def _dumped_rules(self, rules: RuleSet) -> bytes:
        known, data = self._dumped
        if known is not rules:
            data = dumped(rules)
            self._dumped = rules, data
        return data
