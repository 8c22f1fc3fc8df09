"""What is read at all, and the controls that the rules stand for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import yaml
from grafana_foundation_sdk.models import dashboard as models

from generator import style
from generator.layout import Line
from generator.queries import RANGE, matches_of_rules, own, rule_facts
from generator.tables import VALUE, Column, listing
from generator.trail_rules import ALL, PACKS, RULES, TO_MATCHES, TO_RULE

ALERTS: Final = Path(__file__).resolve().parents[2] / "alerts"
_WITH_CONTROLS: Final = 'controls!=""'


def read() -> list[Line]:
    """The accounts and regions of each source."""
    labels = "account_id, region, source"
    age = f"time() - {own('partition_last_success_timestamp_seconds')}"
    intervals = f"({age}) / on (job, instance, source) group_left {own('source_interval_seconds')}"
    states = style.texts({"0": ("live", style.GREEN), "1": ("stale", style.RED)})
    return [
        Line(
            10,
            [
                listing(
                    "Accounts and regions that are read",
                    "Every place that a source reads, and how long ago it was read. Stale: not for "
                    "ten of the source's intervals. Other places are not watched. A trail of"
                    " an organization in one bucket is one line.",
                    [
                        f"max by ({labels}) ({intervals}) > bool 10",
                        f"max by ({labels}) ({age})",
                    ],
                    [
                        Column(f"{VALUE} #A", "State", width=90, mapping=states, filled=True),
                        Column("account_id", "Account"),
                        Column("region", "Region"),
                        Column("source", "Source"),
                        Column(f"{VALUE} #B", "Read before", unit="s", decimals=0, width=150),
                    ],
                    sort_by=["-State", "-Read before"],
                )
            ],
        )
    ]


def compliance() -> list[Line]:
    """Each control, its rule, the matches and the alerts."""
    labels = "rule, title, metric, controls"
    facts = f"max by ({labels}) ({rule_facts(ALL, _WITH_CONTROLS)})"
    found = f"sum by (rule) ({matches_of_rules(RANGE, ALL)})"
    return [
        Line(
            14,
            [
                listing(
                    "Controls",
                    "The controls of each rule that is loaded, its matches in the time range, and "
                    "its alerts in this project's rule files. A click on *Matches* opens "
                    "the last matches on the exporter's status page.",
                    [f"{found} * on (rule) group_left (title, metric, controls) {facts}"],
                    [
                        Column("controls", "Controls"),
                        Column("title", "Rule", link=TO_RULE),
                        Column("metric", "Alerts", mapping=_alerts()),
                        Column(VALUE, "Matches", decimals=0, width=110, link=TO_MATCHES),
                        Column("rule", "rule", hidden=True),
                    ],
                    sort_by=["Controls"],
                )
            ],
        )
    ]


def _alerts() -> models.ValueMap:
    """For each metric, the names of the alerts that read it."""
    named: dict[str, list[str]] = {rule.metric: [] for rule in RULES.values()}
    for pack in PACKS:
        content = yaml.load((ALERTS / f"{pack}.yaml").read_text(), Loader=yaml.CSafeLoader)
        rules = [rule for group in content["groups"] for rule in group["rules"]]
        recorded = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}
        for rule in rules:
            expression = rule["expr"]
            expression += "".join(e for name, e in recorded.items() if name in expression)
            for metric in set(re.findall(r"aws_\w+_total", expression)) & named.keys():
                if "alert" in rule and rule["alert"] not in named[metric]:
                    named[metric].append(rule["alert"])
    return style.texts(
        {
            metric: (", ".join(alerts), style.GREEN) if alerts else ("none", style.BLUE)
            for metric, alerts in named.items()
        }
    )
