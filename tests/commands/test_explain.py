"""``explain`` shows why a message matches, or does not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]

PATTERN = '{ ($.eventName = "ConsoleLogin") && ($.errorCode NOT EXISTS) }'
RECORD = {"eventName": "ConsoleLogin", "errorCode": "Denied"}


def test_each_condition_is_marked_with_the_value_it_saw(invoke: Invoke) -> None:
    result = invoke("explain", "--pattern", PATTERN, "-", stdin=json.dumps(RECORD))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[2:] == [
        "  ✗ all of",
        '    ✓ $.eventName = "ConsoleLogin"  ← "ConsoleLogin"',
        '    ✗ $.errorCode NOT EXISTS  ← "Denied"',
    ]


def test_each_line_is_a_message(tmp_path: Path, invoke: Invoke) -> None:
    file = tmp_path / "log"
    file.write_text("a 1\n\n{ no json\nb 2")
    result = invoke("explain", "-p", "[w=a, n]", str(file))
    heads = [line for line in result.stdout.splitlines() if line.startswith("message")]
    assert heads == ["message 1: a 1", "message 2: ", "message 3: { no json", "message 4: b 2"]


@pytest.mark.parametrize("prefix", ["", "\n\n"])
def test_a_pretty_printed_object_is_one_message(
    tmp_path: Path, invoke: Invoke, prefix: str
) -> None:
    file = tmp_path / "record.json"
    file.write_text(prefix + json.dumps(RECORD, indent=2) + "\n")
    result = invoke("explain", "-p", PATTERN, str(file))
    assert result.stdout.count("message ") == 1
    assert '✓ $.eventName = "ConsoleLogin"' in result.stdout


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}\n{"a": 2}\n{"a": 3}',
        "{ not\njson }\nat all\n",
        '{\n"a": 1}\n{"a": 2}',
        "{\n\n",
    ],
)
def test_several_lines_that_are_no_single_object_are_messages(invoke: Invoke, text: str) -> None:
    result = invoke("explain", "-p", "a", "-", stdin=text)
    assert result.exit_code == 0
    assert result.stdout.count("message ") == len(text.splitlines())


def test_an_empty_file_explains_nothing(invoke: Invoke) -> None:
    result = invoke("explain", "-p", "a", "-", stdin="")
    assert (result.exit_code, result.output) == (0, "")


def test_a_wrong_pattern_exits_2_with_a_caret(invoke: Invoke) -> None:
    result = invoke("explain", "-p", "[a", "-", stdin="x")
    assert result.exit_code == 2
    assert "^" in result.stderr


def test_a_reader_that_goes_away_ends_it_quietly(start: Start, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"an ERROR \xff\n" * 20_000)
    process = start("explain", "-p", "ERROR", "log")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert (process.wait(20), process.stderr.read()) == (0, b"")
