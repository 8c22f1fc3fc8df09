"""Objects that are loaded in threads before they are read, and in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from exporter.model import EventFormat, Limits, Partition
from exporter.sources.contents import Content, ContentT, Portion, load, portions_of
from exporter.workers.resources import loaded_bytes

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts
    from exporter.clock import Clock
    from exporter.model import SourceError

THREADS: Final = 8
"""Objects that are loaded at the same time: S3 takes about 30 ms to answer."""

OfT = TypeVar("OfT")


class Window(Generic[OfT]):
    """Objects that are being loaded, or were loaded and are not taken yet. For one thread."""

    def __init__(self, accounts: AwsAccounts) -> None:
        self._accounts = accounts
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="load")
        self._most_bytes = loaded_bytes()
        self._loads: deque[tuple[OfT, Future[bytes | SourceError] | None]] = deque()
        self._largest = 0
        """Bytes of the largest object of late: those that are being loaded may be as large."""

    def __len__(self) -> int:
        return len(self._loads)

    @property
    def has_room(self) -> bool:
        """Whether one more may be loaded."""
        if not self._loads:
            return True
        if len(self._loads) >= 2 * THREADS:
            return False
        expected = self._largest
        for _, future in self._loads:
            if future is not None:
                expected += _size(future.result()) if future.done() else self._largest
        return expected <= self._most_bytes

    def add(self, of: OfT, content: Content | None) -> None:
        """Begin to load an object; None if ``of`` needs none."""
        future = None
        if content is not None:
            future = self._threads.submit(load, content, self._accounts)
        self._loads.append((of, future))

    def take(self) -> tuple[OfT, bytes | SourceError]:
        """Return the oldest one and its bytes; waits for them."""
        of, future = self._loads.popleft()
        loaded = b"" if future is None else future.result()
        self._largest = max(_size(loaded), self._largest * 7 // 8)
        return of, loaded

    def close(self) -> None:
        """Begin no further loads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _size(loaded: bytes | SourceError) -> int:
    return len(loaded) if isinstance(loaded, bytes) else 0


class Ahead:
    """Contents that are loaded ahead, and read in the thread that asks."""

    def __init__(self, accounts: AwsAccounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    def portions(
        self,
        partition: Partition,  # noqa: ARG002 - the pipeline evaluates them
        event_format: EventFormat,  # noqa: ARG002
        limits: Limits | None,  # noqa: ARG002
        contents: Iterable[ContentT],
    ) -> Generator[Portion[ContentT]]:
        """See Contents."""
        window: Window[ContentT] = Window(self._accounts)
        try:
            for content in contents:
                while not window.has_room:
                    yield from self._next(window)
                window.add(content, content)
            while window:
                yield from self._next(window)
        finally:
            window.close()

    def _next(self, window: Window[ContentT]) -> Iterator[Portion[ContentT]]:
        content, loaded = window.take()
        return portions_of(content, loaded, round(self._clock.now() * 1000))
