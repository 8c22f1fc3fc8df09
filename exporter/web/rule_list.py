"""Which rules the status page lists, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final
from urllib.parse import urlencode

from exporter.web.status import RuleStatus
from exporter.yamlfile.problems import plural

SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
"""The severities that have a colour, the worst first."""
BY_LAST_MATCH: Final = "last_match"
BY_SEVERITY: Final = "severity"
_LONGEST: Final = 200
"""Characters of a text that is searched for."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules that a reader asks for, from the query of the page's URL."""

    rules: str = ""
    """Words that each rule must contain, in any case."""
    severity: str = ""
    """Empty for all."""
    sort: str = BY_LAST_MATCH

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Selection:
        """Return the selection of a query; what is missing or unknown has its default."""
        sort = query.get("sort", BY_LAST_MATCH)
        return cls(
            query.get("rules", "").strip()[:_LONGEST],
            query.get("severity", "")[:_LONGEST],
            sort if sort == BY_SEVERITY else BY_LAST_MATCH,
        )

    @property
    def is_all(self) -> bool:
        """Whether no rule is left out."""
        return not self.rules and not self.severity

    def apply(self, rules: Iterable[RuleStatus]) -> list[RuleStatus]:
        """Return the rules that are asked for, in their order."""
        words = self.rules.lower().split()
        wanted = self.severity.lower()
        chosen = [
            rule
            for rule in rules
            if (not wanted or rule.severity.lower() == wanted)
            and (not words or _contains(rule, words))
        ]
        if self.sort == BY_SEVERITY:
            return sorted(chosen, key=lambda rule: (_rank(rule.severity), *_order(rule)))
        return sorted(chosen, key=_order)

    def query(self, refresh: int | None, sort: str = "") -> str:
        """Return the query of a page with this selection, in another order if one is given."""
        asked = replace(self, sort=sort or self.sort)
        given = {name: text for name, text in asdict(asked).items() if text != _DEFAULTS[name]}
        if refresh:
            given["refresh"] = str(refresh)
        return "?" + urlencode(given, errors="replace")


ALL_RULES: Final = Selection()
_DEFAULTS: Final[Mapping[str, str]] = asdict(ALL_RULES)


def severities(rules: Iterable[RuleStatus]) -> list[tuple[str, int]]:
    """Return the severities of rules, the worst first, and how many rules have each."""
    counts = Counter(rule.severity.lower() for rule in rules if rule.severity)
    return sorted(counts.items(), key=lambda one: _rank(one[0]))


def notes(rule: RuleStatus) -> list[str]:
    """Return sentences for the author of a rule."""
    sentences = []
    if rule.overflowed:
        sentences.append(
            f"{plural(rule.overflowed, 'increment')} lost the values of unbounded labels, because"
            f" the rule already had {rule.max_series:,} series in the account. Totals stay exact."
            " Raise max_series, or use labels with fewer values."
        )
    if rule.value_errors:
        sentences.append(
            f"{plural(rule.value_errors, 'match')} had no usable value (missing, not a number,"
            " negative or too large) and added nothing to the metric."
        )
    return [*sentences, *rule.warnings]


def _contains(rule: RuleStatus, words: Sequence[str]) -> bool:
    texts = (rule.name, rule.title, rule.metric, rule.pack, rule.severity, rule.pattern)
    text = "\n".join((*texts, rule.description, *rule.sources, *rule.controls)).lower()
    return all(word in text for word in words)


def _rank(severity: str) -> tuple[int, str]:
    """Sort severities: those with a colour, then others by name, then none."""
    name = severity.lower()
    if name in SEVERITIES:
        return SEVERITIES.index(name), ""
    return len(SEVERITIES) + (not name), name


def _order(rule: RuleStatus) -> tuple[bool, float, str]:
    """Sort rules with notes first, then by last match (latest first), then by name."""
    latest = rule.last_match.timestamp() if rule.last_match else 0.0
    return not notes(rule), -latest, rule.name
