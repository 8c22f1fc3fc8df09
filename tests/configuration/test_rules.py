"""Rules: what may be written, what it comes to, and what is refused, with its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest

from exporter.configuration import (
    LabelValue,
    Part,
    Problem,
    Reference,
    RuleConfig,
    ValueSpec,
    load,
)
from exporter.patterns import parse_selector

ProblemsOf = Callable[[str], Sequence[Problem]]


@pytest.fixture
def load_rules(write: Callable[[str], Path]) -> Callable[[str], tuple[RuleConfig, ...]]:
    """The rules of a configuration with three sources, one of them of plain lines."""

    def load_text(text: str) -> tuple[RuleConfig, ...]:
        sources = """\
            sources:
              - {name: history, type: event_history}
              - {name: apps, type: log_groups, log_groups: [a]}
              - {name: plain, type: files, paths: [x.log], format: lines}
            """
        return load([write(dedent(sources) + dedent(text))]).rules

    return load_text


LoadRules = Callable[[str], tuple[RuleConfig, ...]]


def reference(text: str) -> Reference:
    return Reference(text, selector=parse_selector(text))


def test_a_rule_of_a_name_and_a_pattern_has_all_defaults(load_rules: LoadRules) -> None:
    (rule,) = load_rules("rules: [{name: errors, pattern: ERROR}]")
    assert (rule.name, rule.title, rule.description, rule.severity) == ("errors", "errors", "", "")
    assert rule.sources == ("history", "apps", "plain")
    assert (rule.metric, rule.uses_default_metric) == ("metric_filter_matches_total", True)
    assert (rule.type, rule.value, rule.buckets) == ("counter", ValueSpec(number=1), None)
    assert (rule.labels, rule.max_series, rule.start) == ({}, 1000, None)
    assert rule.compiled.match("an ERROR") is not None
    assert rule.location.line == 5


def test_everything_that_is_written_is_taken(load_rules: LoadRules) -> None:
    (rule,) = load_rules(
        """
        rules:
          - name: console_login_failures
            title: Console sign-in failures
            description: Somebody mistyped.
            sources: [plain, history]
            pattern: '{ $.eventName = ConsoleLogin }'
            metric: aws_console_login_failures_total
            type: counter
            value: $.amount
            labels:
              user: [$.userIdentity.userName, "$.['dotted.key']"]
              source_ip: $.sourceIPAddress
              team: literal text
            max_series: 50
            severity: high
            start: 7d
        """
    )
    assert rule.sources == ("history", "plain")
    assert rule.metric == "aws_console_login_failures_total"
    assert not rule.uses_default_metric
    assert rule.value == ValueSpec(reference=reference("$.amount"))
    assert rule.labels == {
        "user": LabelValue(
            references=(reference("$.userIdentity.userName"), reference("$.['dotted.key']"))
        ),
        "source_ip": LabelValue(references=(reference("$.sourceIPAddress"),)),
        "team": LabelValue(literal="literal text"),
    }
    assert (rule.max_series, rule.severity, rule.start) == (50, "high", 7 * 86400)
    assert (rule.title, rule.description) == ("Console sign-in failures", "Somebody mistyped.")


def test_a_histogram_takes_value_and_buckets_of_a_space_delimited_pattern(
    load_rules: LoadRules,
) -> None:
    (rule,) = load_rules(
        """
        rules:
          - name: latency
            pattern: '[ip, , seconds, ...]'
            metric: request_seconds
            type: histogram
            value: $seconds
            buckets: [0.1, 1, 2.5e1, +Inf]
            labels: {who: [$ip, $2]}
        """
    )
    assert rule.value == ValueSpec(reference=Reference("$seconds", field="$seconds"))
    assert rule.buckets == (0.1, 1, 25)
    assert rule.labels["who"].references == (
        Reference("$ip", field="$ip"),
        Reference("$2", field="$2"),
    )


def test_a_scale_is_taken_as_it_is_written(load_rules: LoadRules) -> None:
    (rule,) = load_rules(
        "rules: [{name: a, pattern: x, metric: x_seconds_total, value: $.ms, scale: 0.001}]"
    )
    assert rule.value == ValueSpec(reference=reference("$.ms"), scale=Decimal("0.001"))


def test_values_are_at_most_2_to_53_unless_a_rule_says_otherwise(load_rules: LoadRules) -> None:
    rules = load_rules(
        """
        rules:
          - {name: a, pattern: x, metric: a_total, value: $.bytes}
          - {name: b, pattern: x, metric: b_total, value: $.bytes, max_value: 1e12}
          - filterName: pasted
            filterPattern: '[size]'
            metricTransformations: [{metricNamespace: A, metricName: B, metricValue: $size}]
            max_value: 1000000
        """
    )
    assert [rule.value.max_value for rule in rules] == [2**53, 1e12, 1e6]


def test_a_max_value_that_lets_a_total_stand_still_is_a_warning(
    problems_of_rules: ProblemsOf,
) -> None:
    (problem,) = problems_of_rules(
        "rules: [{name: a, pattern: x, metric: a_total, value: $.b, max_value: 1e300}]\n"
    )
    assert (problem.severity, problem.location.line, problem.location.column) == ("warning", 3, 71)
    assert "above 2^53" in problem.message


def test_references_name_the_fields_that_a_match_has(load_rules: LoadRules) -> None:
    (rule,) = load_rules("rules: [{name: a, pattern: '[ip, , x]', labels: {i: $ip, n: $2}}]")
    match = rule.compiled.match("127.0.0.1 - end")
    assert match is not None
    fields = [value.references[0].field for value in rule.labels.values()]
    assert [match.fields[field or ""] for field in fields] == ["127.0.0.1", "-"]


def test_literal_labels_are_the_text_of_the_file(load_rules: LoadRules) -> None:
    (rule,) = load_rules(
        """
        rules:
          - name: literals
            pattern: ""
            labels: {a: 42, b: 007, c: 1.10, d: yes, e: true, f: 1:30, g: 2024-01-01, h: "", i: on}
        """
    )
    literals = {name: value.literal for name, value in rule.labels.items()}
    assert literals == {
        "a": "42", "b": "007", "c": "1.10", "d": "yes", "e": "true",
        "f": "1:30", "g": "2024-01-01", "h": "", "i": "on",
    }  # fmt: skip


def test_json_patterns_skip_sources_of_plain_lines_unless_named(load_rules: LoadRules) -> None:
    by_default, named = load_rules(
        """
        rules:
          - {name: by_default, pattern: '{ $.a = 1 }'}
          - {name: named, pattern: '{ $.a = 1 }', sources: [plain]}
        """
    )
    assert by_default.sources == ("history", "apps")
    assert named.sources == ("plain",)


def test_rules_may_share_a_metric_if_their_labels_are_equal(load_rules: LoadRules) -> None:
    rules = load_rules(
        """
        rules:
          - {name: a, pattern: A, metric: shared_total, labels: {x: "1", y: "2"}}
          - {name: b, pattern: B, metric: shared_total, labels: {y: "3", x: "4"}}
          - {name: c, pattern: C, labels: {z: "5"}}
          - {name: d, pattern: D}
        """
    )
    assert [rule.name for rule in rules] == ["a", "b", "c", "d"]


def test_labels_and_values_may_be_parts_of_fields(load_rules: LoadRules) -> None:
    (rule,) = load_rules(
        """
        rules:
          - name: a
            pattern: x
            labels:
              person: {from: $.principalId, after: ":", unbounded: true}
              role: {from: [$.a, $.b], after: /, before: /}
            value: {from: $.text, before: " times"}
        """
    )
    person, role = rule.labels.values()
    assert person == LabelValue(
        references=(replace(reference("$.principalId"), part=Part(after=":")),), unbounded=True
    )
    part = Part(after="/", before="/")
    assert role.references == tuple(replace(reference(one), part=part) for one in ("$.a", "$.b"))
    assert not role.unbounded
    assert rule.value.reference == replace(reference("$.text"), part=Part(before=" times"))


def test_rules_that_share_a_metric_have_one_help(problems_of_rules: ProblemsOf) -> None:
    rule = "  - {{name: {0}, pattern: x, metric: shared_total{1}}}\n".format
    agreed = ", metric_help: Sign-ins."
    silent = [rule("a", ""), rule("b", agreed), rule("c", ""), rule("d", agreed)]
    assert problems_of_rules("rules:\n" + "".join(silent)) == ()
    (problem,) = problems_of_rules(
        "rules:\n" + "".join([*silent, rule("e", ", metric_help: Other.")])
    )
    assert (problem.severity, problem.location.line, problem.location.column) == ("error", 8, 62)
    assert "rule `b` says another for shared_total (" in problem.message
    assert "config.yaml:5)" in problem.message


@pytest.mark.parametrize(
    ("rule", "line", "column", "message"),
    [
        ("{pattern: x}", 4, 5, "`name` is missing"),
        ("{name: A-b, pattern: x}", 4, 12, "`name` must be lower-case letters, digits and _,"
         " starting with a letter; write a_b"),
        ("{name: a}", 4, 5, "`pattern` is missing"),
        ("{name: a, pattern: }", 4, 24, '`pattern` must be a text (write "" for an empty one)'),
        ("{name: a, pattern: {$.a = 1}}", 4, 24, "`pattern` must be quoted"),
        ("{name: a, pattern: [x]}", 4, 24, "`pattern` must be quoted"),
        ("{name: a, pattern: x, lables: {}}", 4, 27, "key `lables`; did you mean `labels`?"),
        ("{name: a, pattern: x, metric: a-b_total}", 4, 35, "`metric` must be letters"),
        ("{name: a, pattern: x, metric: logins}", 4, 35, "ends in _total: name it logins_total"),
        ("{name: a, pattern: x, metric: logins_count}", 4, 35, "name it logins_total"),
        ("{name: a, pattern: x, metric: _total}", 4, 35, "needs a word before _total"),
        ("{name: a, pattern: x, metric: metric_filter_exporter_x_total}", 4, 35, "own metrics"),
        ("{name: a, pattern: x, metric: process_cpu_seconds_total}", 4, 35, "own metrics"),
        ("{name: a, pattern: x, metric_help: b}", 4, 27, "give the rule its own `metric`"),
        ("{name: a, pattern: x, type: gauge}", 4, 33, "`type` must be counter or histogram"),
        ("{name: a, pattern: x, buckets: [1]}", 4, 27, "only a histogram"),
        ("{name: a, pattern: x, value: -1}", 4, 34, "`value` must not be negative"),
        ("{name: a, pattern: x, value: nan}", 4, 34, "`value` must be a number"),
        ("{name: a, pattern: x, value: $seconds}", 4, 34, "write $.seconds"),
        ("{name: a, pattern: x, value: $.ms, scale: 0}", 4, 47, "`scale` must be a number"),
        ("{name: a, pattern: x, value: $.ms, scale: ms}", 4, 47, "`scale` must be a number"),
        ("{name: a, pattern: x, value: $.ms, scale: -1}", 4, 47, "`scale` must be a number"),
        ("{name: a, pattern: x, value: 2, scale: 0.001}", 4, 37, "`scale` needs a `value`"),
        ("{name: a, pattern: x, scale: 0.001}", 4, 27, "`scale` needs a `value`"),
        ("{name: a, pattern: x, max_value: 0}", 4, 38, "`max_value` must be a number greater"),
        ("{name: a, pattern: x, max_value: inf}", 4, 38, "`max_value` must be a number greater"),
        ("{name: a, pattern: x, max_value: nan}", 4, 38, "`max_value` must be a number greater"),
        ("{name: a, pattern: x, max_value: 1e999}", 4, 38, "`max_value` must be from 1e-9 to"),
        ("{name: a, pattern: x, value: 1e16}", 4, 34, "`value` must be 0, or from 1e-9 to"),
        ("{name: a, pattern: x, value: 3, max_value: 2}", 4, 48, "`value` is 3, more than"),
        ("{name: a, pattern: '[x, y]', value: $z}", 4, 41, "`value`: the pattern has no field $z"
         " (it has $x, $y)"),
        ("{name: a, pattern: '[x, y]', value: $0}", 4, 41, "the pattern has no field $0"),
        ("{name: a, pattern: '[x, y]', labels: {l: $.x}}", 4, 46, "space-delimited"),
        ("{name: a, pattern: '{$.a = 1}', labels: {l: $.b..c}}", 4, 49, "is not a selector"),
        ("{name: a, pattern: '{$.a = 1}', labels: {l: [$.b, text]}}", 4, 49, "not 'text'"),
        ("{name: a, pattern: '{$.a = 1}', labels: {l: []}}", 4, 49, "is empty"),
        ("{name: a, pattern: '{$.a = 1}', labels: {l: ~}}", 4, 49, "`labels.l` must be $.field"),
        ("{name: a, pattern: x, labels: {l: {from: text}}}", 4, 39, "a mapping needs `from`"),
        ("{name: a, pattern: x, labels: {l: {after: b}}}", 4, 39, "a mapping needs `from`"),
        ("{name: a, pattern: x, labels: {l: {from: [$.a, b]}}}", 4, 39, "not 'b'"),
        ("{name: a, pattern: x, labels: {l: {from: $.a, aftr: b}}}", 4, 39, "mean `after`?"),
        ("{name: a, pattern: x, labels: {l: {from: $.a, after: ''}}}", 4, 39, "must be a text"),
        ("{name: a, pattern: x, labels: {l: {from: $.a, unbounded: no}}}", 4, 39, "true or false"),
        ("{name: a, pattern: x, value: {from: [$.a, $.b], after: b}}", 4, 34, "must be one"),
        ("{name: a, pattern: x, value: {from: $.a, unbounded: true}}", 4, 34, "must be a number"),
        ("{name: a, pattern: x, labels: {user-name: b}}", 4, 36, "write user_name"),
        ("{name: a, pattern: x, labels: {__name: b}}", 4, 36, "reserved for Prometheus"),
        ("{name: a, pattern: x, labels: {account_id: b}}", 4, 36, "already has this label"),
        ("{name: a, pattern: x, labels: {log_group: b}}", 4, 36, "already has this label"),
        ("{name: a, pattern: x, labels: {rule: b}}", 4, 36, "already has the label `rule`"),
        ("{name: a, pattern: x, labels: [b]}", 4, 35, "`labels` must be a mapping"),
        ("{name: a, pattern: x, max_series: 0}", 4, 39, "`max_series` must be at least 1"),
        ("{name: a, pattern: x, max_series: many}", 4, 39, "`max_series` must be a whole number"),
        ("{name: a, pattern: x, start: soon}", 4, 34, "`start` is wrong: 'soon' is not a duration"),
        ("{name: a, pattern: x, sources: []}", 4, 36, "`sources` must not be empty"),
        ("{name: a, pattern: x, sources: [histroy]}", 4, 37, "did you mean `history`?"),
        ("ERROR", 4, 5, "a rule must be a mapping"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_rule_is_said_at_its_place(
    problems_of_rules: ProblemsOf, rule: str, line: int, column: int, message: str
) -> None:
    (problem,) = problems_of_rules(f"rules:\n  - {rule}\n")
    assert message in problem.message
    assert (problem.severity, problem.location.line, problem.location.column) == (
        "error",
        line,
        column,
    )


@pytest.mark.parametrize(
    ("histogram", "message"),
    [
        ("value: $.b, buckets: [1]", "needs its own `metric`"),
        ("metric: h_seconds, buckets: [1]", "a histogram needs `value`"),
        ("metric: h_seconds, value: $.b", "a histogram needs `buckets`"),
        ("metric: h_total, value: $.b, buckets: [1]", "must not end in _total: name it h"),
        ("metric: h_sum, value: $.b, buckets: [1]", "must not end in _sum: name it h"),
        ("metric: h_seconds, value: $.b, buckets: [2, 1]", "`buckets` must be in ascending order"),
        ("metric: h_seconds, value: $.b, buckets: [1, 1]", "`buckets` must be in ascending order"),
        ("metric: h_seconds, value: $.b, buckets: [a]", "`buckets` must be a list of upper bounds"),
        ("metric: h_seconds, value: $.b, buckets: []", "`buckets` must be a list of upper bounds"),
        (
            "metric: h_seconds, value: $.b, buckets: [1], labels: {le: x}",
            "has the label `le`",
        ),
    ],
)
def test_what_is_wrong_with_a_histogram_is_said(
    problems_of_rules: ProblemsOf, histogram: str, message: str
) -> None:
    (problem,) = problems_of_rules(
        f"rules:\n  - {{name: a, pattern: '{{ $.a = 1 }}', type: histogram, {histogram}}}\n"
    )
    assert message in problem.message


def test_a_broken_pattern_has_its_caret_where_it_breaks(problems_of_rules: ProblemsOf) -> None:
    (problem,) = problems_of_rules(
        """\
        rules:
          - name: a
            pattern: >-
              { ($.a = "it's") &&
                ($.b == 1) }
        """
    )
    assert (problem.location.line, problem.location.column) == (7, 15)
    lines = problem.render().splitlines()
    assert lines[1].strip() == "($.b == 1) }"
    assert lines[1][lines[2].index("^") :].startswith("= 1")


def test_a_doubtful_pattern_is_a_warning_at_its_place(problems_of_rules: ProblemsOf) -> None:
    (problem,) = problems_of_rules("rules:\n  - {name: a, pattern: '?a b'}\n")
    assert (problem.severity, problem.location.line, problem.location.column) == ("warning", 4, 25)


def test_beyond_aws_limits_is_only_a_warning(problems_of_rules: ProblemsOf) -> None:
    (problem,) = problems_of_rules(f"rules:\n  - {{name: a, pattern: '\"{'x' * 1100}\"'}}\n")
    assert problem.severity == "warning"
    assert "1,024" in problem.message or "1024" in problem.message


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("{name: a, pattern: B}", "there is a rule `a` already ({file}:4)"),
        ("{name: b, pattern: B, metric: m_total, labels: {x: v}}",
         "need equal label names: rule `a` ({file}:4) has x, y, this one x"),
        ("{name: b, pattern: B, metric: m_total}", "has x, y, this one none"),
        ("{name: b, pattern: B, metric: m, type: histogram, value: 1, buckets: [1]}",
         "the metric m clashes with m_total of rule `a` ({file}:4)"),
    ],
)  # fmt: skip
def test_what_is_wrong_between_two_rules_is_said_at_the_second(
    problems_of_rules: ProblemsOf, second: str, message: str
) -> None:
    (problem,) = problems_of_rules(
        "rules:\n  - {name: a, pattern: A, metric: m_total, labels: {x: v, y: w}}\n"
        f"  - {second}\n"
    )
    assert problem.location.line == 5
    assert message.format(file=problem.location.file) in problem.message


def test_histograms_of_one_metric_have_the_same_buckets(problems_of_rules: ProblemsOf) -> None:
    histogram = "type: histogram, metric: h_seconds, value: $.v"
    (problem,) = problems_of_rules(
        f"rules:\n  - {{name: a, pattern: '{{$.a = 1}}', {histogram}, buckets: [1, 2]}}\n"
        f"  - {{name: b, pattern: '{{$.a = 2}}', {histogram}, buckets: [1, 3]}}\n"
    )
    assert (problem.location.line, "the same buckets as rule `a`" in problem.message) == (5, True)


def test_a_label_that_prometheus_renames_is_a_warning(problems_of_rules: ProblemsOf) -> None:
    (problem,) = problems_of_rules("rules: [{name: a, pattern: x, labels: {job: b}}]")
    assert problem.severity == "warning"
    assert "exported_job" in problem.message


def test_a_start_beyond_event_history_is_a_warning(problems_of_rules: ProblemsOf) -> None:
    (problem,) = problems_of_rules("rules: [{name: a, pattern: x, start: 91d}]")
    assert problem.severity == "warning"
    assert "goes back 90 days" in problem.message


def test_all_errors_of_a_rule_are_told_at_once(problems_of_rules: ProblemsOf) -> None:
    problems = problems_of_rules(
        """\
        rules:
          - name: Bad
            pattern: '{ $.a == 1 }'
            metric: logins
            max_series: 0
            labels: {region: x, ok: $.fine, wrong: $..x}
        """
    )
    assert [problem.location.line for problem in problems] == [4, 5, 6, 7, 8, 8]
