"""Polls the configuration files every few seconds, and reloads them when they change.

Polling also works on NFS, and in Kubernetes, which replaces a ConfigMap by swapping a symbolic
link. Kernel notifications are reliable in neither.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import structlog

from exporter.configuration import Footprint

_log = structlog.get_logger(__name__)

LOOK_EVERY = 2.0
"""Seconds. Two looks must agree: half-written files and files on their way are waited for."""


class Watch:
    """Calls ``reload`` once for each change of the files of ``footprint``; for one thread.

    ``footprint`` returns the files of the last load, by ``reload`` or not.
    """

    def __init__(self, footprint: Callable[[], Footprint], reload: Callable[[], object]) -> None:
        self._footprint = footprint
        self._reload = reload
        self._before: Mapping[str, bytes | None] = {}

    def run(self, stop: threading.Event) -> None:
        """Look repeatedly until ``stop`` is set."""
        while not stop.wait(LOOK_EVERY):
            try:
                self.look()
            except Exception:
                _log.exception("internal error while watching the configuration files")

    def look(self) -> None:
        """Look once; reload if the files have changed, but not since the last look."""
        footprint = self._footprint()
        now, before = footprint.look(), self._before
        self._before = now
        if now != footprint.seen and now == before:
            _log.info("configuration files changed", files=_changed(footprint.seen, now))
            self._reload()


def _changed(before: Mapping[str, bytes | None], now: Mapping[str, bytes | None]) -> str:
    names = {name for name, _ in before.items() ^ now.items()}
    return ", ".join(sorted(names))
