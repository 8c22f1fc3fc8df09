"""Whose password is checked next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.web.turns import WAITING_OF_ALL, WAITING_OF_ONE, AddressTurns, BusyError

RIGHT, WRONG = True, False


class Bench:
    """Checks whose end the test decides; for one event loop."""

    def __init__(self) -> None:
        self.turns = AddressTurns()
        self.order: list[str] = []
        self._go_on = asyncio.Semaphore(0)

    def ask(self, address: str, *, right: bool = WRONG) -> asyncio.Task[bool]:
        async def check() -> bool:
            self.order.append(address)
            await self._go_on.acquire()
            return right

        return asyncio.create_task(self.turns.check(address, check))

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def finish(self, count: int = 1) -> None:
        """Let so many checks end, and those that follow begin."""
        for _ in range(count):
            self._go_on.release()
            await self.settle()


def test_guesses_of_one_address_hold_back_another_for_one_check_only() -> None:
    async def scenario() -> list[str]:
        bench = Bench()
        flood = [bench.ask("flood") for _ in range(50)]
        await bench.settle()
        right = bench.ask("prometheus", right=RIGHT)
        await bench.settle()
        await bench.finish(2)
        assert right.done()
        assert right.result()
        await bench.finish(50)
        await asyncio.gather(*flood)
        return bench.order

    order = asyncio.run(scenario())
    assert order[:3] == ["flood", "prometheus", "flood"]
    assert len(order) == 51


def test_who_has_not_been_wrong_yet_comes_before_a_crowd_that_has() -> None:
    async def scenario() -> list[str]:
        bench = Bench()
        guesses = [bench.ask(f"guesser {number}") for number in range(20)]
        await bench.settle()
        await bench.finish(20)
        guesses += [bench.ask(f"guesser {number}") for number in range(20)]
        await bench.settle()
        right = bench.ask("prometheus", right=RIGHT)
        await bench.settle()
        await bench.finish(21)
        await asyncio.gather(right, *guesses)
        return bench.order[20:]

    assert asyncio.run(scenario())[1] == "prometheus"


def test_a_right_password_makes_up_for_a_wrong_one() -> None:
    async def scenario() -> list[str]:
        bench = Bench()
        asked = [bench.ask("prometheus"), bench.ask("prometheus", right=RIGHT)]
        asked += [bench.ask("flood") for _ in range(3)]
        await bench.settle()
        await bench.finish(3)
        asked.append(bench.ask("prometheus", right=RIGHT))
        await bench.settle()
        await bench.finish(3)
        await asyncio.gather(*asked)
        return bench.order

    assert asyncio.run(scenario())[-2:] == ["prometheus", "flood"]


def test_what_waits_is_bounded_and_the_longest_queue_makes_room() -> None:
    async def scenario() -> None:
        bench = Bench()
        full = WAITING_OF_ALL // WAITING_OF_ONE
        asked = [
            bench.ask(f"flood {address}")
            for address in range(full)
            for _ in range(WAITING_OF_ONE + 3)
        ]
        await bench.settle()
        refused = [task for task in asked if task.done()]
        assert len(refused) == 3 * full - 1  # one is being checked
        right = bench.ask("prometheus", right=RIGHT)
        await bench.settle()
        refused = [task for task in asked if task.done()]
        assert len(refused) == 3 * full
        for task in refused:
            with pytest.raises(BusyError):
                task.result()
        await bench.finish(2)
        assert right.done()
        assert right.result()
        for task in asked:
            task.cancel()

    asyncio.run(scenario())


def test_a_check_that_fails_is_its_callers_and_the_next_one_goes_on() -> None:
    async def broken() -> bool:
        raise OSError("no threads left")

    async def scenario() -> bool:
        turns = AddressTurns()

        async def good() -> bool:
            return True

        failing = asyncio.create_task(turns.check("a", broken))
        following = asyncio.create_task(turns.check("b", good))
        with pytest.raises(OSError, match="no threads left"):
            await failing
        return await following

    assert asyncio.run(scenario())


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=60))
def test_addresses_that_guess_take_turns_and_everybody_is_answered(asked: Sequence[str]) -> None:
    async def scenario() -> list[str]:
        bench = Bench()
        for address in "abcd":  # each has been wrong once
            bench.ask(address)
        await bench.settle()
        await bench.finish(4)
        bench.order.clear()
        tasks = [bench.ask(address) for address in asked]
        await bench.settle()
        await bench.finish(len(asked))
        assert await asyncio.gather(*tasks) == [WRONG] * len(asked)
        return bench.order

    order = asyncio.run(scenario())
    assert sorted(order) == sorted(asked)
    for begin, address in enumerate(order):
        # Until its next turn each other address has one at most.
        later = order[begin + 1 :]
        between = later[: later.index(address)] if address in later else []
        assert len(between) == len(set(between))
