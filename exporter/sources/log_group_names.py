"""Names of log groups, and name patterns."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.patterns.compile import wildcard_test


class LogGroupNames:
    """Names as configured, in which ``*`` matches any characters, ``/`` included."""

    def __init__(self, patterns: Iterable[str], exclude: Iterable[str] = ()) -> None:
        """``exclude``: names and patterns that are left out."""
        distinct = tuple(dict.fromkeys(patterns))
        self._excluded = [wildcard_test(pattern) for pattern in exclude]
        self.exact = tuple(pattern for pattern in distinct if "*" not in pattern)
        """Names of log groups that should exist."""
        self.prefixes = _shortest(pattern.partition("*")[0] for pattern in distinct)
        """Prefixes that cover every matching name once."""
        self._exact = frozenset(self.exact)
        self._wildcards = [wildcard_test(pattern) for pattern in distinct if "*" in pattern]

    def wanted(self, name: str) -> bool:
        """Whether a name matches."""
        is_named = name in self._exact or any(matches(name) for matches in self._wildcards)
        return is_named and not any(excludes(name) for excludes in self._excluded)


def _shortest(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Drop prefixes that begin with another prefix."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return tuple(kept)
