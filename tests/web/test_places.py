"""Which connection makes room for another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.addresses import group_of
from exporter.web.places import Phase, Place, to_give_up


def place(address: str, phase: Phase = "idle", since: float = 0.0) -> Place:
    return Place(object(), address, phase, since, lambda: None)


PLACES = st.lists(
    st.builds(
        place, st.sampled_from("abc"), st.sampled_from(get_args(Phase)), st.floats(0.0, 100.0)
    ),
    min_size=1,
    max_size=30,
)


@given(PLACES, st.sampled_from("abcd"))
def test_an_address_loses_a_connection_to_those_only_that_end_up_with_no_more(
    places: Sequence[Place], newcomer: str
) -> None:
    gone = to_give_up(places, newcomer)
    count = Counter(p.address for p in places)
    assert count[gone.address] == max(count.values()) or gone.address == newcomer
    if gone.address != newcomer:
        assert count[newcomer] + 1 <= count[gone.address]


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        (["request", "idle", "answering"], 1),
        (["stalled", "answering", "request"], 0),
        (["answering", "answering"], 0),
        (["idle", "idle"], 0),
        (["handshake", "closing"], 0),
    ],
)
def test_idle_ones_go_first_and_of_equals_the_one_that_has_been_so_for_longest(
    phases: Sequence[Phase], expected: int
) -> None:
    places = [place("a", phase, since) for since, phase in enumerate(phases)]
    assert to_give_up(places, "b") is places[expected]


def test_a_single_connection_is_safe_from_a_crowd_of_another_address() -> None:
    prometheus = place("prometheus", "idle", 0.0)
    crowd = [place("crowd", "answering", 50.0) for _ in range(255)]
    assert to_give_up([prometheus, *crowd], "crowd").address == "crowd"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
    ],
)
def test_clients_are_told_apart_by_what_they_cannot_choose(
    one: str, other: str, same: bool
) -> None:
    assert (group_of(one) == group_of(other)) is same
