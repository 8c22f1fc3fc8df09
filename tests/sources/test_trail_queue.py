"""A trail in S3 by notifications in a queue, in an AWS on loopback."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from pydantic import ValidationError

from exporter.aws.accounts import AwsAccounts
from exporter.clock import Clock
from exporter.metrics.telemetry import Telemetry
from exporter.model import Limits, SourceError
from exporter.rules import RuleSet
from exporter.sources import contents, queue_source, trail_queue
from exporter.sources.base import Environment, Reading, Source
from exporter.sources.trail_bucket import TrailBucketConfig
from exporter.sources.trail_objects import TrailObject
from exporter.workers.pool import Workers
from exporter.workers.reading import contents_by
from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.envelopes import sign_in

FOLDER = f"AWSLogs/{DEFAULT_ACCOUNT}/CloudTrail/us-east-1/2026/11/26"
BUCKET = "org-trail"


class Trail:
    """A bucket, a queue, and a source that reads them."""

    def __init__(self) -> None:
        self.s3: Any = boto3.client("s3")
        self.sqs: Any = boto3.client("sqs")
        self.s3.create_bucket(Bucket=BUCKET)
        self.url = self.sqs.create_queue(QueueName="trail")["QueueUrl"]

    def put(self, key: str, content: bytes, bucket: str = BUCKET, **options: str) -> None:
        self.s3.put_object(Bucket=bucket, Key=key, Body=content, **options)

    def notify(self, *keys: str, bucket: str = BUCKET) -> None:
        self.send({"s3Bucket": bucket, "s3ObjectKey": keys})

    def send(self, body: Any) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(body))

    def source(self, **options: Any) -> Source:
        options = {"buckets": [BUCKET], **options}
        config = TrailBucketConfig(name="trail", queue_url=self.url, **options)
        return config.source(Environment(AwsAccounts(), Clock(), complete=True), {})

    @property
    def left(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(map(int, found["Attributes"].values()))


@pytest.fixture
def trail(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Trail:  # noqa: ARG001 - it answers
    monkeypatch.setattr(queue_source, "_ONCE_WAIT", 0)
    return Trail()


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the log says."""
    lines: list[str] = []

    def warning(text: str, **said: object) -> None:
        lines.append(f"{text} {said.get('why')} {said.get('bucket', '')}")

    for module in (queue_source, trail_queue):
        monkeypatch.setattr(module, "_log", SimpleNamespace(warning=warning))
    return lines


def document(*records: dict[str, Any]) -> bytes:
    return gzip.compress(json.dumps({"Records": records}).encode())


def poll(source: Source) -> Iterator[Reading]:
    (partition,) = source.discover().partitions
    return source.poll(partition, "{}", own_starts={})


def ids(readings: list[Reading]) -> list[str]:
    return [json.loads(event.message)["eventID"] for one in readings for event in one.events]


