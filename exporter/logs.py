"""Log lines on standard error: logfmt or JSON, our own and the libraries' alike."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

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
    logging.captureWarnings(capture=True)


def _plain(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Prometheus's word for the level, and no characters that would break a line in two.

    What is not there is left out.
    """
    for key in [key for key, value in event.items() if value is None or value == ""]:
        del event[key]
    if event.get("level") == "warning":
        event["level"] = "warn"
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() or c == "\n" else " " for c in value)
    return event
