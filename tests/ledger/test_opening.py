"""Opening a ledger: clear errors, and never a silently fresh one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from exporter.ledger.base import LedgerError
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import APPLICATION_ID, LEDGER_FILE
from exporter.ledger.tables import SCHEMA_VERSION
from tests.support.counting import PARTITION, batch, commit, increment, load_one
from tests.support.volumes import mounted_volume

NOBODY = 65534


def filled(directory: Path, events: int = 1) -> Path:
    """A closed ledger that counted something; returns its file."""
    ledger = SqliteLedger.open(directory)
    load_one(ledger)
    commit(
        ledger,
        batch(*(increment(f"user-{i}", event_id=str(i)) for i in range(events)), checkpoint="kept"),
    )
    ledger.close()
    return directory / LEDGER_FILE


def refused(directory: Path, *words: str) -> None:
    """Opening fails with a sentence that has these words, twice, and changes no file."""
    path = directory / LEDGER_FILE
    before = path.read_bytes() if path.is_file() else None
    for _ in range(2):
        with pytest.raises(LedgerError) as refusal:
            SqliteLedger.open(directory)
        for word in (*words, str(directory)):
            assert word in str(refusal.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_new_ledger_gets_its_directory_and_opens_again(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "data?mode=memory#%"
    path = filled(directory)
    assert sorted(file.name for file in directory.iterdir()) == [LEDGER_FILE]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ledger = SqliteLedger.open(directory)
    assert ledger.checkpoint(PARTITION) == "kept"
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="is closed"):
        ledger.checkpoint(PARTITION)


def test_what_an_interrupted_creation_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f"{LEDGER_FILE}.new").write_bytes(b"half")
    (tmp_path / f"{LEDGER_FILE}.new-journal").write_bytes(b"half")
    assert filled(tmp_path).exists()


def test_an_empty_file_is_damage(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).touch()
    refused(tmp_path, "damaged", "empty", "backup")


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.5, 0.98])
def test_a_cut_file_is_damage(tmp_path: Path, share: float) -> None:
    path = filled(tmp_path, events=500)
    os.truncate(path, int(path.stat().st_size * share))
    refused(tmp_path, "damaged", "backup")


def test_overwritten_pages_are_damage(tmp_path: Path) -> None:
    path = filled(tmp_path, events=500)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(os.urandom(2 * 4096))
    refused(tmp_path, "damaged", "backup")


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).write_text("some text\n" * 100)
    refused(tmp_path, "not a ledger", "not an SQLite database", "--storage.path")


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as connection:
        connection.execute("CREATE TABLE notes (note TEXT)")
    refused(tmp_path, "not a ledger", "another program's", "--storage.path")


def test_another_version_is_left_alone(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    refused(tmp_path, "version", f"schema is {SCHEMA_VERSION + 1}")


def test_a_missing_file_beside_its_log_is_no_fresh_start(tmp_path: Path) -> None:
    filled(tmp_path).unlink()
    (tmp_path / f"{LEDGER_FILE}-wal").write_bytes(b"the last commits")
    refused(tmp_path, "missing", f"{LEDGER_FILE}-wal")


def test_a_ledger_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).mkdir()
    refused(tmp_path, LEDGER_FILE)


def test_a_storage_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.touch()
    refused(path, "must name a directory", "--storage.path")
    refused(path / "below", "--storage.path")


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from exporter.ledger.sqlite import SqliteLedger;"
        "from exporter.logs import configure_logging; configure_logging('info', 'logfmt');"
        "ledger = SqliteLedger.open(pathlib.Path(sys.argv[1])); print('open', flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"open\n"
        refused(tmp_path, f"pid {first.pid}", "in use", "--storage.path")
        first.kill()
    SqliteLedger.open(tmp_path).close()


def test_a_second_ledger_in_the_same_process_is_refused(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path)
    with pytest.raises(LedgerError, match="in use by another process"):
        SqliteLedger.open(tmp_path)
    ledger.close()
    SqliteLedger.open(tmp_path).close()


@contextmanager
def without_root() -> Iterator[None]:
    """Permissions do not bind root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory that everyone may read; pytest's own are for their owner only."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    directory.chmod(0o755)
    shutil.rmtree(directory)


def test_a_read_only_directory_is_refused(readable: Path) -> None:
    filled(readable)
    readable.chmod(0o555)
    with without_root():
        refused(readable, "write access", "--storage.path")
        refused(readable / "below", "write access", "--storage.path")


def test_a_read_only_file_is_refused(readable: Path) -> None:
    filled(readable).chmod(0o444)
    readable.chmod(0o777)
    with without_root():
        refused(readable, "opened for writing", "write access")


def test_an_unreadable_file_is_refused(readable: Path) -> None:
    filled(readable).chmod(0o000)
    with without_root(), pytest.raises(LedgerError, match="write access"):
        SqliteLedger.open(readable)


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    with mounted_volume(tmp_path / "volume", size="256k") as volume:
        yield volume


def fill(volume: Path) -> Path:
    """Take all the space that is left."""
    filler = volume / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    assert shutil.disk_usage(volume).free == 0
    return filler


def test_a_full_disk_fails_the_commit_and_keeps_the_last_one(small_volume: Path) -> None:
    ledger = SqliteLedger.open(small_volume)
    load_one(ledger)
    commit(ledger, batch(increment("a", event_id="1"), checkpoint="kept"))
    filler = fill(small_volume)
    large = batch(*(increment("a", event_id=f"n{i}") for i in range(2000)), checkpoint="lost")
    with pytest.raises(LedgerError, match=r"the disk is full \(\d+ bytes are free there\)"):
        commit(ledger, large)
    assert ledger.checkpoint(PARTITION) == "kept"
    assert [series.total for series in ledger.series()] == [1.0]
    filler.unlink()
    commit(ledger, batch(increment("a", event_id="1"), increment("a", event_id="2")))
    assert [series.total for series in ledger.series()] == [2.0]
    ledger.close()
    SqliteLedger.open(small_volume).close()


def test_a_full_disk_is_told_when_a_ledger_is_created(small_volume: Path) -> None:
    filler = fill(small_volume)
    with pytest.raises(LedgerError, match=r"disk is full|No space left"):
        SqliteLedger.open(small_volume)
    filler.unlink()
    SqliteLedger.open(small_volume).close()


def test_a_ledger_that_may_not_grow_fails_the_commit_only(tmp_path: Path) -> None:
    # The same as a full disk, where nothing may be mounted: SQLite's own limit of pages.
    ledger = SqliteLedger.open(tmp_path)
    load_one(ledger)
    connection = ledger._database._file.connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 30")
    with pytest.raises(LedgerError, match="disk is full"):
        commit(ledger, batch(*(increment("a", event_id=f"n{i}") for i in range(5000))))
    assert (list(ledger.series()), ledger.checkpoint(PARTITION)) == ([], None)
    commit(ledger, batch(increment("a", event_id="1")))
    assert [series.total for series in ledger.series()] == [1.0]
    ledger.close()


def test_a_ledger_locked_by_another_program_fails_the_commit_only(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path)
    connection = ledger._database._file.connection
    assert connection is not None
    connection.execute("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another program has locked it"):
            commit(ledger, batch(checkpoint="lost"))
    commit(ledger, batch(checkpoint="kept"))
    assert ledger.checkpoint(PARTITION) == "kept"
    ledger.close()
