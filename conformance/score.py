"""Scores a filter-pattern engine with the cases of this folder; README.md describes it.

    python conformance/score.py                          the exporter's own engine
    python conformance/score.py --command 'my-engine …'  an engine that speaks the line protocol

Only the exporter's own engine needs anything but Python's standard library.
"""

from __future__ import annotations

import argparse
import json
import select
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

FOLDER = Path(__file__).resolve().parent
CASES = FOLDER / "cases.jsonl"
UNCERTAIN = FOLDER / "uncertain.jsonl"

# Exit codes: all cases right, some wrong, and no score at all.
_RIGHT, _WRONG, _NO_SCORE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """An engine's result for a pattern and a message."""

    valid: bool
    """Whether the pattern is accepted."""
    match: bool = False
    extract: Mapping[str, str] = field(default_factory=dict)
    """The values that a space-delimited pattern extracted: ``$name`` or ``$3``."""
    error: str = ""
    """Why the engine cannot judge; empty if it can."""

    def __str__(self) -> str:
        """The verdict for a report."""
        if self.error:
            return f"error: {_cut(self.error)}"
        if not self.valid:
            return "refused"
        if not self.match:
            return "no match"
        return f"match, extracting {dict(self.extract)}" if self.extract else "match"


Engine: TypeAlias = Callable[[str, str], Verdict]
"""Judges a pattern and a message."""


class EngineError(Exception):
    """An engine cannot be scored: it ended, was too slow or broke the line protocol."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case; case.schema.json describes its fields."""

    id: str
    clause: str
    evidence: str
    pattern: str
    message: str
    expected: Verdict
    note: str
    edge: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that an engine judges wrongly."""

    case: Case
    verdict: Verdict

    def __str__(self) -> str:
        """Two lines: the question and the answer, and the rule."""
        case = self.case
        pattern, message = json.dumps(case.pattern), json.dumps(case.message)
        return (
            f"{case.id}: {_cut(pattern)} on {_cut(message)}: {self.verdict}; "
            f"should be: {case.expected}\n    {case.note} ({case.evidence})"
        )


def load_cases(path: Path = CASES) -> list[Case]:
    """Read a file of cases."""
    cases = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        cases.append(
            Case(
                row["id"],
                row["clause"],
                row["evidence"],
                row["pattern"],
                row["message"],
                Verdict(row["valid"], row["match"], row.get("extract", {})),
                row["note"],
                row.get("edge"),
            )
        )
    return cases


def failures(cases: Iterable[Case], engine: Engine) -> list[Failure]:
    """Give the cases that the engine judges wrongly; raises EngineError."""
    judged = ((case, engine(case.pattern, case.message)) for case in cases)
    return [Failure(case, verdict) for case, verdict in judged if verdict != case.expected]


def exporter_engine(pattern: str, message: str) -> Verdict:
    """Judge as the exporter does, in this process."""
    from exporter.patterns import PatternError, compile_pattern  # noqa: PLC0415

    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        return Verdict(valid=False)
    match = compiled.match(message)
    return Verdict(valid=True) if match is None else Verdict(True, True, match.fields)


class CommandEngine:
    """A program that judges: a line of JSON in, a line of JSON out.

    Args:
        command: the program and its arguments, as in a shell.
        timeout: seconds that an answer may take.
    """

    def __init__(self, command: str, timeout: float) -> None:
        self._timeout = timeout
        try:
            self._process = subprocess.Popen(  # noqa: S603 (the user's own command)
                shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except (OSError, ValueError) as error:
            raise EngineError(f"cannot be started: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def __call__(self, pattern: str, message: str) -> Verdict:
        """Ask; raises EngineError."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 (both are pipes)
        assert stdout is not None  # noqa: S101
        try:
            stdin.write(json.dumps({"pattern": pattern, "message": message}).encode() + b"\n")
            stdin.flush()
        except OSError as error:
            raise EngineError(f"accepts no further questions: {error}") from error
        if not select.select([stdout], [], [], self._timeout)[0]:
            raise EngineError(f"did not answer for {self._timeout:g} s to {_cut(repr(pattern))}")
        return _verdict(stdout.readline())


def _verdict(line: bytes) -> Verdict:
    if not line:
        raise EngineError("ended before its last answer")
    try:
        answer = json.loads(line)
        if error := answer.get("error"):
            return Verdict(valid=False, error=str(error))
        if not answer["valid"] or not answer["match"]:
            return Verdict(bool(answer["valid"]))
        return Verdict(True, True, answer.get("extract") or {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        shown = _cut(line.decode(errors="replace").strip())
        raise EngineError(f"answered {shown!r}, which is not the protocol's: {error!r}") from error


def _cut(text: str, length: int = 100) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _shares(cases: Sequence[Case], failed: Sequence[Failure]) -> list[str]:
    """A line for each group of clauses: how many of its cases are right."""
    group = Counter(case.clause.partition(".")[0] for case in cases)
    wrong = Counter(failure.case.clause.partition(".")[0] for failure in failed)
    return [f"  {name:<6} {total - wrong[name]:>5} of {total}" for name, total in group.items()]


def _report(
    cases: Sequence[Case], failed: Sequence[Failure], doubtful: int, other: int, show: int
) -> str:
    right = len(cases) - len(failed)
    clauses = {case.clause for case in cases}
    whole = clauses - {failure.case.clause for failure in failed}
    lines = [str(failure) for failure in failed[:show]]
    if len(failed) > show:
        lines.append(f"… and {len(failed) - show} more (--show)")
    # Not rounded up: 100.0 % is all of them.
    share = right * 1000 // len(cases) / 10
    return "\n".join(
        [
            *lines,
            *_shares(cases, failed),
            f"score: {right} of {len(cases)} cases ({share} %), "
            f"{len(whole)} of {len(clauses)} clauses without a fault",
            f"uncertain, not counted: {doubtful - other} of {doubtful} as the exporter decides",
        ]
    )


def _json_report(
    cases: Sequence[Case], failed: Sequence[Failure], doubtful: int, other: Sequence[Failure]
) -> str:
    def ids(found: Sequence[Failure]) -> list[str]:
        return [failure.case.id for failure in found]

    report: dict[str, Any] = {
        "cases": len(cases),
        "wrong": ids(failed),
        "uncertain": {"cases": doubtful, "other": ids(other)},
    }
    return json.dumps(report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Score and report.

    Returns 0 if all counted cases are right, 1 if some are wrong, 2 if the engine cannot be scored.
    """
    parser = argparse.ArgumentParser(
        prog="score.py", description="Score a filter-pattern engine; default: the exporter's own."
    )
    parser.add_argument("--command", help="a program that speaks the line protocol of README.md")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for an answer (30)")
    parser.add_argument("--show", type=int, default=20, help="how many wrong cases are shown (20)")
    parser.add_argument("--json", action="store_true", help="the ids of wrong cases as JSON")
    options = parser.parse_args(arguments)
    cases, doubtful = load_cases(), load_cases(UNCERTAIN)
    try:
        with ExitStack() as stack:
            engine: Engine = exporter_engine
            if options.command:
                engine = stack.enter_context(CommandEngine(options.command, options.timeout))
            failed, other = failures(cases, engine), failures(doubtful, engine)
    except EngineError as error:
        print(f"error: no score: the engine {error}", file=sys.stderr)
        return _NO_SCORE
    if options.json:
        print(_json_report(cases, failed, len(doubtful), other))
    else:
        print(_report(cases, failed, len(doubtful), len(other), options.show))
    return _WRONG if failed else _RIGHT


if __name__ == "__main__":
    sys.exit(main())
