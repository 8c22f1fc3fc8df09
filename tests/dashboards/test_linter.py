"""The rules of Grafana's dashboard-linter (lint/rules.go), and a few of the project's own."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import Any, Final

import promql_parser as promql

from tests.support.dashboards import Dashboard, PanelQuery, Window
from tests.support.promql import calls, parse, selectors

_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_TARGETS: Final = {"job": ".+", "instance": ".+"}
_WINDOW: Final = Window(range="1h3m", interval="17s", rate_interval="1m13s")
_CHOSEN: Final = {
    "rule": "cis_root_usage",
    "metric": "aws_cis_root_usage_total",
    "job": "the-job",
    "instance": "the-instance",
}
_OVER_RATE_INTERVAL: Final = {"rate", "irate"}
_COUNTING: Final = {"last_over_time", "min_over_time"}
_OVER_COUNTERS: Final = {*_OVER_RATE_INTERVAL, "increase", *_COUNTING}

# What a rule does not hold for, and why.
_NO_QUERY: Final = {
    "How the estimates are made": "text only",
}
_NO_TARGET: Final = {
    "ALERTS": "its labels are those of the alerts, which need no job",
    "principal:aws_events:total": "recorded over all exporters, an event once",
    "principal:aws_events:base": "recorded over all exporters, an event once",
    "place:aws_events:total": "recorded over all exporters, an event once",
    "place:aws_events:base": "recorded over all exporters, an event once",
}


def _queries(dashboard: Dashboard) -> list[PanelQuery]:
    return dashboard.panel_queries(_CHOSEN, _WINDOW)


def _of(dashboard: Dashboard, name: str) -> dict[str, Any]:
    return next(v for v in dashboard.variables if v["name"] == name)


def test_template_datasource(dashboard: Dashboard) -> None:
    sources = [v for v in dashboard.variables if v["type"] == "datasource"]
    assert [(v["name"], v["label"], v["query"]) for v in sources] == [
        ("datasource", "Data source", "prometheus")
    ]


def test_template_job_and_template_instance(dashboard: Dashboard) -> None:
    for name, everything in _TARGETS.items():
        variable = _of(dashboard, name)
        assert variable["type"] == "query"
        assert variable["label"] == name.title()
        assert variable["datasource"] == _DATASOURCE
        assert (variable["multi"], variable["includeAll"]) == (True, True)
        assert variable["allValue"] == everything


def test_template_label_promql(dashboard: Dashboard) -> None:
    for query in dashboard.variable_queries(_CHOSEN):
        parse(query.selector)


def test_template_on_time_change_reload(dashboard: Dashboard) -> None:
    for variable in dashboard.variables:
        if variable["type"] == "query":
            assert variable["refresh"] == 2, variable["name"]


def test_panel_datasource(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        if panel["title"] not in _NO_QUERY:
            assert panel["datasource"] == _DATASOURCE, panel["title"]
            assert all(t["datasource"] == _DATASOURCE for t in panel["targets"])


def test_panel_title_description(dashboard: Dashboard) -> None:
    titles = [panel["title"] for panel in dashboard.panels]
    assert len(titles) == len(set(titles)), "titles are what people name panels by"
    for panel in dashboard.panels:
        assert panel["title"]
        assert re.fullmatch(r"[A-Z0-9].*[.]", panel["description"]), panel["title"]


def test_panel_units(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        if panel["title"] not in _NO_QUERY:
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_panel_no_targets(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        assert panel.get("targets") or panel["title"] in _NO_QUERY, panel["title"]


def test_target_promql(dashboard: Dashboard) -> None:
    for query in _queries(dashboard):
        parse(query.expression)
    for annotation in dashboard.annotation_queries(_CHOSEN):
        parse(annotation.expression)


def test_target_rate_interval(dashboard: Dashboard) -> None:
    """Also: increase() over the time range, the rate interval or an hour, nothing else.

    Numbers of things come from totals, at the edges of the time range or of a bar.
    """
    usual = {timedelta(minutes=1, seconds=13)}
    whole = {timedelta(hours=1, minutes=3), timedelta(hours=1)}
    counting = whole | {timedelta(minutes=5), timedelta(seconds=17)}
    for query in _queries(dashboard):
        for call in calls(query.expression, _OVER_COUNTERS):
            name = call.func.name
            allowed = usual if name in _OVER_RATE_INTERVAL else usual | whole
            allowed = counting if name in _COUNTING else allowed
            assert call.args[0].range in allowed, str(query)


def test_target_job_and_target_instance(dashboard: Dashboard) -> None:
    wanted = {("job", "the-job"), ("instance", "the-instance")}
    for query in _queries(dashboard):
        lowest = [
            str(call.args[0].vector_selector) for call in calls(query.expression, {"min_over_time"})
        ]
        for selector in selectors(query.expression):
            # Of all targets: those that are not chosen have no total at the end.
            if selector.name in _NO_TARGET or str(selector) in lowest:
                continue
            found = {
                (matcher.name, matcher.value)
                for matcher in selector.matchers.matchers
                if matcher.op == promql.MatchOp.Re
            }
            assert wanted <= found, f"{query}: {selector}"


def test_target_counter_agg(dashboard: Dashboard) -> None:
    """Counters stand in functions of a time only: their totals alone say nothing."""
    for query in _queries(dashboard):
        inside = [
            str(call.args[0].vector_selector)
            for call in calls(query.expression, _OVER_COUNTERS)
            if isinstance(call.args[0], promql.MatrixSelector)
        ]
        counters = [
            str(selector)
            for selector in selectors(query.expression)
            if str(selector.name).endswith("_total")
        ]
        assert Counter(counters) <= Counter(inside), str(query)


def test_uneditable(dashboard: Dashboard) -> None:
    assert dashboard.json["editable"] is False


def test_exceptions_are_needed() -> None:
    from tests.support.dashboards import dashboards  # noqa: PLC0415

    every = dashboards()
    untouched = {p["title"] for d in every for p in d.panels if not p.get("targets")}
    assert set(_NO_QUERY) == untouched
    named = {str(s.name) for d in every for q in _queries(d) for s in selectors(q.expression)}
    assert set(_NO_TARGET) <= named


def test_classic_json_that_can_be_provisioned(dashboard: Dashboard) -> None:
    content = dashboard.json
    assert content["schemaVersion"] >= 39
    assert not {"__inputs", "__requires", "version", "iteration"} & set(content)
    assert content.get("id") is None
    assert re.fullmatch("mfe-[a-z-]{3,36}", content["uid"])
    assert content["title"].startswith("Metric filter exporter / ")
    assert {"metric-filter-exporter", "aws"} <= set(content["tags"])
    assert content["timezone"] == "browser"
    assert content["graphTooltip"] == 1
    # The overview is of hours and days, and its numbers are recorded once a minute.
    assert content["refresh"] == ("5m" if content["uid"] == "mfe-aws-security" else "1m")
    assert content["time"]["to"] == "now"


def test_a_panel_without_data_or_below_zero_is_told(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        if panel["title"] not in _NO_QUERY:
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["noValue"], panel["title"]
            assert defaults["min"] == 0, panel["title"]
            assert defaults["thresholds"]["steps"][0]["value"] is None, panel["title"]


def test_lines_have_names(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        for target in panel.get("targets", ()):
            assert target.get("format") == "table" or target["legendFormat"], panel["title"]
