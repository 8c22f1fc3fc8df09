"""Requests that are due by the monotonic clock, and the pool of workers that runs them."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol

import structlog

_log = structlog.get_logger(__name__)

WORKERS: Final = 128
"""Threads of the pool, or one for each queue if there are more. They wait for AWS, not a core."""
_MOST_THREADS: Final = 4096
_QUEUE_WORKERS: Final = 8
"""The most threads of one queue, so a region that hangs leaves some to the others."""

_APART: Final = 0.01
"""Seconds between the first calls of new queues, if more than the pool's share come together. With
1,700 accounts and regions, each would need a thread of 80 KiB otherwise, at every interval."""

_FREE: Final = nullcontext(lambda: False)
"""Where calls cost nothing."""
_FEW_TIMERS: Final = 64
"""Timers that are not worth dropping."""


class Ticket(Protocol):
    """A place in line for the token of a call."""

    def take(self) -> float:
        """Take the token and return 0, or return the seconds until it is worth asking again."""

    def leave(self) -> None:
        """Give up the place."""


class Cost(Protocol):
    """The share of an API's quota that a call takes."""

    @property
    def until(self) -> float:
        """When the next call gets a lower rank; infinite if it keeps its rank."""

    def rank(self, now: float) -> int:
        """How urgent the next call is; lower ranks come first."""

    def ticket(self, since: float) -> Ticket | None:
        """A place in line for a call that was due at a time; None if it takes no token."""

    def paid(self) -> AbstractContextManager[Callable[[], bool]]:
        """A context in which one call of this thread is made with the token that was taken.

        Its value returns whether the token is still left.
        """


class _State(Enum):
    IDLE = auto()
    """It runs, or was cancelled."""
    WAITING = auto()
    READY = auto()
    """It is due, and waits for a worker of its queue."""
    QUEUED = auto()
    """It waits for a token."""


class Request:
    """A call that is repeated, one at a time."""

    def __init__(
        self,
        scheduler: Scheduler,
        call: Callable[[], float | None],
        interval: float,
        queue: str,
        cost: Cost | None,
    ) -> None:
        self.interval = interval
        self.queue = queue
        self._call = call
        self._cost = cost
        self._scheduler = scheduler
        self._state = _State.IDLE
        self._running = False
        self._cancelled = False
        self._planned = 0.0
        """When it was last due by its interval."""
        self._due = 0.0
        self._soon = math.inf
        self._timer = 0
        self._ticket: Ticket | None = None
        self._rank = 0
        self._served: dict[int, float] = {}
        """When it last had a token for each rank, except the lowest."""
        self._entry = 0
        """The number of its place in a heap."""

    @property
    def due_in(self) -> float | None:
        """Seconds until the next call; None while it runs or after it was cancelled."""
        idle = self._state is _State.IDLE
        return None if idle else max(0.0, self._due - self._scheduler._clock())

    def cancel(self) -> None:
        """Stop the calls. A call in progress continues."""
        self._scheduler.cancel(self)

    def run_within(self, seconds: float) -> None:
        """Bring the next call forward if it is due later than in so many seconds."""
        self._scheduler.bring_forward(self, seconds)


def _nothing() -> None:
    """The call of a cancelled request."""


@dataclass(slots=True)
class _Queue:
    """Requests that share a quota and the fate of a region: they have some of the workers."""

    requests: int = 0
    busy: int = 0
    """Its busy workers."""
    ready: dict[int, list[tuple[float, int, Request]]] = field(default_factory=dict)
    """A heap for each rank. The request is first that has been due for longest, or of higher ranks
    the one that has been without a token for longest."""
    queued: dict[int, Request] = field(default_factory=dict)
    """The request of each rank that waits for a token."""


