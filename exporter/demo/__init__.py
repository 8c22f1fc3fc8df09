"""The demo: the whole exporter against an AWS that runs inside it.

It needs the extra ``demo`` (moto's server); this module itself does not, so that it can say so.
"""

from __future__ import annotations

import sys
from pathlib import Path

from exporter.settings import ListenAddress


def run(listen_address: ListenAddress | None = None, storage: Path | None = None) -> int:
    """Run the demo until SIGINT or SIGTERM; return the exit code.

    ``listen_address``: where the exporter listens; None: 127.0.0.1:10911, or the next port that is
    free. ``storage``: where the ledger is kept; None: in a folder that is removed afterwards.
    """
    try:
        import flask  # noqa: F401, PLC0415
        import moto  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        print(
            f"The demo's AWS needs moto's server, but {error.name} is not installed:"
            " pip install 'metric-filter-exporter[demo]'",
            file=sys.stderr,
        )
        return 1
    from exporter.demo.demonstration import run as run_demo  # noqa: PLC0415

    return run_demo(listen_address, storage)
