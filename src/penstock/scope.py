"""
The ambient scope: who and what the current request is about, without passing it around.

    with penstock.scoped(user_id="u1", context={"ip": "203.0.113.7"}):
        client.track(event="Signed Up")

Two layers. A `Boundary` is one object per request, job or message, shared by every thread and
task that serves it, so that a handler in a thread pool can say who the visitor is and the
middleware sees it. A `Scope` is what events see now: a boundary, if there is one, and over it the
values of the blocks around. It is never changed, so what a child task or thread puts over it is
seen by nobody else.

An event's own argument beats the innermost block, that the blocks around it, those the boundary,
and that the client's defaults. docs/context.md says it at length.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from msgspec import structs

from penstock import _checks
from penstock._boundary import id_text
from penstock.messages import (
    Capture,
    ExceptionEvent,
    Group,
    Identify,
    Page,
    Screen,
    Track,
    is_message,
)
from penstock.values._shapes import FAILED, contained, table_of, type_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock._boundary import Boundary
    from penstock.messages import Id, Message

#: Messages that say nothing once the user is taken out of them.
_ABOUT_A_USER = frozenset({"identify", "alias", "create_alias"})
#: Messages about people and groups: PostHog refuses them where no profile may be made.
_ABOUT_PROFILES = _ABOUT_A_USER | {"group", "group_identify"}


class Scope:
    """
    What events made now inherit. Never changed; a block inside makes another.

    Args:
        user_id: The known person; the boundary's otherwise.
        anonymous_id: The unknown device; the boundary's otherwise.
        properties: Added to the properties of track, page, screen and capture.
        context: Added to the context of every event, over the boundary's.
        tags: Added to ``context.tags``.
        boundary: The request or job that events belong to.
    """

    __slots__ = (
        *("_cached", "_own", "_tags", "_unknown", "_user"),
        *("anonymous", "boundary", "properties"),
    )

    def __init__(
        self,
        user_id: Id | None = None,
        anonymous_id: Id | None = None,
        properties: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        tags: Mapping[str, Any] | None = None,
        boundary: Boundary | None = None,
    ) -> None:
        self._user = user_id if isinstance(user_id, str) else id_text(user_id)
        self.anonymous = anonymous_id if isinstance(anonymous_id, str) else id_text(anonymous_id)
        self.properties = properties
        self._own = context
        self._tags = tags
        self.boundary = boundary
        #: The boundary's context it was merged with, and what came of it.
        self._cached: tuple[object, Mapping[str, Any] | None] | None = None
        #: The context, and the same where no user is known.
        self._unknown: tuple[object, Mapping[str, Any] | None] | None = None

    @property
    def user_id(self) -> str | None:
        """The known person, if consent lets an event say so."""
        boundary = self.boundary
        if boundary is None:
            return self._user
        if boundary.consent != "full":
            return None
        return boundary.user_id if self._user is None else self._user

    @property
    def anonymous_id(self) -> str | None:
        """The unknown device; inside a boundary there is always one."""
        boundary = self.boundary
        if self.anonymous is not None and (boundary is None or boundary.consent == "full"):
            return self.anonymous
        return None if boundary is None else boundary.anonymous_id

    @property
    def device(self) -> str | None:
        """The unknown device, if it is one that lasts: not an id made up for one request."""
        boundary = self.boundary
        if boundary is None:
            return self.anonymous
        if boundary.consent != "full":
            return None
        return boundary.known_device if self.anonymous is None else self.anonymous

    @property
    def context(self) -> Mapping[str, Any] | None:
        """The boundary's context and over it the blocks'; nobody may change it."""
        base = None if self.boundary is None else self.boundary.context
        cached = self._cached
        if cached is not None and cached[0] is base:
            return cached[1]
        merged = over(base, self._own)
        if self._tags is not None:
            below = None if merged is None else table_of(merged).get("tags")
            merged = over(merged, {"tags": over(_mapping(below), self._tags)})
        self._cached = (base, merged)
        return merged

    def inside(
        self,
        user_id: Id | None = None,
        anonymous_id: Id | None = None,
        properties: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> Scope:
        """The scope of a block inside this one."""
        return Scope(
            self._user if user_id is None else user_id,
            self.anonymous if anonymous_id is None else anonymous_id,
            over(self.properties, properties),
            over(self._own, context),
            tags=over(self._tags, tags),
            boundary=self.boundary,
        )

    def ids(self, user_id: Id | None, anonymous_id: Id | None) -> tuple[Id | None, Id | None]:
        """
        Whose an event is that was given these ids.

        A visitor's device is never put beside somebody else's user id: vendors would take the
        two for one person. Nor is an id beside a user's that stands for nobody.
        """
        if user_id is None:
            user_id = self.user_id
        if anonymous_id is None:
            anonymous_id = self.anonymous_id if user_id is None else self._device_of(user_id)
        return user_id, anonymous_id

    def _device_of(self, user_id: Id) -> Id | None:
        boundary = self.boundary
        if self.anonymous is not None or boundary is None:
            return self.anonymous
        device = boundary.known_device
        if device is None:
            return None
        visitor = boundary.user_id
        return device if visitor is None or visitor == str(user_id) else None

    def admits(self, neutral: dict[str, Any]) -> bool:
        """
        Whether an event may be made at all; where consent is not full, its user is taken out.

        What a visitor withholds no argument of a call gives. Messages that are nothing without
        a user are not made.
        """
        boundary = self.boundary
        if boundary is None or boundary.consent == "full":
            return True
        if boundary.consent == "off" or neutral["type"] in _ABOUT_A_USER:
            return False
        neutral.pop("userId", None)
        neutral["anonymousId"] = boundary.anonymous_id
        return True

    def permitted(self, context: Mapping[str, Any]) -> Mapping[str, Any]:
        """What consent leaves of an event's whole context, its own part included."""
        boundary = self.boundary
        if boundary is None or boundary.consent == "full":
            return context
        return boundary.stripped(context)

    def context_of(self, neutral: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The context for this event: ``personless`` inside a boundary that knows no user."""
        found = self.context
        boundary = self.boundary
        if boundary is None or "userId" in neutral or neutral["type"] in _ABOUT_PROFILES:
            return found
        if not boundary.personless:
            return found
        unknown = self._unknown
        if unknown is None or unknown[0] is not found:
            unknown = self._unknown = (found, over(found, {"personless": True}))
        return unknown[1]

    def __repr__(self) -> str:
        """Whether there is a boundary; nobody's ids."""
        return f"<Scope {'inside' if self.boundary else 'without'} a boundary>"

    def __reduce__(self) -> tuple[Any, ...]:
        """A scope travels to other processes as what it says now."""
        values = (self._user, self.anonymous, self.properties, self._own)
        return (_rebuild, (values, self._tags, self.boundary))


def _rebuild(values: tuple[Any, ...], tags: Any, boundary: Boundary | None) -> Scope:
    return Scope(*values, tags=tags, boundary=boundary)


CURRENT: ContextVar[Scope | None] = ContextVar("penstock_scope", default=None)


def current_boundary() -> Boundary | None:
    """The request or job that runs now, if one was opened."""
    scope = CURRENT.get()
    return None if scope is None else scope.boundary


def over(
    lower: Mapping[str, Any] | None, upper: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """*upper* over *lower*, key by key; neither is changed, and either may be hostile."""
    if lower is None or upper is None:
        return upper if lower is None else lower
    below, above = table_of(lower), table_of(upper)
    merged = contained(lambda: below | above)  # runs the code of the keys
    return {**below, type_name(type(upper)): upper} if merged is FAILED else merged


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


#: What the scope's properties describe.
_WITH_PROPERTIES = (Track, Page, Screen, Capture, ExceptionEvent)


#: Messages that are somebody's.
_OF_SOMEONE = (Identify, Track, Page, Screen, Group, ExceptionEvent)


def within(scope: Scope, message: Message) -> Message:
    """
    *message* with what it inherits from *scope*, the context excepted; it is not changed itself.

    A PostHog ``distinct_id`` is the scope's user, or else its device. Groups inherit no
    properties: those describe the event. What is no message stays what it is.

    Raises:
        FieldError: Its properties are no mapping.
    """
    if not is_message(message):
        return message
    inherited: dict[str, Any] = {}
    if isinstance(message, Capture):
        if message.distinct_id is None and message.anonymous_id is None:
            user, device = scope.ids(None, None)
            inherited = {"anonymous_id": device} if user is None else {"distinct_id": user}
    elif isinstance(message, _OF_SOMEONE):
        user, device = scope.ids(message.user_id, message.anonymous_id)
        if isinstance(message, Identify) and user is None and message.anonymous_id is None:
            limited = scope.boundary is not None and scope.boundary.consent != "full"
            device = device if limited else scope.device
        inherited = {"user_id": user, "anonymous_id": device}
    if isinstance(message, _WITH_PROPERTIES) and scope.properties is not None:
        own = message.properties
        if own is not None:
            own = _checks.mapping(own, message.kind.title, "properties")
        inherited["properties"] = over(scope.properties, own)
    return structs.replace(message, **inherited) if inherited else message
