"""The packs for RDS: every rule understands every layout, and text of clients decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import NamedTuple

import pytest

from exporter.configuration import load
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.sources.log_groups import LOG_GROUP

PLACE = Partition("logs", "123456789012", "eu-west-1", resource="/db", kind=LOG_GROUP)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, float | None]]:
    """The increment of each rule of the two packs that a log event matches."""
    path = tmp_path_factory.mktemp("packs") / "config.yaml"
    path.write_text(
        "sources: [{name: logs, type: log_groups, log_groups: ['*']}]\n"
        "rule_packs: [rds-mysql, rds-postgresql]\n"
    )
    rules = RuleSet.of(load([path]).rules)

    def count(message: str) -> dict[str, float | None]:
        found = rules.evaluate([LogEvent(message, 1, "1")], PLACE, "auto").increments
        assert len({one.rule for one in found}) == len(found)
        return {one.rule: one.value for one in found}

    return count


Counted = Callable[[str], Mapping[str, float | None]]


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
        "2024-05-01 10:00:00.120 UTC::@:[400]:7:00000:2024-05-01 09:58:00 UTC::0:66321a3e.190:LOG:  ",
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
            f",{entry.level},{entry.code}",
        ]
        found += [f"x\n{layout(entry)}" for layout in (_rds(), _csv(), _json())]
    return tuple(found)


def _around(text: str) -> Iterable[Entry]:
    """Entries that count nothing, with a client's text in each field."""
    yield Entry("LOG", f"statement: SELECT '{text}'", statement=text)
    yield Entry("LOG", f"execute <unnamed>: {text}", statement=text)
    yield Entry("DETAIL", f"parameters: $1 = '{text}'", statement=text)
    yield Entry("NOTICE", f"x {text}")
    if ":[" not in text and len(text) < 64:
        yield Entry("LOG", "connection authorized: TLS", user=text)
        yield Entry("LOG", "connection authorized: TLS", database=text)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_text_of_clients_is_no_event_of_postgresql(counted: Counted, layout: str) -> None:
    for text in _triggers():
        for entry in _around(text):
            named = text in (entry.user, entry.database)
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


