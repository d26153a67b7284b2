"""
Remembering which exceptions were captured: one passes middleware, logging and hooks.

The mark is an attribute of the exception itself, put there past any ``__setattr__`` of its
class: built-in exceptions cannot be referenced weakly, and a list of ids would keep errors
alive. Only where that fails the exception is kept, for seconds. A mark says which object it is
of, since copies and pickles take attributes along.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from penstock.error_tracking.text import FAILED, contained, is_a
from penstock.scope import CURRENT

if TYPE_CHECKING:
    from collections.abc import Callable

#: Where the mark is kept: ``{owner: mark}``, nothing but plain values.
ATTRIBUTE: Final = "_penstock_captured"
#: Seconds for which the same exception is the same error, outside of requests.
WINDOW_S: Final = 2.0
#: Seconds and number of exceptions that are kept because they cannot be marked.
KEPT_S: Final = 5.0
KEPT: Final = 64

_numbers = count(1)
_set = BaseException.__setattr__


class Mark(NamedTuple):
    """An exception that was captured."""

    object_id: int
    #: None for one that the sample left out.
    event_id: str | None
    at: float
    #: The request or job it was captured in; None outside.
    boundary: int | None


class Marks:
    """
    The marks of one client.

    Args:
        owner: Tells this client's marks from another's.
        monotonic: The time in seconds.
    """

    def __init__(self, owner: str, monotonic: Callable[[], float]) -> None:
        self._owner = owner
        self._monotonic = monotonic
        self._kept: OrderedDict[int, tuple[BaseException, Mark]] = OrderedDict()

    def known(self, error: BaseException) -> Mark | None:
        """
        The mark of *error*, if this is the same error again.

        It is inside the request it was captured in; outside of one, or where it left one, for
        `WINDOW_S`. In another request a reused exception is another error.
        """
        mark = self._mark_of(error)
        if mark is None or mark.object_id != id(error):
            return None
        here = boundary_number()
        if here is not None and mark.boundary is not None:
            return mark if here == mark.boundary else None
        return mark if self._monotonic() - mark.at < WINDOW_S else None

    def put(self, error: BaseException, event_id: str | None) -> None:
        """Mark *error* as captured."""
        mark = Mark(id(error), event_id, self._monotonic(), boundary_number())
        if contained(self._put_on, error, mark) is FAILED:
            self._keep(error, mark)

    def _put_on(self, error: BaseException, mark: Mark) -> None:
        marks = {**_marks_on(error), self._owner: tuple(mark)}
        _set(error, ATTRIBUTE, marks)

    def _keep(self, error: BaseException, mark: Mark) -> None:
        self._drop_old()
        self._kept[id(error)] = (error, mark)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _drop_old(self) -> None:
        limit = self._monotonic() - KEPT_S
        for key, (_, mark) in list(self._kept.items()):
            if mark.at < limit:
                self._kept.pop(key, None)

    def _mark_of(self, error: BaseException) -> Mark | None:
        if self._kept:
            self._drop_old()
            kept = self._kept.get(id(error))
            if kept is not None:
                return kept[1]
        found = contained(_marks_on, error)
        values = found.get(self._owner) if is_a(found, dict) else None
        return Mark(*values) if isinstance(values, tuple) and len(values) == len(FIELDS) else None


FIELDS = Mark._fields


def _marks_on(error: BaseException) -> dict[str, tuple[object, ...]]:
    found = object.__getattribute__(error, "__dict__").get(ATTRIBUTE)
    return found if is_a(found, dict) else {}


def boundary_number() -> int | None:
    """A number for the request or job that runs now; None outside of any."""
    boundary = getattr(CURRENT.get(), "boundary", None)
    if boundary is None:
        return None
    number: int = boundary.state.setdefault("error_tracking", next(_numbers))
    return number
