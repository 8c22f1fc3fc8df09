"""Messages of a queue that are being worked off: received, kept invisible, deleted."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import structlog

from exporter.aws.queues import MOST_AT_ONCE, Message, Queue
from exporter.model import SourceError

VISIBILITY: Final = 60
"""Seconds for which a message is invisible to others; extended while it is worked on."""
_EXTEND_AFTER: Final = VISIBILITY / 3
_MOST_MESSAGES: Final = 100
_MOST_CHARACTERS: Final = 4 * 1024 * 1024
"""Above one of these limits, receiving stops. AWS: a message has at most 1 MiB."""
_WAIT_AHEAD: Final = 1
"""Seconds that a receive ahead waits for a message: with any wait, AWS asks all of its servers."""

_log = structlog.get_logger(__name__)


class Inbox:
    """The messages that were received and are not worked off. One poll at a time.

    If their commit fails, they are kept, invisible to others, and worked off by the next poll. So
    a ledger that fails for a while uses up none of the receives that the redrive policy allows.

    As long as receives fill the limits, the next messages are received in a thread while these are
    worked off, and those that are worked off are deleted there.
    """

    def __init__(self, queue: Queue, source: str) -> None:
        self._queue = queue
        self._source = source
        self._held: dict[str, Message] = {}
        """By receipt."""
        self._given: Sequence[Message] = ()
        """Those that the last ``receive`` returned."""
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self._deletes: list[Future[None]] = []
        self._ahead: Future[int] | None = None
        self._released = False
        self._undeleted = False

    def receive(self, *, wait: int) -> tuple[list[Message], int]:
        """Messages to work off, and the number of malformed ones; raises SourceError.

        Those that are kept come first. Otherwise the queue is asked, and asked again as long as a
        receive is full. ``wait``: seconds to wait for a message. An error of ``delete`` may be
        raised here.
        """
        malformed = self._end_ahead()
        if not self._held:
            malformed += self._receive(wait)
        with self._lock:
            is_done = not any(one.receipt in self._held for one in self._given)
            messages = self._given = list(self._held.values())
        # Nothing is received ahead as long as commits fail.
        if is_done and _is_full(messages):
            self._ahead = self._thread.submit(self._receive, _WAIT_AHEAD)
        return messages, malformed

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages whose events are committed; raises SourceError."""
        self.leave(messages)
        if self._ahead is None:
            self._delete(messages)
        else:
            self._deletes.append(self._thread.submit(self._delete, messages))

    def leave(self, messages: Sequence[Message]) -> None:
        """Leave messages to the queue: they become visible again when their time is over."""
        with self._lock:
            for one in messages:
                self._held.pop(one.receipt, None)
            if not self._held:
                self._stop_timer()

    def release(self) -> None:
        """Give all messages back to the queue, in the background: there is no further poll."""
        with self._lock:
            self._released = True
            messages = list(self._held.values())
            self._held = {}
            self._stop_timer()
        if messages:
            threading.Thread(target=self._give_back, args=[messages], daemon=True).start()

    def _end_ahead(self) -> int:
        """Wait until the thread is done; returns the number of malformed messages."""
        deletes, self._deletes = self._deletes, []
        ahead, self._ahead = self._ahead, None
        malformed = 0 if ahead is None else ahead.result()
        for one in deletes:
            one.result()
        return malformed

    def _receive(self, wait: int) -> int:
        """Receive and hold messages; returns the number of malformed ones."""
        messages: list[Message] = []
        malformed = 0
        while True:
            more, odd = self._queue.receive(wait=0 if messages else wait, visibility=VISIBILITY)
            self._hold(more)
            messages += more
            malformed += odd
            if len(more) < MOST_AT_ONCE or _is_full(messages):
                return malformed

    def _delete(self, messages: Sequence[Message]) -> None:
        failed = self._queue.delete(messages)
        if failed and not self._undeleted:
            _log.warning(
                "messages could not be deleted: they come again, and count once",
                source=self._source,
                messages=failed,
            )
        self._undeleted = failed > 0

    def _give_back(self, messages: Sequence[Message]) -> None:
        with suppress(SourceError):  # they become visible when their time is over
            self._queue.extend(messages, visibility=0)

    def _hold(self, messages: Sequence[Message]) -> None:
        with self._lock:
            if self._released:
                return
            self._held |= {one.receipt: one for one in messages}
            if self._held and self._timer is None:
                self._start_timer()

    def _start_timer(self) -> None:
        self._timer = threading.Timer(_EXTEND_AFTER, self._extend)
        self._timer.daemon = True
        self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _extend(self) -> None:
        with self._lock:
            messages = list(self._held.values())
            if not messages:
                self._timer = None
                return
            self._start_timer()
        try:
            self._queue.extend(messages, visibility=VISIBILITY)
        except SourceError as error:
            _log.debug("extending visibility failed", source=self._source, error=str(error))


def _is_full(messages: Sequence[Message]) -> bool:
    characters = sum(len(one.body) for one in messages)
    return len(messages) >= _MOST_MESSAGES or characters >= _MOST_CHARACTERS