MYSQL = "rds_mysql_"
HEADS = {
    "8, UTC": "2024-05-01T10:00:00.123456Z 42 [{level}] [MY-010000] [{part}] {text}",
    "8, SYSTEM": "2024-05-01T10:00:00.123456+02:00 42 [{level}] [MY-010000] [{part}] {text}",
    "5.7, UTC": "2024-05-01T10:00:00.123456Z 42 [{level}] {colon}{text}",
    "5.7, SYSTEM": "2024-05-01T10:00:00.123456-05:00 42 [{level}] {colon}{text}",
    "5.6": "2024-05-01 10:00:00 2211 [{level}] {colon}{text}",
    "5.5": "240501 10:00:00 [{level}] {colon}{text}",
    "5.5, one digit": "240501  9:00:00 [{level}] {colon}{text}",
    "MariaDB": "2024-05-01 10:00:00 42 [{level}] {colon}{text}",
    "MariaDB, one digit": "2024-05-01  0:00:00 42 [{level}] {colon}{text}",
    "MariaDB 10.1": "2024-05-01 10:00:00 140245643024576 [{level}] {colon}{text}",
}
ERRORS = f"{MYSQL}errors"
DISK_FULL = f"{MYSQL}storage_full"
LIMIT = f"{MYSQL}connection_limits"
SERVER_EVENTS: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("ERROR", "Server", "Table './shop/notes' is marked as crashed", (ERRORS,)),
    ("Warning", "Server", "CA certificate is self signed; [ERROR] is not meant", ()),
    ("Note", "InnoDB", "Transactions deadlock detected, dumping it.", (f"{MYSQL}deadlocks",)),
    ("Note", "Server", "Access denied for user 'a'@'h' (using password: NO)", ("rds_mysql_failed_logins",)),
    ("Warning", "Server", "Access denied for user 'a'@'h' (using password: YES)", ("rds_mysql_failed_logins",)),
    ("Warning", "Server", "Too many connections", (LIMIT,)),
    ("Warning", "Server", "User 'a' has exceeded the 'max_user_connections' resource (current value: 5)", (LIMIT,)),
    ("Warning", "Server", "Host '10.0.1.9' is blocked because of many connection errors; unblock", (LIMIT,)),
    ("Note", "Server", "Aborted connection 42 to db: 'shop' user: 'a' host: 'h' (Got timeout)", (f"{MYSQL}aborted_connections",)),
    ("Warning", "Server", "Aborted connection 42 to db: 'unconnected' user: 'a' host: 'h' (x)", (f"{MYSQL}aborted_connections",)),
    ("System", "Server", "/rdsdbbin/mysql/bin/mysqld: ready for connections. Version: '8.4.3'", (f"{MYSQL}starts",)),
    ("Note", "Server", "/usr/sbin/mariadbd: ready for connections.\nVersion: '11.4'", (f"{MYSQL}starts",)),
    ("System", "Server", "X Plugin ready for connections. Bind-address: '::' port: 33060", ()),
    ("System", "Server", "Admin interface ready for connections, address: '127.0.0.1'  port: 33062", ()),
    ("ERROR", "Server", f"Disk is full writing './log.000042' (Errcode: 28 \"{DISK}\")", (ERRORS, DISK_FULL)),
    ("ERROR", "Server", f"Error writing file '/tmp/MY' (OS errno 28 - {DISK})", (ERRORS, DISK_FULL)),
    ("ERROR", "Server", f"Error writing file '/tmp/MY' (Errcode: 28 - {DISK})", (ERRORS, DISK_FULL)),
    ("ERROR", "Server", "Error writing file '/tmp/MY' (errno: 28)", (ERRORS, DISK_FULL)),
    ("ERROR", "Server", "Got error 28 from storage engine", (ERRORS, DISK_FULL)),
    ("ERROR", "InnoDB", f"Error number 28 means '{DISK}'", (ERRORS, DISK_FULL)),
    ("ERROR", "InnoDB", "Write to file ./ibtmp1 failed. Operating system error number 28.", (ERRORS,)),
    ("Warning", "InnoDB", "posix_fallocate(): Failed for file ./a.ibd. Operating system error number 28.", (DISK_FULL,)),
    ("ERROR", "Server", "Can't open file (OS errno 2 - No such file or directory)", (ERRORS,)),
]  # fmt: skip
SLOW_QUERY = (f"{MYSQL}slow_queries", f"{MYSQL}slow_query_duration")
TIMES = {
    "8": "# Time: 2024-05-01T10:00:00.123456Z\n",
    "8, SYSTEM": "# Time: 2024-05-01T10:00:00.123456+02:00\n",
    "5.6": "# Time: 240501 10:00:00\n",
    "one digit": "# Time: 240501  9:00:00\n",
    "none": "",
    "after a command": "# administrator command: Quit;\n",
    "at the start of a file": "/rdsdbbin/mysql/bin/mysqld, Version: 8.0.36. started with:\n"
    "Tcp port: 3306  Unix socket: /tmp/mysql.sock\nTime                 Id Command    Argument\n"
    "# Time: 2024-05-01T10:00:00.123456Z\n",
}
USERS = {
    "address": "# User@Host: app[app] @  [10.0.1.5]  Id:    42\n",
    "host": "# User@Host: app[app] @ web-1.example.internal [10.0.1.5]  Id: 42\n",
    "socket": "# User@Host: root[root] @ localhost []  Id: 42\n",
    "blank": "# User@Host: my app[my app] @  [10.0.1.5]  Id: 42\n",
    "MariaDB": "# User@Host: app[app] @ localhost []\n# Thread_id: 42  Schema: shop  QC_hit: No\n",
    "no schema": "# User@Host: app[app] @  [10.0.1.5]\n# Thread_id: 42  Schema:   QC_hit: No\n",
    "Percona": "# User@Host: app[app] @  [10.0.1.5]  Id: 42\n"
    "# Schema: shop  Last_errno: 0  Killed: 0\n",
}
QUERY_TIME = "# Query_time: 2.500123  Lock_time: 0.000004 Rows_sent: 1  Rows_examined: 9\n"


@pytest.mark.parametrize("head", HEADS)
def test_each_rule_for_mysql_understands_each_error_log(counted: Counted, head: str) -> None:
    for level, part, text, rules in SERVER_EVENTS:
        colon = "InnoDB: " if part == "InnoDB" else ""
        message = HEADS[head].format(level=level, part=part, colon=colon, text=text)
        assert set(counted(message)) == set(rules), message


