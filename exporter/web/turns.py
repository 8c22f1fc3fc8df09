"""Password checks run one at a time, and client addresses take turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

WAITING_OF_ONE = 128
"""Checks that may wait for one address. With a bcrypt cost of 10 they take about 8 seconds, less
than the scrape timeout of Prometheus (10 seconds)."""
WAITING_OF_ALL = 1024
_SUSPECTS = 4096


class BusyError(Exception):
    """Too many password checks are waiting."""


class AddressTurns:
    """Decides which address is next; for one event loop.

    Checks of one address delay another address by one check at most. Addresses that have not sent
    a wrong password come first, the newest first, so a client with the right password does not
    wait for many guessers.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._busy = False
        self._suspects: dict[str, None] = {}

    async def check(self, address: str, check: Callable[[], Awaitable[bool]]) -> bool:
        """Call ``check`` at the next turn of ``address`` and return its result.

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
            if not turn.cancelled():  # it has just received the turn
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
