"""Sources: what may be written, what it comes to, and what is refused."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from exporter.configuration import check, load
from exporter.sources import SourceConfig
from exporter.sources.event_history import EventHistoryConfig
from exporter.sources.files import FilesConfig
from exporter.sources.log_groups import LogGroupsConfig
from exporter.sources.trail_bucket import TrailBucketConfig

RULES = "rules:\n  - {name: everything, pattern: ''}\n"


def load_source(folder: Path, text: str) -> SourceConfig:
    path = folder / "config.yaml"
    path.write_text(f"sources:\n  -\n{indent(dedent(text), '    ')}\n{RULES}")
    (source,) = load([path]).sources
    return source


def errors_of(folder: Path, text: str) -> list[str]:
    path = folder / "config.yaml"
    path.write_text(f"sources:\n  -\n{indent(dedent(text), '    ')}\n{RULES}")
    return [problem.message for problem in check([path]).errors]


def test_event_history_has_its_defaults(tmp_path: Path) -> None:
    assert load_source(tmp_path, "{name: h, type: event_history}") == EventHistoryConfig(
        name="h", regions=None, interval="60s", lookback="30m", start="now"
    )


def test_log_groups_have_their_defaults(tmp_path: Path) -> None:
    source = load_source(tmp_path, "{name: apps, type: log_groups, log_groups: [/aws/a, '/b/*']}")
    assert isinstance(source, LogGroupsConfig)
    assert source.log_groups == ("/aws/a", "/b/*")
    assert (source.interval, source.lookback, source.start) == (30, 3600, 0)
    assert (source.discovery_interval, source.format, source.regions) == (300, "auto", None)


def test_files_have_their_defaults_and_paths_relative_to_the_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "odd [name]"
    folder.mkdir()
    source = load_source(folder, "{name: f, type: files, paths: ['logs/**/*.json', /var/x.log]}")
    assert isinstance(source, FilesConfig)
    assert source.paths == (f"{tmp_path}/odd [[]name]/logs/**/*.json", "/var/x.log")
    assert (source.interval, source.format) == (60, "auto")


def test_everything_that_is_written_is_taken(tmp_path: Path) -> None:
    source = load_source(
        tmp_path,
        """
        name: trail-logs
        feed: org
        type: log_groups
        regions: [us-gov-west-1, ap-southeast-3]
        log_groups: [CloudTrail/DefaultLogGroup]
        format: cloudtrail
        interval: 1m30s
        lookback: 24h
        start: 30d
        discovery_interval: 1h
        budget: 12.5%
        """,
    )
    assert source.model_dump() == {
        "name": "trail-logs",
        "budget": 0.125,
        "feed": "org",
        "type": "log_groups",
        "regions": ("us-gov-west-1", "ap-southeast-3"),
        "log_groups": ("CloudTrail/DefaultLogGroup",),
        "tags": None,
        "exclude": None,
        "include_linked_accounts": False,
        "identity": None,
        "format": "cloudtrail",
        "interval": 90,
        "lookback": 86400,
        "start": 30 * 86400,
        "discovery_interval": 3600,
        "accounts": None,
        "organization": None,
    }


def test_the_options_of_a_bucket_that_is_listed(tmp_path: Path) -> None:
    source = load_source(tmp_path, "{name: t, type: trail_bucket, bucket: org-trail}")
    assert source.model_dump() == {
        "name": "t",
        "type": "trail_bucket",
        "bucket": "org-trail",
        "role_arn": None,
        "external_id": None,
        "external_id_env": None,
        "external_id_file": None,
        "session_name": "metric-filter-exporter",
        "prefix": "",
        "expected_bucket_owner": None,
        "regions": None,
        "account_ids": None,
        "feed": None,
        "folders": ("CloudTrail", "CloudTrail-NetworkActivity"),
        "lookback": 86400,
        "start": 0,
        "format": "cloudtrail",
        "interval": 60,
    }


def test_a_queue_names_objects_of_its_bucket_by_default(tmp_path: Path) -> None:
    queue = "type: trail_bucket, queue_url: 'https://x/111122223333/q', bucket: org-trail"
    alone = load_source(tmp_path, f"{{name: t, {queue}}}")
    assert isinstance(alone, TrailBucketConfig)
    assert alone.buckets == ("org-trail",)
    others = load_source(tmp_path, f"{{name: t, {queue}, buckets: [other]}}")
    assert isinstance(others, TrailBucketConfig)
    assert others.buckets == ("other",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{type: event_history}", "`name` is missing"),
        ("{name: History, type: event_history}", "`name` must be lower-case"),
        ("{name: 1a, type: event_history}", "`name` must be lower-case"),
        (
            "{name: h}",
            "`type` is missing: one of event_history, event_bus, log_groups, trail_bucket, files",
        ),
        ("{name: h, type: event_histori}", "did you mean `event_history`?"),
        ("{name: h, type: trail_bucket, buckets: [trail]}", "`queue_url` is missing"),
        (
            "{name: h, type: trail_bucket, queue_url: 'https://x/111122223333/q'}",
            "`buckets` is missing",
        ),
        (
            "{name: h, type: trail_bucket, queue_url: 'https://x/111122223333/q', buckets: ['a*']}",
            "`buckets` with a `*` need `expected_bucket_owner`",
        ),
        ("{name: h, type: trail_bucket}", "`bucket` is missing"),
        ("{name: h, type: trail_bucket, bucket: 'a*'}", "must be the name of one bucket, without"),
        (
            "{name: h, type: trail_bucket, bucket: abc, buckets: [abc]}",
            "`buckets` is of a source that reads a queue, `bucket` of one that lists",
        ),
        (
            "{name: h, type: trail_bucket, buckets: [abc], lookback: 1h, queue_url:"
            " 'https://x/111122223333/q'}",
            "`lookback` is of a source that lists its `bucket`",
        ),
        (
            "{name: h, type: trail_bucket, bucket: abc, lookback: 14d}",
            "`lookback` must be at most 13d",
        ),
        (
            "{name: h, type: trail_bucket, bucket: abc, interval: 1h, lookback: 10m}",
            "`lookback` must be at least one `interval`",
        ),
        (
            "{name: h, type: trail_bucket, bucket: abc, prefix:"
            " AWSLogs/111122223333/CloudTrail/us-east-1/2026/}",
            "`prefix` must end with the folder of a region, or before it",
        ),
        ("{name: h, type: event_bus, queue_url: 'arn:aws:sqs:x'}", "must be a queue's URL"),
        (
            "{name: h, type: event_bus, queue_url: 'https://x/111122223333/q', account_ids: [1]}",
            "'1' is not an account id",
        ),
        (
            "{name: h, type: event_history, intervall: 5s}",
            "key `intervall`; did you mean `interval`",
        ),
        ("{name: h, type: event_history, format: auto}", "`format` must be cloudtrail, not 'auto'"),
        ("{name: h, type: event_history, interval: 60}", "write 60s for seconds"),
        ("{name: h, type: event_history, interval: [60s]}", "`interval` must be a duration"),
        ("{name: h, type: event_history, interval: 500ms}", "`interval` must be at least 1s"),
        ("{name: h, type: event_history, interval: 1h}", "`lookback` must be at least one `inter"),
        ("{name: h, type: event_history, start: 91d}", "`start` must be at most 90d"),
        ("{name: h, type: event_history, start: yesterday}", "`start` is wrong: 'yesterday' is no"),
        ("{name: h, type: event_history, regions: []}", "`regions` must not be empty"),
        (
            "{name: h, type: event_history, regions: us-east-1}",
            "`regions` must be `all` or a list of regions",
        ),
        ("{name: h, type: event_history, regions: [us-east1]}", "'us-east1' is not a region"),
        ("{name: h, type: event_history, regions: [us-east-1, us-east-1]}", "is listed twice"),
        ("{name: h, type: log_groups}", "`log_groups` is missing"),
        ("{name: h, type: log_groups, log_groups: []}", "`log_groups` must not be empty"),
        ("{name: h, type: log_groups, log_groups: ['a b']}", "'a b' is not a log group"),
        ("{name: h, type: log_groups, log_groups: ['arn:aws:logs']}", "not its ARN"),
        (
            "{name: h, type: log_groups, log_groups: [a], format: json}",
            "must be auto, cloudtrail or",
        ),
        *(
            (
                f"{{name: h, type: event_history, budget: {budget}}}",
                "`budget` must be a share of the quota such as 50%, above 0% and at most 100%",
            )
            for budget in ("0%", "101%", "50", "0.5", "half", "-1%", "[50%]")
        ),
        ("{name: t, type: trail_bucket, bucket: abc, budget: 50%}", "unknown key `budget`"),
        ("{name: h, type: files}", "`paths` is missing"),
        ("{name: h, type: files, paths: [a], start: now}", "unknown key `start`"),
        ("{name: h, type: files, paths: [a], format: cloudtrial}", "did you mean `cloudtrail`?"),
        ("[name]", "a source must be a mapping"),
    ],
)
def test_what_is_wrong_with_a_source_is_said(tmp_path: Path, text: str, message: str) -> None:
    (error,) = errors_of(tmp_path, text)
    assert message in error


def test_a_misspelt_queue_url_is_not_taken_for_an_option_of_a_listed_bucket(tmp_path: Path) -> None:
    errors = errors_of(tmp_path, "{name: t, type: trail_bucket, bucket: abc, queue-url: x}")
    assert any("`queue-url`; did you mean `queue_url`?" in error for error in errors)


def test_a_source_name_that_is_taken_says_by_which(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(
            f"sources:\n  - {{name: h, type: event_history}}\n{RULES.replace('every', name[0])}"
        )
    (error,) = check([tmp_path / "a.yaml", tmp_path / "b.yaml"]).errors
    assert error.message == (
        f"there is a source `h` already ({tmp_path}/a.yaml:2): names are unique"
    )
    assert (error.location.file, error.location.line, error.location.column) == (
        f"{tmp_path}/b.yaml",
        2,
        12,
    )


def test_two_sources_cannot_read_one_queue(tmp_path: Path) -> None:
    queue = "queue_url: 'https://sqs.us-east-1.amazonaws.com/111122223333/q'"
    path = tmp_path / "config.yaml"
    path.write_text(
        f"sources:\n  - {{name: a, type: event_bus, {queue}}}\n"
        f"  - {{name: b, type: trail_bucket, buckets: [trail], {queue}}}\n{RULES}"
    )
    (problem,) = check([path]).errors
    assert problem.location.line == 3
    assert "the source `a` reads https://sqs" in problem.message


def test_sources_share_a_feed_by_its_name_and_are_warned_if_ids_are_local(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "sources:\n  - {name: history, type: event_history}\n"
        "  - {name: group, type: log_groups, log_groups: [trail], format: auto, feed: history}\n"
        f"  - {{name: alone, type: event_history, feed: org}}\n{RULES}"
    )
    checked = check([path])
    assert checked.configuration is not None
    feeds = checked.configuration.feeds
    assert feeds["history"] == feeds["group"]
    assert (feeds["history"].name, feeds["history"].is_shared) == ("history", True)
    assert (feeds["alone"].name, feeds["alone"].is_shared) == ("org", False)
    (warning,) = [one for one in checked.problems if "feed" in one.message]
    assert (warning.severity, warning.location.line) == ("warning", 3)
    assert "write `format: cloudtrail`" in warning.message
