"""The committed dashboards as a test needs them: each query as Grafana would send it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser as promql

from tests.support.tools import ROOT

FOLDER: Final = ROOT / "grafana-dashboards"
_VARIABLE: Final = re.compile(r"\$(?:\{([a-z_]\w*)(?::\w+)?\}|([a-z_]\w*))")
_LABEL_VALUES: Final = re.compile(r"label_values\((?P<selector>.+), (?P<label>\w+)\)")


@dataclass(frozen=True)
class Window:
    """What Grafana puts in for its own variables, as Prometheus durations."""

    range: str = "15m"
    interval: str = "15s"
    rate_interval: str = "1m"

    def values(self) -> dict[str, str]:
        """The variables by name."""
        interval = promql.parse_duration(self.interval)
        return {
            "__range": self.range,
            "__interval": self.interval,
            "__interval_ms": str(round(interval.total_seconds() * 1000)),
            "__rate_interval": self.rate_interval,
        }


@dataclass(frozen=True)
class PanelQuery:
    """A query of a panel, ready for Prometheus."""

    dashboard: str
    panel: str
    ref: str
    expression: str
    instant: bool
    """Whether Grafana asks for one moment, or for the time range."""

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.panel} / {self.ref}"


@dataclass(frozen=True)
class VariableQuery:
    """Where the values of a variable come from: /api/v1/label/<label>/values?match[]=<selector>."""

    dashboard: str
    variable: str
    selector: str
    label: str

    def __str__(self) -> str:
        return f"{self.dashboard} / ${self.variable}"


@dataclass(frozen=True)
class AnnotationQuery:
    """What is drawn onto the graphs, ready for Prometheus; a range query."""

    dashboard: str
    name: str
    expression: str

    def __str__(self) -> str:
        return f"{self.dashboard} / annotation {self.name}"


class Dashboard:
    """A dashboard's JSON.

    ``chosen`` below gives values of variables as regular expressions. What is not in it is "All",
    or the default of a text box; a variable without either, as the rule explorer's ``rule`` and
    ``metric``, must be given: KeyError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.json: dict[str, Any] = json.loads(path.read_text())
        self.uid: str = self.json["uid"]
        self.title: str = self.json["title"]

    @property
    def panels(self) -> Iterator[dict[str, Any]]:
        """All panels but rows, those in collapsed rows too."""
        for panel in self.json["panels"]:
            if panel["type"] != "row":
                yield panel
            yield from panel.get("panels", ())

    @property
    def variables(self) -> list[dict[str, Any]]:
        """The template variables in their order."""
        variables: list[dict[str, Any]] = self.json["templating"]["list"]
        return variables

    def panel_queries(
        self, chosen: Mapping[str, str] | None = None, window: Window | None = None
    ) -> list[PanelQuery]:
        """Every query of every panel."""
        values = self._values(chosen, window)
        return [
            PanelQuery(
                self.title,
                panel["title"],
                target["refId"],
                substitute(target["expr"], values),
                bool(target.get("instant")),
            )
            for panel in self.panels
            for target in panel.get("targets", ())
        ]

    def variable_queries(self, chosen: Mapping[str, str] | None = None) -> list[VariableQuery]:
        """The query of every variable that asks Prometheus."""
        values = self._values(chosen, None)
        found = []
        for variable in self.variables:
            if variable["type"] != "query":
                continue
            query = substitute(variable["query"]["query"], values)
            match = _LABEL_VALUES.fullmatch(query)
            assert match is not None, query
            found.append(
                VariableQuery(self.title, variable["name"], match["selector"], match["label"])
            )
        return found

    def annotation_queries(self, chosen: Mapping[str, str] | None = None) -> list[AnnotationQuery]:
        """The query of every annotation."""
        values = self._values(chosen, None)
        return [
            AnnotationQuery(self.title, annotation["name"], substitute(annotation["expr"], values))
            for annotation in self.json["annotations"]["list"]
        ]

    def _values(self, chosen: Mapping[str, str] | None, window: Window | None) -> dict[str, str]:
        values = (window or Window()).values()
        for variable in self.variables:
            if variable.get("includeAll"):
                values[variable["name"]] = variable["allValue"]
            elif variable["type"] == "textbox":
                values[variable["name"]] = variable["query"]
        return values | dict(chosen or {})


def dashboards() -> list[Dashboard]:
    """All dashboards, by file name."""
    return [Dashboard(path) for path in sorted(FOLDER.glob("*.json"))]


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Put values in for ``$name``, ``${name}`` and ``${name:format}``; KeyError for other names."""
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], text)
