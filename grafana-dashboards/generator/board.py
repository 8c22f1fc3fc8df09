"""The elements that all dashboards share: variables, links, annotations, time range."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from generator import links
from generator.layout import Block, arrange
from generator.panels import DATASOURCE


class AlertAnnotation(models.AnnotationQuery):
    """Alerts of Prometheus on the graphs; the SDK's model lacks some of the keys."""

    def __init__(self, name: str, color: str, expression: str, *, shown: bool = True) -> None:
        super().__init__(
            name=name, datasource=DATASOURCE, enable=shown, icon_color=color, expr=expression
        )

    def to_json(self) -> dict[str, object]:
        """The annotation in Grafana's format."""
        return super().to_json() | {
            "step": "60s",
            "titleFormat": "{{alertname}}",
            "textFormat": "{{severity}} {{rule}} {{user}} {{source}} {{region}}",
            "tagKeys": "severity",
            "useValueForTime": False,
        }


def dashboard(
    title: str,
    *,
    uid: str,
    description: str,
    blocks: Sequence[Block],
    alerts: str,
    variables: Sequence[builders.QueryVariable | builders.TextBoxVariable] = (),
    period: str = "now-24h",
    refresh: str = "1m",
) -> models.Dashboard:
    """A dashboard with the elements that all have.

    Args:
        title: its name, after the product's.
        uid: never changes, because links and bookmarks contain it.
        description: one or two sentences.
        blocks: the panels.
        alerts: a selector of ALERTS for the annotations.
        variables: those after the data source, job and instance.
        period: the time range at first: ``now-24h`` to now.
        refresh: how often it queries again.
    """
    board = (
        builders.Dashboard(f"Metric filter exporter / {title}")
        .uid(uid)
        .description(description)
        .tags([links.TAG, "aws"])
        .readonly()
        .timezone("browser")
        .time(period, "now")
        .refresh(refresh)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .links([*links.menu()])
        .variables([_datasource(), *_targets(), *variables])
    )
    built = board.build()
    built.panels = arrange(blocks)
    built.annotations = models.AnnotationContainer(
        [AlertAnnotation("Alerts", "red", f"{alerts} == 1")]
    )
    return built


def chooser(
    name: str,
    label: str,
    query: str,
    *,
    multi: bool = True,
    every: str | None = ".+",
    description: str = "",
    hidden: bool = False,
) -> builders.QueryVariable:
    """A variable with values from Prometheus. ``every``: the regular expression of "All"."""
    variable = (
        builders.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(DATASOURCE)
        .query(
            {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery", "qryType": 1}
        )
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(multi)
        .include_all(multi)
    )
    if multi and every is not None:
        everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
        variable = variable.all_value(every).current(everything)
    if hidden:
        variable = variable.hide(models.VariableHide.HIDE_VARIABLE)
    return variable


def places(counted: str) -> list[builders.QueryVariable]:
    """Account and region, of the series that ``counted`` selects."""
    return [
        chooser("account_id", "Account", f"label_values({counted}, account_id)"),
        chooser("region", "Region", f"label_values({counted}, region)"),
    ]


def _datasource() -> builders.DatasourceVariable:
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _targets() -> list[builders.QueryVariable]:
    known = "metric_filter_exporter_build_info"
    return [
        chooser("job", "Job", f"label_values({known}, job)"),
        chooser("instance", "Instance", f'label_values({known}{{job=~"$job"}}, instance)'),
    ]
