"""Contents and polls by worker processes."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from exporter.model import EventFormat, Limits, Partition, SourceError
from exporter.sources.base import Reading
from exporter.sources.contents import Contents, ContentT, Portion
from exporter.workers.ahead import Ahead
from exporter.workers.dispatch import Dispatch
from exporter.workers.jobs import ObjectJob, PollJob, events_of
from exporter.workers.judged import Judged
from exporter.workers.pool import Workers

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts
    from exporter.clock import Clock

_FILES_IN_CHUNK: Final = 64


def contents_by(workers: Workers, accounts: AwsAccounts, clock: Clock) -> Contents:
    """Read objects by workers; if there is only one, in this process, and loaded ahead."""
    return Ahead(accounts, clock) if workers.most < 2 else _InWorkers(workers, accounts, clock)


class _InWorkers:
    """Contents that workers load and evaluate."""

    def __init__(self, workers: Workers, accounts: AwsAccounts, clock: Clock) -> None:
        self._workers = workers
        self._accounts = accounts
        self._clock = clock

    def portions(
        self,
        partition: Partition,
        event_format: EventFormat,
        limits: Limits | None,
        contents: Iterable[ContentT],
    ) -> Generator[Portion[ContentT]]:
        """See Contents."""
        jobs = (ObjectJob(one, partition, event_format, limits) for one in contents)
        with closing(Dispatch(self._workers, jobs).outcomes()) as outcomes:
            for job, outcome in outcomes:
                content = cast("ContentT", job.content)
                if isinstance(outcome, Portion):
                    portion = cast("Portion[ContentT]", outcome)
                    if isinstance(outcome.events, Judged):
                        now = round(self._clock.now() * 1000)
                        outcome.events.again = partial(events_of, job, self._accounts, now)
                    yield replace(portion, content=content)
                elif isinstance(outcome, SourceError):
                    yield Portion(content, last=True, error=outcome)
                elif isinstance(outcome, Exception):
                    raise outcome


class Polls:
    """Polls of partitions by workers, one after the other."""

    def __init__(self, workers: Workers, jobs: Iterable[PollJob]) -> None:
        self._outcomes = Dispatch(workers, jobs, in_chunk=_FILES_IN_CHUNK).outcomes()
        self.is_open = False
        """Whether more follows of the last poll. It has to be read before the next one is."""

    def read(self, partition: Partition) -> Iterator[Reading]:
        """The readings of the next poll. Raises SourceError and DamagedCheckpointError."""
        job, outcome = next(self._outcomes)
        while job.partition != partition:  # the rest of a poll that failed
            job, outcome = next(self._outcomes)
        try:
            while isinstance(outcome, Reading):
                reading = outcome
                if isinstance(reading.events, Judged):
                    reading.events.again = partial(events_of, job, None, 0)
                job, outcome = next(self._outcomes)
                self.is_open = isinstance(outcome, Reading)
                yield reading
        finally:
            self.is_open = False
        if isinstance(outcome, Exception):
            raise outcome

    def close(self) -> None:
        """Do no further polls."""
        self._outcomes.close()
