"""A ledger of schema 1 or 2 goes on exactly under schema 3, and can be gone back to."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.ledger.base import LedgerError
from exporter.ledger.migration import EarlierMatches, migrate
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE, connect
from exporter.ledger.tables import SCHEMA_VERSION
from exporter.model import JudgedEvent, Partition, SeriesKey
from tests.support.counting import batch, commit, expire, increment, key, load, load_one, use
from tests.support.volumes import mounted_volume

ROOT = Path(__file__).resolve().parents[2]
DUMP = Path(__file__).with_name("v1.sql")
NOW = 20_000 * 86_400_000
HOUR = 3600 * 1000
EAST, WEST = (Partition("history", "111122223333", region) for region in ("us-east-1", "eu-west-1"))
GROUP, GONE = (Partition("apps", "111122223333", "us-east-1", name) for name in ("/a", "/gone"))
FILE = Partition("replay", resource="/logs/\udcffa.json")
STEPS = 13


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of a ledger of schema 1."""
    folder = tmp_path / "data"
    folder.mkdir()
    with closing(sqlite3.connect(folder / LEDGER_FILE, isolation_level=None)) as connection:
        connection.executescript(DUMP.read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    return folder


def opened(folder: Path) -> SqliteLedger:
    ledger = SqliteLedger.open(folder, clock=lambda: NOW / 1000, steady=lambda: 0.0)
    load(
        ledger,
        {
            "history": {
                "logins": use(max_series=3, start=NOW),
                "root": use("root_total", labels=(), start=NOW),
            },
            "apps": {"sizes": use("sizes_bytes", buckets=(0.5, 1.0), start=NOW)},
            "replay": {"logins": use(max_series=3)},
        },
        now=NOW,
        keep=HOUR,
    )
    return ledger


def login(event_id: str, user: str, *, time: int, source: str = "history") -> JudgedEvent:
    return in_source(increment(user, event_id=event_id, time=time), source)


def in_source(event: JudgedEvent, source: str, **edit: object) -> JudgedEvent:
    (one,) = event.increments

    def there(series: SeriesKey) -> SeriesKey:
        return SeriesKey(
            series.metric, tuple(sorted({**dict(series.labels), "source": source}.items()))
        )

    moved = replace(one, series=there(one.series), overflow=there(one.overflow))
    return replace(event, increments=(moved,), **edit)


def size(event_id: str, *, scope: str, time: int) -> JudgedEvent:
    event = increment("a", event_id=event_id, rule="sizes", metric="sizes_bytes", time=time)
    return in_source(event, "apps", scope=scope)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def totals(ledger: SqliteLedger) -> dict[SeriesKey, tuple[float, tuple[int, ...] | None]]:
    return {one.key: (one.total, one.buckets) for one in ledger.series()}


def check_goes_on(folder: Path) -> None:
    """All that was counted is there, counts no second time, and new events count on top."""
    with closing(opened(folder)) as ledger:
        before = totals(ledger)
        assert sorted(total for total, _ in before.values()) == [
            *(0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 6.0)
        ]
        assert {one.key.metric for one in ledger.series() if one.revealed} == {"root_total"}
        rules = {(one.source, one.rule): one for one in ledger.rule_totals()}
        assert len(rules) == 5
        logins = rules["history", "logins"]
        assert (logins.matches, logins.value_errors, logins.overflowed) == (8, 1, 3)
        assert (logins.series, logins.last_event_time) == (3, NOW + 9)
        assert ledger.checkpoint(EAST) == "east-1"
        assert ledger.checkpoint(FILE) == '{"path": "\udcff"}'
        assert ledger.condition().created == NOW
        scopes = ledger.load_scopes({"history": ["eu-west-1"]}, now=5, generation="")
        assert scopes == {"history": {"eu-west-1": NOW - 24 * HOUR}}

        again = [login(f"e{number}", "a", time=NOW + number) for number in range(6)]
        for partition in (EAST, WEST):
            read = batch(*again, login("w1", "b", time=NOW + 1), partition=partition,
                         remember_from=NOW - 1000)  # fmt: skip
            assert commit(ledger, read).new == []
        groups = [size(f"/a{n}", scope=GROUP.key, time=NOW + n) for n in range(3)]
        # Its memory had ended under schema 1 already.
        assert len(commit(ledger, batch(*groups, partition=GROUP, remember_from=NOW)).new) == 3
        gone = [size(f"/gone{n}", scope=GONE.key, time=NOW + n) for n in range(3)]
        shared = size("new but shared", scope="", time=NOW)
        back = batch(*gone, shared, partition=GONE, remember_from=NOW)
        assert commit(ledger, back).new == [], "it was let go before the migration"
        files = [login(f"f{n}", "f", time=n, source="replay") for n in range(3)]
        assert commit(ledger, batch(*files, partition=FILE)).new == []

        new = [login("new", user, time=NOW + 50) for user in "a"]
        new.append(login("new too", "z", time=NOW + 51))
        done = commit(ledger, batch(*new, *again, partition=EAST, remember_from=NOW))
        assert [(one.matches, one.overflowed) for one in done.rules] == [(2, 1)]
        after = totals(ledger)
        changed = {
            key: after[key][0] - before[key][0] for key in before if after[key] != before[key]
        }
        assert sorted(changed.values()) == [1.0, 1.0, 3.0]


def test_a_ledger_of_schema_1_goes_on_exactly_and_its_copy_is_as_it_was(old: Path) -> None:
    before = dump(old / LEDGER_FILE)
    check_goes_on(old)
    copy = old / f"{LEDGER_FILE}.v1"
    assert dump(copy) == before
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(file.name for file in old.iterdir()) == [LEDGER_FILE, copy.name]
    # Back to the old version, and to the new one again.
    (old / LEDGER_FILE).unlink()
    shutil.copy(copy, old / LEDGER_FILE)
    check_goes_on(old)


KILLED = """
import json, os, pathlib, signal, sys, time
from exporter.ledger import database, migration
from exporter.ledger.sqlite import SqliteLedger

def migrate(folder, left):
    def step(name):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    database.migrate = lambda connection, path: migration.migrate(connection, path, step)
    SqliteLedger.open(pathlib.Path(folder)).close()

codes = []
for folder, steps, seconds in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # its log may end in the middle of a line
        migrate(folder, steps)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


def migrate_and_kill(*migrations: tuple[Path, int, float | None]) -> list[int]:
    """Open each ledger in a process of its own that is killed; the processes' exit codes.

    Each kills itself after so many steps, or is killed after so many seconds. One process forks
    them all: Python and the exporter are loaded once.
    """
    asked = json.dumps([(str(folder), *when) for folder, *when in migrations])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, asked], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    codes: list[int] = json.loads(done.stdout)
    return codes


def test_there_are_as_many_steps_as_are_tested(old: Path) -> None:
    steps: list[str] = []
    with closing(connect(old / LEDGER_FILE)) as connection:
        migrate(connection, old / LEDGER_FILE, steps.append)
    assert len(steps) == STEPS
    assert (steps[0], steps[-1]) == ("space", "done")


def test_a_migration_that_is_killed_at_any_step_goes_on(old: Path, tmp_path: Path) -> None:
    before = dump(old / LEDGER_FILE)
    folders = [shutil.copytree(old, tmp_path / str(steps)) for steps in range(STEPS)]
    killed = migrate_and_kill(*((folder, steps, None) for steps, folder in enumerate(folders)))
    assert killed == [-9] * STEPS
    for steps, folder in enumerate(folders):
        version = SCHEMA_VERSION if steps == STEPS - 1 else 1
        with closing(sqlite3.connect(folder / LEDGER_FILE)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (version,), steps
        if version == 1:
            assert dump(folder / LEDGER_FILE) == before, steps
        check_goes_on(folder)


def test_a_migration_that_is_killed_at_any_moment_goes_on(old: Path, tmp_path: Path) -> None:
    chance = random.Random(11)
    folders = [shutil.copytree(old, tmp_path / str(number)) for number in range(6)]
    for _ in range(2):
        migrate_and_kill(*((folder, 100, chance.random() * 0.08) for folder in folders))
    for folder in folders:
        check_goes_on(folder)


def test_schema_1s_memory_goes_once_nothing_can_bring_its_events(old: Path) -> None:
    now, steady = [NOW], [0.0]
    with closing(
        SqliteLedger.open(old, clock=lambda: now[0] / 1000, steady=lambda: steady[0])
    ) as ledger:

        def forget(source: str, *found: Partition, memory: int = HOUR) -> int:
            deleted = 0
            for _ in range(3):
                deleted += expire(ledger, source, found, looked_at=now[0], memory=memory)
                now[0] += HOUR
                steady[0] += 3600
            return deleted

        assert forget("history", EAST, WEST) == 0
        for partition in (EAST, WEST):
            commit(ledger, batch(partition=partition, remember_from=NOW + 8 * HOUR))
        assert forget("history", EAST, WEST) == 10
        assert forget("replay", FILE, memory=14 * 24 * HOUR) == 0
        steady[0] += 15 * 24 * 3600
        assert forget("replay", FILE, memory=14 * 24 * HOUR) == 3
        with closing(sqlite3.connect(old / LEDGER_FILE)) as connection:
            assert EarlierMatches.of(connection.cursor()) is not None, "the group that is gone"
        for partition in (GROUP, GONE):
            commit(ledger, batch(partition=partition, remember_from=NOW + 8 * HOUR))
        assert forget("apps", GROUP) == 3
    with closing(sqlite3.connect(old / LEDGER_FILE)) as connection:
        assert EarlierMatches.of(connection.cursor()) is None
    SqliteLedger.open(old).close()


@pytest.fixture
def full_volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    with mounted_volume(tmp_path / "volume", size="2m") as volume:
        yield volume


def test_the_space_that_a_migration_needs_is_checked_before(old: Path, full_volume: Path) -> None:
    path = Path(shutil.copy(old / LEDGER_FILE, full_volume))
    (full_volume / "filler").write_bytes(bytes(1 << 20))
    before = dump(path)
    with pytest.raises(LedgerError, match=r"needs \d+ bytes, and \d+ are free"):
        SqliteLedger.open(full_volume)
    assert dump(path) == before
    (full_volume / "filler").unlink()
    check_goes_on(full_volume)


def test_an_old_row_that_cannot_be_read_is_a_sentence_and_changes_nothing(old: Path) -> None:
    with closing(sqlite3.connect(old / LEDGER_FILE)) as connection:
        connection.execute("UPDATE series SET labels = '[[' WHERE id = 3")
        connection.commit()
    before = dump(old / LEDGER_FILE)
    with pytest.raises(LedgerError, match=r"is damaged: table series has a row .* 3\. Restore"):
        SqliteLedger.open(old)
    assert dump(old / LEDGER_FILE) == before
    assert (old / f"{LEDGER_FILE}.v1").exists()


def test_a_newer_ledger_says_which_version_wrote_it_and_how_to_go_back(old: Path) -> None:
    SqliteLedger.open(old).close()
    path = old / LEDGER_FILE
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE facts SET value = '9.1.0' WHERE name = 'exporter version'")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(LedgerError, match=r"written by version 9\.1\.0 of the exporter") as error:
        SqliteLedger.open(old)
    assert ".v2" not in str(error.value)
    copy = Path(shutil.copy(path, old / f"{LEDGER_FILE}.v{SCHEMA_VERSION}"))
    with pytest.raises(LedgerError, match="To downgrade, replace it with the copy") as error:
        SqliteLedger.open(old)
    assert str(copy) in str(error.value)


@pytest.mark.parametrize("step", ["copied", "rolled back", "done"])
def test_a_ledger_of_schema_2_goes_on_with_its_label_sets(tmp_path: Path, step: str) -> None:
    path = tmp_path / LEDGER_FILE
    with closing(SqliteLedger.open(tmp_path)) as ledger:
        load_one(ledger, max_series=2)
        commit(ledger, batch(*(increment(user, event_id=user) for user in "abc")))
        before = totals(ledger)
    with closing(connect(path)) as connection:
        connection.executescript("DROP TABLE account_counts; PRAGMA user_version = 2;")
        if step != "done":
            with pytest.raises(KeyboardInterrupt):
                migrate(connection, path, stop_at("tables" if step == "copied" else "commit"))
    for _ in range(2):
        with closing(SqliteLedger.open(tmp_path)) as ledger:
            load_one(ledger, max_series=2)
            assert totals(ledger) == before
            assert ledger.rule_totals()[0].fullest == 2
            commit(ledger, batch(*(increment(user, event_id=user) for user in "abc")))
    with closing(SqliteLedger.open(tmp_path)) as ledger:
        load_one(ledger, max_series=2)
        commit(ledger, batch(increment("d", event_id="d")))
        assert totals(ledger)[key("__overflow__")][0] == 2
    with closing(connect(path.with_name(f"{LEDGER_FILE}.v2"))) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def stop_at(step: str) -> Callable[[str], None]:
    """A killed process."""

    def stop(reached: str) -> None:
        if reached == step:
            raise KeyboardInterrupt

    return stop
