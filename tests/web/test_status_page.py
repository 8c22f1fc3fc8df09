"""What the status page shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from exporter.web.page import CONTENT_SECURITY_POLICY, render
from exporter.web.status import (
    LedgerStatus,
    PartitionStatus,
    ReloadStatus,
    RuleStatus,
    SourceStatus,
    StatusPage,
)
from tests.support.chromium import screenshot, title
from tests.support.html import Parsed


def show(page: StatusPage, **options: Any) -> Parsed:
    return Parsed(render(page, telemetry_path="/metrics", **options).decode())


def with_partitions(page: StatusPage, partitions: list[PartitionStatus]) -> StatusPage:
    return replace(page, sources=[replace(page.sources[0], partitions=partitions)])


def healthy(page: StatusPage) -> StatusPage:
    return with_partitions(page, page.sources[0].in_state("ok"))


def test_the_badge_says_how_it_goes_as_a_whole(page: StatusPage) -> None:
    well = healthy(page)
    starting = replace(well, ready=False)
    failed = replace(well, reload=ReloadStatus(page.now, ["rules.yaml:3: no"]))
    assert "1 failing" in show(page).text
    assert "Healthy" in show(well).text
    assert "Starting" in show(starting).text
    assert "Reload failed" in show(failed).text


def test_a_failing_partition_comes_first_with_its_error(page: StatusPage) -> None:
    text = show(page).text
    assert text.index("us-west-2") < text.index("eu-west-1") < text.index("us-east-1")
    assert "Access denied: allow cloudtrail:LookupEvents." in text
    assert "history 1 of 3 partitions" in text


def test_a_partition_that_is_read_otherwise_than_configured_says_so(page: StatusPage) -> None:
    well = healthy(page)
    partition = replace(well.sources[0].partitions[0], notice="Re-reads are thinned out.")
    noted = replace(well, sources=[replace(well.sources[0], partitions=[partition])])
    assert noted.state == "ok"
    assert "Re-reads are thinned out." in show(noted).text


def test_a_source_whose_reads_do_not_fit_into_a_quota_says_so(page: StatusPage) -> None:
    well = healthy(page)
    noted = replace(well, sources=[replace(well.sources[0], notices=["It is short: read less."])])
    assert noted.state == "ok"
    assert "It is short: read less." in show(noted).text


def test_a_failed_look_for_partitions_is_shown(page: StatusPage) -> None:
    well = healthy(page)
    broken = replace(well, sources=[replace(well.sources[0], failures=["No way in: try again."])])
    assert broken.state == "failing"
    assert "No way in: try again." in show(broken).text


def test_a_failed_reload_is_shown_with_its_lines_as_they_are(page: StatusPage) -> None:
    errors = ["config.yml:3:5: unknown key\n    sorces:\n    ^"]
    html = render(replace(page, reload=ReloadStatus(page.now, errors)), telemetry_path="/m")
    assert b"unknown key\n    sorces:\n    ^</pre>" in html


def test_a_rule_is_shown_with_what_it_counted(page: StatusPage) -> None:
    text = show(page).text
    assert '{ $.userIdentity.type = "Root" }' in text
    for fact in ("Root sign-in", "root_login", "aws_root_logins_total", "critical", "3 min ago"):
        assert fact in text
    assert "1,234,567" in text
    assert "3 / 1,000" in text


def test_times_are_told_shortly_and_exactly(page: StatusPage) -> None:
    times = show(page).attributes("time")
    assert {"datetime": "2026-03-01T11:59:48Z", "title": "2026-03-01 11:59:48 UTC"} in times


def test_overflow_value_errors_and_warnings_are_explained(page: StatusPage) -> None:
    rule = replace(page.rules[0], overflowed=37, value_errors=1, warnings=["AWS may differ."])
    text = show(replace(page, rules=[rule])).text
    assert "37 increments lost the values of unbounded labels" in text
    assert "max_series" in text
    assert "1 match had no usable value" in text
    assert "AWS may differ." in text


def test_rules_that_need_a_look_come_first(page: StatusPage) -> None:
    base = page.rules[0]
    latest = replace(base, title="latest", last_match=page.now)
    warned = replace(base, title="warned", warnings=["look"], last_match=None)
    text = show(replace(page, rules=[latest, warned])).text
    assert text.index("warned") < text.index("latest")


def test_healthy_sources_are_folded_and_those_that_need_a_look_are_open(page: StatusPage) -> None:
    failing = show(page).attributes("details")
    well = healthy(page)
    noted = replace(well.sources[0].partitions[0], notice="Re-reads are thinned out.")
    looking = replace(well.sources[0], failures=["No way in: try again."])
    opened = [with_partitions(well, [noted]), replace(well, sources=[looking])]
    assert "open" in failing[0]
    assert ["open" in show(one).attributes("details")[0] for one in opened] == [True, True]
    assert ["open" in one for one in show(well).attributes("details")] == [False]


def test_events_read_are_told_from_events_that_count(page: StatusPage) -> None:
    text = show(page).text
    assert "since start, with re-reads" in text
    assert "A rule counts each event once." in text


def test_without_sources_and_rules_it_says_what_to_do(page: StatusPage) -> None:
    text = show(replace(page, sources=[], rules=[], api_calls=None)).text
    assert "No sources are configured" in text
    assert "No rules are configured" in text
    assert "AWS API calls" not in text


def test_hundreds_of_partitions_and_rules_are_folded_but_there(page: StatusPage) -> None:
    ok, failing = page.sources[0].partitions[0], page.sources[0].partitions[2]
    partitions = [replace(ok, resource=f"/g/{number}") for number in range(500)]
    partitions[400:400] = [replace(failing, resource=f"/bad/{number}") for number in range(60)]
    rules = [replace(page.rules[0], name=f"rule_{number}") for number in range(1000)]
    shown = show(replace(with_partitions(page, partitions), rules=rules))
    assert "More: 10 failing, 500 ok" in shown.text
    assert "980 more rules" in shown.text
    assert all(f"/g/{number} " in shown.text for number in range(500))
    assert len(shown.attributes("details")) == 3


def test_columns_that_would_be_empty_are_left_out(page: StatusPage) -> None:
    history = [row for row in show(page).attributes("td") if "colspan" in row]
    ok = page.sources[0].partitions[0]
    file = replace(ok, account_id="", region="", resource="a.log", error="broken", state="failing")
    files = with_partitions(
        replace(page, sources=[replace(page.sources[0], type="files", resource="File")]), [file]
    )
    text = show(files).text
    assert "File" in text
    assert "Account" not in text
    assert history == [{"colspan": "8"}]
    assert [row for row in show(files).attributes("td") if "colspan" in row] == [{"colspan": "7"}]


def test_it_is_usable_without_eyes_and_without_scripts(page: StatusPage) -> None:
    shown = show(page)
    assert shown.attributes("html") == [{"lang": "en"}]
    assert all(th.get("scope") in {"col", "row"} for th in shown.attributes("th"))
    identifiers = {row["id"] for _, row in shown.elements if "id" in row}
    for _, row in shown.elements:
        assert row.get("aria-labelledby", "main") in identifiers
        target = row.get("href", "")
        assert not target.startswith("#") or target[1:] in identifiers
    assert not shown.attributes("script")
    assert {"header", "main", "nav", "footer"} <= {tag for tag, _ in shown.elements}


def test_nothing_is_loaded_from_anywhere(page: StatusPage) -> None:
    for tag, row in show(page).elements:
        assert "src" not in row
        assert "style" not in row, f"the policy forbids a style attribute on {tag}"
        assert tag != "link" or row["href"].startswith("data:")


HOSTILE = '"><script>alert(1)</script>{{7*7}}<img src=x onerror=alert(1)>\u202e\x00&amp;'


@settings(max_examples=25, deadline=None)
@given(st.text() | st.just(HOSTILE) | st.just("\ud800</code><b onclick=x>"))
def test_names_and_patterns_can_not_become_markup(text: str) -> None:
    page = hostile_page(text)
    plain = hostile_page("x")
    assert structure(page) == structure(plain)


def structure(page: StatusPage) -> list[tuple[str, list[str]]]:
    """The page's elements and the names of their attributes."""
    return [(tag, sorted(attributes)) for tag, attributes in show(page).elements]


