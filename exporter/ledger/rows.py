"""How labels, bounds and buckets are kept in text columns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache

from exporter.model import Labels


@lru_cache(maxsize=4096)
def labels_text(labels: Labels) -> str:
    """Labels as JSON. ASCII only: any string survives, lone surrogates too."""
    return json.dumps(labels, separators=(",", ":"))


def labels_of(text: str) -> Labels:
    """The labels from ``labels_text``."""
    return tuple((name, value) for name, value in json.loads(text))


def bounds_text(bounds: tuple[float, ...] | None) -> str | None:
    """A histogram's upper bounds as JSON; None: a counter."""
    return None if bounds is None else json.dumps([float(bound) for bound in bounds])


@lru_cache(maxsize=256)
def bounds_of(text: str | None) -> tuple[float, ...] | None:
    """The bounds from ``bounds_text``."""
    return None if text is None else tuple(json.loads(text))


def buckets_text(buckets: Iterable[int]) -> str:
    """Observations per bucket as JSON."""
    return json.dumps(list(buckets))


def buckets_of(text: str | None, bounds: tuple[float, ...]) -> list[int]:
    """The observations from ``buckets_text``; None: there were none yet."""
    return [0] * (len(bounds) + 1) if text is None else list(json.loads(text))
