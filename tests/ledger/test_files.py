"""Files that are removed or replaced under an open ledger are noticed and saved again."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.ledger import database
from exporter.ledger.audit import audit
from exporter.ledger.base import LedgerError
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE
from tests.support.counting import batch, commit, increment, load_one
from tests.support.waiting import wait_for

WAL = f"{LEDGER_FILE}-wal"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def opened(folder: Path) -> SqliteLedger:
    ledger = SqliteLedger.open(folder)
    load_one(ledger)
    return ledger


@pytest.fixture
def ledger(folder: Path) -> Iterator[SqliteLedger]:
    with closing(opened(folder)) as ledger:
        count(ledger, 0, 100)
        yield ledger


def count(ledger: SqliteLedger, first: int, last: int) -> None:
    ids = map(str, range(first, last))
    commit(ledger, batch(*(increment("a", event_id=id_) for id_ in ids), checkpoint=str(last)))


def counted_after_sigkill(folder: Path) -> float:
    """What another process would find if this one were killed now."""
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    with closing(opened(copy)) as after:
        (series,) = after.series()
    shutil.rmtree(copy)
    return series.total


def remove(*names: str) -> Callable[[Path], object]:
    def accident(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return accident


def replace_with_another(folder: Path) -> None:
    other = folder.with_name("other")
    with closing(opened(other)):
        pass
    (other / LEDGER_FILE).rename(folder / LEDGER_FILE)


def replace_the_log(folder: Path) -> None:
    shutil.copy(folder / WAL, folder / "older")
    (folder / "older").rename(folder / WAL)


ACCIDENTS: dict[str, Callable[[Path], object]] = {
    "log": remove(WAL),
    "index of the log": remove(f"{LEDGER_FILE}-shm"),
    "file": remove(LEDGER_FILE),
    "all files": remove(LEDGER_FILE, WAL, f"{LEDGER_FILE}-shm"),
    "folder": shutil.rmtree,
    "folder renamed": lambda folder: folder.rename(folder.with_name("gone")),
    "another in its place": replace_with_another,
    "another log in its place": replace_the_log,
}


@pytest.mark.parametrize("accident", ACCIDENTS.values(), ids=ACCIDENTS)
def test_what_is_open_is_saved_to_its_path_again(
    ledger: SqliteLedger, folder: Path, accident: Callable[[Path], object]
) -> None:
    losses: list[None] = []
    ledger.watch_files(lambda: losses.append(None))
    accident(folder)
    count(ledger, 50, 150)
    assert counted_after_sigkill(folder) == 150
    count(ledger, 100, 200)
    assert counted_after_sigkill(folder) == 200
    assert [series.total for series in ledger.series()] == [200]
    assert (len(losses), ledger.condition().files_lost) == (1, 1)
    assert ledger.condition().problem is None
    # As it was before: again, and closed and opened.
    ACCIDENTS["log"](folder)
    ledger.close()
    with closing(opened(folder)) as after:
        assert [series.total for series in after.series()] == [200]
        assert commit(after, batch(increment("a", event_id="7"))).new == []


def test_what_took_the_ledgers_place_is_kept(ledger: SqliteLedger, folder: Path) -> None:
    (folder / "note").write_text("precious")
    (folder / "note").rename(folder / LEDGER_FILE)
    count(ledger, 100, 110)
    assert (folder / f"{LEDGER_FILE}.replaced").read_text() == "precious"


def test_while_it_cannot_be_saved_nothing_counts_and_a_sentence_says_so(
    ledger: SqliteLedger, folder: Path
) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file in the way")
    for _ in range(2):
        with pytest.raises(
            LedgerError, match=r"lost its files while it was open.*removed"
        ) as error:
            count(ledger, 100, 110)
        assert "--storage.path must name a directory" in str(error.value)
    assert ledger.condition().problem == str(error.value)
    assert ledger.condition().files_lost == 1
    assert [series.total for series in ledger.series()] == [100]
    folder.unlink()
    count(ledger, 100, 110)
    assert ledger.condition().problem is None
    assert counted_after_sigkill(folder) == 110


def refused_elsewhere(folder: Path) -> bool:
    """Whether another process cannot open the ledger."""
    code = (
        "import sys, pathlib; from exporter.ledger.sqlite import SqliteLedger\n"
        "try: SqliteLedger.open(pathlib.Path(sys.argv[1]))\n"
        "except Exception as error: print(error); sys.exit('in use' not in str(error))\n"
        "sys.exit(2)"
    )
    return subprocess.run([sys.executable, "-c", code, folder], check=False).returncode == 0


def test_a_second_process_is_refused_in_every_order_of_events(
    ledger: SqliteLedger, folder: Path
) -> None:
    (folder / "ledger.lock").write_text("1\n")
    assert refused_elsewhere(folder)
    (folder / "ledger.lock").unlink()
    # A reader that closes the file takes SQLite's own locks along, not this one.
    (folder / LEDGER_FILE).read_bytes()
    assert refused_elsewhere(folder)
    for name in (WAL, LEDGER_FILE):
        (folder / name).unlink()
        count(ledger, 100, 110)
        assert refused_elsewhere(folder)
    shutil.rmtree(folder)
    count(ledger, 110, 120)
    assert refused_elsewhere(folder)


def test_who_finds_another_process_in_its_place_counts_no_more(
    ledger: SqliteLedger, folder: Path
) -> None:
    folder.rename(folder.with_name("gone"))
    with closing(opened(folder)) as second:
        with pytest.raises(LedgerError, match="in use by another process"):
            count(ledger, 100, 110)
        count(second, 0, 5)
        assert [series.total for series in second.series()] == [5]
    count(ledger, 100, 110)
    assert counted_after_sigkill(folder) == 110


def test_of_processes_that_begin_together_one_makes_the_ledger(folder: Path) -> None:
    code = (
        "import sys, pathlib; from exporter.ledger.sqlite import SqliteLedger\n"
        "from exporter.logs import configure_logging; configure_logging('info', 'logfmt')\n"
        "sys.stdin.readline()\n"
        "try: ledger = SqliteLedger.open(pathlib.Path(sys.argv[1]))\n"
        "except Exception as error: print(error, flush=True)\n"
        "else: print('open', flush=True)\n"
        "sys.stdin.read()"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("go\n")
        starter.stdin.flush()
    answers = [starter.stdout.readline() for starter in starters if starter.stdout is not None]
    for starter in starters:
        starter.communicate("")
    assert answers.count("open\n") == 1, answers
    assert sum("in use by another process" in answer for answer in answers) == 3, answers


def test_a_new_ledger_is_a_warning_and_a_known_one_is_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(folder).close()
    said = capsys.readouterr().out
    assert "new ledger begun" in said
    assert "--storage.path" in said
    assert str(folder / LEDGER_FILE) in said
    opened(folder).close()
    assert capsys.readouterr().out == ""


def test_a_large_ledger_is_checked_while_it_is_at_work(
    ledger: SqliteLedger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(ledger, batch(increment("quiet", event_id="quiet"), checkpoint="100"))
    ledger.close()
    go = threading.Event()

    def when_told(connection: sqlite3.Connection) -> str | None:
        assert go.wait(10)
        return audit(connection)

    monkeypatch.setattr(database, "CHECKED_BYTES", 0)
    monkeypatch.setattr(database, "audit", when_told)
    damage = (folder / LEDGER_FILE).read_bytes().replace(b'"user","quiet"', b'"user","quieT"')
    (folder / LEDGER_FILE).write_bytes(damage)
    with closing(opened(folder)) as checked:
        assert checked.condition().checking
        count(checked, 100, 110)
        go.set()
        wait_for("the check to end", lambda: not checked.condition().checking)
        with pytest.raises(LedgerError, match=r"is damaged: .*Restore it from a backup"):
            count(checked, 110, 120)
        assert "is damaged" in str(checked.condition().problem)
    (folder / LEDGER_FILE).unlink()
    with closing(opened(folder)) as checked:
        wait_for("the check to end", lambda: not checked.condition().checking)
        count(checked, 0, 10)
        assert checked.condition().problem is None
