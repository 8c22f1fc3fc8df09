"""Links lead somewhere: to dashboards, runbooks and values that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.support.alerting import RUNBOOKS, alerts
from tests.support.dashboards import Dashboard, dashboards
from tests.support.tools import ROOT

_PROJECT: Final = "https://github.com/metric-filter-exporter/metric-filter-exporter/blob/main/"
_BY_UID: Final = {dashboard.uid: dashboard for dashboard in dashboards()}


def _urls(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("url"), str):
            yield value["url"]
        for item in value.values():
            yield from _urls(item)
    elif isinstance(value, list):
        for item in value:
            yield from _urls(item)


def test_uids_are_unique() -> None:
    assert len(_BY_UID) == len(dashboards())


def test_links_to_dashboards_choose_variables_that_exist_there(dashboard: Dashboard) -> None:
    for url in _urls(dashboard.json):
        if not url.startswith("/d/"):
            continue
        other = _BY_UID[urlsplit(url).path.split("/")[2]]
        names = {variable["name"] for variable in other.variables}
        chosen = {key for key in parse_qs(urlsplit(url).query) if key.startswith("var-")}
        assert {key.removeprefix("var-") for key in chosen} <= names, url
        assert "${__url_time_range}" in url
        assert set(re.findall(r"\$\{(\w+):queryparam\}", url)) <= names, url


def test_links_to_runbooks_lead_to_runbooks(dashboard: Dashboard) -> None:
    for url in _urls(dashboard.json):
        if not url.startswith(_PROJECT):
            continue
        path = url.removeprefix(_PROJECT)
        if "${__value.raw}" in path:
            missing = {
                alert.name for alert in alerts() if not (RUNBOOKS / f"{alert.name}.md").exists()
            }
            assert not missing
        else:
            assert (ROOT / path).exists(), url


def test_every_dashboard_leads_to_the_others_and_to_the_runbooks(dashboard: Dashboard) -> None:
    links = dashboard.json["links"]
    tags = next(link["tags"] for link in links if link["type"] == "dashboards")
    assert all(set(tags) <= set(other.json["tags"]) for other in _BY_UID.values())
    assert any(link["url"] == f"{_PROJECT}docs/runbooks/" for link in links if link.get("url"))


def test_what_a_link_of_a_table_needs_is_a_field_of_the_table(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        needed = set(re.findall(r'__data\.fields\[\\"(\w+)\\"\]', json.dumps(panel)))
        if needed:
            names = panel["transformations"][-1]["options"]["renameByName"].values()
            assert needed <= set(names), panel["title"]


def test_alerts_are_drawn_onto_the_graphs(dashboard: Dashboard) -> None:
    (annotation,) = dashboard.json["annotations"]["list"]
    assert annotation["enable"] is True
    assert annotation["datasource"]["uid"] == "${datasource}"
    assert annotation["expr"].startswith("ALERTS{")
    alertnames = re.search(r'alertname(=~|!~)"([^"]+)"', annotation["expr"])
    assert alertnames is not None
    wanted = alertnames[1] == "=~"
    fitting = [a for a in alerts() if bool(re.fullmatch(alertnames[2], a.name)) == wanted]
    assert fitting
