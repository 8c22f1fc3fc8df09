"""CloudTrail's objects in S3, by listing their bucket."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from exporter.aws.listing import Listing, ListingPage
from exporter.aws.objects import ObjectName
from exporter.model import EventFormat, Limits, Partition, PartitionKind, SourceError
from exporter.planning.interest import Interest
from exporter.sources.base import Discovery, Environment, Reading
from exporter.sources.contents import Gathered, InTurn, Portion
from exporter.sources.trail_keys import TrailFolder, is_way
from exporter.sources.trail_objects import TrailObject
from exporter.sources.trail_pace import MINUTE, FolderState, Found, Pace
from exporter.sources.trail_positions import Positions, Written
from exporter.sources.trail_walk import DAMAGED, Walk

if TYPE_CHECKING:
    from exporter.sources.trail_bucket import TrailListingConfig

FOLDER: Final = PartitionKind("path", "Folder", by_event_time=False)

_TWO_WEEKS: Final = 14 * 86_400_000
_DISCOVERY_SECONDS: Final = 300.0
_REGION: Final = "us-east-1"
"""Where S3 is asked if the environment names no region; botocore follows S3 to the bucket's."""

_log = structlog.get_logger(__name__)


class TrailListing:
    """A partition for each folder of an account and region."""

    memory = _TWO_WEEKS

    def __init__(
        self, config: TrailListingConfig, environment: Environment, since: Mapping[str, int]
    ) -> None:
        self.name = config.name
        self.format: EventFormat = config.format
        self.interval = config.interval
        self.discovery_interval = max(_DISCOVERY_SECONDS, config.interval)
        self.place: Partition | None = None
        self._config = config
        self._accounts = environment.accounts.by_role(config.assumed)
        self._clock = environment.clock
        self._complete = environment.complete
        self._contents = environment.contents or InTurn(environment.accounts, environment.clock)
        configured = since.get(config.part, self._now())
        self._origin = configured - round(config.start * 1000)
        accounts = None if config.account_ids is None else frozenset(config.account_ids)
        self._limits = Limits(accounts, self._origin)
        self._pace = Pace(math.ceil(config.interval / 60), math.ceil(config.lookback / 60))
        self._root = f"s3://{config.bucket}/"
        self._states: dict[str, FolderState] = {}

    def discover(self) -> Discovery:
        """The folders of all accounts and regions. Those of a folder that cannot be listed stay."""
        failures: dict[Partition, SourceError] = {}
        partitions: list[Partition] = []
        prefix = self._config.prefix
        starts = [prefix]
        try:
            bucket = self._listing()
            if not (is_way(prefix, self._config.folders) or TrailFolder.of(prefix)):
                starts = self._folders_in(bucket, prefix)
                if prefix and not prefix.endswith("/"):
                    starts += [f"{start}AWSLogs/" for start in starts]
        except SourceError as error:
            return Discovery((), [(Partition(self.name), error)])
        while starts:
            start = starts.pop()
            folder = TrailFolder.of(start)
            if folder is not None:
                if self._is_wanted(folder):
                    partitions.append(self._partition(folder))
            elif is_way(start, self._config.folders, self._config.account_ids):
                try:
                    starts += self._folders_in(bucket, start)
                except SourceError as error:
                    failures[Partition(self.name)] = error
        return Discovery(sorted(partitions, key=lambda one: one.key), list(failures.items()))

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int | None:  # noqa: ARG002
        """See ``Source.read_up_to``: None before the folder is listed."""
        return None

    def counted_from(self, partition: Partition) -> int:  # noqa: ARG002
        """See ``Source.counted_from``."""
        return self._origin

    def size(self, partition: Partition) -> int | None:  # noqa: ARG002
        """See ``Source.size``: None before the folder is listed."""
        return None

    def cost(self, partition: Partition) -> None:
        """None, because S3 has no quota of requests that a trail reaches."""

    def release(self, partition: Partition) -> None:
        """See ``Source.release``."""
        self._states.pop(partition.key, None)

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        own_starts: Mapping[str, int],  # noqa: ARG002 - objects are read once, for all rules
        interest: Interest | None = None,  # noqa: ARG002 - everything is read
        turn: float = math.inf,
    ) -> Iterator[Reading]:
        """Read new objects, those that failed, late ones, and history, in this order."""
        end = time.monotonic() + turn
        folder = TrailFolder.of(partition.resource.removeprefix(self._root))
        if folder is None:
            raise RuntimeError(f"{partition} is no partition of this source")
        state = self._states.setdefault(partition.key, FolderState())
        now = self._now()
        if checkpoint is None:
            positions = Positions(self._origin // MINUTE)
            checkpoint = positions.encode()
            # Stored before anything is read: a folder that fails for days still begins here.
            yield Reading((), checkpoint, behind=True)
        else:
            positions = state.take(checkpoint)
        written = Written(positions, checkpoint)
        if self._adjust(positions, now // MINUTE):
            state.under_way = state.rest = None
            written.add()
        region = self._region()
        walk = Walk(
            folder,
            positions,
            state,
            partial(self._pages, self._listing()),
            self._pace,
            now=now,
            complete=self._complete,
            is_over=lambda: time.monotonic() >= end,
        )
        gathered = Gathered()
        outcomes: Counter[str] = Counter()
        failure: SourceError | None = None

        def reading(*, read_up_to: int | None, behind: bool) -> Reading:
            events, size = gathered.take()
            return Reading(
                events,
                written.text,
                size=size,
                limits=self._limits,
                read_up_to=read_up_to,
                behind=behind,
                objects=outcomes,
                backlog=walk.backlog,
            )

        contents = (self._content(folder, found, region) for found in walk.objects())
        portions = self._contents.portions(partition, self.format, self._limits, contents)
        with closing(portions):
            for portion in portions:
                gathered.add(portion)
                if portion.last:
                    try:
                        outcomes[self._ended(folder, walk, state, portion)] += 1
                    except SourceError as error:
                        failure = error
                        break
                    written.add()
                if gathered.is_full:
                    yield reading(read_up_to=state.read_up_to, behind=True)
                    outcomes = Counter()
        if failure is None:
            written.add(walk.settle())
        written.write()
        yield reading(read_up_to=walk.read_up_to, behind=walk.behind or failure is not None)
        if failure is None:
            walk.remember()
            state.keep(written.text, positions)
            self._name_odd(folder, state, walk.odd)
            failure = walk.error
        if failure is not None:
            raise failure

    def _ended(
        self, folder: TrailFolder, walk: Walk, state: FolderState, portion: Portion[TrailObject]
    ) -> str:
        """What became of an object. Raises an error that may pass."""
        name = portion.content.name.key[len(folder.prefix) :]
        found, error = walk.found(name), portion.error
        if error is None:
            state.tries.forget(name)
            walk.done(found)
            return "read"
        if not isinstance(error, SourceError):
            error = SourceError(
                f"{portion.content.name} is damaged: {error}; the records before that count.",
                reason=DAMAGED,
            )
        elif not (self._complete and walk.is_failing(found)) and state.tries.may_pass(
            name, error, is_only_poll=self._complete
        ):
            raise error
        outcome = walk.failed(found, error)
        if outcome != "failed_again":
            said = "it is tried again" if outcome == "failed" else "it is given up"
            _log.warning(
                f"an object cannot be read: {said}",
                source=self.name,
                object=str(portion.content.name),
                why=str(error),
            )
        if outcome == "given_up":
            state.tries.forget(name)
        return outcome

    def _adjust(self, positions: Positions, minute: int) -> bool:
        """Make history of all that is too old to come late; go back if a clock was ahead."""
        bottom = minute - self._pace.lookback
        if positions.late > minute + 1:
            positions.late = bottom
        elif positions.late < bottom - self._pace.slack:
            positions.detach(bottom)
        else:
            return False
        return True

    def _content(self, folder: TrailFolder, found: Found, region: str) -> TrailObject:
        config = self._config
        name = ObjectName(config.bucket, folder.prefix + found.name)
        return TrailObject(name, region, config.expected_bucket_owner, role=config.assumed)

    def _name_odd(self, folder: TrailFolder, state: FolderState, name: str) -> None:
        if name and not state.odd:
            _log.warning(
                "objects are not read: their keys are not CloudTrail's",
                source=self.name,
                example=f"{self._root}{folder.prefix}{name}",
            )
            state.odd = name

    def _is_wanted(self, folder: TrailFolder) -> bool:
        regions, accounts = self._config.regions, self._config.account_ids
        return (regions is None or folder.region in regions) and (
            accounts is None or folder.account_id in accounts
        )

    def _partition(self, folder: TrailFolder) -> Partition:
        resource = f"{self._root}{folder.prefix}"
        return Partition(self.name, folder.account_id, folder.region, resource, FOLDER)

    def _listing(self) -> Listing:
        owner = self._config.expected_bucket_owner
        return Listing(self._accounts, self._region(), owner=owner)

    def _pages(self, listing: Listing, prefix: str, after: str) -> Iterator[ListingPage]:
        return listing.pages(self._config.bucket, prefix, start_after=after)

    def _folders_in(self, listing: Listing, prefix: str) -> list[str]:
        pages = listing.pages(self._config.bucket, prefix, delimiter="/")
        return [folder for page in pages for folder in page.prefixes]

    def _region(self) -> str:
        return self._accounts.default_region or _REGION

    def _now(self) -> int:
        return math.floor(self._clock.earliest() * 1000)
