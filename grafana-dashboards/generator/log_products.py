"""The sections of the logs dashboard, one for each kind of product."""

from __future__ import annotations

from typing import Final

from generator import style
from generator.layout import Line
from generator.log_rules import CLASSES, durations, kinds, logged, share, speed, split
from generator.panels import Query, color_by_name, graph
from generator.queries import in_range, per_second, total
from generator.tables import VALUE, Column, listing

_5XX: Final = 'status_class="5xx"'
_FAILURES: Final = (
    "lambda_errors_total",
    "lambda_timeouts_total",
    "lambda_out_of_memory_total",
    "lambda_crashes_total",
)


def functions() -> list[Line]:
    """Lambda."""
    used = total(per_second(logged("lambda_max_memory_used_bytes_sum")), "log_group")
    size = total(per_second(logged("lambda_memory_size_bytes_sum")), "log_group")
    return [
        Line(
            8,
            [
                speed(
                    "Invocations",
                    "Invocations that ended, by function.",
                    "lambda_invocations_total",
                    "log_group",
                ),
                graph(
                    "Share of invocations that fail",
                    "Errors, timeouts, exhausted memory and crashes. A function that logs several"
                    " errors in an invocation can be over 100 %.",
                    Query(
                        share(_FAILURES, "lambda_invocations_total", "log_group"), "{{log_group}}"
                    ),
                    unit="percentunit",
                    limit=0.05,
                    legend=("mean", "max"),
                ),
                kinds(
                    "Failures by kind",
                    "What goes wrong, over all functions.",
                    "lambda_errors",
                    "lambda_timeouts",
                    "lambda_out_of_memory",
                    "lambda_crashes",
                ),
            ],
        ),
        Line(
            8,
            [
                durations(
                    "Duration",
                    "95 of 100 invocations are faster than this. Near the function's timeout, the"
                    " next step is to fail.",
                    "lambda_duration_seconds",
                ),
                graph(
                    "Memory used of the size",
                    "Mean of the highest memory use of invocations, as a share of the memory that"
                    " is paid for. Far below 100 %, the function may be too large.",
                    Query(f"{used} / on (log_group) ({size} > 0)", "{{log_group}}"),
                    unit="percentunit",
                    limit=0.9,
                    legend=("mean", "max"),
                ),
                graph(
                    "Cold starts",
                    "Share of invocations that waited for a new execution environment.",
                    Query(
                        share(
                            ["lambda_cold_starts_total"], "lambda_invocations_total", "log_group"
                        ),
                        "{{log_group}}",
                    ),
                    unit="percentunit",
                    legend=("mean", "max"),
                ),
            ],
        ),
    ]


def web() -> list[Line]:
    """Apache, nginx, application load balancers."""
    failed = share(["http_requests_total"], "http_requests_total", "log_group", matcher=_5XX)
    return [
        Line(
            8,
            [
                color_by_name(
                    speed(
                        "Requests by status",
                        "Requests a second by class of their status.",
                        "http_requests_total",
                        "status_class",
                        unit="reqps",
                    ),
                    CLASSES,
                ),
                graph(
                    "Share of requests that fail",
                    "Requests that ended with 5xx, by log group.",
                    Query(failed, "{{log_group}}"),
                    unit="percentunit",
                    limit=0.05,
                    legend=("mean", "max"),
                ),
                split(
                    "Errors by status",
                    "Server errors, by status code.",
                    "http_server_errors_total",
                    "status",
                ),
            ],
        ),
        Line(
            8,
            [
                speed(
                    "Bytes sent",
                    "Size of responses.",
                    "http_response_bytes_total",
                    "log_group",
                    unit="Bps",
                ),
                split(
                    "Requests by method",
                    "What clients ask for.",
                    "http_method_requests_total",
                    "method",
                ),
                durations(
                    "Target response time",
                    "How long targets of application load balancers take. Other access logs do not"
                    " tell.",
                    "http_target_response_duration_seconds",
                ),
            ],
        ),
    ]


def gateways() -> list[Line]:
    """API Gateway."""
    return [
        Line(
            8,
            [
                color_by_name(
                    speed(
                        "API requests by status",
                        "Requests a second by class of their status.",
                        "api_gateway_requests_total",
                        "status_class",
                        unit="reqps",
                    ),
                    CLASSES,
                ),
                split(
                    "Server errors by route",
                    "Requests that ended with 5xx.",
                    "api_gateway_server_errors_total",
                    "route",
                ),
                durations(
                    "Latency by route",
                    "From the request to the response, the integration included.",
                    "api_gateway_latency_seconds",
                    "route",
                ),
                kinds(
                    "Throttling and execution failures",
                    "Requests over a limit, and integrations that failed.",
                    "api_gateway_throttles",
                    "api_gateway_execution_throttles",
                    "api_gateway_execution_failures",
                    "api_gateway_execution_server_errors",
                ),
            ],
        )
    ]