def excluded(readings: list[Reading]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in readings:
        for reason, objects in (one.queue.excluded if one.queue else {}).items():
            found[reason] = found.get(reason, 0) + objects
    return found


def test_the_records_of_all_objects_are_read_and_the_messages_deleted(trail: Trail) -> None:
    records = [sign_in() for _ in range(12)]
    keys = [f"{FOLDER}/{number} a+b.json.gz" for number in range(4)]
    for number, key in enumerate(keys):
        trail.put(key, document(*records[number * 3 : number * 3 + 3]))
    trail.notify(*keys[:2])
    trail.notify(keys[2])
    trail.notify(keys[3])
    trail.notify(keys[3])
    readings = list(poll(trail.source()))
    assert set(ids(readings)) == {one["eventID"] for one in records}
    assert trail.left == 0


def test_the_backlog_is_the_messages_that_are_not_worked_off(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_MOST_PARTS", 5)
    for number in range(25):
        trail.put(f"{FOLDER}/{number}.json.gz", document(sign_in()))
        trail.notify(f"{FOLDER}/{number}.json.gz")
    sent = (time.time() - 60) * 1000
    backlogs = [one.backlog for one in poll(trail.source()) if one.backlog]
    objects = [one.objects for one in backlogs]
    assert (objects[0], objects[-1]) == (21, 0)
    assert objects == sorted(objects, reverse=True)
    assert all(sent < (one.oldest or 0) < sent + 120_000 for one in backlogs if one.objects)
    assert backlogs[-1].oldest is None


def test_objects_are_counted_by_how_their_reading_ended(trail: Trail) -> None:
    trail.put(f"{FOLDER}/1.json.gz", document(sign_in()))
    trail.put(f"{FOLDER}/2.json.gz", document(sign_in())[:-20])
    trail.notify(*(f"{FOLDER}/{number}.json.gz" for number in (1, 2, 3)))
    ended = Counter[str]()
    for reading in poll(trail.source()):
        ended.update(reading.objects)
    assert ended == {"read": 1, "failed": 2}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([sign_in(), sign_in()]).encode(),
        gzip.compress(b'{"Records": [' + json.dumps(sign_in()).encode() + b",")
        + gzip.compress(json.dumps(sign_in()).encode() + b"]}"),
        b"\xef\xbb\xbf" + json.dumps({"Records": [sign_in(), sign_in()]}).encode(),
    ],
)
def test_other_containers_are_read_too(trail: Trail, content: bytes) -> None:
    trail.put(f"{FOLDER}/a", content)
    trail.notify(f"{FOLDER}/a")
    assert len(ids(list(poll(trail.source())))) == 2
    assert trail.left == 0


def test_a_message_is_deleted_after_the_commit_of_all_its_records(trail: Trail) -> None:
    for key in ("a", "b"):
        trail.put(f"{FOLDER}/{key}", document(sign_in()))
    trail.notify(f"{FOLDER}/a", f"{FOLDER}/b")
    readings = poll(trail.source())
    assert len(next(readings).events) == 2
    assert trail.left == 1
    list(readings)
    assert trail.left == 0


def test_small_objects_are_counted_together(trail: Trail) -> None:
    for number in range(20):
        trail.put(f"{FOLDER}/{number}", document(sign_in(), sign_in()))
        trail.notify(f"{FOLDER}/{number}")
    readings = [one for one in poll(trail.source()) if one.size]
    assert [len(one.events) for one in readings] == [40]
    assert trail.left == 0


