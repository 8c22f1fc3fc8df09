"""Objects read by worker processes: the same log events, in order, whatever becomes of a worker."""

from __future__ import annotations

import gzip
import json
import random
import signal
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

from exporter.aws.accounts import AwsAccounts
from exporter.clock import Clock
from exporter.ledger.base import RuleUse
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import Limits, Partition, SourceError
from exporter.rules import RuleSet, definition
from exporter.runtime.pipeline import Pipeline
from exporter.sources.base import Reading
from exporter.sources.contents import Contents, InTurn, Portion
from exporter.sources.files import Files
from exporter.workers.judged import Judged
from exporter.workers.pool import Workers
from exporter.workers.reading import contents_by
from tests.support.contents import FileObject
from tests.workers.conftest import RULES, MakeWorkers, rule

PARTITION = Partition("trail", "111122223333", "us-east-1")
LIMITS = Limits(frozenset({"111122223333"}))


def write(folder: Path, number: int, records: int) -> Path:
    path = folder / str(number)
    found = [
        {
            "eventID": f"{number} {one}",
            "eventName": f"Call{one % 3}",
            "recipientAccountId": "111122223333" if one % 4 else "444455556666",
        }
        for one in range(records)
    ]
    path.write_bytes(gzip.compress(json.dumps({"Records": found}).encode(), 1))
    return path


def read(contents: Contents, objects: list[FileObject]) -> list[Portion[FileObject]]:
    return list(contents.portions(PARTITION, "cloudtrail", LIMITS, objects))


def outcome(portion: Portion[FileObject]) -> tuple[object, ...]:
    """A portion's object, its judged events, how many were excluded, and the rest."""
    events = portion.events
    if isinstance(events, Judged):
        evaluation = events.evaluation
    else:
        evaluation = RULES.evaluate(events, PARTITION, "cloudtrail", limits=LIMITS)
    judged = [(one.event_id, one.judged, one.increments) for one in evaluation.events]
    error = str(portion.error) if portion.error else None
    excluded = dict(evaluation.excluded)
    return portion.content, judged, excluded, len(events), portion.size, portion.last, error


def by(workers: Workers) -> Contents:
    return contents_by(workers, AwsAccounts(), Clock())


def test_portions_are_the_same_and_in_order_however_many_workers_read(
    tmp_path: Path, make_workers: MakeWorkers
) -> None:
    of = random.Random(1)
    objects = [FileObject(write(tmp_path, one, of.randrange(9))) for one in range(150)]
    objects.insert(20, FileObject(tmp_path / "missing"))
    objects[50].path.write_bytes(gzip.compress(b'{"Records": [{"eventID": "a"}, {"eve'))
    objects[60].path.write_bytes(b"")
    objects[70].path.write_bytes(
        b'\xef\xbb\xbf{"Records": [' + b'{"eventID": "b"},' * 6000 + b"{}]}"
    )
    expected = [outcome(one) for one in read(InTurn(AwsAccounts(), Clock()), objects)]
    assert len(expected) > 300
    for most in (1, 2):
        workers = make_workers(most)
        assert [outcome(one) for one in read(by(workers), objects)] == expected


def test_a_worker_that_is_killed_or_hangs_costs_its_object_a_second_try(
    tmp_path: Path, make_workers: MakeWorkers
) -> None:
    paths = [write(tmp_path, one, 5) for one in range(40)]
    expected = [outcome(one)[1:] for one in read(by(make_workers(1)), list(map(FileObject, paths)))]
    objects = list(map(FileObject, paths))
    objects[3] = FileObject(paths[3], (signal.SIGKILL,))
    objects[30] = FileObject(paths[30], (signal.SIGSTOP,))
    found = read(by(make_workers(hangs_after=4)), objects)
    assert [outcome(one)[1:] for one in found] == expected


def test_an_object_that_ends_each_worker_is_an_error_and_the_others_are_read(
    tmp_path: Path, make_workers: MakeWorkers
) -> None:
    objects = [FileObject(write(tmp_path, one, 2)) for one in range(20)]
    objects[4] = FileObject(objects[4].path, (signal.SIGKILL, signal.SIGKILL))
    found = read(by(make_workers()), objects)
    failed = [one for one in found if one.error]
    assert [one.content for one in failed] == [objects[4]]
    assert isinstance(failed[0].error, SourceError)
    assert failed[0].error.reason == "worker_ended"
    assert sum(len(one.events) for one in found) == 2 * 19


def test_who_stops_asking_leaves_workers_that_serve_others(
    tmp_path: Path, make_workers: MakeWorkers
) -> None:
    objects = [FileObject(write(tmp_path, one, 3)) for one in range(200)]
    contents = by(make_workers())
    for _ in range(2):
        portions = contents.portions(PARTITION, "cloudtrail", None, objects)
        next(portions)
        del portions
    both = [
        threading.Thread(target=lambda: found.append(len(read(contents, objects)))) for _ in "ab"
    ]
    found: list[int] = []
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert found == [400, 400]


def test_a_reload_in_the_middle_counts_by_the_new_rules(
    tmp_path: Path, make_workers: MakeWorkers
) -> None:
    objects = [FileObject(write(tmp_path, one, 6)) for one in range(10)]
    with closing(SqliteLedger.open(tmp_path / "data")) as ledger:
        pipeline = Pipeline(ledger, SeriesStore(0.0), Telemetry(), Clock())

        def load(pattern: str) -> None:
            one = rule(pattern)
            use = RuleUse(None, own_start=False, definition=definition(one), max_series=10)
            loaded = ledger.load_rules(
                {"trail": {one.name: use}}, now=0, keep={"trail": 0}, generation=pattern
            )
            pipeline.rules = RuleSet(loaded.versions, [one])

        load("{ $.eventName = Call0 }")
        contents = by(make_workers(rules=lambda: pipeline.rules))
        portions = contents.portions(PARTITION, "cloudtrail", None, objects)
        readings = (Reading(one.events, "{}") for one in portions if not one.last)
        for number, one in enumerate(
            pipeline.evaluated(
                Files([], name="trail", format="cloudtrail"),
                PARTITION,
                None,
                turn=0,
                wanted=lambda: True,
                read=lambda _: readings,
            )
        ):
            if number == 7:
                load("{ $.eventName = Call1 }")
            assert pipeline.commit(one) is not None
        totals: Counter[str] = Counter()
        for one_series in ledger.series():
            totals[dict(one_series.key.labels)["name"]] += round(one_series.total)
    assert totals == {"Call0": 14, "Call1": 6}


def test_closing_ends_who_waits_for_a_worker(make_workers: MakeWorkers) -> None:
    workers = make_workers(1)
    workers.borrow(wait=True)
    errors: list[str] = []

    def wait_for_one() -> None:
        try:
            workers.borrow(wait=True)
        except SourceError as error:
            errors.append(error.reason)

    waiting = threading.Thread(target=wait_for_one)
    waiting.start()
    workers.close()
    waiting.join()
    assert errors == ["stopping"]
