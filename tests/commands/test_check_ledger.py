"""``check --storage.path`` says beforehand what loading a configuration changes in a ledger."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.configuration import load
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE
from exporter.model import Partition
from exporter.runtime.assembly import kept_versions, rule_uses
from tests.support.counting import batch, commit, increment

Start = Callable[..., "subprocess.Popen[bytes]"]
NOW = 1_700_000_000_000
CONFIGURATION = """\
sources:
  - {name: history, type: event_history}
rules:
  - {name: logins, pattern: '{ $.eventName = ConsoleLogin }', metric: logins_total,
     labels: {user: $.u}}
  - {name: same, pattern: x}
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[SqliteLedger]:
    """A ledger that has loaded the configuration, counted, and is open."""
    path = tmp_path / "metric-filter-exporter.yaml"
    path.write_text(CONFIGURATION)
    configuration = load([path])
    with closing(SqliteLedger.open(tmp_path / "data")) as ledger:
        ledger.load_rules(
            rule_uses(configuration, (), NOW),
            now=NOW,
            keep=kept_versions(configuration),
            generation="loaded",
        )
        partition = Partition("history", "111122223333", "us-east-1")
        commit(ledger, batch(increment("a", event_id="1"), partition=partition))
        yield ledger


@pytest.fixture
def check(tmp_path: Path, start: Start) -> Callable[[str], tuple[int, list[str], str]]:
    """Check a configuration with the ledger, as a process of its own."""

    def run(configuration: str) -> tuple[int, list[str], str]:
        (tmp_path / "metric-filter-exporter.yaml").write_text(configuration)
        process = start("check", "--storage.path", "data")
        stdout, stderr = process.communicate(timeout=30)
        return process.returncode, stdout.decode().splitlines()[1:], stderr.decode()

    return run


Check = Callable[[str], tuple[int, list[str], str]]


@pytest.mark.usefixtures("running")
def test_an_unchanged_configuration_changes_nothing(check: Check) -> None:
    code, lines, _ = check(CONFIGURATION)
    assert (code, lines) == (
        0,
        [f"data/{LEDGER_FILE} is whole", "2 rules on their sources: unchanged"],
    )


def test_edits_are_named_and_the_ledger_stays_as_it_is(
    running: SqliteLedger, check: Check, tmp_path: Path
) -> None:
    def contents() -> list[str]:
        with closing(
            sqlite3.connect(f"file:{tmp_path}/data/{LEDGER_FILE}?mode=ro", uri=True)
        ) as db:
            return list(db.iterdump())

    before = contents()
    code, lines, _ = check(CONFIGURATION.replace("ConsoleLogin", "Login"))
    assert code == 0
    assert lines[1].startswith(
        "rule logins on history is edited; the new version counts events from 2"
    )
    code, lines, _ = check(CONFIGURATION.replace("{user: $.u}", "{user: $.u, ip: $.i}"))
    assert lines[1] == (
        "metric logins_total (rules: logins) gains the label ip: 1 existing label set, totals"
        " kept; the new label is empty there"
    )
    code, lines, _ = check(CONFIGURATION.replace("{user: $.u}", "{}"))
    assert lines[1] == (
        "metric logins_total (rules: logins) loses the label user: 1 existing label set,"
        " totals kept"
    )
    code, lines, _ = check(CONFIGURATION.replace("name: same", "name: other"))
    assert lines[1].startswith("rule other on history is new and counts events from 2")
    assert lines[2] == "rule same on history is no longer configured and ends when this is loaded"
    assert contents() == before
    assert len(commit(running, batch(increment("a", event_id="2"))).new) == 1


def test_a_ledger_that_nobody_has_open_is_left_as_it_is(
    running: SqliteLedger, check: Check, tmp_path: Path
) -> None:
    running.close()
    code, lines, _ = check(CONFIGURATION)
    assert (code, lines[0]) == (0, f"data/{LEDGER_FILE} is whole")
    assert [path.name for path in (tmp_path / "data").iterdir()] == [LEDGER_FILE]


def test_a_source_that_comes_to_a_feed_is_named_with_what_becomes_of_its_series(
    running: SqliteLedger, check: Check, start: Start
) -> None:
    bus = (
        "  - {name: bus, type: event_bus, feed: history,"
        " queue_url: https://sqs.us-east-1.amazonaws.com/111122223333/events}\nrules:"
    )
    _, lines, _ = check(CONFIGURATION.replace("rules:", bus))
    assert lines[1].startswith("source bus joins the feed history and counts in it, events from 2")
    moved = CONFIGURATION.replace("event_history", "event_history, feed: org")
    _, lines, _ = check(moved)
    assert lines[1].startswith("source history moves from the feed history to org, events from 2")
    assert 'series with source="history" stay as they are' in lines[1]
    running.close()
    rename = ("storage", "rename-feed", "history", "org", "--storage.path", "data")
    stdout, _ = start(*rename).communicate(timeout=30)
    assert stdout.decode() == 'feed history is renamed to org: 1 series have source="org" now\n'
    _, lines, _ = check(moved)
    assert lines[1:] == ["2 rules on their sources: unchanged"]
    again = start(*rename)
    assert again.communicate(timeout=30)[1].decode().endswith("The ledger has no feed history.\n")
    assert again.returncode == 1


def test_damage_is_a_sentence_and_an_error(
    running: SqliteLedger, check: Check, tmp_path: Path
) -> None:
    running.close()
    with closing(sqlite3.connect(tmp_path / "data" / LEDGER_FILE)) as connection:
        connection.execute("UPDATE totals SET total = 7.0")
        connection.commit()
    code, _, errors = check(CONFIGURATION)
    assert code == 1
    assert "is damaged: table totals has a row that has changed: series " in errors


def test_a_folder_without_a_ledger_is_named(check: Check) -> None:
    assert check(CONFIGURATION)[:2] == (
        0,
        ["data has no ledger: a new one will be begun, every counter starts from 0"],
    )
