"""The current web configuration, loaded again if one of its files has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from exporter.web.config import Attempt, WebConfig, load_web_config
from exporter.web.protection import refusals
from exporter.yamlfile.problems import ConfigurationError, Location, Problem

_log = structlog.get_logger(__name__)


class LiveWebConfig:
    """A file and the certificates that it names, as they are now; for one thread.

    A change that is invalid, or would remove authentication or TLS, is logged once and ignored.
    """

    def __init__(self, path: Path, *, on_load: Callable[[bool], object] = bool) -> None:
        """Load the file; raises ConfigurationError.

        ``on_load`` is called after each later load with whether it succeeded.
        """
        self._path = path
        self._on_load = on_load
        attempt = load_web_config(path)
        if attempt.loaded is None:
            raise ConfigurationError(attempt.errors)
        self._footprint = attempt.footprint
        self._use(attempt, attempt.loaded, "web configuration loaded")

    def current(self) -> WebConfig:
        """Return the configuration for a connection or a request that begins now."""
        # This takes a tenth of a millisecond and, unlike modification times, is never wrong.
        if self._footprint.look() != self._footprint.seen:
            self._load_again()
        return self._loaded

    def _load_again(self) -> None:
        attempt = load_web_config(self._path)
        self._footprint = attempt.footprint
        errors = list(attempt.errors)
        if attempt.loaded is not None:
            location = Location(str(self._path))
            errors += [Problem(text, location) for text in refusals(self._loaded, attempt.loaded)]
        self._on_load(not errors)
        if errors or attempt.loaded is None:
            text = "; ".join(problem.render() for problem in errors)
            _log.error("web configuration not reloaded, the previous one stays in use", error=text)
        else:
            self._use(attempt, attempt.loaded, "web configuration reloaded")

    def _use(self, attempt: Attempt, loaded: WebConfig, message: str) -> None:
        self._loaded = loaded
        for problem in attempt.problems:
            _log.warning(problem.message, location=str(problem.location))
        _log.info(
            message, file=str(self._path), tls=loaded.tls is not None, users=len(loaded.users)
        )
