"""Each file of ci/ gives objects that Kubernetes and the Prometheus operator accept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate
import pytest

from tests.support.helm import CASES, CHART, Helm, Manifest, Rendered

KUBERNETES = ("1.25", "1.31", "1.37")
"""The oldest that Chart.yaml allows, one in between and a new one."""
OPERATOR_KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
OTHER_KINDS: dict[str, tuple[str, dict[str, type]]] = {
    "GrafanaDashboard": (
        "grafana.integreatly.org/v1beta1",
        {
            "instanceSelector": dict,
            "allowCrossNamespaceImport": bool,
            "folder": str,
            "json": str,
        },
    ),
    "HTTPRoute": (
        "gateway.networking.k8s.io/v1",
        {"parentRefs": list, "hostnames": list, "rules": list},
    ),
}
"""Kinds that no model of is to be had: their version and the fields that the chart uses."""


@pytest.mark.parametrize("case", CASES)
def test_every_case_passes_a_strict_lint(helm: Helm, case: str) -> None:
    values = CHART / "ci" / f"{case}-values.yaml"
    helm.run("lint", "--strict", str(CHART), f"--values={values}")


@pytest.mark.parametrize("case", CASES)
def test_both_versions_of_helm_render_the_same(helms: dict[str, Helm], case: str) -> None:
    assert helms["helm3"].case(case) == helms["helm4"].case(case)


@pytest.mark.parametrize("case", CASES)
def test_kubernetes_accepts_every_object(helm4: Helm, case: str) -> None:
    for manifest in helm4.case(case).manifests:
        if manifest["kind"] in (*OPERATOR_KINDS, *OTHER_KINDS):
            continue
        _validate(json.dumps(manifest))


@cache
def _validate(manifest: str) -> None:
    """Raise where one of the versions refuses it; many cases have the same objects."""
    for version in KUBERNETES:
        kubernetes_validate.validate(json.loads(manifest), version, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_noticed(helm4: Helm) -> None:
    service = helm4.case("default").one("Service")
    service = {**service, "spec": {**service["spec"], "prots": []}}
    with pytest.raises(kubernetes_validate.ValidationError, match="prots"):
        _validate(json.dumps(service))


def test_kubernetes_knows_every_kind_but_those_of_the_operators(helm4: Helm) -> None:
    unknown = set()
    for manifest in _one_of_each_kind(helm4):
        try:
            kubernetes_validate.validate(manifest, KUBERNETES[-1], strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unknown.add(manifest["kind"])
    assert unknown == {*OPERATOR_KINDS, *OTHER_KINDS}


def test_the_cases_show_every_kind_of_the_chart(helm4: Helm) -> None:
    assert {manifest["kind"] for manifest in _one_of_each_kind(helm4)} == {
        "ConfigMap",
        "GrafanaDashboard",
        "HTTPRoute",
        "Ingress",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "PodMonitor",
        "PrometheusRule",
        "Secret",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "StatefulSet",
    }


@pytest.mark.parametrize("case", CASES)
def test_the_prometheus_operator_accepts_its_objects(helm4: Helm, case: str) -> None:
    for manifest in helm4.case(case).manifests:
        if manifest["kind"] in OPERATOR_KINDS:
            assert _unknown_to_the_operator(manifest) == set()


def test_a_field_that_the_operator_does_not_know_would_be_noticed(helm4: Helm) -> None:
    (monitor,) = helm4.case("servicemonitor").of("ServiceMonitor")
    monitor = {**monitor, "spec": {**monitor["spec"], "jobLable": "x"}}
    assert _unknown_to_the_operator(monitor) == {"spec.jobLable"}


def _unknown_to_the_operator(manifest: Manifest) -> set[str]:
    """Paths that the operator's model of the kind does not have; raises if a value is wrong."""
    # Importing the models takes two seconds, and every worker of a test run collects this file.
    from cloudcoil.models.prometheus_operator import v1  # noqa: PLC0415

    parsed = getattr(v1, manifest["kind"]).model_validate(manifest)
    known = parsed.model_dump(exclude_unset=True, by_alias=True, mode="json")
    return set(_paths(manifest)) - set(_paths(known))


@pytest.mark.parametrize("case", CASES)
def test_objects_without_a_model_have_the_fields_of_their_kind(helm4: Helm, case: str) -> None:
    for kind, (version, fields) in OTHER_KINDS.items():
        for manifest in helm4.case(case).of(kind):
            assert manifest["apiVersion"] == version
            for name, value in manifest["spec"].items():
                assert isinstance(value, fields[name]), name


@pytest.mark.parametrize("case", CASES)
def test_names_are_unique_and_every_object_is_labelled_and_in_one_namespace(
    helm4: Helm, case: str
) -> None:
    rendered = helm4.case(case)
    own = [item for item in rendered.manifests if "helm.sh/chart" in _labels(item)]
    extra = len(rendered.manifests) - len(own)
    assert extra == (2 if case == "extras" else 0)
    names = [(item["kind"], item["metadata"]["name"]) for item in own]
    assert len(set(names)) == len(names)
    selector = rendered.of("StatefulSet")[0]["spec"]["selector"]["matchLabels"]
    for item in own:
        if item["kind"] != "Pod":
            assert selector.items() <= _labels(item).items()
    assert _references(rendered) <= set(names)


def _one_of_each_kind(helm: Helm) -> list[Manifest]:
    found = {item["kind"]: item for case in CASES for item in helm.case(case).manifests}
    return list(found.values())


def _labels(manifest: Manifest) -> dict[str, str]:
    labels: dict[str, str] = manifest["metadata"].get("labels", {})
    return labels


def _references(rendered: Rendered) -> set[tuple[str, str]]:
    """What the pod mounts of the chart's own, by kind and name."""
    (statefulset,) = rendered.of("StatefulSet")
    prefix = statefulset["metadata"]["name"] + "-"
    found = set()
    for volume in rendered.pod["spec"]["volumes"]:
        if "configMap" in volume:
            found.add(("ConfigMap", volume["configMap"]["name"]))
        elif "secret" in volume:
            found.add(("Secret", volume["secret"]["secretName"]))
    return {(kind, name) for kind, name in found if name.startswith(prefix)}


def _paths(value: Any, prefix: str = "") -> Iterator[str]:
    """Every place of a nested value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, f"{prefix}[{index}]")
    else:
        yield prefix
