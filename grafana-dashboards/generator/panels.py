"""The kinds of panels that the dashboards are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    text,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_options
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from generator import style
from generator.queries import BAR, RANGE

PanelBuilder: TypeAlias = Builder[models.Panel]

DATASOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
MIN_STEP: Final = "1m"
"""Of graphs of counts: with a shorter one, a scrape interval of 30s or 60s leaves gaps."""
MOST_BARS: Final = 200
"""Grafana chooses bars of an hour for a week; with one for every pixel, Prometheus works 6 times as
much."""
WHOLE: Final = "locale"
"""The unit of counts: every digit, where ``short`` makes 1 K of 1,023."""
INTERVALS: Final = "suffix: intervals"
"""A unit of Grafana's making: the number with a word after it."""
_LINES_BELOW: Final = 3
"""With more lines, the legend is beside the graph, where all of them are seen."""
NOTHING: Final = "no data"
"""The text of a panel without data: something is not set up, or the exporter is down."""


@dataclass(frozen=True)
class Query:
    """A query of a graph, and the names of its lines (``{{label}}``)."""

    expression: str
    legend: str
    color: str | None = None
    dashed: bool = False
    whole: str | None = None
    """The number in the legend, of the whole time range: bars do not begin and end with it."""


class Counting(Protocol):
    """How often something happened: PromQL."""

    def __call__(self, *, window: str, at: str = "") -> str:
        """In a time up to the moment of the query, or another."""


def bars(counting: Counting, legend: str, color: str | None = None) -> Query:
    """Bars, and how many there are in the whole time range."""
    return Query(counting(window=BAR), legend, color, whole=counting(window=RANGE))


def largest(count: int, counting: Counting, label: str, legend: str) -> Query:
    """Bars of the few that are the largest in the whole time range."""
    whole = f"topk({count}, {counting(window=RANGE)} > 0)"
    chosen = f"topk({count}, {counting(window=RANGE, at=' @ end()')} > 0)"
    return Query(f"{counting(window=BAR)} and on ({label}) {chosen}", legend, whole=whole)


class _Common(Protocol):
    """The common interface of the SDK's builders of panels with data."""

    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def datasource(self, datasource: models.DataSourceRef) -> Self: ...
    def targets(self, targets: list[Builder[Dataquery]]) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def min(self, min_val: float) -> Self: ...
    def no_value(self, no_value: str) -> Self: ...
    def thresholds(self, thresholds: Builder[models.ThresholdsConfig]) -> Self: ...
    def color_scheme(self, color: Builder[models.FieldColor]) -> Self: ...


_Panel = TypeVar("_Panel", bound=_Common)


def dress(panel: _Panel, title: str, description: str, unit: str, steps: style.Steps) -> _Panel:
    """Set the options that every panel has."""
    return (
        panel.title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .no_value(NOTHING)
        .thresholds(style.thresholds(steps))
    )


def targets(
    queries: Sequence[Query], form: PromQueryFormat = PromQueryFormat.TIME_SERIES
) -> list[Builder[Dataquery]]:
    """Queries over the time range; tables ask for the last moment only."""
    found: list[Builder[Dataquery]] = []
    for index, query in enumerate(queries):
        target = (
            prometheus.Dataquery()
            .datasource(DATASOURCE)
            .expr(query.expression)
            .legend_format(query.legend)
            .format(form)
            .ref_id(_reference(index))
        )
        if query.whole is not None:
            target = target.exemplar(True)
        found.append(target.instant() if form is PromQueryFormat.TABLE else target.range())
    for index, query in enumerate(queries):
        if query.whole is not None:
            found += instant(query.whole, query.legend, _reference(len(queries) + index))
    return found


def _reference(index: int) -> str:
    return chr(ord("A") + index)


def instant(expression: str, legend: str, reference: str = "A") -> list[Builder[Dataquery]]:
    """One query for the last moment of the time range."""
    target = prometheus.Dataquery().datasource(DATASOURCE).expr(expression)
    return [target.legend_format(legend).ref_id(reference).instant()]


def by_thresholds() -> builders.FieldColor:
    """The colour of the thresholds."""
    return builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)


