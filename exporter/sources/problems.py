"""What a source's errors are in ``check``."""

from __future__ import annotations

import re

from exporter.model import SourceError


def sentence(error: SourceError) -> str:
    """An error message for ``check``, which does not try again."""
    text = re.sub(r"[;.] It is (tried|looked for) again.*", "", str(error), flags=re.IGNORECASE)
    text = text.removesuffix(".")
    return text[0].lower() + text[1:] if text[1:2].islower() else text
