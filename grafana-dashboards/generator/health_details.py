"""The lower sections of Exporter health and cost: AWS APIs, rules, process."""

from __future__ import annotations

from functools import partial
from typing import Final

from grafana_foundation_sdk.builders import timeseries

from generator import style
from generator.layout import Line
from generator.panels import Query, bars, graph, ranking
from generator.queries import (
    PARTITION,
    events_of_process,
    matches_of_rules,
    own,
    per_second,
    quantile,
    select,
    top,
    total,
)
from generator.tables import Column, listing

_QUOTA: Final = "account_id, region, operation"


def api() -> list[Line]:
    """Requests, quotas, throttling."""
    requests = own("api_requests_total")
    succeeded = own("api_requests_total", 'outcome="success"')
    per_operation = "operation"
    return [
        Line(
            8,
            [
                graph(
                    "Requests",
                    "Requests to AWS APIs, retries included.",
                    Query(total(per_second(requests), per_operation), "{{operation}}"),
                    unit="reqps",
                    stacked=True,
                ),
                graph(
                    "Share of the quota",
                    "Requests as a share of those that the exporter may make: AWS's quota for the"
                    " account and region, less while AWS throttles, or the part that `budget`"
                    " leaves. Requests of other tools are not included.",
                    Query(
                        f"max by ({_QUOTA}) ({own('api_quota_used_ratio')})",
                        "{{operation}} {{account_id}} {{region}}",
                    ),
                    unit="percentunit",
                    decimals=0,
                    soft_max=1,
                ),
                graph(
                    "Throttled and failed requests",
                    "Throttled: over the quota, retried. Failed: all other refusals "
                    "of AWS, mostly for missing permissions.",
                    Query(
                        total(per_second(own("api_throttles_total")), per_operation),
                        "throttled {{operation}}",
                    ),
                    Query(
                        f"clamp_min({total(per_second(requests), per_operation)} - on (operation)"
                        f" {total(per_second(succeeded), per_operation)}, 0)",
                        "not successful {{operation}}",
                    ),
                    unit="reqps",
                ),
            ],
        ),
        *budgets(),
    ]


def budgets() -> list[Line]:
    """Whether the scheduled reads fit into the quotas, and what requests are for."""
    requests = per_second(own("source_api_requests_total"))
    return [
        Line(
            8,
            [
                graph(
                    "Requests by reason",
                    "Why requests are made. fresh: events that were not read yet. reread: the past"
                    " again, for late events. backlog: left by a stop or an outage. backfill: the"
                    " past for a new rule. discovery: the search for accounts and log groups.",
                    Query(total(requests, "reason"), "{{reason}}"),
                    unit="reqps",
                    stacked=True,
                ),
                _needed(
                    "Needed share of the quota",
                    "Share of the allowed requests that the scheduled reads need, of the fullest"
                    " quotas. Above 100 %, re-reads are thinned out.",
                    "api_quota_needed_ratio",
                ),
                _needed(
                    "Least needed share",
                    "The same with all re-reads left out that can be. Above 100 %, all partitions"
                    " of the account and region are read later than configured.",
                    "api_quota_least_needed_ratio",
                ),
                graph(
                    "Bytes read by reason",
                    "Size of the log events read, by why they were read.",
                    Query(
                        total(per_second(own("source_read_bytes_total")), "reason"), "{{reason}}"
                    ),
                    unit="Bps",
                    stacked=True,
                ),
            ],
        )
    ]


def _needed(title: str, description: str, metric: str) -> timeseries.Panel:
    """A graph of a share of the quotas that need the most."""
    return graph(
        title,
        description,
        Query(
            top(5, f"max by ({_QUOTA}) ({own(metric)})"),
            "{{operation}} {{account_id}} {{region}}",
        ),
        unit="percentunit",
        decimals=0,
        limit=1,
        soft_max=1,
    )


def rules() -> list[Line]:
    """Events read, counted, lost."""
    read = per_second(own("log_events_read_total"))
    counted = per_second(own("arrival_delay_seconds_count"))
    lost = {
        "too late": partial(_of_partitions, "late_events_total"),
        "not decodable": partial(_of_partitions, "undecodable_events_total"),
        "value errors": partial(_of_rules, "value_errors_total"),
        "overflowed": partial(_of_rules, "series_overflow_total"),
        "read by no pack": partial(_of_process, "pack_unrecognized_lines_total"),
    }
    return [
        Line(
            8,
            [
                graph(
                    "Log events read",
                    "Log events that sources returned, each time that they were read.",
                    Query(total(read, "source"), "{{source}}"),
                    unit="cps",
                    stacked=True,
                ),
                graph(
                    "Bytes read",
                    "Size of the log events read.",
                    Query(total(per_second(own("read_bytes_total")), "source"), "{{source}}"),
                    unit="Bps",
                    stacked=True,
                ),
                graph(
                    "Reads for each log event counted",
                    "The past is read again at growing ages, to find late events, and"
                    " most events match nothing. A high number with few matches is "
                    "normal; a growing one costs requests.",
                    Query(
                        f"{total(read, 'source')} / on (source) ({total(counted, 'source')} > 0)",
                        "{{source}}",
                    ),
                    decimals=1,
                ),
            ],
        ),
        Line(
            8,
            [
                graph(
                    "Matches",
                    "Log events that rules counted, by source.",
                    Query(total(per_second(own("matches_total")), "source"), "{{source}}"),
                    unit="cps",
                    stacked=True,
                ),
                ranking(
                    "Series in use, share of the limit",
                    "Label sets of the fullest rules in an account, as a share of max_series. "
                    "Matches above it are counted without unbounded labels.",
                    Query(
                        "sort_desc("
                        + top(
                            10,
                            f"max by (rule) ({own('fullest_account_series')}"
                            f" / {own('series_limit')})",
                        )
                        + ")",
                        "{{rule}}",
                    ),
                    unit="percentunit",
                    decimals=1,
                    steps=((None, style.GREEN), (0.8, style.ORANGE), (1, style.RED)),
                    maximum=1,
                ),
                graph(
                    "Events not counted properly",
                    "Too late: later than the lookback. Not decodable: not a log "
                    "event. Value errors: the value is not a number. Overflowed: "
                    "counted without unbounded labels.",
                    *(bars(counting, name) for name, counting in lost.items()),
                    bars=True,
                ),
            ],
        ),
    ]


