"""Memory against a dictionary: any times, sets of rules, scopes, expiry and rollbacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.ledger import blocks
from exporter.ledger.audit import audit
from exporter.ledger.memory import SLOT, SLOTS, Memory
from exporter.ledger.rule_sets import KnownSets, RuleSets
from exporter.ledger.sqlite_store import CREATE_TABLES, SqliteTransaction, begun
from exporter.ledger.tables import BLOCKS, LARGEST, SEGMENTS
from exporter.model import EventKey

NOW = 2_000_000 * SLOT
SECRET = bytes(32)

_close = st.integers(-20, 20)
times = st.one_of(
    _close.map(lambda off: NOW + off),
    _close.map(lambda off: NOW + 1000 * off),
    st.sampled_from([None, 0, -1, 10**30, -(10**30)]),
)
keys: st.SearchStrategy[EventKey] = st.tuples(
    st.sampled_from(["", "group"]), st.sampled_from(["a", "b", "c", "é\ud800"]), times
)
rule_sets = st.sampled_from([frozenset(names) for names in ("r", "s", "rs", "rst")])
remembered = st.dictionaries(keys, rule_sets, min_size=1, max_size=12)
steps = st.one_of(
    st.tuples(st.just("remember"), remembered),
    st.tuples(st.just("roll back"), remembered),
    st.tuples(st.just("expire"), st.integers(-20, 20)),
)


class RolledBackError(Exception):
    """The commit fails at its end."""


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    monkeypatch.setattr(blocks, "BLOCK_ENTRIES", 4)
    monkeypatch.setattr(blocks, "_FEW", 1)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.executescript(CREATE_TABLES)
        yield opened


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(steps, max_size=10), asked=st.lists(keys, max_size=8))
def test_memory_has_what_a_dictionary_has(
    connection: sqlite3.Connection, steps: list[tuple[str, object]], asked: list[EventKey]
) -> None:
    connection.executescript("DELETE FROM blocks; DELETE FROM segments; DELETE FROM rule_sets")
    model: dict[EventKey, frozenset[str]] = {}
    known = KnownSets()
    for step, what in steps:
        try:
            with begun(connection.cursor(), write=True) as cursor:
                sets = RuleSets(SqliteTransaction(cursor), known)
                memory = Memory(SqliteTransaction(cursor), "feed", SECRET, NOW, sets)
                if isinstance(what, dict):
                    assert memory.look_up(what).judged == {k: model[k] for k in what if k in model}
                    memory.remember(what, {key: _time(key) for key in what})
                    if step == "roll back":
                        raise RolledBackError
                    model |= what
                else:
                    assert isinstance(what, int)
                    over = [one for one in memory.segments() if one.newest < NOW + 1000 * what]
                    memory.delete(over)
                    memory.drop_sets()
                    kept = {(one.scope, one.segment) for one in memory.segments()}
                    model = {key: of for key, of in model.items() if _place(memory, key) in kept}
        except RolledBackError:
            continue
        known = sets.committed()
    with begun(connection.cursor(), write=False) as cursor:
        transaction = SqliteTransaction(cursor)
        memory = Memory(transaction, "feed", SECRET, NOW, RuleSets(transaction, known))
        everything = [*asked, *model]
        assert memory.look_up(everything).judged == {
            key: model[key] for key in everything if key in model
        }
        assert sum(one.entries for one in transaction.read(SEGMENTS)) == len(model)
        assert all(0 < len(one.entries) <= 4 * 17 for one in transaction.read(BLOCKS))
    assert audit(connection) is None


def _time(key: EventKey) -> int:
    return max(-LARGEST, min(NOW if key[2] is None else key[2], LARGEST))


def _place(memory: Memory, key: EventKey) -> tuple[bytes, int]:
    ((scope, segment),) = memory._places([key])
    return scope.encode(), segment


def test_events_of_any_years_share_a_bounded_number_of_segments(
    connection: sqlite3.Connection,
) -> None:
    with begun(connection.cursor(), write=True) as cursor:
        transaction = SqliteTransaction(cursor)
        memory = Memory(transaction, "f", SECRET, NOW, RuleSets(transaction, KnownSets()))
        old: dict[EventKey, frozenset[str]] = {
            ("", f"event-{cycle}", NOW + cycle * SLOTS * SLOT): frozenset("r")
            for cycle in range(-100, 100)
        }
        memory.remember(old, dict.fromkeys(old, NOW))
        assert memory.look_up(old).judged == old
        assert len(memory.segments()) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_blocks_are_full_if_events_come_in_the_order_of_time(
    connection: sqlite3.Connection, order: int
) -> None:
    with begun(connection.cursor(), write=True) as cursor:
        transaction = SqliteTransaction(cursor)
        for number in range(40):
            memory = Memory(transaction, "f", SECRET, NOW, RuleSets(transaction, KnownSets()))
            new: list[EventKey] = [("", "a", NOW + 500 + order * (2 * number + n)) for n in (0, 1)]
            memory.remember(dict.fromkeys(new, frozenset("r")), dict.fromkeys(new, NOW))
        assert len(transaction.read(BLOCKS)) == 20
