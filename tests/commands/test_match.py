"""``match`` is grep for filter patterns."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]

LINES = b'{"level":"ERROR","n":1}\nplain ERROR line\n{"level":"INFO","n":2}\n'


def test_matching_lines_come_out_as_they_are(tmp_path: Path, invoke: Invoke) -> None:
    file = tmp_path / "log"
    file.write_bytes(LINES)
    result = invoke("match", "--pattern", '{ $.level = "ERROR" }', str(file))
    assert (result.exit_code, result.stdout) == (0, '{"level":"ERROR","n":1}\n')


def test_standard_input_is_read_where_no_file_is_named(invoke: Invoke) -> None:
    result = invoke("match", "-p", "ERROR", stdin=LINES)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2)


@pytest.mark.parametrize(("pattern", "count", "code"), [("ERROR", "2", 0), ("WARN", "0", 1)])
def test_count_prints_the_number(invoke: Invoke, pattern: str, count: str, code: int) -> None:
    result = invoke("match", "-p", pattern, "--count", stdin=LINES)
    assert (result.stdout, result.exit_code) == (f"{count}\n", code)


def test_json_adds_the_extracted_fields(invoke: Invoke) -> None:
    result = invoke("match", "-p", "[ip, status=5*, ...]", "--json", stdin="1.2.3.4 503 ü\n")
    assert json.loads(result.stdout) == {
        "message": "1.2.3.4 503 ü",
        "fields": {"$ip": "1.2.3.4", "$status": "503", "$3": "ü"},
    }


def test_nothing_matched_exits_1_without_output(invoke: Invoke) -> None:
    result = invoke("match", "-p", "nothing", stdin=LINES)
    assert (result.exit_code, result.output) == (1, "")


def test_a_wrong_pattern_exits_2_with_a_caret(invoke: Invoke) -> None:
    result = invoke("match", "-p", "{ $.a == 1 }", stdin=LINES)
    assert result.exit_code == 2
    first, pattern, caret = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert pattern.strip() == "{ $.a == 1 }"
    assert pattern[caret.index("^")] == "="


def test_what_is_doubtful_about_a_pattern_is_told(invoke: Invoke) -> None:
    result = invoke("match", "-p", "?a b", stdin=b"b\n")
    assert (result.exit_code, result.stdout) == (0, "b\n")
    assert result.stderr.startswith("warning: ")


def test_a_missing_file_exits_2(invoke: Invoke) -> None:
    result = invoke("match", "-p", "a", "/nowhere/at/all")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: /nowhere/at/all: No such file or directory\n",
    )


def test_bytes_that_are_no_utf8_survive(start: Start) -> None:
    process = start("match", "-p", "%a.?b%")
    stdout, stderr = process.communicate(b"\xff\x00 a\xfeb\r\nnothing\n\xffab", timeout=20)
    assert (process.returncode, stdout, stderr) == (0, b"\xff\x00 a\xfeb\r\n\xffab\n", b"")


def test_lines_come_out_while_more_come_in(start: Start) -> None:
    process = start("match", "-p", "ERROR")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"first ERROR\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"first ERROR\n"
    process.communicate(timeout=20)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_goes_away_ends_it_quietly(
    start: Start, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "log").write_bytes(b"an ERROR\n" * 100_000)
    process = start("match", "-p", "ERROR", *options, "log")
    assert process.stdout is not None
    assert process.stderr is not None
    os.read(process.stdout.fileno(), 10)
    process.stdout.close()
    assert (process.wait(20), process.stderr.read()) == (0, b"")


def test_a_missing_pattern_is_a_usage_error(invoke: Invoke) -> None:
    result = invoke("match", "ERROR")
    assert result.exit_code == 2
    assert "--pattern" in result.stderr