def _of_rules(metric: str, *, window: str, at: str = "") -> str:
    return total(matches_of_rules(window, at=at, metric=metric))


def _of_partitions(metric: str, *, window: str, at: str = "") -> str:
    return total(events_of_process(metric, *PARTITION, window=window, at=at))


def _of_process(metric: str, *labels: str, window: str, at: str = "") -> str:
    return total(events_of_process(metric, *labels, window=window, at=at), *labels)


def process() -> list[Line]:
    """Ledger, CPU, memory, versions."""
    commits = own("ledger_commit_duration_seconds_bucket")
    slow = (0.5, 0.9, 0.99)
    return [
        Line(
            7,
            [
                graph(
                    "Ledger commits",
                    "Time to write a poll's matches and positions to disk.",
                    *(
                        Query(quantile(share, per_second(commits)), f"p{share * 100:.0f}")
                        for share in slow
                    ),
                    unit="s",
                ),
                graph(
                    "Ledger errors",
                    "Operations of the ledger that failed: a full or broken disk. "
                    "Meanwhile nothing is counted, and nothing is lost. Also shows "
                    "how often its files were removed or replaced, and written again, "
                    "and how many commits were refused because another process had committed.",
                    bars(partial(_of_process, "ledger_errors_total", "operation"), "{{operation}}"),
                    bars(
                        partial(_of_process, "ledger_files_lost_total"),
                        "files removed or replaced",
                    ),
                    bars(
                        partial(_of_process, "fenced_commits_total", "source"),
                        "commits of {{source}} refused",
                    ),
                    bars=True,
                ),
                graph(
                    "Ledger size",
                    "Size of the ledger's files, and free space of their volume. The size stays "
                    "the same once remembered events expire as fast as new ones match.",
                    Query(total(own("ledger_size_bytes"), "instance"), "ledger of {{instance}}"),
                    Query(
                        total(own("ledger_volume_free_bytes"), "instance"), "free on {{instance}}"
                    ),
                    unit="bytes",
                ),
            ],
        ),
        Line(
            6,
            [
                graph(
                    "CPU",
                    "Cores in use.",
                    Query(
                        f"sum by (instance) ({per_second(select('process_cpu_seconds_total'))})",
                        "{{instance}}",
                    ),
                    decimals=2,
                ),
                graph(
                    "Memory",
                    "Resident memory of the process.",
                    Query(
                        f"sum by (instance) ({select('process_resident_memory_bytes')})",
                        "{{instance}}",
                    ),
                    unit="bytes",
                ),
                graph(
                    "Series on the page",
                    "Samples of a scrape.",
                    Query(
                        f"sum by (instance) ({select('scrape_samples_scraped')})", "{{instance}}"
                    ),
                ),
                graph(
                    "Scrape duration",
                    "Duration of Prometheus's scrapes.",
                    Query(
                        f"max by (instance) ({select('scrape_duration_seconds')})", "{{instance}}"
                    ),
                    unit="s",
                ),
            ],
        ),
        Line(
            5,
            [
                listing(
                    "Versions",
                    "Version, start time, time of the last configuration load, and "
                    "age of the ledger.",
                    [
                        f"max by (instance, version, python_version) ({own('build_info')})",
                        f"max by (instance) ({select('process_start_time_seconds')}) * 1000",
                        "max by (instance) ("
                        + own("config_last_reload_success_timestamp_seconds")
                        + ") * 1000",
                        "max by (instance) ("
                        + own("ledger_created_timestamp_seconds")
                        + ") * 1000",
                    ],
                    [
                        Column("instance", "Instance"),
                        Column("version", "Version", width=70),
                        Column("python_version", "Python", width=70),
                        Column("Value #B", "Runs since", unit="dateTimeFromNow", width=105),
                        Column("Value #C", "Configuration", unit="dateTimeFromNow", width=105),
                        Column("Value #D", "Ledger", unit="dateTimeFromNow", width=105),
                    ],
                ),
            ],
        ),
    ]
