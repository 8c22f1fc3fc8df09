"""A botocore session that is made again when the AWS configuration files change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        self._files: Sequence[Path] = ()
        self._stamp: _Stamp = ()

    def current(self) -> tuple[Session, bool]:
        """The session, and whether it is new; raises SourceError if it cannot be made."""
        if self._session is not None and self._stamp == _stamp(self._files):
            return self._session, False
        session = self._make()
        # Taken before the files are read, so a later write is a change.
        files = [
            Path(session.get_config_variable(variable)).expanduser()
            for variable in ("config_file", "credentials_file")
        ]
        stamp = _stamp(files)
        try:
            session.get_scoped_config()  # raises if AWS_PROFILE names no profile
        except BotoCoreError as error:
            raise SourceError(
                f"There is no AWS session: {error}; correct AWS_PROFILE or the AWS "
                "configuration file.",
                reason="no_credentials",
            ) from error
        self._session, self._files, self._stamp = session, files, stamp
        return session, True


def _stamp(files: Sequence[Path]) -> _Stamp:
    """A value that changes if one of the files is written or replaced."""
    return tuple(map(_file_stamp, files))


def _file_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
