"""rds-postgresql: every rule understands every layout, and text of clients decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

import pytest

from tests.support.counted import Counted, counted_by


@pytest.fixture(scope="module")
def counted() -> Counted:
    return counted_by(["rds-mysql", "rds-postgresql"])


class Entry(NamedTuple):
    """An entry of PostgreSQL's log, as the server fills a layout with it."""

    level: str
    text: str
    code: str = "00000"
    user: str = "app"
    database: str = "shop"
    application: str = "web"
    statement: str = ""


def _rds(zone: str = "UTC", client: str = "10.0.1.5(52834)") -> Callable[[Entry], str]:
    return lambda e: (
        f"2024-05-01 10:00:00 {zone}:{client}:{e.user}@{e.database}:[20175]:{e.level}:  {e.text}"
    )


def _rds_second(application: str = "{}") -> Callable[[Entry], str]:
    return lambda e: (
        f"2024-05-01 10:00:00.120 UTC:10.0.1.5(52834):{e.user}@{e.database}:[20175]:12:{e.code}:"
        f"2024-05-01 09:58:00 UTC:7/412:0:66321a3e.4ecf:{application.format(e.application)}"
        f"{e.level}:  {e.text}"
    )


def _prefix(prefix: str) -> Callable[[Entry], str]:
    return lambda e: f"{prefix.format(**e._asdict())}{e.level}:  {e.text}"


def _csv(client: str = '"10.0.1.5:52834"', tag: str = "SELECT") -> Callable[[Entry], str]:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if text else ""

    return lambda e: (
        f"2024-05-01 10:00:00.120 UTC,{quoted(e.user)},{quoted(e.database)},20175,{client},"
        f'66321a3e.4ecf,12,"{tag}",2024-05-01 09:58:00 UTC,7/412,0,{e.level},{e.code},'
        f"{quoted(e.text)},,,,,,{quoted(e.statement)},,,{quoted(e.application)},"
        '"client backend",,0'
    )


