"""Application and infrastructure logs: events inside of systems."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.models.dashboard import Dashboard

from generator import applications, infrastructure, links, style, workloads
from generator.board import chooser, dashboard, places
from generator.layout import Line, Section
from generator.log_rules import ALL, SERIES, count, matches
from generator.panels import bars, color_by_name, graph, number
from generator.queries import RANGE, matches_of_rules, rule_facts, total, with_facts
from generator.tables import VALUE, Column, listing


def build() -> Dashboard:
    """The dashboard."""
    return dashboard(
        "Application and infrastructure logs",
        uid=links.LOGS,
        description="Functions, web servers, databases, networks and hosts, by the rule packs for"
        " their logs. Rows of products that are not read are empty.",
        blocks=[
            _now(),
            _attention(),
            Section("Lambda", applications.functions()),
            Section("Web servers and load balancers", applications.web()),
            Section("API Gateway", applications.gateways(), collapsed=True),
            Section("Databases (RDS)", applications.databases()),
            Section("Network (VPC flow logs)", infrastructure.network(), collapsed=True),
            Section("Hosts (syslog)", infrastructure.hosts()),
            Section("Kubernetes (EKS audit)", infrastructure.clusters(), collapsed=True),
            Section("DNS (Route 53 Resolver)", infrastructure.names(), collapsed=True),
            Section("Firewall (WAF)", infrastructure.firewall(), collapsed=True),
            Section("Network Firewall", workloads.network_firewall(), collapsed=True),
            Section("Network Load Balancers", workloads.load_balancers(), collapsed=True),
            Section("Containers (ECS)", workloads.containers(), collapsed=True),
            Section("Workflows (Step Functions)", workloads.workflows(), collapsed=True),
            Section("Embedded metric format (EMF)", workloads.embedded_metrics(), collapsed=True),
        ],
        alerts='ALERTS{alertname!~"MetricFilterExporter.+|Aws.+", alertstate="firing"}',
        variables=[
            *places(SERIES),
            chooser("log_group", "Log group", f"label_values({SERIES}, log_group)", every=".*"),
        ],
        period="now-6h",
    )


def _count(
    title: str, description: str, names: Sequence[str], steps: style.Steps = style.ANY_IS_BAD
) -> stat.Panel:
    return number(title, description, matches(*names), steps=steps, loud=True)


def _failed_share(title: str, description: str, metric: str) -> stat.Panel:
    failed = count([metric], matcher='status_class="5xx"')
    every = count([metric])
    return number(
        title,
        description,
        f"({failed} or 0 * {every}) / ({every} > 0)",
        unit="percentunit",
        decimals=2,
        steps=((None, style.GREEN), (0.01, style.YELLOW), (0.05, style.RED)),
        loud=True,
    )


def _now() -> Line:
    failing = ["lambda_errors", "lambda_timeouts", "lambda_out_of_memory", "lambda_crashes"]
    some = ((None, style.GREEN), (0.5, style.YELLOW), (50, style.ORANGE))
    return Line(
        4,
        [
            _count(
                "Lambda failures",
                "Errors, timeouts, exhausted memory and crashes in the time range.",
                failing,
                some,
            ),
            _failed_share(
                "Web: failed",
                "Share of requests to web servers and load balancers that ended with 5xx.",
                "http_requests_total",
            ),
            _failed_share(
                "API: failed",
                "Share of requests to API Gateway that ended with 5xx.",
                "api_gateway_requests_total",
            ),
            _count(
                "Databases",
                "Storage full, or no free connection.",
                [
                    "rds_mysql_storage_full",
                    "rds_mysql_connection_limits",
                    "rds_postgresql_storage_full",
                    "rds_postgresql_connection_limits",
                ],
            ),
            _count(
                "Hosts",
                "Out of memory, disks and file systems with errors or full, kernel panics.",
                [
                    "linux_oom_kills",
                    "linux_disk_errors",
                    "linux_disk_full",
                    "linux_filesystem_errors",
                    "linux_kernel_panics",
                ],
            ),
            _count(
                "Failed logins",
                "Wrong passwords at hosts and databases.",
                [
                    "linux_ssh_failed_logins",
                    "rds_mysql_failed_logins",
                    "rds_postgresql_failed_logins",
                ],
                some,
            ),
            _count(
                "Open to world",
                "Connections from the internet to remote-administration ports that were accepted.",
                ["vpc_flow_accepted_public_admin"],
            ),
            _count(
                "Kubernetes",
                "Kubernetes: anonymous access, bindings to cluster-admin, privileged pods.",
                [
                    "eks_audit_anonymous_access",
                    "eks_audit_cluster_admin_bindings",
                    "eks_audit_privileged_pods",
                ],
            ),
        ],
    )


def _attention() -> Line:
    grave = 'severity=~"critical|high|medium"'
    facts = rule_facts(ALL, grave)

    def by_severity(*, window: str, at: str = "") -> str:
        return total(with_facts(matches_of_rules(window, ALL, at=at), facts), "severity")

    by_rule = with_facts(matches_of_rules(RANGE, ALL), facts)
    return Line(
        9,
        [
            color_by_name(
                graph(
                    "Matches by severity",
                    "Matches of the rules of severity medium and above in each bar.",
                    bars(by_severity, "{{severity}}"),
                    bars=True,
                ),
                style.SEVERITIES,
            ),
            listing(
                "What needs a look",
                "Rules of severity medium and above that matched in the time range. A"
                " click opens the rule.",
                [f"{total(by_rule, 'rule', 'title', 'severity', 'source')} > 0"],
                [
                    Column(
                        "severity",
                        "Severity",
                        width=90,
                        mapping=style.severity_texts(),
                        filled=True,
                    ),
                    Column(
                        "title",
                        "Rule",
                        link=links.dashboard(
                            "Explore the rule", links.RULES, rule='${__data.fields["rule"]}'
                        ),
                    ),
                    Column("source", "Source", width=150),
                    Column(VALUE, "Matches", decimals=0, width=130, bar=True),
                    Column("rule", "rule", hidden=True),
                ],
                sort_by=["Severity", "-Matches"],
            ),
        ],
    )
