"""Versions of rules and start times of scopes, as processes load their configurations.

A configuration has a generation, a digest. A rule or scope that a new generation does not name ends
only if no process runs a generation that names it. A generation that is older than another one in
use changes nothing. So during a rolling update the old configuration cannot undo the new one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Final, TypeAlias

from exporter.exactness import RuleVersion, adopted, amend, pruned, versions_needed_from
from exporter.ledger.base import NO_FEEDS, Relabeled, RuleUse
from exporter.ledger.by_account import count_by_account
from exporter.ledger.counting import RuleSpec
from exporter.ledger.relabeling import relabel
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
    Series,
    Version,
)
from exporter.model import EXCLUDED_METRIC, SeriesKey
from exporter.sources import SERIES_LABELS

_REMOVED_SOURCE: Final = 14 * 24 * 3600 * 1000
"""Milliseconds for which the versions of a removed source are kept."""

RuleKey: TypeAlias = tuple[str, str]
"""A source and a rule."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Properties that all series of a metric share."""

    bounds: str | None
    labels: frozenset[str]
    """Names of labels from rules."""


@dataclass(frozen=True, slots=True)
class Definition:
    """The fields of a rule's definition that the ledger uses."""

    metric: str
    buckets: tuple[float, ...] | None
    shape: Shape
    is_own: bool
    """Whether its metric is the default metric, where each rule has series of its own."""
    unbounded: frozenset[str] = frozenset()
    """Labels that lose their values past ``max_series``."""
    excludes: bool = False
    """Whether it counts in EXCLUDED_METRIC too."""

    def shared_by(self, rule: str) -> tuple[str, str]:
        """Return a key of series with one shape: the metric, and the rule if ``is_own``."""
        return self.metric, rule if self.is_own else ""


@dataclass(frozen=True, slots=True)
class LoadedVersions:
    """The versions after a configuration was loaded, and the changes of series."""

    rows: Sequence[Version]
    ended: Sequence[SeriesKey] = ()
    """Deleted."""
    relabeled: Sequence[Relabeled] = ()


@lru_cache(maxsize=4096)
def definition_of(text: str) -> Definition:
    """Read a definition (see ``RuleUse.definition``)."""
    data = json.loads(text)
    is_own = bool(data["uses_default_metric"])
    buckets = None if data["buckets"] is None else tuple(map(float, data["buckets"]))
    labels = frozenset([*data["labels"], *(["rule"] if is_own else [])])
    shape = Shape(bounds_text(buckets), labels)
    unbounded = frozenset(data.get("unbounded", ()))
    return Definition(data["metric"], buckets, shape, is_own, unbounded, "exclude" in data)


def version_of(row: Version) -> RuleVersion:
    """Return a version from its row."""
    return RuleVersion(row.rule, row.since, row.until, row.definition, bool(row.own_start))


def specs(versions: Iterable[Version]) -> dict[tuple[str, str], RuleSpec]:
    """Return the settings of these versions, by rule and metric; the latest version decides."""
    found: dict[tuple[str, str], RuleSpec] = {}
    for one in sorted(versions, key=lambda one: (one.until is None, one.number)):
        if one.definition:
            definition = definition_of(one.definition)
            found[one.rule, definition.metric] = RuleSpec(
                one.max_series, definition.buckets, definition.unbounded
            )
            if definition.excludes:
                found[one.rule, EXCLUDED_METRIC] = RuleSpec(one.max_series, None)
    return found


def load_scopes(
    transaction: Transaction,
    scopes: Mapping[str, Iterable[str]],
    *,
    now: int,
    generation: str,
    holder: str,
) -> dict[str, dict[str, int]]:
    """See ``Ledger.load_scopes``."""
    wanted = [(source, scope) for source, of in scopes.items() for scope in of]
    used = _register(transaction, Holder(holder, "scopes", generation), wanted, now)
    known = {(one.source, one.scope): one.since for one in transaction.read(SCOPES)}
    if not used.is_outdated:
        transaction.delete(SCOPES, known.keys() - used.names)
        transaction.write(SCOPES, (Scope(*one, now) for one in wanted if one not in known))
    since: dict[str, dict[str, int]] = {source: {} for source in scopes}
    for source, scope in wanted:
        since[source][scope] = known.get((source, scope), now)
    return since


