"""Regular expressions of filter patterns, by Python's ``re``."""

from __future__ import annotations

import re
from collections.abc import Callable

Search = Callable[[str], bool]
"""Whether an expression is found in a text."""

# AWS: alphanumerics, the symbols : _ # = @ / ; , - and the operators ^ $ ? [ ] { } | \ * + .
_CHARACTER = re.compile(r"[A-Za-z0-9 :_#=@/;,\-^$?\[\]{}|\\*+.]*")
_ATOM = re.compile(
    r"(?P<escape>\\(?:[dDsSwW]|x[0-9A-Fa-f]{2}|[^A-Za-z0-9]))"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<count>\{[0-9]*(?:, ?[0-9]*)?\})"
    r"|(?P<other>[^\\\[\]{}])"
)
_DOUBTFUL_COUNT = re.compile(r"\{,|.* ")


def compile_regex(expression: str, strictly: bool, by_bytes: bool) -> Search:
    """Compile an expression; raises ``re.error`` if AWS refuses it.

    ``strictly`` refuses what AWS does not document. ``by_bytes`` searches in UTF-8: ``.`` is a
    byte, or a newline, and ``$`` is the very end.
    """
    if not expression or _CHARACTER.fullmatch(expression) is None:
        raise re.error("a character that is not allowed")
    parts, at, repeats = [], 0, False
    while at < len(expression):
        atom = _ATOM.match(expression, at)
        if atom is None:
            raise re.error(f"not understood: {expression[at:]}")
        at = atom.end()
        repeated, repeats = repeats, bool(atom["count"]) or atom[0] in "*+?"
        if strictly and repeats and (repeated or _DOUBTFUL_COUNT.match(atom[0])):
            raise re.error("a quantifier that is not documented")
        parts.append(_translated(atom, by_bytes))
    if by_bytes:
        found = re.compile("".join(parts).encode(), re.DOTALL)
        return lambda text: found.search(text.encode("utf-8", "surrogatepass")) is not None
    compiled = re.compile("".join(parts), re.ASCII)
    return lambda text: compiled.search(text) is not None


def _translated(atom: re.Match[str], by_bytes: bool) -> str:
    """The same in Python's words."""
    if atom["set"]:
        start = 2 if atom[0].startswith("[^") else 1
        # An operator is text in a set; Python reserves some pairs.
        return atom[0][:start] + re.sub(r"(?<!\\)[\[|]", r"\\\g<0>", atom[0][start:-1]) + "]"
    if atom["count"]:
        return atom[0].replace(" ", "")
    return r"\Z" if atom[0] == "$" and by_bytes else atom[0]
