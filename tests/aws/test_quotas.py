"""Calls keep to AWS's published rates, and stop waiting when the exporter stops."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from exporter.aws.quotas import CallCost, Quotas, published_quota
from exporter.aws.uses import Use
from exporter.model import SourceError

ACCOUNT = "111122223333"


def _times(quotas: Quotas, operation: str, calls: int, threads: int) -> list[float]:
    stop = threading.Event()

    def call(_: int) -> float:
        quotas.wait(operation, ACCOUNT, "eu-west-1", stop)
        return time.monotonic()

    with ThreadPoolExecutor(threads) as pool:
        return sorted(pool.map(call, range(calls)))


@pytest.mark.parametrize(
    ("operation", "region", "rate"),
    [
        ("LookupEvents", "us-east-1", 2),
        ("DescribeLogGroups", "us-east-1", 10),
        ("FilterLogEvents", "us-east-1", 25),
        ("FilterLogEvents", "eu-central-1", 5),
        ("FilterLogEvents", "eu-west-1", 10),
        ("TestMetricFilter", "us-east-1", 5),
        ("GetCallerIdentity", "us-east-1", None),
    ],
)
def test_the_rates_are_those_that_aws_publishes(
    operation: str, region: str, rate: int | None
) -> None:
    assert published_quota(operation, region) == rate


def test_never_more_than_the_quota_in_a_second_over_all_threads() -> None:
    times = _times(Quotas(), "LookupEvents", calls=5, threads=5)

    assert all(later - earlier >= 1 for earlier, later in zip(times, times[2:], strict=False))
    assert times[-1] - times[0] < 3


def test_booked_calls_that_come_late_do_not_meet_those_of_the_next_second() -> None:
    now = 1000.0
    quotas, place = Quotas(clock=lambda: now), ("LookupEvents", ACCOUNT, "us-east-1")
    bucket = quotas.bucket(*place)
    assert bucket is not None
    for _ in range(2):  # both threads that have these tokens are late by a second
        assert bucket.send() == 0
    now += 0.5
    assert bucket.send() == pytest.approx(0.551)


def test_each_account_region_and_operation_has_its_own_budget() -> None:
    quotas, stop = Quotas(), threading.Event()
    began = time.monotonic()
    for account in ("1", "2"):
        for region in ("eu-west-1", "eu-west-2"):
            for _ in range(2):
                quotas.wait("LookupEvents", account, region, stop)
                quotas.wait("FilterLogEvents", account, region, stop)
                quotas.wait("GetCallerIdentity", account, region, stop)

    assert time.monotonic() - began < 0.5


def test_whoever_waits_stops_with_the_exporter() -> None:
    quotas, stop = Quotas(lambda *_: 1), threading.Event()
    quotas.wait("LookupEvents", ACCOUNT, "eu-west-1", stop)
    with ThreadPoolExecutor(4) as pool:
        waiting = [
            pool.submit(quotas.wait, "LookupEvents", ACCOUNT, "eu-west-1", stop) for _ in range(4)
        ]
        began = time.monotonic()
        stop.set()
        reasons = []
        for future in waiting:
            with pytest.raises(SourceError) as caught:
                future.result(timeout=5)
            reasons.append(caught.value.reason)

    assert reasons == ["stopping"] * 4
    assert time.monotonic() - began < 0.5


def test_calls_become_fewer_while_aws_throttles_and_more_again_after() -> None:
    now = 1_000_000
    quotas, place = Quotas(clock=lambda: now / 1000), ("FilterLogEvents", ACCOUNT, "us-east-1")

    def at_once() -> int:
        """Calls that may be made in one second."""
        nonlocal now
        now += 5_000
        calls = 0
        while _take(quotas, place) == 0:
            calls += 1
        return calls

    assert at_once() == 25
    for _ in range(5):
        quotas.throttled(*place)  # in the same second
    assert at_once() == 20
    for _ in range(30):
        now += 2_000
        quotas.throttled(*place)
    assert at_once() == 1
    for _ in range(30):
        now += 15_000
        at_once()
    assert at_once() == 25


def test_one_more_that_is_throttled_is_tried_again_later_and_later() -> None:
    now = 1_000_000
    quotas, place = Quotas(clock=lambda: now / 1000), ("FilterLogEvents", ACCOUNT, "us-east-1")
    throttles = []
    while now < 5_000_000:
        now += 5_000
        calls = 0
        while _take(quotas, place) == 0:
            calls += 1
        if calls > 10:  # what AWS allows this account
            quotas.throttled(*place)
            throttles.append(now)
    pauses = [later - earlier for earlier, later in itertools.pairwise(throttles)]
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 480_000


def _take(quotas: Quotas, place: tuple[str, str, str]) -> float:
    ticket = quotas.ticket(*place, Use())
    assert ticket is not None
    delay = ticket.take()
    ticket.leave()
    return delay


def test_a_step_whose_calls_are_made_elsewhere_takes_no_token() -> None:
    quotas, stop, place = Quotas(), threading.Event(), ("LookupEvents", ACCOUNT, "us-east-1")
    cost = CallCost(quotas, *place, elsewhere=lambda: True)
    for _ in range(10):
        assert cost.ticket(0.0) is None
        with cost.paid():
            pass
    began = time.monotonic()
    with cost.paid():
        for _ in range(3):
            quotas.wait(*place, stop)
    assert time.monotonic() - began >= 1, "a call of its own takes a token"
