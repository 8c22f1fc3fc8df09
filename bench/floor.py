"""The least that any program does with trail files: inflate them, decode the fields of the rules.

python -m bench.floor FILE.json.gz ...

Prints the number of records. The structs have the paths of the 16 rules and of a record's facts.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec


class Identity(msgspec.Struct, gc=False):
    """Who called."""

    type: str | None = None
    invokedBy: str | None = None  # noqa: N815 - AWS's name


class Data(msgspec.Struct, gc=False):
    """Details of a sign-in."""

    MFAUsed: str | None = None


class Response(msgspec.Struct, gc=False):
    """The outcome of a sign-in."""

    ConsoleLogin: str | None = None


class Record(msgspec.Struct, gc=False, rename="camel"):
    """A CloudTrail record."""

    event_name: str | None = None
    event_source: str | None = None
    event_time: str | None = None
    event_type: str | None = None
    event_id: str | None = msgspec.field(default=None, name="eventID")
    error_code: str | None = None
    error_message: str | None = None
    source_ip: str | None = msgspec.field(default=None, name="sourceIPAddress")
    aws_region: str | None = None
    recipient_account_id: str | None = None
    user_identity: Identity | None = None
    additional_event_data: Data | None = None
    response_elements: Response | None = None


class Document(msgspec.Struct, gc=False):
    """A trail file."""

    Records: list[Record]


def inflater() -> tuple[str, Callable[[bytes], bytes]]:
    """The fastest way to inflate that is installed, and its name."""
    try:
        deflate = importlib.import_module("deflate")
    except ImportError:
        return "zlib", lambda data: zlib.decompress(data, 31)
    # The last four bytes of a gzip file are the size of its content.
    return "libdeflate", lambda data: bytes(
        deflate.gzip_decompress(data, int.from_bytes(data[-4:], "little"))
    )


def main() -> None:
    """Read the files that the command line names."""
    decoder, (_, inflate) = msgspec.json.Decoder(Document), inflater()
    print(
        sum(len(decoder.decode(inflate(Path(path).read_bytes())).Records) for path in sys.argv[1:])
    )


if __name__ == "__main__":
    main()
