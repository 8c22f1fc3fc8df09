"""Filter patterns of the embedded AWS: an evaluator of its own, plain and slow.

It is written from AWS's documentation and from what is known of AWS's behaviour, not from the
exporter's engine: comparing an engine with itself shows nothing.
"""

from metric_filter_demo.patterns.evaluation import read_pattern
from metric_filter_demo.patterns.text import Doubts, InvalidPattern

__all__ = ["Doubts", "InvalidPattern", "read_pattern"]
