"""Jobs at intervals, each in the threads of its lane."""

from __future__ import annotations

import math
import sched
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import structlog

_log = structlog.get_logger(__name__)

THREADS = 8
"""Threads of a lane. They wait for AWS or for a quota, not for a core; a region that hangs keeps
its own threads waiting and nobody else's."""


class Job:
    """A call that is made again and again, one at a time."""

    def __init__(
        self, scheduler: Scheduler, call: Callable[[], float | None], interval: float, lane: str
    ) -> None:
        self.interval = interval
        """Seconds between two calls; may be changed."""
        self.lane = lane
        self._call = call
        self._scheduler = scheduler
        self._event: sched.Event | None = None
        self._running = False
        self._cancelled = False
        self._due = 0.0
        self._soon = math.inf

    @property
    def due_in(self) -> float | None:
        """Seconds until the next call; None while it runs or after it was cancelled."""
        event = self._event
        return None if event is None else max(0.0, event.time - self._scheduler.now())

    def cancel(self) -> None:
        """Call it no more. A call that is under way goes on."""
        self._scheduler.cancel(self)

    def run_within(self, seconds: float) -> None:
        """Bring the next call forward, where it is due later than in so many seconds."""
        self._scheduler.bring_forward(self, seconds)


@dataclass(slots=True)
class _Lane:
    executor: ThreadPoolExecutor
    jobs: int = 0


class Scheduler:
    """Runs jobs by the monotonic clock, which nobody can set; thread-safe.

    A job whose call is still under way when it is due again is left out that time.
    """

    def __init__(self) -> None:
        self._queue = sched.scheduler(time.monotonic)
        self._lanes: dict[str, _Lane] = {}
        self._guard = threading.RLock()
        self._changed = threading.Event()
        self._stopped = False

    def start(self) -> None:
        """Begin; jobs that were added before are due now."""
        threading.Thread(target=self._run, name="scheduler", daemon=True).start()

    def stop(self) -> None:
        """Make no further call. Calls that are under way are not waited for."""
        with self._guard:
            self._stopped = True
            for lane in self._lanes.values():
                lane.executor.shutdown(wait=False, cancel_futures=True)
            self._lanes.clear()
        self._changed.set()

    def every(
        self, interval: float, call: Callable[[], float | None], *, lane: str, delay: float = 0.0
    ) -> Job:
        """Make a call in ``delay`` seconds and from then on every ``interval`` seconds.

        ``call`` returns None, or in how many seconds it wants to be called next instead. ``lane``
        names the threads that it runs in; they end with the last job of the lane.
        """
        job = Job(self, call, interval, lane)
        with self._guard:
            if lane not in self._lanes:
                self._lanes[lane] = _Lane(ThreadPoolExecutor(THREADS, thread_name_prefix=lane))
            self._lanes[lane].jobs += 1
            self._enter(job, self.now() + delay)
        return job

    def jobs_in(self, lane: str) -> int:
        """How many jobs a lane has."""
        with self._guard:
            return self._lanes[lane].jobs if lane in self._lanes else 0

    def now(self) -> float:
        """The clock that jobs are due by, seconds."""
        return time.monotonic()

    def cancel(self, job: Job) -> None:
        """See ``Job.cancel``."""
        with self._guard:
            if job._cancelled:
                return
            job._cancelled = True
            self._leave(job)
            lane = self._lanes.get(job.lane)
            if lane is None:
                return
            lane.jobs -= 1
            if not lane.jobs:
                del self._lanes[job.lane]
                lane.executor.shutdown(wait=False)

    def bring_forward(self, job: Job, seconds: float) -> None:
        """See ``Job.run_within``."""
        with self._guard:
            moment = self.now() + seconds
            if job._running:
                job._soon = min(job._soon, moment)
            elif job._event is not None and job._event.time > moment:
                self._leave(job)
                self._enter(job, moment)

    def _run(self) -> None:
        while not self._stopped:
            self._changed.clear()
            self._changed.wait(self._queue.run(blocking=False))

    def _enter(self, job: Job, moment: float) -> None:
        job._due = moment
        job._event = self._queue.enterabs(moment, 0, self._hand_over, (job, moment))
        self._changed.set()

    def _leave(self, job: Job) -> None:
        event, job._event = job._event, None
        if event is not None:
            with suppress(ValueError):  # it is being handed over: see there
                self._queue.cancel(event)

    def _hand_over(self, job: Job, moment: float) -> None:
        with self._guard:
            lane = self._lanes.get(job.lane)
            if lane is None or job._cancelled or job._running or job._due != moment:
                return
            job._event, job._running = None, True
            lane.executor.submit(self._call, job)

    def _call(self, job: Job) -> None:
        wanted: float | None = None
        try:
            if not job._cancelled:
                wanted = job._call()
        except Exception:
            _log.exception("internal error in a scheduled call")
        with self._guard:
            job._running = False
            if job._cancelled or self._stopped:
                return
            now = self.now()
            if wanted is None:
                missed = (now - job._due) // job.interval
                moment = job._due + (missed + 1) * job.interval
            else:
                moment = now + wanted
            soon, job._soon = job._soon, math.inf
            self._enter(job, min(moment, max(soon, now)))
