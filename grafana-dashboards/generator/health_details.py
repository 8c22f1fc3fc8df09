"""The lower sections of Exporter health and cost: AWS APIs, rules, process."""

from __future__ import annotations

from functools import partial

from boto3 import Session

from exporter.aws import quotas
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
                    "Share of AWS's quota",
                    "Requests as a share of AWS's published quota for the account and"
                    " region. Requests of other tools in the account use the same "
                    "quota and are not included.",
                    Query(quota_shares(), "{{operation}} {{region}}"),
                    unit="percentunit",
                    decimals=0,
                    limit=0.8,
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
        )
    ]


def quota_shares() -> str:
    """Requests of each operation as a share of AWS's published quota for the account and region."""
    return " or ".join(
        _share(operation, matchers, quota)
        for operation in ("LookupEvents", "FilterLogEvents", "DescribeLogGroups")
        for matchers, quota in _quotas(operation)
    )


def _quotas(operation: str) -> list[tuple[list[str], int]]:
    usual = quotas.published_quota(operation, "")
    regions: dict[int, list[str]] = {}
    for region in Session().get_available_regions("logs"):
        quota = quotas.published_quota(operation, region)
        if quota is not None and quota != usual:
            regions.setdefault(quota, []).append(region)
    found = [([f'region=~"{"|".join(names)}"'], quota) for quota, names in regions.items()]
    unusual = "|".join(name for names in regions.values() for name in names)
    rest = [f'region!~"{unusual}"'] if unusual else []
    return [*found, (rest, usual)] if usual is not None else found


def _share(operation: str, matchers: list[str], quota: int) -> str:
    selector = own("api_requests_total", f'operation="{operation}"', *matchers)
    return f"{total(per_second(selector), 'account_id', 'region', 'operation')} / {quota}"


def rules() -> list[Line]:
    """Events read, counted, lost."""
    read = per_second(own("log_events_read_total"))
    counted = per_second(own("arrival_delay_seconds_count"))
    lost = {
        "too late": partial(_of_partitions, "late_events_total"),
        "not decodable": partial(_of_partitions, "undecodable_events_total"),
        "value errors": partial(_of_rules, "value_errors_total"),
        "overflowed": partial(_of_rules, "series_overflow_total"),
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
