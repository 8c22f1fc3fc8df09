"""Polls that hang stop nobody else's; jobs keep to their intervals."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial

import pytest

from exporter.aws.quotas import CallCost, Quotas
from exporter.runtime.scheduling import Scheduler
from tests.support.waiting import wait_for


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    scheduler.start()
    yield scheduler
    scheduler.stop()


def test_a_region_whose_polls_all_hang_keeps_no_other_region_and_no_other_source_waiting(
    scheduler: Scheduler,
) -> None:
    release = threading.Event()
    polled = [threading.Event(), threading.Event()]

    def hang() -> None:
        release.wait()

    try:
        for _ in range(500):
            scheduler.every(3600, hang, queue="apps eu-west-1")
        for queue, event in zip(("apps us-east-1", "history eu-west-1"), polled, strict=True):
            scheduler.every(3600, event.set, queue=queue)
        assert all(event.wait(10) for event in polled)
    finally:
        release.set()


def test_any_number_of_regions_that_hang_keeps_no_other_waiting() -> None:
    scheduler, release, polled = Scheduler(workers=4), threading.Event(), threading.Event()
    scheduler.start()
    try:
        for region in range(20):
            scheduler.every(3600, lambda: release.wait() and None, queue=f"region {region}")
        scheduler.every(3600, polled.set, queue="another region")
        assert polled.wait(10)
    finally:
        release.set()
        scheduler.stop()


def test_a_call_that_takes_longer_than_its_interval_is_not_made_twice_at_once(
    scheduler: Scheduler,
) -> None:
    running = threading.Semaphore(1)
    calls: list[bool] = []
    enough = threading.Event()

    def slow() -> None:
        calls.append(running.acquire(blocking=False))
        time.sleep(0.05)
        running.release()
        if len(calls) >= 5:
            enough.set()

    scheduler.every(0.01, slow, queue="slow")
    assert enough.wait(10)
    assert all(calls)


def test_a_call_says_itself_when_it_is_due_next(scheduler: Scheduler) -> None:
    calls = 0
    enough = threading.Event()

    def behind() -> float | None:
        nonlocal calls
        calls += 1
        if calls == 3:
            enough.set()
        return 0.0 if calls < 3 else None

    job = scheduler.every(3600, behind, queue="behind")
    assert enough.wait(10)
    while job.due_in is None:
        time.sleep(0.01)
    assert 3500 < job.due_in <= 3600


def test_a_job_can_be_brought_forward_and_is_called_no_more_once_it_is_cancelled(
    scheduler: Scheduler,
) -> None:
    called = threading.Event()
    job = scheduler.every(3600, called.set, queue="soon", delay=3600)
    job.run_within(0.01)
    assert called.wait(10)
    job.cancel()
    assert job.due_in is None


def test_all_queues_together_have_a_bounded_number_of_threads() -> None:
    scheduler = Scheduler(workers=4)
    release = threading.Event()
    lock = threading.Lock()
    running = most = done = 0

    def call() -> None:
        nonlocal running, most, done
        with lock:
            running += 1
            most = max(most, running)
        release.wait(10)
        with lock:
            running -= 1
            done += 1

    for number in range(40):
        scheduler.every(3600, call, queue=f"queue {number % 8}")
    scheduler.start()
    try:
        wait_for("a call of each queue", lambda: running == 8)
        release.set()
        wait_for("all calls", lambda: done == 40)
        assert most == 8
    finally:
        release.set()
        scheduler.stop()


def test_many_regions_that_come_together_begin_one_after_the_other() -> None:
    scheduler = Scheduler(workers=4)  # not started: nothing is called
    requests = [scheduler.every(60, lambda: None, queue=f"region {n}") for n in range(500)]
    in_queue = scheduler.every(60, lambda: None, queue="region 499")
    due = [request.due_in for request in requests]
    assert due[:4] == [0, 0, 0, 0]
    assert due[499] is not None
    assert 2 < due[499] <= 5
    assert in_queue.due_in == 0
    scheduler.stop()


def test_waiting_for_a_quota_holds_no_thread_and_calls_keep_to_it(scheduler: Scheduler) -> None:
    quotas, stop = Quotas(lambda *_: 2), threading.Event()
    threads: set[str] = set()
    times: list[float] = []

    def call() -> None:
        quotas.wait("LookupEvents", "1", "eu-west-1", stop)  # as the AWS client does
        threads.add(threading.current_thread().name)
        times.append(time.monotonic())

    for _ in range(6):
        for queue in ("history", "audit"):  # two sources of one account and region
            cost = CallCost(quotas, "LookupEvents", "1", "eu-west-1")
            scheduler.every(3600, call, queue=queue, cost=cost)
    wait_for("seven calls", lambda: len(times) >= 7)
    assert all(later - earlier >= 1 for earlier, later in zip(times, times[2:], strict=False))
    assert times[6] - times[0] < 4
    assert len(threads) <= 2


def test_a_request_that_is_cancelled_while_it_waits_for_its_quota_is_not_called(
    scheduler: Scheduler,
) -> None:
    quotas = Quotas(lambda *_: 1)
    calls: list[str] = []
    cost = CallCost(quotas, "LookupEvents", "1", "eu-west-1")
    requests = {
        name: scheduler.every(3600, partial(calls.append, name), queue="history", cost=cost)
        for name in ("first", "second", "third")
    }
    wait_for("the first call", lambda: calls)
    requests["second"].cancel()
    wait_for("the third call", lambda: len(calls) == 2)
    assert calls == ["first", "third"]


def test_cancelled_requests_are_not_kept_until_they_would_have_been_due(
    scheduler: Scheduler,
) -> None:
    kept = scheduler.every(3600, lambda: None, queue="kept", delay=3600)
    cancelled = []
    for _ in range(20):
        requests = [
            scheduler.every(3600, lambda: None, queue="reloaded", delay=3600) for _ in range(500)
        ]
        cancelled += [weakref.ref(request) for request in requests]
        for request in requests:
            request.cancel()
        del request, requests
    assert sum(reference() is not None for reference in cancelled) < 100
    assert kept.due_in is not None


def test_what_has_been_due_for_longest_comes_first(scheduler: Scheduler) -> None:
    """One that has always more to do does not keep the others of its queue waiting."""
    quotas = Quotas(lambda *_: 20)
    calls: list[str] = []

    def busy() -> float:
        calls.append("busy")
        return 0.0

    cost = CallCost(quotas, "FilterLogEvents", "1", "eu-west-1")
    for _ in range(8):
        scheduler.every(3600, busy, queue="apps", cost=cost)
    for number in range(8):
        name = f"quiet {number}"
        scheduler.every(3600, partial(calls.append, name), queue="apps", cost=cost, delay=0.5)
    wait_for("all quiet ones", lambda: len(set(calls)) == 9)
    first, last = (calls.index(f"quiet {number}") for number in (0, 7))
    assert last - first < 24


def test_an_error_in_a_call_does_not_end_its_job(scheduler: Scheduler) -> None:
    calls: list[int] = []
    enough = threading.Event()

    def broken() -> None:
        calls.append(1)
        if len(calls) == 3:
            enough.set()
        raise RuntimeError("broken")

    scheduler.every(0.01, broken, queue="broken")
    assert enough.wait(10)
