"""Looking at a framework's session without leaving a trace in the response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class UnseenSession:
    """
    Lets the session say that nobody looked at it, if nobody else did.

    Django and Flask add ``Vary: Cookie`` to the response of whoever looks, which would make pages
    that are the same for everybody uncacheable.

    Args:
        find: Gives the session without looking at it; None where there is none.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find
        self._was: bool | None = None

    def __enter__(self) -> None:
        self._was = getattr(self._find(), "accessed", None)

    def __exit__(self, *error: object) -> None:
        session = self._find()
        if self._was is False and session is not None:
            session.accessed = False
