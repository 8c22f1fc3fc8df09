"""AWS's regular expressions, checked against AWS's subset and translated for RE2.

AWS's engine is not published. Undocumented details follow Java's defaults: ``.`` does not match a
line end, ``^`` and ``$`` are the ends of the whole text, ``$`` also matches before a final line
end. RE2 searches in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import re2

from exporter.patterns.errors import PatternError, PatternWarning

MAX_MEMORY = 8 << 20
"""Bytes of memory for one expression."""
MAX_REPETITION = 1000
"""The largest count in ``{m,n}``: RE2's limit. AWS documents none."""
MAX_PROGRAM = 50_000
"""The largest compiled expression, in RE2's instructions. The worst-case time of a search is
proportional to the length of the text times this."""

_MEMORY_OF_INSTRUCTION = 256
"""Bytes for a set of expressions, above those for one expression."""
_LONG = 4096
"""Bytes of a text in which a single search can be faster, since it ends with the first match."""

_LITERALS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 :_#=@/;,-")
_OPERATORS = frozenset("^$?[]{}|\\*+.")
_LINE_ENDS = r"\n\r\x{85}\x{2028}\x{2029}"
_ANY = f"[^{_LINE_ENDS}]"
_END = rf"(?:(?:\r\n|[{_LINE_ENDS}])?\z)"
_SPACE = r"\t\n\x{b}\f\r "
_NOT_SPACE = r"\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{10ffff}"
_CLASSES = {
    "d": "0-9",
    "D": r"\x{0}-/:-\x{10ffff}",
    "s": _SPACE,
    "S": _NOT_SPACE,
    "w": "0-9A-Za-z_",
    "W": r"\x{0}-/:-@\[-\^`\x{7b}-\x{10ffff}",
}
_COUNTS = re.compile(r"\{ *([0-9]{0,9}) *(?:(,) *([0-9]{0,9}) *)?\}")
_START = r"(?:\A)"
_PLAIN = re.compile(rf"({re.escape(_START)})?((?:[A-Za-z0-9 _]|\\x\{{[0-9a-f]+\}})+)")
_ESCAPED = re.compile(r"\\x\{([0-9a-f]+)\}")
_HEX = re.compile(r"[0-9A-Fa-f]{2}")


def translate(source: str, text: str, offset: int, warnings: list[PatternWarning]) -> str:
    """Check an expression, which starts at ``offset`` of the pattern ``text``; return it for RE2.

    Appends to ``warnings`` for each construct that AWS does not document. Raises PatternError if
    AWS would not compile the expression, or RE2 cannot.
    """
    expression = _Translator(source, text, offset, warnings).run()
    try:
        instructions = size(expression)
    except re2.error as error:
        message = f"The regular expression cannot be compiled ({error}); make its counts smaller."
        raise PatternError(message, text, offset) from error
    if instructions > MAX_PROGRAM:
        message = "The regular expression is too large; make its counts smaller."
        raise PatternError(message, text, offset)
    return expression


class Literal(NamedTuple):
    """An expression without operators, except for ``^`` at its beginning."""

    text: str
    at_start: bool


def literal_of(expression: str) -> Literal | None:
    """What an expression in RE2's syntax searches for, if it is a literal text."""
    found = _PLAIN.fullmatch(expression)
    if found is None:
        return None
    text = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), found[2])
    return Literal(text, at_start=bool(found[1]))


def size(expression: str) -> int:
    """The instructions of a compiled expression in RE2's syntax."""
    return int(_compile(expression).programsize)


def search(expression: str) -> Callable[[bytes], bool]:
    """Compile an expression in RE2's syntax to a predicate on UTF-8 text."""
    find = _compile(expression).search
    match: Callable[[bytes], list[int] | None] | None = None

    def test(text: bytes) -> bool:
        nonlocal match
        if len(text) > _LONG:
            return find(text) is not None
        if match is None:
            match = _match_one(expression)
        # A set does not look for the position of a match, and makes no object of it.
        found = match(text)
        return len(found) == 2 if found else find(text) is not None

    return test


