"""The web configuration in force, read again whenever a file of it has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from exporter.web.config import Attempt, Loaded, load_web_config, read_file
from exporter.web.protection import refusals
from exporter.yamlfile.problems import ConfigurationError, Location, Problem

_log = structlog.get_logger(__name__)


def _ignore(_good: bool) -> None:
    pass


class LiveWebConfig:
    """A file and the certificates that it names, as they are now.

    What cannot be used once the server runs, or would take authentication or TLS away, is logged,
    once, and changes nothing. For one thread.
    """

    def __init__(self, path: Path, *, on_load: Callable[[bool], None] = _ignore) -> None:
        """Load the file; raises ConfigurationError.

        ``on_load`` is told of each later load whether it succeeded.
        """
        self._path = path
        self._on_load = on_load
        attempt = load_web_config(path)
        if attempt.loaded is None:
            raise ConfigurationError(attempt.errors)
        self._loaded = attempt.loaded
        self._files = attempt.files
        self._tell(attempt, "web configuration loaded")

    def current(self) -> Loaded:
        """What holds for a connection or a request that begins now."""
        # This costs a tenth of a millisecond, and unlike times of files it is never wrong.
        if any(read_file(path) != data for path, data in self._files.items()):
            self._load_again()
        return self._loaded

    def _load_again(self) -> None:
        attempt = load_web_config(self._path)
        self._files = attempt.files
        errors = list(attempt.errors)
        if attempt.loaded is not None:
            place = Location(str(self._path))
            errors += [Problem(text, place) for text in refusals(self._loaded, attempt.loaded)]
        self._on_load(not errors)
        if errors or attempt.loaded is None:
            text = "; ".join(problem.render() for problem in errors)
            _log.error("web configuration not reloaded, the old one stays in force", error=text)
            return
        self._loaded = attempt.loaded
        self._tell(attempt, "web configuration reloaded")

    def _tell(self, attempt: Attempt, message: str) -> None:
        for problem in attempt.problems:
            _log.warning(problem.message, place=str(problem.location))
        _log.info(
            message,
            file=str(self._path),
            tls=self._loaded.context is not None,
            users=len(self._loaded.config.users),
        )
