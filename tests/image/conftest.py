"""The image, built once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.images import Image, built_image


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """The image on a stand-in base; skips where it cannot be built, fails with CI=true."""
    with built_image() as built:
        yield built
