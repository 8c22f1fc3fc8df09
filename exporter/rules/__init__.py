"""The rule set: a batch of log events in, judged events with their increments out.

``evaluation.py`` judges a batch, ``judges.py`` selects the versions of rules that judge an event,
``program.py`` is such a set of rules compiled, ``decoder.py`` decodes the fields that they look at,
``records.py`` reads an event's id, time, account and region. docs/architecture.md, "The fast way",
describes how they work together. Knows neither AWS nor the ledger.
"""

from exporter.rules.records import Facts
from exporter.rules.rule import definition
from exporter.rules.ruleset import Evaluation, RuleSet

__all__ = ["Evaluation", "Facts", "RuleSet", "definition"]
