"""Configuration files, read and validated together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from exporter.configuration.consistency import (
    check_between_rules,
    check_between_sources,
    duplicate_name,
)
from exporter.configuration.global_services import warn_of_global_services
from exporter.configuration.line_format import LineFormat
from exporter.configuration.listening import Listening, warn_of_sources
from exporter.configuration.packs import Pack, available_packs, read_pack, read_pack_use
from exporter.configuration.rule_checks import read_rule
from exporter.configuration.rules import RuleConfig
from exporter.configuration.thresholds import Threshold
from exporter.configuration.tuning import check_names, tuned
from exporter.model import Feed
from exporter.sources import TYPES, SourceConfig
from exporter.yamlfile.documents import Item, read_document
from exporter.yamlfile.footprint import Footprint
from exporter.yamlfile.globs import GlobError, absolute_glob, is_path
from exporter.yamlfile.problems import (
    ConfigurationError,
    Findings,
    Location,
    Problem,
    did_you_mean,
    errors_in,
)
from exporter.yamlfile.validation import Fields, Filled, fill, list_at, reject_unknown

_RULE_KEYS = ("rules", "metricFilters")
_FILE_KEYS = ("sources", "rule_packs", "rule_files", *_RULE_KEYS)
_ANSWER_KEYS = ("nextToken", "ResponseMetadata")
"""Other keys in the output of DescribeMetricFilters."""
_NOT_IN_RULE_FILES = {
    "sources": "a rule file has only `rules`: move `sources` to the configuration file",
    "rule_files": "a rule file cannot name others: move `rule_files` to the configuration file",
    "rule_packs": "a rule file cannot name packs: move `rule_packs` to the configuration file",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """The sources that are read, and the rules that count in them."""

    sources: tuple[SourceConfig, ...]
    rules: tuple[RuleConfig, ...]
    files: tuple[Path, ...] = ()
    """All files that it was read from."""
    thresholds: tuple[Threshold, ...] = ()
    """Those of the rule packs in use."""
    formats: Mapping[str, LineFormat] = field(default_factory=dict)
    """The formats of lines, by rule pack."""

    @property
    def feeds(self) -> dict[str, Feed]:
        """The feed of each source, by the source's name."""
        members: dict[str, list[SourceConfig]] = {}
        for source in self.sources:
            members.setdefault(source.feed_name, []).append(source)
        feeds = (
            Feed(name, tuple(one.name for one in of), _formats(of)) for name, of in members.items()
        )
        return {source: feed for feed in feeds for source in feed.sources}

    def rules_of(self, source: str) -> tuple[RuleConfig, ...]:
        """Return the rules that listen to a source."""
        return tuple(rule for rule in self.rules if source in rule.sources)

    def formats_of(self, source: str) -> dict[str, LineFormat]:
        """Return the formats of the packs whose rules listen to a source, by pack."""
        packs = {rule.pack for rule in self.rules_of(source)}
        return {pack: one for pack, one in self.formats.items() if pack in packs}


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check."""

    configuration: Configuration | None
    """None if there are errors."""
    problems: tuple[Problem, ...]
    """Errors and warnings, in the order of the files."""
    sources: Mapping[str, Fields] = field(default_factory=dict)
    """The locations of each source's options, by its name."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that are errors."""
        return errors_in(self.problems)


def _formats(sources: Sequence[SourceConfig]) -> str:
    if len(sources) == 1:
        return sources[0].format
    return " ".join(sorted(f"{source.name}={source.format}" for source in sources))


def load(paths: Sequence[Path]) -> Configuration:
    """Read and merge configuration files and the files they name; raises ConfigurationError."""
    checked = check(paths)
    if checked.configuration is None:
        raise ConfigurationError(checked.errors)
    return checked.configuration


def check(paths: Sequence[Path], footprint: Footprint | None = None) -> Checked:
    """Read configuration files as ``load`` does; return all errors and warnings.

    All files except rule packs, which are part of the program, are added to ``footprint``.
    """
    return _Loader(Findings(), footprint).load(paths)


