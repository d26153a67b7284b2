"""
What a filter, a condition or a flag says when it has no value.

Signals are values and not exceptions: a raised one costs a microsecond, and on the way through
100 flags there may be hundreds. An `Outcome` is True, False or a signal; compare with ``is``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from penstock.flags.decision import (
    EXPERIENCE_CONTINUITY,
    MISSING_CONTEXT,
    UNRESOLVED_DEPENDENCY,
    UNSUPPORTED_DEFINITION,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from penstock.flags._run import Run


class Signal(msgspec.Struct, frozen=True):
    """No value, and why."""

    reason: str
    #: Higher is stronger.
    rank: int
    #: Whether only the server can know; if not, another condition may still decide.
    server: bool = False


Outcome: TypeAlias = "bool | Signal"
#: A compiled filter: the properties it looks at, and the pass it is part of.
Match: TypeAlias = "Callable[[Mapping[str, Any], Run], Outcome]"

_WEAKEST_FIRST = (
    MISSING_CONTEXT,
    UNRESOLVED_DEPENDENCY,
    UNSUPPORTED_DEFINITION,
    EXPERIENCE_CONTINUITY,
)
#: ``{reason: signal}``
INCONCLUSIVE = {reason: Signal(reason, rank) for rank, reason in enumerate(_WEAKEST_FIRST)}
SERVER = {reason: Signal(reason, rank, True) for rank, reason in enumerate(_WEAKEST_FIRST)}  # noqa: FBT003 - positional, like its twin

MISSING = INCONCLUSIVE[MISSING_CONTEXT]
UNSUPPORTED = INCONCLUSIVE[UNSUPPORTED_DEFINITION]
UNRESOLVED = INCONCLUSIVE[UNRESOLVED_DEPENDENCY]
SERVER_ONLY = SERVER[UNSUPPORTED_DEFINITION]
SERVER_UNRESOLVED = SERVER[UNRESOLVED_DEPENDENCY]


def stronger(one: Signal | None, other: Signal) -> Signal:
    """The one that is reported when both apply; the first of equals."""
    return other if one is None or other.rank > one.rank else one


def joined(pending: Signal | None, signal: Signal) -> Signal:
    """
    Add what another filter of the condition says to what is pending.

    The filters of a condition have no order, except for this: the first undecided one says
    whether the server must be asked, the strongest says why.
    """
    if pending is None:
        return signal
    reason = stronger(pending, signal).reason
    return (SERVER if pending.server else INCONCLUSIVE)[reason]
