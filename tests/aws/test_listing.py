"""The objects of a bucket are listed whole, whatever their keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.aws.accounts import AwsAccounts
from exporter.aws.listing import Listing
from exporter.model import SourceError
from tests.support.aws import open_account
from tests.support.object_store import Answer, ObjectStore, error

BUCKET = "trail"
KEYS = st.text("aé/+% &<ü\x01~", min_size=1, max_size=5)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as environment, ObjectStore() as running:
        environment.setenv("AWS_ENDPOINT_URL_S3", running.url)
        environment.setenv("NO_PROXY", "127.0.0.1")
        running.page_size = 3
        yield running


@pytest.fixture(scope="module")
def accounts() -> AwsAccounts:
    return open_account()


@given(keys=st.sets(KEYS, max_size=12), prefix=KEYS | st.just(""), after=KEYS | st.just(""))
@settings(max_examples=30, deadline=None)
def test_all_keys_are_listed_once_and_in_order(
    endpoint: ObjectStore, accounts: AwsAccounts, keys: set[str], prefix: str, after: str
) -> None:
    endpoint.objects = {(BUCKET, key, ""): b"1" * len(key) for key in keys}
    listing = Listing(accounts, "us-east-1", owner=None)
    wanted = sorted(key for key in keys if key.startswith(prefix))
    found = [
        one for page in listing.pages(BUCKET, prefix, start_after=after) for one in page.objects
    ]
    assert [one.key for one in found] == [key for key in wanted if key > after]
    assert all(one.size == len(one.key) for one in found)
    assert {one.modified for one in found} <= {datetime(2026, 11, 20, 12, tzinfo=UTC)}
    pages = list(listing.pages(BUCKET, prefix, delimiter="/"))
    rests = {key: key.removeprefix(prefix).partition("/") for key in wanted}
    prefixes = sorted({prefix + rest + "/" for rest, slash, _ in rests.values() if slash})
    assert [one for page in pages for one in page.prefixes] == prefixes
    objects = [one.key for page in pages for one in page.objects]
    assert objects == [key for key in wanted if not rests[key][1]]


START = "<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html/>",
        "{}",
        START,
        f"{START}</ListBucketResult>",
        f"{START}<IsTruncated>true</IsTruncated></ListBucketResult>",
        f"{START}<IsTruncated>no</IsTruncated></ListBucketResult>",
        f"{START}<IsTruncated>false</IsTruncated><KeyCount>1</KeyCount></ListBucketResult>",
        f"{START}<IsTruncated>false</IsTruncated><Contents/></ListBucketResult>",
    ],
)
def test_what_is_not_awss_is_no_empty_list(
    endpoint: ObjectStore, accounts: AwsAccounts, body: str
) -> None:
    endpoint.next_answers.clear()
    endpoint.next_answers += [Answer(body.encode())] * 4
    # botocore takes what is not XML for a failure of S3.
    with pytest.raises(SourceError, match=r"is not from AWS|Internal Server Error"):
        list(Listing(accounts, "us-east-1", owner=None).pages(BUCKET, ""))


def test_pages_that_do_not_advance_end_with_an_error(
    endpoint: ObjectStore, accounts: AwsAccounts
) -> None:
    endpoint.next_answers.clear()
    page = (
        f"{START}<IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>"
        "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes></ListBucketResult>"
    )
    endpoint.next_answers += [Answer(page.encode())] * 3
    with pytest.raises(SourceError, match="without later keys"):
        list(Listing(accounts, "us-east-1", owner=None).pages(BUCKET, "", delimiter="/"))


def test_empty_pages_are_followed(endpoint: ObjectStore, accounts: AwsAccounts) -> None:
    empty = (
        f"{START}<IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>"
        "</ListBucketResult>"
    )
    endpoint.next_answers.clear()
    last = f"{START}<IsTruncated>false</IsTruncated></ListBucketResult>"
    endpoint.next_answers += [Answer(page.encode()) for page in (empty, empty, last)]
    found = list(Listing(accounts, "us-east-1", owner=None).pages(BUCKET, ""))
    assert [page.is_last for page in found] == [False, False, True]
    endpoint.next_answers += [Answer(empty.encode())] * 200
    with pytest.raises(SourceError, match="without later keys"):
        list(Listing(accounts, "us-east-1", owner=None).pages(BUCKET, ""))


def test_a_refused_list_names_the_permission(endpoint: ObjectStore, accounts: AwsAccounts) -> None:
    endpoint.next_answers.clear()
    endpoint.next_answers += [error("AccessDenied", 403)]
    with pytest.raises(SourceError, match="allow s3:ListBucket") as caught:
        list(Listing(accounts, "us-east-1", owner="111122223333").pages(BUCKET, ""))
    assert caught.value.reason == "access_denied"
    assert endpoint.requests[-1].headers["x-amz-expected-bucket-owner"] == "111122223333"
