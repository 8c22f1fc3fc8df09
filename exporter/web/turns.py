"""Password checks run one at a time, and client addresses take turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

WAITING_OF_ONE = 128
"""Checks that may wait for one address: with a bcrypt cost of 10 about 8 seconds' worth, less than
the 10 seconds of a Prometheus scrape."""
WAITING_OF_ALL = 1024
_SUSPECTS = 4096


class BusyError(Exception):
    """Too many passwords wait to be checked."""


class Turns:
    """Decides which address is next; for one event loop.

    Many checks of one address wait for each other and delay no other address for longer than one
    check. An address that has not sent a wrong password comes before those that have, the newest
    first: a client with the right password does not wait behind a crowd of guessers.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._busy = False
        self._suspects: dict[str, None] = {}

    async def check(self, address: str, check: Callable[[], Awaitable[bool]]) -> bool:
        """Return what ``check`` returns, called when it is the turn of ``address``.

        Raises BusyError if too many checks wait.
        """
        if self._busy:
            await self._turn(address)
        self._busy = True
        try:
            right = await check()
            self._judge(address, right=right)
        finally:
            self._pass_on()
        return right

    async def _turn(self, address: str) -> None:
        self._make_room(address)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given the turn just now
                self._pass_on()
            raise

    def _make_room(self, address: str) -> None:
        own = len(self._waiting.get(address, ()))
        if own >= WAITING_OF_ONE:
            raise BusyError
        if sum(map(len, self._waiting.values())) < WAITING_OF_ALL:
            return
        longest = max(self._waiting.values(), key=len)
        if len(longest) < own + 2:
            raise BusyError
        last = longest.pop()
        if not last.done():
            last.set_exception(BusyError())

    def _pass_on(self) -> None:
        self._busy = False
        while self._waiting and not self._busy:
            address = self._next()
            queue = self._waiting.pop(address)
            turn = queue.popleft()
            if queue:
                self._waiting[address] = queue  # behind the others
            if not turn.done():
                turn.set_result(None)
                self._busy = True

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