def read_named_rules(
    item: Item, folder: Path, findings: Findings, *, source: str
) -> tuple[RuleConfig, ...]:
    """Read the rules that a document names in ``rule_packs`` and ``rule_files``, to test them.

    The files may also be configuration files; they are relative to ``folder``. All rules listen
    to ``source`` only. Invalid rules are left out.
    """
    return _Loader(findings).load_named(item, folder, source)


class _Loader:
    """Reads all files, then checks the whole configuration."""

    def __init__(self, findings: Findings, footprint: Footprint | None = None) -> None:
        self._findings = findings
        self._footprint = Footprint() if footprint is None else footprint
        self._files: dict[Path, Path] = {}
        """By path without symbolic links, because several globs may find a file."""
        self._sources: list[Filled[SourceConfig]] = []
        self._source_names: dict[str, Location] = {}
        """Also of invalid sources."""
        self._packs: dict[str, Pack] = {}
        self._rules: list[Filled[RuleConfig]] = []

    def load(self, paths: Sequence[Path]) -> Checked:
        self._footprint.add_files(paths)
        for path in paths:
            self._read_configuration_file(path)
        check_between_rules(self._rules, self._findings)
        check_between_sources(self._sources, self._findings)
        usable = {source.model.name for source in self._sources}
        unusable = frozenset(self._source_names.keys() - usable)
        listening = Listening(self._sources, unusable, self._packs, self._findings)
        resolved = [listening.resolve(rule) for rule in self._rules]
        rules = tuple(rule for rule in resolved if rule is not None)
        self._check_whole(paths, rules)
        problems = self._sorted_problems()
        if self._findings.errors:
            return Checked(None, problems)
        sources = tuple(source.model for source in self._sources)
        thresholds = tuple(chain.from_iterable(pack.thresholds for pack in self._packs.values()))
        formats = {name: pack.lines for name, pack in self._packs.items() if pack.lines}
        files = tuple(self._files.values())
        configuration = Configuration(sources, rules, files, thresholds, formats)
        fields = {source.model.name: source.fields for source in self._sources}
        return Checked(configuration, problems, fields)

    def load_named(self, item: Item, folder: Path, source: str) -> tuple[RuleConfig, ...]:
        self._read_packs_and_files(item, folder, self._read_configuration_file)
        check_between_rules(self._rules, self._findings)
        return tuple(
            rule.model.model_copy(update={"sources": (source,)})
            for rule in self._rules
            if not rule.rejected
        )

    def _read(self, path: Path) -> Item | None:
        """Return a file's mapping, or None if it was read before or is invalid."""
        resolved = path.resolve()
        if resolved in self._files:
            return None
        self._files[resolved] = path
        item = read_document(path, self._findings)
        if item is not None and not isinstance(item.data, dict):
            message = "the file must be a mapping with `sources` and `rules`"
            self._findings.error(item.location, message)
            return None
        return item

    def _read_configuration_file(self, path: Path) -> None:
        item = self._read(path)
        if item is None:
            return
        reject_unknown(item, (*_FILE_KEYS, *_ANSWER_KEYS), self._findings)
        for source in list_at(item, "sources", self._findings):
            self._read_source(source, path.parent)
        self._read_packs_and_files(item, path.parent, self._read_rule_file)
        self._read_rules(item)

    def _read_packs_and_files(
        self, item: Item, folder: Path, read_file: Callable[[Path], None]
    ) -> None:
        for pack in list_at(item, "rule_packs", self._findings):
            self._read_pack(pack)
        for pattern in list_at(item, "rule_files", self._findings):
            for path in self._find_files(pattern, folder):
                read_file(path)

    def _read_rule_file(self, path: Path) -> None:
        item = self._read(path)
        if item is None:
            return
        known = (*_RULE_KEYS, *_ANSWER_KEYS)
        reject_unknown(item, known, self._findings, hints=_NOT_IN_RULE_FILES)
        if not any(key in item.mapping for key in _RULE_KEYS):
            self._findings.error(item.location, "a rule file needs `rules`")
        self._read_rules(item)

    def _read_pack(self, item: Item) -> None:
        use = read_pack_use(item, self._findings)
        if use is None:
            return
        name = use.model.name
        if name in self._packs:
            first = self._packs[name].use.fields.value_of("name")
            self._findings.error(
                use.fields.value_of("name"),
                f"the rule pack `{name}` is used already ({first.file}:{first.line}): name it once,"
                " with all of its `sources`",
            )
            return
        file = self._read(available_packs()[name])
        if file is None:
            return
        if "rules" not in file.mapping:
            self._findings.error(file.location, "a rule pack needs `rules`")
        self._packs[name] = read_pack(file, use, self._findings)
        rules = list_at(file, "rules", self._findings)
        names = [str(rule.mapping.get("name")) for rule in rules]
        check_names(use, names, self._findings)
        used = [
            tuned(rule, rule_name, use)
            for rule_name, rule in zip(names, rules, strict=True)
            if rule_name not in use.model.without
        ]
        declared = self._packs[name].declared
        for rule in used if declared is None else declared.apply(used, self._findings):
            self._add_rule(rule, pack=name)

    def _find_files(self, pattern: Item, folder: Path) -> list[Path]:
        """Return the files of an element of ``rule_files``, with paths relative as ``folder``."""
        if not isinstance(pattern.data, str) or not is_path(pattern.data):
            self._findings.error(pattern.location, "`rule_files` lists paths: this is not a path")
            return []
        try:
            paths = self._footprint.find(absolute_glob(folder, pattern.data))
        except GlobError as error:
            self._findings.error(pattern.location, str(error))
            return []
        home = folder.absolute()
        if not paths:
            message = f"no file matches {pattern.data} in {home}: correct or remove it"
            self._findings.error(pattern.location, message)
        return [folder / p.relative_to(home) if p.is_relative_to(home) else p for p in paths]

    def _read_rules(self, item: Item) -> None:
        if item.mapping.get("nextToken"):
            message = "the answer is incomplete: there are more metric filters"
            self._findings.warning(item.key_of("nextToken"), message)
        for key in _RULE_KEYS:
            for rule in list_at(item, key, self._findings):
                self._add_rule(rule)

    def _add_rule(self, item: Item, *, pack: str = "") -> None:
        rule = read_rule(item, self._findings, pack=pack)
        if rule is not None:
            self._rules.append(rule)

    def _read_source(self, item: Item, folder: Path) -> None:
        if not isinstance(item.data, dict):
            self._findings.error(item.location, "a source must be a mapping with `name` and `type`")
            return
        self._check_source_name(item)
        kind = self._source_type(item)
        if kind is None:
            return
        model = TYPES[kind].form(item.data)
        stand_ins = {"name": "unnamed", **model.stand_ins}
        fields = Fields(item, item.data)
        source = fill(model, fields, self._findings, stand_ins=stand_ins, context=folder)
        if source is not None and source.is_right("name"):
            self._sources.append(source)

    def _check_source_name(self, item: Item) -> None:
        name = item.mapping.get("name")
        if isinstance(name, str):
            location = item.value_of("name")
            first = self._source_names.setdefault(name, location)
            if first is not location:
                self._findings.error(location, duplicate_name("source", name, first))

    def _source_type(self, item: Item) -> str | None:
        known = ", ".join(TYPES)
        kind = item.mapping.get("type")
        if "type" not in item.mapping:
            self._findings.error(item.location, f"`type` is missing: one of {known}")
        elif not isinstance(kind, str) or kind not in TYPES:
            hint = did_you_mean(str(kind), TYPES)
            self._findings.error(item.value_of("type"), f"`type` must be one of {known}{hint}")
        else:
            return kind
        return None

    def _check_whole(self, paths: Sequence[Path], rules: Sequence[RuleConfig]) -> None:
        if self._findings.errors:
            return  # a missing list may be the consequence of another error
        whole = Location(", ".join(str(path) for path in paths))
        if not self._sources:
            self._findings.error(whole, "there are no `sources`: nothing would be read")
        if not self._rules:
            self._findings.error(whole, "there are no `rules`: nothing would be counted")
        else:
            warn_of_sources(self._sources, rules, self._findings)
            warn_of_global_services(self._sources, rules, self._findings)

    def _sorted_problems(self) -> tuple[Problem, ...]:
        order = {str(path): index for index, path in enumerate(self._files.values())}

        def position(problem: Problem) -> tuple[int, int, int]:
            location = problem.location
            return (order.get(location.file, -1), location.line or 0, location.column or 0)

        return tuple(sorted(self._findings.problems, key=position))
