"""A botocore session that is made again when the AWS configuration files change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError
from botocore.session import Session

from exporter.model import SourceError

_Stamp = tuple[tuple[int, int, int] | None, ...]


class LiveSession:
    """The current session. Not thread-safe.

    botocore itself reads ``~/.aws/config`` and ``~/.aws/credentials`` only once.
    """

    def __init__(self, make: Callable[[], Session]) -> None:
        self._make = make
        self._session: Session | None = None
        self._stamp: _Stamp = ()

    def current(self) -> tuple[Session, bool]:
        """The session, and whether it is new; raises SourceError if it cannot be made."""
        if self._session is not None and self._stamp == _stamp(self._session):
            return self._session, False
        session = self._make()
        # Taken before the files are read, so a later write is a change.
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
    """A value that changes if one of the session's files is written or replaced."""
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
