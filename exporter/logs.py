"""Log lines on standard error: their format, and one line for failures that repeat."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any, Final, Literal

import structlog

LogLevel = Literal["debug", "info", "warn", "error"]
LogFormat = Literal["logfmt", "json"]

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_QUIET = ("asyncio", "boto3", "botocore", "urllib3", "uvicorn.access", "werkzeug")
"""Libraries that log at every call; at debug some would log signatures and answers, which must
never reach a log."""
_SILENT = ("botocore.credentials",)
"""Loggers of errors that are raised as well: sources report them, without a traceback."""
_ORDER = ("time", "level", "msg")


def configure_logging(level: LogLevel, log_format: LogFormat) -> None:
    """Send everything that is logged, through structlog or not, to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("msg"),
        _plain,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if log_format == "logfmt":
        renderer = structlog.processors.LogfmtRenderer(
            key_order=_ORDER, drop_missing=True, bool_as_flag=False
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, _LEVELS[level]))
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)


def _plain(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Prometheus's word for the level, and no characters that would break a line in two.

    Empty values are left out.
    """
    for key in [key for key, value in event.items() if value is None or value == ""]:
        del event[key]
    if event.get("level") == "warning":
        event["level"] = "warn"
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() or c == "\n" else " " for c in value)
    return event


_log = structlog.get_logger(__name__)

TELL_EVERY: Final = 600.0
"""Seconds between two lines about a failure that lasts."""

_MOST_TOLD: Final = 5
"""Different errors logged in that time; each message may be different."""


class Failures:
    """Repeated failures of one operation, and their log lines; thread-safe.

    A line when it begins, one for each error that is another, one each ten minutes while it lasts,
    and one when it is over that says how long it was and how often it failed.
    """

    def __init__(
        self, what: str, *, clock: Callable[[], float] = time.monotonic, **facts: str
    ) -> None:
        """``what`` begins each message ("poll"), ``facts`` are in each line.

        ``clock`` gives seconds from any point on.
        """
        self._what = what
        self._facts = facts
        self._clock = clock
        self._lock = threading.Lock()
        self._count = 0
        self._since = 0.0
        self._told_at = 0.0
        self._told: set[str] = set()

    def failed(self, error: Exception) -> None:
        """It failed once more. Of an internal error, the frames are logged with it."""
        with self._lock:
            now = self._clock()
            if not self._count:
                self._since = self._told_at = now
                self._told.clear()
            self._count += 1
            due = now - self._told_at >= TELL_EVERY
            if due:
                self._told_at = now
                self._told.clear()
            elif str(error) in self._told or len(self._told) >= _MOST_TOLD:
                return
            self._told.add(str(error))
            more = self._summary(now) if due else {}
        _log.warning(
            f"{self._what} still fails" if due else f"{self._what} failed",
            **self._facts,
            error=str(error),
            **more,
            **_trace(error),
        )

    def succeeded(self) -> None:
        """It succeeded; logged only if it had failed."""
        with self._lock:
            if not self._count:
                return
            summary = self._summary(self._clock())
            self._count = 0
        _log.info(f"{self._what} succeeds again", **self._facts, **summary)

    def _summary(self, now: float) -> dict[str, Any]:
        return {"failures": self._count, "lasting": f"{round(now - self._since)}s"}


def _trace(error: Exception) -> dict[str, str]:
    """The frames of an error's cause; its message may contain a part of a log event."""
    cause = error.__cause__ if getattr(error, "reason", "") == "internal" else None
    if cause is None:
        return {}
    return {"frames": "".join(traceback.format_tb(cause.__traceback__))}