def compile_set(expressions: Iterable[str], instructions: int) -> Any:
    """Compile expressions to a set with the memory for a program of a size.

    If RE2 runs out of memory, a set matches nothing at all. So its last expression matches any
    text: ``Match`` returns None if the expressions must be searched for one at a time. Raises
    ``re2.error`` if the program is too large.
    """
    options = re2.Options()
    options.max_mem = MAX_MEMORY + _MEMORY_OF_INSTRUCTION * instructions
    options.log_errors = False
    made = re2.Set.SearchSet(options)
    for expression in expressions:
        made.Add(expression.encode())
    made.Add(b"")
    made.Compile()
    return made


def encode(text: str) -> bytes:
    """Encode for ``search``. A lone surrogate from a JSON escape stays one character."""
    return text.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=1000)
def _match_one(expression: str) -> Callable[[bytes], list[int] | None]:
    try:
        match: Callable[[bytes], list[int] | None]
        match = compile_set([expression], size(expression)).Match
    except re2.error:
        return lambda _text: None
    return match


@lru_cache(maxsize=10_000)
def _compile(expression: str) -> Any:  # re2 has no types
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    return re2.compile(expression.encode(), options)


class _Escape(NamedTuple):
    """The meaning of an escape: a class of characters, or one character."""

    class_: str | None
    char: str


