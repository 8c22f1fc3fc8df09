"""Rule packs: used by name, told to listen to sources, and every error at its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from exporter.configuration import Problem, RuleConfig, check, load, packs

WriteFile = Callable[..., Path]

HEADER = "title: T\ndescription: D\nformat: {format}\n"
LINES = HEADER.format(format="lines")
SOURCES = """\
sources:
  - {name: history, type: event_history}
  - {name: apps, type: log_groups, log_groups: [a]}
  - {name: trail, type: log_groups, log_groups: [t], format: cloudtrail}
  - {name: plain, type: files, paths: [x.log], format: lines}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of packs."""
    packaged = tmp_path / "packs"
    packaged.mkdir()
    monkeypatch.setattr(packs, "FOLDERS", (packaged, tmp_path / "elsewhere"))
    return packaged


@pytest.fixture
def make_pack(write: WriteFile) -> Callable[..., Path]:
    def make(name: str, rules: str, pack_format: str = "cloudtrail") -> Path:
        text = HEADER.format(format=pack_format) + "rules:\n" + dedent(rules)
        return write(text, f"packs/{name}.yaml")

    return make


@pytest.fixture
def rules_of(write: WriteFile) -> Callable[[str], tuple[RuleConfig, ...]]:
    return lambda text: load([write(SOURCES + text)]).rules


@pytest.fixture
def problems_of(write: WriteFile) -> Callable[[str], Sequence[Problem]]:
    """Errors of a configuration with four sources (lines 1 to 5), and this from line 6 on."""
    return lambda text: check([write(SOURCES + text)]).errors


MakePack = Callable[..., Path]
RulesOf = Callable[[str], tuple[RuleConfig, ...]]
ProblemsOf = Callable[[str], Sequence[Problem]]


def test_a_pack_is_used_by_its_name(make_pack: MakePack, rules_of: RulesOf) -> None:
    pack = make_pack(
        "root",
        """\
        - name: root_usage
          title: Root
          description: It was used.
          remediation: Ask who it was.
          severity: critical
          controls: {cis-v1.2.0: "3.3", cis-v3.0.0: "4.3"}
          pattern: '{ $.userIdentity.type = Root }'
          metric: root_usage_total
        """,
    )
    (rule,) = rules_of("rule_packs: [root]\n")
    assert (rule.name, rule.pack, rule.remediation) == ("root_usage", "root", "Ask who it was.")
    assert rule.controls == {"cis-v1.2.0": "3.3", "cis-v3.0.0": "4.3"}
    assert rule.controls_text == "cis-v1.2.0/3.3 cis-v3.0.0/4.3"
    assert (rule.location.file, rule.location.line) == (str(pack), 5)


def test_rules_of_ones_own_have_no_pack(rules_of: RulesOf) -> None:
    (rule,) = rules_of("rules: [{name: a, pattern: x, controls: {iso: A.8.15}, remediation: R}]\n")
    assert (rule.pack, rule.controls_text, rule.remediation) == ("", "iso/A.8.15", "R")


@pytest.mark.parametrize(
    ("pack_format", "sources"),
    [("cloudtrail", ("history", "apps", "trail")), ("lines", ("apps", "plain"))],
)
def test_a_pack_listens_where_its_events_may_be(
    make_pack: MakePack, rules_of: RulesOf, pack_format: str, sources: tuple[str, ...]
) -> None:
    make_pack("p", "- {name: a, pattern: '{ $.a = 1 }'}\n- {name: b, pattern: x}\n", pack_format)
    assert [rule.sources for rule in rules_of("rule_packs: [p]\n")] == [sources, sources]


def test_sources_can_be_named_and_rules_left_out(make_pack: MakePack, rules_of: RulesOf) -> None:
    make_pack("p", "- {name: a, pattern: x}\n- {name: b, pattern: x}\n", "lines")
    (rule,) = rules_of("rule_packs: [{name: p, sources: [trail, apps], without: [a]}]\n")
    assert (rule.name, rule.sources) == ("b", ("apps", "trail"))


def test_packs_and_rules_of_ones_own_go_together(make_pack: MakePack, rules_of: RulesOf) -> None:
    make_pack("one", "- {name: a, pattern: x}\n")
    make_pack("two", "- {name: b, pattern: x}\n")
    rules = rules_of("rule_packs: [two, one]\nrules: [{name: c, pattern: x}]\n")
    assert [(rule.name, rule.pack) for rule in rules] == [("b", "two"), ("a", "one"), ("c", "")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("rule_packs: []\n", 6, "`rule_packs` is empty"),
        ("rule_packs: good\n", 6, "`rule_packs` must be a list"),
        ("rule_packs: [[good]]\n", 6, "lists names of rule packs"),
        ("rule_packs: [god]\n", 6, "there is no rule pack `god`; did you mean `good`?"),
        ("rule_packs: [zebra]\n", 6, "there is no rule pack `zebra`; there are: good"),
        ("rule_packs:\n- good\n- {name: good}\n", 8, "is used already ("),
        ("rule_packs:\n- good\n- sources: [apps]\n", 8, "`name` is missing"),
        ("rule_packs:\n- name: good\n  source: [apps]\n", 8, "unknown key `source`"),
        (
            "rule_packs:\n- name: good\n  sources: [aps]\n",
            8,
            "no source `aps`; did you mean `apps`",
        ),
        ("rule_packs:\n- name: good\n  without: [bb]\n", 8, "has no rule `bb`"),
        ("rule_packs: [good]\nrules: [{name: a, pattern: x}]\n", 7, "a rule `a` already"),
    ],
)
def test_what_is_wrong_with_a_use_is_said_there(
    make_pack: MakePack, problems_of: ProblemsOf, text: str, line: int, message: str
) -> None:
    make_pack("good", "- {name: a, pattern: x}\n- {name: ab, pattern: x}\n")
    (problem,) = problems_of(text)
    assert message in problem.message
    assert (Path(problem.location.file).name, problem.location.line) == ("config.yaml", line)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("- {name: a, pattern: '{ $.a == 1 }'}\n", 5, "There is no =="),
        ("- {name: a, pattern: x}\n- {name: a, pattern: x}\n", 6, "a rule `a` already"),
        ("- {name: a, pattern: x, sources: [apps]}\n", 5, "a rule of a pack cannot name sources"),
        ("- {name: a, pattern: x, controls: {CIS 3: '4.3'}}\n", 5, "the name of a benchmark"),
        ("- {name: a, pattern: x, controls: {cis: 4.3 4.4}}\n", 5, "the id of a control"),
        ("- {name: a, pattern: x, controls: [a]}\n", 5, "must be a mapping"),
    ],
)
def test_what_is_wrong_with_a_packs_rule_is_said_in_the_pack(
    make_pack: MakePack, problems_of: ProblemsOf, text: str, line: int, message: str
) -> None:
    pack = make_pack("bad", text)
    (problem,) = problems_of("rule_packs: [bad]\n")
    assert message in problem.message
    assert (problem.location.file, problem.location.line) == (str(pack), line)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("rules: [{name: a, pattern: x}]\n", ["`title` is", "`description` is", "`format` is"]),
        (LINES, ["a rule pack needs `rules`"]),
        (HEADER.format(format="json") + "rules: [{name: a, pattern: x}]\n", ["`format` must be"]),
        (LINES + "rules: []\n", ["`rules` is empty"]),
        (
            LINES + "rule_packs: []\nrules: [{name: a, pattern: x}]\n",
            ["unk"],
        ),
    ],
)
def test_what_is_wrong_with_a_packs_head_is_said_in_the_pack(
    write: WriteFile, problems_of: ProblemsOf, text: str, messages: list[str]
) -> None:
    pack = write(text, "packs/bad.yaml")
    problems = [p for p in problems_of("rule_packs: [bad]\n") if p.location.file == str(pack)]
    assert len(problems) == len(messages)
    for problem, message in zip(problems, messages, strict=True):
        assert message in problem.message


def test_a_pack_that_nothing_could_feed_is_told_of_once(
    make_pack: MakePack, write: WriteFile
) -> None:
    make_pack("p", "- {name: a, pattern: x}\n- {name: b, pattern: y}\n", "lines")
    config = write("sources: [{name: h, type: event_history}]\nrule_packs: [p]\n")
    (problem,) = check([config]).problems
    assert problem.location.line == 2
    assert (
        "no source fits the rule pack `p`, which listens to log_groups, trail_bucket and files"
        in (problem.message)
    )


def test_installed_packs_win_over_the_repositorys(
    make_pack: MakePack, write: WriteFile, folder: Path
) -> None:
    make_pack("p", "- {name: a, pattern: x}\n")
    elsewhere = write(LINES, "elsewhere/q.yaml")
    assert list(packs.available_packs()) == ["p"]
    for pack in folder.iterdir():
        pack.unlink()
    folder.rmdir()
    assert packs.available_packs() == {"q": elsewhere}
