"""How many random inputs a property is tried with: few in the suite, many in a soak."""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "EXAMPLES"
"""The environment variable that `make soak` sets."""


def examples(usual: int) -> int:
    """``usual`` in the suite; as many times more as the environment variable EXAMPLES says.

    ValueError if it is no number.
    """
    return usual * int(os.environ.get(VARIABLE, "1"))
