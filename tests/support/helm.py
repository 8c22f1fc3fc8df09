"""The chart, rendered by Helm."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tests.support.tools import ROOT

CHART = ROOT / "helm" / "metric-filter-exporter"
CASES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
"""Names of the files in ci/: each shows one feature."""
MAJORS = ("helm3", "helm4")
RELEASE = "exporter"
NAMESPACE = "monitoring"
NAME = "exporter-metric-filter-exporter"
"""What the release's objects are called, unless a values file says otherwise."""

Manifest: TypeAlias = dict[str, Any]
Values: TypeAlias = Mapping[str, Any]


class HelmError(Exception):
    """Helm refused; the message is what it printed."""


@dataclass(frozen=True)
class Rendered:
    """The objects that a chart comes to."""

    manifests: tuple[Manifest, ...]

    def of(self, kind: str) -> list[Manifest]:
        """Return the objects of a kind."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str = NAME) -> Manifest:
        """Return an object by kind and name."""
        (found,) = [item for item in self.of(kind) if item["metadata"]["name"] == name]
        return found

    @property
    def pod(self) -> Manifest:
        """The exporter's pod template."""
        (statefulset,) = self.of("StatefulSet")
        template: Manifest = statefulset["spec"]["template"]
        return template

    @property
    def container(self) -> Manifest:
        """The exporter's container."""
        container: Manifest = self.pod["spec"]["containers"][0]
        return container


@dataclass
class Helm:
    """A Helm of one major version, with a home of its own; what it rendered once is kept."""

    binary: Path
    home: Path
    _cases: dict[str, Rendered] = field(default_factory=dict, repr=False)

    def run(self, *arguments: str) -> str:
        """Run Helm and return what it printed. Raises HelmError."""
        homes = {
            f"HELM_{part}_HOME": str(self.home / part.lower())
            for part in ("CACHE", "CONFIG", "DATA")
        }
        done = subprocess.run(
            [str(self.binary), *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **homes},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise HelmError(done.stderr + done.stdout)
        assert done.stderr == "", done.stderr
        return done.stdout

    def case(self, name: str) -> Rendered:
        """Render the chart with a file of ci/."""
        if name not in self._cases:
            self._cases[name] = self.template(CHART / "ci" / f"{name}-values.yaml")
        return self._cases[name]

    def template(
        self, values: Path | Values | None = None, *options: str, chart: Path = CHART
    ) -> Rendered:
        """Render the chart with values. Raises HelmError."""
        text = self.run("template", RELEASE, str(chart), *self._options(values), *options)
        return Rendered(tuple(_documents(text)))

    def notes(self, values: Values | None = None) -> str:
        """Return what an installation tells the user."""
        return self.run(
            "install", RELEASE, str(CHART), "--dry-run=client", *self._options(values)
        ).split("STATUS: ", 1)[1]

    def _options(self, values: Path | Values | None) -> list[str]:
        options = [f"--namespace={NAMESPACE}"]
        if values is None:
            return options
        if isinstance(values, Path):
            return [*options, f"--values={values}"]
        path = self.home / "values.yaml"
        path.write_text(yaml.safe_dump(dict(values)))
        return [*options, f"--values={path}"]


def _documents(text: str) -> Iterator[Manifest]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for document in yaml.load_all(text, Loader=loader):
        if document is not None:
            assert isinstance(document, dict), document
            yield document
