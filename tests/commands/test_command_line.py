"""What all commands share: help, completion, colours."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from exporter.__main__ import app
from tests.support.tools import ROOT

Invoke = Callable[..., Result]

COMMANDS = [command.name or "" for command in app.registered_commands]
ESCAPE = "\x1b["


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_the_summaries_in_the_help_are_whole(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    result = invoke("--help")
    text = " ".join(result.stdout.split())
    assert "..." not in text.partition("Commands:")[2]
    for command in app.registered_commands:
        summary = " ".join(str(command.short_help).split())
        assert summary.endswith(".")
        assert f"{command.name} {summary}" in text


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_h_is_help_for_every_command(invoke: Invoke, command: tuple[str, ...]) -> None:
    short, long = invoke(*command, "-h"), invoke(*command, "--help")
    assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert "Usage: " in short.stdout


def complete(words: str) -> list[str]:
    """What bash is offered for the last of these words."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_METRIC_FILTER_EXPORTER_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "exporter"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_the_shell_completes_commands_and_options() -> None:
    assert complete("metric-filter-exporter ma") == ["match"]
    assert set(complete("metric-filter-exporter check --")) >= {"--config.file", "--online"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_can_be_printed(invoke: Invoke, shell: str) -> None:
    # Without a terminal to ask, the shell is named.
    result = invoke("--show-completion", shell)
    assert result.exit_code == 0
    assert "complete" in result.stdout


def on_a_terminal(folder: Path, *arguments: str, **variables: str) -> str:
    """What a command prints if both its outputs are a terminal."""
    inner, outer = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "exporter", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **variables},
        stdin=subprocess.DEVNULL,
        stdout=outer,
        stderr=outer,
    )
    os.close(outer)
    output = b""
    while True:
        try:
            output += os.read(inner, 65536)
        except OSError:  # EIO: the process has ended
            break
    os.close(inner)
    process.wait(20)
    return output.decode().replace("\r\n", "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.log").write_text('{"n": 1}\n')
    (tmp_path / "b.log").write_text('{"n": 2}\n')
    (tmp_path / "c.yaml").write_text("rules: [{name: Bad, pattern: '?a b'}]\n")
    return tmp_path


MATCH = ("match", "-n", "-p", "{ $.n > 0 }", "a.log", "b.log")
EXPLAIN = ("explain", "-p", "{ $.n > 1 }", "a.log", "b.log")
CHECK = ("check", "--config.file", "c.yaml")


@pytest.mark.parametrize(
    ("arguments", "coloured"),
    [
        (MATCH, f"{ESCAPE}35ma.log{ESCAPE}0m:{ESCAPE}32m1{ESCAPE}0m:"),
        (EXPLAIN, f"{ESCAPE}31m✗{ESCAPE}0m $.n > 1{ESCAPE}36m  ← 1{ESCAPE}0m"),
        (CHECK, f"{ESCAPE}31m{ESCAPE}1merror:{ESCAPE}0m"),
    ],
)
def test_a_terminal_gets_colours(folder: Path, arguments: tuple[str, ...], coloured: str) -> None:
    assert coloured in on_a_terminal(folder, *arguments)


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_gets_none_if_they_are_unwanted(folder: Path, variable: str, value: str) -> None:
    output = on_a_terminal(folder, *MATCH, **{variable: value})
    assert output == 'a.log:1:{"n": 1}\nb.log:1:{"n": 2}\n'


@pytest.mark.parametrize("arguments", [MATCH, EXPLAIN, CHECK])
def test_a_pipe_gets_no_colours_unless_they_are_forced(
    folder: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert ESCAPE not in invoke(*arguments).output
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert ESCAPE in invoke(*arguments).output
