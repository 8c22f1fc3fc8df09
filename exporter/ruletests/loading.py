"""Files of rule tests, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exporter.configuration import Problem, RuleConfig
from exporter.configuration.loading import read_named_rules
from exporter.configuration.names import DEFAULT_METRIC_LABEL
from exporter.ruletests.messages import Messages
from exporter.ruletests.models import SOURCE, Expectation, RuleTest, RuleTestFile, TestEntry
from exporter.sources import LOCATION_LABELS
from exporter.yamlfile.documents import Item, Value, read_document
from exporter.yamlfile.problems import Findings, did_you_mean
from exporter.yamlfile.validation import Fields, Filled, fill, reject_unknown

_FILE_KEYS = ("rule_packs", "rule_files", "events", "tests")
_STAND_INS: dict[str, Value] = {"name": "unnamed"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of reading a file of rule tests."""

    file: RuleTestFile | None
    """None if there are errors."""
    problems: tuple[Problem, ...]
    """Errors and warnings."""


def load_rule_tests(path: Path) -> Loaded:
    """Read a file of rule tests and the rules that it names; everything wrong is reported."""
    findings = Findings()
    item = read_document(path, findings)
    file = None
    if item is not None and isinstance(item.data, dict):
        file = _File(item, path, findings).read()
    elif item is not None:
        findings.error(item.location, "the file must be a mapping with `rule_packs` and `tests`")
    return Loaded(None if findings.errors else file, tuple(findings.problems))


class _File:
    def __init__(self, item: Item, path: Path, findings: Findings) -> None:
        self._item = item
        self._path = path
        self._findings = findings
        reject_unknown(item, _FILE_KEYS, findings)
        rules = read_named_rules(item, path.parent, findings, source=SOURCE)
        self._rules = {rule.name: rule for rule in rules}
        # A rule in error would be reported as one that does not exist.
        self._rules_are_known = not findings.errors
        if not rules and self._rules_are_known:
            findings.error(
                item.location, "no rules are under test: name `rule_packs` or `rule_files`"
            )

    def read(self) -> RuleTestFile:
        item = self._item
        messages = Messages(item, self._path.parent, self._findings)
        elements = item.elements("tests")
        if not elements:
            self._findings.error(
                item.value_of("tests"), "`tests` must be a list of at least one test"
            )
        tests = [self._test(element, messages) for element in elements]
        messages.report_unused(item)
        rules = tuple(self._rules.values())
        return RuleTestFile(self._path, rules, tuple(test for test in tests if test is not None))

    def _test(self, item: Item, messages: Messages) -> RuleTest | None:
        fields = Fields.of(item)
        if fields is None:
            self._findings.error(
                item.location, "a test must be a mapping with `name`, `event` and `matches`"
            )
            return None
        test = fill(TestEntry, fields, self._findings, stand_ins=_STAND_INS)
        if test is None:
            return None
        made = messages.of(test)
        if not {"matches", "no_match"} & fields.values.keys():
            self._findings.error(
                item.location, "`matches` is missing: which rules match? Write [] if none does"
            )
        read = [self._expectation(element) for element in item.elements("matches")]
        matches = tuple(expectation for expectation in read if expectation is not None)
        self._check_near_misses(test, {expectation.rule for expectation in matches})
        return RuleTest(test.model.name, made, matches, test.model.no_match, item.location)

    def _expectation(self, item: Item) -> Expectation | None:
        fields = Fields.of(item, "rule")
        if fields is None:
            self._findings.error(item.location, "must be a rule's name, or a mapping with `rule`")
            return None
        expected = fill(Expectation, fields, self._findings, stand_ins={"rule": ""})
        if expected is None or expected.rejected:
            return None
        rule = self._rule(expected.model.rule, fields, "rule")
        if rule is not None:
            known = [*rule.labels, *LOCATION_LABELS]
            known += [DEFAULT_METRIC_LABEL] if rule.uses_default_metric else []
            for label in expected.model.labels:
                if label not in known:
                    hint = did_you_mean(label, known) or f"; it has {', '.join(known)}"
                    self._findings.error(
                        fields.key_of("labels", label),
                        f"the rule `{rule.name}` has no label `{label}`{hint}",
                    )
        return expected.model

    def _rule(self, name: str, fields: Fields, *path: str | int) -> RuleConfig | None:
        rule = self._rules.get(name)
        if rule is None and self._rules_are_known:
            hint = did_you_mean(name, self._rules)
            self._findings.error(fields.value_of(*path), f"no rule `{name}` is under test{hint}")
        return rule

    def _check_near_misses(self, test: Filled[TestEntry], expected: set[str]) -> None:
        for index, name in enumerate(test.model.no_match):
            self._rule(name, test.fields, "no_match", index)
            if name in expected:
                self._findings.error(
                    test.fields.value_of("no_match", index),
                    f"the rule `{name}` cannot match and not match: it is in `matches` too",
                )
