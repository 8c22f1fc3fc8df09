"""Requests of FilterLogEvents return whatever the rules match."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise, product
from typing import cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import EventFormat, LogEvent
from exporter.patterns import Document, FilterPattern, PatternError, compile_pattern
from exporter.planning import request_patterns
from exporter.rules.decoder import Decoder
from exporter.rules.envelopes import opened
from tests.support.alerting import pack_rules
from tests.support.doubtful_aws import DoubtfulAws
from tests.support.envelopes import envelope, sign_in
from tests.support.examples import examples
from tests.support.samples import cloudtrail_files, log_files
from tests.support.shared import shared_files
from tests.support.tools import ROOT

EXAMPLES = examples(100)
PACKS = sorted((ROOT / "config/rules").glob("*.yaml"))

FORMATS: tuple[EventFormat, ...] = get_args(EventFormat)
DECODE = Decoder(()).exact


@cache
def judged(message: str, event_format: EventFormat) -> str:
    """The message that rules judge: of an envelope, the record in it."""
    fields = DECODE(message)
    if event_format == "lines" or fields is None:
        return message
    one = opened(LogEvent(message, 0), DECODE, trusted=event_format == "cloudtrail")
    return message if one is None else one[0].message


@cache
def compiled(text: str) -> FilterPattern:
    return compile_pattern(text, aws_limits=False)


@cache
def requests(
    texts: tuple[str, ...], event_format: EventFormat, one_each: bool = False
) -> tuple[str, ...] | None:
    return request_patterns(map(compiled, texts), event_format, one_each=one_each)


flags = st.fixed_dictionaries({name: st.booleans() for name in DoubtfulAws.__annotations__})
clouds = flags.map(lambda chosen: DoubtfulAws(**chosen))

# Few words, so that patterns match, and nearly match.
KEYS = ("a", "b", "eventName", "k.k")
SCALARS = (
    *('"x"', '"xyx"', '"y"', '""', '"1"', '"1.0"', '"1.50"', '"\\u0078"', '"é"', '"xéx"', '"true"'),
    *("1", "1.0", "1e0", "1.50", "15e2", "-1", "100000000000000000001", "1e20", "0.1"),
    *("0.1000000000000000000001", "1.0000000000000000001", "null", "true", "false", "[]", "{}"),
    *('"x\\n"', '"a b"', '"ERROR x"', '"a\\"b"', '"a\\\\b"', '"\\ud83d\\ude00"', '"x x"'),
)


def of(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Objects of such values; equal keys may come twice."""
    members = st.tuples(st.sampled_from(KEYS), inner).map(lambda pair: f'"{pair[0]}": {pair[1]}')
    return st.lists(members, max_size=4).map(lambda parts: "{" + ", ".join(parts) + "}")


values: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]") | of(inner),
    max_leaves=5,
)
objects = of(values)
WORDS = ("ERROR", "x", "xyx", "é", "a b", '"a b"', "[x y]", "404", "4.04e2", "-", "{", "1.1.1", "")
lines = st.tuples(
    st.lists(st.sampled_from(WORDS), max_size=6), st.sampled_from([" ", "\n", "  ", "\t"])
).map(lambda both: both[1].join(both[0]))


RECORD = json.dumps(sign_in())
ENVELOPE = json.dumps(envelope({}))


def enveloped(fields: str) -> str:
    """An envelope of a record that has an object's fields, too."""
    detail = f"{RECORD[:-1]}, {fields[1:]}" if fields != "{}" else RECORD
    return ENVELOPE.replace('"detail": {}', f'"detail": {detail}')


messages = st.one_of(
    objects, objects.map(enveloped), lines, st.sampled_from(["", " {}", '{"a":1} x', '{"a":NaN}'])
)

