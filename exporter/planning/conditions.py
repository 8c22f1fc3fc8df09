"""The attributes of LookupEvents that every match of a filter pattern has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from exporter.patterns import FilterPattern
from exporter.patterns.syntax import (
    And,
    Comparison,
    Condition,
    IsTest,
    JsonPattern,
    Or,
    Selector,
    Text,
)
from exporter.planning.write_events import is_write

_MOST = 64
"""Alternatives of a pattern; more are joined to one that lets through what any of them does."""

_EVENT_NAME = Selector(("eventName",))
_EVENT_SOURCE = Selector(("eventSource",))
_READ_ONLY = Selector(("readOnly",))
_USER_TYPE = Selector(("userIdentity", "type"))
# AWS writes names such as RunInstances and ec2.amazonaws.com; other text stays a matter of rules.
_IS_NAME = re.compile(r"[A-Za-z0-9_.:/ -]{1,256}").fullmatch


@dataclass(frozen=True, slots=True)
class Attributes:
    """What events have in common, by the attributes of LookupEvents; None if not known.

    AWS documents neither how ``Username`` and ``ResourceName`` are made from a record nor what
    they are where it names several, so they are not derived.
    """

    event_names: frozenset[str] | None = None
    """AWS: EventName, the record's ``eventName``."""
    event_sources: frozenset[str] | None = None
    """AWS: EventSource, the record's ``eventSource``."""
    read_only: bool | None = None
    """AWS: ReadOnly, the record's ``readOnly``."""
    is_root: bool = False
    """Whether all are of the account's root user (``userIdentity.type`` is ``Root``).

    Observed on AWS: their Username is ``root``. If the account has an alias, the record's
    ``userName`` is the alias; which of the two Username is then is not documented, so a request for
    each is needed.
    """


ANY = Attributes()
"""Every event."""


def attributes_of(pattern: FilterPattern) -> tuple[Attributes, ...]:
    """The attributes of a pattern's matches: each match has all those of one element at least.

    Empty if no event can match. Patterns that are not JSON say nothing of attributes.
    """
    if not isinstance(pattern.tree, JsonPattern):
        return (ANY,)
    found = _few(_alternatives(pattern.tree.condition))
    return (ANY,) if ANY in found else tuple(one for some in map(_by_effect, found) for one in some)


def _alternatives(condition: Condition) -> Sequence[Attributes]:
    if isinstance(condition, Or):
        return _few([one for operand in condition.operands for one in _alternatives(operand)])
    if isinstance(condition, And):
        found: Sequence[Attributes] = (ANY,)
        for operand in condition.operands:
            pairs = product(found, _alternatives(operand))
            found = _few([one for pair in pairs if (one := _both(*pair)) is not None])
        return found
    if isinstance(condition, IsTest) and condition.selector == _READ_ONLY:
        if condition.keyword != "NULL":
            return (Attributes(read_only=condition.keyword == "TRUE"),)
    elif isinstance(condition, Comparison) and condition.operator == "=":
        return (_of_equality(condition),)
    return (ANY,)


def _of_equality(test: Comparison) -> Attributes:
    if not isinstance(test.value, Text):
        return ANY
    text = test.value.text
    if test.selector == _EVENT_NAME and text.endswith("*"):
        return Attributes(read_only=False) if is_write(text) else ANY
    if not _IS_NAME(text):
        return ANY
    if test.selector == _EVENT_NAME:
        return Attributes(event_names=frozenset([text]))
    if test.selector == _EVENT_SOURCE:
        return Attributes(event_sources=frozenset([text]))
    return Attributes(is_root=test.selector == _USER_TYPE and text == "Root")


def _both(one: Attributes, other: Attributes) -> Attributes | None:
    """What an event has that has both; None if no event can, since a record has one of each."""
    names = _common(one.event_names, other.event_names)
    sources = _common(one.event_sources, other.event_sources)
    effects = {one.read_only, other.read_only} - {None}
    if names == frozenset() or sources == frozenset() or len(effects) > 1:
        return None
    read_only = next(iter(effects), None)
    return Attributes(names, sources, read_only, is_root=one.is_root or other.is_root)


def _common(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _few(found: Sequence[Attributes]) -> Sequence[Attributes]:
    """The same, or one that lets all through, so that no pattern takes long."""
    names: dict[Attributes, set[str]] = {}
    for one in found:
        if one.event_names is not None:
            names.setdefault(replace(one, event_names=None), set()).update(one.event_names)
    few = [replace(rest, event_names=frozenset(them)) for rest, them in names.items()]
    few += dict.fromkeys(one for one in found if one.event_names is None)
    return few if len(few) <= _MOST else [_either(few)]


def _either(found: Sequence[Attributes]) -> Attributes:
    """What all events have that have any of these."""
    read_only = {one.read_only for one in found}
    return Attributes(
        _all_of(one.event_names for one in found),
        _all_of(one.event_sources for one in found),
        read_only.pop() if len(read_only) == 1 else None,
        is_root=all(one.is_root for one in found),
    )


def _all_of(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    known: set[str] = set()
    for one in sets:
        if one is None:
            return None
        known |= one
    return frozenset(known)


def _by_effect(one: Attributes) -> Sequence[Attributes]:
    """The same with ReadOnly where the event names decide it."""
    if one.event_names is None or one.read_only is not None:
        return (one,)
    writes = frozenset(name for name in one.event_names if is_write(name))
    others = one.event_names - writes
    parts = [replace(one, event_names=writes, read_only=False)] if writes else []
    return [*parts, replace(one, event_names=others)] if others else parts
