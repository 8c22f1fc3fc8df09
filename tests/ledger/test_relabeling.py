"""What becomes of the totals of a rule that gains or loses labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from exporter.ledger import relabeling
from exporter.ledger.base import LoadedRules
from exporter.ledger.counting import lane
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.rendering import raw_texts
from exporter.metrics.series import SeriesStore
from exporter.model import OVERFLOW, Increment, JudgedEvent, Partition, SeriesKey
from tests.support.counting import (
    METRIC,
    PARTITION,
    RULE,
    SOURCE,
    batch,
    commit,
    load,
    use,
)

KEEP = 60_000
OTHER_REGION = Partition(SOURCE, "111122223333", "eu-west-1")
PLACE = {"account_id": "111122223333", "region": "us-east-1", "source": SOURCE}


def series(**labels: str) -> SeriesKey:
    return SeriesKey(METRIC, tuple(sorted((PLACE | labels).items())))


def event(number: int, value: float = 1.0, *, rule: str = RULE, **labels: str) -> JudgedEvent:
    one = Increment(rule, series(**labels), series(**dict.fromkeys(labels, OVERFLOW)), value)
    return JudgedEvent(str(number), "", number, number, frozenset([rule]), (one,))


def totals(ledger: SqliteLedger) -> dict[tuple[tuple[str, str], ...], float]:
    """By the labels that rules give."""
    return {
        tuple(label for label in one.key.labels if label[0] not in PLACE): one.total
        for one in ledger.series()
    }


def edit(ledger: SqliteLedger, *labels: str, max_series: int = 1000) -> LoadedRules:
    uses = {SOURCE: {RULE: use(start=0, labels=labels, unbounded=labels, max_series=max_series)}}
    return load(ledger, uses, keep=KEEP)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger.open(tmp_path)) as opened:
        yield opened


def test_a_label_that_is_gained_is_empty_in_what_was_counted(ledger: SqliteLedger) -> None:
    edit(ledger, "user")
    commit(ledger, batch(event(1, user="a"), event(2, 3.0, user="b")))
    ledger.reveal([series(user="a")])
    loaded = edit(ledger, "user", "session")
    assert loaded.ended == []
    assert set(loaded.gone) == {series(user="a"), series(user="b")}
    of = {one.key: one for one in loaded.carried}
    # To Prometheus an empty label is none: these are the same series as before.
    assert of.keys() == {series(user="a", session=""), series(user="b", session="")}
    first, second = of[series(user="a", session="")], of[series(user="b", session="")]
    assert (first.total, first.revealed, first.event_id) == (1, True, "1")
    assert (second.total, second.revealed, second.event_id) == (3, False, "2")
    commit(ledger, batch(event(1, user="a"), event(3, user="a", session="s")))
    assert totals(ledger) == {
        (("session", ""), ("user", "a")): 1,
        (("session", ""), ("user", "b")): 3,
        (("session", "s"), ("user", "a")): 1,
    }, "and what has counted does not count again"


def test_series_that_differ_in_a_lost_label_become_their_sum(ledger: SqliteLedger) -> None:
    edit(ledger, "user", "ip")
    commit(ledger, batch(event(1, user="a", ip="1"), event(7, 4.0, user="a", ip="2")))
    commit(ledger, batch(event(5, 2.5, user="a", ip="1"), partition=OTHER_REGION))
    commit(ledger, batch(event(6, user="b", ip="1")))
    ledger.reveal([series(user="a", ip="1")])
    (relabeled,) = edit(ledger, "user").relabeled
    assert (relabeled.gained, relabeled.lost) == ((), ("ip",))
    assert (len(relabeled.before), len(relabeled.after)) == (3, 2)
    (a,) = (one for one in ledger.series() if one.key == series(user="a"))
    assert (a.total, a.event_id, a.event_time, a.revealed) == (7.5, "7", 7, True)
    assert totals(ledger) == {(("user", "a"),): 7.5, (("user", "b"),): 1}
    commit(ledger, batch(event(8, user="a")))
    assert totals(ledger)[("user", "a"),] == 8.5
    assert lane(PARTITION) != lane(OTHER_REGION), "partial totals of two places were summed"


def test_a_renamed_label_is_lost_and_gained(ledger: SqliteLedger) -> None:
    edit(ledger, "user", "ip")
    commit(ledger, batch(event(1, user="a", ip="1"), event(2, user="a", ip="2")))
    edit(ledger, "user", "source_ip")
    assert totals(ledger) == {(("source_ip", ""), ("user", "a")): 2}
    edit(ledger, "user", "ip")
    assert totals(ledger) == {(("ip", ""), ("user", "a")): 2}


def test_overflow_series_are_summed_up_too_and_max_series_counts_what_is_left(
    ledger: SqliteLedger,
) -> None:
    edit(ledger, "user", "ip", max_series=2)
    commit(ledger, batch(*(event(n, user=f"u{n % 2}", ip=str(n)) for n in range(6))))
    assert totals(ledger)[("ip", OVERFLOW), ("user", OVERFLOW)] == 4
    edit(ledger, "user", max_series=3)
    commit(ledger, batch(*(event(10 + n, user=f"new{n}") for n in range(2))))
    assert totals(ledger) == {
        (("user", "u0"),): 1,
        (("user", "u1"),): 1,
        (("user", OVERFLOW),): 5,
        (("user", "new0"),): 1,
    }


def test_label_sets_from_before_a_label_was_gained_leave_max_series_to_new_ones(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    edit(ledger, "user", max_series=2)
    commit(ledger, batch(*(event(n, user=f"u{n}") for n in range(3))))
    edit(ledger, "user", "session", max_series=2)
    sessions = ["", "s1", "s2", "s3"]
    commit(ledger, batch(*(event(9 + n, user="u0", session=s) for n, s in enumerate(sessions))))
    assert totals(ledger) == {
        (("session", ""), ("user", "u0")): 2,
        (("session", ""), ("user", "u1")): 1,
        (("session", ""), ("user", OVERFLOW)): 1,
        (("session", "s1"), ("user", "u0")): 1,
        (("session", "s2"), ("user", "u0")): 1,
        (("session", OVERFLOW), ("user", OVERFLOW)): 1,
    }
    assert [one.series for one in ledger.rule_totals()] == [2]
    ledger.close()
    with closing(SqliteLedger.open(tmp_path)) as reopened:  # which checks it for damage
        edit(reopened, "user", max_series=2)
        commit(reopened, batch(event(20, user="u2")))
        assert totals(reopened) == {
            (("user", "u0"),): 4,
            (("user", "u1"),): 1,
            (("user", OVERFLOW),): 3,
        }, "once the label is lost they count again, or each edit would make room"


def test_histograms_keep_their_buckets(ledger: SqliteLedger) -> None:
    def by(*labels: str) -> LoadedRules:
        one = use(start=0, labels=labels, buckets=(1.0, 2.0))
        return load(ledger, {SOURCE: {RULE: one}}, keep=KEEP)

    by("user", "ip")
    commit(ledger, batch(event(1, 0.5, user="a", ip="1"), event(2, 1.5, user="a", ip="2")))
    by("user")
    (one,) = ledger.series()
    assert (one.buckets, one.total) == ((1, 1, 0), 2)


def test_rules_that_share_the_metric_keep_sharing_its_series(ledger: SqliteLedger) -> None:
    def both(*labels: str) -> LoadedRules:
        uses = {name: use(start=0, labels=labels) for name in ("one", "two")}
        return load(ledger, {SOURCE: uses}, keep=KEEP)

    both("user")
    commit(ledger, batch(event(1, rule="one", user="a"), event(2, rule="two", user="a")))
    both("user", "session")
    commit(ledger, batch(event(3, rule="two", user="a", session="")))
    assert totals(ledger) == {(("session", ""), ("user", "a")): 3}
    commit(ledger, batch(event(4, rule="two", user="a", session="s")))
    assert {one.rule: one.series for one in ledger.rule_totals()} == {"one": 0, "two": 1}


def test_a_page_shows_what_series_have_become_at_once(ledger: SqliteLedger) -> None:
    store = SeriesStore(0.0)
    edit(ledger, "user")
    commit(ledger, batch(event(1, user="a"), event(2, user="b")))
    ledger.reveal([series(user="a")])
    store.load(ledger.series())
    loaded = edit(ledger, "user", "session")
    store.end(loaded.gone, loaded.carried)
    assert shown(store) == {
        'session="",source="history",user="a"': "1",
        'session="",source="history",user="b"': "0",
    }
    # As after any restart: at the loaded total until that was seen.
    store.apply(commit(ledger, batch(event(3, user="a", session=""))).series)
    assert shown(store)['session="",source="history",user="a"'] == "1"


def shown(store: SeriesStore) -> Mapping[str, str]:
    (family,) = store.render(openmetrics=False).families
    lines: Sequence[str] = b"".join(raw_texts(family.parts)).decode().splitlines()
    pairs = (line.split("{")[1].split("} ") for line in lines if not line.startswith("#"))
    return {labels.split(",", 2)[2]: value for labels, value in pairs}


def test_an_end_in_the_middle_leaves_everything_as_it_was(
    ledger: SqliteLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(ledger, "user", "ip")
    commit(ledger, batch(event(1, user="a", ip="1"), event(2, user="a", ip="2")))
    before = totals(ledger)
    with monkeypatch.context() as patched:
        patched.setattr(relabeling, "_outcome", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            edit(ledger, "user")
    assert totals(ledger) == before
    ledger.close()
    with closing(SqliteLedger.open(tmp_path)) as reopened:
        edit(reopened, "user")
        assert totals(reopened) == {(("user", "a"),): 2}
    with closing(SqliteLedger.open(tmp_path)) as reopened:  # which checks it for damage
        assert totals(reopened) == {(("user", "a"),): 2}
