"""Explanations: the tree, the values it saw, and its rendering."""

from __future__ import annotations

from exporter.patterns import compile_pattern


def test_every_condition_is_shown_with_the_value_that_it_saw() -> None:
    pattern = compile_pattern(
        '{ ($.name = "a*" || $.l[*].x != 1) && $.n > 5 && $.z NOT EXISTS && $.o IS NULL }'
    )
    explanation = pattern.explain('{"name":"abc","l":[{"x":1},{"x":"y"}],"n":"7","o":{"k":1}}')
    assert explanation.render().splitlines()[1:] == [
        "  ✗ all of",
        "    ✓ one of",
        '      ✓ $.name = "a*"  ← "abc"',
        '      ✓ $.l[*].x != 1  ← 1, "y"',
        '    ✗ $.n > 5  ← "7"',
        "      (AWS compares numbers only with >: this is a text)",
        "    ✓ $.z NOT EXISTS  ← missing",
        "    ✗ $.o IS NULL  ← an object of 1 keys",
    ]
    (condition,) = explanation.children
    assert condition.kind == "and"
    assert [child.kind for child in condition.children] == ["or", *["condition"] * 3]


def test_a_message_that_is_not_json_is_said_to_be_so() -> None:
    explanation = compile_pattern("{ $.a NOT EXISTS }").explain('INFO {"a":1}')
    assert not explanation.matched
    assert "not a JSON object" in (explanation.note or "")
    assert "not one object" in compile_pattern("{ $.a = 1 }").explain("[1]").render()


def test_a_false_inequality_of_a_missing_value_is_explained() -> None:
    assert "!= is false here" in compile_pattern("{ $.a != 1 }").explain("{}").render()


def test_terms_say_whether_they_were_found() -> None:
    lines = compile_pattern('ERROR ?x -"y z"').explain("ERROR y z").render().splitlines()
    assert lines == [
        '✗ ERROR ?x -"y z"',
        "  ✓ ERROR  ← found",
        "  ✗ ?x  ← not found",
        "    (ignored: AWS counts ? terms only if there are no others)",
        '  ✗ -"y z"  ← found',
    ]


def test_fields_are_shown_with_their_text() -> None:
    pattern = compile_pattern("[ip, ..., status = 404 || status = 5*, bytes > 10, ]")
    lines = pattern.explain('1.1.1.1 - "a b" 404 7 z').render().splitlines()
    assert lines[1:] == [
        '  ✓ ip  ← "1.1.1.1"',
        '  ✓ ...  ← "-", "a b"',
        '  ✓ status = 404 || status = 5*  ← "404"',
        "    ✓ one of",
        '      ✓ status = 404  ← "404"',
        '      ✗ status = 5*  ← "404"',
        '  ✗ bytes > 10  ← "7"',
        '  ✓ $6  ← "z"',
    ]
    assert "needs at least 4 fields, the line has 1" in pattern.explain("x").render()


def test_long_values_and_odd_characters_are_made_readable() -> None:
    pattern = compile_pattern("{ $.a = x }")
    assert len(pattern.explain('{"a":"' + "é" * 10_000 + '"}').render()) < 200
    assert "\n  " not in pattern.explain('{"a":"1\\n2"}').children[0].render()
    many = compile_pattern("{ $.a[*] = x }").explain('{"a":[1,2,3,4,5,6,7]}').render()
    assert "1, 2, 3, 4, 5 and 2 more" in many


def test_the_empty_pattern_is_explained() -> None:
    assert compile_pattern("").explain("x").render().startswith("✓ (the empty pattern)")
