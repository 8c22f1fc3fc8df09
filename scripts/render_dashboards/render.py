"""Takes pictures of the dashboards, filled by a Prometheus that scrapes the exporter.

It needs no Grafana server: panels are drawn by the components that Grafana publishes
(@grafana/ui), in headless Chromium. Needs node, npm and chromium; npm's packages (650 MB) go to
.tools/.

    python scripts/render_dashboards/render.py --prometheus http://127.0.0.1:9090 --range 30m
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.chromium import screenshot  # noqa: E402 - found by the line above
from tests.support.dashboards import Dashboard, Window, dashboards  # noqa: E402

BUILD: Final = ROOT / ".tools" / "render_dashboards"
POINTS: Final = 240
UPPER: Final = {
    "application-and-infrastructure-logs": 47,
    "aws-security-overview": 56,
}
"""How many rows of the grid are in the pictures."""
CELL, GAP, HEADER = 30, 8, 96
PAGE: Final = "<!doctype html><meta charset=utf-8><title>{title}</title><div id=root></div>"


def main() -> None:
    """Render every dashboard, or those whose names are given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="names of JSON files without .json; all")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--range", type=_minutes, default=_minutes("30m"), help="minutes: 30m")
    parser.add_argument("--rule", default="cis_console_authentication_failures")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--width", type=int, default=1600)
    parser.add_argument("--whole", action="store_true", help="also the lower part of the long ones")
    arguments = parser.parse_args()
    page = build_page()
    for dashboard in dashboards():
        if arguments.names and dashboard.path.stem not in arguments.names:
            continue
        picture = arguments.out / f"dashboard-{dashboard.path.stem}.png"
        _render(dashboard, arguments, page, picture)
        print(picture)


def build_page() -> Path:
    """Install npm's packages if they are missing, and bundle the page's script."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for source in (*HERE.glob("*.js*"), *HERE.glob("*.jsx")):
        shutil.copy(source, BUILD)
    if not (BUILD / "node_modules").exists():
        _run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund")
    _run("npm", "run", "--silent", "build")
    return BUILD / "page.js"


def _run(*command: str) -> None:
    subprocess.run(command, cwd=BUILD, check=True)  # noqa: S603 - the commands are above


def _minutes(text: str) -> int:
    return int(text.removesuffix("m"))


def _render(dashboard: Dashboard, arguments: argparse.Namespace, page: Path, picture: Path) -> None:
    now = time.time()
    prometheus = Prometheus(arguments.prometheus, now - arguments.range * 60, now)
    content = _filled(dashboard, prometheus, arguments)
    panels = content["panels"]
    rows = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    with tempfile.TemporaryDirectory(prefix="dashboard-") as folder:
        (Path(folder) / "page.js").symlink_to(page)
        index = Path(folder) / "index.html"
        index.write_text(
            PAGE.format(title=dashboard.title)
            # i18next, which Grafana's components use, advertises itself on the console.
            + "<script>console.info = () => {}; window.DASHBOARD = "
            + f"{json.dumps(content)}</script><script src=page.js></script>"
        )
        chromium = shutil.which("chromium") or os.environ["CHROMIUM"]
        height = HEADER + rows * (CELL + GAP) + GAP
        screenshot(Path(chromium), index.as_uri(), picture, width=arguments.width, height=height)


def _filled(
    dashboard: Dashboard, prometheus: Prometheus, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The dashboard with the answers to its queries in the targets."""
    chosen = {"rule": arguments.rule}
    for known in dashboard.variable_queries({**chosen, "metric": ""}):
        if known.variable == "metric":
            chosen["metric"] = prometheus.label_values(known.label, known.selector)[0]
    # Grafana's $__rate_interval, of a data source with its usual scrape interval of 15 seconds.
    window = Window(
        f"{arguments.range}m", f"{prometheus.step:.0f}s", f"{max(60, prometheus.step + 15):.0f}s"
    )
    wide = Window(window.range, "60s", "75s")
    panels = []
    for panel in dashboard.json["panels"]:
        until = UPPER.get(dashboard.path.stem, 10_000)
        if panel["gridPos"]["y"] >= until and not arguments.whole:
            continue
        one = wide if panel.get("interval") else window
        queries = {(q.panel, q.ref): q for q in dashboard.panel_queries(chosen, one)}
        for target in panel.get("targets", ()):
            query = queries[panel["title"], target["refId"]]
            step = 60 if panel.get("interval") else prometheus.step
            target["result"] = prometheus.ask(query.expression, instant=query.instant, step=step)
        panels.append(panel)
    return {
        "title": dashboard.title,
        "panels": panels,
        "mode": "light" if arguments.light else "dark",
        "from": prometheus.start,
        "to": prometheus.end,
        "step": 60,
        "width": arguments.width,
        "choices": _choices(dashboard, chosen),
    }


def _choices(dashboard: Dashboard, chosen: dict[str, str]) -> list[tuple[str, str]]:
    """The values of the variables at the top."""
    shown = []
    for variable in dashboard.variables:
        if variable.get("hide"):
            continue
        if variable["type"] == "datasource":
            value = "Prometheus"
        elif variable["type"] == "textbox":
            value = variable["query"]
        else:
            value = chosen.get(variable["name"], "All")
        shown.append((variable["label"], value))
    return shown


class Prometheus:
    """Answers about a time range."""

    def __init__(self, url: str, start: float, end: float) -> None:
        self._url = url
        self.start = start
        self.end = end
        self.step = max(5.0, (end - start) / POINTS)

    def ask(self, expression: str, *, instant: bool, step: float) -> list[dict[str, Any]]:
        """The series that answer; at the end of the range, or all along."""
        if instant:
            return self._result("query", query=expression, time=self.end)
        first = self.start - self.start % step
        return self._result("query_range", query=expression, start=first, end=self.end, step=step)

    def label_values(self, label: str, selector: str) -> list[str]:
        """The values of a label."""
        path = f"label/{label}/values"
        values: list[str] = self._data(path, **{"match[]": selector})
        return values

    def _result(self, path: str, **parameters: str | float) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self._data(path, **parameters)["result"]
        return result

    def _data(self, path: str, **parameters: str | float) -> Any:
        answer = httpx.get(
            f"{self._url}/api/v1/{path}", params=parameters, trust_env=False, timeout=60
        ).json()
        if answer["status"] != "success":
            raise SystemExit(f"{parameters}: {answer['error']}")
        return answer["data"]


if __name__ == "__main__":
    main()
