"""AWS security overview: events in AWS that need attention, and their callers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from generator import coverage, links, style
from generator import security_details as details
from generator.board import dashboard, places
from generator.layout import Line, Section
from generator.panels import bars, color_by_name, graph, number
from generator.queries import RANGE, matches_of_rules, own, rule_facts, total, with_facts
from generator.tables import VALUE, Column, listing
from generator.trail_rules import (
    EXPOSED,
    RULES,
    TO_EVENTS,
    TO_MATCHES,
    TO_RULE,
    by_person,
    matches,
    of_severity,
    one_of_each_metric,
)

_OURS: Final = 'pack=~"(cis-aws-foundations|cloudtrail-.+|aws-findings)?"'
"""Rules of the packs for CloudTrail and findings, and the user's own, which have none."""
_SERIES: Final = "place:aws_events:total"
_ALERTS: Final = 'ALERTS{alertname=~"Aws.+", alertstate="firing"}'


def build() -> Dashboard:
    """The dashboard."""
    return dashboard(
        "AWS security overview",
        uid=links.SECURITY,
        description="Events in AWS that need attention: sign-ins, identities, exposure, "
        "tampering. By the rule packs for CloudTrail and aws-findings, as recorded by "
        "alerts/security-overview.yaml.",
        blocks=[
            *_now(),
            Section("Sign-ins and denied calls", details.sign_ins()),
            Section("Identities, exposure, tampering, secrets", details.changes()),
            Section("Where and who", details.rankings()),
            Section("What is read", coverage.read(), collapsed=True),
            Section("Every rule", details.rules(), collapsed=True),
            Section("Compliance", coverage.compliance(), collapsed=True),
        ],
        alerts=_ALERTS,
        variables=[*places(_SERIES), _status_page()],
        refresh="5m",
    )


def _status_page() -> builders.TextBoxVariable:
    return (
        builders.TextBoxVariable("exporter")
        .label("Status page")
        .description("The exporter's address, for links to a rule's last matches.")
        .default_value("http://localhost:10911")
    )


def _count(
    title: str, description: str, rules: Sequence[str], steps: style.Steps, alert: str | None = None
) -> stat.Panel:
    one = matches([RULES[name] for name in rules])
    link = links.runbook(alert) if alert else None
    return number(title, description, one, steps=steps, loud=True, link=link)


def _now() -> list[Line]:
    stale = (
        f"max((time() - {own('partition_last_success_timestamp_seconds')})"
        f" / on (job, instance, source) group_left {own('source_interval_seconds')}) > bool 10"
    )
    few = ((None, style.GREEN), (0.5, style.YELLOW), (10, style.ORANGE))
    return [
        Line(
            4,
            [
                number(
                    "Critical",
                    "Matches of all rules of severity critical in the time range: "
                    "root, trails and detectors turned off, data made public, and your own rules"
                    " of this severity (in all accounts and regions). Look at each of them now.",
                    _critical(),
                    steps=style.ANY_IS_BAD,
                    loud=True,
                ),
                _count(
                    "Root user",
                    "Events of the root user in the time range. Root should be idle.",
                    ["cis_root_usage"],
                    style.ANY_IS_BAD,
                    "AwsCisRootUsage",
                ),
                _count(
                    "No MFA",
                    "Console sign-ins of IAM users with a password alone.",
                    ["cis_console_signin_without_mfa"],
                    style.ANY_IS_A_WARNING,
                    "AwsCisConsoleSigninWithoutMfa",
                ),
                _count(
                    "Failed sign-ins",
                    "Console sign-ins with a wrong password. Many, or for many users,"
                    " mean guessing.",
                    ["cis_console_authentication_failures"],
                    few,
                    "AwsCisConsoleAuthenticationFailures",
                ),
                _count(
                    "Made public",
                    "Security groups, buckets, snapshots, functions and databases that were opened"
                    " to the world.",
                    EXPOSED,
                    style.ANY_IS_BAD,
                ),
                _count(
                    "IAM changes",
                    "Policies created, changed, attached or removed.",
                    ["cis_iam_policy_changes"],
                    few,
                    "AwsCisIamPolicyChanges",
                ),
                _count(
                    "Denied calls",
                    "API calls that AWS refused for missing permissions. A few are "
                    "normal; a burst means that someone is probing for access, or a "
                    "broken deployment.",
                    ["cis_unauthorized_api_calls"],
                    ((None, style.GREEN), (0.5, style.BLUE), (100, style.ORANGE)),
                    "AwsCisUnauthorizedApiCalls",
                ),
                number(
                    "Data is",
                    "Stale: a source was not read for ten of its intervals, so something may be"
                    " missing here. See the dashboard Health and cost.",
                    stale,
                    mapping=style.texts({"0": ("live", style.GREEN), "1": ("stale", style.RED)}),
                    steps=((None, style.GREEN), (0.5, style.RED)),
                    loud=True,
                    link=links.dashboard("Health and cost", links.HEALTH),
                ),
            ],
        ),
        Line(8, [_by_severity(), _alerts()], widths=(12, 12)),
        Line(10, [_who_did_what()]),
    ]