def number(
    title: str,
    description: str,
    expression: str,
    *,
    unit: str = WHOLE,
    decimals: int | None = 0,
    steps: style.Steps = style.PLAIN,
    mapping: models.ValueMap | None = None,
    loud: bool = False,
    link: models.DashboardLink | None = None,
) -> stat.Panel:
    """One number, as of now. ``loud`` colours the whole panel and not only the digits."""
    filled, plain = options.BigValueColorMode.BACKGROUND, options.BigValueColorMode.VALUE
    panel = (
        dress(stat.Panel(), title, description, unit, steps)
        .targets(instant(expression, title))
        .color_scheme(by_thresholds())
        .color_mode(filled if loud else plain)
        .graph_mode(options.BigValueGraphMode.NONE)
        .justify_mode(options.BigValueJustifyMode.CENTER)
        .text_mode(options.BigValueTextMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    if mapping is not None:
        panel = panel.mappings([mapping])
    if link is not None:
        panel = panel.data_links([Ready(link)])
    return panel


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    decimals: int | None = None,
    bars: bool = False,
    stacked: bool = False,
    limit: float | None = None,
    log: bool = False,
    soft_max: float | None = None,
    legend: Sequence[str] = ("lastNotNull", "max"),
) -> timeseries.Panel:
    """Lines or bars over time.

    Args:
        title: of the panel.
        description: its content, and the values to worry about.
        queries: their lines come in this order.
        unit: Grafana's id of the unit.
        decimals: digits behind the point.
        bars: for counts of rare things; also stacks them and uses steps of a minute or more.
        stacked: for parts of a whole.
        limit: a line that should not be crossed; above it is red.
        log: a logarithmic axis, for values that span orders of magnitude.
        soft_max: the axis goes at least up to it.
        legend: the values in the legend: names of Grafana's reducers. Bars have their number.
    """
    if bars:
        legend, unit = ("sum",), WHOLE
    steps = style.GOOD if limit is None else ((None, style.GREEN), (limit, style.RED))
    panel = (
        dress(timeseries.Panel(), title, description, unit, steps)
        .targets(targets(queries))
        .color_scheme(builders.FieldColor().mode(_palette(queries)))
        .draw_style(options.GraphDrawStyle.BARS if bars else options.GraphDrawStyle.LINE)
        .line_width(0 if bars else 1.5)
        .fill_opacity(80 if bars else 45 if stacked else 8)
        .gradient_mode(
            options.GraphGradientMode.NONE if bars or stacked else options.GraphGradientMode.OPACITY
        )
        .show_points(options.VisibilityMode.NEVER if bars else options.VisibilityMode.AUTO)
        .legend(_legend(legend, queries))
        .tooltip(
            common.VizTooltipOptions()
            .mode(options.TooltipDisplayMode.MULTI)
            .sort(options.SortOrder.DESCENDING)
        )
    )
    if bars or stacked:
        panel = panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    if bars:
        panel = panel.interval(MIN_STEP).max_data_points(MOST_BARS)
        panel = panel.bar_width_factor(0.9).axis_soft_max(4)
    if decimals is not None or bars:
        panel = panel.decimals(decimals or 0)
    if soft_max is not None:
        panel = panel.axis_soft_max(soft_max)
    if limit is not None:
        dashed = common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(dashed)
    if log:
        distribution = common.ScaleDistributionConfig().type(options.ScaleDistribution.LOG).log(10)
        panel = panel.scale_distribution(distribution)
    return _color_lines(panel, queries)


def _palette(queries: Sequence[Query]) -> models.FieldColorModeId:
    """One colour after the other; by name if bars and their numbers must have the same."""
    if any(query.whole is not None for query in queries):
        return models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME
    return models.FieldColorModeId.PALETTE_CLASSIC


def _legend(calculations: Sequence[str], queries: Sequence[Query]) -> common.VizLegendOptions:
    aside = len(queries) > _LINES_BELOW or any("{{" in query.legend for query in queries)
    place = options.LegendPlacement.RIGHT if aside else options.LegendPlacement.BOTTOM
    mode = options.LegendDisplayMode.TABLE if calculations else options.LegendDisplayMode.LIST
    legend = common.VizLegendOptions().show_legend(True).display_mode(mode).placement(place)
    if any(query.whole is not None for query in queries):
        legend = legend.sort_by("Total").sort_desc(True)
    return legend.calcs([*calculations][: 1 if aside else None])


_IN_LEGEND_ONLY: Final = {
    "custom.axisPlacement": "hidden",  # an axis of its own: the number is no bar's
    "custom.drawStyle": "line",
    "custom.fillOpacity": 0,
    "custom.hideFrom": {"legend": False, "tooltip": True, "viz": False},
    "custom.stacking": {"mode": "none", "group": "A"},
}
_IN_GRAPH_ONLY: Final = {"custom.hideFrom": {"legend": True, "tooltip": False, "viz": False}}


def _color_lines(panel: timeseries.Panel, queries: Sequence[Query]) -> timeseries.Panel:
    several = len(queries) > 1
    for index, query in enumerate(queries):
        properties: dict[str, object] = {}
        color = query.color or (style.LINES[index % len(style.LINES)] if several else None)
        if (color is not None and "{{" not in query.legend) or query.color is not None:
            properties["color"] = {"mode": "fixed", "fixedColor": color}
        if query.dashed:
            properties["custom.lineStyle"] = {"fill": "dash", "dash": [8, 8]}
            properties["custom.fillOpacity"] = 0
        of_bars = properties if query.whole is None else properties | _IN_GRAPH_ONLY
        panel = _override(panel, index, of_bars)
        if query.whole is not None:
            panel = _override(panel, len(queries) + index, properties | _IN_LEGEND_ONLY)
    return panel


def _override(
    panel: timeseries.Panel, index: int, properties: dict[str, object]
) -> timeseries.Panel:
    if not properties:
        return panel
    values = [models.DynamicConfigValue(name, value) for name, value in properties.items()]
    return panel.override_by_query(_reference(index), values)


def color_by_name(panel: timeseries.Panel, colors: dict[str, str]) -> timeseries.Panel:
    """Fixed colours for lines whose names are known."""
    for name, color in colors.items():
        fixed = {"mode": "fixed", "fixedColor": color}
        panel = panel.override_by_name(name, [models.DynamicConfigValue("color", fixed)])
    return panel


def ranking(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = WHOLE,
    decimals: int | None = 0,
    steps: style.Steps = style.PLAIN,
    maximum: float | None = None,
) -> bargauge.Panel:
    """Horizontal bars, the largest first if the query sorts them."""
    panel = (
        dress(bargauge.Panel(), title, description, unit, steps)
        .targets(instant(query.expression, query.legend))
        .color_scheme(by_thresholds())
        .orientation(options.VizOrientation.HORIZONTAL)
        .display_mode(options.BarGaugeDisplayMode.BASIC)
        .name_placement(options.BarGaugeNamePlacement.LEFT)
        .value_mode(options.BarGaugeValueMode.TEXT)
        .show_unfilled(True)
        .min_viz_height(16)
        .max_viz_height(28)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel.max(maximum) if maximum is not None else panel


def heat(title: str, description: str, buckets: str, *, unit: str) -> heatmap.Panel:
    """How a histogram's buckets fill over time; ``buckets`` is summed by ``le``."""
    return (
        dress(heatmap.Panel(), title, description, unit, style.PLAIN)
        .targets(targets([Query(buckets, "{{le}}")], PromQueryFormat.HEATMAP))
        .color_scheme(by_thresholds())
        .interval(MIN_STEP)
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_options.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .scale(heatmap_options.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .cell_gap(1)
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(options.AxisPlacement.LEFT))
    )


def note(title: str, description: str, markdown: str) -> text.Panel:
    """Text for people."""
    return (
        text.Panel().title(title).description(description).mode(TextMode.MARKDOWN).content(markdown)
    )


class Ready(Builder[models.DashboardLink]):
    """A finished link, for methods that require a builder."""

    def __init__(self, link: models.DashboardLink) -> None:
        self._link = link

    def build(self) -> models.DashboardLink:
        """The link."""
        return self._link
