"""What leads back to itself: flags and cohorts name each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.flags._dependencies import members_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: ``("flag", key)`` or ``("cohort", id)``
Node: TypeAlias = tuple[str, str]


def flag_node(key: str) -> Node:
    """The flag with this key."""
    return ("flag", key)


def cohort_node(name: str) -> Node:
    """The cohort with this id."""
    return ("cohort", name)


def named_in(source: Any) -> Iterator[Node]:
    """Every flag and cohort that a filter, or a tree of them, names."""
    pending = [source]
    while pending:
        item = pending.pop()
        if not isinstance(item, dict):
            continue
        if isinstance(item.get("values"), list):
            pending += item["values"]
        if item.get("type") == "cohort":
            yield cohort_node(str(item.get("value")))
        elif item.get("type") == "flag":
            yield from map(flag_node, members_of(item))


class Cycles:
    """
    Tells whether one node leads back to another.

    Args:
        edges: ``{node: what it names}``
    """

    def __init__(self, edges: Mapping[Node, Iterable[Node]]) -> None:
        self._edges = {node: set(targets) for node, targets in edges.items()}
        self._reached: dict[Node, set[Node]] = {}

    def circular(self, owner: Node, target: Node) -> bool:
        """Whether *target*, which *owner* names, is or leads to *owner*."""
        return target == owner or owner in self._reach(target)

    def _reach(self, start: Node) -> set[Node]:
        """Everything that *start* leads to."""
        if start not in self._reached:
            found: set[Node] = set()
            pending = [start]
            while pending:
                new = self._edges.get(pending.pop(), set()) - found
                found |= new
                pending += new
            self._reached[start] = found
        return self._reached[start]
