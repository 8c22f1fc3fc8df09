"""Which versions of rules judge, since when scopes are configured, who runs which configuration.

A configuration is known by its generation, a digest. What one generation no longer names ends only
if no other process still runs a generation that names it; and a generation that is older than one
that another process runs changes nothing. So while replicas are updated one after the other, the
older configuration cannot undo what the newer one began.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Final, TypeAlias

from exporter.exactness import RuleVersion, amend, pruned, versions_needed_from
from exporter.ledger.base import RuleUse
from exporter.ledger.counting import RuleSpec
from exporter.ledger.rows import bounds_text, labels_of
from exporter.ledger.store import Transaction
from exporter.ledger.tables import (
    CHECKPOINTS,
    GENERATIONS,
    HOLDERS,
    MEMBER_COUNTS,
    MEMBERS,
    SCOPES,
    SERIES,
    TOTALS,
    VERSIONS,
    Generation,
    Holder,
    Scope,
    Version,
)
from exporter.model import SeriesKey
from exporter.sources import SERIES_LABELS

_REMOVED_SOURCE: Final = 14 * 24 * 3600 * 1000
"""Milliseconds for which versions are kept of a source that is not configured any more."""

Place: TypeAlias = tuple[str, str]
"""A source and a rule, or a source and a scope."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What series of a metric must agree on."""

    bounds: str | None
    labels: frozenset[str]
    """Names of the rule's own labels."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What the ledger reads of a rule's definition."""

    metric: str
    buckets: tuple[float, ...] | None
    labels: frozenset[str]
    is_own: bool
    """Whether it feeds the default metric, whose series are each rule's own."""

    @property
    def shape(self) -> Shape:
        """What its series look like."""
        return Shape(bounds_text(self.buckets), self.labels)

    def shared_by(self, rule: str) -> tuple[str, str]:
        """What must have one shape: a metric, or a rule's part of the default metric."""
        return self.metric, rule if self.is_own else ""


@dataclass(frozen=True, slots=True)
class LoadedVersions:
    """The versions that are kept."""

    rows: Sequence[Version]
    ended: Sequence[SeriesKey]


@lru_cache(maxsize=4096)
def definition_of(text: str) -> Definition:
    """Read a definition (see ``RuleUse.definition``)."""
    data = json.loads(text)
    is_own = bool(data["uses_default_metric"])
    buckets = data["buckets"]
    return Definition(
        data["metric"],
        None if buckets is None else tuple(map(float, buckets)),
        frozenset([*data["labels"], *(["rule"] if is_own else [])]),
        is_own,
    )


def version_of(row: Version) -> RuleVersion:
    """A version from its row."""
    return RuleVersion(row.rule, row.since, row.until, row.definition, bool(row.own_start))


def specs(versions: Iterable[Version]) -> dict[tuple[str, str], RuleSpec]:
    """Where increments of these versions go, by rule and metric; the latest version decides."""
    found: dict[tuple[str, str], RuleSpec] = {}
    for one in sorted(versions, key=lambda one: (one.until is None, one.number)):
        if one.definition:
            definition = definition_of(one.definition)
            found[one.rule, definition.metric] = RuleSpec(one.max_series, definition.buckets)
    return found


def load_scopes(
    transaction: Transaction,
    wanted: Sequence[Place],
    *,
    now: int,
    generation: str,
    holder: str,
) -> dict[Place, int]:
    """Since when each of these scopes is configured (see ``Ledger.load_scopes``)."""
    held = _hold(transaction, Holder(holder, "scopes", generation), wanted, now)
    known = {(one.source, one.scope): one.since for one in transaction.read(SCOPES)}
    if not held.is_outdated:
        transaction.delete(SCOPES, known.keys() - held.names)
        new = (Scope(*place, now) for place in wanted if place not in known)
        transaction.write(SCOPES, new)
    return {place: known.get(place, now) for place in wanted}


