"""The packs for logs on public samples: the counts of a few lines of independent Python."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from exporter.configuration import RuleConfig, load
from exporter.model import Increment, LogEvent, Partition
from exporter.rules import RuleSet
from exporter.sources.log_groups import LOG_GROUP
from tests.support.samples import log_files

LOG_PACKS = [
    "api-gateway",
    "eks-audit",
    "http-access",
    "lambda",
    "linux-syslog",
    "rds-mysql",
    "rds-postgresql",
    "route53-resolver",
    "vpc-flow-logs",
    "waf",
]
PACKS_OF_FILE: dict[str, set[str]] = {
    "cloudfront.log": {"http-access"},
    "cloudwatch_getlogevents.jsonl": {"lambda"},
    "elb_access.log": {"http-access"},
    "lambda_messages.jsonl": {"lambda"},
    "mysql_slow_c.log": {"rds-mysql"},
    "rds_mixed.log": {"rds-postgresql"},
    "route53_resolver.jsonl": {"route53-resolver"},
    "s3_server_access.log": {"http-access"},
    "vpc_flow_s3_with_header.log": {"vpc-flow-logs"},
    "vpc_flow_v2.log": {"vpc-flow-logs"},
    "waf.jsonl": {"waf"},
}
MOST_SERIES = 50


def text_of(name: str) -> str:
    """A sample as it is."""
    return next(path for path in log_files() if path.name == name).read_text(encoding="utf-8")


def messages(name: str) -> list[str]:
    """The log events of a sample, as CloudWatch Logs would give them."""
    lines = text_of(name).splitlines()
    if name not in {"lambda_messages.jsonl", "cloudwatch_getlogevents.jsonl"}:
        return lines
    # Some were recorded with their tabs and line ends as two characters.
    found = [str(json.loads(line)["message"]) for line in lines]
    return [message.replace("\\t", "\t").replace("\\n", "\n") for message in found]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> tuple[RuleConfig, ...]:
    """The rules of all packs for logs, listening to one source."""
    path = tmp_path_factory.mktemp("packs") / "config.yaml"
    source = {"name": "logs", "type": "log_groups", "log_groups": ["*"]}
    path.write_text(yaml.safe_dump({"sources": [source], "rule_packs": LOG_PACKS}))
    return load([path]).rules


@pytest.fixture(scope="module")
def counted(rules: tuple[RuleConfig, ...]) -> Mapping[str, list[Increment]]:
    """What all packs make of each sample."""
    rule_set = RuleSet.of(rules)
    partition = Partition("logs", "123456789012", "eu-west-1", resource="/samples", kind=LOG_GROUP)
    return {
        path.name: list(
            rule_set.evaluate(
                [
                    LogEvent(message, 1_700_000_000_000 + number, str(number))
                    for number, message in enumerate(messages(path.name))
                ],
                partition,
                "auto",
            ).increments
        )
        for path in log_files()
    }


Counted = Mapping[str, list[Increment]]


def sums(increments: list[Increment], metric: str, *labels: str) -> dict[tuple[str, ...], float]:
    """What a metric comes to, by the given labels."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for increment in increments:
        if increment.series.metric == metric:
            assert increment.value is not None
            values = dict(increment.series.labels)
            found[tuple(values[name] for name in labels)] += increment.value
    return dict(found)


def number_of(increments: list[Increment], rule: str) -> int:
    return sum(increment.rule == rule for increment in increments)


def test_packs_see_only_the_logs_that_they_are_for(
    counted: Counted, rules: tuple[RuleConfig, ...]
) -> None:
    pack_of = {rule.name: rule.pack for rule in rules}
    seen = {
        name: {pack_of[increment.rule] for increment in increments}
        for name, increments in counted.items()
    }
    assert {name: seen[name] for name in PACKS_OF_FILE} == PACKS_OF_FILE


def test_each_match_has_a_value_and_each_rule_few_series(counted: Counted) -> None:
    series = defaultdict(set)
    for increments in counted.values():
        for increment in increments:
            assert increment.value is not None, increment
            series[increment.rule].add(increment.series)
    assert {rule: len(found) for rule, found in series.items() if len(found) >= MOST_SERIES} == {}


def test_lambda_errors_timeouts_cold_starts_and_durations(counted: Counted) -> None:
    increments = counted["lambda_messages.jsonl"]
    texts = messages("lambda_messages.jsonl")
    reports = [text for text in texts if text.startswith("REPORT ")]

    def total(what: str, factor: float) -> float:
        pattern = re.compile(rf"(?<!Billed )(?<!Init )(?:{what}): ([0-9.]+) (?:ms|MB)")
        found = [pattern.search(text) for text in reports]
        return sum(float(match[1]) * factor for match in found if match)

    assert len(reports) > 5
    assert sums(increments, "lambda_invocations_total") == {(): len(reports)}
    assert sums(increments, "lambda_errors_total") == {
        (): sum(text.startswith("[ERROR]") or "\tERROR\t" in text for text in texts)
    }
    assert sums(increments, "lambda_timeouts_total") == {
        (): sum("Task timed out after" in text for text in texts)
    }
    cold = sum("Init Duration:" in text for text in reports)
    assert cold > 0
    assert sums(increments, "lambda_cold_starts_total") == {(): cold}
    assert number_of(increments, "lambda_init_duration") == cold
    for metric, what, factor in (
        ("lambda_duration_seconds", "Duration", 0.001),
        ("lambda_billed_duration_seconds", "Billed Duration", 0.001),
        ("lambda_init_duration_seconds", "Init Duration", 0.001),
        ("lambda_memory_size_bytes", "Memory Size", 1024 * 1024),
        ("lambda_max_memory_used_bytes", "Max Memory Used", 1024 * 1024),
    ):
        assert sums(increments, metric)[()] == pytest.approx(total(what, factor)), metric


