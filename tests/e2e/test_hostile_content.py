"""Events that an attacker writes, at the most talkative log level: nothing of them, and no
credential, gets where it does not belong."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from metric_filter_demo.faults import Faults
from tests.support.expositions import Exposition, parse_exposition
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.records import ACCOUNT, trail_record
from tests.support.waiting import wait_for

MARK = "MARK-of-the-event"
BODY = "BODY-of-the-event"
"""Stands in no label."""
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "SECRET-of-the-key",
    "AWS_SESSION_TOKEN": "TOKEN-of-the-session",
}
PASSWORD = "PASSWORD-of-the-user"
HASH = "$2b$04$HASHHASHHASHHASHHASHHASHHASHHASHHASHHASHHASHHASHHASHHA"
TEXTS = [
    f'{MARK}"}} 1\nfake_total 99\n# TYPE fake_total counter',
    f"{MARK}\\",
    f"{MARK}<script>alert(1)</script>",
    f"{MARK}\x1b[31m\x00\r\ntime=2026-01-01 level=error msg=forged",
    f"{MARK}\u2028\u202e\ud800",
    f"{MARK}" + "x" * 300_000,
    f"{MARK}${{jndi:ldap://x}} %s %(user)s {{0}} $(reboot) `id`",
]
MESSAGES = [
    f"ERROR {MARK} not json {{",
    f'ERROR {{"{MARK}": ' * 500,
    json.dumps({"ERROR": MARK, "size": f"{MARK} is no number"}),
    json.dumps({"ERROR": MARK, "size": 1e308}),
    json.dumps({"ERROR": MARK, "size": 12}),
    json.dumps({**trail_record("ERROR"), "eventTime": MARK, "eventID": [MARK], "awsRegion": {}}),
    f'{{"ERROR": "{MARK}", "size": 1{"0" * 5000}}}',
]
RULES: list[dict[str, Any]] = [
    {
        "name": "users",
        "sources": ["history"],
        "pattern": "{ $.eventName = * }",
        "metric": "users_total",
        "labels": {"user": "$.userIdentity.userName"},
        "max_series": 5,
    },
    {
        "name": "sizes",
        "sources": ["apps", "replay"],
        "pattern": "ERROR",
        "metric": "sizes_bytes_total",
        "value": "$.size",
    },
]


@dataclass
class Outcome:
    """What there is to look at after the attack."""

    logs: str
    page: Exposition
    openmetrics: Exposition
    status: str
    ledger: bytes


def configuration(folder: Path) -> dict[str, Any]:
    common = {"regions": ["us-east-1"], "interval": "1s", "lookback": "30s", "start": "1m"}
    return {
        "sources": [
            {"name": "history", "type": "event_history", **common},
            {"name": "apps", "type": "log_groups", "log_groups": ["*"], **common},
            {"name": "replay", "type": "files", "paths": [f"{folder}/in/*"], "interval": "1s"},
        ],
        "rules": RULES,
    }


def write_files(folder: Path) -> None:
    folder.mkdir()
    (folder / "lines.log").write_text("\n".join(MESSAGES) + "\n")
    (folder / "cut.json.gz").write_bytes(gzip.compress(MARK.encode() * 9999)[:-40])
    (folder / "records.json").write_text(f'{{"Records": [{{"eventName": "{MARK}"')
    (folder / "binary.log").write_bytes(b"ERROR \xff\xfe\x00" + MARK.encode() + b"\n")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("hostile")
    write_files(folder / "in")
    config, web_config = folder / "exporter.yaml", folder / "web.yaml"
    config.write_text(yaml.safe_dump(configuration(folder)))
    web_config.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    with RecordingAws() as aws:
        aws.log_group_create("us-east-1", "/app/one")
        for text in TEXTS:
            user = {"type": "IAMUser", "userName": text}
            rest: dict[str, Any] = {"userIdentity": user, "requestParameters": {"body": BODY}}
            aws.record(ACCOUNT, "us-east-1", trail_record(MARK, **rest))
        for message in MESSAGES:
            aws.put_log_event("us-east-1", "/app/one", message)
        exporter = Exporter(
            config,
            folder / "data",
            arguments=(
                "--log.level=debug",
                "--metrics.birth-hold=0s",
                f"--web.config.file={web_config}",
            ),
            environment={**aws.environment(), **SECRETS, "PYTHONASYNCIODEBUG": "1"},
        )
        with exporter:
            exporter.wait_until_ready()
            wait_for("the users", lambda: exporter.scrape().value("users_total") == len(TEXTS))
            break_everything(exporter, aws, config, web_config)
            yield Outcome(
                exporter.logs(),
                exporter.scrape(),
                parse_exposition(
                    exporter.get("/metrics", Accept="application/openmetrics-text").text,
                    openmetrics=True,
                ),
                exporter.get("/").text + exporter.get("/rules/users").text,
                b"".join(file.read_bytes() for file in (folder / "data").iterdir()),
            )
            assert exporter.terminate() == 0


def break_everything(exporter: Exporter, aws: RecordingAws, config: Path, web_config: Path) -> None:
    """Make it log all that it can have to say."""
    requests = "metric_filter_exporter_api_requests_total"

    def happened(outcome: str) -> bool:
        return bool(exporter.scrape().value(requests, outcome=outcome))

    for faults, result in (
        (Faults(denied={"us-east-1": ["*"]}), "access_denied"),
        (Faults(expired=True), "error"),
        (Faults(throttle=1.0), "throttled"),
    ):
        aws.faults = faults
        wait_for(result, lambda result=result: happened(result))  # type: ignore[misc]
    aws.faults = Faults()
    wait_for("it to succeed again", lambda: "poll succeeds again" in exporter.logs())
    web_config.write_text(f"basic_auth_users: {{alice: {PASSWORD}, bob: '{HASH}x'}}\n")
    exporter.get("/", Authorization=f"Basic {PASSWORD}")
    wait_for("the password to be refused", lambda: "bcrypt" in exporter.logs())
    config.write_text("rules: [{name: broken}]\n")
    wait_for("the failing reload", lambda: "reload failed" in exporter.logs())


def test_neither_event_contents_nor_credentials_are_logged_even_at_debug(outcome: Outcome) -> None:
    for secret in (MARK, *SECRETS.values(), PASSWORD, HASH, "Traceback"):
        assert secret not in outcome.logs, secret


def test_each_log_line_is_one_fact_in_logfmt(outcome: Outcome) -> None:
    lines = outcome.logs.splitlines()
    assert len(lines) > 10
    value = r'(?:"(?:[^"\\]|\\.)*"|[^ "=]*)'
    for line in lines:
        assert line.isprintable(), repr(line)
        form = rf"time=\S+Z level=\w+ msg={value}(?: [a-z_.]+={value})*"
        assert re.fullmatch(form, line), line


def test_labels_cannot_become_samples(outcome: Outcome) -> None:
    for page in (outcome.page, outcome.openmetrics):
        assert not any(name.startswith("fake") for name, _ in page.samples)
        users = [dict(labels)["user"] for labels in page.series("users_total")]
        assert len(users) == 6
        assert users.count("__overflow__") == 1
        assert all(len(user) <= 200 for user in users)
        assert sum(page.series("users_total").values()) == len(TEXTS)


def test_values_that_are_no_numbers_add_nothing_and_are_counted(outcome: Outcome) -> None:
    errors = "metric_filter_exporter_value_errors_total"
    assert outcome.page.value(errors, rule="sizes", source="apps")
    assert outcome.page.value("sizes_bytes_total", source="apps") == 12


def test_the_status_page_shows_nothing_as_markup(outcome: Outcome) -> None:
    assert "<script" not in outcome.status.lower()
    assert MARK not in outcome.status


def test_of_an_event_the_labels_and_the_id_are_kept_and_nothing_else(outcome: Outcome) -> None:
    assert MARK.encode() in outcome.ledger
    assert BODY.encode() not in outcome.ledger