def test_large_objects_are_counted_one_by_one(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_MOST_GATHERED", 1)
    for number in range(3):
        trail.put(f"{FOLDER}/{number}", document(sign_in(), sign_in()))
    trail.notify(*(f"{FOLDER}/{number}" for number in range(3)))
    readings = poll(trail.source())
    assert [len(next(readings).events) for _ in range(3)] == [2, 2, 2]
    assert trail.left == 1
    list(readings)
    assert trail.left == 0


def test_what_is_not_the_configurations_is_deleted_and_named_once(
    trail: Trail, named: list[str]
) -> None:
    trail.put(f"{FOLDER}/a", document(sign_in()))
    digest = FOLDER.replace("CloudTrail", "CloudTrail-Digest")
    for _ in range(2):
        trail.notify(f"{FOLDER}/a", bucket="other")
        trail.notify("secrets.json", digest + "/x", f"{FOLDER}/a")
    trail.send({"Event": "s3:TestEvent"})
    readings = list(poll(trail.source()))
    assert len(ids(readings)) == 2  # the same record
    assert excluded(readings) == {"bucket": 2, "folder": 4, "event": 1}
    assert len(named) == 3
    assert trail.left == 0


def test_configured_folders_are_read_and_each_other_one_is_named(
    trail: Trail, named: list[str]
) -> None:
    insight = sign_in()
    folders = [FOLDER.replace("CloudTrail", f"CloudTrail-{one}") for one in ("Insight", "Digest")]
    for folder in (FOLDER, *folders):
        trail.put(f"{folder}/a", document(insight if "Insight" in folder else sign_in()))
        trail.notify(f"{folder}/a")
    readings = list(poll(trail.source(folders=["CloudTrail-Insight"])))
    assert ids(readings) == [insight["eventID"]]
    assert excluded(readings) == {"folder": 2}
    assert len(named) == 2
    assert any("CloudTrail-Digest" in line for line in named)
    assert trail.left == 0


def test_no_message_chooses_an_endpoint(trail: Trail) -> None:
    key = f"{FOLDER}/a.json.gz"
    for bucket in (
        "arn:aws:s3:us-west-2:999999999999:accesspoint/x",
        "arn:aws:s3-object-lambda:us-east-1:999999999999:accesspoint/x",
        f"{BUCKET}--use1-az4--x-s3",
        f"{BUCKET}-0123456789--ol-s3",
        f"{BUCKET}.mrap",
        f"{BUCKET}/../other",
    ):
        trail.notify(key, bucket=bucket)
    source = trail.source(buckets=["a*", f"{BUCKET}*"], expected_bucket_owner=DEFAULT_ACCOUNT)
    readings = list(poll(source))
    assert excluded(readings) == {"bucket": 6}
    assert trail.left == 0


def test_an_object_that_a_message_names_often_is_read_once(trail: Trail) -> None:
    record, key = sign_in(), f"{FOLDER}/a.json.gz"
    trail.put(key, document(record))
    trail.notify(*[key] * 100)
    assert ids(list(poll(trail.source()))) == [record["eventID"]]


def test_a_bucket_of_flow_logs_is_read_as_lines(trail: Trail) -> None:
    header = "version account-id interface-id srcaddr dstaddr action"
    key = f"AWSLogs/{DEFAULT_ACCOUNT}/vpcflowlogs/us-east-1/2026/11/26/a.log.gz"
    trail.put(key, gzip.compress(f"{header}\n2 one\n2 two\n".encode()))
    for _ in range(2):
        trail.notify(key)
    readings = list(poll(trail.source(format="lines")))
    events = [event for one in readings for event in one.events]
    assert sorted(event.message for event in events) == ["2 one", "2 one", "2 two", "2 two"]
    assert len({event.id for event in events}) == 2
    assert trail.left == 0


def test_an_object_of_another_owner_counts_nothing(trail: Trail, named: list[str]) -> None:
    trail.put(f"{FOLDER}/a", document(sign_in()))
    trail.notify(f"{FOLDER}/a")
    source = trail.source(buckets=["org-*"], expected_bucket_owner="999999999999")
    assert ids(list(poll(source))) == []
    assert len(named) == 1
    assert "`expected_bucket_owner`" in named[0]
    assert trail.left == 1


def test_objects_that_cannot_be_read_are_left_and_the_others_are_read(
    trail: Trail, named: list[str]
) -> None:
    good, before = sign_in(), sign_in()
    trail.put(f"{FOLDER}/cut", document(before, sign_in())[:-30])
    trail.put(f"{FOLDER}/text", b"no trail")
    trail.put(f"{FOLDER}/cold", document(sign_in()), StorageClass="GLACIER")
    trail.put(f"{FOLDER}/good", document(good))
    for key in ("gone", "cut", "text", "cold", "good"):
        trail.notify(f"{FOLDER}/{key}")
    trail.send("no notification")
    readings = list(poll(trail.source()))
    assert good["eventID"] in ids(readings)
    assert sum(one.undecodable for one in readings) == 3  # two are damaged, one is no notification
    assert len(named) == 5
    for text in ("was deleted", "is damaged", "is archived", "not a JSON object"):
        assert any(text in line for line in named), text
    assert trail.left == 5


def test_an_error_that_passes_ends_the_poll_and_uses_up_no_receive(
    trail: Trail, aws: EmbeddedAws
) -> None:
    record = sign_in()
    trail.put(f"{FOLDER}/a", document(record))
    trail.notify(f"{FOLDER}/a")
    source = trail.source()
    aws.faults = Faults(expired=True)
    with pytest.raises(SourceError):
        list(poll(source))
    aws.faults = Faults()
    assert ids(list(poll(source))) == [record["eventID"]]
    assert trail.left == 0


def test_a_failure_of_s3_uses_up_no_receive_and_stops_the_others_for_a_few_polls_only(
    trail: Trail, aws: EmbeddedAws, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    trail.put(f"{FOLDER}/a", document(sign_in()))
    trail.notify(f"{FOLDER}/a")
    trail.notify(f"{FOLDER}/b")
    source = trail.source()
    aws.faults = Faults(error=1, operations=["GetObject"])
    for _ in range(3):
        with pytest.raises(SourceError, match="GetObject"):
            list(poll(source))
    assert named == []
    with pytest.raises(SourceError, match=f"{FOLDER}/b"):
        list(poll(source))
    assert len(named) == 1
    assert trail.left == 2


def test_a_fault_of_the_exporter_stops_the_others_for_a_few_polls_only(
    trail: Trail, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = TrailObject.events

    def faulty(one: TrailObject, loaded: bytes, now: int) -> Any:
        if one.name.key.endswith("/bad"):
            raise LookupError("of a bug")
        return events(one, loaded, now)

    monkeypatch.setattr(TrailObject, "events", faulty)
    record = sign_in()
    for name in ("bad", "good"):
        trail.put(f"{FOLDER}/{name}", document(record))
        trail.notify(f"{FOLDER}/{name}")
    source, found = trail.source(), []
    for _ in range(6):
        try:
            found += ids(list(poll(source)))
        except LookupError:
            continue
    assert record["eventID"] in found
    assert len(named) == 1
    assert "internal error (LookupError)" in named[0]
    assert trail.left == 1


def test_the_limits_go_with_each_reading(trail: Trail) -> None:
    trail.put(f"{FOLDER}/a", document(sign_in()))
    trail.notify(f"{FOLDER}/a")
    readings = list(poll(trail.source(account_ids=["111122223333"])))
    limits = Limits(frozenset(["111122223333"]))
    assert [one.limits for one in readings if one.events] == [limits]


def test_a_version_is_read_as_it_was(trail: Trail) -> None:
    status = {"Status": "Enabled"}
    trail.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=status)
    first, second = sign_in(), sign_in()
    key = f"{FOLDER}/a"
    body = document(first)
    version = trail.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]
    trail.put(key, document(second))
    detail = {"bucket": {"name": BUCKET}, "object": {"key": key, "version-id": version}}
    trail.send({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    assert ids(list(poll(trail.source()))) == [first["eventID"]]


def test_a_star_needs_an_owner() -> None:
    url = "https://sqs.us-east-1.amazonaws.com/111122223333/q"
    with pytest.raises(ValidationError, match="expected_bucket_owner"):
        TrailBucketConfig(name="t", queue_url=url, buckets=("org-*",))


def test_requests_of_workers_and_the_time_of_aws_are_known_to_the_main_process(
    trail: Trail,
) -> None:
    records = [sign_in() for _ in range(3)]
    for number, record in enumerate(records):
        trail.put(f"{FOLDER}/{number}", document(record))
    trail.notify(*(f"{FOLDER}/{number}" for number in range(3)))
    telemetry, clock, accounts = Telemetry(), Clock(), AwsAccounts()
    with closing(Workers(2, rules=lambda: RuleSet({}), observer=telemetry, clock=clock)) as workers:
        contents = contents_by(workers, accounts, clock)
        config = TrailBucketConfig(name="trail", queue_url=trail.url, buckets=(BUCKET,))
        source = config.source(Environment(accounts, clock, complete=True, contents=contents), {})
        readings = list(poll(source))
    assert ids(readings) == [one["eventID"] for one in records]
    assert trail.left == 0
    assert clock.known
    assert telemetry.api_calls() == 3
