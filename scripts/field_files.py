"""The field's cases of the ``files`` source: the files are made, and ``run --once`` counts them."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Counted = list[tuple[str, dict[str, str], float]]
"""Metric, labels and value."""

_SAMPLE = re.compile(r"(\w+)\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ERRORS = {
    "name": "errors",
    "pattern": '{ $.level = "error" }',
    "metric": "app_errors_total",
}


def _record(number: int) -> dict[str, Any]:
    return {
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "userName": "ana", "accountId": "210987654321"},
        "eventTime": "2024-06-03T14:05:00Z",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.24",
        "eventID": f"e-{number}",
        "eventType": "AwsApiCall",
        "recipientAccountId": "210987654321",
    }


def _login(number: int) -> str:
    return (
        f"Jun  3 14:05:{number:02} web-3 sshd[2211]: Failed password for root from 203.0.113.77 "
        "port 40022 ssh2"
    )


_RECORDS = [json.dumps(_record(number)) for number in range(3)]
_REPORT = (
    "REPORT RequestId: 5e0c1b2a-7f31-4a55-9d0e-3b6f2c84aa1{}\tDuration: 812.44 ms\tBilled Duration:"
    " 813 ms\tMemory Size: 256 MB\tMax Memory Used: 31 MB\t\n"
)
_REPORTS = [_REPORT.format(number) for number in range(2)]


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _subscription(messages: Sequence[str]) -> str:
    events = [
        {"id": str(number), "timestamp": 1717423509000, "message": message}
        for number, message in enumerate(messages)
    ]
    header = {"messageType": "DATA_MESSAGE", "owner": "210987654321", "logGroup": "g"}
    stream = {"logStream": "s", "subscriptionFilters": ["f"]}
    return json.dumps({**header, **stream, "logEvents": events})


def _look_up() -> bytes:
    events = [
        {"EventId": f"e-{number}", "EventName": "StopLogging", "CloudTrailEvent": record}
        for number, record in enumerate(_RECORDS)
    ]
    return json.dumps({"Events": events}, indent=4).encode()


def _lake() -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["eventjson"], *([r] for r in _RECORDS)])
    return text.getvalue().encode()


def _zip(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("messages", content)
    return file.getvalue()


def _of_page(page: bytes) -> Counted:
    found = filter(None, map(_SAMPLE.fullmatch, page.decode().splitlines()))
    return [(one[1], dict(_LABEL.findall(one[2])), float(one[3])) for one in found]


class Run:
    """A folder with files, and a ledger over them."""

    def __init__(
        self, folder: Path, packs: Sequence[str], *, paths: str = "*", form: str = "auto"
    ) -> None:
        self.folder = folder / "in"
        self.folder.mkdir()
        self._data = folder / "data"
        self._config = folder / "config.yaml"
        source = {"name": "files", "type": "files", "format": form}
        config = {
            "sources": [{**source, "paths": [str(self.folder / paths)]}],
            **({"rule_packs": list(packs)} if packs else {"rules": [_ERRORS]}),
        }
        self._config.write_text(yaml.safe_dump(config))
        self.messages = self.folder / "messages"

    def count(self) -> Counted:
        """The counts so far, after one more ``run --once``."""
        command = [sys.executable, "-m", "exporter", "run", "--once", "--log.level", "error"]
        options = ["--config.file", str(self._config), "--storage.path", str(self._data)]
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, *options], stdout=subprocess.PIPE, check=True
        )
        return _of_page(done.stdout)

    def add(self, *numbers: int) -> None:
        """Append lines to the log file."""
        with self.messages.open("ab") as file:
            file.write(_lines(map(_login, numbers)))


def _rename(run: Run) -> None:
    run.messages.rename(run.folder / "messages-20240603")
    run.add(3)


def _copy_and_truncate(run: Run) -> None:
    shutil.copy(run.messages, run.folder / "messages.1")
    os.truncate(run.messages, 0)
    run.add(3)


def _rename_with_tail(run: Run) -> None:
    run.add(3, 4)
    run.messages.rename(run.folder / "messages-20240603")
    run.add(5)


def _copy_over(run: Run) -> None:
    run.add(3)
    copy = run.folder.parent / "copy"
    shutil.copy(run.messages, copy)
    copy.replace(run.messages)


_STEPS: Mapping[str, tuple[str, Callable[[Run], None]]] = {
    "files-rotate-rename": ("messages*", _rename),
    "files-rotate-copytruncate": ("messages*", _copy_and_truncate),
    "files-rotate-lost-tail": ("messages", _rename_with_tail),
    "files-sed-inplace": ("messages", _copy_over),
}
"""Cases in several steps: the paths that are read, and the step after the first run."""

_LOGINS = _lines(map(_login, range(3)))
_ERROR = (
    "2024-06-03T14:05:09.123456Z 12 [ERROR] [MY-010119] [Server] Aborting the start of the server\n"
)
_POSTGRESQL = (
    "2024-06-03 14:05:09 UTC:198.51.100.4(40022):ana@shop:[2211]:ERROR:  division by zero\n"
)
_EXPORTED = "2024-06-03T14:05:09.000Z "
_CONTENTS: Mapping[str, bytes] = {
    "files-eventbridge": _lines(
        json.dumps(
            {
                "version": "0",
                "detail-type": "AWS API Call via CloudTrail",
                "detail": json.loads(record),
            }
        )
        for record in _RECORDS
    ),
    "files-lake-csv": _lake(),
    "files-sns": json.dumps(
        {
            "Type": "Notification",
            "Message": json.dumps({"Records": list(map(json.loads, _RECORDS))}),
        }
    ).encode(),
    "files-firehose-cloudtrail": "".join(_subscription([one]) for one in _RECORDS).encode(),
    "files-firehose-syslog": _subscription([_login(number) for number in range(3)]).encode(),
    "files-export-cloudtrail": gzip.compress(_lines(_EXPORTED + one for one in _RECORDS)),
    "files-export-lambda": gzip.compress(_lines(_EXPORTED + one for one in _REPORTS)),
    "files-export-pg": gzip.compress((_EXPORTED + _POSTGRESQL).encode()),
    "files-get-log-events-lambda": json.dumps(
        {
            "events": [
                {"timestamp": 1717423509000, "message": one, "ingestionTime": 1717423510000}
                for one in _REPORTS
            ],
            "nextForwardToken": "f/1",
            "nextBackwardToken": "b/1",
        }
    ).encode(),
    "files-lookup-events-auto": _look_up(),
    "files-lookup-events-cloudtrail": _look_up(),
    "files-lookup-events-jq": _lines(map(json.dumps, _RECORDS)),
    "files-cr-only": _LOGINS.replace(b"\n", b"\r"),
    "files-nul-head-mysql": b"\0" * 4096 + _ERROR.encode(),
    "files-bz2": bz2.compress(_LOGINS),
    "files-xz": lzma.compress(_LOGINS),
    "files-zip": _zip(_LOGINS),
    "files-utf16be-bom": ("\ufeff" + _LOGINS.decode()).encode("utf-16-be"),
    "files-utf16le-bom": ("\ufeff" + _LOGINS.decode()).encode("utf-16-le"),
}
"""The content of cases whose lines are cut, or words."""


def counted(case: Mapping[str, Any]) -> Counted:
    """Metric, labels and value of each series that ``run --once`` prints for a case."""
    with tempfile.TemporaryDirectory() as folder:
        packs = case.get("with_packs", [])
        if case["id"] in _STEPS:
            paths, step = _STEPS[case["id"]]
            run = Run(Path(folder), packs, paths=paths)
            run.add(0, 1, 2)
            run.count()
            step(run)
            return run.count()
        form = "cloudtrail" if case["id"].endswith("-cloudtrail") else "auto"
        run = Run(Path(folder), packs, form=form)
        content = _CONTENTS.get(case["id"]) or _lines(case["lines"])
        (name,) = case["file_names"]
        if name.endswith(".gz") and not content.startswith(b"\x1f\x8b"):
            content = gzip.compress(content)
        (run.folder / name).write_bytes(content)
        return run.count()
