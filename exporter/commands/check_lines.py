"""The newest lines of each source, and the rules of packs that match them, for ``check``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.configuration import Checked, Configuration, SourceConfig
from exporter.model import LogEvent, Partition, SourceError
from exporter.patterns import Document
from exporter.rules import RuleSet
from exporter.rules.recognition import Unrecognized, joined
from exporter.sources.base import Environment
from exporter.yamlfile.problems import Problem, plural


def check_lines(checked: Checked, environment: Environment) -> Iterator[Problem | str]:
    """Warnings, and a sentence about each pack that reads lines, by source."""
    configuration = checked.configuration
    if configuration is None:
        return
    for source in configuration.sources:
        lines = _NewestLines(configuration, source)
        if not lines.formats:
            continue
        place = checked.sources[source.name].value_of("name")
        for partition, events in source.newest_online(environment):
            if isinstance(events, SourceError):
                yield Problem(str(events), place, "warning")
            else:
                lines.add(partition, events)
        for pack in lines.formats if lines.read else ():
            yield lines.summary(pack)
            problem = lines.problem(pack)
            if problem:
                yield Problem(problem, place, "warning")


class _NewestLines:
    """What the newest lines of a source show of its packs."""

    def __init__(self, configuration: Configuration, source: SourceConfig) -> None:
        self.formats = configuration.formats_of(source.name)
        self.read = 0
        self._source = source
        rules = configuration.rules_of(source.name)
        self._rules = RuleSet.of(rules, {source.name: self.formats})
        self._names = {pack: {r.name for r in rules if r.pack == pack} for pack in self.formats}
        self._partitions = 0
        self._matching: set[str] = set()
        self._alike: set[str] = set()
        """Packs of whose format a line looks like."""
        self._unread: dict[str, Unrecognized] = {}
        self._unread_in: dict[str, str] = {}

    def add(self, partition: Partition, events: Sequence[LogEvent]) -> None:
        """Look at lines of a partition."""
        self.read += len(events)
        self._partitions += bool(events)
        evaluation = self._rules.evaluate(events, partition, self._source.format)
        self._matching |= {increment.rule for increment in evaluation.increments}
        self._unread = joined([self._unread, evaluation.unrecognized])
        for pack in evaluation.unrecognized:
            self._unread_in.setdefault(pack, partition.resource)
        for document in [Document(event.message) for event in events]:
            for pack in self.formats.keys() - self._alike:
                if any(one.match_document(document) for one in self.formats[pack].looks_like):
                    self._alike.add(pack)

    def summary(self, pack: str) -> str:
        """Which rules of a pack match some of them."""
        names = sorted(self._names[pack] & self._matching)
        return (
            f"pack {pack} on {self._source.name}: {len(names)} of"
            f" {plural(len(self._names[pack]), 'rule')} match some of {self._lines}"
            f"{': ' if names else ''}{', '.join(names)}"
        )

    def problem(self, pack: str) -> str:
        """Why rules of a pack do not match them; empty if there is no reason to doubt."""
        if pack in self._unread:
            unread = self._unread[pack]
            return (
                f"{unread.lines} of {self._lines} look like the format of the pack `{pack}`, and no"
                f" rule matches them; one in {self._unread_in[pack]} has the shape {unread.shape}"
            )
        if pack in self._alike or self._names[pack] & self._matching:
            return ""
        return (
            f"none of {self._lines} looks like the format of the pack `{pack}`: name in the pack's"
            " `sources` those that have such lines"
        )

    @property
    def _lines(self) -> str:
        return f"the newest {plural(self.read, 'line')} of {plural(self._partitions, 'log group')}"
