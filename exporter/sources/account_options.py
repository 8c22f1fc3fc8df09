"""Options that name the accounts of a source, and the roles that reach them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from exporter.aws.organizations import Selection
from exporter.aws.roles import SESSION_NAME, ExternalId, Role
from exporter.sources.options import Distinct
from exporter.yamlfile.validation import BetweenFieldsError

_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}")
_ROLE_NAME = re.compile(r"[A-Za-z0-9_+=,.@/-]{1,576}")
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", re.ASCII)
_SESSION_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_SELECTED = re.compile("[0-9]{12}|r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}")
_EXTERNAL_IDS: Final = ("external_id", "external_id_file", "external_id_env")


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is not {what}")
        return text

    return AfterValidator(check)


def _external_id(secret: SecretStr) -> SecretStr:
    if not _EXTERNAL_ID.fullmatch(secret.get_secret_value()):
        raise ValueError("must be 2 to 1,224 letters, digits and _+=,.@:/-")
    return secret


class RoleParameters(BaseModel):
    """How roles are assumed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    external_id: Annotated[SecretStr, AfterValidator(_external_id)] | None = None
    external_id_file: Path | None = None
    """Relative to the configuration file. It is read whenever the role is assumed."""
    external_id_env: str | None = None
    """A variable, which is read in the same way."""
    session_name: Annotated[str, _matching(_SESSION_NAME, "a session name")] = SESSION_NAME

    @field_validator("external_id_file", mode="after")
    @classmethod
    def _beside_configuration(cls, path: Path, info: ValidationInfo) -> Path:
        return info.context / path if isinstance(info.context, Path) else path

    @model_validator(mode="after")
    def _one_external_id(self) -> RoleParameters:
        given = [name for name in _EXTERNAL_IDS if getattr(self, name) is not None]
        if len(given) > 1:
            raise BetweenFieldsError(given[1], f"`{given[0]}` and `{given[1]}`: write one of them")
        return self

    def role(self, arn: str) -> Role:
        """The role with this ARN."""
        external_id = None
        if self.external_id is not None:
            external_id = ExternalId(self.external_id.get_secret_value())
        elif self.external_id_file is not None:
            external_id = ExternalId(file=self.external_id_file)
        elif self.external_id_env is not None:
            external_id = ExternalId(variable=self.external_id_env)
        return Role(arn, external_id, self.session_name)


RoleArn: TypeAlias = Annotated[
    str, _matching(_ARN, "the ARN of a role, such as arn:aws:iam::111122223333:role/reader")
]


class RoleOptions(RoleParameters):
    """A role, or the credentials of the environment."""

    role_arn: RoleArn | None = None

    @model_validator(mode="after")
    def _parameters_have_a_role(self) -> RoleOptions:
        for name in (*_EXTERNAL_IDS, "session_name"):
            if self.role_arn is None and name in self.model_fields_set:
                raise BetweenFieldsError(name, f"`{name}` needs `role_arn`")
        return self

    @property
    def assumed(self) -> Role | None:
        """The role; None for the environment's credentials."""
        return None if self.role_arn is None else self.role(self.role_arn)


class AccountOptions(RoleOptions):
    """An account of a source."""

    name: str = ""
    """For ``metric_filter_exporter_account_info``."""

    @property
    def account_id(self) -> str:
        """The role's account; empty without a role."""
        return "" if self.assumed is None else self.assumed.account_id


def _distinct_accounts(accounts: tuple[AccountOptions, ...]) -> tuple[AccountOptions, ...]:
    if not accounts:
        raise ValueError("must not be empty")
    known: set[str] = set()
    for one in accounts:
        if one.account_id in known:
            account = one.account_id or "the account of the environment's credentials"
            raise ValueError(f"{account} is listed twice: an account is read once for a source")
        known.add(one.account_id)
    return accounts


Accounts: TypeAlias = Annotated[tuple[AccountOptions, ...], AfterValidator(_distinct_accounts)]

_Selected: TypeAlias = Annotated[
    tuple[
        Annotated[
            str,
            _matching(
                _SELECTED, "an account id (12 digits, in quotes), a root or an organizational unit"
            ),
        ],
        ...,
    ],
    Distinct,
]


class OrganizationOptions(RoleParameters):
    """The accounts of an organization, each by a role of the same name."""

    role_name: Annotated[str, _matching(_ROLE_NAME, "the name of a role")]
    include: _Selected | None = None
    exclude: _Selected | None = None
    tags: dict[str, str] | None = None

    @property
    def selection(self) -> Selection:
        """The accounts that are read."""
        return Selection(self.include or (), self.exclude or (), self.tags)

    def role_in(self, account_id: str, partition: str) -> Role:
        """The role in an account of the organization."""
        return self.role(f"arn:{partition}:iam::{account_id}:role/{self.role_name}")