VALUES = (
    *("x", '"x"', "x*", "*x", '"*x*"', "x*x", '"xy*"', '"*yx"', "1", "1.0", "1e0", '"1.50"', "1*"),
    *('"é"', '""', "true", '"a\\"b"', '"a\\\\b"', '"a b"', "0.1", "100000000000000000000", '"15*"'),
    *("%x%", "%^x$%", "%x.x%", r"%\Wx%", "%[0-9]%", "%x|y%", '"x x"', '" x"', "+1", "1.", ".1"),
)
SELECTORS = (
    *("$.a", "$.b", "$.a.b", "$.a[0]", "$.a[*]", "$.*", "$.b[*].a", "$.['k.k']", "$.a.['k.k']"),
    *("$.eventName", "$.detail-type", "$.detail.eventName"),
)
TESTS = (
    *map(" ".join, product(("=", "!="), VALUES)),
    *map(" ".join, product(("<", "<=", ">", ">="), ("1", "0.1", "-1e3"))),
    *("IS NULL", "IS TRUE", "IS FALSE", "NOT EXISTS"),
)
tests = st.tuples(st.sampled_from(SELECTORS), st.sampled_from(TESTS)).map(" ".join)
json_patterns = st.recursive(
    tests,
    lambda inner: st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(
        lambda parts: f"({' '.join(parts)})"
    ),
    max_leaves=5,
).map(lambda condition: f"{{ {condition} }}")
TERMS = (
    *("ERROR", "x", '"é"', '"a b"', '" "', '"x*"', "%x%", "%^x%", "%x.x%", r"%\s[0-9]{3}$%"),
    *("y", "detail"),
    *('"\\"a b\\""', '"100%"', "%E?R+|[xy]{2,}%", "%[^x]y%", "1.1", '" x "', "%404|^x%"),
)
SIGNED = tuple(map("".join, product(("", "?", "-"), TERMS)))
terms = st.sampled_from(SIGNED)
term_patterns = st.lists(terms, min_size=1, max_size=4).map(" ".join)
FIELDS = (
    *("...", "", "{n}", "{n} = x", "{n} = x* || {n} = ERROR", '{n} = "a b"', "{n} != x"),
    *("{n} > 1", "{n} = 404", "{n} = %^x%", "{n} = *1.1", '{n} = "x y"', "{n} = x || {n} > 1"),
    '({n} = x || {n} = "é") && {n} != y',
)


def spaced(fields: Iterable[str]) -> str:
    """A space-delimited pattern of fields that get names."""
    return f"[{', '.join(field.replace('{n}', f'f{n}') for n, field in enumerate(fields))}]"


space_patterns = st.lists(st.sampled_from(FIELDS), min_size=1, max_size=5).map(spaced)


def is_valid(text: str) -> bool:
    try:
        compile_pattern(text, aws_limits=False)
    except PatternError:
        return False
    return True


patterns = st.one_of(json_patterns, json_patterns, term_patterns, space_patterns).filter(is_valid)


cases = st.tuples(
    st.lists(patterns, min_size=1, max_size=3), st.lists(messages, min_size=3, max_size=8)
)


def lost(texts: list[str], message: str, several: Sequence[DoubtfulAws]) -> list[object]:
    """The requests by which one of several AWS does not return a message that a rule matches."""
    missing: list[object] = []
    for event_format, one_each in product(FORMATS, (False, True)):
        asked = requests(tuple(texts), event_format, one_each)
        subject = judged(message, event_format)
        if asked is not None and any(compiled(text).match(subject) for text in texts):
            for aws in several:
                if not any(aws.finds(pattern, message) for pattern in asked):
                    missing.append((event_format, asked, aws))  # noqa: PERF401
    return missing


ONE_DOUBT = (DoubtfulAws(), *(DoubtfulAws(**{flag: True}) for flag in DoubtfulAws.__annotations__))
OBJECTS = [
    f'{{"a": {one}, "b": {other}}}' for one, other in pairwise((*SCALARS, '[null, "x"]', "1"))
]
LINES = [*map(" ".join, product(WORDS[::2], WORDS[1::2])), "x\n404", "x xyx", *WORDS]


@pytest.mark.parametrize(
    ("texts", "several"),
    [
        pytest.param(
            [*(f"{{ $.a {test} }}" for test in TESTS), "{ $.a IS NULL || $.b = y }"],
            [*OBJECTS, *map(enveloped, OBJECTS[::7])],
            id="json",
        ),
        pytest.param(
            [*map(" ".join, product(SIGNED, ("", "?y")))],
            [*LINES, enveloped("{}")],
            id="terms",
        ),
        pytest.param([spaced([field, "..."]) for field in FIELDS], LINES, id="space"),
    ],
)
def test_no_single_doubt_about_aws_loses_a_match(texts: list[str], several: list[str]) -> None:
    matched = 0
    for text, message in product(filter(is_valid, texts), several):
        if compiled(text).match(judged(message, "auto")):
            matched += 1
            assert not lost([text], message, ONE_DOUBT), (text, message)
    assert matched > len(texts)


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases, clouds)
def test_whatever_a_rule_matches_is_in_the_answer_of_any_aws(
    case: tuple[list[str], list[str]], aws: DoubtfulAws
) -> None:
    texts, several = case
    for message in several:
        assert not lost(texts, message, [aws])


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(patterns, min_size=1, max_size=8), st.sampled_from(FORMATS))
def test_aws_accepts_what_is_asked_for_and_documents_it(
    texts: list[str], event_format: EventFormat
) -> None:
    for asked in requests(tuple(texts), event_format) or ():
        warnings = compile_pattern(asked).warnings
        assert not [one for one in warnings if one.code == "uncertain"]


