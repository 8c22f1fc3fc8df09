"""Objects that are loaded in threads before they are read, and in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from exporter.model import EventFormat, Limits, Partition, SourceError
from exporter.sources.contents import Content, ContentT, Portion, load, portions_of
from exporter.workers.resources import loaded_bytes, object_bytes

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts
    from exporter.clock import Clock

THREADS: Final = 8
"""Objects that are loaded at the same time: S3 takes about 30 ms to answer."""

_MOST_LOADS: Final = 2 * THREADS

OfT = TypeVar("OfT")


@dataclass(frozen=True, slots=True)
class _Load:
    content: Content
    future: Future[bytes | SourceError]
    most_bytes: int

    @property
    def size(self) -> int:
        """Bytes that it takes, or may take."""
        return _size(self.future.result()) if self.future.done() else self.most_bytes


class Window(Generic[OfT]):
    """Objects that are being loaded, or were loaded and are not taken yet. For one thread.

    Together, they have at most ``loaded_bytes``. An object that is larger than was expected is
    loaded once it is taken.
    """

    def __init__(self, accounts: AwsAccounts) -> None:
        self._accounts = accounts
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="load")
        self._most_bytes = loaded_bytes()
        self._most_of_one = object_bytes()
        self._loads: deque[tuple[OfT, _Load | None]] = deque()
        self._largest = 0
        """Bytes of the largest object of late."""

    def __len__(self) -> int:
        return len(self._loads)

    @property
    def has_room(self) -> bool:
        """Whether one more may be loaded."""
        if not self._loads:
            return True
        if len(self._loads) >= _MOST_LOADS:
            return False
        taken = sum(one.size for _, one in self._loads if one is not None)
        return taken + self._expected <= self._most_bytes

    def add(self, of: OfT, content: Content | None) -> None:
        """Begin to load an object; None if ``of`` needs none."""
        loading = None
        if content is not None:
            most = self._expected
            context = copy_context()  # for which source it is
            future = self._threads.submit(context.run, load, content, self._accounts, most)
            loading = _Load(content, future, most)
        self._loads.append((of, loading))

    def take(self) -> tuple[OfT, bytes | SourceError]:
        """Return the oldest one and its bytes; waits for them."""
        of, loading = self._loads.popleft()
        if loading is None:
            return of, b""
        loaded = loading.future.result()
        if _is_too_large(loaded) and loading.most_bytes < self._most_of_one:
            loaded = load(loading.content, self._accounts, self._most_of_one)
        self._largest = max(_size(loaded), self._largest * 7 // 8)
        return of, loaded

    def close(self) -> None:
        """Begin no further loads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def _expected(self) -> int:
        """Bytes that the next object may have."""
        likely = max(2 * self._largest, self._most_bytes // _MOST_LOADS)
        return min(likely, self._most_bytes, self._most_of_one)


def _size(loaded: bytes | SourceError) -> int:
    return len(loaded) if isinstance(loaded, bytes) else 0


def _is_too_large(loaded: bytes | SourceError) -> bool:
    return isinstance(loaded, SourceError) and loaded.reason == "too_large"


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
