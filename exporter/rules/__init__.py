"""The rule set: log events in, judged events and their increments out."""

from exporter.rules.records import Facts
from exporter.rules.rule import definition
from exporter.rules.ruleset import Evaluation, RuleSet

__all__ = ["Evaluation", "Facts", "RuleSet", "definition"]
