"""Totals are exact sums of what was added, and whatever could not be added is a value error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.sums import sum_exactly
from tests.support.counting import SOURCE, batch, commit, increment, load, use

EXACT = 2**53
WHOLE = st.one_of(
    st.integers(0, 10),
    st.integers(0, EXACT),
    st.integers(EXACT - 3, EXACT + 3),
    st.integers(EXACT, 2**70),
    st.integers(0, 1023).map(lambda exponent: 2**exponent),
)
ANY = st.one_of(WHOLE.map(float), st.floats(0, 1e18), st.just(1e300))
ENDLESS = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Sums:
    """One series of a ledger that values are added to; each example has a series of its own."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger
        self._examples = 0
        histogram = use("h_total", max_series=10**9, buckets=(1.0, 2.0**53))
        load(ledger, {SOURCE: {"c": use("c_total", max_series=10**9), "h": histogram}})

    def add(self, rule: str, batches: list[list[float]]) -> tuple[float, list[float], int, int]:
        """The total, the values that were added, the value errors, and the observations."""
        self._examples += 1
        user, metric = f"u{self._examples}", f"{rule}_total"
        errors_before = self._errors(rule)
        added: list[float] = []
        so_far = 0.0
        for number, values in enumerate(batches):
            commit(
                self._ledger,
                batch(
                    *(
                        increment(
                            user, event_id=f"{user}-{number}-{i}", rule=rule, metric=metric, value=v
                        )
                        for i, v in enumerate(values)
                    )
                ),
            )
            for value in values:
                after = sum_exactly(so_far, float(value)) if float(value) == value else None
                if after is not None:
                    so_far = after
                    added.append(value)
        series = [s for s in self._ledger.series() if dict(s.key.labels).get("user") == user]
        total = series[0].total if series else 0.0
        assert total == so_far
        observed = sum(series[0].buckets or ()) if series else 0
        return total, added, self._errors(rule) - errors_before, observed

    def _errors(self, rule: str) -> int:
        return sum(t.value_errors for t in self._ledger.rule_totals() if t.rule == rule)


@pytest.fixture
def sums(ledger: SqliteLedger) -> Sums:
    return Sums(ledger)


@ENDLESS
@given(st.sampled_from("ch"), st.lists(st.lists(WHOLE, max_size=6), max_size=4))
def test_whole_numbers_add_up_exactly_in_whatever_order_they_come(
    sums: Sums, rule: str, batches: list[list[int]]
) -> None:
    total, added, errors, observed = sums.add(rule, [[*values] for values in batches])
    assert int(total) == sum(int(value) for value in added)
    assert len(added) + errors == sum(map(len, batches))
    assert observed == (len(added) if rule == "h" else 0)
    # As long as a float can hold it, nothing is refused.
    if sum(map(sum, batches)) <= EXACT:
        assert errors == 0


@ENDLESS
@given(st.sampled_from("ch"), st.lists(ANY, max_size=12))
def test_each_value_leaves_its_trace_in_the_total_or_is_a_value_error(
    sums: Sums, rule: str, values: list[float]
) -> None:
    total, added, errors, observed = sums.add(rule, [[value] for value in values])
    assert len(added) + errors == len(values)
    assert observed == (len(added) if rule == "h" else 0)
    so_far = 0.0
    for value in added:
        assert so_far + value > so_far or value == 0
        so_far += value
    assert total == so_far


def test_a_total_that_can_take_no_more_is_told_once_for_a_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = SqliteLedger.open(tmp_path)
    sums = Sums(ledger)
    assert sums.add("c", [[1e300], [1e6] * 1000, [0.0]]) == (1e300, [1e300, 0.0], 1000, 0)
    assert sums.add("c", [[2.0**53, 1.0, 2.0]])[1:3] == ([2.0**53, 2.0], 1)
    assert sums.add("h", [[2.0**53], [1.0]]) == (2.0**53, [2.0**53], 1, 1)
    told = [line for line in capsys.readouterr().out.splitlines() if "too large" in line]
    assert ["rule=c" in line for line in told] == [True, False]
    assert "rule=h" in told[1]
    assert "1e+300" not in "".join(told)
    ledger.close()
