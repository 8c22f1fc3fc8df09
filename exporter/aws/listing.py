"""Lists of the objects in a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.aws.calls import Call
from exporter.model import SourceError

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts


class ListedObject(NamedTuple):
    """An object in a list."""

    key: str
    size: int
    """Bytes."""
    modified: datetime


@dataclass(frozen=True, slots=True)
class ListingPage:
    """A page of a list, in the order of keys."""

    objects: Sequence[ListedObject]
    prefixes: Sequence[str]
    """The beginnings that keys with a delimiter have in common, up to and with the delimiter."""
    is_last: bool


class Listing:
    """Lists objects of buckets in a region. Thread-safe."""

    def __init__(self, accounts: AwsAccounts, region: str, *, owner: str | None) -> None:
        """``owner``: the account that has to own each bucket; None if any may."""
        self._accounts = accounts
        self._region = region
        self._owner = owner

    def pages(
        self, bucket: str, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> Iterator[ListingPage]:
        """Objects whose keys begin with ``prefix``, in pages of 1,000; raises SourceError.

        ``start_after``: only later keys. ``delimiter``: groups keys that have it after the prefix.
        """
        resource = f"bucket {bucket}"
        call = Call(
            "s3", "ListObjectsV2", self._owner or "", self._region, resource, any_signer=True
        )
        parameters = {"Bucket": bucket, "Prefix": prefix}
        if start_after:
            parameters["StartAfter"] = start_after
        if delimiter:
            parameters["Delimiter"] = delimiter
        if self._owner:
            parameters["ExpectedBucketOwner"] = self._owner
        last = start_after
        while True:
            answer = self._accounts.answer(call, parameters)
            page = _page(call, answer)
            yield page
            if page.is_last:
                return
            latest = max([last, *page.prefixes, *(one.key for one in page.objects)])
            if latest == last:
                raise SourceError(
                    f"{call} returned a page without later keys; it is tried again from the start.",
                    reason="error",
                )
            last = latest
            parameters["ContinuationToken"] = answer["NextContinuationToken"]


def _page(call: Call, answer: Mapping[str, Any]) -> ListingPage:
    try:
        return ListingPage(
            [
                ListedObject(one["Key"], one["Size"], one["LastModified"])
                for one in answer.get("Contents", ())
            ],
            [one["Prefix"] for one in answer.get("CommonPrefixes", ())],
            is_last=not answer["IsTruncated"],
        )
    except LookupError as error:
        raise SourceError(
            f"{call} was answered by a list that is not S3's; it is tried again.",
            reason="unreadable",
        ) from error