def test_innodb_before_5_7_writes_no_level(counted: Counted) -> None:
    head = "2024-05-01 10:00:00 7f3c8a2b1700 InnoDB: "
    assert set(counted(f"{head}Error: Write to file ./ib_logfile1 failed at offset 0.")) == {ERRORS}
    assert set(counted(f"{head}transactions deadlock detected, dumping")) == {f"{MYSQL}deadlocks"}
    assert set(counted(f"InnoDB: Error number 28 means '{DISK}'.")) == {DISK_FULL}


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("user", USERS)
def test_a_slow_query_counts_once_with_its_duration(counted: Counted, time: str, user: str) -> None:
    message = TIMES[time] + USERS[user] + QUERY_TIME + "SET timestamp=1714557600;\nSELECT 1;"
    assert counted(message) == {SLOW_QUERY[0]: 1, SLOW_QUERY[1]: 2.500123}


def test_a_slow_query_counts_once_line_by_line(counted: Counted) -> None:
    message = TIMES["5.6"] + USERS["MariaDB"] + QUERY_TIME + "SELECT 1;"
    found = [rule for line in message.splitlines() for rule in counted(line)]
    assert sorted(found) == sorted(SLOW_QUERY)


def _mysql_triggers() -> Iterable[str]:
    for head in HEADS.values():
        for level, part, text, _ in SERVER_EVENTS:
            yield text
            yield head.format(level=level, part=part, colon="InnoDB: ", text=text)
    yield f"{TIMES['8']}{USERS['address']}{QUERY_TIME}"
    yield "20240501 10:00:00,ip-10-0-0-1,app,10.0.1.9,50,0,FAILED_CONNECT,,,1045"
    yield "SELECT @@max_user_connections, @@max_connect_errors -- Too many connections"


def test_text_of_clients_is_no_event_of_mysql(counted: Counted) -> None:
    for text in _mysql_triggers():
        quoted = text.replace("\\", "\\\\").replace("'", "\\'")
        for message in (
            f"20240501 10:00:00,ip-10-0-0-1,app,10.0.1.9,50,7,QUERY,shop,'{quoted}',0",
            f"20240501 10:00:00,ip-10-0-0-1,app,10.0.1.9,50,7,QUERY,shop,'SELECT {quoted}',1064",
            f"1714557600123456,aurora-1,app,10.0.1.9,50,7,QUERY,shop,'INSERT {quoted}',0",
            f"2024-05-01T10:00:00.123456Z\t   42 Query\tSELECT '{text}'",
            f"240501 10:00:00\t   42 Query\tSELECT '{text}'",
            f"SELECT '{text}'",
            f'INSERT INTO notes VALUES ("{text}")',
        ):
            assert counted(message) == {}, message
        entry = f"{TIMES['8']}{USERS['address']}{QUERY_TIME}SELECT '{text}';"
        assert counted(entry) == {SLOW_QUERY[0]: 1, SLOW_QUERY[1]: 2.500123}, entry
        line = f"{QUERY_TIME}SELECT '{text}';"
        assert counted(line) == {SLOW_QUERY[0]: 1, SLOW_QUERY[1]: 2.500123}, line


@pytest.mark.parametrize("head", HEADS)
def test_names_of_clients_decide_nothing_in_mysqls_error_log(counted: Counted, head: str) -> None:
    for _, part, name, _ in SERVER_EVENTS:
        for level, text, rules in (
            ("Note", f"Access denied for user '{name}'@'h' (using password: YES)", {"failed_logins"}),
            ("Warning", f"Aborted connection 42 to db: '{name}' user: 'a' host: 'h' (x)", {"aborted_connections"}),
            ("ERROR", f"Replica SQL: Error 'x' on query. Query: 'INSERT \"{name}\"', Error_code: 1062", {"errors"}),
        ):  # fmt: skip
            message = HEADS[head].format(level=level, part=part, colon="", text=text)
            assert set(counted(message)) == {MYSQL + rule for rule in rules}, message


@pytest.mark.parametrize(
    "start",
    ["20240501 10:00:00,ip-10-0-0-1,", "20240501  9:00:00,db-1,", "1714557600123456,aurora-1,"],
)
def test_failed_connections_of_the_audit_log_count(counted: Counted, start: str) -> None:
    rule = {f"{MYSQL}audit_failed_logins"}
    assert set(counted(f"{start}app,10.0.1.9,50,0,FAILED_CONNECT,,,1045")) == rule
    assert set(counted(f"{start}app,10.0.1.9,50,0,FAILED_CONNECT,shop,,1044")) == rule
    assert set(counted(f"{start}o'x,y,10.0.1.9,50,0,FAILED_CONNECT,,,1045")) == rule
    assert counted(f"{start}a,1,2,FAILED_CONNECT,,,1045,10.0.1.9,50,0,CONNECT,shop,,0") == {}
    assert counted(f"{start}app,10.0.1.9,50,0,DISCONNECT,shop,,0") == {}
