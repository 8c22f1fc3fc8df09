"""A look for a source's partitions, and the checkpoints that move with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exporter.aws.uses import Use, using
from exporter.clock import elapsed
from exporter.ledger.base import FencedError, Ledger, LedgerError
from exporter.metrics.partitions import CATCHING_UP_HOLD
from exporter.metrics.telemetry import Telemetry
from exporter.model import Partition, SourceError
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.reader import Reader, internal_error
from exporter.sources.base import Discovery, Source

_MOST_TRIES: Final = 3


def found(source: Source, ledger: Ledger, telemetry: Telemetry) -> Discovery:
    """Let a source look, and commit the checkpoints that it moves.

    If these cannot be committed, no partition is found: one could be read from its start again.
    """
    scope = Partition(source.name)
    tries = 0
    while True:
        tries += 1
        try:
            with using(Use(source.name, reason="discovery")):
                discovery = source.discover()
            if discovery.moved:
                moved = discovery.moved.items()
                ledger.move({key: (one.expected, one.checkpoint) for key, one in moved})
        except FencedError as error:
            # A poll that was under way has committed: the next look sees it.
            if tries < _MOST_TRIES:
                continue
            failure = SourceError(str(error), reason="ledger")
        except LedgerError as error:
            telemetry.ledger_errors.labels("read").inc()
            failure = SourceError(str(error), reason="ledger")
        except Exception as error:
            failure = internal_error(scope, error)
        else:
            return discovery
        return Discovery((), [(scope, failure)])


def remember(source: Source, readers: Mapping[Partition, Reader], pipeline: Pipeline) -> None:
    """Let new readers know since when their partitions are counted, and if they catch up."""
    first = {partition: source.counted_from(partition) for partition in readers}
    since = {partition: moment for partition, moment in first.items() if moment is not None}
    try:
        counted = pipeline.ledger.counted_since(source.name, since) if since else {}
        until, places = pipeline.ledger.catching_up(source.name)
    except LedgerError:  # their polls report the error
        pipeline.telemetry.ledger_errors.labels("read").inc()
        return
    for partition, moment in counted.items():
        readers[partition].meter.counted_since = moment
    # No clock that was wrong makes it longer.
    left = min(until / 1000 - pipeline.clock.now(), CATCHING_UP_HOLD)
    for reader in readers.values():
        reader.meter.catching_up_until = elapsed() + left
        reader.meter.catching_up_places, places = places, frozenset()  # one of them shows each
