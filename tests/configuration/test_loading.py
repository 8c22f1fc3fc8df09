"""Files: found, merged, and every error told with its place."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from exporter.configuration import ConfigurationError, Problem, check, load
from exporter.yamlfile import contents

WriteFile = Callable[..., Path]
ProblemsOf = Callable[[str], Sequence[Problem]]

SOURCE = "sources: [{name: history, type: event_history}]\n"
RULE = "rules: [{name: everything, pattern: ''}]\n"


def test_the_example_configuration_is_valid() -> None:
    example = Path(__file__).parents[2] / "config" / "example.yaml"
    checked = check([example])
    assert checked.problems == ()
    assert checked.configuration is not None
    assert len(checked.configuration.rules) == 6


def test_files_are_merged(write: WriteFile) -> None:
    first = write(SOURCE + "rules: [{name: a, pattern: ''}]\n", "one/config.yaml")
    second = write(
        "sources: [{name: replay, type: files, paths: [x.json]}]\n"
        "rules: [{name: b, pattern: '', sources: [history]}]\n",
        "two/config.yaml",
    )
    configuration = load([first, second])
    assert [source.name for source in configuration.sources] == ["history", "replay"]
    assert [rule.sources for rule in configuration.rules] == [("history", "replay"), ("history",)]
    assert [rule.name for rule in configuration.rules_of("replay")] == ["a"]
    assert configuration.files == (first, second)


def test_rule_files_are_found_relative_to_the_configuration(write: WriteFile) -> None:
    write("rules: [{name: b, pattern: ''}]\n", "conf/rules/b.yaml")
    write("rules: [{name: a, pattern: ''}]\n", "conf/rules/a.yaml")
    write("rules: [{name: deep, pattern: ''}]\n", "conf/more/x/deep.yaml")
    config = write(
        SOURCE + "rule_files: [rules/*.yaml, more/**/*.yaml, rules/a.yaml]\n", "conf/c.yaml"
    )
    assert [rule.name for rule in load([config]).rules] == ["a", "b", "deep"]


def test_a_file_that_is_named_twice_is_read_once(write: WriteFile) -> None:
    config = write(SOURCE + RULE)
    assert len(load([config, config]).rules) == 1


def test_relative_paths_stay_as_the_user_wrote_them(
    write: WriteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("rules: [{name: A, pattern: ''}]\n", "conf/rules/a.yaml")
    write(SOURCE + "rule_files: [rules/*.yaml]\n", "conf/c.yaml")
    monkeypatch.chdir(tmp_path)
    (problem,) = check([Path("conf/c.yaml")]).problems
    assert problem.location.file == "conf/rules/a.yaml"


def test_yaml_aliases_and_merge_keys_work(write: WriteFile) -> None:
    rules = load(
        [
            write(
                SOURCE
                + "rules:\n"
                + "  - &base {name: a, pattern: A, severity: high, labels: &l {x: y}}\n"
                + "  - {<<: *base, name: b, labels: {<<: *l, z: w}, metric: m_total}\n"
            )
        ]
    ).rules
    assert [(rule.name, rule.pattern, rule.severity) for rule in rules] == [
        ("a", "A", "high"),
        ("b", "A", "high"),
    ]
    assert sorted(rules[1].labels) == ["x", "z"]


def test_load_raises_every_error_and_no_warning(write: WriteFile) -> None:
    path = write(SOURCE + "rules:\n  - {name: A, pattern: '?a b'}\n  - {name: B, pattern: x}\n")
    with pytest.raises(ConfigurationError) as raised:
        load([path])
    assert [problem.location.line for problem in raised.value.problems] == [3, 4]
    assert str(raised.value).startswith(f"{path}:3:12: error: `name` must be lower-case")


def test_a_problem_is_rendered_with_its_line_and_a_caret(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(SOURCE + "rules:\n  - {name: a, patern: x, pattern: y}\n")
    head, line, caret = problem.render().splitlines()
    assert head == (
        f"{problem.location.file}:3:15: error: unknown key `patern`; did you mean `pattern`?"
    )
    assert line == "      - {name: a, patern: x, pattern: y}"
    assert line.index("patern") == caret.index("^")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "the file is empty"),
        ("# only a comment\n", None, "the file is empty"),
        ("just text\n", 1, "must be a mapping"),
        ("- a list\n", 1, "must be a mapping"),
        (SOURCE + "rules: []\n", 2, "`rules` is empty"),
        (SOURCE + "rules:\n", 2, "`rules` is empty"),
        (SOURCE + "rules: {a: b}\n", 2, "`rules` must be a list"),
        (SOURCE, None, "there are no `rules`"),
        (RULE, None, "there are no `sources`"),
        (SOURCE + RULE + "rule: []\n", 3, "unknown key `rule`; did you mean `rules`?"),
        (SOURCE + RULE + "rule_packs: [zebra]\n", 3, "there is no rule pack `zebra`; there"),
        (SOURCE + RULE + "rule_files: [none/*.yaml]\n", 3, "no file matches none/*.yaml in "),
        (SOURCE + RULE + "rule_files: [[a]]\n", 3, "this is not a path"),
        (SOURCE + RULE + SOURCE, 3, "`sources` is given twice, first in line 1"),
        (SOURCE + "rules: [{name: a, pattern: x, name: b}]\n", 2, "first in line 2"),
        (SOURCE + "rules: [{name: 'a, pattern: x}]\n", 3, "the file is not YAML"),
        (SOURCE + "rules:\n\t- a\n", 3, "not tabs"),
        (SOURCE + "rules: [{name: a, pattern: *}]\n", 2, 'must be quoted: "*"'),
        (SOURCE + 'rules: [{name: a, pattern: "%\\d%"}]\n', 2, "must be doubled"),
        (SOURCE + "rules: [{name: a, pattern: !Sub x}]\n", 2, "the tag !Sub is not supported"),
        (
            SOURCE + "rules: &r [{name: a, pattern: x, labels: *r}]\n",
            2,
            "an alias must not be inside",
        ),
        (SOURCE + "rules: [{name: a, pattern: x, ? [a] : b}]\n", 2, "a key must be a plain name"),
        (SOURCE + "rules: [{name: a, <<: x, pattern: x}]\n", 2, "`<<` merges mappings"),
        ("--- {}\n--- {}\n", 2, "the file has more than one document"),
        ("a: \x07\n", 1, "control characters are not allowed"),
        ("a: [b, c\n", 2, "did not find expected"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    problems_of: ProblemsOf, text: str, line: int | None, message: str
) -> None:
    (problem,) = problems_of(text)
    assert message in problem.message
    assert problem.location.line == line


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        # By what the scanner sees before the parser: all of it, the first thousand, one by one.
        ("a: " + "[" * 51, 1, 53),
        ("a: " + "[" * 999, 1, 53),
        ("a: " + "[" * 100_000, 1, 53),
        ("a: " + "[\n" * 100_000, 50, 1),
        ("a: " + "[" * 60 + "]" * 60 + "\n", 1, 53),
        ("{a: " * 60 + "1" + "}" * 60 + "\n", 1, 201),
        ("- " * 100_000 + "x\n", 1, 101),
        ("".join(" " * depth + "a:\n" for depth in range(1_100)), 51, 51),
        ("é: " + "[" * 2_000 + "\n", 1, 53),
    ],
)
def test_depth_is_the_same_error_at_the_same_place_with_every_version_of_the_library(
    problems_of: ProblemsOf, text: str, line: int, column: int
) -> None:
    (problem,) = problems_of(text)
    assert problem.message == "the file is nested deeper than 50 levels here"
    assert (problem.location.line, problem.location.column) == (line, column)


def test_fifty_levels_are_no_error_of_depth(problems_of: ProblemsOf) -> None:
    assert not [p for p in problems_of("a: " + "[" * 49 + "]" * 49 + "\n") if "deep" in p.message]


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"rules: \xff\xfe")
    problems = check([tmp_path / "missing.yaml", tmp_path, binary]).problems
    assert {problem.message.split(":")[0] for problem in problems} == {
        "there is no such file",
        "the file cannot be read",
        "the file is not UTF-8 text (byte 8)",
    }


def test_a_pipe_is_read_to_its_end_however_slowly_it_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = "exec 3>$0; printf '%s' \"$1\" >&3; sleep 0.3; printf '%s' \"$2\" >&3"
    writer = subprocess.Popen(["/bin/sh", "-c", writing, str(pipe), SOURCE, RULE])
    try:
        assert len(load([pipe]).rules) == 1
    finally:
        writer.kill()
        writer.wait()


def test_what_was_written_to_a_pipe_that_is_closed_already_is_read() -> None:
    reader, writer = os.pipe()
    os.write(writer, (SOURCE + RULE).encode())
    os.close(writer)
    assert len(load([Path(f"/dev/fd/{reader}")]).rules) == 1
    os.close(reader)


def test_a_pipe_that_nobody_writes_to_is_an_error_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SILENCE", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (problem,) = check([pipe]).problems
    assert problem.message == (
        "the file cannot be read: nothing was written to it for 0.2 s: check the writer"
    )
    with pipe.open("r+b", buffering=0):
        (problem,) = check([pipe]).problems
        assert "nothing was written" in problem.message


def test_a_pipe_that_never_ends_is_too_large() -> None:
    (problem,) = check([Path("/dev/zero")]).problems
    assert "more than 16 MiB" in problem.message


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (SOURCE + RULE).replace("\n", "\r\n").encode())
    assert len(load([path]).rules) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}\n", "a rule file needs `rules`"),
        ("rules: []\n", "`rules` is empty"),
        (RULE + SOURCE, "move `sources` to the configuration file"),
        (RULE + "rule_files: [b.yaml]\n", "move `rule_files` to the configuration file"),
        (RULE + "rule_packs: [b]\n", "move `rule_packs` to the configuration file"),
        (RULE + "format: lines\n", "unknown key `format`"),
        (RULE + "ruels: []\n", "unknown key `ruels`; did you mean `rules`?"),
    ],
)
def test_what_is_wrong_with_a_rule_file_is_said_there(
    write: WriteFile, text: str, message: str
) -> None:
    rule_file = write(text, "rules.yaml")
    config = write(SOURCE + "rule_files: [rules.yaml]\n")
    (problem,) = check([config]).problems
    assert message in problem.message
    assert problem.location.file == str(rule_file)


def test_duplicate_rule_names_are_found_over_files(write: WriteFile) -> None:
    rule_file = write(RULE, "rules.yaml")
    config = write(SOURCE + "rule_files: [rules.yaml]\n" + RULE)
    (problem,) = check([config]).problems
    assert f"there is a rule `everything` already ({rule_file}:1)" in problem.message
    assert (problem.location.file, problem.location.line) == (str(config), 3)


def test_errors_of_all_files_are_told_in_their_order(write: WriteFile) -> None:
    write("rules: [{name: X, pattern: ''}]\n", "rules.yaml")
    config = write("rules: [{name: Y, pattern: ''}]\nrule_files: [rules.yaml]\nsource: []\n")
    assert [Path(problem.location.file).name for problem in check([config]).problems] == [
        "config.yaml",
        "config.yaml",
        "rules.yaml",
    ]


def test_a_source_that_is_in_error_is_not_reported_again_by_the_rules(
    problems_of: ProblemsOf,
) -> None:
    (problem,) = problems_of(
        "sources: [{name: history, type: event_history, interval: 1}]\n"
        "rules: [{name: a, pattern: x, sources: [history]}]\n"
    )
    assert "`interval`" in problem.message


def test_a_source_that_nobody_listens_to_is_a_warning(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(
        "sources:\n  - {name: history, type: event_history}\n  - {name: b, type: event_history}\n"
        "rules: [{name: a, pattern: x, sources: [history]}]\n"
    )
    assert (problem.severity, problem.location.line) == ("warning", 3)
    assert "no rule listens to the source `b`" in problem.message


def test_a_json_rule_with_plain_lines_only_names_its_source(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(
        "sources: [{name: f, type: files, paths: [x], format: lines}]\n"
        "rules: [{name: a, pattern: '{ $.a = 1 }'}]\n"
    )
    assert "no source fits a JSON pattern" in problem.message
