"""A value and what is known about it before it is tracked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.values import Reason


class Made(NamedTuple):
    """A value as a property may have it."""

    value: Any
    #: The reasons of every coercion it must lead to, in any order; None where nobody can tell.
    told: tuple[Reason, ...] | None = ()
    #: Whether it may raise what ends a program: KeyboardInterrupt or SystemExit.
    stops: bool = False
    #: Whether its own code takes its time.
    slow: bool = False


def around(value: Any, parts: Iterable[Made], *, known: bool = True) -> Made:
    """*value*, which holds *parts* and has nothing to report by itself."""
    told: list[Reason] = []
    stops = slow = False
    for part in parts:
        stops = stops or part.stops
        slow = slow or part.slow
        known = known and part.told is not None
        told += part.told or ()
    return Made(value, tuple(told) if known else None, stops, slow)
