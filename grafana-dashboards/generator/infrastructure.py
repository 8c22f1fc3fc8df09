"""The sections of the logs dashboard for infrastructure: network, hosts, clusters, DNS, WAF."""

from __future__ import annotations

from generator import style
from generator.layout import Line
from generator.log_rules import count, kinds, logged, speed, split
from generator.panels import Query, color_by_name, graph
from generator.queries import per_second, total
from generator.tables import VALUE, Column, listing


def network() -> list[Line]:
    """VPC flow logs."""
    ports = count(["vpc_flow_rejected_service_ports_total"], "port", "log_group")
    passed = count(["vpc_flow_accepted_public_admin_total"], "port", "log_group")
    return [
        Line(
            8,
            [
                color_by_name(
                    graph(
                        "Flows",
                        "Records of flow logs: accepted and rejected traffic.",
                        Query(total(per_second(logged("vpc_flow_accepts_total"))), "accepted"),
                        Query(total(per_second(logged("vpc_flow_rejects_total"))), "rejected"),
                        unit="ops",
                        stacked=True,
                        legend=("mean", "max"),
                    ),
                    {"accepted": style.GREEN, "rejected": style.RED},
                ),
                speed(
                    "Traffic by direction",
                    "Bytes in from the internet, out to it, and inside.",
                    "vpc_flow_direction_bytes_total",
                    "direction",
                    unit="Bps",
                ),
                speed(
                    "Traffic by port class",
                    "Bytes by the usual purpose of the destination port.",
                    "vpc_flow_bytes_total",
                    "port_class",
                    unit="Bps",
                ),
                listing(
                    "Doors that were tried",
                    "Ports of remote administration and databases: how often they "
                    "were rejected, and accepted from the internet, in the time "
                    "range.",
                    [ports, passed],
                    [
                        Column("port", "Port", width=55),
                        Column("log_group", "Log group"),
                        Column("Value #A", "Rejected", decimals=0, width=75),
                        Column(
                            "Value #B",
                            "Let pass",
                            decimals=0,
                            width=75,
                            steps=style.ANY_IS_BAD,
                        ),
                    ],
                    sort_by=["-Rejected"],
                ),
            ],
        )
    ]


def hosts() -> list[Line]:
    """Linux hosts."""
    return [
        Line(
            8,
            [
                kinds(
                    "Logins",
                    "Successful and failed logins.",
                    "linux_ssh_logins",
                    "linux_ssh_root_logins",
                    "linux_ssh_failed_logins",
                    "linux_ssh_invalid_users",
                    "linux_authentication_failures",
                ),
                kinds(
                    "Privileges",
                    "Commands as root, and changes of users.",
                    "linux_sudo_commands",
                    "linux_sudo_failures",
                    "linux_user_changes",
                ),
            ],
        ),
        Line(
            8,
            [
                kinds(
                    "Trouble",
                    "Memory, disks, kernel, services.",
                    "linux_oom_kills",
                    "linux_disk_errors",
                    "linux_disk_full",
                    "linux_filesystem_errors",
                    "linux_segfaults",
                    "linux_hung_tasks",
                    "linux_service_failures",
                    "linux_kernel_panics",
                ),
            ],
        ),
    ]


def clusters() -> list[Line]:
    """EKS."""
    refused = count(["eks_audit_forbidden_total"], "user", "resource", "log_group")
    return [
        Line(
            8,
            [
                kinds(
                    "Privileges and secrets",
                    "Changes of permissions, sessions in pods, reads of secrets.",
                    "eks_audit_anonymous_access",
                    "eks_audit_cluster_admin_bindings",
                    "eks_audit_rbac_changes",
                    "eks_audit_aws_auth_changes",
                    "eks_audit_privileged_pods",
                    "eks_audit_pod_exec",
                    "eks_audit_secret_reads",
                    "eks_audit_impersonation",
                    "eks_audit_refused_attempts",
                ),
                kinds(
                    "API server",
                    "Requests that were refused, failed or throttled.",
                    "eks_audit_forbidden",
                    "eks_audit_unauthorized",
                    "eks_audit_server_errors",
                    "eks_audit_throttled",
                ),
            ],
        ),
        Line(
            8,
            [
                listing(
                    "Who was refused",
                    "Requests that RBAC refused in the time range.",
                    [f"topk(50, {refused} > 0)"],
                    [
                        Column("user", "User"),
                        Column("resource", "Resource", width=110),
                        Column("log_group", "Log group", width=130),
                        Column(VALUE, "Times", decimals=0, width=95, bar=True),
                    ],
                    sort_by=["-Times"],
                ),
            ],
        ),
    ]


def names() -> list[Line]:
    """Route 53 Resolver."""
    return [
        Line(
            8,
            [
                speed(
                    "Queries by answer",
                    "DNS queries a second by response code.",
                    "route53_resolver_queries_total",
                    "rcode",
                ),
                kinds(
                    "Queries to look at",
                    "Names that do not exist, failures, blocked domains, record types"
                    " of DNS tunnels.",
                    "route53_resolver_nxdomain",
                    "route53_resolver_failures",
                    "route53_resolver_firewall_blocks",
                    "route53_resolver_firewall_alerts",
                    "route53_resolver_tunnel_queries",
                ),
                split(
                    "Blocked by the DNS firewall, by VPC",
                    "A host that asks for a blocked domain may be infected.",
                    "route53_resolver_firewall_blocks_total",
                    "vpc",
                ),
            ],
            widths=(7, 10, 7),
        )
    ]


def firewall() -> list[Line]:
    """WAF."""
    return [
        Line(
            8,
            [
                speed(
                    "Requests by action",
                    "Actions of the web ACL.",
                    "waf_requests_total",
                    "action",
                    unit="reqps",
                ),
                split(
                    "Blocked by rule",
                    "The rules of the web ACL that block the most requests.",
                    "waf_blocks_total",
                    "rule",
                ),
                split(
                    "Requests by country",
                    "Where requests come from.",
                    "waf_requests_by_country_total",
                    "country",
                ),
            ],
        )
    ]