def _critical() -> str:
    """The packs' rules by their metrics; all others that have the severity by their matches."""
    known = "|".join(rule.name for rule in of_severity("critical"))
    others = rule_facts(_OURS, 'severity="critical"', f'rule!~"{known}"')
    matched = total(with_facts(matches_of_rules(RANGE, f'rule!~"{known}"'), others))
    of_packs = matches(of_severity("critical"), 'severity="critical"')
    return f'sum(({of_packs}) or label_replace({matched}, "by", "rule", "", ""))'


def _by_severity() -> timeseries.Panel:
    facts = rule_facts(_OURS, 'severity=~"critical|high|medium"')

    def by_severity(*, window: str, at: str = "") -> str:
        return total(with_facts(matches_of_rules(window, at=at), facts), "severity")

    panel = graph(
        "Matches by severity",
        "Matches of the rules of severity medium and above in each bar, over all accounts and"
        " regions; with your own rules.",
        bars(by_severity, "{{severity}}"),
        bars=True,
    )
    return color_by_name(panel, style.SEVERITIES)


def _alerts() -> table.Panel:
    labels = "alertname, severity, user, source_ip, account_id"
    return listing(
        "Alerts that fire now",
        "Alerts of Prometheus about AWS. A click on the name opens the runbook.",
        [f"max by ({labels}) ({_ALERTS})"],
        [
            Column("alertname", "Alert", link=links.runbook_of_value()),
            Column("severity", "Severity", width=80, mapping=style.alert_texts()),
            Column("user", "Who", width=120),
            Column("source_ip", "From", width=115),
            Column("account_id", "Account", width=115),
        ],
        sort_by=["Severity"],
    )


def _who_did_what() -> table.Panel:
    grave = of_severity("critical", "high")
    labels = "rule, title, severity"
    facts = f"max by (metric, {labels}) ({rule_facts(one_of_each_metric(grave))})"
    return listing(
        "Users, sessions and calls",
        "Matches of the rules of severity critical and high in the time range, the "
        "most severe first. A click on *What* opens the rule, on *Call* CloudTrail's console, on "
        "*Times* the last matches on the exporter's status page.",
        [f"topk(100, {by_person(grave)}) * on (metric) group_left ({labels}) {facts}"],
        [
            Column("severity", "Severity", width=90, mapping=style.severity_texts(), filled=True),
            Column("title", "What", link=TO_RULE),
            Column("user", "Who", width=150),
            Column("event", "Call", width=250, link=TO_EVENTS),
            Column("session", "Session", width=150),
            Column("account_id", "Account", width=130),
            Column("region", "Region", width=110),
            Column("error_code", "Refused with", width=170),
            Column(VALUE, "Times", decimals=0, width=110, bar=True, link=TO_MATCHES),
            Column("rule", "rule", hidden=True),
        ],
        sort_by=["Severity", "-Times"],
    )