def load_versions(
    transaction: Transaction,
    uses: Mapping[str, Mapping[str, RuleUse]],
    *,
    now: int,
    keep: Mapping[str, int],
    generation: str,
    holder: str,
) -> LoadedVersions:
    """Amend and return the versions of rules (see ``Ledger.load_rules``)."""
    wanted = {(source, rule): use for source, of in uses.items() for rule, use in of.items()}
    known: dict[Place, list[Version]] = defaultdict(list)
    for row in transaction.read(VERSIONS):
        known[row.source, row.rule].append(row)
    held = _hold(transaction, Holder(holder, "rules", generation), list(wanted), now)
    if held.is_outdated:
        return LoadedVersions(list(chain(*known.values())), ())
    positions = _positions(transaction)
    rows: dict[Place, list[Version]] = {}
    for place in known.keys() | wanted.keys():
        source, rule = place
        use = wanted.get(place)
        if use is None and place in held.names:
            rows[place] = known[place]
            continue
        versions = _amended(rule, known[place], use, now)
        lookback = keep.get(source, _REMOVED_SOURCE)
        if lookback:
            needed = versions_needed_from(now, lookback, positions.get(source, ()))
            versions = pruned(versions, needed)
        else:  # the latest version judges what comes once
            versions = versions[-1:] if use else ()
        limits = [use.max_series] if use else [one.max_series for one in known[place][-1:]]
        rows[place] = [
            Version(
                source,
                rule,
                number,
                one.since,
                one.until,
                one.definition,
                int(one.own_start),
                *limits,
            )
            for number, one in enumerate(versions)
        ]
    ended = _end_series(transaction, wanted, known)
    kept = _without_conflicts(rows, wanted)
    for place in known.keys() | kept.keys():
        if known[place] != kept.get(place, []):
            transaction.delete(VERSIONS, [place])
            transaction.write(VERSIONS, kept.get(place, []))
    everything = list(chain(*kept.values()))
    _forget_members(transaction, {rule for _, rule in wanted}, specs(everything).keys())
    return LoadedVersions(everything, ended)


@dataclass(frozen=True, slots=True)
class _Held:
    names: frozenset[Place]
    """What the generations name that processes run."""
    is_outdated: bool
    """Whether another process runs a newer generation."""


def _hold(transaction: Transaction, run: Holder, names: Sequence[Place], now: int) -> _Held:
    """Note which generation a process runs, and forget generations that nobody runs."""
    kind, generation = run.kind, run.generation
    transaction.write(HOLDERS, [run])
    all_run = {one.generation for one in transaction.read(HOLDERS) if one.kind == kind}
    known = {one.generation: one for one in transaction.read(GENERATIONS) if one.kind == kind}
    own = known.get(generation)
    if own is None:
        newest = max((one.loaded for one in known.values()), default=0)
        own = Generation(generation, kind, max(now, newest + 1), json.dumps(sorted(names)))
        known[generation] = own
        transaction.write(GENERATIONS, [own])
    transaction.delete(GENERATIONS, [(gone, kind) for gone in known.keys() - all_run])
    held = [one for one in known.values() if one.generation in all_run]
    return _Held(
        frozenset((source, name) for one in held for source, name in json.loads(one.names)),
        is_outdated=any(one.loaded > own.loaded for one in held),
    )


def _positions(transaction: Transaction) -> dict[str, list[int]]:
    """By source, from where its partitions can still be read (the ones let go left out)."""
    positions: dict[str, list[int]] = defaultdict(list)
    for one in transaction.read(CHECKPOINTS):
        known = positions[one.source]
        if one.remember_from is not None and not one.let_go:
            known.append(one.remember_from)
    return positions


def _amended(
    rule: str, rows: Sequence[Version], use: RuleUse | None, now: int
) -> Sequence[RuleVersion]:
    versions = [version_of(one) for one in rows]
    if use is None:
        return amend(versions, rule, None, start=None, now=now)
    if versions and not versions[-1].definition:
        versions[-1] = replace(versions[-1], definition=use.definition)
    if use.start is None:
        return (RuleVersion(rule, None, None, use.definition),)
    return amend(versions, rule, use.definition, start=use.start, own_start=use.own_start, now=now)


