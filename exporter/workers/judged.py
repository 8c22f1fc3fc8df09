"""Log events that a worker has evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from exporter.model import Joined, LogEvent, Records
from exporter.rules import Evaluation, RuleSet


class Judged(Sequence[LogEvent]):
    """The evaluation of log events, in their place. They are read again if they are needed."""

    def __init__(self, evaluation: Evaluation, count: int, size: int) -> None:
        """``count``: of the log events; ``size``: bytes of their messages."""
        self.evaluation = evaluation
        self.size = size
        self.rules: RuleSet | None = None
        """The rules that evaluated them; None in the worker."""
        self.again: Callable[[], Sequence[LogEvent]] = tuple
        """Reads the log events again; raises SourceError."""
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[LogEvent]:
        return iter(self.again())

    @overload
    def __getitem__(self, index: int) -> LogEvent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[LogEvent]: ...
    def __getitem__(self, index: int | slice) -> LogEvent | Sequence[LogEvent]:
        return self.again()[index]

    def __reduce__(self) -> tuple[Any, ...]:
        return Judged, (self.evaluation, self._count, self.size)


def size_of(events: Sequence[LogEvent]) -> int:
    """Bytes of the messages, or of the document that has them."""
    if isinstance(events, Records | Judged):
        return events.size
    if isinstance(events, Joined):
        return sum(map(size_of, events.parts))
    # Only the heads of the texts are looked at: the texts themselves have left the cache by now.
    lengths = [len(message) for event in events if (message := event.message).isascii()]
    if len(lengths) == len(events):
        return sum(lengths)
    return sum(len(event.message.encode(errors="surrogatepass")) for event in events)