class Scheduler:
    """Runs requests by the monotonic clock; thread-safe.

    A due request takes the token that it costs, and only then a worker: waiting for a quota uses
    no thread. The first request of each rank waits in line for a token. One
    pool of workers serves all queues. Each queue has a share of ``workers``, and one worker at
    least, even if all other queues hang. A request whose call is still in progress when it is due
    again is skipped that time.
    """

    def __init__(
        self,
        workers: int = WORKERS,
        *,
        clock: Callable[[], float] = time.monotonic,
        pool: Executor | None = None,
    ) -> None:
        """``clock`` returns seconds and never goes back. ``pool`` makes the calls."""
        self._workers = workers
        self._clock = clock
        # Threads are made when they are needed; ``_dispatch`` keeps to the limits of queues.
        self._pool = pool or ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="worker")
        self._changed = threading.Condition()
        self._timers: list[tuple[float, int, Request]] = []
        self._numbers = itertools.count(1)
        self._queues: dict[str, _Queue] = {}
        self._requests = 0
        """Those of all queues: a source that goes cancels thousands, one after the other."""
        self._began = -math.inf
        """When the last new queue may begin, if each takes ``_APART``."""
        self._stopped = False

    def start(self) -> None:
        """Begin; requests that were added before are due now."""
        threading.Thread(target=self._run, name="scheduler", daemon=True).start()

    def stop(self) -> None:
        """Make no further call. Calls that are under way are not waited for."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def every(
        self,
        interval: float,
        call: Callable[[], float | None],
        *,
        queue: str,
        cost: Cost | None = None,
        delay: float = 0.0,
    ) -> Request:
        """Make a call in ``delay`` seconds and from then on every ``interval`` seconds.

        ``call`` returns None, or in how many seconds it wants to be called next instead. ``queue``
        names the requests that it shares workers with; ``cost`` is taken before each call.
        """
        request = Request(self, call, interval, queue, cost)
        with self._changed:
            now = self._clock()
            if queue not in self._queues:
                self._queues[queue] = _Queue()
                self._began = max(self._began + _APART, now - self._workers * _APART)
                delay = max(delay, self._began - now)
            self._queues[queue].requests += 1
            self._requests += 1
            request._planned = now + delay
            self._enter(request, request._planned)
        return request

    def cancel(self, request: Request) -> None:
        """See ``Request.cancel``."""
        with self._changed:
            if request._cancelled:
                return
            request._cancelled = True
            request._call = _nothing  # its timer may be an hour away
            request._timer = 0
            queue = self._queues[request.queue]
            if request._state is _State.QUEUED:
                self._leave(request, queue)
            request._state = _State.IDLE
            queue.requests -= 1
            self._requests -= 1
            if queue.requests:
                self._dispatch(queue)
            else:
                del self._queues[request.queue]
            self._drop_old_timers()

    def bring_forward(self, request: Request, seconds: float) -> None:
        """See ``Request.run_within``."""
        with self._changed:
            moment = self._clock() + seconds
            if request._running:
                request._soon = min(request._soon, moment)
            elif request._state is _State.WAITING and request._due > moment:
                self._enter(request, moment)

    def run_due(self) -> float | None:
        """Give workers what is due; return in how many seconds more is, None for never.

        A thread does this after ``start``. A simulation calls it instead.
        """
        with self._changed:
            now = self._clock()
            while self._timers and self._timers[0][0] <= now:
                _, number, request = heapq.heappop(self._timers)
                if request._timer == number:
                    self._timed(request)
            return self._timers[0][0] - now if self._timers else None

    def _run(self) -> None:
        with self._changed:
            while not self._stopped:
                self._changed.wait(self.run_due())

    def _timed(self, request: Request) -> None:
        """The moment has come that a request waits for."""
        queue = self._queues.get(request.queue)
        if queue is None:
            return
        if request._state is _State.WAITING:
            self._make_ready(request, queue)
        elif request._state is _State.READY:
            self._make_ready(request, queue)  # it is more urgent now
        elif request._state is _State.QUEUED:
            if queue.busy < self._most_busy and request._rank == self._rank(request):
                self._take(request, queue)
            else:
                self._leave(request, queue)
                self._make_ready(request, queue)
        self._dispatch(queue)

    def _enter(self, request: Request, moment: float) -> None:
        request._state, request._due = _State.WAITING, moment
        self._set_timer(request, moment)

    def _set_timer(self, request: Request, moment: float) -> None:
        request._timer = next(self._numbers)
        heapq.heappush(self._timers, (moment, request._timer, request))
        if self._timers[0][2] is request:
            self._changed.notify()

    def _drop_old_timers(self) -> None:
        """Keep no timers of cancelled requests, once they are the majority."""
        if len(self._timers) > 2 * self._requests + _FEW_TIMERS:
            self._timers = [timer for timer in self._timers if timer[2]._timer == timer[1]]
            heapq.heapify(self._timers)

    def _make_ready(self, request: Request, queue: _Queue) -> None:
        request._state, request._rank = _State.READY, self._rank(request)
        request._entry = next(self._numbers)
        heap = queue.ready.setdefault(request._rank, [])
        since = request._served.get(
            request._rank, request._due if request._rank == 0 else -math.inf
        )
        heapq.heappush(heap, (since, request._entry, request))
        if request._cost is not None and request._rank > 0 and request._cost.until < math.inf:
            self._set_timer(request, request._cost.until)

    def _rank(self, request: Request) -> int:
        return 0 if request._cost is None else request._cost.rank(self._clock())

    @property
    def _most_busy(self) -> int:
        return max(1, min(_QUEUE_WORKERS, self._workers // len(self._queues)))

    def _dispatch(self, queue: _Queue) -> None:
        """Give a queue's requests the available tokens and workers."""
        limit = self._most_busy
        for rank, heap in sorted(queue.ready.items()):
            while heap and queue.busy < limit and rank not in queue.queued:
                _, entry, request = heapq.heappop(heap)
                if request._state is not _State.READY or request._entry != entry:
                    continue
                cost = request._cost
                request._ticket = None if cost is None else cost.ticket(request._due)
                request._state, queue.queued[request._rank] = _State.QUEUED, request
                self._take(request, queue)

    def _take(self, request: Request, queue: _Queue) -> None:
        """Hand a request over if there is a token, or ask again later."""
        delay = 0.0 if request._ticket is None else request._ticket.take()
        if delay > 0:
            until = request._cost.until if request._cost and request._rank > 0 else math.inf
            self._set_timer(request, min(self._clock() + delay, until))
        else:
            self._leave(request, queue)
            self._hand_over(request, queue)

    def _leave(self, request: Request, queue: _Queue) -> None:
        """Take a request out of the line."""
        ticket, request._ticket = request._ticket, None
        if ticket is not None:
            ticket.leave()
        del queue.queued[request._rank]

    def _hand_over(self, request: Request, queue: _Queue) -> None:
        request._state, request._running = _State.IDLE, True
        if request._rank:
            request._served[request._rank] = self._clock()
        queue.busy += 1
        if not self._stopped:
            self._pool.submit(self._work, request, queue)

    def _work(self, request: Request, queue: _Queue) -> None:
        wanted: float | None = None
        try:
            if not request._cancelled:
                with request._cost.paid() if request._cost else _FREE as is_left:
                    wanted = request._call()
                    if wanted == 0.0 and is_left():  # the turn of what it did before is over
                        request._planned = self._clock()
                        wanted = request._call()
        except Exception:
            _log.exception("internal error in a scheduled call")
        with self._changed:
            queue.busy -= 1
            request._running = False
            if self._stopped:
                return
            if not request._cancelled:
                self._plan(request, queue, wanted)
            if self._queues:
                self._dispatch(queue)

    def _plan(self, request: Request, queue: _Queue, wanted: float | None) -> None:
        """Say when a request is due next, after a call."""
        now = self._clock()
        if wanted is None:
            missed = max(0.0, (now - request._planned) // request.interval)
            request._planned += (missed + 1) * request.interval
        moment = request._planned if wanted is None else now + wanted
        soon, request._soon = request._soon, math.inf
        moment = min(moment, max(soon, now))
        if moment > now:
            self._enter(request, moment)
        else:
            request._due = moment
            self._make_ready(request, queue)
