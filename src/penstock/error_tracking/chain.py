"""
The tree of an exception, flattened: its causes, its context, the members of groups.

Depth first, parent before child. Nothing is called on the exceptions: the links are read from
where CPython keeps them, so that an odd subclass cannot interfere. The walk keeps its own stack
because the program's may be all but used up: the error may be a RecursionError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from penstock.error_tracking.text import is_a

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Exceptions of one event, at most.
MAX_ENTRIES: Final = 50
#: Members of groups that are looked at for one event, at most; repeated ones count.
MAX_MEMBERS: Final = 1000

_cause = BaseException.__dict__["__cause__"].__get__
_context = BaseException.__dict__["__context__"].__get__
_suppressed = BaseException.__dict__["__suppress_context__"].__get__
_members = BaseExceptionGroup.__dict__["exceptions"].__get__
#: An exception as it was reached: itself, the id of the one it was reached from, and how.
_Reached = tuple[BaseException, "int | None", str]


class Link(NamedTuple):
    """One exception of the tree; its id is its place in the list."""

    error: BaseException
    #: The id of the exception it was reached from; None for the outermost.
    parent: int | None
    #: ``cause``, ``context`` or ``member``; empty for the outermost.
    source: str


def chain_of(error: BaseException) -> list[Link]:
    """The tree of *error*, itself first; at most `MAX_ENTRIES`, each exception once."""
    links: list[Link] = []
    seen: set[int] = set()  # the links keep the exceptions, so no id is used twice
    open_: list[Iterator[_Reached]] = [iter([(error, None, "")])]
    members = 0
    while open_ and len(links) < MAX_ENTRIES:
        reached = next(open_[-1], None)
        if reached is None:
            open_.pop()
            continue
        if reached[2] == "member":
            members += 1
            if members > MAX_MEMBERS:
                break
        if id(reached[0]) in seen:
            continue
        seen.add(id(reached[0]))
        links.append(Link(*reached))
        open_.append(_children(reached[0], len(links) - 1))
    return links


def _children(error: BaseException, parent: int) -> Iterator[_Reached]:
    cause = _cause(error)
    if cause is not None:
        yield cause, parent, "cause"
    elif not _suppressed(error):
        context = _context(error)
        if context is not None:
            yield context, parent, "context"
    if is_a(error, BaseExceptionGroup):
        group: Any = error
        for member in _members(group):
            yield member, parent, "member"
