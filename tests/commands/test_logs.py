"""Log lines are logfmt or JSON on standard error, one line each."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from exporter.logs import configure_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)


def test_logfmt_has_time_level_and_message_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "logfmt")
    structlog.get_logger("x").warning("poll failed", source="a b", attempts=3, last=True)
    captured = capsys.readouterr()
    time, rest = captured.err.split(" ", 1)
    assert time.startswith("time=2")
    assert rest == 'level=warn msg="poll failed" source="a b" attempts=3 last=true\n'
    assert captured.out == ""


def test_json_lines_are_objects(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    structlog.get_logger("x").info("partition found", source="a")
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["msg"], line["source"]) == ("info", "partition found", "a")


def test_what_libraries_log_looks_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "logfmt")
    logging.getLogger("library").info("started on %s", "x")
    assert 'level=info msg="started on x"' in capsys.readouterr().err


def test_what_is_not_there_is_left_out_and_the_event_loop_is_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("debug", "logfmt")
    logging.getLogger("asyncio").debug("Using selector")
    structlog.get_logger("x").info("partitions found", found=0, examples=None, scope="")
    assert capsys.readouterr().err.endswith('level=info msg="partitions found" found=0\n')


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_a_traceback_and_odd_characters_stay_on_one_line(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    configure_logging("info", "json" if log_format == "json" else "logfmt")
    try:
        raise ValueError("a\nb\rc\x1b[31m")
    except ValueError:
        structlog.get_logger("x").exception("ours", event_text="a\u2028b\r\n")
        logging.getLogger("library").exception("theirs")
    lines = capsys.readouterr().err.split("\n")
    assert len(lines) == 3
    assert all("ValueError" in line for line in lines[:2])
    assert not any(char in "".join(lines) for char in "\r\x1b\u2028")


def test_a_level_hides_what_is_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warn", "logfmt")
    structlog.get_logger("x").info("hidden")
    logging.getLogger("y").info("hidden")
    structlog.get_logger("x").error("shown")
    assert capsys.readouterr().err.count("msg=") == 1


def test_not_even_debug_lets_aws_libraries_log_requests(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("debug", "logfmt")
    logging.getLogger("botocore.auth").debug("Signature: secret")
    logging.getLogger("urllib3.connectionpool").debug("GET /")
    structlog.get_logger("x").debug("ours")
    assert capsys.readouterr().err.count("msg=") == 1
