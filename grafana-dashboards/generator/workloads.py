"""The sections of the logs dashboard for containers, workflows and network appliances."""

from __future__ import annotations

from generator import style
from generator.layout import Line
from generator.log_rules import durations, kinds, speed, split
from generator.panels import color_by_name


def network_firewall() -> list[Line]:
    """AWS Network Firewall."""
    return [
        Line(
            8,
            [
                color_by_name(
                    speed(
                        "Firewall alerts by action",
                        "Alert records a second: traffic that a rule let pass or blocked.",
                        "network_firewall_alerts_total",
                        "action",
                    ),
                    {"allowed": style.YELLOW, "blocked": style.RED},
                ),
                split(
                    "Blocked by signature",
                    "The signatures that block the most packets.",
                    "network_firewall_blocks_total",
                    "signature",
                ),
                kinds(
                    "Threats and certificates",
                    "Alerts of the highest severity, and errors of TLS inspection.",
                    "network_firewall_threats",
                    "network_firewall_tls_errors",
                    "network_firewall_revoked_certificates",
                ),
                speed(
                    "Traffic by application protocol",
                    "Bytes of flow records.",
                    "network_firewall_bytes_total",
                    "application",
                    unit="Bps",
                ),
            ],
        )
    ]


def load_balancers() -> list[Line]:
    """Network Load Balancers."""
    return [
        Line(
            8,
            [
                speed(
                    "TLS connections by version",
                    "Connections that ended, by protocol version.",
                    "nlb_tls_connections_total",
                    "protocol",
                ),
                kinds(
                    "Handshakes to look at",
                    "Handshakes that failed, TLS alerts of clients, and old protocol versions.",
                    "nlb_tls_handshakes_failed",
                    "nlb_tls_alerts",
                    "nlb_old_tls_connections",
                ),
                durations(
                    "TLS handshakes take",
                    "From the TCP connection to the completed handshake.",
                    "nlb_handshake_duration_seconds",
                    "load_balancer",
                ),
            ],
        )
    ]


def containers() -> list[Line]:
    """ECS."""
    return [
        Line(
            8,
            [
                split(
                    "Tasks that stopped",
                    "By stop code: EssentialContainerExited may be a job that ended well.",
                    "ecs_tasks_stopped_total",
                    "stop_code",
                ),
                kinds(
                    "Tasks and services in trouble",
                    "Tasks that failed, and services with errors.",
                    "ecs_tasks_failed",
                    "ecs_tasks_not_started",
                    "ecs_out_of_memory",
                    "ecs_health_checks_failed",
                    "ecs_deployments_failed",
                    "ecs_service_events",
                    "ecs_spot_interruptions",
                ),
            ],
        )
    ]


def workflows() -> list[Line]:
    """Step Functions."""
    return [
        Line(
            8,
            [
                kinds(
                    "Executions",
                    "Starts and successes need the log level ALL.",
                    "step_functions_executions_started",
                    "step_functions_executions_succeeded",
                    "step_functions_executions_failed",
                    "step_functions_executions_timed_out",
                    "step_functions_executions_aborted",
                ),
                split(
                    "Failed executions by state machine",
                    "The state machines that fail the most.",
                    "step_functions_executions_failed_total",
                    "state_machine",
                ),
            ],
        )
    ]


def embedded_metrics() -> list[Line]:
    """The embedded metric format."""
    return [
        Line(
            8,
            [
                speed(
                    "Records by namespace",
                    "Records with embedded metrics.",
                    "emf_records_total",
                    "namespace",
                ),
                split(
                    "Cold starts by service",
                    "Reported by Powertools for AWS Lambda.",
                    "emf_powertools_cold_starts_total",
                    "service",
                ),
                durations(
                    "Invocations take (Lambda Insights)",
                    "95 of 100 invocations are faster than this.",
                    "emf_lambda_insights_duration_seconds",
                    "function",
                ),
            ],
        )
    ]
