"""A further type of source is one file and its registration: nothing else has to change."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.sources import RESOURCE_LABELS, TYPES
from tests.support import mounted_bucket
from tests.support.expositions import Exposition
from tests.support.processes import Exporter, clean_environment
from tests.support.tools import ROOT
from tests.support.waiting import wait_for

SOURCE = "{name: shop, type: mounted_bucket, bucket: orders, folder: bucket, interval: 1s}"
RULES = "rules:\n  - {name: errors, pattern: ERROR, metric: errors_total}\n"
PROGRAM = ("-P", "-m", "exporter")  # -P: of PYTHONPATH, not of the current folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the exporter with the type registered in it."""
    root = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__")
    sources = shutil.copytree(ROOT / "exporter", root / "exporter", ignore=ignored) / "sources"
    shutil.copy(mounted_bucket.__file__, sources)
    registry = (sources / "__init__.py").read_text()
    line = "from exporter.sources.log_groups import LogGroupsConfig\n"
    end = "    FilesConfig,\n)"
    assert registry.count(line) == registry.count(end) == 1
    registry = registry.replace(
        line, f"{line}from exporter.sources.mounted_bucket import MountedBucketConfig\n"
    ).replace(end, f"{end[:-1]}    MountedBucketConfig,\n)")
    (sources / "__init__.py").write_text(registry)
    return root


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    source = SOURCE.replace("folder: bucket", f"folder: {tmp_path}/bucket")
    path.write_text(f"sources:\n  - {source}\n{RULES}")
    return path


def run(tree: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *PROGRAM, *arguments],
        env=clean_environment({"PYTHONPATH": str(tree)}),
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_type_is_not_one_of_the_exporters() -> None:
    assert "mounted_bucket" not in TYPES


def test_no_module_but_a_types_own_names_it() -> None:
    words = {*TYPES, *RESOURCE_LABELS} - {"files", "path"}  # these are names of other things, too
    named = [
        f"{path}:{node.lineno}: {node.value}"
        for path in (ROOT / "exporter").rglob("*.py")
        if path.parent.name != "sources"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in words
    ]
    assert named == []


def test_the_registry_loads_no_boto3(tree: Path) -> None:
    code = "import sys, exporter.configuration; sys.exit('botocore' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=clean_environment({"PYTHONPATH": str(tree)}),
        check=False,
    )
    assert done.returncode == 0


def test_its_configuration_is_checked_and_errors_have_a_place(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "sources:\n"
        "  - {name: a, type: mounted_buckets}\n"
        "  - name: b\n"
        "    type: mounted_bucket\n"
        "    bucket: my_bucket\n"
        "    interval: 0s\n"
        "    foldr: /mnt\n"
        f"{RULES}"
    )
    checked = run(tree, "check", "--config.file", path)
    assert checked.returncode == 1
    problems = [line for line in checked.stderr.splitlines() if line.startswith(f"{path}:")]
    assert [line.removeprefix(f"{path}:") for line in problems] == [
        "2:21: error: `type` must be one of event_history, event_bus, log_groups, trail_bucket,"
        " files, mounted_bucket; did you mean `mounted_bucket`?",
        "3:5: error: `folder` is missing",
        "5:13: error: `bucket` is wrong: 'my_bucket' is not a bucket: names have no underscores",
        "6:15: error: `interval` must be at least 1s",
        "7:5: error: unknown key `foldr`; did you mean `folder`?",
    ]


def test_a_label_that_it_adds_is_no_rules_own(tree: Path, configuration: Path) -> None:
    text = configuration.read_text().replace("ERROR,", "ERROR, labels: {object: mine},")
    configuration.write_text(text)
    checked = run(tree, "check", "--config.file", configuration)
    assert "every rule series already has this label" in checked.stderr


def test_its_permissions_are_in_the_policy(tree: Path, configuration: Path) -> None:
    printed = run(tree, "iam-policy", "--config.file", configuration, "--region", "eu-west-1")
    statements = json.loads(printed.stdout)["Statement"]
    assert {(one["Sid"], one["Action"], *one["Resource"]) for one in statements} == {
        ("MountBucket", "s3:ListBucket", "arn:aws:s3:::orders"),
        ("ReadObjects", "s3:GetObject", "arn:aws:s3:::orders/*"),
    }


def test_what_it_brings_is_counted_once_over_restarts(
    tree: Path, tmp_path: Path, configuration: Path
) -> None:
    bucket = tmp_path / "bucket"
    exporter = Exporter(
        configuration,
        tmp_path / "data",
        environment={"PYTHONPATH": str(tree)},
        program=PROGRAM,
    )

    def scraped() -> Exposition:
        return exporter.scrape()

    def errors(name: str) -> float | None:
        return scraped().value("errors_total", source="shop", object=name)

    with exporter:
        exporter.wait_until_listening()
        wait_for("the failure", lambda: "is not mounted" in exporter.get("/-/ready").text)
        bucket.mkdir()
        (bucket / "a.txt").write_text("ERROR 1\nfine\nERROR 2\nERROR 3\n")
        wait_for("the errors", lambda: errors("a.txt") == 3)
        up = "metric_filter_exporter_partition_up"
        assert scraped().value(up, source="shop", object="a.txt") == 1
        assert "Object" in exporter.get("/").text
        exporter.kill()

        with (bucket / "a.txt").open("a") as file:
            file.write("ERROR 4\n")
        (bucket / "b.txt").write_text("ERROR\n")
        exporter.start()
        exporter.wait_until_ready()
        wait_for("the others", lambda: (errors("a.txt"), errors("b.txt")) == (4, 1))
        assert exporter.terminate() == 0
