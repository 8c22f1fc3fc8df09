"""Objects of S3 are read cheaply, and wherever boto3 reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from botocore.credentials import RefreshableCredentials
from botocore.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.aws.accounts import AwsAccounts
from exporter.aws.calls import Call
from exporter.aws.objects import ObjectName, Objects
from exporter.model import SourceError
from tests.support.aws import Requests
from tests.support.certificates import Authority
from tests.support.object_store import SECRET, Answer, ObjectStore, error
from tests.support.proxying import TunnelProxy
from tests.support.waiting import wait_for

OWNER = "111122223333"
BUCKET = "trail"
BODY = b"an object"
GET = ("s3:GetObject", "us-east-1")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTPS_PROXY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def store(environment: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with ObjectStore() as running:
        environment.setenv("AWS_ENDPOINT_URL_S3", running.url)
        for number in range(8):
            running.objects[BUCKET, f"key/{number}", ""] = BODY + str(number).encode()
        yield running


def read(reader: Objects, number: int, bucket: str = BUCKET) -> bytes:
    return reader.content(ObjectName(bucket, f"key/{number}"))


def opened(accounts: AwsAccounts | None = None) -> Objects:
    """A reader that has read one object, so libcurl reads the next."""
    reader = Objects(accounts or AwsAccounts(), "us-east-1", owner=OWNER)
    assert read(reader, 0) == BODY + b"0"
    return reader


def test_all_but_the_first_object_of_a_bucket_are_read_without_botocore(
    store: ObjectStore,
) -> None:
    requests = Requests()
    accounts = AwsAccounts(observer=requests)
    reader = opened(accounts)
    assert [read(reader, number) for number in (1, 2)] == [BODY + b"1", BODY + b"2"]
    assert [one.by_botocore for one in store.requests] == [True, False, False]
    assert {one.headers["x-amz-expected-bucket-owner"] for one in store.requests} == {OWNER}
    assert len({one.headers["User-Agent"].split()[0] for one in store.requests}) == 1
    assert requests.counts == {(*GET, "success"): 3}
    assert requests.accounts == {OWNER}


@cache
def reader_with(token: str) -> Objects:
    def session() -> Session:
        made = Session()
        made.set_credentials("testing", SECRET, token or None)
        return made

    return opened(AwsAccounts(session))


@given(
    key=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
    | st.text("ab/.~+%&=?# {}", min_size=1, max_size=12),
    version=st.sampled_from(["", "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY", "a+b/c=&d"]),
    token=st.sampled_from(["", "to/ken+="]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_key_the_object_of_that_key_is_read(
    endpoint: ObjectStore, key: str, version: str, token: str
) -> None:
    reader = reader_with(token)
    endpoint.objects[BUCKET, key, version] = key.encode()
    endpoint.requests.clear()
    assert reader.content(ObjectName(BUCKET, key, version)) == key.encode()
    (request,) = endpoint.requests
    assert request.headers.get("X-Amz-Security-Token", "") == token
    assert request.by_botocore == bool({".", ".."} & set(key.split("/")))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as environment, ObjectStore() as running:
        for name, value in {
            "AWS_ENDPOINT_URL_S3": running.url,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "NO_PROXY": "127.0.0.1",
        }.items():
            environment.setenv(name, value)
        running.objects[BUCKET, "key/0", ""] = BODY + b"0"
        yield running


@pytest.mark.parametrize(
    ("variables", "bucket", "host"),
    [
        ({}, BUCKET, "trail.s3.eu-west-1.amazonaws.com"),
        ({}, "dotted.trail", "s3.eu-west-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, BUCKET, "trail.s3-fips.eu-west-1.amazonaws.com"),
        (
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            BUCKET,
            "trail.s3.dualstack.eu-west-1.amazonaws.com",
        ),
        (
            {"AWS_ENDPOINT_URL_S3": "https://bucket.vpce-1-2.s3.eu-west-1.vpce.amazonaws.com"},
            BUCKET,
            "bucket.vpce-1-2.s3.eu-west-1.vpce.amazonaws.com",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://unused", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            BUCKET,
            "trail.s3.eu-west-1.amazonaws.com",
        ),
    ],
    ids=["plain", "dotted", "fips", "dualstack", "vpc_endpoint", "ignored"],
)
def test_endpoint_proxy_and_certificates_are_boto3s(
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
    bucket: str,
    host: str,
) -> None:
    authority = Authority(tmp_path)
    with (
        ObjectStore(authority.issue("server", host)) as store,
        TunnelProxy(to=store.server_port) as proxy,
    ):
        environment.setenv("AWS_CA_BUNDLE", str(authority.file))
        environment.setenv("HTTPS_PROXY", proxy.url)
        for name, value in variables.items():
            environment.setenv(name, value)
        store.region = "eu-west-1"
        store.objects |= {(bucket, f"key/{n}", ""): BODY for n in range(3)}
        reader = Objects(AwsAccounts(), "eu-west-1", owner=None)
        for number in range(3):
            assert read(reader, number, bucket) == BODY
        assert proxy.hosts == [host, host]  # botocore's connection and that of libcurl
        assert [one.by_botocore for one in store.requests] == [True, False, False]


def test_a_server_with_a_certificate_of_another_authority_is_not_asked(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    host = "trail.s3.eu-west-1.amazonaws.com"
    with (
        ObjectStore(ours.issue("server", host)) as store,
        ObjectStore(other.issue("server", host)) as foreign,
        TunnelProxy(to=store.server_port) as proxy,
    ):
        environment.setenv("AWS_CA_BUNDLE", str(ours.file))
        environment.setenv("HTTPS_PROXY", proxy.url)
        store.region = foreign.region = "eu-west-1"
        store.objects |= {(BUCKET, f"key/{n}", ""): BODY for n in range(2)}
        foreign.objects |= {(BUCKET, f"key/{n}", ""): b"forged" for n in range(2)}
        reader = Objects(AwsAccounts(), "eu-west-1", owner=None)
        read(reader, 0)
        proxy.to = foreign.server_port
        # libcurl connects to the other server, and botocore has a connection to the right one.
        assert read(reader, 1) == BODY
        assert len(proxy.hosts) == 2
        assert foreign.requests == []


def test_a_bucket_of_another_region_is_asked_there_from_then_on(store: ObjectStore) -> None:
    store.region = "eu-west-1"
    reader = opened()
    read(reader, 1)
    assert [one.region for one in store.requests] == ["us-east-1", "eu-west-1", "eu-west-1"]
    store.region = "ca-central-1"  # deleted, and made again there
    assert read(reader, 2) == BODY + b"2"
    assert [one.region for one in store.requests[3:]] == ["eu-west-1", "eu-west-1", "ca-central-1"]
    assert read(reader, 3) == BODY + b"3"
    assert not store.requests[-1].by_botocore


def test_new_credentials_sign_from_then_on(store: ObjectStore) -> None:
    now = datetime.now(UTC)
    numbers = count(1)

    def fetch() -> dict[str, str]:
        return {
            "access_key": f"key{next(numbers)}",
            "secret_key": SECRET,
            "token": "token",
            "expiry_time": (now + timedelta(hours=1)).isoformat(),
        }

    def session() -> Session:
        made = Session()
        expiry = now + timedelta(hours=1)
        vars(made)["_credentials"] = RefreshableCredentials(
            "key0", SECRET, "token", expiry, fetch, "test", time_fetcher=lambda: now
        )
        return made

    reader = opened(AwsAccounts(session))
    read(reader, 1)
    now += timedelta(minutes=59)
    read(reader, 2)
    assert [one.access_key for one in store.requests] == ["key0", "key0", "key1"]
    assert not any(one.by_botocore for one in store.requests[1:])


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (error("SlowDown", 503), "throttled"),
        (error("InternalError", 500), "error"),
        (Answer(b"half", headers={"ETag": "x", "Content-Length": "9"}), "error"),
        (Answer(b"<html>sign in</html>"), "error"),
    ],
    ids=["throttled", "failed", "cut_off", "not_awss"],
)
def test_an_answer_that_is_no_object_is_asked_for_again(
    store: ObjectStore, answer: Answer, outcome: str
) -> None:
    requests = Requests()
    reader = opened(AwsAccounts(observer=requests))
    store.next_answers += [answer]
    assert read(reader, 1) == BODY + b"1"
    assert requests.counts == {(*GET, "success"): 2, (*GET, outcome): 1}
    assert [one.by_botocore for one in store.requests] == [True, False, True]


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(
    ("answer", "reason", "cure"),
    [
        (error("NoSuchKey", 404), "not_found", "the object or the bucket was deleted"),
        (error("AccessDenied", 403), "access_denied", "allow s3:GetObject"),
        (error("InvalidObjectState", 403), "archived", "the object is archived: restore it"),
        (error("RequestTimeTooSkewed", 403), "no_credentials", "check the machine's clock"),
        (error("SlowDown", 503), "throttled", "it is tried again"),
    ],
    ids=["deleted", "denied", "archived", "clock", "throttled"],
)
def test_errors_have_their_reason_and_cure(
    store: ObjectStore, answer: Answer, reason: str, cure: str
) -> None:
    reader = opened()
    store.next_answers += [answer] * 5
    with pytest.raises(SourceError, match=cure) as caught:
        read(reader, 1)
    assert caught.value.reason == reason
    store.next_answers.clear()
    assert read(reader, 1) == BODY + b"1"


def test_an_object_that_drips_fails_at_the_deadline(store: ObjectStore) -> None:
    requests = Requests()
    reader = opened(AwsAccounts(observer=requests, call_seconds=0.5))
    store.next_answers += [Answer(BODY * 9, headers={"ETag": "x"}, pause=0.1)]
    with pytest.raises(SourceError, match=r"not answered in full within 0\.5 s") as caught:
        read(reader, 1)
    assert caught.value.reason == "unreachable"
    assert len(store.requests) == 2
    assert requests.counts[*GET, "error"] == 1


def test_a_stop_ends_a_read_that_is_under_way(store: ObjectStore) -> None:
    stop = threading.Event()
    reader = opened(AwsAccounts(stop=stop))
    store.next_answers += [Answer(BODY * 9, headers={"ETag": "x"}, pause=0.5)]
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, reader, 1)
        wait_for("the request", lambda: len(store.requests) == 2)
        stop.set()
        with pytest.raises(SourceError) as caught:
            reading.result(3)
    assert caught.value.reason == "stopping"


def test_an_object_that_is_too_large_is_not_taken_in(store: ObjectStore) -> None:
    reader = Objects(AwsAccounts(), "us-east-1", owner=OWNER)
    for _ in range(2):
        with pytest.raises(SourceError, match="larger than") as caught:
            reader.content(ObjectName(BUCKET, "key/1"), len(BODY))
        assert caught.value.reason == "too_large"
        # The next one is asked for by libcurl, and costs one request.
        assert read(reader, 2) == BODY + b"2"
    assert len(store.requests) == 4
    assert sum(one.by_botocore for one in store.requests) == 2


def test_several_threads_read_at_once(store: ObjectStore) -> None:
    reader = opened()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: read(reader, number % 8), range(80)))
    assert found == [BODY + str(number % 8).encode() for number in range(80)]
    assert sum(one.by_botocore for one in store.requests) == 1


def test_a_request_that_another_client_made_is_not_repeated(store: ObjectStore) -> None:
    accounts = AwsAccounts()
    call = Call("s3", "GetObject", OWNER, "us-east-1", any_signer=True)
    parameters = {"Bucket": BUCKET, "Key": "key/0", "ExpectedBucketOwner": OWNER}
    direct = accounts.direct(call)
    direct.learn(parameters)
    assert direct.read(call, parameters, 100, lambda: accounts.keys(call)) is None
    assert store.requests == []


def test_a_new_profile_has_its_own_endpoint(store: ObjectStore, tmp_path: Path) -> None:
    config = tmp_path / "config"
    with pytest.MonkeyPatch.context() as environment, ObjectStore() as other:
        environment.delenv("AWS_ENDPOINT_URL_S3")
        environment.setenv("AWS_CONFIG_FILE", str(config))
        config.write_text(f"[default]\nendpoint_url = {store.url}\n")
        reader = opened()
        read(reader, 1)
        assert len(store.requests) == 2
        other.objects |= store.objects
        config.write_text(
            f"[default]\nservices = ours\n[services ours]\ns3 =\n  endpoint_url = {other.url}\n"
        )
        assert [read(reader, 1), read(reader, 2)] == [BODY + b"1", BODY + b"2"]
        assert [one.by_botocore for one in other.requests] == [True, False]
        assert len(store.requests) == 2