def load_versions(
    transaction: Transaction,
    uses: Mapping[str, Mapping[str, RuleUse]],
    *,
    now: int,
    keep: Mapping[str, int],
    generation: str,
    holder: str,
    feeds: Mapping[str, str] = NO_FEEDS,
) -> LoadedVersions:
    """Amend, store and return the versions of rules (see ``Ledger.load_rules``)."""
    wanted = {(source, rule): use for source, of in uses.items() for rule, use in of.items()}
    known: dict[RuleKey, list[Version]] = defaultdict(list)
    for row in transaction.read(VERSIONS):
        known[row.source, row.rule].append(row)
    used = _register(transaction, Holder(holder, "rules", generation), list(wanted), now)
    if used.is_outdated:
        return LoadedVersions(list(chain(*known.values())))
    positions = _positions(transaction)
    rows: dict[RuleKey, list[Version]] = {}
    for key in known.keys() | wanted.keys():
        source, rule = key
        use = wanted.get(key)
        if use is None and key in used.names:
            rows[key] = known[key]
            continue
        lookback = keep.get(source, _REMOVED_SOURCE)
        before = [version_of(one) for one in known[key]]
        if use and lookback and not before:
            other = _of_another_source(key, known, feeds)
            before = list(adopted(other, start=use.start, own_start=use.own_start))
        versions = _amended(rule, before, use, now, keep=bool(lookback))
        if lookback:
            needed = versions_needed_from(now, lookback, positions.get(source, ()))
            versions = pruned(versions, needed)
        else:  # events come once, and the latest version judges them
            versions = [replace(versions[-1], since=versions[0].since)] if use else ()
        limits = [use.max_series] if use else [one.max_series for one in known[key][-1:]]
        rows[key] = [
            Version(*key, number, v.since, v.until, v.definition, int(v.own_start), *limits)
            for number, v in enumerate(versions)
        ]
    ended, relabeled = _change_series(transaction, wanted, known)
    kept = _without_conflicts(rows, wanted)
    for key in known.keys() | kept.keys():
        if known[key] != kept.get(key, []):
            transaction.delete(VERSIONS, [key])
            transaction.write(VERSIONS, kept.get(key, []))
    everything = list(chain(*kept.values()))
    settings = specs(everything)
    _delete_members(transaction, {rule for _, rule in wanted}, settings.keys())
    count_by_account(transaction, settings)
    return LoadedVersions(everything, ended, relabeled)


@dataclass(frozen=True, slots=True)
class _InUse:
    names: frozenset[tuple[str, str]]
    """The (source, rule) or (source, scope) of all generations in use."""
    is_outdated: bool
    """Whether another process runs a newer generation."""


def _register(
    transaction: Transaction, holder: Holder, names: Sequence[tuple[str, str]], now: int
) -> _InUse:
    """Record the generation that a process runs, and delete generations that are not in use."""
    kind, generation = holder.kind, holder.generation
    transaction.write(HOLDERS, [holder])
    in_use = {one.generation for one in transaction.read(HOLDERS) if one.kind == kind}
    known = {one.generation: one for one in transaction.read(GENERATIONS) if one.kind == kind}
    own = known.get(generation)
    if own is None:
        newest = max((one.loaded for one in known.values()), default=0)
        own = Generation(generation, kind, max(now, newest + 1), json.dumps(sorted(names)))
        known[generation] = own
        transaction.write(GENERATIONS, [own])
    transaction.delete(GENERATIONS, [(gone, kind) for gone in known.keys() - in_use])
    used = [one for one in known.values() if one.generation in in_use]
    return _InUse(
        frozenset((source, name) for one in used for source, name in json.loads(one.names)),
        is_outdated=any(one.loaded > own.loaded for one in used),
    )


def _positions(transaction: Transaction) -> dict[str, list[int]]:
    """Return by source the times from which its partitions may still be read."""
    positions: dict[str, list[int]] = defaultdict(list)
    for one in transaction.read(CHECKPOINTS):
        known = positions[one.source]
        if one.remember_from is not None and not one.let_go:
            known.append(one.remember_from)
    return positions


