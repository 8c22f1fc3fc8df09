"""Objects are loaded ahead in bounded memory, whatever their sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from exporter.aws.accounts import AwsAccounts
from exporter.model import LogEvent, SourceError
from exporter.workers import ahead
from exporter.workers.ahead import Window

AHEAD = 1600
LARGEST = 5000
ACCOUNTS = AwsAccounts()


@dataclass
class Sized:
    """An object of a size, which notes the sizes that it was allowed to have."""

    size: int
    allowed: list[int] = field(default_factory=list)

    @property
    def held(self) -> int:
        """Bytes that were loaded ahead."""
        return self.size if self.allowed and self.size <= self.allowed[0] else 0

    def load(self, accounts: AwsAccounts, most_bytes: int) -> bytes:
        """See Content."""
        self.allowed.append(most_bytes)
        if self.size > most_bytes:
            raise SourceError("It is too large.", reason="too_large")
        return bytes(self.size)

    def events(self, loaded: bytes, now: int) -> Iterator[Sequence[LogEvent]]:
        """See Content."""
        return iter(())


SIZES = st.integers(0, 60) | st.integers(0, 2000) | st.integers(0, 2 * LARGEST)


@given(sizes=st.lists(SIZES, max_size=40))
def test_objects_of_any_sizes_are_loaded_in_order_and_in_bounded_memory(sizes: list[int]) -> None:
    with (
        patch.object(ahead, "loaded_bytes", lambda: AHEAD),
        patch.object(ahead, "object_bytes", lambda: LARGEST),
    ):
        window: Window[Sized] = Window(ACCOUNTS)
        objects = [Sized(size) for size in sizes]
        waiting, ahead_of = objects[:], []
        try:
            while waiting or window:
                while waiting and window.has_room:
                    ahead_of.append(waiting.pop(0))
                    window.add(ahead_of[-1], ahead_of[-1])
                one, loaded = window.take()
                assert one is ahead_of[0]
                assert sum(other.held for other in ahead_of) <= AHEAD
                ahead_of.pop(0)
                if one.size <= LARGEST:
                    assert loaded == bytes(one.size)
                else:
                    assert isinstance(loaded, SourceError)
                    assert loaded.reason == "too_large"
        finally:
            window.close()
    assert all(max(one.allowed) <= LARGEST and len(one.allowed) <= 2 for one in objects)
