"""Requests that return less than everything, and every match: necessary conditions of patterns.

A condition may let more through than the pattern, never less: the rule set decides.

* ``attributes_of(pattern)``, for LookupEvents: each match has all attributes of one of the
  ``Attributes`` at least. So a planner covers every element, by the cheapest of its attributes. If
  ``ANY`` is among them, everything has to be read; if the tuple is empty, nothing can match.
* ``request_patterns(patterns, event_format)``, for FilterLogEvents: each match of any pattern is in
  the answer to one of the requests at least. None if everything has to be read.

All are pure functions of immutable values. ``docs/architecture.md`` says what they rely on.
"""

from __future__ import annotations

from exporter.planning.conditions import ANY, Attributes, attributes_of
from exporter.planning.filter_patterns import request_patterns

__all__ = ["ANY", "Attributes", "attributes_of", "request_patterns"]
