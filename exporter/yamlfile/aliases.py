"""What a YAML file's aliases stand for, before anything follows them.

A few lines of aliases of aliases can stand for more values than any machine holds, and an alias
inside of what it stands for never ends.
"""

from __future__ import annotations

from typing import NamedTuple

import yaml

MAX_ALIASED = 100_000
"""Values that all aliases of a file may stand for together."""


class AliasProblem(NamedTuple):
    """What is wrong with a file's aliases, and at which node."""

    node: yaml.Node
    message: str


class _Extent(NamedTuple):
    """A node with everything below it, aliases written out."""

    values: int
    depth: int


class _AliasError(Exception):
    def __init__(self, problem: AliasProblem) -> None:
        super().__init__(problem)
        self.problem = problem


def find_alias_problem(root: yaml.Node, deepest: int) -> AliasProblem | None:
    """Say where aliases never end, stand for too much, or nest deeper than ``deepest``.

    The recursion is as deep as the file's own nesting: what an alias names stands before it.
    """
    try:
        _Measure(deepest).extent(root)
    except _AliasError as error:
        return error.problem
    return None


class _Measure:
    """Visits each node once."""

    def __init__(self, deepest: int) -> None:
        self._deepest = deepest
        self._known: dict[int, _Extent | None] = {}
        """By identity of the node; None: not left yet."""
        self._aliased = 0

    def extent(self, node: yaml.Node) -> _Extent:
        if isinstance(node, yaml.ScalarNode):
            return _Extent(1, 0)
        if id(node) in self._known:
            return self._aliased_extent(node)
        self._known[id(node)] = None
        values, depth = 1, 0
        for child in _children(node):
            below = self.extent(child)
            values += below.values
            depth = max(depth, below.depth)
        if depth >= self._deepest:
            message = f"with its aliases this is nested deeper than {self._deepest} levels"
            raise _AliasError(AliasProblem(node, message))
        extent = self._known[id(node)] = _Extent(values, depth + 1)
        return extent

    def _aliased_extent(self, node: yaml.Node) -> _Extent:
        extent = self._known[id(node)]
        if extent is None:
            message = "an alias must not stand inside of what it stands for"
            raise _AliasError(AliasProblem(node, message))
        self._aliased += extent.values
        if self._aliased > MAX_ALIASED or extent.values > MAX_ALIASED:
            message = f"the file's aliases stand for more than {MAX_ALIASED:,} values, with this"
            raise _AliasError(AliasProblem(node, message))
        return extent


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)