def _end_series(
    transaction: Transaction,
    wanted: Mapping[Place, RuleUse],
    known: Mapping[Place, Sequence[Version]],
) -> list[SeriesKey]:
    """Delete the series that their metric's rules can no longer feed; return them."""
    shapes = _shapes(wanted)
    unedited = {
        (shared, definition.shape)
        for row in chain(*known.values())
        if row.definition
        for definition in [definition_of(row.definition)]
        for shared in [definition.shared_by(row.rule)]
    }
    edited = {shared: shape for shared, shape in shapes.items() if (shared, shape) not in unedited}
    ended: dict[bytes, SeriesKey] = {}
    if edited:
        metrics = {metric for metric, _ in edited}
        for row in transaction.scan(SERIES):
            if row.metric not in metrics:
                continue
            labels = labels_of(row.labels)
            shape = Shape(
                row.bounds, frozenset(name for name, _ in labels).difference(SERIES_LABELS)
            )
            rule = dict(labels).get("rule", "")
            expected = edited.get((row.metric, "")) or edited.get((row.metric, rule))
            if expected not in (None, shape):
                ended[row.id] = SeriesKey(row.metric, labels)
    _delete_series(transaction, ended.keys())
    return list(ended.values())


def _delete_series(transaction: Transaction, ids: Iterable[bytes]) -> None:
    gone = set(ids)
    if not gone:
        return
    keys = [(one,) for one in gone]
    transaction.delete(SERIES, keys)
    transaction.delete(TOTALS, keys)
    members = [one for one in transaction.scan(MEMBERS) if one.series in gone]
    transaction.delete(MEMBERS, [one[:3] for one in members])
    counts = {(one.rule, one.metric): one for one in transaction.read(MEMBER_COUNTS)}
    for one in members:
        count = counts[one.rule, one.metric]
        counts[one.rule, one.metric] = count._replace(
            series=count.series - (not one.overflow), overflow=count.overflow - one.overflow
        )
    transaction.write(MEMBER_COUNTS, counts.values())


def _without_conflicts(
    rows: Mapping[Place, Sequence[Version]], wanted: Mapping[Place, RuleUse]
) -> dict[Place, list[Version]]:
    """Versions none of which feeds a metric with another shape than it has now.

    An earlier version of a configured rule keeps its pattern and takes the rest of its definition
    from the edit: what it judges late goes to the new series. Those of other rules are left out.
    """
    shapes = _shapes(wanted)
    kept: dict[Place, list[Version]] = {place: [] for place in rows}
    for place, row in ((place, row) for place, of in rows.items() for row in of):
        if _fits(row, shapes):
            kept[place].append(row)
        elif place in wanted:
            edited = json.loads(wanted[place].definition)
            edited["pattern"] = json.loads(row.definition)["pattern"]
            text = json.dumps(edited, sort_keys=True, separators=(",", ":"))
            kept[place].append(row._replace(definition=text))
    return kept


def _fits(row: Version, shapes: Mapping[tuple[str, str], Shape]) -> bool:
    if not row.definition:
        return True
    definition = definition_of(row.definition)
    return shapes.get(definition.shared_by(row.rule), definition.shape) == definition.shape


def _shapes(wanted: Mapping[Place, RuleUse]) -> dict[tuple[str, str], Shape]:
    shapes: dict[tuple[str, str], Shape] = {}
    for (_, rule), use in wanted.items():
        definition = definition_of(use.definition)
        shapes[definition.shared_by(rule)] = definition.shape
    return shapes


def _forget_members(
    transaction: Transaction, rules: Iterable[str], fed: Iterable[tuple[str, str]]
) -> None:
    """``max_series`` is for the series that a rule can still feed."""
    configured, still = set(rules), set(fed)
    gone = [
        (one.rule, one.metric)
        for one in transaction.read(MEMBER_COUNTS)
        if one.rule in configured and (one.rule, one.metric) not in still
    ]
    transaction.delete(MEMBERS, gone)
    transaction.delete(MEMBER_COUNTS, gone)
