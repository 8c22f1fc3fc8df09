"""A caret points at the right character of a pattern, however YAML writes it."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.yamlfile.positions import offsets_in_source

_TEXT = st.text(st.sampled_from("ab{}[]$.='\"%\\*?|&-: \n\té"), min_size=1, max_size=40)


def scalar(source: str) -> tuple[str, str | None, str]:
    """The source, style and value of the only value in a YAML mapping."""
    mapping = yaml.compose(source, Loader=yaml.CSafeLoader)
    assert mapping is not None
    node = mapping.value[0][1]
    return source[node.start_mark.index : node.end_mark.index], node.style, node.value


@given(_TEXT, st.sampled_from(["'", '"', "|", ">", None]), st.sampled_from([20, 1000]))
def test_each_visible_character_is_found_where_it_stands(
    text: str, style: str | None, width: int
) -> None:
    source = yaml.dump({"pattern": text}, default_style=style, width=width, allow_unicode=True)
    raw, written, value = scalar(source)
    assert value == text
    offsets = offsets_in_source(raw, written, value)
    assert offsets is not None
    assert len(offsets) == len(text) + 1
    for char, offset in zip(text, offsets, strict=False):
        if not char.isspace():
            assert raw[offset] in (char, "\\")


@pytest.mark.parametrize(
    "source",
    [
        "p: a b ~ c\n",
        "p: 'it''s ~ c'\n",
        'p: "a\\"\\x62\\u00e9\\t ~ c"\n',
        'p: "a \\\n   b ~ c"\n',
        "p: |\n  a\n    b ~ c\n",
        "p: |2-\n    a\n  b ~ c\n",
        "p: >-\n  a\n  b\n\n  ~ c\n",
        "p: &anchor a\n   b\n   ~ c\n",
        "p: # note\n   a ~ c\n",
    ],
)
def test_the_tilde_is_found(source: str) -> None:
    raw, style, value = scalar(source)
    offsets = offsets_in_source(raw, style, value)
    assert offsets is not None
    assert raw[offsets[value.index("~")]] == "~"


def test_a_source_of_another_text_has_no_places() -> None:
    assert offsets_in_source("'abc'", "'", "abd") is None
