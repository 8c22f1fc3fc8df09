"""Headers of a scrape: ``<Accept> newline <Accept-Encoding>``."""

from __future__ import annotations

import re

from exporter.metrics.text import accepts_gzip, negotiate

_CONTENT_TYPE = re.compile(
    r"(application/openmetrics-text; version=(0\.0\.1|1\.0\.0)"
    r"|text/plain; version=(0\.0\.4|1\.0\.0))"
    r"; charset=utf-8(; escaping=(allow-utf-8|underscores|values))?"
)


def check(data: bytes) -> None:
    """Any header has an answer, one of few; nothing of the header gets into it."""
    accept, _, encoding = data.decode("latin-1").partition("\n")
    text_format = negotiate(accept)
    assert _CONTENT_TYPE.fullmatch(text_format.content_type), text_format
    assert text_format.openmetrics == text_format.content_type.startswith("application/openmetrics")
    assert accepts_gzip(encoding) in (True, False)
