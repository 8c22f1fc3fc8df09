"""rds-mysql: every rule understands every layout, and text of clients decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support.counted import Counted, counted_by

MYSQL = "rds_mysql_"
DISK = "No space left on device"
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
SERVER_EVENTS = """
ERROR   Server Table './shop/notes' is marked as crashed -> errors
ERROR   Server Can't open file (OS errno 2 - No such file or directory) -> errors
Warning Server CA certificate is self signed; [ERROR] is not meant ->
Note    InnoDB Transactions deadlock detected, dumping detailed information. -> deadlocks
Note    Server Access denied for user 'a'@'h' (using password: NO) -> failed_logins
Warning Server Access denied for user 'a'@'h' (using password: YES) -> failed_logins
Warning Server Too many connections -> connection_limits
Warning Server User 'a' has exceeded the 'max_user_connections' resource -> connection_limits
Warning Server Host '10.0.1.9' is blocked because of many connection errors; -> connection_limits
Note    Server Aborted connection 42 to db: 'shop' user: 'a' host: 'h' (x) -> aborted_connections
Warning Server Aborted connection 42 to db: 'shop' user: 'a' host: 'h' (x) -> aborted_connections
System  Server /rdsdbbin/mysql/bin/mysqld: ready for connections. Version: '8.4.3' -> starts
Note    Server /usr/sbin/mariadbd: ready for connections. -> starts
System  Server X Plugin ready for connections. Bind-address: '::' port: 33060 ->
System  Server Admin interface ready for connections, address: '127.0.0.1' port: 33062 ->
ERROR   Server Disk is full writing './log.000042' (Errcode: 28 "No space left on device") -> errors storage_full
ERROR   Server Error writing file '/tmp/MY' (OS errno 28 - No space left on device) -> errors storage_full
ERROR   Server Error writing file '/tmp/MY' (Errcode: 28 - No space left on device) -> errors storage_full
ERROR   Server Error writing file '/tmp/MY' (errno: 28) -> errors storage_full
ERROR   Server Can't create/write to file './shop@002d1/a.MYD' (Errcode: 28 - No space left on device) -> errors storage_full
ERROR   Server mysqld: Write to the binary log failed (errno: 28 "No space left on device") -> errors storage_full
ERROR   Server Got error 28 from storage engine -> errors storage_full
ERROR   InnoDB Write to file ./ibtmp1 failed. Operating system error number 28. -> errors
ERROR   InnoDB Error number 28 means 'No space left on device' -> errors storage_full
Warning InnoDB posix_fallocate(): Failed to preallocate. Operating system error number 28. -> storage_full
"""  # noqa: E501
"""Level, part and text of entries, and the rules that they match."""
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


def server_events() -> Iterable[tuple[str, str, str, set[str]]]:
    """Level, part, text and rules of the entries."""
    for line in SERVER_EVENTS.strip().splitlines():
        entry, _, rules = line.partition(" ->")
        level, part, text = entry.split(None, 2)
        yield level, part, text, {MYSQL + rule for rule in rules.split()}


@pytest.fixture(scope="module")
def counted() -> Counted:
    return counted_by(["rds-mysql", "rds-postgresql"])


@pytest.mark.parametrize("head", HEADS)
def test_each_rule_for_mysql_understands_each_error_log(counted: Counted, head: str) -> None:
    for level, part, text, rules in server_events():
        colon = "InnoDB: " if part == "InnoDB" else ""
        message = HEADS[head].format(level=level, part=part, colon=colon, text=text)
        assert set(counted(message)) == rules, message


def test_innodb_before_5_7_writes_no_level(counted: Counted) -> None:
    head = "2024-05-01 10:00:00 7f3c8a2b1700 InnoDB: "
    assert set(counted(f"{head}Error: Write to file ./ib_logfile1 failed at offset 0.")) == {
        "rds_mysql_errors"
    }
    assert set(counted(f"{head}transactions deadlock detected, dumping")) == {f"{MYSQL}deadlocks"}
    assert set(counted(f"InnoDB: Error number 28 means '{DISK}'.")) == {"rds_mysql_storage_full"}


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
        for level, part, text, _ in server_events():
            yield from (text, f"[{part}] {text}", f"{part}: {text}")
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
            f"SELECT {text}",
            f'CALL note("{text}")',
        ):
            assert counted(message) == {}, message
        entry = f"{TIMES['8']}{USERS['address']}{QUERY_TIME}SELECT '{text}';"
        assert counted(entry) == {SLOW_QUERY[0]: 1, SLOW_QUERY[1]: 2.500123}, entry
        line = f"{QUERY_TIME}SELECT '{text}';"
        assert counted(line) == {SLOW_QUERY[0]: 1, SLOW_QUERY[1]: 2.500123}, line


@pytest.mark.parametrize("head", HEADS)
def test_names_of_clients_decide_nothing_in_mysqls_error_log(counted: Counted, head: str) -> None:
    for _, part, name, _ in server_events():
        query = f"Replica SQL: Error 'x' on query. Query: 'INSERT \"{name}\"', Error_code: 1062"
        for level, text, rule in (
            ("Note", f"Access denied for user '{name}'@'h' (using x)", "failed_logins"),
            ("Note", f"Aborted connection 4 to db: '{name}' user: 'a'", "aborted_connections"),
            ("ERROR", query, "errors"),
            ("ERROR", f"Event Scheduler: [app@%][shop.job] {name[:40]}", "errors"),
        ):
            message = HEADS[head].format(level=level, part=part, colon="", text=text)
            assert set(counted(message)) == {MYSQL + rule}, message


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
