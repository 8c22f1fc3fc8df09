"""Which connection is closed for a new one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.addresses import group_of
from exporter.web.connections import to_close


@dataclass(eq=False)
class Occupant:
    """An open connection."""

    address: str
    idle: bool = True
    since: float = 0.0


OCCUPANTS = st.sets(
    st.builds(Occupant, st.sampled_from("abc"), st.booleans(), st.floats(0.0, 100.0)),
    min_size=1,
    max_size=30,
)


@given(OCCUPANTS, st.sampled_from("abcd"))
def test_an_address_loses_a_connection_only_to_those_that_end_up_with_no_more(
    occupants: set[Occupant], newcomer: str
) -> None:
    closed = to_close(occupants, newcomer)
    count = Counter(occupant.address for occupant in occupants)
    assert count[closed.address] == max(count.values()) or closed.address == newcomer
    if closed.address != newcomer:
        assert count[newcomer] + 1 <= count[closed.address]


@pytest.mark.parametrize(
    ("idle", "expected"),
    [
        ([False, True, False], 1),
        ([False, False], 0),
        ([True, True], 0),
    ],
)
def test_idle_connections_go_first_and_of_equals_the_oldest(
    idle: list[bool], expected: int
) -> None:
    occupants = [Occupant("a", value, since) for since, value in enumerate(idle)]
    assert to_close(set(occupants), "b") is occupants[expected]


def test_a_single_connection_is_safe_from_a_crowd_of_another_address() -> None:
    prometheus = Occupant("prometheus")
    crowd = {Occupant("crowd", idle=False, since=50.0) for _ in range(255)}
    assert to_close({prometheus, *crowd}, "crowd").address == "crowd"


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
