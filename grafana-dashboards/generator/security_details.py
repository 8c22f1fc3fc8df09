"""The lower sections of the AWS security overview."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from grafana_foundation_sdk.builders import table, timeseries

from generator import style
from generator.layout import Line
from generator.panels import Query, bars, color_by_name, graph, largest, ranking
from generator.queries import (
    PLACE,
    RANGE,
    matches_of_rules,
    recorded,
    rule_facts,
    top,
    total,
    with_facts,
)
from generator.tables import VALUE, Column, listing
from generator.trail_rules import (
    ALL,
    EXPOSED,
    IDENTITY,
    NETWORK,
    OPERATIONS,
    RULES,
    SECRETS,
    TAMPERING,
    TO_RULE,
    by_title,
    count,
    events,
    of_severity,
)


def sign_ins() -> list[Line]:
    """Successful and refused sign-ins."""
    logins = [RULES["security_console_logins"]]
    calls = [RULES["cis_unauthorized_api_calls"]]
    denied = count(calls, "user", "service", "error_code", "account_id")
    failures = [RULES["cis_console_authentication_failures"]]
    failed = count(failures, "user", "source_ip", "account_id")
    where = [
        Column("account_id", "Account", width=120),
        Column(VALUE, "Times", decimals=0, width=95, bar=True),
    ]
    return [
        Line(
            8,
            [
                color_by_name(
                    graph(
                        "Console sign-ins",
                        "All sign-ins to the console, by result.",
                        bars(partial(count, logins, "result"), "{{result}}"),
                        bars=True,
                    ),
                    {"Success": style.GREEN, "Failure": style.RED},
                ),
                _kinds(
                    "Sign-ins to look at",
                    "Root, without MFA, or with a wrong password.",
                    (
                        "cis_root_usage",
                        "cis_console_signin_without_mfa",
                        "cis_console_authentication_failures",
                        "security_identity_center_signin_failures",
                    ),
                ),
                listing(
                    "Failed sign-ins by user and address",
                    "One address and many users is password spraying, one user and many addresses a"
                    " stolen name.",
                    [f"topk(50, {failed} > 0)"],
                    [Column("user", "Who", width=115), Column("source_ip", "From"), *where],
                    sort_by=["-Times"],
                ),
            ],
            widths=(6, 10, 8),
        ),
        Line(
            8,
            [
                graph(
                    "Denied calls by caller",
                    "The ten callers that AWS refused most often.",
                    largest(10, partial(count, calls, "user"), "user", "{{user}}"),
                    bars=True,
                ),
                listing(
                    "Denied calls by caller and service",
                    "Refused calls by caller. A program that lacks a permission "
                    "repeats one call; a person or an intruder tries many services.",
                    [f"topk(50, {denied} > 0)"],
                    [
                        Column("user", "Who"),
                        Column("service", "Service"),
                        Column("error_code", "Refused with"),
                        *where,
                    ],
                    sort_by=["-Times"],
                ),
            ],
            widths=(10, 14),
        ),
    ]


def changes() -> list[Line]:
    """What changed, by kind."""
    return [
        Line(
            8,
            [
                _kinds("Identities", "Permissions: policies, keys, passwords, MFA.", IDENTITY),
                _kinds("Exposure", "Resources opened to the world.", EXPOSED),
            ],
        ),
        Line(
            8,
            [
                _kinds(
                    "Tampering",
                    "Tampering with monitoring: trails, detectors, AWS Config, logs, alarms.",
                    TAMPERING,
                ),
                _kinds(
                    "Operations",
                    "Launched and deleted instances and data, calls over a limit.",
                    OPERATIONS,
                ),
            ],
        ),
        Line(
            8,
            [
                _kinds("Network", "Changes of the network's borders and routes.", NETWORK),
                _kinds("Keys and secrets", "Changes of keys, reads of secrets.", SECRETS),
            ],
            widths=(10, 14),
        ),
    ]


def rankings() -> list[Line]:
    """Where and by whom."""
    watched = of_severity("critical", "high", "medium")
    places = {"account_id", "region"}

    def by(label: str) -> str:
        found = events([rule for rule in watched if label in rule.labels | places], label)
        return f"sort_desc({top(10, f'{found} > 0')})"

    return [
        Line(
            8,
            [
                ranking(
                    "By account",
                    "Calls that match the packs' rules of severity medium and above, each once.",
                    Query(by("account_id"), "{{account_id}}"),
                ),
                ranking(
                    "By region",
                    "The same calls. Unused regions should not appear here.",
                    Query(by("region"), "{{region}}"),
                ),
                ranking(
                    "By caller",
                    "The ten users, roles and services with the most calls that match rules of the"
                    " packs of severity medium and above. A call that several rules match counts"
                    " once, if they have its user and name.",
                    Query(by("user"), "{{user}}"),
                ),
            ],
        ),
        Line(8, [_first_seen()]),
    ]


def _first_seen() -> table.Panel:
    who = "account_id, user"
    named = f'{PLACE}, user!=""'
    before = f"last_over_time(principal:aws_events:total{{{named}}}[1h] offset 14d)"
    seen = f"sum by ({who}) ({recorded('principal', named)}) > 0"
    return listing(
        "First seen",
        "Users and roles with events in the time range that none of the packs' rules had seen in "
        "the account 14 days before its end. Those of before the recording rules were "
        "loaded are not new.",
        [
            f"topk(100, {seen} unless on ({who}) ({before})"
            f" unless on ({who}) (last_over_time(principal:aws_events:base{{{named}}}[5m]) > 0))"
        ],
        [
            Column("user", "Who"),
            Column("account_id", "Account", width=150),
            Column(VALUE, "Events", decimals=0, width=150, bar=True),
        ],
        sort_by=["-Events"],
    )


def rules() -> list[Line]:
    """Each rule of all packs."""
    return [Line(14, [_every_rule()])]


def _kinds(title: str, description: str, names: Sequence[str]) -> timeseries.Panel:
    """A graph of rules, each by its title."""
    rules = [RULES[name] for name in names]
    panel = graph(
        title,
        description,
        bars(partial(by_title, rules), "{{title}}"),
        bars=True,
    )
    return color_by_name(panel, style.distinct(rule.title for rule in rules))


def _every_rule() -> table.Panel:
    found = with_facts(matches_of_rules(RANGE, ALL), rule_facts(ALL))
    return listing(
        "Every rule of the packs",
        "Matches in the time range, over all accounts and regions. Rules that count in the "
        "same metric are one line in the panels above, and each has a line here. A rule that never "
        "matches is good news, if its source is read. A click opens the rule.",
        [total(found, "rule", "title", "severity")],
        [
            Column("severity", "Severity", width=90, mapping=style.severity_texts()),
            Column("title", "Rule", link=TO_RULE),
            Column(VALUE, "Matches", decimals=0, width=150, bar=True),
            Column("rule", "rule", hidden=True),
        ],
        sort_by=["-Matches"],
    )
