"""S3 buckets of the embedded AWS: moto's, with the check of their owner, which moto lacks."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from moto.backends import get_backend

from metric_filter_demo.protocol import ApiError, Request


def check_owner(request: Request, environ: Mapping[str, Any]) -> None:
    """Refuse a request that expects another owner of its bucket; raises ApiError."""
    expected = environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER")
    if request.service != "s3" or not expected:
        return
    bucket = str(environ.get("PATH_INFO", "")).split("/")[1]
    for account, regions in get_backend("s3").items():
        if account != expected and bucket in regions["aws"].buckets:
            raise ApiError("AccessDenied", "Access Denied", status=HTTPStatus.FORBIDDEN)


def operation_named(method: str, environ: Mapping[str, Any]) -> str:
    """The operation of a request for a bucket or an object, if the exporter calls it."""
    _, _, key = str(environ.get("PATH_INFO", "")).lstrip("/").partition("/")
    match method, bool(key):
        case "GET", True:
            return "GetObject"
        case "GET", False if "list-type=2" in str(environ.get("QUERY_STRING", "")):
            return "ListObjectsV2"
        case "HEAD", False:
            return "HeadBucket"
        case _:
            return method


def bucket_create(account: str, region: str, name: str) -> None:
    """Create a bucket; nothing happens if the account has it."""
    if name not in _s3(account).buckets:
        _s3(account).create_bucket(name, region)


def object_put(account: str, bucket: str, key: str, content: bytes) -> None:
    """Store an object in an existing bucket."""
    _s3(account).put_object(bucket, key, content)


def object_delete(account: str, bucket: str, key: str) -> None:
    """Delete an object."""
    _s3(account).delete_object(bucket, key)


def _s3(account: str) -> Any:
    return get_backend("s3")[account]["aws"]