def databases() -> list[Line]:
    """RDS for MySQL and PostgreSQL."""
    return [
        Line(
            8,
            [
                kinds(
                    "MySQL",
                    "What the error log, the slow query log and the audit log tell.",
                    "rds_mysql_errors",
                    "rds_mysql_slow_queries",
                    "rds_mysql_deadlocks",
                    "rds_mysql_failed_logins",
                    "rds_mysql_connection_limits",
                    "rds_mysql_aborted_connections",
                    "rds_mysql_storage_full",
                ),
                split(
                    "PostgreSQL errors by level",
                    "ERROR is a statement that failed, FATAL a session, PANIC the server.",
                    "rds_postgresql_errors_total",
                    "level",
                ),
                kinds(
                    "PostgreSQL",
                    "What the log tells besides errors.",
                    "rds_postgresql_slow_queries",
                    "rds_postgresql_deadlocks",
                    "rds_postgresql_lock_waits",
                    "rds_postgresql_failed_logins",
                    "rds_postgresql_connection_limits",
                    "rds_postgresql_statement_timeouts",
                    "rds_postgresql_storage_full",
                ),
            ],
        ),
        Line(
            8,
            [
                durations(
                    "MySQL: slow queries take",
                    "Duration of the queries in the slow query log.",
                    "rds_mysql_slow_query_duration_seconds",
                ),
                durations(
                    "PostgreSQL: slow queries take",
                    "Duration of the statements that the log has one for.",
                    "rds_postgresql_slow_query_duration_seconds",
                ),
                speed(
                    "PostgreSQL: temporary files",
                    "What sorts and hashes write to the disk for want of work_mem.",
                    "rds_postgresql_temporary_file_bytes_total",
                    "log_group",
                    unit="Bps",
                ),
            ],
        ),
    ]


def network() -> list[Line]:
    """VPC flow logs."""
    ports = total(in_range(logged("vpc_flow_rejected_service_ports_total")), "port", "log_group")
    passed = total(in_range(logged("vpc_flow_accepted_public_admin_total")), "port", "log_group")
    return [
        Line(
            8,
            [
                color_by_name(
                    graph(
                        "Flows",
                        "Records of flow logs: traffic that was let pass, and that was rejected.",
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
                    "Bytes by what the destination port is usually for.",
                    "vpc_flow_bytes_total",
                    "port_class",
                    unit="Bps",
                ),
                listing(
                    "Doors that were tried",
                    "Ports of remote administration and databases: how often they were rejected,"
                    " and let pass from the internet, in the time range.",
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
                    "Who came in, and who was kept out.",
                    "linux_ssh_logins",
                    "linux_ssh_root_logins",
                    "linux_ssh_failed_logins",
                    "linux_ssh_invalid_users",
                    "linux_authentication_failures",
                ),
                kinds(
                    "Privileges",
                    "Commands as root, and users that come and go.",
                    "linux_sudo_commands",
                    "linux_sudo_failures",
                    "linux_user_changes",
                ),
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
        )
    ]


def clusters() -> list[Line]:
    """EKS."""
    refused = total(in_range(logged("eks_audit_forbidden_total")), "user", "resource", "log_group")
    return [
        Line(
            8,
            [
                kinds(
                    "Privileges and secrets",
                    "Who gives rights, enters pods, reads secrets.",
                    "eks_audit_anonymous_access",
                    "eks_audit_cluster_admin_bindings",
                    "eks_audit_rbac_changes",
                    "eks_audit_aws_auth_changes",
                    "eks_audit_privileged_pods",
                    "eks_audit_pod_exec",
                    "eks_audit_secret_reads",
                ),
                kinds(
                    "API server",
                    "Requests that were refused, failed or throttled.",
                    "eks_audit_forbidden",
                    "eks_audit_unauthorized",
                    "eks_audit_server_errors",
                    "eks_audit_throttled",
                ),
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
        )
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
                    "Names that do not exist, failures, blocked domains, record types that tunnels"
                    " use.",
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
                    "What the web ACL did with requests.",
                    "waf_requests_total",
                    "action",
                    unit="reqps",
                ),
                split(
                    "Blocked by rule",
                    "The rules of the web ACL that block most.",
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