def _of_another_source(
    key: RuleKey, known: Mapping[RuleKey, Sequence[Version]], feeds: Mapping[str, str]
) -> list[RuleVersion]:
    """Return the rule's versions on the source of the same feed that has most of them."""
    source, rule = key
    others = [one for one, feed in feeds.items() if one != source and feed == feeds.get(source)]
    rows = max((known.get((one, rule), ()) for one in others), key=len, default=())
    return [version_of(row) for row in rows if row.definition]


def _amended(
    rule: str, versions: list[RuleVersion], use: RuleUse | None, now: int, *, keep: bool
) -> Sequence[RuleVersion]:
    if use is None:
        return amend(versions, rule, None, start=None, now=now)
    if versions and not versions[-1].definition:
        versions[-1] = replace(versions[-1], definition=use.definition)
    if use.start is None and not keep:
        return (RuleVersion(rule, None, None, use.definition),)
    return amend(versions, rule, use.definition, start=use.start, own_start=use.own_start, now=now)


def _change_series(
    transaction: Transaction,
    wanted: Mapping[RuleKey, RuleUse],
    known: Mapping[RuleKey, Sequence[Version]],
) -> tuple[list[SeriesKey], list[Relabeled]]:
    """Delete or relabel the series that edited rules can no longer increment; return both."""
    unedited = {
        (shared, definition.shape)
        for row in chain(*known.values())
        if row.definition
        for definition in [definition_of(row.definition)]
        for shared in [definition.shared_by(row.rule)]
    }
    edited = dict(one for one in _shapes(wanted).items() if one not in unedited)
    ended: dict[bytes, SeriesKey] = {}
    moves: list[tuple[Series, frozenset[str]]] = []
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
            if expected in (None, shape):
                continue
            if expected.bounds != shape.bounds:
                ended[row.id] = SeriesKey(row.metric, labels)
            else:
                moves.append((row, expected.labels))
    _delete_series(transaction, ended.keys())
    return list(ended.values()), relabel(transaction, moves)


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
        series, overflow = one.counts
        counts[one.rule, one.metric] = count._replace(
            series=count.series - series, overflow=count.overflow - overflow
        )
    transaction.write(MEMBER_COUNTS, counts.values())


def _without_conflicts(
    rows: Mapping[RuleKey, Sequence[Version]], wanted: Mapping[RuleKey, RuleUse]
) -> dict[RuleKey, list[Version]]:
    """Return the versions, without any whose metric has another shape now.

    Such a version of a configured rule keeps its pattern and takes the rest from the edit, so late
    events count for the new series. Those of other rules are dropped.
    """
    shapes = _shapes(wanted)
    kept: dict[RuleKey, list[Version]] = {key: [] for key in rows}
    for key, row in ((key, row) for key, of in rows.items() for row in of):
        if _fits(row, shapes):
            kept[key].append(row)
        elif key in wanted:
            edited = json.loads(wanted[key].definition)
            edited["pattern"] = json.loads(row.definition)["pattern"]
            text = json.dumps(edited, sort_keys=True, separators=(",", ":"))
            kept[key].append(row._replace(definition=text))
    return kept


def _fits(row: Version, shapes: Mapping[tuple[str, str], Shape]) -> bool:
    if not row.definition:
        return True
    definition = definition_of(row.definition)
    return shapes.get(definition.shared_by(row.rule), definition.shape) == definition.shape


def _shapes(wanted: Mapping[RuleKey, RuleUse]) -> dict[tuple[str, str], Shape]:
    shapes: dict[tuple[str, str], Shape] = {}
    for (_, rule), use in wanted.items():
        definition = definition_of(use.definition)
        shapes[definition.shared_by(rule)] = definition.shape
    return shapes


def _delete_members(
    transaction: Transaction, rules: Collection[str], used: Collection[tuple[str, str]]
) -> None:
    """Make ``max_series`` count only the metrics that a rule still has (rule, metric)."""
    gone = [
        (one.rule, one.metric)
        for one in transaction.read(MEMBER_COUNTS)
        if one.rule in rules and (one.rule, one.metric) not in used
    ]
    transaction.delete(MEMBERS, gone)
    transaction.delete(MEMBER_COUNTS, gone)
