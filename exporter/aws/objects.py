"""Objects in S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from exporter.aws.calls import Call
from exporter.model import SourceError

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

MOST_BYTES: Final = 30 * 2**20
"""Maximum size of an object: an answer of AWS has a little more (see ``answers.MOST_BYTES``). AWS:
CloudTrail writes files of about 50 MB before compression."""


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

    def content(self, name: ObjectName) -> bytes:
        """The bytes of an object; raises SourceError."""
        call = Call(
            "s3", "GetObject", self._owner or "", self._region, f"object {name}", any_signer=True
        )
        parameters = {"Bucket": name.bucket, "Key": name.key}
        if name.version:
            parameters["VersionId"] = name.version
        if self._owner:
            parameters["ExpectedBucketOwner"] = self._owner
        answer = self._accounts.answer(call, parameters)
        size = answer.get("ContentLength")
        if not isinstance(size, int) or size > MOST_BYTES:
            answer["Body"].close()
            raise SourceError(
                f"{call} was not made: the object is larger than {MOST_BYTES // 2**20} MiB.",
                reason="too_large",
            )
        return self._accounts.body(call, answer["Body"])


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object, as a listing shows it."""

    key: str
    size: int
    """Bytes."""
    modified: int
    """When it was written, milliseconds."""


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A part of a listing, in the order of keys."""

    objects: Sequence[ListedObject]
    folders: Sequence[str]
    """The beginnings of keys up to a ``/``, if the listing asks for them."""
    is_last: bool


class Listing:
    """Lists a bucket in a region. Thread-safe."""

    def __init__(
        self, accounts: AwsAccounts, region: str, bucket: str, *, owner: str | None
    ) -> None:
        """``owner``: the account that has to own the bucket; None if any may."""
        self._accounts = accounts
        self._call = Call(
            "s3", "ListObjectsV2", owner or "", region, f"bucket {bucket}", any_signer=True
        )
        self._parameters: dict[str, object] = {"Bucket": bucket}
        if owner:
            self._parameters["ExpectedBucketOwner"] = owner

    def objects(self, prefix: str, after: str) -> Iterator[ListedPage]:
        """The objects whose keys begin with ``prefix`` and sort after ``after``; a call a page.

        Raises SourceError.
        """
        return self._pages({"Prefix": prefix, "StartAfter": after})

    def folders(self, prefix: str) -> list[str]:
        """The beginnings of keys from ``prefix`` up to the next ``/``; raises SourceError."""
        pages = self._pages({"Prefix": prefix, "Delimiter": "/"})
        return [folder for page in pages for folder in page.folders]

    def _pages(self, parameters: Mapping[str, object]) -> Iterator[ListedPage]:
        asked = {**self._parameters, **parameters}
        while True:
            answer = self._accounts.answer(self._call, asked)
            try:
                page, token = _page(answer)
            except (LookupError, TypeError, AttributeError) as error:
                raise SourceError(
                    f"{self._call} was answered by a listing that is not S3's; it is tried again.",
                    reason="unreadable",
                ) from error
            yield page
            if page.is_last:
                return
            if not token or token == asked.get("ContinuationToken"):
                raise SourceError(
                    f"{self._call} does not say how the listing continues; it is tried again.",
                    reason="error",
                )
            asked["ContinuationToken"] = token


def _page(answer: Mapping[str, Any]) -> tuple[ListedPage, object]:
    """A page of a listing, and the token of the next one."""
    objects = [
        ListedObject(one["Key"], one["Size"], _milliseconds(one["LastModified"]))
        for one in answer.get("Contents", ())
    ]
    folders = [one["Prefix"] for one in answer.get("CommonPrefixes", ())]
    token = answer.get("NextContinuationToken")
    return ListedPage(objects, folders, is_last=not answer["IsTruncated"]), token


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