def hostile_page(text: str) -> StatusPage:
    """A page with one failing partition and one warned rule, all of whose words are ``text``."""
    # What is empty or blank is left out of the page, which is another structure.
    text = f"x{text}"
    now = datetime(2026, 3, 1, tzinfo=UTC)
    partition = PartitionStatus(text, text, text, "failing", now, 1.0, 1, 1, text, now, text)
    counts = (1, 1, 1, 0, 0, now)
    facts = ([text], text, text, [text], text)
    rule = RuleStatus(text, text + "y", text, text, text, [text], *counts, *facts)
    return StatusPage(
        version=text,
        now=now,
        started=now,
        ready=True,
        configuration_files=[text],
        reload=ReloadStatus(now, [text]),
        ledger=LedgerStatus(text, 1, now, True, 1, text),
        sources=[SourceStatus(text, text, 60.0, None, [partition], [text])],
        rules=[rule],
    )


@dataclass
class Site:
    """Serves one page with its policy."""

    html: bytes
    app: Starlette = field(init=False)

    def __post_init__(self) -> None:
        self.app = Starlette(routes=[Route("/", self.answer)])

    async def answer(self, _: Request) -> HTMLResponse:
        return HTMLResponse(self.html, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_has_nothing_to_complain_of(
    page: StatusPage, serve: Callable[..., Any], chromium: Path, tmp_path: Path, *, dark: bool
) -> None:
    running = serve(Site(render(page, telemetry_path="/metrics")).app)
    picture = tmp_path / "status.png"
    screenshot(chromium, running.url, picture, dark=dark)
    assert picture.stat().st_size > 20_000, "the page is blank"


def test_what_a_page_may_not_do_fails_the_browser_test(
    serve: Callable[..., Any], chromium: Path, tmp_path: Path
) -> None:
    running = serve(Site(b"<!DOCTYPE html><style>p{color:red}</style><p>hello").app)
    with pytest.raises(AssertionError, match="Content Security Policy"):
        screenshot(chromium, running.url, tmp_path / "refused.png")


FRAME = """<!DOCTYPE html><iframe src="/" width="400" height="800" style="border:0"
  onload="document.title = this.contentDocument.documentElement.scrollHeight"></iframe>"""


def test_on_a_phone_the_page_stays_short(
    page: StatusPage, serve: Callable[..., Any], chromium: Path
) -> None:
    """With as many sources and rules as the demo has."""
    well = healthy(page)
    sources = [replace(well.sources[0], name=f"source-{number}") for number in range(14)]
    name = "Security group opened to the whole internet"
    rules = [
        replace(page.rules[0], name=f"rule_{number}", title=f"{name} {number}", pack="lambda")
        for number in range(471)
    ]
    html = render(replace(well, sources=sources, rules=rules), telemetry_path="/metrics")
    site = Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(html)),
            Route("/frame", lambda _: HTMLResponse(FRAME)),
        ]
    )
    assert 1000 < int(title(chromium, f"{serve(site).url}/frame")) < 4000
