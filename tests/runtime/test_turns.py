"""Who computes takes turns, in the order in which threads came."""

from __future__ import annotations

import threading
import time

from exporter.runtime.turns import Turns
from tests.support.waiting import wait_for


def test_turns_are_taken_in_order_and_never_two_at_once() -> None:
    turns = Turns()
    order: list[int] = []
    inside = most = 0

    def work(number: int) -> None:
        nonlocal inside, most
        with turns.turn():
            inside += 1
            most = max(most, inside)
            order.append(number)
            time.sleep(0.001)
            inside -= 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    with turns.turn():
        for number, thread in enumerate(threads):
            thread.start()
            wait_for("it to wait", lambda n=number: len(turns._waiting) > n)  # type: ignore[misc]
    for thread in threads:
        thread.join(10)
    assert order == list(range(20))
    assert most == 1


def test_one_that_comes_again_and_again_is_not_first_each_time() -> None:
    turns = Turns()
    ended = threading.Event()
    got = threading.Event()

    def again() -> None:
        while not ended.is_set():
            with turns.turn():
                time.sleep(0.001)

    greedy = [threading.Thread(target=again) for _ in range(3)]
    for thread in greedy:
        thread.start()
    try:
        began = time.monotonic()
        with turns.turn():
            got.set()
        assert time.monotonic() - began < 1
    finally:
        ended.set()
        for thread in greedy:
            thread.join(10)
    assert got.is_set()


def test_an_error_in_a_turn_ends_it() -> None:
    turns = Turns()
    for _ in range(2):
        try:
            with turns.turn():
                raise RuntimeError
        except RuntimeError:
            pass
    with turns.turn():
        pass
