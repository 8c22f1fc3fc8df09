"""``match`` and ``explain`` read files, gzip and standard input, as grep does."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]

LINES = b"an ERROR\nfine\nERROR again\n"
MORE = b"fine\nfine, too\n"


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.log").write_bytes(LINES)
    Path("b.log").write_bytes(MORE)
    # Two members, as log shippers append them; and a name that does not say so.
    Path("c.log.gz").write_bytes(gzip.compress(LINES) + gzip.compress(MORE))
    Path("d").write_bytes(gzip.compress(b"ERROR d"))


def test_with_several_files_each_line_says_whose_it_is(invoke: Invoke) -> None:
    result = invoke("match", "-p", "ERROR", "a.log", "b.log", "-", "c.log.gz", "d", stdin=LINES)
    assert result.stdout.splitlines() == [
        "a.log:an ERROR",
        "a.log:ERROR again",
        "(standard input):an ERROR",
        "(standard input):ERROR again",
        "c.log.gz:an ERROR",
        "c.log.gz:ERROR again",
        "d:ERROR d",
    ]


def test_lines_have_their_numbers(invoke: Invoke) -> None:
    assert invoke("match", "-n", "-p", "ERROR", "a.log").stdout == "1:an ERROR\n3:ERROR again\n"
    both = invoke("match", "-np", "ERROR", "a.log", "d").stdout
    assert both == "a.log:1:an ERROR\na.log:3:ERROR again\nd:1:ERROR d\n"


@pytest.mark.parametrize("option", ["-v", "--invert-match"])
def test_the_lines_that_do_not_match_can_be_had(invoke: Invoke, option: str) -> None:
    result = invoke("match", option, "-p", "ERROR", "a.log")
    assert (result.exit_code, result.stdout) == (0, "fine\n")
    result = invoke("match", option, "-p", "", "a.log")
    assert (result.exit_code, result.stdout) == (1, "")


def test_counts_are_by_file(invoke: Invoke) -> None:
    result = invoke("match", "-c", "-p", "ERROR", "a.log", "b.log", "c.log.gz")
    assert (result.exit_code, result.stdout) == (0, "a.log:2\nb.log:0\nc.log.gz:2\n")
    assert invoke("match", "-cv", "-p", "ERROR", "c.log.gz").stdout == "3\n"
    assert invoke("explain", "-c", "-p", "ERROR", "a.log", "d").stdout == "a.log:2\nd:1\n"
    assert invoke("explain", "-c", "-v", "-p", "ERROR", "a.log").stdout == "1\n"


def test_standard_input_may_be_gzip(start: Start) -> None:
    process = start("match", "-n", "-p", "ERROR")
    stdout, stderr = process.communicate(gzip.compress(LINES * 50_000), timeout=60)
    assert (process.returncode, stderr) == (0, b"")
    assert len(stdout.splitlines()) == 100_000
    assert stdout.endswith(b"\n149998:an ERROR\n150000:ERROR again\n")


def test_a_file_that_cannot_be_read_does_not_stop_the_others(invoke: Invoke) -> None:
    Path("cut.gz").write_bytes(gzip.compress(LINES)[:-9])
    Path("bad.gz").write_bytes(b"\x1f\x8b\x08\x00 no gzip at all")
    for command in ("match", "explain"):
        result = invoke(command, "-p", "ERROR", "no.log", "bad.gz", "cut.gz", ".", "a.log")
        assert result.exit_code == 2
        assert result.stderr.splitlines() == [
            "error: no.log: No such file or directory",
            "error: bad.gz: its gzip data is damaged",
            "error: cut.gz: its gzip data ends too early",
            "error: .: Is a directory",
        ]
        # Of a damaged file, what is before the damage.
        assert "cut.gz:" in result.stdout
        assert "a.log:" in result.stdout


def test_json_has_the_values_that_a_json_pattern_looked_at(invoke: Invoke) -> None:
    pattern = '{ $.a.b = "x" && $.n > 1 && $.gone NOT EXISTS && $.l[*] = 1.0 && $.a.b != "y" }'
    message = '{"n": 1e400, "a": {"b": "x"}, "l": [null, 1.0, {"k": 12345678901234567890.5}]}'
    result = invoke("match", "--json", "-p", pattern, stdin=message)
    assert result.exit_code == 0
    assert result.stdout == (
        f'{{"message": {json.dumps(message)}, "fields": {{"$.a.b": "x", "$.n": 1e400,'
        ' "$.l[*]": [null, 1.0, {"k": 12345678901234567890.5}]}}\n'
    )


def test_json_says_of_a_line_that_does_not_match_what_was_there(invoke: Invoke) -> None:
    stdin = '{"level": "INFO"}\nno JSON\n'
    result = invoke("match", "--json", "-v", "-n", "-p", "{ $.level = ERROR }", stdin=stdin)
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"line": 1, "message": '{"level": "INFO"}', "fields": {"$.level": "INFO"}},
        {"line": 2, "message": "no JSON", "fields": {}},
    ]


def test_json_holds_whatever_a_message_holds(invoke: Invoke) -> None:
    odd = {"v": ["\ud800", "é\u2028", {"": [True, {}, []]}, -0.0]}
    result = invoke("match", "--json", "-p", "{ $.v[*] = * }", stdin=json.dumps(odd))
    (values,) = json.loads(result.stdout)["fields"].values()
    assert values == odd["v"]
    deep = '{"v": ' + "[" * 900 + "]" * 900 + ', "w": 1}'
    result = invoke(
        "match", "--json", "-p", "{ $.v.x NOT EXISTS && $.v != 1 || $.w = 1 }", stdin=deep
    )
    assert result.exit_code == 0
    assert '"$.v": ' + "[" * 900 + "]" * 900 in result.stdout


def test_several_files_are_explained_one_after_the_other(invoke: Invoke) -> None:
    result = invoke("explain", "-n", "-p", "ERROR", "b.log", "d")
    assert [line for line in result.stdout.splitlines() if "message" in line] == [
        "b.log:message 1 (line 1): fine",
        "b.log:message 2 (line 2): fine, too",
        "d:message 1 (line 1): ERROR d",
    ]
    assert result.stdout.count("\n\n") == 2


def test_the_line_of_a_message_is_where_it_begins(invoke: Invoke) -> None:
    result = invoke("explain", "-n", "-p", "{ $.a = 1 }", stdin='\n\n{\n  "a": 1\n}\n')
    assert result.stdout.startswith('message 1 (line 3): { "a": 1 }\n✓')


def test_only_what_does_not_match_is_explained(invoke: Invoke) -> None:
    result = invoke("explain", "-v", "-p", "ERROR", "a.log")
    assert result.stdout.splitlines() == [
        "message 2: fine",
        "✗ ERROR",
        "  ✗ ERROR  ← not found",
    ]


def test_an_explanation_can_be_json(invoke: Invoke) -> None:
    result = invoke("explain", "--json", "-p", "{ $.a = 1 && $.b != 1 }", stdin='{"a": 1}\n{}\n')
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert (first["line"], first["message"], first["matched"]) == (1, '{"a": 1}', False)
    (both,) = first["explanation"]["children"]
    assert both["kind"] == "and"
    assert [(c["source"], c["matched"], c["seen"]) for c in both["children"]] == [
        ("$.a = 1", True, "1"),
        ("$.b != 1", False, "missing"),
    ]
    assert (second["line"], second["matched"]) == (2, False)


def test_what_steers_a_terminal_stays_out_of_the_heading(invoke: Invoke) -> None:
    result = invoke("explain", "-p", "x", stdin="\x1b[2Jx\x07\n")
    assert result.stdout.splitlines()[0] == "message 1:  [2Jx "
