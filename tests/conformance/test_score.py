"""score.py scores any program that speaks its line protocol, and an AWS API by an adapter."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.score import CASES, FOLDER, UNCERTAIN, load_cases, main
from metric_filter_demo.aws import EmbeddedAws
from tests.support.tools import ROOT

ENGINE = """\
import json, sys
from conformance.score import exporter_engine
for line in sys.stdin:
    case = json.loads(line)
    verdict = exporter_engine(case["pattern"], case["message"])
    answer = {"valid": verdict.valid, "match": verdict.match, "extract": dict(verdict.extract)}
    CHANGE
    print(json.dumps(answer), flush=True)
"""


def engine(folder: Path, change: str = "pass") -> str:
    """A command for an engine: the exporter's, with a change to its answers."""
    path = folder / "engine.py"
    path.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + ENGINE.replace("CHANGE", change)
    )
    return shlex.join([sys.executable, str(path)])


def test_a_command_that_judges_right_has_the_whole_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--command", engine(tmp_path)]) == 0
    output = capsys.readouterr().out
    cases, clauses = load_cases(), {case.clause for case in load_cases()}
    assert (
        f"score: {len(cases)} of {len(cases)} cases (100.0 %), "
        f"{len(clauses)} of {len(clauses)} clauses without a fault\n"
    ) in output
    uncertain = len(load_cases(UNCERTAIN))
    assert output.endswith(
        f"uncertain, not counted: {uncertain} of {uncertain} as the exporter decides\n"
    )


def test_the_exporters_own_engine_is_scored_without_a_command() -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "score.py"), "--json"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "cases": len(load_cases()),
        "wrong": [],
        "uncertain": {"cases": len(load_cases(UNCERTAIN)), "other": []},
    }


def test_what_is_wrong_is_shown_with_the_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change = 'answer["match"] = answer["match"] or "NOT EXISTS" in case["pattern"]'
    command = engine(tmp_path, change)
    assert main(["--command", command, "--show", "1"]) == 1
    first, note, more, *_rest = capsys.readouterr().out.splitlines()
    assert first == (
        r'json.message-01: "{ $.user NOT EXISTS }" on "user mei signed in": match; '
        "should be: no match"
    )
    assert note == "    No JSON pattern matches plain text. (observed)"
    assert more.startswith("… and ")

    assert main(["--command", command, "--json"]) == 1
    wrong = json.loads(capsys.readouterr().out)["wrong"]
    by_id = {case.id: case for case in load_cases()}
    assert len(wrong) > 10
    assert all("NOT EXISTS" in by_id[id_].pattern for id_ in wrong)
    assert f"{len(wrong) - 1} more" in more


def test_uncertain_cases_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change = 'answer["valid"] &= "is null" not in case["pattern"]'
    assert main(["--command", engine(tmp_path, change), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["wrong"] == []
    assert report["uncertain"]["other"] == ["u.json.keyword-case-01", "u.json.keyword-case-02"]


def test_extraction_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--command", engine(tmp_path, 'del answer["extract"]'), "--json"]) == 1
    wrong = json.loads(capsys.readouterr().out)["wrong"]
    expected = [case.id for case in load_cases() if case.expected.extract]
    assert wrong == expected


def test_an_engine_that_cannot_judge_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--command", engine(tmp_path, 'answer = {"error": "no engine"}')]) == 1
    output = capsys.readouterr().out
    assert 'on "disk /dev/sdb1 is full": error: no engine; should be: match' in output
    assert f"score: 0 of {len(load_cases())} cases (0.0 %), 0 of " in output


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("/no/such/engine", "cannot be started: "),
        (shlex.join([sys.executable, "-c", "input()"]), "ended before its last answer"),
        (
            shlex.join([sys.executable, "-c", "input(); print('yes')"]),
            "answered 'yes', which is not",
        ),
        (shlex.join([sys.executable, "-c", "input(); print('[]')"]), "answered '[]', which is not"),
        (
            shlex.join([sys.executable, "-c", "import time; time.sleep(60)"]),
            "did not answer for 0.2 s to ''",
        ),
    ],
    ids=["no program", "ends", "no JSON", "no object", "silent"],
)
def test_what_cannot_be_scored_is_an_error(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    timeout = "0.2" if "sleep" in command else "30"
    assert main(["--command", command, "--timeout", timeout]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: no score: the engine ")
    assert message in output.err
    assert output.out == ""


def test_the_adapter_asks_an_api_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [case for case in load_cases(CASES) if case.clause in ("space.rest", "kind.braces")]
    questions = [{"pattern": case.pattern, "message": case.message} for case in asked]
    with EmbeddedAws(quotas={"TestMetricFilter": math.inf}) as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        done = subprocess.run(
            [
                sys.executable,
                str(FOLDER / "adapters" / "aws_api.py"),
                "--endpoint-url",
                aws.endpoint_url,
            ],
            input="".join(json.dumps(question) + "\n" for question in questions),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for case, answer in zip(asked, answers, strict=True):
        expected: dict[str, object] = {"valid": case.expected.valid}
        if case.expected.valid:
            expected |= {"match": case.expected.match, "extract": dict(case.expected.extract)}
        assert answer == expected, case.id