def _json(before: str = "{", after: str = "}", code: str = "state_code") -> Callable[[Entry], str]:
    def string(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    return lambda e: (
        f'{before}"timestamp":"2024-05-01 10:00:00.120 UTC","user":{string(e.user)},'
        f'"dbname":{string(e.database)},"pid":20175,"remote_host":"10.0.1.5","line_num":12,'
        f'"ps":"SELECT","session_start":"2024-05-01 09:58:00 UTC","vxid":"7/412","txid":0,'
        f'"error_severity":"{e.level}","{code}":"{e.code}","message":{string(e.text)},'
        f'"statement":{string(e.statement)},"application_name":{string(e.application)}{after}'
    )


LAYOUTS: dict[str, Callable[[Entry], str]] = {
    "RDS": _rds(),
    "RDS, an offset": _rds("+0530"),
    "RDS, IPv6": _rds(client="2001:db8::5(52834)"),
    "RDS, a socket": _rds(client="[local]"),
    "RDS, names with blanks": lambda e: _rds()(e._replace(user="my app", database="web shop")),
    "RDS, before the login": lambda e: _rds()(e._replace(user="[unknown]", database="[unknown]")),
    "RDS, verbose": lambda e: _rds()(e._replace(text=f"{e.code}: {e.text}")),
    "RDS, a blank at the end": lambda e: _rds()(e._replace(level=f" {e.level}")),
    "RDS's second": _rds_second(),
    "RDS's second, no session": _rds_second(""),
    "RDS's second, a colon": _rds_second("{}:"),
    "RDS's second, blanks": _rds_second("PostgreSQL JDBC Driver"),
    "RDS's second, unknown": _rds_second("[unknown]"),
    "RDS's second, verbose": lambda e: _rds_second()(e._replace(text=f"{e.code}: {e.text}")),
    "PostgreSQL": _prefix("2024-05-01 10:00:00.120 CEST [646] "),
    "Debian": _prefix("2024-05-01 10:00:00.120 +02 [646] {user}@{database} "),
    "pgBadger": _prefix(
        "2024-05-01 10:00:00 UTC [646]: [3-1] user={user},db={database},app=web,client=10.0.1.5 "
    ),
    "pganalyze": _prefix(
        "2024-05-01 10:00:00.120 UTC [646] [user={user},db={database},app={application}] "
    ),
    "Azure": _prefix("2024-05-01 10:00:00 UTC-66321a3e.4ecf-"),
    "a time": _prefix("2024-05-01 10:00:00 UTC "),
    "in angle brackets": _prefix("<2024-05-01 10:00:00 UTC 10.0.1.5(52834) {user} 646 idle>"),
    "with pipes": _prefix("2024-05-01 10:00:00.120 UTC|{user}|{database}|66321a3e.4ecf|"),
    "time at the end": _prefix("user={user},db={database},time=2024-05-01 10:00:00 CEST "),
    "no time": _prefix("pid=646,user={user},db={database},app={application},client=10.0.1.5 "),
    "syslog": _prefix("May  1 10:00:00 db-1 postgres[646]: [5-1]  db={database},user={user} "),
    "two times": _prefix(
        ' sql_error_code = {code} time_ms = "2024-05-01 10:00:00.120 UTC" pid="646"'
        ' proc_start_time="2024-05-01 09:58:00 UTC" user="{user}" '
    ),
    "csvlog": _csv(),
    "csvlog, a socket": _csv('"[local]"', "CREATE INDEX"),
    "jsonlog": _json(),
    "jsonlog of CloudNativePG": _json('{"level":"info","record":{', "}}", "sql_state_code"),
}
PREFIX = "rds_postgresql_"
FATAL = f"{PREFIX}fatal_errors"
ERROR = f"{PREFIX}errors"
SLOW = (f"{PREFIX}slow_queries", f"{PREFIX}slow_query_duration")
LOGIN = f"{PREFIX}failed_logins"
ROLE = f"{PREFIX}unknown_roles"
REJECTED = f"{PREFIX}rejected_logins"
MANY = f"{PREFIX}connection_limits"
TIMEOUT = f"{PREFIX}statement_timeouts"
FULL = f"{PREFIX}storage_full"
LOCK = f"{PREFIX}lock_waits"
DISK = "No space left on device"
EVENTS: list[tuple[Entry, tuple[str, ...]]] = [
    (Entry("ERROR", 'column "note" does not exist at character 8', "42703"), (ERROR,)),
    (Entry("ERROR", '"note" is not a table', "42809"), (ERROR,)),
    (Entry("FATAL", "terminating connection due to administrator command", "57P01"), (FATAL,)),
    (Entry("PANIC", "could not locate a valid checkpoint record", "XX000"), (f"{PREFIX}panics",)),
    (Entry("LOG", "duration: 1234.500 ms  statement: SELECT 1"), SLOW),
    (Entry("LOG", "duration: 1234.500 ms  parse <unnamed>: SELECT $1"), SLOW),
    (Entry("LOG", "duration: 1234.500 ms  bind s1/c1: SELECT $1"), SLOW),
    (Entry("LOG", "duration: 1234.500 ms  execute fetch from s1: SELECT $1"), SLOW),
    (Entry("LOG", 'duration: 1234.500 ms  fastpath function call: "loread" (OID 954)'), SLOW),
    (Entry("LOG", "duration: 1234.500 ms  plan:\nQuery Text: SELECT 1\nResult  (cost=0)"), SLOW),
    (Entry("LOG", "duration: 1234.500 ms"), SLOW),
    (Entry("ERROR", "deadlock detected", "40P01"), (ERROR, f"{PREFIX}deadlocks")),
    (Entry("LOG", "process 646 still waiting for ShareLock on tuple (0,1) after 1000 ms"), (LOCK,)),
    (Entry("FATAL", 'password authentication failed for user "app"', "28P01"), (FATAL, LOGIN)),
    (Entry("FATAL", 'PAM authentication failed for user "app"', "28000"), (FATAL, LOGIN)),
    (Entry("FATAL", 'RADIUS authentication failed for user "app"', "28000"), (FATAL, LOGIN)),
    (Entry("FATAL", 'Ident authentication failed for user "app"', "28000"), (FATAL, LOGIN)),
    (Entry("FATAL", 'certificate authentication failed for user "app"', "28000"), (FATAL, LOGIN)),
    (Entry("FATAL", 'OAuth bearer authentication failed for user "app"', "28000"), (FATAL, LOGIN)),
    (Entry("FATAL", 'permission denied for database "shop"', "42501"), (FATAL, LOGIN)),
    (Entry("FATAL", 'role "report user" does not exist', "28000"), (FATAL, ROLE)),
    (Entry("FATAL", 'role "readers" is not permitted to log in', "28000"), (FATAL, ROLE)),
    (
        Entry(
            "FATAL", 'no pg_hba.conf entry for host "::5", user "a", database "b", no encryption'
        ),
        (FATAL, REJECTED),
    ),
    (
        Entry("FATAL", 'pg_hba.conf rejects connection for host "10.0.1.5", user "a", SSL off'),
        (FATAL, REJECTED),
    ),
    (Entry("FATAL", "sorry, too many clients already", "53300"), (FATAL, MANY)),
    (Entry("FATAL", 'too many connections for database "shop"', "53300"), (FATAL, MANY)),
    (
        Entry("FATAL", "remaining connection slots are reserved for roles with the SUPERUSER"),
        (FATAL, f"{PREFIX}reserved_connections"),
    ),
    (Entry("ERROR", "canceling statement due to statement timeout", "57014"), (ERROR, TIMEOUT)),
    (Entry("ERROR", "canceling statement due to user request", "57014"), (ERROR, TIMEOUT)),
    (Entry("ERROR", f'could not extend file "base/1/2": {DISK}', "53100"), (ERROR, FULL)),
    (Entry("LOG", f'could not write temporary statistics file "a.tmp": {DISK}', "53100"), (FULL,)),
]
SERVER_CODE = "XX000"
"""Of entries above level ERROR that give no code."""


def _complete(entry: Entry) -> Entry:
    with_code = entry.level not in ("LOG", "STATEMENT") and entry.code == "00000"
    return entry._replace(code=SERVER_CODE) if with_code else entry


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_rule_for_postgresql_understands_each_layout(counted: Counted, layout: str) -> None:
    for entry, rules in EVENTS:
        message = LAYOUTS[layout](_complete(entry))
        found = counted(message)
        assert set(found) == set(rules), message
        assert found.get(SLOW[1], 1.2345) == pytest.approx(1.2345), message
    found = counted(LAYOUTS[layout](Entry("LOG", 'temporary file: path "base/t1.0", size 4096')))
    assert list(found.values()) == [4096], found
    assert next(iter(found)).startswith(f"{PREFIX}temporary_file_bytes")


@pytest.mark.parametrize(
    "layout", [name for name in LAYOUTS if not name.startswith(("RDS", "csvlog"))]
)
def test_a_start_of_postgresql_counts_in_each_layout(counted: Counted, layout: str) -> None:
    entry = Entry("LOG", "database system is ready to accept connections")
    assert set(counted(LAYOUTS[layout](entry))) == {f"{PREFIX}starts"}


@pytest.mark.parametrize(
    "message",
    [
        "2024-05-01 10:00:00 UTC::@:[400]:LOG:  ",
        "2024-05-01 10:00:00 UTC::@:[400]:LOG:  00000: ",
        "2024-05-01 10:00:00.1 UTC::@:[400]:7:00000:2024-05-01 09:58:00 UTC::0:66321a3e.19:LOG:  ",
        '2024-05-01 10:00:00.120 UTC,,,400,,66321a3e.190,7,,2024-05-01 09:58:00 UTC,,0,LOG,00000,"',
    ],
)
def test_only_the_server_itself_says_that_it_has_started(counted: Counted, message: str) -> None:
    text = "database system is ready to accept read-only connections"
    assert set(counted(message + text)) == {f"{PREFIX}starts"}
    raised = message.replace("::@:", ":10.0.1.5(52834):app@shop:").replace(",,,", ',"a","b",')
    assert counted(raised + text) == {}


@pytest.mark.parametrize("level", ["FEHLER", "ERREUR", "ERRORE", "ERRO"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_errors_of_a_server_in_another_language_count(
    counted: Counted, layout: str, level: str
) -> None:
    entry = Entry(level, "Relation »note« existiert nicht", "42P01")
    assert set(counted(LAYOUTS[layout](entry))) == {ERROR}


@cache
def _triggers() -> tuple[str, ...]:
    """Texts of clients that look like what the rules for PostgreSQL count."""
    entries = [_complete(entry) for entry, _ in EVENTS if "\n" not in entry.text]
    entries.append(Entry("LOG", "database system is ready to accept connections"))
    found = []
    for entry in entries:
        line = f"{entry.level}:  {entry.text}"
        found += [
            entry.text,
            line,
            f":[1]:{line}",
            f"UTC:[1]:{line}",
            f",{entry.level},{entry.code},",
        ]
        found += [f"x\n{layout(entry)}" for layout in (_rds(), _csv(), _json())]
    return tuple(found)


def _around(text: str) -> Iterable[Entry]:
    """Entries that count nothing, with a client's text in each field."""
    yield Entry("LOG", f"statement: SELECT '{text}'", statement=text)
    yield Entry("LOG", f"execute <unnamed>: {text}", statement=text)
    yield Entry("DETAIL", f"parameters: $1 = '{text}'", statement=text)
    yield Entry("NOTICE", f"x {text}")
    yield Entry("CONTEXT", f"SQL statement {text}")
    yield Entry("STATEMENT", text)
    if ":[" not in text and len(text) < 64:
        yield Entry("LOG", "connection authorized: TLS", user=text)
        yield Entry("LOG", "connection authorized: TLS", database=text)
    if ":[" not in text and len(text) < 64 and "duration: " not in text:
        yield Entry("LOG", "connection authorized: TLS", application=text)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_text_of_clients_is_no_event_of_postgresql(counted: Counted, layout: str) -> None:
    for text in _triggers():
        for entry in _around(text):
            named = text in entry[3:6]
            if named and not layout.startswith(("RDS", "csvlog", "jsonlog")):
                continue  # The pack's description says so.
            assert counted(LAYOUTS[layout](entry)) == {}, LAYOUTS[layout](entry)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_input_that_an_error_quotes_is_an_error_only(counted: Counted, layout: str) -> None:
    for text in _triggers():
        entry = Entry("ERROR", f'invalid input syntax for type integer: "{text}"', "22P02")
        assert set(counted(LAYOUTS[layout](entry))) == {ERROR}, text
        entry = Entry("FATAL", f'database "{text}" does not exist', "3D000")
        assert set(counted(LAYOUTS[layout](entry))) == {FATAL}, text
