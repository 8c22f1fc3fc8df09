"""What AWS is asked for instead of everything: sound necessary conditions of filter patterns.

A condition may let more through than the pattern, never less: the rule set decides.

* ``attributes_of(pattern)``, for LookupEvents: each match has all attributes of one of the
  ``Attributes`` at least. So whoever plans covers every element, by whichever of its attributes
  costs least. One of them may be ``ANY``: then everything is needed. None at all: nothing matches.
* ``request_patterns(patterns, event_format)``, for FilterLogEvents: each match of any pattern is in
  the answer to one of the requests at least. None: everything is needed.

All are pure functions of immutable values. ``docs/architecture.md`` says what they rely on.
"""

from __future__ import annotations

from exporter.planning.conditions import ANY, Attributes, attributes_of
from exporter.planning.filter_patterns import request_patterns

__all__ = ["ANY", "Attributes", "attributes_of", "request_patterns"]
