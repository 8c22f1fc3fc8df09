"""Faults that the embedded AWS can inject."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus

from metric_filter_demo import answers
from metric_filter_demo.patterns import Doubts
from metric_filter_demo.protocol import ApiError, Request, Response


class ConnectionDropped(Exception):  # noqa: N818 - it is no error of ours, it is the fault itself
    """The connection is to be closed without an answer."""


class Drip(Enum):
    """Bytes after which an answer comes one byte a second."""

    NOT = auto()
    HEADERS = auto()
    BODY = auto()


@dataclass(frozen=True, slots=True)
class Faults:
    """Kinds of faults and their frequency. Probabilities are per call (0: never, 1: always)."""

    throttle: float = 0.0
    """Calls refused with ThrottlingException, though the quota is not used up."""
    error: float = 0.0
    """Calls that end in HTTP 500 (InternalFailure) or 503 (ServiceUnavailable)."""
    refuse: float = 0.0
    """Calls refused with AccessDeniedException, which no SDK tries again by itself."""
    drop: float = 0.0
    """Calls whose connection is closed without an answer."""
    slow: tuple[float, float] = (0.0, 0.0)
    """Seconds that a call takes longer: from, to."""
    denied: Mapping[str | tuple[str, str], Collection[str]] = field(default_factory=dict)
    """Operations that are denied in a region, or in an (account, region); ``*``: all of them."""
    expired: bool = False
    """Whether every call is refused with ExpiredTokenException."""
    operations: Collection[str] | None = None
    """Operations with faults (denied and expired apply to all); by default all."""
    empty_page: float = 0.0
    """Pages that are empty and carry a token, though there is more to give."""
    page_size: tuple[int, int] | None = None
    """Bounds of a random number of events a page; by default as many as AWS allows."""
    duplicate: float = 0.0
    """Probability that an event comes twice in its page, with the same id."""
    hollow: float = 0.0
    """Successes that say nothing: ``{}``, a list that is null, a token without a list."""
    odd: float = 0.0
    """Pages with null, numbers, texts and records of wrong types between their records."""
    endless: float = 0.0
    """Pages that are empty and carry a token that is new each time, or one of two that alternate;
    the token repeats the call."""
    gzip: float = 0.0
    """Answers with ``Content-Encoding: gzip``, without a request for gzip."""
    drip: float = 0.0
    """Answers that come one byte a second: half of them from the first header on, half of them
    from the body on."""
    doubts: Doubts = Doubts()  # noqa: RUF009 - it is frozen
    """Filter patterns on which AWS's answer is not certain get another than the exporter's."""
    seed: int = 0
    """Starts the random numbers: the same calls meet the same faults."""


class FaultInjector:
    """Draws the faults of each call. ``faults`` can be replaced at any time. Thread-safe."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._lock = threading.Lock()
        self.faults = faults or Faults()

    @property
    def faults(self) -> Faults:
        """The faults in force."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        with self._lock:
            self._faults = faults
            # Reproducible faults are the point; nothing secret depends on these numbers.
            self._random = random.Random(faults.seed)  # noqa: S311

    def before(self, request: Request) -> None:
        """Delay the call, or raise ApiError or ConnectionDropped in its place."""
        faults = self.faults
        if faults.expired:
            raise ApiError(
                "ExpiredTokenException", "The security token included in the request is expired"
            )
        self._deny(faults, request)
        if not self._concerns(request):
            return
        if faults.slow[1] > 0:
            time.sleep(self._uniform(*faults.slow))
        if self._happens(faults.drop):
            raise ConnectionDropped
        if self._happens(faults.refuse):
            raise _denied(request)
        if self._happens(faults.throttle):
            raise ApiError("ThrottlingException", "Rate exceeded")
        if self._happens(faults.error):
            if self._happens(0.5):
                raise ApiError("InternalFailure", "An internal error occurred.", status=500)
            raise ApiError("ServiceUnavailableException", "Try again later.", status=503)

    def in_place_of(self, request: Request) -> Response | None:
        """The answer instead of the true one, if any; ``request`` as ``resumed`` marked it."""
        if not self._concerns(request):
            return None
        if self._happens(self.faults.hollow):
            with self._lock:
                return answers.hollow(request, self._random)
        if self._happens(self.faults.endless):
            with self._lock:
                return answers.endless(request, self._random)
        return None

    def disturbed(self, request: Request, response: Response) -> Response:
        """The answer as it arrives: itself, with odd records, compressed."""
        if not self._concerns(request):
            return response
        if response.status == HTTPStatus.OK and self._happens(self.faults.odd):
            with self._lock:
                response = answers.odd(request, response, self._random)
        return answers.compressed(response) if self._happens(self.faults.gzip) else response

    def drips(self, request: Request) -> Drip:
        """How the answer trickles in."""
        if not self._concerns(request) or not self._happens(self.faults.drip):
            return Drip.NOT
        return Drip.HEADERS if self._happens(0.5) else Drip.BODY

    def page(self, most: int) -> int:
        """Maximum events of the next page, 0 for an empty page with a token."""
        faults = self.faults
        if self._happens(faults.empty_page):
            return 0
        if faults.page_size is None:
            return most
        with self._lock:
            return min(most, self._random.randint(*faults.page_size))

    def duplicated(self) -> bool:
        """Whether the next event of a page comes twice."""
        return self._happens(self.faults.duplicate)

    def _concerns(self, request: Request) -> bool:
        operations = self.faults.operations
        return operations is None or request.operation in operations

    def _deny(self, faults: Faults, request: Request) -> None:
        for scope in (request.region, (request.account, request.region)):
            operations = faults.denied.get(scope, ())
            if "*" in operations or request.operation in operations:
                raise _denied(request)

    def _happens(self, probability: float) -> bool:
        if probability <= 0:
            return False
        with self._lock:
            return self._random.random() < probability

    def _uniform(self, low: float, high: float) -> float:
        with self._lock:
            return self._random.uniform(low, high)


def _denied(request: Request) -> ApiError:
    action = f"{request.service}:{request.operation}"
    return ApiError(
        "AccessDeniedException",
        f"User: arn:aws:iam::{request.account}:user/demo is not authorized to perform: {action}"
        f" because no identity-based policy allows the {action} action",
    )
