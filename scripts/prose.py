"""Checks that prose is plain English: scripts/prose.yaml lists the words to avoid.

It reads Markdown, the comments and texts of YAML, and the comments, docstrings and messages of
Python. A rate applies to a top-level folder, since a single page has too few words. ``--rates``
prints the rate of every word, including files that are not checked yet.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_suffix(".yaml")
ALWAYS = 2
"""A folder may use a word with a rate this often, even if it is small."""

_CODE = re.compile(
    r"^ *```.*?^ *```|^ *~~~.*?^ *~~~|<!--.*?-->|`+[^`]+`+|\]\([^)\s]*\)|https?://\S+",
    re.MULTILINE | re.DOTALL,
)
_YAML_COMMENT = re.compile(r"(?:^|\s)#( .*)$")
_YAML_TEXTS = {"title", "summary", "description", "remediation", "metric_help"}
_MESSAGE = re.compile(r"\w+\W+\w.* .* ", re.DOTALL)
"""A Python string of four words or more is a message."""


@dataclass(frozen=True)
class Word:
    """A mannerism."""

    find: re.Pattern[str]
    write: str
    """The advice: other words."""
    limit: float
    """Occurrences in 10,000 words."""


@dataclass(frozen=True)
class Text:
    """A piece of prose and the line of its file that it begins on."""

    line: int
    text: str


@dataclass(frozen=True)
class Hit:
    """A mannerism that was found."""

    path: str
    line: int
    found: str


def load(path: Path = LIST) -> tuple[list[Word], list[str]]:
    """Return the mannerisms, and the globs of the files that are not checked yet."""
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = []
    for word in listed["words"]:
        find = re.compile(rf"\b(?:{word['find']})\b", re.IGNORECASE)
        words.append(Word(find, word["write"], word.get("limit", 0)))
    return words, listed["unchecked"]


def prose(path: str, text: str) -> Iterator[Text]:
    """Yield the prose of a file, by its suffix; nothing if it is of another kind."""
    read = {".md": _markdown, ".py": _python, ".yaml": _yaml, ".yml": _yaml}.get(Path(path).suffix)
    for piece in read(text) if read else ():
        yield Text(piece.line, _CODE.sub(lambda code: "\n" * code[0].count("\n"), piece.text))


def _markdown(text: str) -> Iterator[Text]:
    yield Text(1, text)


def _python(text: str) -> Iterator[Text]:
    tree = ast.parse(text)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    pieces: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            pieces |= {id(value) for value in node.values}
            values = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
            found = "".join(str(value) for value in values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = "" if id(node) in pieces else node.value
        else:
            continue
        if id(node) in alone or _MESSAGE.search(found):
            yield Text(node.lineno, found)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], token.string)


def _yaml(text: str) -> Iterator[Text]:
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if comment := _YAML_COMMENT.search(line):
            yield Text(number, comment[1])
    with suppress(yaml.YAMLError):  # a Helm template is not YAML: its comments only
        for document in yaml.compose_all(text, Loader=yaml.CSafeLoader):
            yield from _yaml_texts(document, lines)


def _yaml_texts(node: yaml.Node, lines: list[str]) -> Iterator[Text]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _yaml_texts(item, lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value in _YAML_TEXTS and isinstance(value, yaml.ScalarNode):
                first, last = value.start_mark, value.end_mark
                piece = [*lines[first.line : last.line], lines[last.line][: last.column]]
                piece[0] = piece[0][first.column :]
                yield Text(first.line + 1, "\n".join(piece))
            else:
                yield from _yaml_texts(value, lines)


def hits(path: str, pieces: list[Text], word: Word) -> Iterator[Hit]:
    """Yield the uses of a word in the prose of a file."""
    for piece in pieces:
        for found in word.find.finditer(piece.text):
            shown = " ".join(found[0].split())
            if not shown.isupper():  # SQL
                yield Hit(path, piece.line + piece.text.count("\n", 0, found.start()), shown)


def check(files: dict[str, str], words: list[Word]) -> list[str]:
    """Return a message for each use of a listed word in these files (path → text)."""
    folders: dict[str, dict[str, list[Text]]] = defaultdict(dict)
    for path, text in sorted(files.items()):
        folders[path.partition("/")[0]][path] = list(prose(path, text))
    problems: list[tuple[Hit, str]] = []
    for texts in folders.values():
        size = count_words(texts)
        for word in words:
            found = [hit for path, pieces in texts.items() for hit in hits(path, pieces, word)]
            if len(found) <= (max(ALWAYS, word.limit * size / 10_000) if word.limit else 0):
                continue
            rate = f" ({len(found)} here, limit {word.limit:g} in 10,000 words)"
            advice = f"write {word.write}" + (rate if word.limit else "")
            problems += [(hit, advice) for hit in found]
    problems.sort(key=lambda problem: (problem[0].path, problem[0].line))
    return [f'{hit.path}:{hit.line}: "{hit.found}": {advice}' for hit, advice in problems]


def count_words(texts: dict[str, list[Text]]) -> int:
    """Return how many words of prose there are."""
    return sum(len(piece.text.split()) for pieces in texts.values() for piece in pieces)


def read_files() -> dict[str, str]:
    """Return the texts of the tracked and new files of the repository, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md", "*.y*ml", "*.py"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return {path: (ROOT / path).read_text("utf-8") for path in listed if (ROOT / path).is_file()}


def unchecked(path: str, globs: list[str]) -> bool:
    """Return whether a file is not checked yet."""
    return any(fnmatch(path, glob) for glob in globs)


def main() -> int:
    """Print the problems; return 1 if there are any."""
    words, globs = load()
    files = read_files()
    if "--rates" in sys.argv[1:]:
        texts = {path: list(prose(path, text)) for path, text in files.items()}
        for held in (True, False):
            some = {path: texts[path] for path in texts if unchecked(path, globs) != held}
            size = count_words(some)
            print(f"{'checked' if held else 'not checked yet'}: {size} words; in 10,000 of them:")
            for word in words:
                found = sum(1 for path in some for _ in hits(path, some[path], word))
                print(f"  {found * 10_000 / max(1, size):6.1f}  {word.find.pattern}")
        return 0
    problems = check({p: t for p, t in files.items() if not unchecked(p, globs)}, words)
    print(*problems, sep="\n", end="\n" if problems else "")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
