"""The exporter's pod: one, hardened, probed, stopped gently, restarted when it has to be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.helm import CASES, NAME, Helm, Rendered, Values

HASH = "$2y$10$" + "a" * 53


@pytest.mark.parametrize("case", CASES)
def test_there_is_one_pod_and_it_does_not_block_a_rollback(helm4: Helm, case: str) -> None:
    (statefulset,) = helm4.case(case).of("StatefulSet")
    assert statefulset["spec"]["replicas"] == 1
    assert statefulset["spec"]["podManagementPolicy"] == "Parallel"


@pytest.mark.parametrize("case", sorted(set(CASES) - {"openshift"}))
def test_every_pod_is_hardened(helm4: Helm, case: str) -> None:
    rendered = helm4.case(case)
    for spec in (rendered.pod["spec"], *(pod["spec"] for pod in rendered.of("Pod"))):
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 65532
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        container = spec["containers"][0]["securityContext"]
        assert container["readOnlyRootFilesystem"] is True
        assert container["allowPrivilegeEscalation"] is False
        assert container["capabilities"] == {"drop": ["ALL"]}


def test_the_ids_can_be_left_to_the_platform(helm: Helm) -> None:
    context = helm.case("openshift").pod["spec"]["securityContext"]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & context.keys()
    assert context["runAsNonRoot"] is True


def test_it_writes_to_its_volume_and_to_tmp_only(helm4: Helm) -> None:
    writable = [
        mount["mountPath"]
        for mount in helm4.case("default").container["volumeMounts"]
        if not mount.get("readOnly")
    ]
    assert writable == ["/data", "/tmp"]  # noqa: S108


@pytest.mark.parametrize("case", CASES)
def test_it_is_given_longer_to_stop_than_it_takes(helm4: Helm, case: str) -> None:
    rendered = helm4.case(case)
    (flag,) = [a for a in rendered.container["args"] if a.startswith("--shutdown-timeout=")]
    seconds = int(flag.removeprefix("--shutdown-timeout=").removesuffix("s"))
    assert seconds < rendered.pod["spec"]["terminationGracePeriodSeconds"]


def test_it_is_probed_where_it_answers(helm4: Helm) -> None:
    container = helm4.case("default").container
    (port,) = container["ports"]
    assert port["name"] == "http"
    assert f"--web.listen-address=:{port['containerPort']}" in container["args"]
    for probe, path in (
        ("startupProbe", "/-/healthy"),
        ("livenessProbe", "/-/healthy"),
        ("readinessProbe", "/-/ready"),
    ):
        expected = {"path": path, "port": "http", "scheme": "HTTP"}
        assert container[probe]["httpGet"] == expected


@pytest.mark.parametrize(
    ("web", "probe"),
    [
        ({}, "HTTP"),
        ({"tlsSecret": "tls"}, "HTTPS"),
        ({"config": {"tls_server_config": {"cert_file": "a", "key_file": "b"}}}, "HTTPS"),
        ({"config": {"http_server_config": {"headers": {"X-Frame-Options": "deny"}}}}, "HTTP"),
        ({"config": {"basic_auth_users": {"prometheus": HASH}}}, "tcp"),
        ({"config": {"rate_limit": {"interval": "1s", "burst": 5}}}, "tcp"),
        (
            {
                "tlsSecret": "tls",
                "config": {"tls_server_config": {"client_auth_type": "RequireAndVerifyClientCert"}},
            },
            "tcp",
        ),
        (
            {
                "tlsSecret": "tls",
                "config": {"tls_server_config": {"client_auth_type": "VerifyClientCertIfGiven"}},
            },
            "HTTPS",
        ),
        ({"existingSecret": "web", "scheme": "HTTP"}, "tcp"),
        ({"existingSecret": "web", "scheme": "HTTPS", "probes": "http"}, "HTTPS"),
    ],
)
def test_probes_get_through_the_web_configuration(
    helm4: Helm, web: dict[str, Any], probe: str
) -> None:
    container = helm4.template({"web": web}).container
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe == "tcp":
            assert container[name]["tcpSocket"] == {"port": "http"}
            assert "httpGet" not in container[name]
        else:
            assert container[name]["httpGet"]["scheme"] == probe
            assert "tcpSocket" not in container[name]


def checksum(helm: Helm, values: Values, *options: str) -> str:
    annotations = helm.template(values, *options).pod["metadata"]["annotations"]
    assert isinstance(annotations["checksum/config"], str)
    return annotations["checksum/config"]


def test_a_changed_configuration_restarts_the_pod(helm: Helm) -> None:
    source = {"name": "history", "type": "event_history"}
    variants: list[Values] = [
        {},
        {"config": {"sources": [source]}},
        {"config": {"sources": [{**source, "lookback": "1h"}]}},
        {"config": "sources: [{name: history, type: event_history}]"},
        {"rulePacks": ["cloudtrail-security"]},
        {"rulePacks": ["lambda"]},
        {"ruleFiles": {"a.yaml": {"rules": [{"name": "a"}]}}},
        {"ruleFiles": {"a.yaml": {"rules": [{"name": "b"}]}}},
        {"ruleConfigMaps": ["rules"]},
    ]
    sums = [checksum(helm, variant) for variant in variants]
    assert len(set(sums)) == len(sums)


def test_a_change_can_be_left_to_the_exporter(helm: Helm) -> None:
    metadata = helm.template({"restartOnConfigChange": False}).pod["metadata"]
    assert "annotations" not in metadata


def test_nothing_else_restarts_it(helm: Helm) -> None:
    before = checksum(helm, {})
    assert checksum(helm, {"serviceMonitor": {"enabled": True}}) == before
    # The exporter reads its web configuration again by itself.
    users = {"basic_auth_users": {"prometheus": HASH}}
    assert checksum(helm, {"web": {"config": users}}) == before
    assert checksum(helm, {"commonLabels": {"team": "a"}}) == before
    assert "helm.sh/chart" not in helm.case("default").pod["metadata"]["labels"]


def test_the_ledger_is_on_a_volume_of_its_own_that_upgrades_leave_alone(helm4: Helm) -> None:
    (claim,) = helm4.case("persistence").of("StatefulSet")[0]["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    # What is in a claim template cannot be changed: no version may stand in it.
    assert claim["metadata"]["labels"] == {
        "app.kubernetes.io/name": "metric-filter-exporter",
        "app.kubernetes.io/instance": "exporter",
    }
    assert claim["metadata"]["annotations"] == {"example.com/backup": "daily"}
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOncePod"],
        "storageClassName": "gp3",
        "resources": {"requests": {"storage": "5Gi"}},
    }


@pytest.mark.parametrize(
    ("case", "volume"),
    [
        ("default", None),
        ("existing-claim", {"persistentVolumeClaim": {"claimName": "ledger"}}),
        ("no-persistence", {"emptyDir": {"sizeLimit": "1Gi"}}),
    ],
)
def test_the_ledger_can_be_kept_elsewhere(
    helm4: Helm, case: str, volume: dict[str, Any] | None
) -> None:
    rendered = helm4.case(case)
    found = [v for v in rendered.pod["spec"]["volumes"] if v["name"] == "data"]
    templates = rendered.of("StatefulSet")[0]["spec"].get("volumeClaimTemplates", [])
    assert found == ([] if volume is None else [{"name": "data", **volume}])
    assert len(templates) == (1 if volume is None else 0)


def test_no_storage_class_is_another_thing_than_the_default_one(helm4: Helm) -> None:
    def claim(values: Values) -> dict[str, Any]:
        (template,) = helm4.template(values).of("StatefulSet")[0]["spec"]["volumeClaimTemplates"]
        spec: dict[str, Any] = template["spec"]
        return spec

    assert "storageClassName" not in claim({})
    assert claim({"persistence": {"storageClass": "-"}})["storageClassName"] == ""


def test_its_role_comes_from_the_service_account(helm4: Helm) -> None:
    rendered = helm4.case("irsa")
    account = rendered.one("ServiceAccount")
    assert account["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/metric-filter-exporter"
    }
    assert account["automountServiceAccountToken"] is False
    assert rendered.pod["spec"]["serviceAccountName"] == NAME


def test_the_service_account_has_a_name_that_pod_identity_can_know(helm4: Helm) -> None:
    rendered = helm4.case("pod-identity")
    assert rendered.one("ServiceAccount", "metric-filter-exporter")
    assert rendered.pod["spec"]["serviceAccountName"] == "metric-filter-exporter"


def test_keys_come_from_an_existing_secret_only(helm4: Helm) -> None:
    rendered = helm4.case("aws-secret")
    assert rendered.container["envFrom"] == [{"secretRef": {"name": "aws-credentials"}}]
    assert rendered.of("Secret") == rendered.of("ServiceAccount") == []
    assert rendered.pod["spec"]["serviceAccountName"] == "default"


def test_the_image_can_come_from_a_mirror_by_digest(helm4: Helm) -> None:
    rendered = helm4.case("image")
    digest = "sha256:" + 4 * "0123456789abcdef"
    image = f"registry.example.com:5000/mirror/metric-filter-exporter@{digest}"
    images = [rendered.container["image"], rendered.of("Pod")[0]["spec"]["containers"][0]["image"]]
    assert images == [image, image]


def test_objects_can_be_renamed_and_moved(helm4: Helm) -> None:
    rendered = helm4.case("names")
    for manifest in rendered.manifests:
        assert manifest["metadata"]["name"].startswith("aws-filters")
        assert manifest["metadata"]["namespace"] == "security"
        assert manifest["metadata"]["labels"]["team"] == "security"
    labels = rendered.pod["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "filters"
    assert labels["sidecar.istio.io/inject"] == "false"


def test_long_names_leave_room_for_what_kubernetes_adds(helm4: Helm) -> None:
    text = helm4.run("template", "r" * 53, "helm/metric-filter-exporter")
    assert f"name: {'r' * 52}\n" in text
    assert "r" * 53 + "-metric" not in text


def test_extras_are_added(helm4: Helm) -> None:
    rendered = helm4.case("extras")
    spec = rendered.pod["spec"]
    assert [container["name"] for container in spec["containers"]] == ["exporter", "shipper"]
    (wait,) = spec["initContainers"]
    assert wait["image"] == rendered.container["image"]
    assert rendered.container["args"][-1] == "--log.level=debug"
    assert {"name": "logs", "emptyDir": {}} in spec["volumes"]
    assert rendered.one("ConfigMap", "exporter-extra")
    assert rendered.one("ConfigMap", f"{NAME}-text")
    assert rendered.of("Pod") == []


def test_what_a_cluster_asks_of_a_pod_can_be_said(helm4: Helm) -> None:
    rendered = helm4.case("scheduling")
    spec = rendered.of("StatefulSet")[0]["spec"]
    assert spec["updateStrategy"] == {"type": "OnDelete"}
    assert spec["revisionHistoryLimit"] == 3
    pod = rendered.pod["spec"]
    assert (pod["schedulerName"], pod["dnsPolicy"]) == ("bin-packing", "ClusterFirst")
    assert pod["dnsConfig"] == {"options": [{"name": "ndots", "value": "2"}]}
    assert pod["hostAliases"] == [{"ip": "10.0.0.7", "hostnames": ["logs.eu-west-1.amazonaws.com"]}]


def test_what_is_not_said_is_left_to_the_cluster(helm4: Helm) -> None:
    rendered = helm4.case("default")
    assert "updateStrategy" not in rendered.of("StatefulSet")[0]["spec"]
    pod = rendered.pod["spec"]
    assert not {"schedulerName", "dnsPolicy", "dnsConfig", "hostAliases"} & pod.keys()


def test_a_service_named_like_its_variables_does_not_disturb_it(helm4: Helm) -> None:
    """A release called mfe would have variables such as MFE_PORT, which are no settings."""
    rendered: Rendered = helm4.case("default")
    assert rendered.pod["spec"]["enableServiceLinks"] is False
