"""
The ambient scope: who and what the current request is about, without passing it around.

    with penstock.scoped(user_id="u1", context={"ip": "203.0.113.7"}):
        client.track(event="Signed Up")

Scopes nest; each is seen by its own task or thread only (`contextvars`). An explicit argument
beats the scope, the scope beats the client's defaults.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import structs

from penstock import _checks
from penstock.messages import Capture, ExceptionEvent, Page, Screen, Track, is_message
from penstock.values._shapes import FAILED, contained, table_of, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.messages import Message


#: What the scope's properties describe.
_WITH_PROPERTIES = (Track, Page, Screen, Capture, ExceptionEvent)


class Scope(NamedTuple):
    """What events made inside the scope inherit."""

    user_id: str | None = None
    anonymous_id: str | None = None
    properties: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None


CURRENT: ContextVar[Scope | None] = ContextVar("penstock_scope", default=None)


@contextmanager
def scoped(
    *,
    user_id: str | None = None,
    anonymous_id: str | None = None,
    properties: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    fresh: bool = False,
) -> Iterator[Scope]:
    """
    Open a scope for the events captured inside it.

    Args:
        user_id: The known person the request is about.
        anonymous_id: The unknown device the request comes from.
        properties: Added to the properties of track, page, screen, capture and exception events;
            an event's own win.
        context: Added to the context of every event; an event's own wins.
        fresh: Start empty instead of inheriting the scope around.

    Yields:
        The scope as events will see it.
    """
    outer = None if fresh else CURRENT.get()
    if outer is None:
        inner = Scope(user_id, anonymous_id, properties, context)
    else:
        inner = Scope(
            user_id if user_id is not None else outer.user_id,
            anonymous_id if anonymous_id is not None else outer.anonymous_id,
            over(outer.properties, properties),
            over(outer.context, context),
        )
    token = CURRENT.set(inner)
    try:
        yield inner
    finally:
        CURRENT.reset(token)


def over(
    lower: Mapping[str, Any] | None, upper: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """*upper* over *lower*, key by key; neither is changed, and either may be hostile."""
    if lower is None or upper is None:
        return upper if lower is None else lower
    below, above = table_of(lower), table_of(upper)
    merged = contained(lambda: below | above)  # runs the code of the keys
    return {**below, type_name(type(upper)): upper} if merged is FAILED else merged


def within(scope: Scope, message: Message) -> Message:
    """
    *message* with what it inherits from *scope*, the context excepted; it is not changed itself.

    A PostHog ``distinct_id`` is the scope's user, or else its device. Groups inherit no
    properties: those describe the event. What is no message stays what it is.

    Raises:
        FieldError: Its properties are no mapping.
    """
    inherited: dict[str, Any] = {}
    if not is_message(message):
        return message
    for field in ("user_id", "anonymous_id"):
        if getattr(message, field, "") is None:
            inherited[field] = getattr(scope, field)
    if isinstance(message, Capture):
        if message.distinct_id is None and message.anonymous_id is None:
            known = scope.user_id is not None
            inherited = {"distinct_id": scope.user_id if known else scope.anonymous_id}
        else:
            inherited = {}
    if isinstance(message, _WITH_PROPERTIES) and scope.properties is not None:
        own = message.properties
        if own is not None:
            own = _checks.mapping(own, message.kind.title, "properties")
        inherited["properties"] = over(scope.properties, own)
    return structs.replace(message, **inherited) if inherited else message
