"""Who reaches the exporter: the Service, the monitors, the NetworkPolicy, `helm test`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.helm import NAME, Helm, Manifest, Rendered
from tests.support.processes import Exporter


def endpoint(monitor: Manifest) -> dict[str, Any]:
    spec = monitor["spec"]
    (found,) = spec.get("endpoints") or spec["podMetricsEndpoints"]
    assert isinstance(found, dict)
    return found


@pytest.fixture(params=["servicemonitor", "podmonitor"])
def monitored(helm4: Helm, request: pytest.FixtureRequest) -> Rendered:
    return helm4.case(request.param)


def test_a_monitor_finds_the_exporter_and_nothing_else(monitored: Rendered) -> None:
    (monitor,) = monitored.of("ServiceMonitor") + monitored.of("PodMonitor")
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    by_service = monitor["kind"] == "ServiceMonitor"
    target = monitored.one("Service") if by_service else monitored.pod
    assert selector <= target["metadata"]["labels"].items()
    (test_pod,) = monitored.of("Pod")
    assert not selector <= test_pod["metadata"]["labels"].items()
    ports = target["spec"]["ports"] if by_service else monitored.container["ports"]
    assert [port["name"] for port in ports] == [endpoint(monitor)["port"]]
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["monitoring"]}


def test_the_job_is_named_for_the_exporter_and_rules_keep_their_labels(monitored: Rendered) -> None:
    (monitor,) = monitored.of("ServiceMonitor") + monitored.of("PodMonitor")
    by_service = monitor["kind"] == "ServiceMonitor"
    target = monitored.one("Service") if by_service else monitored.pod
    # jobLabel is the name of a label, not a value.
    assert target["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "metric-filter-exporter"
    assert endpoint(monitor)["honorLabels"] is True
    assert endpoint(monitor)["path"] == "/metrics"
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_what_the_values_say_reaches_the_monitor(helm4: Helm) -> None:
    monitor = helm4.case("servicemonitor").one("ServiceMonitor")
    assert monitor["metadata"]["annotations"] == {"example.com/owner": "security"}
    assert monitor["spec"]["sampleLimit"] == 100000
    assert monitor["spec"]["targetLabels"] == ["app.kubernetes.io/version"]
    found = endpoint(monitor)
    assert (found["interval"], found["scrapeTimeout"]) == ("30s", "10s")
    assert found["relabelings"] == [{"targetLabel": "cluster", "replacement": "production"}]
    assert found["metricRelabelings"][0]["action"] == "drop"


def test_the_monitors_may_choose_the_protocol(helm4: Helm) -> None:
    service = helm4.case("servicemonitor").one("ServiceMonitor")
    assert service["spec"]["scrapeProtocols"] == ["OpenMetricsText1.0.0", "PrometheusText0.0.4"]
    pod = helm4.case("podmonitor").one("PodMonitor")
    assert pod["spec"]["scrapeProtocols"] == ["PrometheusText0.0.4"]


def test_an_ingress_leads_to_the_service(helm4: Helm) -> None:
    rendered = helm4.case("ingress")
    ingress = rendered.one("Ingress")
    assert ingress["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "letsencrypt"}
    assert ingress["metadata"]["labels"]["team"] == "security"
    spec = ingress["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert spec["tls"] == [{"secretName": "aws-events-tls", "hosts": ["aws-events.example.com"]}]
    (rule,) = spec["rules"]
    assert rule["host"] == "aws-events.example.com"
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/", "Prefix")
    service = rendered.one("Service")
    (port,) = service["spec"]["ports"]
    assert path["backend"]["service"] == {
        "name": service["metadata"]["name"],
        "port": {"name": port["name"]},
    }


def test_a_route_of_the_gateway_api_leads_to_the_service(helm4: Helm) -> None:
    rendered = helm4.case("httproute")
    spec = rendered.one("HTTPRoute")["spec"]
    assert spec["parentRefs"] == [
        {"name": "internal", "namespace": "gateways", "sectionName": "https"}
    ]
    assert spec["hostnames"] == ["aws-events.example.com"]
    (rule,) = spec["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert rule["filters"][0]["type"] == "ResponseHeaderModifier"
    service = rendered.one("Service")
    (port,) = service["spec"]["ports"]
    assert rule["backendRefs"] == [{"name": service["metadata"]["name"], "port": port["port"]}]


def test_nothing_leads_in_from_outside_unless_it_is_asked_for(helm4: Helm) -> None:
    rendered = helm4.case("default")
    assert rendered.of("Ingress") == rendered.of("HTTPRoute") == []


def test_a_monitor_speaks_tls_and_logs_in(helm4: Helm) -> None:
    tls = endpoint(helm4.case("web-tls").one("ServiceMonitor"))
    assert tls["scheme"] == "https"
    assert tls["tlsConfig"]["serverName"] == "metric-filter-exporter.monitoring.svc"
    login = endpoint(helm4.case("web-basic-auth").one("ServiceMonitor"))
    assert login["scheme"] == "http"
    assert login["basicAuth"]["username"] == {"name": "exporter-login", "key": "username"}
    client = endpoint(helm4.case("web-client-certificates").one("PodMonitor"))
    assert client["tlsConfig"]["keySecret"] == {"name": "prometheus-client", "key": "tls.key"}


def test_there_is_no_monitor_unless_it_is_asked_for(helm4: Helm) -> None:
    rendered = helm4.case("default")
    assert rendered.of("ServiceMonitor") == rendered.of("PodMonitor") == []


def test_the_service_leads_to_the_containers_port(helm4: Helm) -> None:
    rendered = helm4.case("service")
    service = rendered.one("Service")
    assert service["spec"]["selector"].items() <= rendered.pod["metadata"]["labels"].items()
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, rendered.container["ports"][0]["name"])
    assert rendered.container["ports"][0]["containerPort"] == 8080
    (test_pod,) = rendered.of("Pod")
    assert not service["spec"]["selector"].items() <= test_pod["metadata"]["labels"].items()
    assert test_pod["spec"]["containers"][0]["args"][1] == f"http://{NAME}.monitoring:80"


def test_a_network_policy_opens_the_containers_port_to_prometheus_and_the_test(helm4: Helm) -> None:
    rendered = helm4.template(
        {"networkPolicy": {"enabled": True, "namespace": "prometheus"}, "containerPort": 8080}
    )
    spec = rendered.one("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    (rule,) = spec["ingress"]
    assert rule["ports"] == [{"port": 8080, "protocol": "TCP"}]
    prometheus, test = rule["from"]
    assert prometheus["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "prometheus"
    }
    (pod,) = rendered.of("Pod")
    assert test["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_a_network_policy_may_let_out_what_the_exporter_needs_only(helm4: Helm) -> None:
    spec = helm4.case("networkpolicy").one("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    ports = [port["port"] for rule in spec["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 443, 80, 3128]
    (agent,) = [rule["to"] for rule in spec["egress"] if rule["ports"][0]["port"] == 80]
    assert {"ipBlock": {"cidr": "169.254.170.23/32"}} in agent


@pytest.mark.parametrize("probe", ["http", "tcp"])
def test_helm_test_passes_on_a_real_exporter(helm4: Helm, probe: str, tmp_path: Path) -> None:
    (pod,) = helm4.template({"web": {"probes": probe}}).of("Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    python, *command = container["command"]
    assert python == "python3"
    configuration = tmp_path / "config.yaml"
    configuration.write_text(
        "sources: [{name: a, type: files, paths: [a.log]}]\nrules: [{name: a, pattern: ERROR}]\n"
    )
    with Exporter(configuration, tmp_path / "data") as exporter:
        mode, _, path = container["args"]
        done = subprocess.run(
            [sys.executable, *command, mode, exporter.url, path],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert (" listens" if probe == "tcp" else "/metrics has ") in done.stdout
