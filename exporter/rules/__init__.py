"""The rule set: log events in, increments of series out."""

from exporter.model import Increment, Labels, SeriesKey
from exporter.rules.records import Facts
from exporter.rules.ruleset import Evaluation, RuleSet

__all__ = ["Evaluation", "Facts", "Increment", "Labels", "RuleSet", "SeriesKey"]
