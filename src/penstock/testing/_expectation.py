"""
What a test expects of a captured event, and in words why an event does not meet it.

Pure: an event is its neutral JSON as a dict, an expectation a list of conditions on paths in it.
"""

from __future__ import annotations

import operator
import re
from datetime import date, time, timedelta
from decimal import Decimal
from difflib import SequenceMatcher
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from penstock.values import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Event = dict[str, Any]
Path = tuple[str, ...]

#: Near misses shown for a failed assertion: more would bury the first.
SHOWN = 3
_MISSING: Any = type("Missing", (), {"__repr__": lambda _: "nothing"})()


#: What a client sends in another form; everything else is compared as it is.
_CONVERTED = (Decimal, UUID, Enum, date, time, timedelta, bytes, tuple, set, frozenset)


def same(expected: Any, actual: Any) -> bool:
    """
    Whether *actual* is what was expected.

    An expected dict may name only some keys, at any depth. Objects with their own idea of
    equality, such as ``pytest.approx`` and ``unittest.mock.ANY``, are asked as they are.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        return all(same(value, actual.get(key, _MISSING)) for key, value in expected.items())
    if isinstance(expected, bool | int) and isinstance(expected, bool) != isinstance(actual, bool):
        return False  # True == 1 in Python, but not on the wire
    return bool(expected == actual or as_sent(expected) == actual)


def as_sent(expected: Any) -> Any:
    """The form in which a client sends a value."""
    return to_json(expected) if isinstance(expected, _CONVERTED) else expected


def _exists(actual: Any, expected: Any) -> bool:
    return (actual is not _MISSING) is bool(expected)


def _is_one_of(actual: Any, expected: Any) -> bool:
    return any(same(one, actual) for one in expected)


def _contains(actual: Any, expected: Any) -> bool:
    if isinstance(actual, str):
        return as_sent(expected) in actual
    return any(same(expected, item) for item in actual)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda actual, expected: test(actual, as_sent(expected))


#: What may end a keyword: ``{"gte": (test(actual, expected), sign)}``.
OPERATORS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "eq": (lambda actual, expected: same(expected, actual), ""),
    "ne": (lambda actual, expected: not same(expected, actual), "not "),
    "gt": (_ordered(operator.gt), "> "),
    "gte": (_ordered(operator.ge), ">= "),
    "lt": (_ordered(operator.lt), "< "),
    "lte": (_ordered(operator.le), "<= "),
    "in": (_is_one_of, "one of "),
    "contains": (_contains, "something with "),
    "startswith": (lambda actual, expected: actual.startswith(expected), "to start with "),
    "endswith": (lambda actual, expected: actual.endswith(expected), "to end with "),
    "matches": (lambda actual, expected: re.search(expected, actual) is not None, "to match "),
    "exists": (_exists, "existence "),
}


class Condition(NamedTuple):
    """One thing that must hold."""

    path: Path
    operator: str
    expected: Any

    def complaint(self, event: Event) -> str:
        """Why *event* does not meet it; empty when it does."""
        actual = _value_at(event, self.path)
        test, sign = OPERATORS[self.operator]
        if actual is _MISSING and self.operator not in ("exists", "ne"):
            return f"{self.label}: expected {sign}{self.expected!r}, is not there"
        try:
            if test(actual, self.expected):
                return ""
        except (TypeError, AttributeError):
            pass  # not comparable, so not met: the types show in the complaint
        return f"{self.label}: expected {sign}{self.expected!r}, got {actual!r}"

    @property
    def label(self) -> str:
        """The path as a reader of the test would write it."""
        first, *rest = self.path
        return ".".join((re.sub(r"(?<=[a-z])([A-Z])", r"_\1", first).lower(), *rest))


class Expectation(NamedTuple):
    """
    Conditions on one event.

    Args:
        types: The message types that come into question, such as ``{"track", "capture"}``.
        conditions: All must hold.
    """

    types: frozenset[str]
    conditions: tuple[Condition, ...]

    def complaints(self, event: Event) -> list[str]:
        """Why *event* is not the expected one; empty when it is."""
        found = [c for c in (condition.complaint(event) for condition in self.conditions) if c]
        if event["type"] in self.types:
            return found
        return [f"type: expected {' or '.join(sorted(self.types))}, got {event['type']}", *found]

    def near_misses(self, events: Sequence[Event]) -> list[tuple[int, list[str]]]:
        """``[(index, complaints)]`` of the events with the fewest; at most `SHOWN`."""
        misses = [(number, self.complaints(event)) for number, event in enumerate(events)]
        misses.sort(key=lambda miss: (len(miss[1]), -self._likeness(events[miss[0]])))
        return misses[:SHOWN]

    def _likeness(self, event: Event) -> float:
        """0.0 to 1.0: how much the event's name looks like the expected one (a slip of a key)."""
        wanted = [c.expected for c in self.conditions if c.path == ("event",)]
        if not wanted:
            return 0.0
        return SequenceMatcher(None, str(wanted[0]), str(event.get("event", ""))).ratio()

    def __str__(self) -> str:
        """In words: ``track or capture with event 'Signed Up', user_id 'u1'``."""
        parts = [f"{c.label} {OPERATORS[c.operator][1]}{c.expected!r}" for c in self.conditions]
        types = " or ".join(sorted(self.types, reverse=True))
        return f"{types} with {', '.join(parts)}" if parts else types


def conditions(
    fields: Mapping[str, Any], facts: str, comparisons: Mapping[str, Any]
) -> tuple[Condition, ...]:
    """
    The conditions that an assertion's arguments stand for.

    Args:
        fields: ``{wire name: expected}``; None means "not asked". The keys of a dict become a
            condition each, so that a complaint names the key.
        facts: Where the comparisons look: ``properties`` or ``traits``.
        comparisons: ``{"revenue__gte": 100, "cart__0__sku": "A1"}``.
    """
    asked = {name: value for name, value in fields.items() if value is not None}
    return (
        *(condition for item in asked.items() for condition in _of_field(*item)),
        *(_of_comparison(facts, *item) for item in comparisons.items()),
    )


def _of_field(name: str, expected: Any) -> Iterator[Condition]:
    if isinstance(expected, dict) and expected:
        for key, value in expected.items():
            yield Condition((name, str(key)), "eq", value)
    else:
        yield Condition((name,), "eq", expected)


def _of_comparison(facts: str, keyword: str, expected: Any) -> Condition:
    *parts, last = keyword.split("__")
    if parts and last in OPERATORS:
        return Condition((facts, *parts), last, expected)
    return Condition((facts, *parts, last), "eq", expected)


def _value_at(event: Event, path: Path) -> Any:
    """What lies at *path*; a number indexes a list."""
    found: Any = event
    for step in path:
        if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict):
            found = found.get(step, _MISSING)
        else:
            return _MISSING
    return found
