"""
One method per call of the field.

Calls become messages (`penstock.messages`), messages become records (`penstock.intake`).
`Calls.track` takes a shorter way, because it is what programs call in loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from uuid_utils import uuid7

from penstock import _checks, _fork
from penstock._flag_calls import FlagCalls
from penstock._log import WARNING
from penstock.intake import Intake
from penstock.kinds import Kind
from penstock.messages import (
    Alias,
    Capture,
    CreateAlias,
    Group,
    GroupIdentify,
    Identify,
    Page,
    Screen,
    opened,
)
from penstock.scope import CURRENT, over, within
from penstock.timestamps import now
from penstock.values._encode import LEVELS
from penstock.values._quick import quick_json

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Unpack
    from uuid import UUID

    from penstock.flags.capturing import SendFlags
    from penstock.flags.snapshot import FlagSnapshot
    from penstock.messages import Data, Id, Message

_TRACK = int(Kind.TRACK)
_PAGE = _fork.PAGE


class Common(TypedDict, total=False):
    """
    What every call takes, by keyword.

    Attributes:
        context: Facts of the moment: a plain dict or `Context`.
        integrations: Which destinations the event goes to: a plain dict or `Integrations`.
        timestamp: When it happened; now by default. Naive means UTC.
        message_id: Idempotency key as the wire has it; a UUIDv7 by default.
        idempotency_key: Any text; the message id is its UUIDv5.
        historical: The event is part of a back-fill.
    """

    context: Data | None
    integrations: Data | None
    timestamp: datetime | str | None
    message_id: str | UUID | None
    idempotency_key: str | None
    historical: bool


class Calls(FlagCalls, Intake):
    """The calls of all four vendors; part of `penstock.client.Client`."""

    # -- calls of the Segment family -------------------------------------------------------

    def identify(
        self,
        user_id: Id | None = None,
        traits: Data | None = None,
        *,
        anonymous_id: Id | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Tell who a user is.

        Args:
            user_id: The known person; an int or UUID becomes a string.
            traits: Facts of the person: a plain dict or `Traits`.
            anonymous_id: The unknown device; one of the two ids is needed.
            common: See `Common`.

        Returns:
            The message id; empty when the client is disabled.

        Raises:
            FieldError: A field is missing, empty or of the wrong type.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        return self.enqueue(
            Identify(user_id=user_id, traits=traits, anonymous_id=anonymous_id, **common)
        )

    def track(
        self,
        user_id: Id | None = None,
        event: str | None = None,
        properties: Data | None = None,
        *,
        anonymous_id: Id | None = None,
        context: Data | None = None,
        integrations: Data | None = None,
        timestamp: datetime | str | None = None,
        message_id: str | UUID | None = None,
        idempotency_key: str | None = None,
        historical: bool = False,
    ) -> str:
        """
        Tell what a user did.

        An event with nothing but plain properties and context is written right here: each call
        out of it costs 0.1 µs.

        Args:
            user_id: The known person.
            event: What happened, as in ``"Order Completed"``.
            properties: Facts of the event: a plain dict or `Properties`.
            anonymous_id: The unknown device; one of the two ids is needed.
            context: See `Common`, as all that follow.
            integrations: See `Common`.
            timestamp: See `Common`.
            message_id: See `Common`.
            idempotency_key: See `Common`.
            historical: See `Common`.

        Returns:
            The message id; empty when the client is disabled.

        Raises:
            FieldError: A field is missing, empty or of the wrong type.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        write = self._write_plainly
        if (
            write is not None
            and _PAGE[0]
            and CURRENT.get() is None
            and type(event) is str
            and type(user_id) is str
            and (properties is None or type(properties) is dict or _is_dict(properties))
            and (context is None or type(context) is dict or _is_dict(context))
            and anonymous_id is None
            and integrations is None
            and timestamp is None
            and message_id is None
            and idempotency_key is None
            and historical is False
            and not (event.isspace() or user_id.isspace())
            and event
            and user_id
        ):
            identity = str(uuid7())
            captured_at, timestamp = now()
            neutral: dict[str, Any] = {
                "type": "track",
                "event": event,
                "userId": user_id,
                "messageId": identity,
                "timestamp": timestamp,
            }
            if properties is not None:
                neutral["properties"] = properties
            if context is not None:
                neutral["context"] = context
            payload = quick_json(neutral, LEVELS)
            if payload is not None and len(payload) <= self._small:
                ordinal = write(_TRACK, 0, captured_at, payload)
                if ordinal <= 0:
                    self._finish(ordinal, (_TRACK, 0, captured_at, payload))
                return identity
        common = (context, integrations, timestamp, message_id, idempotency_key, historical)
        return self._track(user_id, event, properties, anonymous_id, common)

    def _track(
        self,
        user_id: Id | None,
        event: str | None,
        properties: Data | None,
        anonymous_id: Id | None,
        common: tuple[Any, ...],
    ) -> str:
        """`track` in full; without a `Track`, which costs 2 µs to make and to open."""
        scope = CURRENT.get()
        if scope is not None:
            user_id, anonymous_id = scope.ids(user_id, anonymous_id)
            if properties is not None:
                properties = _checks.mapping(properties, "Track", "properties")
            properties = over(scope.properties, properties)
        neutral: dict[str, Any] = {"type": "track"}
        neutral["event"] = _checks.required_text(event, "Track", "event")
        user, anonymous = _checks.one_of_ids(user_id, anonymous_id, "Track")
        if user is not None:
            neutral["userId"] = user
        if anonymous is not None:
            neutral["anonymousId"] = anonymous
        if properties is not None:
            neutral["properties"] = _checks.mapping(properties, "Track", "properties")
        return self.accept(_TRACK, neutral, scope, *common)

    def page(
        self,
        user_id: Id | None = None,
        name: str | None = None,
        properties: Data | None = None,
        *,
        category: str | None = None,
        anonymous_id: Id | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Tell which page a user saw.

        Args:
            user_id: The known person.
            name: The page's name.
            properties: Facts of the page, ``url`` and ``title`` among them.
            category: What the page belongs to.
            anonymous_id: The unknown device; one of the two ids is needed.
            common: See `Common`.

        Returns:
            The message id; empty when the client is disabled.

        Raises:
            FieldError: A field is missing, empty or of the wrong type.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        return self.enqueue(
            Page(
                user_id=user_id,
                name=name,
                properties=properties,
                category=category,
                anonymous_id=anonymous_id,
                **common,
            )
        )

    def screen(
        self,
        user_id: Id | None = None,
        name: str | None = None,
        properties: Data | None = None,
        *,
        category: str | None = None,
        anonymous_id: Id | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Tell which screen of an app a user saw; as `page`.

        .. versionadded:: 0.1
        """
        return self.enqueue(
            Screen(
                user_id=user_id,
                name=name,
                properties=properties,
                category=category,
                anonymous_id=anonymous_id,
                **common,
            )
        )

    def group(
        self,
        user_id: Id | None = None,
        group_id: Id | None = None,
        traits: Data | None = None,
        *,
        group_type: str | None = None,
        anonymous_id: Id | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Tell which group (company, team, account) a user belongs to.

        Args:
            user_id: The known person.
            group_id: The group's key.
            traits: Facts of the group.
            group_type: Kind of group, for PostHog; becomes ``traits.groupType``.
            anonymous_id: The unknown device; one of the two ids is needed.
            common: See `Common`.

        Returns:
            The message id; empty when the client is disabled.

        Raises:
            FieldError: A field is missing, empty or of the wrong type.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        return self.enqueue(
            Group(
                user_id=user_id,
                group_id=group_id,
                traits=traits,
                group_type=group_type,
                anonymous_id=anonymous_id,
                **common,
            )
        )

    def alias(
        self,
        *,
        user_id: Id | None = None,
        previous_id: Id | None = None,
        distinct_id: Id | None = None,
        alias: Id | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Merge two ids of one person. All arguments by keyword: the direction matters.

        Args:
            user_id: The id that stays.
            previous_id: The id that is merged into it.
            distinct_id: PostHog's own call instead, with `alias`: both are sent as they are.
            alias: See `distinct_id`.
            common: See `Common`.

        Returns:
            The message id; empty when the client is disabled.

        Raises:
            FieldError: A field is missing, empty or of the wrong type.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        if distinct_id is not None or alias is not None:
            return self.enqueue(CreateAlias(distinct_id=distinct_id, alias=alias, **common))
        return self.enqueue(Alias(user_id=user_id, previous_id=previous_id, **common))

    # -- PostHog's own calls ---------------------------------------------------------------

    def capture(
        self,
        event: str | None = None,
        distinct_id: Id | None = None,
        properties: Data | None = None,
        *,
        groups: Data | None = None,
        set: Data | None = None,  # noqa: A002 - PostHog's word
        set_once: Data | None = None,
        flags: FlagSnapshot | None = None,
        send_feature_flags: SendFlags = False,
        **common: Unpack[Common],
    ) -> str:
        """
        Capture an event the PostHog way.

        Args:
            event: What happened.
            distinct_id: Who did it; the scope's user otherwise. With neither the event is
                personless: a random id and ``$process_person_profile: false``.
            properties: Facts of the event.
            groups: ``{group type: group key}``.
            set: Person properties to overwrite.
            set_once: Person properties to set unless they are there.
            flags: The event tells of these: ``$feature/KEY`` of each, and
                ``$active_feature_flags``. No request is made.
            send_feature_flags: The event tells of all flags as they are now. Without definitions
                that takes a request, for which this call waits; see docs/flag-client.md.
            common: See `Common`.

        Returns:
            The message id; empty when the client is disabled.

        Raises:
            FieldError: A field is missing, empty or of the wrong type.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        if flags is not None or send_feature_flags is not False:
            from penstock.flags.capturing import with_flags

            properties = with_flags(
                self, distinct_id, properties, groups, flags, send_feature_flags
            )
        if event == "$exception":
            text = "capture() of $exception makes no issue at PostHog: use capture_exception()"
            self._log.say(WARNING, "$exception", text)
        return self.enqueue(
            Capture(
                event="" if event is None else event,
                distinct_id=distinct_id,
                properties=properties,
                groups=groups,
                set=set,
                set_once=set_once,
                **common,
            )
        )

    def group_identify(
        self,
        group_type: str | None = None,
        group_id: Id | None = None,
        properties: Data | None = None,
        *,
        distinct_id: Id | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Set properties of a group the PostHog way.

        Args:
            group_type: Kind of group, as in ``"company"``.
            group_id: The group's key.
            properties: Facts of the group.
            distinct_id: Who the event is counted for; the group itself by default.
            common: See `Common`.

        Returns:
            The message id; empty when the client is disabled.

        Raises:
            FieldError: A field is missing, empty or of the wrong type.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        return self.enqueue(
            GroupIdentify(
                group_type="" if group_type is None else group_type,
                group_id=group_id,
                properties=properties,
                distinct_id=distinct_id,
                **common,
            )
        )

    def enqueue(self, message: Message) -> str:
        """
        Accept a typed message, as in ``enqueue(Track(user_id="u1", event="Signed Up"))``.

        Returns:
            The message id; empty when the client is disabled.

        Raises:
            FieldError: A field is missing, empty or of the wrong type, or *message* is none.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        scope = CURRENT.get()
        kind, neutral, common = opened(message if scope is None else within(scope, message))
        return self.accept(kind, neutral, scope, **common)


def _is_dict(value: object) -> bool:
    """As ``isinstance(value, dict)``, which asks the value itself, and that may raise."""
    return issubclass(type(value), dict)
