"""What AWS can be asked instead of for everything: sound necessary conditions of filter patterns.

``attributes_of(pattern)`` → tuple of ``Attributes``: for LookupEvents. Each match has all
attributes of one of them at least. So a planner covers every element, each by whichever of its
attributes costs least (event names, event sources, ReadOnly); an element without attributes, and
so the whole pattern, needs everything. No element: no event can match.

``request_patterns(patterns, event_format)`` → tuple of filter pattern texts, or None: for
FilterLogEvents. Each match of any pattern is in the answer to one of the requests at least, as AWS
evaluates their patterns. None: everything has to be read. Fewer patterns at once may need less.

A condition may let more through than the pattern, never less: the rule set decides. Both are pure
functions of immutable values.
"""

from __future__ import annotations

from exporter.planning.conditions import ANY, Attributes, attributes_of
from exporter.planning.filter_patterns import request_patterns

__all__ = ["ANY", "Attributes", "attributes_of", "request_patterns"]
