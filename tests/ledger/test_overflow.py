"""Past ``max_series`` unbounded labels lose their values; all others, and every total, stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.ledger import counting
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.sqlite_store import SqliteTransaction
from exporter.ledger.storage import LEDGER_FILE, connect
from exporter.ledger.tables import ACCOUNT_COUNTS
from exporter.model import Increment, JudgedEvent, SeriesKey
from tests.support.counting import METRIC, RULE, SOURCE, batch, commit, load_one

Match = Mapping[str, str]
OVER = "__overflow__"
MOST = 100
"""Values of a bounded label."""


def match(number: int, labels: Match, account_id: str = "111122223333") -> JudgedEvent:
    """A match of a rule whose labels all come from the event."""
    place = {"account_id": account_id, "region": "us-east-1", "source": SOURCE}

    def series(values: Match) -> SeriesKey:
        return SeriesKey(METRIC, tuple(sorted({**place, **values}.items())))

    over = series(dict.fromkeys(labels, OVER))
    one = Increment(RULE, series(labels), over, 1.0)
    return JudgedEvent(f"{account_id}-{number}", "", 1, 1, frozenset([RULE]), (one,))


def matches(labels: Iterable[Match], first: int = 0) -> list[JudgedEvent]:
    return [match(number, one) for number, one in enumerate(labels, first)]


def totals(ledger: SqliteLedger, *names: str) -> Counter[tuple[str, ...]]:
    """Totals by the values of these labels."""
    found: Counter[tuple[str, ...]] = Counter()
    for one in ledger.series():
        labels = dict(one.key.labels)
        found[tuple(labels[name] for name in names)] += int(one.total)
    return found


@pytest.fixture
def marked(ledger: SqliteLedger) -> SqliteLedger:
    """The ledger with a rule whose label ``user`` is unbounded and ``result`` is not."""
    load_one(ledger, labels=["user", "result"], unbounded=["user"], max_series=2)
    return ledger


def test_a_bounded_label_keeps_its_values_past_the_limit(marked: SqliteLedger) -> None:
    flood = [{"user": f"u{number}", "result": "Success"} for number in range(10)]
    commit(marked, batch(*matches(flood)))
    committed = commit(marked, batch(match(10, {"user": "u99", "result": "Failure"})))
    assert totals(marked, "user", "result") == {
        ("u0", "Success"): 1,
        ("u1", "Success"): 1,
        (OVER, "Success"): 8,
        (OVER, "Failure"): 1,
    }
    (change,) = committed.rules
    assert (change.series, change.overflowed) == (2, 1)


def test_series_that_exist_keep_counting_under_their_own_labels(marked: SqliteLedger) -> None:
    users = [{"user": user, "result": "Success"} for user in "abcabc"]
    commit(marked, batch(*matches(users)))
    commit(marked, batch(*matches(users, first=6)))
    assert totals(marked, "user") == {("a",): 4, ("b",): 4, (OVER,): 4}


def test_the_limit_holds_in_each_account(marked: SqliteLedger) -> None:
    accounts = ["111122223333", "444455556666"]
    for account, number in product(accounts, range(4)):
        labels = {"user": f"u{number}", "result": "Success"}
        commit(marked, batch(match(number, labels, account)))
    assert totals(marked, "account_id", "user") == {
        (account, user): total
        for account in accounts
        for user, total in (("u0", 1), ("u1", 1), (OVER, 2))
    }
    (rule,) = marked.rule_totals()
    assert (rule.series, rule.fullest, rule.overflowed) == (4, 2, 4)


def test_a_bounded_label_has_a_hundred_values_at_most(marked: SqliteLedger) -> None:
    odd = [{"user": "u", "result": f"r{number}"} for number in range(MOST + 50)]
    commit(marked, batch(*matches(odd)))
    commit(marked, batch(match(999, {"user": "other", "result": "r7"})))
    by_result = totals(marked, "result")
    assert by_result == {**{(f"r{n}",): 1 for n in range(MOST)}, (OVER,): 50, ("r7",): 2}


@pytest.mark.parametrize("max_series", [1000, 5])
def test_without_marks_the_labels_with_many_values_are_unbounded(
    ledger: SqliteLedger, max_series: int
) -> None:
    load_one(ledger, labels=["user", "result"], max_series=max_series)
    users = [{"user": f"u{n}", "result": "Success"} for n in range(max_series + 1)]
    commit(ledger, batch(*matches(users)))
    commit(ledger, batch(match(max_series + 1, {"user": "u0", "result": "Failure"})))
    found = totals(ledger, "user", "result")
    assert found["u0", "Success"] == 1
    assert found[OVER, "Success"] == 1
    assert found[OVER, "Failure"] == 1


def test_a_rule_whose_labels_are_all_bounded_loses_none(ledger: SqliteLedger) -> None:
    load_one(ledger, labels=["event", "result"], max_series=10)
    pairs = [{"event": f"e{e}", "result": f"r{r}"} for e in range(10) for r in range(5)]
    committed = [commit(ledger, batch(*matches(pairs, first))) for first in (0, 50)]
    assert set(totals(ledger, "event", "result").values()) == {2}
    assert [one.overflowed for of in committed for one in of.rules] == [0, 0]


def test_combinations_of_bounded_labels_are_limited_too(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_MOST_OVERFLOW", 20)
    load_one(ledger, labels=["a", "b", "user"], unbounded=["user"], max_series=1)
    pairs = [{"a": f"{a}", "b": f"{b}", "user": "u"} for a in range(10) for b in range(10)]
    for number, labels in enumerate(pairs):
        commit(ledger, batch(match(number, labels)))
    found = totals(ledger, "a", "b")
    assert len(found) == 1 + 20 + 1
    assert found[OVER, OVER] == 100 - 21


LABELS = st.fixed_dictionaries(
    {
        "user": st.sampled_from([f"u{number}" for number in range(8)]),
        "result": st.sampled_from(["Success", "Failure"]),
        "event": st.sampled_from(["A", "B", "C"]),
    }
)
ACCOUNTS = st.sampled_from(["111122223333", "444455556666"])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    given_matches=st.lists(st.tuples(LABELS, ACCOUNTS), max_size=40),
    cuts=st.sets(st.integers(1, 39)),
    marks=st.sampled_from([(), ("user",), ("user", "event")]),
    max_series=st.integers(1, 6),
)
def test_totals_stay_exact_and_a_restart_or_a_replay_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    given_matches: Sequence[tuple[Match, str]],
    cuts: set[int],
    marks: Sequence[str],
    max_series: int,
) -> None:
    events = [match(n, labels, account) for n, (labels, account) in enumerate(given_matches)]
    names = ["user", "result", "event"]

    def opened(folder: Path) -> SqliteLedger:
        ledger = SqliteLedger.open(folder)
        load_one(ledger, labels=names, unbounded=marks, max_series=max_series)
        return ledger

    at_once, in_steps = (tmp_path_factory.mktemp(name) for name in ("once", "steps"))
    with closing(opened(at_once)) as ledger:
        commit(ledger, batch(*events))
        expected = {one.key: one.total for one in ledger.series()}
        bounded = [n for n in ("result", "event") if marks and n not in marks]
        own = Counter(
            (account, *(labels[name] for name in bounded)) for labels, account in given_matches
        )
        assert totals(ledger, "account_id", *bounded) == own
        if marks:
            within = totals(ledger, "account_id", *names)
            for account in {account for _, account in given_matches}:
                keys = [key for key in within if key[0] == account and OVER not in key]
                assert len(keys) <= max_series
    starts = [0, *sorted(cuts)]
    for start, end in zip(starts, [*starts[1:], len(events)], strict=True):
        with closing(opened(in_steps)) as ledger:
            commit(ledger, batch(*events[start:end]))
            # What has counted comes again.
            commit(ledger, batch(*events[: min(end, len(events))]))
    with closing(opened(in_steps)) as ledger:
        assert {one.key: one.total for one in ledger.series()} == expected


def test_counts_by_account_are_made_again_where_they_are_missing(tmp_path: Path) -> None:
    def load(ledger: SqliteLedger) -> None:
        load_one(ledger, labels=["user", "result"], unbounded=["user"], max_series=2)

    with closing(SqliteLedger.open(tmp_path)) as ledger:
        load(ledger)
        flood = [{"user": f"u{n}", "result": "Success"} for n in range(5)]
        commit(ledger, batch(*matches(flood)))
    with closing(connect(tmp_path / LEDGER_FILE)) as connection:
        before = list(SqliteTransaction(connection.cursor()).scan(ACCOUNT_COUNTS))
        connection.execute("DELETE FROM account_counts")
    with closing(SqliteLedger.open(tmp_path)) as ledger:
        load(ledger)
        commit(ledger, batch(match(9, {"user": "u9", "result": "Failure"})))
        assert totals(ledger, "user", "result")[OVER, "Failure"] == 1
    with closing(connect(tmp_path / LEDGER_FILE)) as connection:
        (after,) = SqliteTransaction(connection.cursor()).scan(ACCOUNT_COUNTS)
    assert [(one.series, one.overflow) for one in before] == [(2, 1)]
    assert (after.series, after.overflow) == (2, 2)
    assert after.label_values == '{"result": ["Success", "Failure"]}'
