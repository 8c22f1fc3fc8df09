"""Files polled by worker processes count as those that are polled here."""

from __future__ import annotations

from pathlib import Path

from exporter.runtime.together import poll_together
from tests.runtime.test_together import Run, write
from tests.workers.conftest import MakeWorkers


def test_files_count_the_same_whoever_reads_them(tmp_path: Path, make_workers: MakeWorkers) -> None:
    outcomes = []
    for most in (1, 2):
        folder = tmp_path / str(most)
        folder.mkdir()
        events = write(folder, 200)
        (folder / "007.json.gz").write_bytes((folder / "007.json.gz").read_bytes()[:-9])
        (folder / "150.json.gz").unlink()
        (folder / "150.json.gz").mkdir()
        lines = "".join(f'{{"eventID": "l{one}", "eventName": "Line"}}\n' for one in range(90))
        (folder / "020.log.gz").write_text(lines)
        run = Run(folder)
        run.source._batch_events = 7
        workers = make_workers(rules=lambda run=run: run.pipeline.rules) if most > 1 else None
        for _ in range(2):
            poll_together(run.pipeline, run.source, run.readers, workers)
        assert 0 < run.counted() < events + 90
        outcomes.append(
            (
                {one.key: one.total for one in run.ledger.series()},
                [
                    (
                        one.partition.resource.removeprefix(str(folder)),
                        one.error and one.error.replace(str(folder), ""),
                        one.size,
                        one.meter.events,
                        one.meter.bytes,
                        one.meter.undecodable,
                        one.meter.succeeded,
                    )
                    for one in run.readers
                ],
            )
        )
    assert outcomes[0] == outcomes[1]
