"""The sets of rules that have judged events: memory refers to them by number."""

from __future__ import annotations

import json
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.ledger.store import Transaction
from exporter.ledger.tables import FACTS, RULE_SETS, Fact, RuleSetRow

EPOCH: Final = "epoch"
"""Name of the fact that changes whenever rows are deleted that processes keep a copy of."""
_SETS: Final = 1 << 16
"""Numbers have two bytes."""


class KnownSets:
    """The sets that a process has read; valid while the ledger is in one epoch."""

    def __init__(self, epoch: str = "") -> None:
        self.epoch = epoch
        self.rules: dict[int, frozenset[str]] = {}
        self.numbers: dict[frozenset[str], int] = {}


class RuleSets:
    """The sets in a transaction. Only what it has committed is kept by the process."""

    def __init__(self, transaction: Transaction, known: KnownSets) -> None:
        """``known``: from earlier transactions."""
        self._transaction = transaction
        found = transaction.read(FACTS, [(EPOCH,)])
        epoch = found[0].value if found else ""
        self._known = known if known.epoch == epoch else KnownSets(epoch)
        self._own = KnownSets()

    def rules(self, number: int) -> frozenset[str]:
        """Return the set with a number. Raises LedgerError if it is missing."""
        rules = self._known.rules.get(number) or self._own.rules.get(number)
        if rules is None:
            self._read()
            rules = self._own.rules.get(number)
        if rules is None:
            raise LedgerError(
                f"The ledger's memory refers to rule set {number}, which is not in table rule_sets."
                " Restore the ledger from a backup."
            )
        return rules

    def number(self, rules: frozenset[str]) -> int:
        """Return the number of a set; a new one gets the lowest free number."""
        number = self._known.numbers.get(rules, self._own.numbers.get(rules))
        if number is None:
            self._read()
            number = self._own.numbers.get(rules)
        if number is not None:
            return number
        number = next((one for one in range(_SETS) if one not in self._own.rules), -1)
        if number < 0:
            raise LedgerError(
                f"The ledger's memory has {_SETS} different sets of rules, which is the limit. "
                "Change the rules less often, or shorten the lookback of sources."
            )
        text = json.dumps(sorted(rules), separators=(",", ":"))
        self._transaction.write(RULE_SETS, [RuleSetRow(number, text)])
        self._add(number, rules)
        return number

    def keep_only(self, used: set[int]) -> None:
        """Delete the other sets."""
        self._read()
        unused = self._own.rules.keys() - used
        if unused:
            self._transaction.delete(RULE_SETS, [(number,) for number in unused])
            begin_epoch(self._transaction)

    def committed(self) -> KnownSets:
        """Return what the process knows once the transaction is committed."""
        self._known.rules |= self._own.rules
        self._known.numbers |= self._own.numbers
        return self._known

    def _read(self) -> None:
        for row in self._transaction.read(RULE_SETS):
            if row.id not in self._own.rules:
                known = self._known.rules.get(row.id)
                self._add(row.id, frozenset(json.loads(row.rules)) if known is None else known)

    def _add(self, number: int, rules: frozenset[str]) -> None:
        self._own.rules[number] = rules
        self._own.numbers[rules] = number


def begin_epoch(transaction: Transaction) -> None:
    """Let no process use its copies of rows any more."""
    found = transaction.read(FACTS, [(EPOCH,)])
    number = int(found[0].value) + 1 if found else 1
    transaction.write(FACTS, [Fact(EPOCH, str(number))])
