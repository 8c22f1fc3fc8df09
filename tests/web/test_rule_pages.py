"""The rules on the status page, and the page of a rule with its last matches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from exporter.web import create_app
from exporter.web.console import event_link
from exporter.web.page import CONTENT_SECURITY_POLICY, render, render_rule
from exporter.web.rule_list import Selection, severities
from exporter.web.status import MatchStatus, RuleStatus, StatusPage
from tests.support.chromium import screenshot
from tests.support.html import Parsed
from tests.web.conftest import NOW, SmallMetrics

EVENT_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
LOG_EVENT_ID = "3" * 56


def match(**facts: Any) -> MatchStatus:
    given = {"event_id": EVENT_ID, "account_id": "111122223333", "region": "eu-west-1"}
    return MatchStatus(**{"time": NOW, "source": "history", "log_group": "", **given, **facts})


def names(rules: list[RuleStatus]) -> list[str]:
    return [rule.name for rule in rules]


@pytest.fixture
def rules(page: StatusPage) -> list[RuleStatus]:
    base = page.rules[0]
    return [
        replace(base, name="quiet", title="Quiet", severity="critical", last_match=None, matches=0),
        replace(base, name="earlier", severity="low", last_match=NOW - timedelta(hours=2)),
        replace(base, name="latest", severity="High", last_match=NOW, pack="lambda"),
        replace(base, name="own", severity="page Ann", last_match=NOW - timedelta(hours=3)),
        replace(base, name="none", severity="", last_match=NOW - timedelta(hours=4)),
    ]


def test_rules_are_found_by_words_of_their_name_metric_pack_and_pattern(
    rules: list[RuleStatus],
) -> None:
    assert names(Selection(rules="LAMBDA latest").apply(rules)) == ["latest"]
    assert names(Selection(rules="aws_root_logins").apply(rules[:1])) == ["quiet"]
    assert names(Selection(rules="userIdentity").apply(rules[:1])) == ["quiet"]
    assert Selection(rules="lambda quiet").apply(rules) == []


def test_rules_of_one_severity_are_chosen_in_any_case(rules: list[RuleStatus]) -> None:
    assert names(Selection(severity="high").apply(rules)) == ["latest"]
    assert names(Selection(severity="page ann").apply(rules)) == ["own"]
    assert [name for name, _ in severities(rules)] == ["critical", "high", "low", "page ann"]


def test_rules_are_ordered_by_last_match_or_by_severity_and_then_last_match(
    rules: list[RuleStatus],
) -> None:
    assert names(Selection().apply(rules)) == ["latest", "earlier", "own", "none", "quiet"]
    worst_first = ["quiet", "latest", "earlier", "own", "none"]
    assert names(Selection(sort="severity").apply(rules)) == worst_first
    later = replace(rules[1], name="later", last_match=NOW)
    assert names(Selection(sort="severity").apply([*rules, later]))[2:4] == ["later", "earlier"]


def test_a_query_that_makes_no_sense_shows_all_rules() -> None:
    assert Selection.of({"sort": "colour", "rules": "  "}) == Selection()
    assert len(Selection.of({"rules": "x" * 10_000}).rules) == 200


def test_the_choice_stays_while_the_page_refreshes_and_is_sorted(
    page: StatusPage, rules: list[RuleStatus]
) -> None:
    shown = choose(page, rules, "$.userIdentity.type &", "low")
    links = [row["href"] for row in shown.attributes("a")]
    assert "1 of 5 rules" in shown.text
    query = "?rules=%24.userIdentity.type+%26&severity=low"
    assert {query, f"{query}&sort=severity&refresh=10#rules"} <= set(links)
    assert {"type": "hidden", "name": "refresh", "value": "10"} in shown.attributes("input")


def test_a_choice_without_rules_says_so(page: StatusPage, rules: list[RuleStatus]) -> None:
    text = choose(page, rules, "no such rule", "").text
    assert "0 of 5 rules" in text
    assert "No rule contains these words" in text


def choose(page: StatusPage, rules: list[RuleStatus], words: str, severity: str) -> Parsed:
    """The status page of some rules while it refreshes, with a choice."""
    some = [replace(rule, pattern="{ $.userIdentity.type = Root & }") for rule in rules]
    selection = Selection(words, severity)
    html = render(replace(page, rules=some), telemetry_path="/m", refresh=10, selection=selection)
    return Parsed(html.decode())


def test_a_browser_may_send_the_form_to_this_page_only() -> None:
    assert "form-action 'self'" in CONTENT_SECURITY_POLICY


def test_each_rule_in_the_list_leads_to_its_page(page: StatusPage) -> None:
    links = Parsed(render(page, telemetry_path="/m").decode()).attributes("a")
    assert {"href": "rules/root_login"} in links


def get(app: Starlette, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
            return await client.get(path)

    return asyncio.run(send())


def test_the_page_of_a_rule_shows_its_matches_and_an_unknown_one_is_not_found(
    page: StatusPage,
) -> None:
    asked: list[str] = []

    def matches(rule: str) -> list[MatchStatus]:
        asked.append(rule)
        return [match()]

    app = create_app(
        metrics=SmallMetrics(), status=lambda: page, unready=list, reload=None, matches=matches
    )
    answer = get(app, "/rules/root_login")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert EVENT_ID in answer.text
    assert get(app, "/rules/other").status_code == 404
    assert asked == ["root_login"]


def test_a_match_is_shown_with_time_place_and_whole_id(page: StatusPage) -> None:
    one = match(event_id=LOG_EVENT_ID, source="apps", log_group="/aws/lambda/checkout")
    html = render_rule(page, page.rules[0], [one]).decode()
    shown = Parsed(html)
    for fact in ("2026-03-01 12:00:00 UTC", "111122223333", "eu-west-1", "/aws/lambda/checkout"):
        assert fact in shown.text
    assert {"title": LOG_EVENT_ID} in shown.attributes("code")
    assert shown.text.count("AWS console") == 1


def test_the_page_of_a_rule_says_what_it_means_and_what_to_do(page: StatusPage) -> None:
    rule = replace(
        page.rules[0],
        description="The root user did something.",
        remediation="Ask who it was.",
        controls=["cis-v1.2.0 3.3", "cis-v3.0.0 4.3"],
        pack="cis-aws-foundations",
        warnings=["AWS may differ."],
    )
    text = Parsed(render_rule(page, rule, []).decode()).text
    for fact in (
        *("The root user did something.", "Ask who it was.", "cis-v1.2.0 3.3 cis-v3.0.0 4.3"),
        *("cis-aws-foundations", '{ $.userIdentity.type = "Root" }', "AWS may differ."),
        "None is known since the start",
    ):
        assert fact in text


@pytest.mark.parametrize(
    ("facts", "url"),
    [
        (
            {},
            f"https://eu-west-1.console.aws.amazon.com/cloudtrailv2/home?region=eu-west-1#/events/{EVENT_ID}",
        ),
        (
            {"region": "cn-north-1"},
            f"https://cn-north-1.console.amazonaws.cn/cloudtrailv2/home?region=cn-north-1#/events/{EVENT_ID}",
        ),
        (
            {"region": "us-gov-west-1"},
            f"https://us-gov-west-1.console.amazonaws-us-gov.com/cloudtrailv2/home?region=us-gov-west-1#/events/{EVENT_ID}",
        ),
        (
            {"event_id": LOG_EVENT_ID, "log_group": "/aws/lambda/checkout"},
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fcheckout/log-events$3Fstart$3D1772366399000$26end$3D1772366401000",
        ),
        ({"region": "eusc-de-east-1"}, None),
        ({"region": "us-iso-east-1"}, None),
        ({"region": "evil.example/#-west-1"}, None),
        ({"region": "__overflow__"}, None),
        ({"event_id": "1", "log_group": ""}, None),
        ({"event_id": "1", "log_group": "a b\"'<>"}, None),
        ({"event_id": LOG_EVENT_ID, "log_group": "g", "time": None}, None),
    ],
)
def test_an_event_links_to_the_console_of_its_region_if_aws_can_have_written_it(
    facts: dict[str, Any], url: str | None
) -> None:
    assert event_link(match(**facts)) == url


def test_the_latest_time_has_a_link_too() -> None:
    late = NOW.replace(year=9999, month=12, day=31, hour=23, minute=59, second=59)
    assert event_link(match(event_id="1", log_group="g", time=late))


def test_the_page_of_a_rule_is_usable_without_eyes_and_by_keyboard(page: StatusPage) -> None:
    shown = Parsed(render_rule(page, page.rules[0], [match()]).decode())
    identifiers = {row["id"] for _, row in shown.elements if "id" in row}
    for tag, row in shown.elements:
        assert row.get("aria-labelledby", "main") in identifiers
        assert row.keys().isdisjoint({"onclick", "tabindex", "style"})
        assert tag != "th" or row["scope"] in {"col", "row"}
    assert not shown.attributes("script")
    assert [row["href"] for row in shown.attributes("a")][:3] == ["#main", "../", "../#rules"]


HOSTILE = '"><script>alert(1)</script>\u202e\x00&amp;\ud800'


def test_what_an_event_says_can_not_become_markup(page: StatusPage) -> None:
    def elements(text: str) -> list[tuple[str, list[str]]]:
        one = MatchStatus(NOW, text, text, text, text, text)
        html = render_rule(page, page.rules[0], [one]).decode()
        return [(tag, sorted(names)) for tag, names in Parsed(html).elements]

    assert elements(HOSTILE) == elements("x")


@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_has_nothing_to_complain_of(
    page: StatusPage, serve: Callable[..., Any], chromium: Path, tmp_path: Path, *, dark: bool
) -> None:
    app = create_app(
        metrics=SmallMetrics(),
        status=lambda: page,
        unready=list,
        reload=None,
        matches=lambda _: [match(event_id=LOG_EVENT_ID, log_group="/aws/lambda/checkout")] * 5,
    )
    picture = tmp_path / "rule.png"
    url = f"{serve(app).url}/rules/root_login"
    screenshot(chromium, url, picture, width=400, dark=dark)
    assert picture.stat().st_size > 20_000, "the page is blank"
