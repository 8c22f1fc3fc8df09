"""Many patterns of lines and many messages: one character of options, the patterns, the messages.

Patterns are separated by GS (U+001D), messages by RS (U+001E), which also ends the patterns.
"""

from __future__ import annotations

from contextlib import nullcontext

from exporter.patterns import PatternError, compile_pattern
from fuzz.agreement import check_lines, little_memory


def check(data: bytes) -> None:
    """The compiled rules make the increments that the reference makes, rule by rule."""
    # Invalid UTF-8 becomes lone surrogates, which JSON's escapes can produce as well.
    written, *messages = data[1:].decode("utf-8", "surrogateescape").split("\x1e")
    patterns = []
    for text in written.split("\x1d"):
        try:
            pattern = compile_pattern(text, aws_limits=False)
        except PatternError:
            continue
        if pattern.kind != "json":
            patterns.append(pattern)
    with little_memory() if data[:1] == b"1" else nullcontext():
        # Again, when something is kept of each.
        check_lines(patterns, [*messages, *messages])