class _Translator:
    """One pass over an expression."""

    def __init__(self, source: str, text: str, offset: int, warnings: list[PatternWarning]) -> None:
        self.source = source
        self.text = text
        self.offset = offset
        self.warnings = warnings
        self.at = 0
        self.out: list[str] = []
        # The target of a quantifier: nothing, the last of ``out``, or a repeated one.
        self.state = "nothing"

    def run(self) -> str:
        if not self.source:
            raise self.error("A regular expression cannot be empty.", 0)
        while self.at < len(self.source):
            self.step(self.source[self.at])
        if self.state == "nothing":
            self.warn("An empty alternative matches everything; leave the | out.", self.at - 1)
        return "".join(self.out)

    def error(self, message: str, at: int) -> PatternError:
        return PatternError(message, self.text, self.offset + at)

    def warn(self, message: str, at: int) -> None:
        self.warnings.append(PatternWarning(message, self.offset + max(at, 0), "uncertain"))

    def step(self, char: str) -> None:
        if char in "?*+":
            self.at += 1
            self.quantify(char)
        elif char == "{":
            self.counts()
        elif char == "|":
            if self.state == "nothing":
                self.warn("An empty alternative matches everything; leave the | out.", self.at)
            self.at += 1
            self.out.append("|")
            self.state = "nothing"
        else:
            self.out.append(self.atom(char))
            self.state = "atom"

    def atom(self, char: str) -> str:
        start = self.at
        self.at += 1
        if char == ".":
            return _ANY
        if char == "^":
            return _START
        if char == "$":
            return _END
        if char == "[":
            return self.set()
        if char == "\\":
            escape = self.escape(start)
            return f"[{escape.class_}]" if escape.class_ else literal(escape.char)
        if char in "]}":
            self.warn(f"A {char} that closes nothing is written as \\{char}", start)
        elif char not in _LITERALS:
            raise self.error(_not_allowed(char), start)
        return literal(char)

    def escape(self, start: int) -> _Escape:
        char = self.source[self.at : self.at + 1]
        self.at += 1
        if char in _CLASSES:
            return _Escape(_CLASSES[char], "")
        if char in _OPERATORS:
            return _Escape(None, char)
        if char == "x":
            digits = _HEX.match(self.source, self.at)
            if digits is None:
                raise self.error(r"\x needs two hexadecimal digits, as in \x21.", start)
            self.at = digits.end()
            return _Escape(None, chr(int(digits[0], 16)))
        if char in _LITERALS and not char.isalnum():
            self.warn(f"AWS documents no \\{char} ; write {char!r} without the backslash.", start)
            return _Escape(None, char)
        if not char:
            raise self.error("A backslash at the end escapes nothing; write \\\\ for one.", start)
        if char.isalnum():
            raise self.error(
                rf"AWS does not document \{char}; it has \d \D \s \S \w \W and \xhh.", start
            )
        raise self.error(_not_allowed(char), start + 1)

    def set(self) -> str:
        """Read a set after its bracket. Operators have no meaning in it."""
        start = self.at - 1
        negated = self.source[self.at : self.at + 1] == "^"
        self.at += negated
        first = self.at
        items: list[str] = []
        while True:
            char = self.source[self.at : self.at + 1]
            if not char:
                raise self.error("The set that starts here is not closed with ].", start)
            if char == "]" and self.at > first:
                self.at += 1
                return f"[{'^' if negated else ''}{''.join(items)}]"
            items.append(self.item())

    def item(self) -> str:
        start = self.at
        low = self.member()
        if low.class_ is not None:
            return low.class_
        following = self.source[self.at : self.at + 2]
        if not (following[:1] == "-" and len(following) == 2 and following != "-]"):
            return literal(low.char)
        self.at += 1
        high = self.member()
        if high.class_ is not None or high.char < low.char:
            raise self.error("This range is not in order; write it as in [a-z].", start)
        return f"{literal(low.char)}-{literal(high.char)}"

    def member(self) -> _Escape:
        start = self.at
        char = self.source[self.at]
        self.at += 1
        if char == "\\":
            return self.escape(start)
        if char in "[]":
            self.warn(f"In a set, {char} is written as \\{char}", start)
        elif char not in _LITERALS and char not in _OPERATORS:
            raise self.error(_not_allowed(char), start)
        return _Escape(None, char)

    def counts(self) -> None:
        start = self.at
        found = _COUNTS.match(self.source, start)
        if found is None or not (found[1] or found[3]):
            raise self.error(r"Here a count such as {2,5} is needed; write \{ for a brace.", start)
        self.at = found.end()
        if " " in found[0]:
            self.warn("Write the count without blanks, as in {2,5}.", start)
        if not found[1]:
            self.warn(
                f"Write {{0,{found[3]}}}: not every engine knows a count without a start.", start
            )
        low = int(found[1] or 0)
        high = low if not found[2] else int(found[3]) if found[3] else None
        if high is not None and high < low:
            raise self.error("The count's second number is less than its first.", start)
        if max(low, high or 0) > MAX_REPETITION:
            raise self.error(f"A count can be at most {MAX_REPETITION}.", start)
        self.quantify(self.source[start : self.at], low, high)

    def quantify(self, quantifier: str, low: int = 0, high: int | None = None) -> None:
        start = self.at - len(quantifier)
        if self.state == "nothing":
            raise self.error(f"There is nothing before {quantifier} to repeat.", start)
        if self.state == "atom":
            atom = self.out.pop()
            counted = quantifier.startswith("{")
            high_text = "" if high is None else str(high)
            self.out.append(atom + (f"{{{low},{high_text}}}" if counted else quantifier))
            self.state = "repeated"
        elif self.state == "repeated" and quantifier == "?":
            # The shortest and the longest match are the same for a search.
            self.warn("AWS documents no lazy quantifiers; leave the ? out.", start)
            self.state = "lazy"
        else:
            raise self.error(f"{quantifier} cannot follow another quantifier.", start)


def literal(char: str) -> str:
    """A character in RE2's syntax."""
    if char.isascii() and (char.isalnum() or char in " _"):
        return char
    return rf"\x{{{ord(char):x}}}"


def _not_allowed(char: str) -> str:
    if char in "()":
        return f"AWS has no groups; a parenthesis to search for is written as \\x{ord(char):02x}."
    if char.isascii():
        return f"{char!r} is not allowed in a regular expression; write it as \\x{ord(char):02x}."
    return f"{char!r} is not allowed in a regular expression: AWS allows ASCII only."
