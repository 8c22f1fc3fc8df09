"""Log groups of linked accounts and centralized ones count exactly, as those of their owners."""

from __future__ import annotations

from collections.abc import Callable

from metric_filter_demo.aws import DEFAULT_ACCOUNT
from metric_filter_demo.faults import Faults
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

EAST, WEST = "us-east-1", "eu-west-1"
A, B = "111122223333", "444455556666"
COPIED = f"{B}/{WEST}//app"
SHORT = {"type": "log_groups", "interval": "1s", "lookback": "30s", "discovery_interval": "1s"}
SOURCES = [
    {
        **{"name": "linked", "tags": {"team": "shop"}, "include_linked_accounts": True},
        **{"exclude": ["*debug*"], **SHORT},
    },
    {
        **{"name": "central", "log_groups": [f"{B}/*"]},
        **{"identity": "${source.accountId}/${source.region}/${source.logGroup}", **SHORT},
    },
]
RULES = [
    {"name": "errors", "pattern": "ERROR", "metric": "errors_total"},
    {
        "filterName": "selected",
        "filterPattern": "ERROR",
        "fieldSelectionCriteria": f'@aws.account = "{B}" AND @aws.region = "{WEST}"',
        "metricTransformations": [
            {"metricName": "selected", "metricNamespace": "n", "metricValue": "1"}
        ],
    },
]

MakeExporter = Callable[..., Exporter]


def counted(exporter: Exporter, metric: str) -> dict[tuple[str, str, str], float]:
    series = exporter.scrape().series(metric)
    return {
        (labels["account_id"], labels["region"], labels["log_group"]): value
        for labels, value in ((dict(one), series[one]) for one in series)
        if value
    }


def test_they_count_exactly_through_a_crash_and_a_denied_listing(
    aws: RecordingAws, make_exporter: MakeExporter
) -> None:
    groups = [(DEFAULT_ACCOUNT, "/own"), (A, "/theirs"), (A, "/debug"), (A, "/untagged")]
    for account, name in groups:
        tags = {} if name == "/untagged" else {"team": "shop"}
        aws.log_group_create(EAST, name, account, tags=tags)
    aws.log_group_create(EAST, COPIED)
    aws.log_group_lists.link(A, monitoring=DEFAULT_ACCOUNT)
    written = [*groups, (DEFAULT_ACCOUNT, COPIED)]
    exporter = make_exporter({"sources": SOURCES, "rules": RULES})

    def write(times: int) -> None:
        for number, (account, name) in enumerate(written, 1):
            for _ in range(number * times):
                aws.put_log_event(EAST, name, "ERROR", account=account)

    def expected(times: int) -> dict[tuple[str, str, str], float]:
        return {
            (DEFAULT_ACCOUNT, EAST, "/own"): times,
            (A, EAST, "/theirs"): 2 * times,
            (B, WEST, "/app"): 5 * times,
        }

    with exporter:
        exporter.wait_until_ready()
        write(1)
        wait_for("the first", lambda: counted(exporter, "errors_total") == expected(1))
        aws.faults = Faults(denied={EAST: ["ListLogGroups", "DescribeLogGroups"]})
        denied = "logs:ListLogGroups"
        wait_for("the denied listing", lambda: denied in exporter.get("/").text)
        write(1)
        wait_for("those known", lambda: counted(exporter, "errors_total") == expected(2))
        exporter.kill()
        write(1)
        exporter.start()
        exporter.wait_until_listening()
        wait_for("the denied listing", lambda: denied in exporter.get("/").text)
        aws.faults = Faults()
        wait_for("all of them", lambda: counted(exporter, "errors_total") == expected(3))
        assert counted(exporter, "n_selected_total") == {(B, WEST, "/app"): 15}
        # From when it got the tag on.
        aws.log_group_tag(EAST, "/untagged", A, tags={"team": "shop"})
        is_read = "metric_filter_exporter_partition_last_success_timestamp_seconds"
        wait_for(
            "the one with a new tag",
            lambda: exporter.scrape().series(is_read, log_group="/untagged"),
        )
        assert counted(exporter, "errors_total") == expected(3)
        assert "Traceback" not in exporter.logs()
        assert exporter.terminate() == 0
