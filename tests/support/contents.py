"""Objects that are files, some of which end or stop the process that loads them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.aws.accounts import AwsAccounts
from exporter.aws.objects import ObjectName
from exporter.model import LogEvent, SourceError
from exporter.sources.trail_objects import TrailObject


@dataclass(frozen=True, slots=True)
class FileObject:
    """A trail file; loading it may do something to the process first."""

    path: Path
    signals: tuple[int, ...] = ()
    """What each of the first loads sends to its own process."""

    def load(self, accounts: AwsAccounts, most_bytes: int) -> bytes:
        """See Content."""
        for number, each in enumerate(self.signals):
            marker = self.path.with_name(f"{self.path.name}.{number}")
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), each)
                signal.pause()
        try:
            loaded = self.path.read_bytes()
        except OSError as error:
            raise SourceError(f"{self.path.name} is gone.", reason="not_found") from error
        if len(loaded) > most_bytes:
            raise SourceError(f"{self.path.name} is too large.", reason="too_large")
        return loaded

    def events(self, loaded: bytes, now: int) -> Iterator[Sequence[LogEvent]]:
        """See Content."""
        name = ObjectName("trail", str(self.path))
        return TrailObject(name, "us-east-1", owner=None).events(loaded, now)
