"""A ledger to test with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.ledger.sqlite import SqliteLedger
from tests.support.counting import load_one


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    """An open ledger in ``tmp_path`` that knows one rule of one source."""
    opened = SqliteLedger.open(tmp_path)
    load_one(opened)
    yield opened
    opened.close()
