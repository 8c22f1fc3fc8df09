"""Exporter health and cost: completeness, timeliness, resource usage."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from generator import cost, links, style
from generator import health_details as details
from generator.board import dashboard
from generator.layout import Line, Section
from generator.panels import Query, graph, heat, number
from generator.queries import (
    in_range,
    own,
    per_interval,
    per_second,
    quantile,
    select,
    total,
)
from generator.tables import Column, listing

_STALE: Final = own("partition_last_success_timestamp_seconds")
_READ_UP_TO: Final = own("partition_read_up_to_timestamp_seconds")
_INTERVAL: Final = own("source_interval_seconds")
_LOOKBACK: Final = own("source_lookback_seconds")
_ARRIVAL: Final = own("arrival_delay_seconds_bucket")
_OF_SOURCE: Final = "on (job, instance, source) group_left"

_UP: Final = style.texts({"0": ("down", style.RED), "1": ("up", style.GREEN)})
_RELOADED: Final = style.texts({"0": ("failed", style.RED), "1": ("ok", style.GREEN)})


def build() -> Dashboard:
    """The dashboard."""
    return dashboard(
        "Health and cost",
        uid=links.HEALTH,
        description="Whether the exporter reads everything, in time and within AWS's quotas, and "
        "its cost.",
        blocks=[
            *_now(),
            Section("Sources: is everything read, and in time?", _sources()),
            Section("AWS APIs: how close to the quotas?", details.api()),
            Section("Rules: is everything counted?", details.rules()),
            Section("Ledger and process", details.process()),
            Section("Cost (estimates)", cost.lines()),
        ],
        alerts='ALERTS{alertname=~"MetricFilterExporter.+", alertstate="firing"}',
        variables=cost.variables(),
        period="now-6h",
    )


def _now() -> list[Line]:
    return [
        Line(
            4,
            [
                number(
                    "Exporters down",
                    "Targets that Prometheus cannot scrape. While an exporter is down"
                    " it counts nothing; when it is back it catches up.",
                    f"sum(1 - {select('up')})",
                    steps=style.ANY_IS_BAD,
                    loud=True,
                    link=links.runbook("MetricFilterExporterDown"),
                ),
                number(
                    "Partitions failing",
                    "Parts of sources (an account and region, a log group, a file) whose last poll"
                    " failed.",
                    f"sum(1 - {own('partition_up')})",
                    steps=style.ANY_IS_BAD,
                    loud=True,
                    link=links.runbook("MetricFilterExporterPartitionFailing"),
                ),
                number(
                    "Longest wait",
                    "Time since the last successful poll of the partition that has "
                    "waited longest, in intervals of its source. Above 10 an alert "
                    "fires.",
                    f"max((time() - {_STALE}) / {_OF_SOURCE} {_INTERVAL})",
                    decimals=1,
                    steps=((None, style.GREEN), (3, style.YELLOW), (10, style.RED)),
                    link=links.runbook("MetricFilterExporterPartitionStale"),
                ),
                number(
                    "Delay (p99)",
                    "Time from a log event to its count, for 99 of 100 events in the "
                    "time range. Most of it is AWS's own delay.",
                    quantile(0.99, in_range(_ARRIVAL)),
                    unit="s",
                    decimals=None,
                    steps=((None, style.GREEN), (900, style.YELLOW), (1800, style.RED)),
                    link=links.runbook("MetricFilterExporterArrivalDelayHigh"),
                ),
                number(
                    "Came too late",
                    "Log events in the time range that arrived later than the "
                    "source's lookback. They are not counted; a longer lookback would"
                    " include them.",
                    total(in_range(own("late_events_total"))),
                    steps=style.ANY_IS_BAD,
                    link=links.runbook("MetricFilterExporterLateEvents"),
                ),
                number(
                    "Throttled",
                    "Requests in the time range that AWS throttled. They are retried;"
                    " the only effect is a delay.",
                    total(in_range(own("api_throttles_total"))),
                    steps=style.ANY_IS_A_WARNING,
                    link=links.runbook("MetricFilterExporterThrottled"),
                ),
                number(
                    "Overflowed",
                    "Matches in the time range above a rule's max_series: counted, "
                    "but without their labels.",
                    total(in_range(own("series_overflow_total"))),
                    steps=style.ANY_IS_A_WARNING,
                    link=links.runbook("MetricFilterExporterSeriesOverflow"),
                ),
                number(
                    "Configuration",
                    "Whether the last load of the configuration succeeded. After a "
                    "failed load the previous configuration stays active.",
                    f"min({own('config_last_reload_successful')})",
                    mapping=_RELOADED,
                    steps=((None, style.RED), (1, style.GREEN)),
                    link=links.runbook("MetricFilterExporterConfigReloadFailed"),
                ),
            ],
        )
    ]


def _sources() -> list[Line]:
    by = "source, account_id, region, log_group, queue, path"
    delays = [
        Query(quantile(0.99, per_second(_ARRIVAL), "source"), "p99 {{source}}"),
        Query(quantile(0.5, per_second(_ARRIVAL)), "median of all", color=style.GREY),
        Query(f"max by (source) ({_LOOKBACK})", "lookback {{source}}", dashed=True),
    ]
    polls = per_second(own("poll_duration_seconds_sum"))
    return [
        Line(
            9,
            [
                listing(
                    "Partitions",
                    "Every partition: the time of its last successful poll, and the "
                    "age of the oldest unread events.",
                    [
                        f"min by ({by}) ({own('partition_up')})",
                        f"max by ({by}) (time() - {_STALE})",
                        f"max by ({by}) (time() - {_READ_UP_TO})",
                    ],
                    [
                        Column("source", "Source", width=120),
                        Column("account_id", "Account", width=125),
                        Column("region", "Region", width=105),
                        Column("log_group", "Log group"),
                        Column("queue", "Queue"),
                        Column("path", "Path"),
                        Column("Value #A", "State", width=70, mapping=_UP),
                        Column("Value #B", "Last success", unit="s", decimals=0, width=110),
                        Column("Value #C", "Unread since", unit="s", decimals=0, width=110),
                    ],
                    sort_by=["-Last success"],
                ),
                graph(
                    "Time since the last successful poll",
                    "For the partition of each source that has waited longest, in "
                    "intervals of the source. If it rises steadily, the partition is "
                    "not read: see its log lines.",
                    Query(
                        f"max by (source) ((time() - {_STALE}) / {_OF_SOURCE} {_INTERVAL})",
                        "{{source}}",
                    ),
                    decimals=1,
                    limit=10,
                ),
            ],
        ),
        Line(
            7,
            [
                graph(
                    "Read load",
                    "Time that the scheduled reads take, as a share of the interval: the"
                    " fullest partition of each source. Re-reads are thinned out above 90 %;"
                    " above 100 % the partition falls behind.",
                    Query(f"max by (source) ({own('partition_read_load_ratio')})", "{{source}}"),
                    unit="percentunit",
                    decimals=0,
                    limit=1,
                    soft_max=1,
                ),
                graph(
                    "Re-read factor",
                    "Growth of the ages at which events are read again: 1.5, or more while"
                    " re-reads are thinned out. Counts stay exact; late events are counted later.",
                    Query(f"max by (source) ({own('partition_reread_factor')})", "{{source}}"),
                    decimals=1,
                ),
            ],
        ),
        Line(
            7,
            [
                graph(
                    "Plans",
                    "Partitions by how they are read: everything, or only the events that the rules"
                    " can count. The status page says why.",
                    Query(
                        f"count by (source, plan) ({own('partition_plan_requests')})",
                        "{{source}} {{plan}}",
                    ),
                    decimals=0,
                ),
                graph(
                    "Requests that AWS refused",
                    "Requests for some of the log events that AWS did not accept. All log events of"
                    " the partition are read instead, and a log line names the pattern.",
                    Query(total(per_second(own("refused_requests_total")), "source"), "{{source}}"),
                ),
            ],
        ),
        Line(
            7,
            [
                graph(
                    "Oldest message",
                    "Age of the oldest message that was last received from the queue of each"
                    " source. If it rises, more comes than is read.",
                    Query(
                        f"max by (source) ({own('queue_oldest_message_age_seconds')})", "{{source}}"
                    ),
                    unit="s",
                ),
                graph(
                    "Messages of queues",
                    "Messages that were read and deleted, and unreadable ones, which are left to"
                    " the queue's redrive policy.",
                    Query(
                        total(per_second(own("queue_messages_total")), "source", "outcome"),
                        "{{source}} {{outcome}}",
                    ),
                    decimals=1,
                ),
            ],
        ),
        Line(
            7,
            [
                graph(
                    "Backlog",
                    "Objects of a trail, or messages of a queue, that are known and were not read"
                    " yet. After a stop it falls; if it rises steadily, more comes than is read.",
                    Query(total(own("partition_backlog_objects"), "source"), "{{source}}"),
                    decimals=0,
                ),
                graph(
                    "Objects",
                    "Objects by how their reading ended: read, failed, failed again, or given up"
                    " after the lookback. Damaged ones count up to the damage, and have failed.",
                    Query(
                        total(per_second(own("objects_total")), "source", "outcome"),
                        "{{source}} {{outcome}}",
                    ),
                    decimals=1,
                ),
                graph(
                    "Requests to S3 and SQS",
                    "Requests for objects and messages, retries included. Both services charge by"
                    " request.",
                    Query(
                        total(
                            per_second(own("api_requests_total", 'service=~"s3|sqs"')), "operation"
                        ),
                        "{{operation}}",
                    ),
                    unit="reqps",
                    stacked=True,
                ),
            ],
        ),
        Line(
            9,
            [
                heat(
                    "Arrival delay",
                    "Delay from a log event to its count; darker means more events. "
                    "CloudTrail's event history takes 2 to 15 minutes in AWS.",
                    total(per_interval(_ARRIVAL), "le"),
                    unit="s",
                ),
                graph(
                    "Arrival delay and lookback",
                    "99th percentile by source, and the median of all. Events later "
                    "than the dashed line, the lookback, are not counted.",
                    *delays,
                    unit="s",
                    log=True,
                ),
                graph(
                    "Poll duration",
                    "Mean duration of a poll, in intervals of its source. At 1, polls"
                    " take as long as the interval and begin to lag.",
                    Query(
                        f"sum by (source) ({polls})"
                        f" / sum by (source) ({per_second(own('poll_duration_seconds_count'))})"
                        f" / on (source) max by (source) ({_INTERVAL})",
                        "{{source}}",
                    ),
                    unit="percentunit",
                    limit=1,
                ),
            ],
        ),
    ]
