"""CPU time of reading objects from S3 and of listing them, compared with boto3.

An S3 of its own on loopback, in another process, sends the same bytes each time. Run with
``python -m bench.objects [--tls]``.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import socket
import ssl
import statistics
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from botocore.session import Session

from bench.corpus import cloudtrail
from bench.measuring import cpu, in_turns, machine, ratio, table
from exporter.aws.accounts import AwsAccounts
from exporter.aws.listing import Listing
from exporter.aws.objects import ObjectName, Objects
from tests.support.certificates import Authority

REGION = "us-east-1"
BUCKET = "trail"
RECORDS = 50
OBJECTS = 300
"""Read in a round."""
LISTS = 5
"""Pages of 1,000 keys listed in a round."""
ROUNDS = 7
_HEAD = (
    "HTTP/1.1 200 OK\r\nx-amz-id-2: Uuag1LuByRx9e6j5Onimru9pO4ZVKnJ2Qz7/C1NPcfTWAtRPfTaOFg==\r\n"
    "x-amz-request-id: 656c76696e6727732072657175657374\r\nDate: Fri, 27 Nov 2026 00:00:00 GMT\r\n"
    'Last-Modified: Fri, 20 Nov 2026 00:00:00 GMT\r\nETag: "70ee1738b6b21e2c8a43f3a5ab0eee71"\r\n'
    "Accept-Ranges: bytes\r\nServer: AmazonS3\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n"
)


def trail_file() -> bytes:
    """A file of CloudTrail, compressed."""
    (file,) = cloudtrail(RECORDS, in_file=RECORDS).trails.glob("*.json.gz")
    return file.read_bytes()


def list_page() -> bytes:
    """A page of ListObjectsV2 with 1,000 keys."""
    key = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/20/111122223333_CloudTrail_us-east-1_"
    entries = "".join(
        f"<Contents><Key>{key}20261120T{number:04d}Z_abcdefghijkl{number:04d}.json.gz</Key>"
        "<LastModified>2026-11-20T00:00:00.000Z</LastModified>"
        "<ETag>&quot;70ee1738b6b21e2c8a43f3a5ab0eee71&quot;</ETag><Size>10000</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(1000)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>trail</Name>'
        "<KeyCount>1000</KeyCount><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
        f"{entries}</ListBucketResult>"
    ).encode()


def serve(
    ready: Connection, content: bytes, listing: bytes, certificate: tuple[Path, Path] | None
) -> None:
    """Answer requests; sends the port first."""
    answers = {
        False: _HEAD.format("application/json", len(content)).encode() + content,
        True: _HEAD.format("application/xml", len(listing)).encode() + listing,
    }
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

    def answer(client: socket.socket) -> None:
        if context:
            client = context.wrap_socket(client, server_side=True)
        request = b""
        while read := client.recv(65536):
            request += read
            if request.endswith(b"\r\n\r\n"):
                client.sendall(answers[b"list-type=2" in request.partition(b"\r\n")[0]])
                request = b""

    listening = socket.create_server(("127.0.0.1", 0))
    ready.send(listening.getsockname()[1])
    while True:
        client, _ = listening.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(client,), daemon=True).start()


def measures() -> dict[str, Callable[[], float]]:
    """CPU seconds of each way: of an object, and of a page of a list."""
    objects = Objects(AwsAccounts(), REGION, owner=None)
    listing = Listing(AwsAccounts(), REGION, owner=None)
    boto3: Any = Session().create_client("s3", region_name=REGION)

    def read() -> None:
        for number in range(OBJECTS):
            objects.content(ObjectName(BUCKET, f"AWSLogs/{number}.json.gz"))

    def read_by_boto3() -> None:
        for number in range(OBJECTS):
            boto3.get_object(Bucket=BUCKET, Key=f"AWSLogs/{number}.json.gz")["Body"].read()

    def listed() -> None:
        for _ in range(LISTS):
            list(listing.pages(BUCKET, ""))

    def listed_by_boto3() -> None:
        for _ in range(LISTS):
            boto3.list_objects_v2(Bucket=BUCKET)

    works = (
        ("GetObject", read, OBJECTS),
        ("GetObject, boto3", read_by_boto3, OBJECTS),
        ("ListObjectsV2", listed, LISTS),
        ("ListObjectsV2, boto3", listed_by_boto3, LISTS),
    )

    def measure(work: Callable[[], None], times: int) -> Callable[[], float]:
        work()  # connects
        return lambda: cpu(work) / times

    return {name: measure(work, times) for name, work, times in works}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", action="store_true", help="the S3 speaks TLS")
    tls: bool = parser.parse_args().tls
    with tempfile.TemporaryDirectory() as scratch:
        authority = Authority(Path(scratch))
        issued = authority.issue("server", "127.0.0.1")
        ours, theirs = multiprocessing.Pipe()
        pair = (issued.certificate, issued.key) if tls else None
        server = multiprocessing.Process(
            target=serve, args=(theirs, trail_file(), list_page(), pair), daemon=True
        )
        server.start()
        theirs.close()
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http{'s' * tls}://127.0.0.1:{ours.recv()}",
            "AWS_CA_BUNDLE": str(authority.file),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "NO_PROXY": "127.0.0.1",
        }
        try:
            measured = measures()
            gc.freeze()  # as the exporter does once it has started
            found = in_turns(ROUNDS, measured)
        finally:
            server.terminate()
    rows = [
        (
            name,
            f"{1000 * statistics.median(found[name]):.2f}",
            f"{1000 * statistics.median(found[f'{name}, boto3']):.2f}",
            f"{ratio(found[f'{name}, boto3'], found[name]):.1f}",
        )
        for name in ("GetObject", "ListObjectsV2")
    ]
    print(f"{machine()}; {'TLS' if tls else 'plain HTTP'}\n")
    print(table(("call", "CPU, ms", "boto3, ms", "ratio"), rows))


if __name__ == "__main__":
    main()
