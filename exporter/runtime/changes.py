"""The differences between two configurations, for the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from exporter.configuration import Configuration


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_T = TypeVar("_T", bound=_Named)


def summary(before: Configuration | None, after: Configuration) -> dict[str, int]:
    """The loaded numbers and, after a reload, how many sources and rules came, went or changed."""
    facts = {
        "files": len(after.files),
        "sources": len(after.sources),
        "rules": len(after.rules),
    }
    if before is None:
        return facts
    return {
        **facts,
        **_differences("sources", before.sources, after.sources),
        **_differences("rules", before.rules, after.rules),
    }


def loses_most_rules(before: Configuration | None, after: Configuration) -> bool:
    """Whether more than half of the rules are gone: a file may have been cut short."""
    if before is None:
        return False
    kept = {rule.name for rule in before.rules} & {rule.name for rule in after.rules}
    return len(kept) < len(before.rules) / 2


def _differences(what: str, before: Iterable[_T], after: Iterable[_T]) -> dict[str, int]:
    old, new = _by_name(before), _by_name(after)
    changed = sum(old[name] != new[name] for name in old.keys() & new.keys())
    counts = {
        f"{what}_added": len(new.keys() - old.keys()),
        f"{what}_removed": len(old.keys() - new.keys()),
        f"{what}_changed": changed,
    }
    return {name: count for name, count in counts.items() if count}


def _by_name(items: Iterable[_T]) -> Mapping[str, _T]:
    return {item.name: item for item in items}
