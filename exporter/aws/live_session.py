"""botocore's session, made again when the files that it was read from change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError
from botocore.session import Session

from exporter.model import SourceError

_Stamp = tuple[tuple[int, int, int] | None, ...]


class LiveSession:
    """The session of the moment.

    botocore reads ``~/.aws/config`` and ``~/.aws/credentials`` once. Not thread-safe.
    """

    def __init__(self, make: Callable[[], Session]) -> None:
        self._make = make
        self._session: Session | None = None
        self._stamp: _Stamp = ()

    def current(self) -> tuple[Session, bool]:
        """The session, and whether it is a new one; raises SourceError if there is none."""
        if self._session is not None and self._stamp == _stamp(self._session):
            return self._session, False
        session = self._make()
        # Before anything is read: what is written from now on is a change.
        stamp = _stamp(session)
        try:
            session.get_scoped_config()  # raises if AWS_PROFILE names no profile
        except BotoCoreError as error:
            raise SourceError(
                f"There is no AWS session: {error}; correct AWS_PROFILE or the AWS "
                "configuration file.",
                reason="no_credentials",
            ) from error
        self._session, self._stamp = session, stamp
        return session, True


def _stamp(session: Session) -> _Stamp:
    """Changes if one of the files that the session is read from is written or replaced."""
    return tuple(
        _file_stamp(session.get_config_variable(variable))
        for variable in ("config_file", "credentials_file")
    )


def _file_stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).expanduser().stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
