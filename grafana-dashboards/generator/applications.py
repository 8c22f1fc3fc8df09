"""The sections of the logs dashboard for applications: functions, web, databases."""

from __future__ import annotations

from typing import Final

from generator.layout import Line
from generator.log_rules import CLASSES, durations, kinds, logged, share, speed, split
from generator.panels import Query, color_by_name, graph
from generator.queries import per_second, total

_5XX: Final = 'status_class="5xx"'
_FAILURES: Final = (
    "lambda_errors_total",
    "lambda_timeouts_total",
    "lambda_out_of_memory_total",
    "lambda_crashes_total",
)


def functions() -> list[Line]:
    """Lambda."""
    failing = share(_FAILURES, "lambda_invocations_total", "log_group")
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
                    "Share of invocations that fail, at most",
                    "Errors, timeouts, exhausted memory and crashes, for each invocation. One that"
                    " logs several errors counts several times, so fewer may have failed; the share"
                    " ends at 100 %.",
                    Query(
                        f"clamp_max({failing}, 1)",
                        "{{log_group}}",
                    ),
                    unit="percentunit",
                    limit=0.05,
                    legend=("mean", "max"),
                ),
                kinds(
                    "Failures by kind",
                    "Failures of all functions.",
                    "lambda_errors",
                    "lambda_timeouts",
                    "lambda_out_of_memory",
                    "lambda_crashes",
                ),
            ],
            widths=(7, 7, 10),
        ),
        Line(
            8,
            [
                durations(
                    "Duration",
                    "95 of 100 invocations are faster than this. Near the function's "
                    "timeout, invocations are about to fail.",
                    "lambda_duration_seconds",
                ),
                graph(
                    "Memory used, share of the size",
                    "Mean of the highest memory use of invocations, as a share of the"
                    " billed memory. Far below 100 %, the function may be too large.",
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
                    "Response time of the targets of application load balancers. "
                    "Other access logs do not contain it.",
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
            ],
        ),
        Line(
            8,
            [
                durations(
                    "Latency by route",
                    "From the request to the response, including the integration.",
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
        ),
    ]


def databases() -> list[Line]:
    """RDS for MySQL and PostgreSQL."""
    return [
        Line(
            8,
            [
                kinds(
                    "MySQL",
                    "Events of the error log, the slow query log and the audit log.",
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
                    "Other events in the log.",
                    "rds_postgresql_slow_queries",
                    "rds_postgresql_deadlocks",
                    "rds_postgresql_lock_waits",
                    "rds_postgresql_failed_logins",
                    "rds_postgresql_connection_limits",
                    "rds_postgresql_statement_timeouts",
                    "rds_postgresql_storage_full",
                ),
            ],
            widths=(9, 6, 9),
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
                    "Duration of the statements whose duration is logged.",
                    "rds_postgresql_slow_query_duration_seconds",
                ),
                speed(
                    "PostgreSQL: temporary files",
                    "Bytes that sorts and hashes write to disk because work_mem is too small.",
                    "rds_postgresql_temporary_file_bytes_total",
                    "log_group",
                    unit="Bps",
                ),
            ],
        ),
    ]
