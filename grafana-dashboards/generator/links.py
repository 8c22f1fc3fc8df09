"""Links of dashboards: to each other, to runbooks, to the documentation."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

PROJECT: Final = "https://github.com/metric-filter-exporter/metric-filter-exporter/blob/main/"
RUNBOOKS: Final = PROJECT + "docs/runbooks/"
TAG: Final = "metric-filter-exporter"

SECURITY: Final = "mfe-aws-security"
RULES: Final = "mfe-rule-explorer"
LOGS: Final = "mfe-logs"
HEALTH: Final = "mfe-exporter-health"

_CHOICE: Final = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"


def dashboard(title: str, uid: str, **variables: str) -> models.DashboardLink:
    """A link to another of the dashboards, which keeps time range, data source and exporters.

    ``variables``: their values there; may name ``${__data.fields["…"]}`` of a table.
    """
    chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
    url = f"/d/{uid}?${{__url_time_range}}&{_CHOICE}{chosen}"
    return models.DashboardLink(title=title, type_val=models.DashboardLinkType.LINK, url=url)


def event_history(region: str, event: str) -> models.DashboardLink:
    """A link to CloudTrail's event history in the AWS console; both are titles of columns."""
    place, name = (f'${{__data.fields["{title}"]}}' for title in (region, event))
    return models.DashboardLink(
        title="Events in CloudTrail's console",
        type_val=models.DashboardLinkType.LINK,
        url=f"https://{place}.console.aws.amazon.com/cloudtrailv2/home?region={place}"
        f"#/events?EventName={name}",
        target_blank=True,
    )


def last_matches(rule: str) -> models.DashboardLink:
    """A link to a rule's page on the exporter, at the address in the variable ``exporter``."""
    return models.DashboardLink(
        title="Last matches on the status page",
        type_val=models.DashboardLinkType.LINK,
        url=f'${{exporter:raw}}/rules/${{__data.fields["{rule}"]}}',
        target_blank=True,
    )


def runbook(alert: str) -> models.DashboardLink:
    """A link to an alert's runbook."""
    return models.DashboardLink(
        title=f"What to do: {alert}",
        type_val=models.DashboardLinkType.LINK,
        url=f"{RUNBOOKS}{alert}.md",
        target_blank=True,
    )


def runbook_of_value() -> models.DashboardLink:
    """A link from a table's cell with an alert's name to its runbook."""
    return models.DashboardLink(
        title="What to do",
        type_val=models.DashboardLinkType.LINK,
        url=f"{RUNBOOKS}${{__value.raw}}.md",
        target_blank=True,
    )


def menu() -> list[builders.DashboardLink]:
    """The links at the top of each dashboard."""
    return [
        builders.DashboardLink("Dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True),
        builders.DashboardLink("Runbooks")
        .type(models.DashboardLinkType.LINK)
        .icon("doc")
        .tooltip("Runbook of each alert")
        .url(RUNBOOKS)
        .target_blank(True),
    ]
