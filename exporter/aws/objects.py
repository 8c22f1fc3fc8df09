"""Objects in S3."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter.aws.calls import Call
from exporter.model import SourceError, pickled_by_fields

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

MOST_BYTES: Final = 30 * 2**20
"""Maximum size of an object: an answer of AWS has a little more (see ``answers.MOST_BYTES``). AWS:
CloudTrail writes files of about 50 MB before compression."""

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ALIASES: Final = ("-s3alias", "--ol-s3", "--op-s3", "--x-s3", "--table-s3", ".mrap")
"""AWS: no bucket that CloudTrail can write to has a name with one of these endings."""


def is_bucket(name: str) -> bool:
    """Whether a text is a bucket's name.

    AWS also takes an ARN or an alias in its place, which sends the request to another endpoint: of
    an access point in any account and region, or of a Lambda function.
    """
    return _BUCKET.fullmatch(name) is not None and not name.endswith(_ALIASES)


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class ObjectName:
    """An object in a bucket."""

    bucket: str
    key: str
    version: str = ""
    """Empty for the current version."""

    def __str__(self) -> str:
        """The URL, for messages."""
        version = f" (version {self.version})" if self.version else ""
        return f"s3://{self.bucket}/{self.key}{version}"


class Objects:
    """Reads objects of buckets in a region. Thread-safe."""

    def __init__(self, accounts: AwsAccounts, region: str, *, owner: str | None) -> None:
        """``owner``: the account that has to own each bucket; None if any may."""
        self._accounts = accounts
        self._region = region
        self._owner = owner

    def content(self, name: ObjectName, most_bytes: int = MOST_BYTES) -> bytes:
        """The bytes of an object; raises SourceError, with reason ``too_large`` if it has more."""
        call = Call(
            "s3", "GetObject", self._owner or "", self._region, f"object {name}", any_signer=True
        )
        parameters = {"Bucket": name.bucket, "Key": name.key}
        if name.version:
            parameters["VersionId"] = name.version
        if self._owner:
            parameters["ExpectedBucketOwner"] = self._owner
        direct = self._accounts.direct(call)
        content = direct.read(call, parameters, most_bytes, lambda: self._accounts.keys(call))
        if content is not None:
            return content
        answer = self._accounts.answer(call, parameters)
        size = answer.get("ContentLength")
        if not isinstance(size, int) or size > most_bytes:
            answer["Body"].close()
            raise too_large(call, most_bytes)
        content = self._accounts.body(call, answer["Body"])
        direct.learn(parameters)
        return content


def too_large(call: Call, most_bytes: int) -> SourceError:
    """The error of an object that was not received because of its size."""
    return SourceError(
        f"{call} was not made: the object is larger than {most_bytes / 2**20:.3g} MiB, "
        "the maximum, or a sixteenth of the memory limit.",
        reason="too_large",
    )