@pytest.mark.parametrize(
    ("text", "lines_ask", "auto_asks"),
    [
        ("ERROR -DEBUG", ['"ERROR" -"DEBUG"'], ['"ERROR"']),
        ("?ERROR ?WARN", ['?"ERROR" ?"WARN"'], ['?"ERROR" ?"WARN"']),
        ("ERROR ?WARN", ['"ERROR"'], ['"ERROR"']),
        ("%^a[0-9]+ .*end$%", ["%end%"], ["%end%"]),
        ("[ip, ..., status = 4*, bytes]", ['"4"'], ['"4"']),
        ('[a, action = "REJECT" || action = DROP, ...]', ['?"REJECT" ?"DROP"'], None),
        ("[ip, ..., status >= 500, bytes]", "everything", "everything"),
        ("", "everything", "everything"),
        ('{ $.a = x && $.b != "y" }', ['{ $.a = "x" && $.b != "y" }'], None),
        ("{ $.n > 5 }", ["{ $.n >= 5 }"], ['{ ($.n >= 5) || ($.detail-type = "*") }']),
        ("{ $.a = x*y && $.n != 5 }", ['{ $.a = "x*" && $.n = "*" }'], None),
        ('{ $.a = "*Denied" }', ['{ $.a = "*Denied*" }'], None),
        ("{ $.a = x && $.b IS NULL }", ['{ $.a = "x" }'], None),
        ("{ $.a = x || $.b IS NULL }", "everything", "everything"),
    ],
)
def test_requests_are_as_strong_as_is_certain(
    text: str, lines_ask: object, auto_asks: object
) -> None:
    for event_format, wanted in (("lines", lines_ask), ("auto", auto_asks)):
        asked = requests((text,), cast(EventFormat, event_format))
        if wanted is not None:
            assert ("everything" if asked is None else list(asked)) == wanted


def test_several_rules_share_few_requests() -> None:
    json = tuple(f'{{ $.service = "s{n}" && $.message = "{"m" * 60}{n}" }}' for n in range(40))
    asked = requests((*json, "ERROR", "%a[0-9]%", "[x, y = FATAL, ...]"), "lines")
    assert asked is not None
    assert len(asked) == 6
    assert asked[-1] == "%ERROR|a[0-9]|FATAL%"
    assert len(requests(json, "lines", one_each=True) or ()) == 1


def test_a_long_pattern_is_asked_for_by_one_of_its_conditions() -> None:
    names = " || ".join(f'$.name = "{"n" * 40}{n}"' for n in range(30))
    asked = requests((f'{{ $.kind = "k" && ({names}) }}',), "lines")
    assert asked == ('{ $.kind = "k" }',)


def test_every_conformance_case_that_matches_is_in_the_answer() -> None:
    cases = [json.loads(line) for line in (ROOT / "conformance/cases.jsonl").open()]
    matching = [case for case in cases if case["match"]]
    assert len(matching) > 300
    assert [c["id"] for c in matching if lost([c["pattern"]], c["message"], [DoubtfulAws()])] == []


def test_the_guesses_of_the_conformance_suite_may_all_be_wrong() -> None:
    (path,) = shared_files("conformance", "uncertain.jsonl")
    cases = [json.loads(line) for line in path.open()]
    matching = [case for case in cases if case["valid"] and case["match"]]
    assert [c["id"] for c in matching if lost([c["pattern"]], c["message"], ONE_DOUBT)] == []


def test_every_match_of_the_packs_in_real_logs_is_in_the_answer() -> None:
    rules = [rule for pack in PACKS for rule in pack_rules(pack.stem)]
    packed = [compiled(rule["pattern"]) for rule in rules]
    files = [*log_files(), *cloudtrail_files()]
    real = dict.fromkeys(line for file in files for line in file.read_text().splitlines())
    records = [json.loads(line) for line in cloudtrail_files()[0].read_text().splitlines()]
    matched = 0
    for message in (*real, *(json.dumps(envelope(record)) for record in records)):
        document = Document(judged(message, "auto"))
        matching = [pattern.text for pattern in packed if pattern.match_document(document)]
        matched += len(matching)
        for text in matching:
            assert not lost([text], message, [DoubtfulAws()]), text
    assert matched > 500
