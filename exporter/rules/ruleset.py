"""The rule set: a batch of log events in, increments out.

Each message is decoded once, for all rules. This module is the seam for speed: what calls it knows
batches and increments, not how many rules looked at an event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.configuration import RuleConfig
from exporter.model import OVERFLOW, EventFormat, Increment, Labels, LogEvent, Partition, SeriesKey
from exporter.patterns import Document, Match
from exporter.rules.labels import label_value, metric_value
from exporter.rules.records import Facts, aliases, facts


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a batch of log events came to."""

    increments: Sequence[Increment]
    facts: Sequence[Facts]
    """Of each log event of the batch, in its order."""


class RuleSet:
    """The rules of a configuration, ready to evaluate. Immutable and thread-safe."""

    def __init__(self, rules: Iterable[RuleConfig]) -> None:
        self.rules = tuple(rules)
        self._by_source: dict[str, list[_Rule]] = defaultdict(list)
        for rule in self.rules:
            for source in rule.sources:
                self._by_source[source].append(_Rule(rule))

    def listening(self, source: str) -> list[RuleConfig]:
        """The rules that listen to a source."""
        return [rule.config for rule in self._by_source.get(source, ())]

    def evaluate(
        self, events: Sequence[LogEvent], partition: Partition, event_format: EventFormat
    ) -> Evaluation:
        """Match a batch of a partition's log events with every rule that listens to its source."""
        rules = self._by_source.get(partition.source, ())
        increments: list[Increment] = []
        about: list[Facts] = []
        for event in events:
            document = Document(event.message)
            fact = facts(event, document, partition, event_format)
            about.append(fact)
            for rule in rules:
                match = rule.config.compiled.match_document(document)
                if match is not None:
                    increments.append(rule.increment(event, document, match, fact, partition))
        return Evaluation(increments, about)

    def static_series(self, partition: Partition) -> dict[str, SeriesKey]:
        """By rule, the series of a partition that are known before any match.

        These are the series of rules whose labels are all literal.
        """
        return {
            rule.config.name: rule.key(
                rule.literal,
                Facts(None, "", None, partition.account_id, partition.region),
                partition,
            )
            for rule in self._by_source.get(partition.source, ())
            if not rule.dynamic
        }


class _Rule:
    """A rule with what is the same for each of its matches worked out once."""

    def __init__(self, config: RuleConfig) -> None:
        self.config = config
        self.literal = {
            name: value.literal
            for name, value in config.labels.items()
            if value.literal is not None
        }
        if config.uses_default_metric:
            self.literal["rule"] = config.name
        self.dynamic = {
            name: value.references for name, value in config.labels.items() if value.literal is None
        }

    def increment(
        self,
        event: LogEvent,
        document: Document,
        match: Match,
        fact: Facts,
        partition: Partition,
    ) -> Increment:
        """What one match adds, and where."""
        dynamic = {
            name: label_value(references, document, match)
            for name, references in self.dynamic.items()
        }
        series = overflow = self.key(self.literal | dynamic, fact, partition)
        if dynamic:
            overflowing = dict.fromkeys(dynamic, OVERFLOW)
            overflow = self.key(self.literal | overflowing, fact, partition)
        spec = self.config.value
        value = spec.number
        if spec.reference is not None:
            value = metric_value(spec, document, match)
        return Increment(
            rule=self.config.name,
            series=series,
            overflow=overflow,
            value=value,
            time=event.time,
            event_time=fact.event_time,
            event_id=fact.event_id,
            scope=fact.scope,
            aliases=aliases(event, document, partition, fact),
        )

    def key(self, labels: dict[str, str], fact: Facts, partition: Partition) -> SeriesKey:
        """The series with these labels and those that every series of a partition carries."""
        everything = labels | {
            "account_id": fact.account_id,
            "region": fact.region,
            "source": partition.source,
        }
        if partition.kind.on_series:
            everything[partition.kind.label] = partition.resource
        sorted_labels: Labels = tuple(sorted(everything.items()))
        return SeriesKey(self.config.metric, sorted_labels)
