"""Rules of lines, compiled together, make the increments that each of them makes alone."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.patterns import FilterPattern, PatternError, compile_pattern
from exporter.patterns.document import split_fields
from exporter.patterns.splitting import rest_of, split_texts
from exporter.patterns.syntax import Text
from exporter.patterns.termset import TermSet
from fuzz.agreement import check_lines, little_memory

WORDS = (
    "a b ab abc x ERROR é \ud800 0 1 1.0 -1 +1e0 .5 5. 200 404 9007199254740993 1e400 1e-400 - nan "
    'inf 1_0 ² "a "b c" "" " [a] [b c] [ ] [] "]" a"b "a"b [a]b {"a": "b"} 10.0.0.1 \x1c \xa0'
).split(" ")
SPACES = ("", " ", "  ", "\t", "\r\n", "\n", " \t")
VALUES = [
    *"a b ab* *b *a* a*c x* * 0 1 1.0 -1 1e0 200 40* 1e400 1e-400 9007199254740992 nan".split(),
    *r"%a% %^a% %^[0-9]+$% %b$% %[^a]b% %\x22% %.%".split(),
    '"b c"',
    '""',
]
NUMBERS = [value for value in VALUES if value[-1].isdigit() and "*" not in value]


@st.composite
def conditions(draw: st.DrawFn, name: str) -> str:
    """The condition of an entry, such as ``a = 1 || a > 5``."""
    tests = []
    for _ in range(draw(st.integers(1, 3))):
        operator = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
        value = draw(
            st.sampled_from(VALUES if "=" in operator[:2] and operator[0] in "=!" else NUMBERS)
        )
        tests.append(f"{name} {operator} {value}")
    return draw(st.sampled_from([" && ", " || "])).join(tests)


@st.composite
def space_patterns(draw: st.DrawFn) -> str:
    """A pattern such as ``[a, b = 1, , ...]``."""
    entries = []
    for index in range(draw(st.integers(0, 5))):
        # Names differ between rules; what they have in common must not depend on them.
        name = draw(st.sampled_from("abc")) + str(index)
        entries.append(draw(st.sampled_from(["", name]) | conditions(name)))
    if draw(st.booleans()):
        entries.insert(draw(st.integers(0, len(entries))), "...")
    return "[" + ", ".join(entries) + "]"


terms = st.builds(
    str.__add__,
    st.sampled_from(["", "", "?", "-"]),
    st.sampled_from(["a", "b", "ab", "ERROR", '"b c"', '"é"', '"\ud800"', '" "', '"404"', '"["'])
    | st.sampled_from([value for value in VALUES if value.startswith("%")]),
)
patterns = st.one_of(
    space_patterns(),
    space_patterns(),
    st.lists(terms, min_size=1, max_size=4).map(" ".join),
    st.just(""),
)
lines = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SPACES)), max_size=7).map(
    lambda parts: "".join(word + space for word, space in parts)
)


def compiled(texts: list[str]) -> list[FilterPattern]:
    """Those of the patterns that are valid."""
    valid = []
    for text in texts:
        try:
            valid.append(compile_pattern(text, aws_limits=False))
        except PatternError:
            continue
    return valid


@pytest.mark.parametrize(
    ("rules", "messages"),
    [
        (["[a = 1, ...]", "[b = 2.50 || b = x, ...]"], ["1.0 x", "2.5", "x", "01e0", "y"]),
        (["[a, b]"], ["x y z", 'x "y z"', "x y "]),
        (['[a, b = "y z"]', "[a = x, b, c]"], ["x y z", "x y z w"]),
        (["[a = x* || a = *y || a = z, ...]"], ["x1", "1y", "z", "q"]),
        (["[a != x* && a != z && a != *y, ...]"], ["x1", "1y", "z", "q"]),
        (["[a, b, ...]"], ["x [ ]", "x []", "x [", "[ ] y", "[a] ] b"]),
        (["[..., y, z]", "[x, ..., z]", "[]"], ["a", "a b", "a b c", ""]),
        (["a -b", "?a ?c", "-b"], ["a", "a b", "c", "b c", ""]),
    ],
)
def test_each_rule_makes_what_it_makes_alone(rules: list[str], messages: list[str]) -> None:
    # Three of each: they differ in labels and values.
    check_lines([pattern for pattern in compiled(rules) for _ in range(3)], messages)


@pytest.mark.parametrize("is_little", [False, True])
def test_many_rules_make_what_each_makes_alone(is_little: bool) -> None:
    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(patterns, min_size=1, max_size=12).map(compiled),
        st.lists(lines, min_size=1, max_size=6),
    )
    def holds(rules: list[FilterPattern], messages: list[str]) -> None:
        with little_memory() if is_little else nullcontext():
            check_lines(rules, [*messages, *messages])

    holds()


@settings(max_examples=500, deadline=None)
@given(lines | st.text(st.sampled_from('ab "[]\t\r\n\x0b\x1c\xa0'), max_size=16), st.integers(1, 6))
def test_fields_are_the_same_however_they_are_split(line: str, count: int) -> None:
    fields = split_fields(line)
    texts = [field.text for field in fields]
    assert split_texts(line) == texts
    some = split_texts(line, count)
    assert some[:count] == texts[:count]
    assert len(some) >= min(count, len(texts))
    if count < len(fields):
        assert rest_of(line, count) == line[fields[count].start : fields[-1].end]


def test_a_set_of_terms_that_runs_out_of_memory_finds_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Exhausted:
        """RE2 returns nothing then, not even the expression that matches anything."""

        def Match(self, _text: bytes) -> None:  # noqa: N802 (RE2's name)
            return None

    terms = TermSet([Text(f"w{number}") for number in range(20)])
    expected = terms.find("w1 w13 w7")
    assert [20, *expected] == [20, 1, 7, 13]
    monkeypatch.setattr(terms, "_sets", [(Exhausted(), members) for _, members in terms._sets])
    assert terms.find("w1 w13 w7") == expected
