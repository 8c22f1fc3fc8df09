"""Configuration files, read and checked as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter.configuration.consistency import (
    Listening,
    check_rule_names,
    check_shared_metrics,
    complete,
    duplicate_sentence,
)
from exporter.configuration.drafts import Draft, read_rule
from exporter.configuration.footprint import Footprint
from exporter.configuration.formats import recommend_formats
from exporter.configuration.globs import GlobError
from exporter.configuration.packs import (
    PackMembership,
    PackUse,
    read_pack_header,
    read_pack_use,
)
from exporter.configuration.rules import RuleConfig
from exporter.sources import PLANNED_OPTIONS, PLANNED_TYPES, TYPES, SourceConfig
from exporter.yamlfile.documents import Item, Value, read_document
from exporter.yamlfile.paths import absolute_glob, is_path
from exporter.yamlfile.problems import ConfigurationError, Findings, Location, Problem, did_you_mean
from exporter.yamlfile.validation import Fields, fill, reject_unknown

_RULE_KEYS = ("rules", "metricFilters")
_FILE_KEYS = ("sources", "rule_packs", "rule_files", *_RULE_KEYS)
_ANSWER_KEYS = ("nextToken", "ResponseMetadata")
"""What DescribeMetricFilters prints beside ``metricFilters``."""
_NOT_IN_RULE_FILES = {
    "sources": "a rule file has only `rules`: move `sources` to the configuration file",
    "rule_files": "a rule file cannot name others: move `rule_files` to the configuration file",
    "rule_packs": "a rule file cannot name packs: move `rule_packs` to the configuration file",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is read, and what is counted in it."""

    sources: tuple[SourceConfig, ...]
    rules: tuple[RuleConfig, ...]
    files: tuple[Path, ...] = ()
    """Every file that it was read from."""

    def rules_of(self, source: str) -> tuple[RuleConfig, ...]:
        """The rules that listen to a source."""
        return tuple(rule for rule in self.rules if source in rule.sources)


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check."""

    configuration: Configuration | None
    """None where there are errors."""
    problems: tuple[Problem, ...]
    """Errors and warnings, in the order of the files."""
    sources: Mapping[str, Fields] = field(default_factory=dict)
    """Where the parts of each source are in the files, by its name."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What must be mended."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def load(paths: Sequence[Path]) -> Configuration:
    """Read configuration files and what they name, merged. Raises ConfigurationError."""
    checked = check(paths)
    if checked.configuration is None:
        raise ConfigurationError(checked.errors)
    return checked.configuration


def check(paths: Sequence[Path], footprint: Footprint | None = None) -> Checked:
    """Read configuration files as ``load`` does; report everything that is wrong with them.

    ``footprint`` is told which files it came from, but for rule packs, which are the program's.
    """
    return _Loader(Findings(), footprint).load(paths)


def read_named_rules(
    item: Item, folder: Path, findings: Findings, *, source: str
) -> tuple[RuleConfig, ...]:
    """Read the rules that a document's ``rule_packs`` and ``rule_files`` name, to try them out.

    The files may be configuration files as well, relative to ``folder``. Each rule listens to
    ``source`` alone, whatever it says itself; rules in error are left out.
    """
    return _Loader(findings).load_named(item, folder, source)


