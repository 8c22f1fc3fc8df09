"""Writes the table of values in the chart's README from values.yaml and its comments.

A key is described by the comment above it that begins with ``# --``; a line ``# @default -- …``
in it replaces the value. ``--check`` only checks whether the README is up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parent.parent / "helm" / "metric-filter-exporter"
BEGIN = "<!-- values: written by scripts/chart_readme.py -->\n"
END = "<!-- end of values -->\n"
_DEFAULT = "@default --"
_WIDEST = 60


@dataclass(frozen=True)
class Value:
    """A value that the chart takes."""

    path: str
    default: str
    """As Markdown."""
    description: str


class UndocumentedError(Exception):
    """A value has no description; the message names it."""


def read_values(text: str) -> list[Value]:
    """Return the documented values of values.yaml, in their order. Raises UndocumentedError."""
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise UndocumentedError("values.yaml: no mapping of values")
    return list(_walk(root, "", lines))


def _walk(mapping: yaml.MappingNode, prefix: str, lines: list[str]) -> Iterator[Value]:
    for key, value in mapping.value:
        path = prefix + str(key.value)
        comment = _comment_above(lines, key.start_mark.line)
        if comment:
            words = [line for line in comment if not line.startswith(_DEFAULT)]
            named = [line.removeprefix(_DEFAULT) for line in comment if line.startswith(_DEFAULT)]
            default = named[0].strip() if named else _as_code(value)
            yield Value(path, default, " ".join(words))
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _walk(value, f"{path}.", lines)
        else:
            raise UndocumentedError(f"values.yaml: `{path}` has no comment that begins with # --")


def _comment_above(lines: list[str], line: int) -> list[str]:
    """Return the lines of the description above a line, the first without its ``# --``."""
    found: list[str] = []
    for text in reversed(lines[:line]):
        comment = text.strip()
        if not comment.startswith("#"):
            break
        found.insert(0, comment.removeprefix("#").strip())
        if comment.startswith("# --"):
            found[0] = found[0].removeprefix("--").strip()
            return found
    return []


def _as_code(node: yaml.Node) -> str:
    value = yaml.safe_load(yaml.serialize(node))
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= _WIDEST else "see values.yaml"


def table(values: list[Value]) -> str:
    """Return the values as a Markdown table."""
    rows = ["| Value | Default | Meaning |", "| --- | --- | --- |"]
    for value in values:
        cells = (f"`{value.path}`", value.default, value.description)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def updated(readme: str, values: str) -> str:
    """Return the README with the table of these values instead of its old one."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(read_values(values))}\n{END}{after}"


def main() -> int:
    """Write the README, or with --check say whether it is up to date."""
    readme = CHART / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = updated(old, (CHART / "values.yaml").read_text(encoding="utf-8"))
    if "--check" in sys.argv[1:]:
        if new != old:
            print(f"{readme} is not up to date: run `make chart`", file=sys.stderr)
        return int(new != old)
    readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
