"""The rules with unstructured patterns: which of them a message matches."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.patterns.syntax import Regex, Term, TermsPattern, Text
from exporter.patterns.termset import TermSet
from exporter.rules.memo import Memo

_MOST_KEPT = 4096
"""Sets of found terms whose rules are kept."""


class TermIndex:
    """The terms of many rules. Rules are the bits of an int."""

    def __init__(self, patterns: Mapping[int, TermsPattern]) -> None:
        numbers: dict[Text | Regex, int] = {}
        for pattern in patterns.values():
            for term in _needed(pattern):
                numbers.setdefault(term.value, len(numbers))
        self._set = TermSet(list(numbers))
        self._always: list[_Need] = []
        self._decided: dict[int, int] = {}
        """By term: the rules that match any message with it."""
        self._needs: dict[int, list[_Need]] = {}
        """By one term without which the pattern cannot match."""
        for bit, pattern in patterns.items():
            need = _Need(bit, pattern, numbers)
            for number in need.hooks:
                if need.hook_decides:
                    self._decided[number] = self._decided.get(number, 0) | bit
                else:
                    self._needs.setdefault(number, []).append(need)
            if not need.hooks:
                self._always.append(need)
        self._kept: Memo[tuple[int, ...], int] = Memo(_MOST_KEPT)
        self._messages = 0

    def matching(self, message: str) -> int:
        """The rules whose pattern a message matches."""
        self._messages += 1
        found = self._set.find(message)
        rules = self._kept.get(found)
        if rules is None:
            rules = self._judge(frozenset(found))
            self._kept.keep(found, rules, self._messages)
        return rules

    def _judge(self, found: frozenset[int]) -> int:
        rules = 0
        for need in self._always:
            rules |= need.judge(found)
        for number in found:
            rules |= self._decided.get(number, 0)
            for need in self._needs.get(number, ()):
                rules |= need.judge(found)
        return rules


class _Need:
    """What a pattern needs of the terms that are found in a message."""

    __slots__ = ("_bit", "_excluded", "_required", "hooks")

    def __init__(
        self, bit: int, pattern: TermsPattern, numbers: Mapping[Text | Regex, int]
    ) -> None:
        terms = _needed(pattern)
        by_mode: dict[str, set[int]] = {"required": set(), "optional": set(), "excluded": set()}
        for term in terms:
            by_mode[term.mode].add(numbers[term.value])
        self._bit = bit
        self._required = frozenset(by_mode["required"])
        self._excluded = frozenset(by_mode["excluded"])
        self.hooks = by_mode["optional"] or set(sorted(by_mode["required"])[:1])
        """At least one of these terms must be found; empty if none must."""

    @property
    def hook_decides(self) -> bool:
        """Whether a message with one of the hooks matches."""
        return self._required <= self.hooks and not self._excluded

    def judge(self, found: frozenset[int]) -> int:
        """The rule's bit if a message with these terms, and one of the hooks, matches; else 0."""
        matches = self._required <= found and self._excluded.isdisjoint(found)
        return self._bit if matches else 0


def _needed(pattern: TermsPattern) -> list[Term]:
    """The terms that decide: AWS ignores those with ``?`` if there are others."""
    others = [term for term in pattern.terms if term.mode != "optional"]
    return others or list(pattern.terms)