class _Loader:
    """Gathers what the files hold, then checks it as a whole."""

    def __init__(self, findings: Findings, footprint: Footprint | None = None) -> None:
        self._findings = findings
        self._footprint = Footprint() if footprint is None else footprint
        self._files: list[Path] = []
        self._sources: list[SourceConfig] = []
        self._source_places: dict[str, Location] = {}
        self._source_fields: dict[str, Fields] = {}
        self._unusable: set[str] = set()
        self._packs: dict[str, PackUse] = {}
        self._drafts: list[Draft] = []

    def load(self, paths: Sequence[Path]) -> Checked:
        self._footprint.add_files(paths)
        for path in paths:
            if not self._is_read(path):
                self._read_configuration_file(path)
        check_rule_names(self._drafts, self._findings)
        check_shared_metrics(self._drafts, self._findings)
        listening = Listening(self._sources, frozenset(self._unusable), self._findings)
        resolved = [
            complete(draft, listening.of(draft), self._sources, self._findings)
            for draft in self._drafts
        ]
        rules = tuple(rule for rule in resolved if rule is not None)
        self._check_whole(paths, rules)
        problems = self._sorted_problems()
        if self._findings.errors:
            return Checked(None, problems)
        configuration = Configuration(tuple(self._sources), rules, tuple(self._files))
        return Checked(configuration, problems, self._source_fields)

    def load_named(self, item: Item, folder: Path, source: str) -> tuple[RuleConfig, ...]:
        for pack in self._list(item, "rule_packs"):
            self._read_pack(pack)
        for pattern in self._list(item, "rule_files"):
            for path in self._find_files(pattern, folder):
                if not self._is_read(path):
                    self._read_configuration_file(path)
        check_rule_names(self._drafts, self._findings)
        check_shared_metrics(self._drafts, self._findings)
        completed = [complete(draft, (source,), (), self._findings) for draft in self._drafts]
        return tuple(rule for rule in completed if rule is not None)

    def _is_read(self, path: Path) -> bool:
        """Whether a file was read already: several globs may find it."""
        return path.resolve() in {known.resolve() for known in self._files}

    def _read(self, path: Path) -> Item | None:
        self._files.append(path)
        item = read_document(path, self._findings)
        if item is not None and not isinstance(item.data, dict):
            self._findings.error(
                item.location, "the file must hold a mapping with `sources` and `rules`"
            )
            return None
        return item

    def _read_configuration_file(self, path: Path) -> None:
        item = self._read(path)
        if item is None:
            return
        reject_unknown(item, (*_FILE_KEYS, *_ANSWER_KEYS), self._findings, hints={})
        for source in self._list(item, "sources"):
            self._read_source(source, path.parent)
        for pack in self._list(item, "rule_packs"):
            self._read_pack(pack)
        for pattern in self._list(item, "rule_files"):
            self._read_rule_files(pattern, path.parent)
        self._read_rules(item)

    def _read_pack(self, item: Item) -> None:
        use = read_pack_use(item, self._findings)
        if use is None:
            return
        first = self._packs.setdefault(use.name, use)
        if first is not use:
            where = f"{first.location.file}:{first.location.line}"
            self._findings.error(
                use.location,
                f"the rule pack `{use.name}` is used already ({where}): name it once, with all of"
                " its `sources`",
            )
            return
        pack = self._read(use.path)
        if pack is None:
            return
        if "rules" not in _as_mapping(pack):
            self._findings.error(pack.location, "a rule pack needs `rules`")
        membership = PackMembership(use, read_pack_header(pack, self._findings))
        rules = self._list(pack, "rules")
        names = [str(_as_mapping(rule).get("name")) for rule in rules]
        for index, name in enumerate(use.without):
            if name not in names:
                self._findings.error(
                    use.fields.value_of("without", index),
                    f"the rule pack `{use.name}` has no rule `{name}`{did_you_mean(name, names)}",
                )
        for name, rule in zip(names, rules, strict=True):
            if name not in use.without:
                draft = read_rule(rule, self._findings, membership)
                if draft is not None:
                    self._drafts.append(draft)

    def _read_rule_files(self, pattern: Item, folder: Path) -> None:
        for path in self._find_files(pattern, folder):
            if self._is_read(path):
                continue
            item = self._read(path)
            if item is None:
                continue
            reject_unknown(
                item, (*_RULE_KEYS, *_ANSWER_KEYS), self._findings, hints=_NOT_IN_RULE_FILES
            )
            if not any(key in _as_mapping(item) for key in _RULE_KEYS):
                self._findings.error(item.location, "a rule file needs `rules`")
            self._read_rules(item)

    def _find_files(self, pattern: Item, folder: Path) -> list[Path]:
        if not isinstance(pattern.data, str) or not is_path(pattern.data):
            self._findings.error(pattern.location, "`rule_files` lists paths: this is none")
            return []
        try:
            paths = self._footprint.find(absolute_glob(folder, pattern.data))
        except GlobError as error:
            self._findings.error(pattern.location, str(error))
            return []
        if not paths:
            self._findings.error(
                pattern.location,
                f"no file matches {pattern.data} in {folder.absolute()}: correct or remove it",
            )
        return [_shown(path, folder) for path in paths]

    def _read_rules(self, item: Item) -> None:
        if _as_mapping(item).get("nextToken"):
            self._findings.warning(
                item.key_of("nextToken"), "the answer was cut: there are more metric filters"
            )
        for key in _RULE_KEYS:
            for rule in self._list(item, key):
                draft = read_rule(rule, self._findings)
                if draft is not None:
                    self._drafts.append(draft)

    def _list(self, item: Item, key: str) -> list[Item]:
        data = _as_mapping(item)
        if key not in data:
            return []
        elements = item.elements(key)
        if data[key] is not None and not isinstance(data[key], list):
            self._findings.error(item.value_of(key), f"`{key}` must be a list")
        elif not elements:
            self._findings.error(item.value_of(key), f"`{key}` is empty")
        return elements

    def _read_source(self, item: Item, folder: Path) -> None:
        data = item.data
        if not isinstance(data, dict):
            self._findings.error(item.location, "a source must be a mapping with `name` and `type`")
            return
        self._check_source_name(item, data.get("name"))
        kind = self._source_type(item, data)
        if kind is None:
            return
        for key in PLANNED_OPTIONS:
            if key in data:
                self._findings.error(
                    item.key_of(key),
                    f"`{key}` is not available in this version: the account of the ambient"
                    " credentials is read",
                )
        values = {key: value for key, value in data.items() if key not in PLANNED_OPTIONS}
        model = TYPES[kind]
        stand_ins = {"name": "unnamed", **model.stand_ins}
        fields = Fields(item, values, {})
        filled = fill(model, fields, self._findings, stand_ins=stand_ins, folder=folder)
        if filled is not None and "name" not in filled.rejected:
            self._unusable.discard(filled.model.name)
            self._sources.append(filled.model)
            self._source_fields[filled.model.name] = fields

    def _check_source_name(self, item: Item, name: Value) -> None:
        if not isinstance(name, str):
            return
        place = item.value_of("name")
        first = self._source_places.setdefault(name, place)
        if first is not place:
            self._findings.error(place, duplicate_sentence("source", name, first))
        self._unusable.add(name)

    def _source_type(self, item: Item, data: dict[str, Value]) -> str | None:
        known = ", ".join(TYPES)
        kind = data.get("type")
        if "type" not in data:
            self._findings.error(item.location, f"`type` is missing: one of {known}")
        elif kind in PLANNED_TYPES:
            self._findings.error(
                item.value_of("type"),
                f"`{kind}` is not available in this version: use one of {known}",
            )
        elif not isinstance(kind, str) or kind not in TYPES:
            hint = did_you_mean(str(kind), TYPES)
            self._findings.error(item.value_of("type"), f"`type` must be one of {known}{hint}")
        else:
            return kind
        return None

    def _check_whole(self, paths: Sequence[Path], rules: Sequence[RuleConfig]) -> None:
        if self._findings.errors:
            # A missing list would be a consequence, not the cause.
            return
        whole = Location(", ".join(str(path) for path in paths))
        if not self._sources:
            self._findings.error(whole, "there are no `sources`: nothing would be read")
        if not self._drafts:
            self._findings.error(whole, "there are no `rules`: nothing would be counted")
            return
        heard = {name for rule in rules for name in rule.sources}
        for source in self._sources:
            if source.name not in heard:
                self._findings.warning(
                    self._source_places[source.name],
                    f"no rule listens to the source `{source.name}`: it is read for nothing",
                )
        recommend_formats(self._sources, self._source_places, rules, self._findings)

    def _sorted_problems(self) -> tuple[Problem, ...]:
        order = {str(path): index for index, path in enumerate(self._files)}

        def place(problem: Problem) -> tuple[int, int, int]:
            return (order.get(problem.file, -1), problem.line or 0, problem.column or 0)

        return tuple(sorted(self._findings.problems, key=place))


def _as_mapping(item: Item) -> dict[str, Value]:
    return item.data if isinstance(item.data, dict) else {}


def _shown(path: Path, folder: Path) -> Path:
    """A path as the user would write it: relative where the configuration file's is."""
    if folder.is_absolute():
        return path
    return folder / path.relative_to(folder.absolute()) if _is_below(path, folder) else path


def _is_below(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder.absolute())
