"""The rule set: a batch of log events in, judged events with their increments out.

``ruleset.py`` selects the versions of rules that judge an event, ``lines.py`` evaluates all rules
of lines together, ``rule.py`` is one rule, ``records.py`` reads an event's id, time, account and
region. Knows neither AWS nor the ledger.
"""

from exporter.rules.records import Facts
from exporter.rules.rule import definition
from exporter.rules.ruleset import Evaluation, RuleSet

__all__ = ["Evaluation", "Facts", "RuleSet", "definition"]
