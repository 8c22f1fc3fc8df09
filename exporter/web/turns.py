"""Checks of passwords: one at a time, and a fair share of them for each client address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

WAITING_OF_ONE = 128
"""Checks that may wait for one address: at a cost of 10 some 8 seconds' worth, less than the 10
seconds that Prometheus gives a scrape."""
WAITING_OF_ALL = 1024
_SUSPECTS = 4096

Check = Callable[[], Awaitable[bool]]
"""Whether a password is right."""


class BusyError(Exception):
    """Too many passwords wait to be checked."""


@dataclass(frozen=True, slots=True)
class _Asked:
    check: Check
    answer: asyncio.Future[bool]


class Turns:
    """Decides whose check is next; for one event loop.

    Addresses take turns, so many checks of one wait for each other and hold back no other address
    for longer than one check. An address that has not been wrong yet comes before those that have,
    the newest first: a client with the right password does not wait behind a crowd of guessers.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[bytes, _Asked]] = {}
        self._count = 0
        self._suspects: dict[str, None] = {}
        self._worker: asyncio.Task[None] | None = None

    async def check(self, address: str, key: bytes, check: Check) -> bool:
        """Return what ``check`` returns once it is its turn.

        Checks of an address with the same ``key`` are one. Raises BusyError where too many wait.
        """
        asked = self._waiting.get(address, {}).get(key)
        if asked is None:
            self._make_room(address)
            asked = _Asked(check, asyncio.get_running_loop().create_future())
            self._waiting.setdefault(address, {})[key] = asked
            self._count += 1
            if self._worker is None or self._worker.done():
                self._worker = asyncio.create_task(self._work())
        return await asyncio.shield(asked.answer)

    def _make_room(self, address: str) -> None:
        own = len(self._waiting.get(address, ()))
        if own >= WAITING_OF_ONE:
            raise BusyError
        if self._count < WAITING_OF_ALL:
            return
        longest = max(self._waiting.values(), key=len)
        if len(longest) < own + 2:
            raise BusyError
        _, last = longest.popitem()
        self._count -= 1
        last.answer.set_exception(BusyError())
        last.answer.exception()  # so that nobody complains where the client has gone

    async def _work(self) -> None:
        while self._waiting:
            address = self._next()
            queue = self._waiting[address]
            # It stays in the queue until it is done: others with the same key join it.
            key, asked = next(iter(queue.items()))
            try:
                right = await asked.check()
            except Exception as error:
                asked.answer.set_exception(error)
            else:
                self._judge(address, right=right)
                asked.answer.set_result(right)
            del queue[key], self._waiting[address]
            self._count -= 1
            if queue:
                self._waiting[address] = queue  # behind the others

    def _next(self) -> str:
        for address in reversed(self._waiting):
            if address not in self._suspects:
                return address
        return next(iter(self._waiting))

    def _judge(self, address: str, *, right: bool) -> None:
        self._suspects.pop(address, None)
        if not right:
            self._suspects[address] = None
            if len(self._suspects) > _SUSPECTS:
                del self._suspects[next(iter(self._suspects))]
