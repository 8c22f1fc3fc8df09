"""Whatever is in a file: problems with places, never a traceback."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from exporter.configuration import check

_EXAMPLE = (Path(__file__).parents[2] / "config" / "example.yaml").read_text()
_VALUES = st.recursive(
    st.sampled_from(
        ["", "~", "x", "1", "-1", "1h", "$.a", "$a", "'{ $.a = 1 }'", "'[a, b=1]'", "☃"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.dictionaries(
            st.sampled_from(
                "name type sources pattern metric value buckets labels start interval paths"
                " filterName metricTransformations metricName dimensions Key <<".split()
            ),
            inner,
            max_size=4,
        ).map(lambda pairs: "{" + ", ".join(f"{k}: {v}" for k, v in pairs.items()) + "}"),
    ),
    max_leaves=8,
)


def render_problems(text: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(text, encoding="utf-8", newline="")
        return [problem.render() for problem in check([path]).problems]


@given(
    st.integers(0, len(_EXAMPLE)),
    st.integers(0, 12),
    st.text(st.sampled_from("\n\t -:[]{}'\"&*!|>%@,#?x1$\r\u2028"), max_size=6),
)
def test_a_damaged_file_never_raises(position: int, cut: int, added: str) -> None:
    text = _EXAMPLE[:position] + added + _EXAMPLE[position + cut :]
    assert all(isinstance(problem, str) for problem in render_problems(text))


@given(_VALUES, _VALUES, st.sampled_from(["event_history", "log_groups", "files", "x"]))
def test_odd_shapes_never_raise(source: str, rule: str, kind: str) -> None:
    text = f"sources: [{source}, {{name: a, type: {kind}, paths: {source}, start: {rule}}}]\n"
    text += f"rules: [{rule}, {{name: a, pattern: {rule}, labels: {source}, metric: {rule}}},"
    text += f" {{filterName: {rule}, filterPattern: x, metricTransformations: [{rule}]}}]\n"
    assert render_problems(text)


def test_thousands_of_mistakes_in_one_mapping_and_one_line_are_found_in_time() -> None:
    keys = ", ".join(f"key_{number}: 1" for number in range(20_000))
    text = f"sources: [{{name: h, type: event_history}}]\nrules: [{{name: a, {keys}}}]"
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(text, encoding="utf-8")
        problems = check([path]).problems
    # A look-up of each key in all of them, and a copy of the line for each, took a minute.
    assert time.monotonic() - start < 15
    assert len(problems) > 20_000
    assert len({id(problem.location.source_line) for problem in problems}) == 1


def test_a_nul_that_yaml_can_write_is_no_path() -> None:
    for key in ('rule_files: ["a\\0/*"]', 'sources: [{name: f, type: files, paths: ["a\\0/*"]}]'):
        (problem,) = render_problems(key + "\n")
        assert "path" in problem
