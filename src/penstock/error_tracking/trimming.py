"""
Making an event fit: what explains least goes first.

Variables, then the source of library code, then the middle of stacks, then all source, then the
exceptions furthest from the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.error_tracking.types import Entry, Frame

#: Bytes of an event's JSON, at most.
MAX_EVENT: Final = 256 * 1024
#: Calls kept at each end once the middle of stacks has to go.
KEPT_ENDS: Final = 10


def trimmed(entries: list[Entry], fits: Callable[[], bool]) -> bool:
    """
    Cut *entries* down until the event fits.

    Args:
        entries: Changed in place; the first entry always stays.
        fits: Whether the event fits now.

    Returns:
        Whether it does in the end.
    """
    return fits() or any(fits() for _ in _steps(entries))


def _steps(entries: list[Entry]) -> Iterator[None]:
    _strip(entries, ("code_variables",), library_only=False)
    yield
    source = ("pre_context", "context_line", "post_context")
    _strip(entries, source, library_only=True)
    yield
    for entry in entries:
        _cut_middle(entry)
    yield
    _strip(entries, source, library_only=False)
    yield
    while len(entries) > 1:
        entries.pop()
        yield


def _strip(entries: list[Entry], keys: tuple[str, ...], *, library_only: bool) -> None:
    for entry in entries:
        for frame in _frames_of(entry):
            if library_only and frame.get("in_app"):
                continue
            members: dict[str, object] = frame  # type: ignore[assignment]
            for key in keys:
                members.pop(key, None)


def _cut_middle(entry: Entry) -> None:
    frames = _frames_of(entry)
    if len(frames) > 2 * KEPT_ENDS:
        del frames[KEPT_ENDS:-KEPT_ENDS]


def _frames_of(entry: Entry) -> list[Frame]:
    return entry["stacktrace"]["frames"] if "stacktrace" in entry else []
