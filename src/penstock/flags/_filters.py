"""
Filters compiled, whatever their type: property, cohort, flag.

A `Workshop` knows everything a filter may name. Cohorts are compiled when they are first named,
once. What names itself, through however many others, was found before by `cycles`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.flags._cycles import cohort_node, flag_node
from penstock.flags._dependencies import dependency, members_of, shape_trouble
from penstock.flags._groups import always, combined, negated, remembered
from penstock.flags._operators import compile_operator, unusable
from penstock.flags._signals import SERVER_ONLY, UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.flags._cycles import Node
    from penstock.flags._dependencies import Evaluate
    from penstock.flags._signals import Match

#: Types that look at the properties; the flag or condition says whose.
_PLAIN = (None, "person", "group")
#: The property that every person has without being given one.
_ID = "distinct_id"
_COHORT_OPERATORS = ("exact", "in", "not_in")
_GROUP_TYPES = {"AND": True, "OR": False}
#: What `Filter.cost` is for a regular expression or a date; everything else is 1.
_SLOW = 3
_SLOW_OPERATORS = ("regex", "not_regex", "is_date_before", "is_date_after")


class Filter(NamedTuple):
    """One filter, ready."""

    match: Match
    #: As it was defined.
    source: Any
    #: False when its definition alone makes it undecidable here.
    usable: bool = True
    #: Whether it may answer that only the server can know.
    server: bool = False
    #: Whether it looks for ``distinct_id`` among the properties.
    wants_id: bool = False
    #: Whether the properties alone decide: no other flag.
    pure: bool = True
    #: How many comparisons it may take; for the order, and to tell what is worth remembering.
    cost: int = 1

    @property
    def movable(self) -> bool:
        """Whether its place among the others cannot change the outcome."""
        return self.pure and not self.server


class Workshop:
    """
    Compiles the filters of one set of definitions.

    Args:
        cohorts: ``{id: group}`` as defined.
        flags: Keys of the flags that are defined.
        explicit: Whether matching version 2 applies.
        circular: Whether the second node leads back to the first.
        evaluate: Decides a flag by its key, for filters that name one.
    """

    def __init__(
        self,
        cohorts: Mapping[str, Any],
        flags: frozenset[str],
        *,
        explicit: bool,
        circular: Callable[[Node, Node], bool],
        evaluate: Evaluate,
    ) -> None:
        self._sources = cohorts
        self._flags = flags
        self._explicit = explicit
        self._circular = circular
        self._evaluate = evaluate
        self._cohorts: dict[str, Filter] = {}
        #: Of filters that mean nothing, so that nobody matches them: worth a warning.
        self.remarks: list[str] = []

    def compile(self, source: Any, owner: Node) -> Filter:
        """
        One filter.

        Args:
            source: As defined.
            owner: The flag or cohort it stands in.
        """
        if not isinstance(source, dict):
            return _undecidable(source)
        kind = source.get("type")
        if kind == "cohort":
            return self._cohort(source, owner)
        if kind == "flag":
            return self._dependency(source, owner)
        return self._property(source) if kind in _PLAIN else _undecidable(source)

    def _property(self, source: dict[str, Any]) -> Filter:
        key, name = source.get("key"), source.get("operator")
        if not isinstance(key, str):
            return _undecidable(source)
        match = compile_operator(name, key, source.get("value"), explicit=self._explicit)
        if match is None:
            return _undecidable(source, unusable(name, key), wants_id=key == _ID)
        cost = _SLOW if name in _SLOW_OPERATORS else 1
        return Filter(match, source, wants_id=key == _ID, cost=cost)

    def _dependency(self, source: dict[str, Any], owner: Node) -> Filter:
        trouble = shape_trouble(source)
        if trouble:
            self.remarks.append(f"a filter of {' '.join(owner)} matches nobody: {trouble}")
            return Filter(always(False), source)  # noqa: FBT003 - the outcome
        chain = members_of(source)
        loops = any(self._circular(owner, flag_node(member)) for member in chain)
        if not chain or loops or not self._flags.issuperset(chain):
            return _undecidable(source)
        known = source["key"] in self._flags
        match = dependency(source, chain, self._evaluate, known=known)
        return Filter(match, source, server=True, pure=False)

    # -- cohorts ---------------------------------------------------------------------------

    def _cohort(self, source: dict[str, Any], owner: Node) -> Filter:
        name = str(source.get("value"))
        if name not in self._sources:
            return _undecidable(source, always(SERVER_ONLY), server=True)
        operator = source.get("operator") or "exact"
        if operator not in _COHORT_OPERATORS or self._circular(owner, cohort_node(name)):
            return _undecidable(source)
        body = self._named(name)
        match = remembered(name, body.match) if body.pure else body.match
        match = negated(match) if operator == "not_in" else match
        return body._replace(match=match, source=source)

    def _named(self, name: str) -> Filter:
        if name not in self._cohorts:
            self._cohorts[name] = self._group(self._sources[name], cohort_node(name))
        return self._cohorts[name]

    def _group(self, source: Any, owner: Node, *, inner: bool = False) -> Filter:
        """A tree of AND and OR."""
        if source == {}:
            return Filter(always(True), source)  # noqa: FBT003 - the outcome
        kind = source.get("type") if isinstance(source, dict) else None
        if inner and kind == "property":
            kind = "AND"
        if kind not in ("AND", "OR") or not isinstance(source.get("values"), list):
            return _undecidable(source, always(SERVER_ONLY), server=True)
        entries = [self._entry(value, owner) for value in source["values"]]
        plain = not any(entry.server for entry in entries)
        matches = [entry.match for entry in (cheap_first(entries) if plain else entries)]
        return Filter(
            combined(matches, every=_GROUP_TYPES[kind], server=not plain),
            source,
            usable=all(entry.usable for entry in entries),
            server=not plain,
            wants_id=any(entry.wants_id for entry in entries),
            pure=all(entry.pure for entry in entries),
            cost=sum(entry.cost for entry in entries),
        )

    def _entry(self, source: Any, owner: Node) -> Filter:
        if not isinstance(source, dict):
            return _undecidable(source, always(SERVER_ONLY), server=True)
        if source == {} or "values" in source or source.get("type") in ("AND", "OR"):
            return self._group(source, owner, inner=True)
        entry = self.compile(source, owner)
        return entry._replace(match=negated(entry.match)) if source.get("negation") else entry


def cheap_first(filters: Sequence[Filter]) -> Sequence[Filter]:
    """The same in the order of their cost: none of them may care for its place."""
    return sorted(filters, key=lambda each: each.cost)


def _undecidable(
    source: Any,
    match: Match | None = None,
    *,
    server: bool = False,
    wants_id: bool = False,
) -> Filter:
    return Filter(
        match or always(UNSUPPORTED), source, usable=False, server=server, wants_id=wants_id
    )