def test_http_requests_by_status(counted: Counted) -> None:
    increments = counted["elb_access.log"]
    fields = [line.split(" ") for line in messages("elb_access.log")]
    classes = Counter((f"{field[8][0]}xx",) for field in fields)
    assert sums(increments, "http_requests_total", "status_class") == classes
    errors = Counter((field[8],) for field in fields if field[8][0] == "4")
    assert sums(increments, "http_client_errors_total", "status") == errors
    assert sums(increments, "http_server_errors_total", "status") == {}
    assert sums(increments, "http_response_bytes_total")[()] == sum(int(f[11]) for f in fields)
    durations = [float(field[6]) for field in fields if float(field[6]) >= 0]
    assert number_of(increments, "http_alb_target_duration") == len(durations)
    assert sums(increments, "http_target_response_duration_seconds")[()] == pytest.approx(
        sum(durations)
    )


@pytest.mark.parametrize(("name", "status"), [("cloudfront.log", 8), ("s3_server_access.log", 10)])
def test_requests_of_cloudfront_and_s3_by_status(counted: Counted, name: str, status: int) -> None:
    lines = [re.sub(r'"[^"]*"', "-", line).split() for line in text_of(name).splitlines()]
    wanted = Counter(
        f"{fields[status][0]}xx" for fields in lines if fields and not fields[0].startswith("#")
    )
    assert sums(counted[name], "http_requests_total", "status_class") == {
        (status_class,): number for status_class, number in wanted.items()
    }


def port_class(port: int) -> str:
    ports = {
        "web": {80, 443, 8080, 8443},
        "remote_admin": {22, 23, 3389, 5985, 5986},
        "database": {1433, 1521, 3306, 5432, 6379, 9200, 11211, 27017},
        "dns": {53},
    }
    found = [name for name, members in ports.items() if port in members]
    return found[0] if found else "ephemeral" if port >= 32768 else "other"


@pytest.mark.parametrize("name", ["vpc_flow_v2.log", "vpc_flow_s3_with_header.log"])
def test_vpc_flows_by_action(counted: Counted, name: str) -> None:
    increments = counted[name]
    flows = [line.split() for line in messages(name) if line.split()[-1] == "OK"]
    for action, metric in (("ACCEPT", "accepts"), ("REJECT", "rejects")):
        protocols = Counter((flow[7],) for flow in flows if flow[12] == action)
        assert sums(increments, f"vpc_flow_{metric}_total", "protocol") == protocols
    sizes: dict[tuple[str, ...], float] = defaultdict(float)
    for flow in flows:
        sizes[flow[12], port_class(int(flow[6]))] += int(flow[9])
    assert sums(increments, "vpc_flow_bytes_total", "action", "port_class") == sizes


def test_mysql_slow_queries(counted: Counted) -> None:
    increments = counted["mysql_slow_c.log"]
    text = text_of("mysql_slow_c.log")
    times = [float(time) for time in re.findall(r"^# Query_time: ([0-9.]+)", text, re.MULTILINE)]
    assert len(times) > 50
    assert sums(increments, "rds_mysql_slow_queries_total") == {(): len(times)}
    assert number_of(increments, "rds_mysql_slow_query_duration") == len(times)
    assert sums(increments, "rds_mysql_slow_query_duration_seconds")[()] == pytest.approx(
        sum(times)
    )


def test_postgresql_errors(counted: Counted) -> None:
    lines = messages("rds_mixed.log")
    errors = sum(re.match(r"\S+ \S+ UTC:.*?:\[\d+\]:ERROR:", line) is not None for line in lines)
    assert errors > 100
    assert sums(counted["rds_mixed.log"], "rds_postgresql_errors_total", "level") == {
        ("error",): errors
    }


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in messages(name)]


def test_resolver_queries_by_answer(counted: Counted) -> None:
    increments = counted["route53_resolver.jsonl"]
    queries = records("route53_resolver.jsonl")
    assert sums(increments, "route53_resolver_queries_total", "rcode", "query_type") == Counter(
        (query["rcode"], query["query_type"]) for query in queries
    )
    alerts = sum(query.get("firewall_rule_action") == "ALERT" for query in queries)
    assert alerts > 0
    assert number_of(increments, "route53_resolver_firewall_alerts") == alerts


def test_waf_requests_by_action_and_country(counted: Counted) -> None:
    increments = counted["waf.jsonl"]
    requests = records("waf.jsonl")
    assert sums(increments, "waf_requests_total", "action", "application") == Counter(
        (request["action"], request["httpSourceName"]) for request in requests
    )
    assert sums(increments, "waf_requests_by_country_total", "country") == Counter(
        (request["httpRequest"]["country"],) for request in requests
    )
    blocked = sum(request["action"] == "BLOCK" for request in requests)
    assert number_of(increments, "waf_blocks") == blocked
