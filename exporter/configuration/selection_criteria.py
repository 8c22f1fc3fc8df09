"""``fieldSelectionCriteria`` of metric filters: which accounts and regions they are for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 2000
_FIELDS: Final = ("@aws.account", "@aws.region")
_VALUE: Final = r'"[^"]*"'
_CONDITION = re.compile(
    rf"""\s* (?P<field>@[\w.]+) \s*
    (?: (?P<not_equal>!?)= \s* (?P<value>{_VALUE})
      | (?P<not_in>NOT\s+)? IN \s* \[ (?P<values>\s*{_VALUE}\s*(?:,\s*{_VALUE}\s*)*) \] )
    \s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_JOINED = re.compile(r"(?:(AND)|OR)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Condition:
    field: str
    values: frozenset[str]
    negated: bool

    def holds(self, account_id: str, region: str) -> bool:
        value = account_id if self.field == _FIELDS[0] else region
        return (value in self.values) != self.negated


@dataclass(frozen=True, slots=True)
class SelectionCriteria:
    """Criteria for the account and region of log groups."""

    text: str
    alternatives: tuple[tuple[_Condition, ...], ...]
    """All conditions of at least one of these must hold."""

    def select(self, account_id: str, region: str) -> bool:
        """Whether log events of an account and region are selected."""
        return any(
            all(condition.holds(account_id, region) for condition in conditions)
            for conditions in self.alternatives
        )


def parse_criteria(data: object) -> SelectionCriteria | None:
    """Read criteria in AWS's syntax; None if they are empty. Raises ValueError.

    AWS: ``=``, ``!=``, ``IN``, ``NOT IN``, ``AND``, ``OR``. As in SQL, AND comes first.
    """
    if not isinstance(data, str):
        raise ValueError("must be a text")  # noqa: TRY004 pydantic's
    if len(data) > _LONGEST:
        raise ValueError(f"must be at most {_LONGEST:,} characters")
    if not data.strip():
        return None
    alternatives: list[list[_Condition]] = [[]]
    position = 0
    while True:
        match = _CONDITION.match(data, position)
        if match is None:
            raise ValueError(
                f"has no condition at {data[position:].strip()[:20]!r}: write"
                ' @aws.region = "us-east-1" or @aws.account IN ["111122223333"]'
            )
        alternatives[-1].append(_condition(match))
        position = match.end()
        if position == len(data):
            return SelectionCriteria(data, tuple(map(tuple, alternatives)))
        joined = _JOINED.match(data, position)
        if joined is None:
            raise ValueError(f"has no AND or OR at {data[position:][:20]!r}")
        if joined[1] is None:
            alternatives.append([])
        position = joined.end()


def _condition(match: re.Match[str]) -> _Condition:
    field = match["field"]
    if field not in _FIELDS:
        raise ValueError(f"{field} is not a system field: {' or '.join(_FIELDS)}")
    values = re.findall('"([^"]*)"', match["value"] or match["values"])
    return _Condition(field, frozenset(values), bool(match["not_equal"] or match["not_in"]))
