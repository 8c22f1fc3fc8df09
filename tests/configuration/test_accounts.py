"""Accounts, roles and organizations in the configuration: what is taken, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.aws.roles import Role
from exporter.configuration import check, load
from exporter.model import Partition, SourceError
from exporter.sources.regional import RegionalConfig
from exporter.yamlfile.problems import ConfigurationError

ROLE = "arn:aws:iam::111122223333:role/reader"
SECRET = "s3cr3t-id"


def written(folder: Path, options: str, kind: str = "event_history") -> Path:
    path = folder / "config.yaml"
    source = f"{{name: h, type: {kind}, {options}}}"
    path.write_text(f"sources:\n  - {source}\nrules: [{{name: r, pattern: ''}}]\n")
    return path


def loaded(folder: Path, options: str) -> RegionalConfig:
    (source,) = load([written(folder, options)]).sources
    assert isinstance(source, RegionalConfig)
    return source


def roles(source: RegionalConfig) -> list[Role]:
    return [one.assumed for one in source.accounts or () if one.assumed]


def test_an_external_id_is_written_or_read_from_a_file_or_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, third = ROLE.replace("1111", "4444"), ROLE.replace("1111", "5555")
    source = loaded(
        tmp_path,
        f"accounts: [{{role_arn: '{ROLE}', external_id: {SECRET}}},"
        f" {{role_arn: '{other}', external_id_file: id, session_name: metrics}},"
        f" {{role_arn: '{third}', external_id_env: THE_ID}}, {{name: tools}}]",
    )
    ids = [role.external_id for role in roles(source)]
    (tmp_path / "id").write_text("from-a-file\n")
    monkeypatch.setenv("THE_ID", "from-a-variable")
    assert [one.read() for one in ids if one] == [SECRET, "from-a-file", "from-a-variable"]
    assert [role.session_name for role in roles(source)][:2] == [
        "metric-filter-exporter",
        "metrics",
    ]
    monkeypatch.delenv("THE_ID")
    assert ids[2] is not None
    with pytest.raises(SourceError, match="cannot be read from the variable THE_ID"):
        ids[2].read()


def test_an_external_id_is_never_shown(tmp_path: Path) -> None:
    source = loaded(tmp_path, f"accounts: [{{role_arn: '{ROLE}', external_id: {SECRET}}}]")
    assert SECRET not in repr(source) + repr(roles(source)) + source.model_dump_json()
    for value in (SECRET, f'"{SECRET}"', f"'{SECRET}"):
        path = written(tmp_path, f"accounts: [{{role_arn: a, external_id: {value}}}]")
        with pytest.raises(ConfigurationError) as caught:
            load([path])
        assert SECRET not in str(caught.value)
        assert "^" in str(caught.value)


def test_each_account_has_its_own_time_of_configuration(tmp_path: Path) -> None:
    source = loaded(
        tmp_path,
        f"regions: [us-east-1, eu-west-1], accounts: [{{name: own}}, {{role_arn: '{ROLE}'}}]",
    )
    assert source.parts == [
        *("us-east-1", "eu-west-1"),  # as without `accounts`, so its position is kept
        *("111122223333 us-east-1", "111122223333 eu-west-1"),
    ]
    since = {"us-east-1": 1, "111122223333 us-east-1": 2}
    there = Partition("h", "111122223333", "us-east-1")
    assert source.configured_since(there, ["111122223333"], since) == 2
    assert source.configured_since(there, [""], since) == 1


def test_each_part_of_an_organization_has_its_own_too(tmp_path: Path) -> None:
    organization = "role_name: reader, include: [ou-ab12-11111111, '444455556666']"
    source = loaded(tmp_path, f"regions: all, organization: {{{organization}}}")
    assert source.parts == ["ou-ab12-11111111 all", "444455556666 all"]
    assert loaded(tmp_path, "organization: {role_name: a/reader}").parts == ["organization default"]
    there = Partition("h", "444455556666", "eu-west-1")
    since = {"ou-ab12-11111111 all": 5, "444455556666 all": 3}
    assert source.configured_since(there, ["ou-ab12-11111111", "444455556666"], since) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("accounts: [{role_arn: a}]", "`accounts[0].role_arn` is wrong: 'a' is not the ARN of a"),
        ("accounts: []", "`accounts` must not be empty"),
        (f"accounts: [{{role_arn: '{ROLE}', name: a}}, {{role_arn: '{ROLE}'}}]", "is listed twice"),
        ("accounts: [{name: a}, {name: b}]", "the environment's credentials is listed twice"),
        (f"accounts: [{{role: '{ROLE}'}}]", "unknown key `role`"),
        (f"accounts: [{{external_id: {SECRET}}}]", "`external_id` needs `role_arn`"),
        (
            f"accounts: [{{role_arn: '{ROLE}', external_id_env: A, external_id_file: b}}]",
            "`external_id_file` and `external_id_env`: write one of them",
        ),
        (f"accounts: [{{role_arn: '{ROLE}', external_id: 'ü'}}]", "must be 2 to 1,224 letters"),
        (f"accounts: [{{role_arn: '{ROLE}', session_name: 'a b'}}]", "is not a session name"),
        ("organization: {}", "`organization.role_name` is missing"),
        ("organization: {role_name: a, include: [ou-1]}", "'ou-1' is not an account id"),
        ("organization: {role_name: a, exclude: []}", "`organization.exclude` must not be empty"),
        (
            f"organization: {{role_name: a}}, accounts: [{{role_arn: '{ROLE}'}}]",
            "`accounts` and `organization` exclude each other",
        ),
        ("regions: [all, us-east-1]", "must be `all` or a list of regions"),
        ("regions: al", "`regions` must be `all` or a list of regions"),
    ],
)
def test_options_that_are_wrong_are_refused(tmp_path: Path, options: str, message: str) -> None:
    (error,) = check([written(tmp_path, options)]).errors
    assert message in error.message
    assert error.location.line == 2


def test_files_have_no_accounts(tmp_path: Path) -> None:
    (error,) = check([written(tmp_path, "paths: [a], accounts: [{name: a}]", "files")]).errors
    assert "unknown key `accounts`" in error.message
