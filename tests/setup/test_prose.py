"""The check of prose: what it reads of each kind of file, and what it says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from scripts import prose
from tests.support.tools import ROOT

MANNERED = """# Ledger

The total stands at zero so long, and nobody is told where it holds.
"""
PLAIN = """# Ledger

The total is zero until then. If the limit is reached, the exporter logs a warning.
"""
WORDS, UNCHECKED = prose.load()


def test_the_repository_is_plain() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "prose.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stdout + done.stderr


def test_a_mannered_text_is_found_by_line_with_what_to_write_and_a_plain_one_is_not() -> None:
    problems = prose.check({"docs/ledger.md": MANNERED}, WORDS)
    assert 'docs/ledger.md:3: "stands": write "is" or "is in"' in problems
    assert {re.findall(r'"(.+?)"', problem)[0] for problem in problems} == {
        "stands",
        "so long",
        "nobody",
        "it holds",
    }
    assert prose.check({"docs/ledger.md": PLAIN}, WORDS) == []


def test_pythons_none_is_no_mannerism() -> None:
    assert (
        prose.check({"a.md": "If the limit is None, or if it is None, it is ignored.\n"}, WORDS)
        == []
    )
    assert len(prose.check({"a.py": '"""None: it holds nothing."""\n'}, WORDS)) == 2
    assert len(prose.check({"a.md": "A limit is none of them.\n"}, WORDS)) == 1


def test_a_rate_is_exceeded_by_a_folder_and_not_by_a_word() -> None:
    where = [word for word in WORDS if word.write.startswith('"if"')]
    few, many = "It is logged where it is read.\n", "Where it is read, it is logged.\n"
    assert prose.check({"docs/a.md": few, "alerts/b.md": few}, where) == []
    problems = prose.check({"docs/a.md": few, "docs/b.md": many * 2}, where)
    assert [problem.partition(' "')[0] for problem in problems] == [
        "docs/a.md:1:",
        "docs/b.md:1:",
        "docs/b.md:2:",
    ]
    assert problems[0].endswith("(3 here, limit 16 in 10,000 words)")
    long = "The exporter reads it. " * 1000
    assert prose.check({"docs/a.md": few + many * 2 + long}, where) == []


@pytest.mark.parametrize(
    ("path", "text", "lines"),
    [
        ("a.md", "It stands.\n\n```\nstands\n```\n\n[a](stands.md) `stands`\n\nstands\n", [1, 9]),
        ("a.py", '"""A docstring.\n\nIt stands."""\nstands = 1  # it stands\n', [3, 4]),
        ("a.py", 'raise ValueError(\n    f"it stands in {place} as before"\n)\n', [2]),
        ("a.py", 'key = "stands"\nquery = "SELECT a FROM b WHERE STANDS IS NULL"\n', []),
        ("a.yaml", "# It stands.\nstands: stands # stands\n", [1, 2]),
        ("a.yaml", "- summary: >\n    A long one\n    that stands.\n  pattern: stands\n", [3]),
        ("a.yaml", "- summary: >\n    A long one\n    that stands.\n", [3]),
        ("a.yaml", "{{- if .Values.x }}\n# It stands.\n{{- end }}\n", [2]),
        ("a.json", '{"title": "stands"}', []),
    ],
)
def test_what_is_read_of_a_file(path: str, text: str, lines: list[int]) -> None:
    stands = [word for word in WORDS if word.find.fullmatch("stands")]
    assert [int(problem.split(":")[1]) for problem in prose.check({path: text}, stands)] == lines


def test_files_that_are_not_checked_yet_are_there() -> None:
    files = prose.read_files()
    assert [glob for glob in UNCHECKED if not any(prose.unchecked(f, [glob]) for f in files)] == []
