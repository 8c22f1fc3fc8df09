"""How labels, bounds and bucket counts are stored: as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache

from exporter.model import Labels

_encode = json.JSONEncoder(separators=(",", ":")).encode


@lru_cache(maxsize=4096)
def labels_text(labels: Labels) -> str:
    """Labels as JSON in ASCII, which preserves any string, also lone surrogates."""
    return _encode(labels)


def labels_of(text: str) -> Labels:
    """Labels from ``labels_text``."""
    return tuple((name, value) for name, value in json.loads(text))


@lru_cache(maxsize=256)
def bounds_text(bounds: tuple[float, ...] | None) -> str | None:
    """A histogram's upper bounds as JSON; None for a counter."""
    return None if bounds is None else json.dumps([float(bound) for bound in bounds])


@lru_cache(maxsize=256)
def bounds_of(text: str | None) -> tuple[float, ...] | None:
    """Bounds from ``bounds_text``."""
    return None if text is None else tuple(json.loads(text))


def buckets_text(buckets: Iterable[int]) -> str:
    """Observations in each bucket as JSON, +Inf last."""
    return json.dumps(list(buckets))


def buckets_of(text: str | None, bounds: tuple[float, ...]) -> list[int]:
    """Observations from ``buckets_text``; all 0 for None."""
    return [0] * (len(bounds) + 1) if text is None else list(json.loads(text))
