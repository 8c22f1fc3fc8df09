"""Jobs for workers, and their outcome in the order of the jobs."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import Final, TypeAlias

import structlog

from exporter.aws.quotas import stopping_error
from exporter.model import SourceError
from exporter.workers.jobs import Item, Job
from exporter.workers.judged import Judged
from exporter.workers.pool import Worker, Workers
from exporter.workers.process import Message

_MOST_TRIES: Final = 2
_CHUNKS: Final = 2
"""Chunks that a worker has at most, so that it never waits for the next one."""
_CHUNK_JOBS: Final = 16
"""Jobs of a chunk, if not told otherwise."""
_CHUNK_BYTES: Final = 1024 * 1024
"""Bytes of the jobs of a chunk, about."""
_LIKELY_BYTES: Final = 256 * 1024
"""Bytes of a job, before one is done."""
_MOST_AHEAD: Final = 4 * _CHUNKS
"""Chunks for each worker that are begun and not asked for."""
_MOST_MATCHED: Final = 50_000
"""Log events that rules match and that are not asked for: then only the oldest job is received."""

_log = structlog.get_logger(__name__)


Outcome: TypeAlias = tuple[Job, Item | Exception | None]
"""The next item of a job, or its error, or None at its end. The job is the part of it that is left
before the item."""


@dataclass(slots=True, eq=False)
class _Task:
    """A job that was begun."""

    job: Job
    """The part of it that is left before ``last``."""
    last: Item | None = None
    """The last item that has come."""
    outcomes: deque[Outcome] = field(default_factory=deque)
    tries: int = 0
    worker: Worker | None = None
    """The worker that has it."""
    is_done: bool = False
    """Whether its last item has come."""

    def add(self, item: Item) -> None:
        """An item has come."""
        self.advance()
        self.outcomes.append((self.job, item))
        self.last = item

    def advance(self) -> None:
        """Leave out the last item: what comes next follows it."""
        if self.last is not None:
            self.job, self.last = self.job.after(self.last), None

    def end(self, error: Exception | None) -> None:
        """Its end has come."""
        self.is_done, self.worker = True, None
        self.outcomes.append((self.job, error))


class Dispatch:
    """Jobs that workers do. For one thread."""

    def __init__(
        self, workers: Workers, jobs: Iterable[Job], *, in_chunk: int = _CHUNK_JOBS
    ) -> None:
        """``jobs`` is asked for jobs long before their outcome is asked for.

        ``in_chunk``: the most jobs of a chunk. A message costs less for each of many, and a few
        jobs are better divided between workers in small ones.
        """
        self._workers = workers
        self._in_chunk = in_chunk
        self._jobs = iter(jobs)
        self._tasks: dict[Worker, deque[Sequence[_Task]]] = {}
        """The tasks of each chunk of the workers that are lent."""
        self._order: deque[_Task] = deque()
        self._again: deque[_Task] = deque()
        """Those whose worker ended."""
        self._next: Sequence[_Task] = ()
        """Those of the next chunk, while all workers are busy."""
        self._matched = 0
        self._size = _LIKELY_BYTES

    def outcomes(self) -> Generator[Outcome, None, None]:
        """The items and the end of each job, in the order of the jobs. Raises SourceError."""
        try:
            self._hand_out()
            while self._order:
                task = self._order[0]
                while task.outcomes:
                    outcome = task.outcomes.popleft()
                    self._matched -= _matched(outcome[1])
                    yield outcome
                if task.is_done:
                    self._order.popleft()
                else:
                    self._receive(task)
                    self._hand_out()
                if not self._order:
                    self._hand_out()
        finally:
            # Their outcome is not asked for any more.
            for worker in self._tasks:
                self._workers.discard(worker)

    def _hand_out(self) -> None:
        """Hand jobs to workers, as many as they may have."""
        while tasks := self._next or self._chunk():
            self._next = tasks
            worker = self._least_busy(is_alone=tasks[0].tries > 0)
            if worker is None:
                return
            self._next = ()
            self._tasks.setdefault(worker, deque()).append(tasks)
            for task in tasks:
                task.worker = worker
            try:
                self._workers.hand_over(worker, [task.job for task in tasks])
            except OSError:
                self._failed(worker, "it takes no orders")

    def _chunk(self) -> Sequence[_Task]:
        """The next jobs for a worker: those that were begun, if any."""
        if self._again:
            return [self._again.popleft()]
        if len(self._order) >= _MOST_AHEAD * self._in_chunk * self._workers.most:
            return ()
        count = max(1, min(self._in_chunk, _CHUNK_BYTES // max(1, self._size)))
        tasks = [_Task(job) for job in islice(self._jobs, count)]
        self._order += tasks
        return tasks

    def _least_busy(self, *, is_alone: bool) -> Worker | None:
        """A worker that may have another chunk, one that has none if possible.

        Another process is started if all others have enough to do. A job that is tried again is
        alone with its worker, so that no other job is taken for the cause if that ends, too.
        """
        if not self._tasks:
            return self._workers.borrow(wait=True)
        idle = self._workers.borrow(wait=False, start=is_alone)
        if idle is not None or is_alone:
            return idle
        worker = min(self._tasks, key=lambda one: len(one.chunks))
        has_room = len(worker.chunks) < _CHUNKS and not self._tasks[worker][0][0].tries
        if has_room and not self._workers.are_wanted:
            return worker
        return self._workers.borrow(wait=False)

    def _receive(self, head: _Task) -> None:
        """Receive messages; waits for one. ``head``: the task that is asked for."""
        workers = list(self._tasks)
        if self._matched >= _MOST_MATCHED and head.worker is not None:
            workers = [head.worker]
        ready = wait([one.connection for one in workers], self._workers.hangs_after)
        if not ready:
            self._failed(head.worker or workers[0], "it hangs")
        for worker in workers:
            if worker.connection in ready:
                try:
                    message = self._workers.receive(worker)
                except (EOFError, OSError):
                    self._failed(worker, "it was killed, or ran out of memory")
                else:
                    self._take(worker, message)

    def _take(self, worker: Worker, message: Message) -> None:
        rules, tasks = worker.chunks[0], self._tasks[worker][0]
        for number, item in message.outcomes:
            task = tasks[number]
            if item is None or isinstance(item, Exception):
                task.end(item)
                continue
            if item.events.__class__ is Judged:
                item.events.rules = rules
            task.add(item)
            self._matched += _matched(item)
            if item.size:
                self._size = (7 * self._size + item.size) // 8
        if message.is_last:
            worker.chunks.popleft()
            self._tasks[worker].popleft()
            if not worker.chunks:
                del self._tasks[worker]
                self._workers.give_back(worker)

    def _failed(self, worker: Worker, why: str) -> None:
        """Give the jobs of a worker to others."""
        chunks = self._tasks.pop(worker)
        self._workers.discard(worker)
        if self._workers.closed:
            raise stopping_error()
        _log.warning("a worker is replaced, and its objects are read again", why=why)
        for task in chain.from_iterable(chunks):
            if task.is_done:
                continue
            task.advance()
            task.worker = None
            task.tries += 1
            if task.tries < _MOST_TRIES:
                self._again.append(task)
            else:
                task.end(_ended(task.job, why))


def _ended(job: Job, why: str) -> SourceError:
    return SourceError(
        f"{job.name}: two worker processes ended while they read it ({why}); give the exporter more"
        " memory, or fewer `--workers`.",
        reason="worker_ended",
    )


def _matched(item: Item | Exception | None) -> int:
    """Log events of an item that rules match."""
    events = getattr(item, "events", ())
    # isinstance asks an abstract base class, which takes longer.
    return len(events.evaluation.events) if events.__class__ is Judged else 0
