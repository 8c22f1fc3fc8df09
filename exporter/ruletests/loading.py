"""Files of rule tests, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from exporter.configuration import Problem, RuleConfig
from exporter.configuration.loading import read_named_rules
from exporter.configuration.names import DEFAULT_METRIC_LABEL
from exporter.configuration.references import parse_value
from exporter.ruletests import messages
from exporter.ruletests.models import SOURCE, Expectation, ExpectedValue, RuleTest, RuleTestFile
from exporter.sources import LOCATION_LABELS
from exporter.yamlfile.documents import Item, Value, read_document
from exporter.yamlfile.problems import Findings, did_you_mean
from exporter.yamlfile.validation import Fields, fill, reject_unknown

_FILE_KEYS = ("rule_packs", "rule_files", "events", "tests")
_TEST_KEYS = ("name", *messages.KEYS, "matches", "no_match")
_STAND_INS: dict[str, Value] = {"name": "unnamed", "rule": ""}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of reading a file of rule tests."""

    file: RuleTestFile | None
    """None where there are errors."""
    problems: tuple[Problem, ...]
    """Errors and warnings."""


def _read_value(data: object) -> ExpectedValue:
    if data == "error":
        return "error"
    try:
        value = parse_value(data).number
    except ValueError:
        value = None
    if value is None:
        raise ValueError("must be a number that is not negative, or error (no usable value)")
    return value


class _Test(BaseModel):
    """What a test says beside its messages and matches."""

    model_config = ConfigDict(frozen=True)

    name: str
    no_match: tuple[str, ...] = ()


class _Match(BaseModel):
    """An element of ``matches``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    labels: dict[str, str] = Field(default_factory=dict)
    value: Annotated[Any, PlainValidator(_read_value)] = None
    count: Annotated[int, Field(ge=1)] | None = None


def load_rule_tests(path: Path) -> Loaded:
    """Read a file of rule tests and the rules that it names; everything wrong is reported."""
    findings = Findings()
    item = read_document(path, findings)
    file = None
    if item is not None and isinstance(item.data, dict):
        file = _File(item, path, findings).read()
    elif item is not None:
        findings.error(item.location, "the file must hold a mapping with `rule_packs` and `tests`")
    return Loaded(None if findings.errors else file, tuple(findings.problems))


class _File:
    def __init__(self, item: Item, path: Path, findings: Findings) -> None:
        self._item = item
        self._path = path
        self._findings = findings
        self._rules: dict[str, RuleConfig] = {}
        self._rules_are_known = False

    def read(self) -> RuleTestFile:
        item, findings, folder = self._item, self._findings, self._path.parent
        reject_unknown(item, _FILE_KEYS, findings, hints={})
        rules = read_named_rules(item, folder, findings, source=SOURCE)
        # A rule that is in error would be told of as one that is not there.
        self._rules_are_known = not findings.errors
        if not rules and self._rules_are_known:
            findings.error(
                item.location, "no rules are under test: name `rule_packs` or `rule_files`"
            )
        self._rules = {rule.name: rule for rule in rules}
        made = messages.Messages(item, folder, findings)
        elements = item.elements("tests")
        if not elements:
            findings.error(item.value_of("tests"), "`tests` must be a list of at least one test")
        tests = [self._test(element, made) for element in elements]
        made.report_unused(item)
        return RuleTestFile(self._path, rules, tuple(test for test in tests if test is not None))

    def _test(self, item: Item, made: messages.Messages) -> RuleTest | None:
        if not isinstance(item.data, dict):
            self._findings.error(
                item.location, "a test must be a mapping with `name`, `event` and `matches`"
            )
            return None
        reject_unknown(item, _TEST_KEYS, self._findings, hints={})
        fields = Fields(
            item, {key: item.data[key] for key in item.data if key in ("name", "no_match")}, {}
        )
        filled = fill(_Test, fields, self._findings, stand_ins=_STAND_INS)
        lines = made.of(item)
        matches = self._matches(item)
        if filled is None or matches is None:
            return None
        test = RuleTest(filled.model.name, lines, matches, filled.model.no_match, item.location)
        self._check_near_misses(item, test)
        return test

    def _matches(self, item: Item) -> tuple[Expectation, ...] | None:
        data = item.data if isinstance(item.data, dict) else {}
        if "matches" not in data and "no_match" not in data:
            self._findings.error(
                item.location, "`matches` is missing: which rules match? Write [] where none does"
            )
            return None
        if not isinstance(data.get("matches", []), list):
            self._findings.error(item.value_of("matches"), "`matches` must be a list")
            return None
        read = [self._expectation(element) for element in item.elements("matches")]
        return tuple(expectation for expectation in read if expectation is not None)

    def _expectation(self, item: Item) -> Expectation | None:
        if isinstance(item.data, str):
            fields = Fields(item, {"rule": item.data}, {"rule": ()})
        elif isinstance(item.data, dict):
            fields = Fields(item, item.data, {})
        else:
            self._findings.error(item.location, "must be a rule's name, or a mapping with `rule`")
            return None
        filled = fill(_Match, fields, self._findings, stand_ins=_STAND_INS)
        if filled is None or filled.rejected:
            return None
        entry = filled.model
        rule = self._rule(entry.rule, fields, "rule")
        if rule is not None:
            known = [*rule.labels, *LOCATION_LABELS]
            known += [DEFAULT_METRIC_LABEL] if rule.uses_default_metric else []
            for label in entry.labels:
                if label not in known:
                    hint = did_you_mean(label, known) or f"; it has {', '.join(known)}"
                    self._findings.error(
                        fields.key_of("labels", label),
                        f"the rule `{rule.name}` has no label `{label}`{hint}",
                    )
        return Expectation(entry.rule, entry.labels, entry.value, entry.count)

    def _rule(self, name: str, fields: Fields, *path: str | int) -> RuleConfig | None:
        rule = self._rules.get(name)
        if rule is None and self._rules_are_known:
            hint = did_you_mean(name, self._rules)
            self._findings.error(fields.value_of(*path), f"no rule `{name}` is under test{hint}")
        return rule

    def _check_near_misses(self, item: Item, test: RuleTest) -> None:
        expected = {expectation.rule for expectation in test.matches}
        for index, name in enumerate(test.no_match):
            fields = Fields(item, {}, {})
            self._rule(name, fields, "no_match", index)
            if name in expected:
                self._findings.error(
                    item.value_of("no_match", index),
                    f"the rule `{name}` cannot match and not match: it is in `matches` too",
                )
