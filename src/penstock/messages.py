"""
The messages as values: what `Client.enqueue` takes.

One class per type. A message is checked when it is opened, not when it is made, so a field may
still be filled in; the checks and their order are those of the client's own methods. Ids are
text; a whole number or a UUID becomes text. Properties, traits, context and integrations are
plain dicts, other mappings or the catalogues of `penstock.fields`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime  # noqa: TC003 - msgspec resolves a Struct's annotations
from typing import Any, ClassVar, TypeAlias, TypeGuard
from uuid import UUID

import msgspec
from uuid_utils import uuid4

from penstock import _checks
from penstock._exception_body import exception_body
from penstock.errors import FieldError
from penstock.kinds import Kind
from penstock.values._shapes import table_of

Id: TypeAlias = str | int | UUID
Data: TypeAlias = Mapping[str, Any]


class _Message(msgspec.Struct, kw_only=True):
    """
    What all messages have.

    Attributes:
        context: Facts of the moment: a plain dict or `Context`.
        integrations: Which destinations it goes to: a plain dict or `Integrations`.
        timestamp: When it happened; the time of the call by default. Naive means UTC.
        message_id: Idempotency key as the wire has it; a UUIDv7 by default.
        idempotency_key: Any text; the message id is its UUIDv5.
        historical: It is part of a back-fill.
    """

    kind: ClassVar[Kind]

    context: Data | None = None
    integrations: Data | None = None
    timestamp: datetime | str | None = None
    message_id: str | UUID | None = None
    idempotency_key: str | None = None
    historical: bool = False

    def body(self) -> dict[str, Any]:
        """
        The fields of this type in neutral JSON, as in docs/dialects.md; unset ones are absent.

        Raises:
            FieldError: One is missing, empty or of the wrong type.
        """
        raise NotImplementedError

    def common(self) -> dict[str, Any]:
        """What is set of the fields that all messages have, by Python name, unchecked."""
        values = {name: getattr(self, name) for name in _Message.__struct_fields__}
        return {name: value for name, value in values.items() if value is not None}

    def neutral(self) -> dict[str, Any]:
        """
        The whole message in neutral JSON, without defaults: only what was set.

        Raises:
            FieldError: A field is missing, empty or of the wrong type.
        """
        name, neutral = self.kind.title, self.body()
        if self.message_id is not None or self.idempotency_key is not None:
            neutral["messageId"] = _checks.chosen_id(self.message_id, self.idempotency_key, name)
        if self.timestamp is not None:
            neutral["timestamp"] = _checks.wire_timestamp(self.timestamp, name)
        for field in ("context", "integrations"):
            _put_mapping(neutral, field, getattr(self, field), name, field)
        return neutral

    def __repr__(self) -> str:
        """Which fields are set, not to what: messages get logged."""
        unset = (None, "", False)
        names = [
            name
            for name in self.__struct_fields__
            if not any(getattr(self, name) is nothing for nothing in unset)
        ]
        return f"<{type(self).__name__}: {', '.join(names)}>"


class _OfSomeone(_Message, kw_only=True):
    """
    A message about a person or a device.

    Attributes:
        user_id: The known person.
        anonymous_id: The unknown device; one of the two ids is needed.
    """

    user_id: Id | None = None
    anonymous_id: Id | None = None

    def _with_ids(self) -> dict[str, Any]:
        name = self.kind.title
        user, anonymous = _checks.one_of_ids(self.user_id, self.anonymous_id, name)
        neutral: dict[str, Any] = {"type": self.kind.wire}
        if user is not None:
            neutral["userId"] = user
        if anonymous is not None:
            neutral["anonymousId"] = anonymous
        return neutral


class Identify(_OfSomeone, kw_only=True):
    """
    Who a user is.

    Attributes:
        traits: Facts of the person: a plain dict or `Traits`.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.IDENTIFY

    traits: Data | None = None

    def body(self) -> dict[str, Any]:
        """See `_Message.body`."""
        return _put_mapping(self._with_ids(), "traits", self.traits, "Identify", "traits")


class Track(_OfSomeone, kw_only=True):
    """
    What a user did.

    Attributes:
        event: What happened, as in ``"Order Completed"``.
        properties: Facts of the event: a plain dict or `Properties`.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.TRACK

    event: str = ""
    properties: Data | None = None

    def body(self) -> dict[str, Any]:
        """See `_Message.body`."""
        event = _checks.required_text(self.event, "Track", "event")
        neutral = self._with_ids()
        neutral["event"] = event
        return _put_mapping(neutral, "properties", self.properties, "Track", "properties")


class _View(_OfSomeone, kw_only=True):
    """
    What a user saw.

    Attributes:
        name: Its name.
        category: What it belongs to.
        properties: Facts of it: a plain dict or `Properties`.
    """

    name: str | None = None
    category: str | None = None
    properties: Data | None = None

    def body(self) -> dict[str, Any]:
        """See `_Message.body`."""
        neutral, title = self._with_ids(), self.kind.title
        for field in ("name", "category"):
            text = _checks.optional_text(getattr(self, field), title, field)
            if text is not None:
                neutral[field] = text
        return _put_mapping(neutral, "properties", self.properties, title, "properties")


class Page(_View, kw_only=True):
    """
    Which page of a site a user saw.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.PAGE


class Screen(_View, kw_only=True):
    """
    Which screen of an app a user saw.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.SCREEN


class Group(_OfSomeone, kw_only=True):
    """
    Which group (company, team, account) a user belongs to.

    Attributes:
        group_id: The group's key.
        traits: Facts of the group: a plain dict or `Traits`.
        group_type: Kind of group, for PostHog; becomes ``traits.groupType``.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.GROUP

    group_id: Id | None = None
    traits: Data | None = None
    group_type: str | None = None

    def body(self) -> dict[str, Any]:
        """See `_Message.body`."""
        group_id = _checks.required_id(self.group_id, "Group", "group_id")
        neutral = self._with_ids()
        neutral["groupId"] = group_id
        _put_mapping(neutral, "traits", self.traits, "Group", "traits")
        group_type = _checks.optional_text(self.group_type, "Group", "group_type")
        if group_type is not None:
            neutral["traits"] = {**table_of(neutral.get("traits", {})), "groupType": group_type}
        return neutral


class Alias(_Message, kw_only=True):
    """
    That two ids are one person.

    Attributes:
        user_id: The id that stays.
        previous_id: The id that is merged into it.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.ALIAS

    user_id: Id | None = None
    previous_id: Id | None = None

    def body(self) -> dict[str, Any]:
        """See `_Message.body`."""
        return {
            "type": "alias",
            "userId": _checks.required_id(self.user_id, "Alias", "user_id"),
            "previousId": _checks.somebodys_id(self.previous_id, "Alias", "previous_id"),
        }


class Capture(_Message, kw_only=True):
    """
    An event the PostHog way.

    Attributes:
        event: What happened.
        distinct_id: Who did it. Without it and `anonymous_id` the event is personless.
        anonymous_id: The unknown device.
        properties: Facts of the event: a plain dict or `Properties`.
        groups: ``{group type: group key}``.
        set: Person properties to overwrite.
        set_once: Person properties to set unless they are there.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.CAPTURE

    event: str = ""
    distinct_id: Id | None = None
    anonymous_id: Id | None = None
    properties: Data | None = None
    groups: Data | None = None
    set: Data | None = None
    set_once: Data | None = None

    def body(self) -> dict[str, Any]:
        """
        See `_Message.body`.

        Without any id ``properties.$process_person_profile`` is false, unless it is set.
        """
        event = _checks.required_text(self.event, "Capture", "event")
        neutral: dict[str, Any] = {"type": "capture", "event": event}
        if self.distinct_id is not None:
            neutral["userId"] = _checks.required_id(self.distinct_id, "Capture", "distinct_id")
        anonymous = _checks.optional_id(self.anonymous_id, "Capture", "anonymous_id")
        if anonymous is not None:
            neutral["anonymousId"] = anonymous
        properties = self._properties()
        if self.distinct_id is None and anonymous is None:
            properties.setdefault("$process_person_profile", False)
        if properties or self.properties is not None:
            neutral["properties"] = properties
        return neutral

    def _properties(self) -> dict[str, Any]:
        """A copy of the properties with PostHog's three objects in it."""
        given = {} if self.properties is None else self.properties
        properties = table_of(_checks.mapping(given, "Capture", "properties"))
        for field in ("groups", "set", "set_once"):
            _put_mapping(properties, f"${field}", getattr(self, field), "Capture", field)
        return properties


class GroupIdentify(_Message, kw_only=True):
    """
    Properties of a group the PostHog way.

    Attributes:
        group_type: Kind of group, as in ``"company"``.
        group_id: The group's key.
        properties: Facts of the group: a plain dict or `Traits`.
        distinct_id: Who the event is counted for; the group itself by default.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.GROUP_IDENTIFY

    group_type: str = ""
    group_id: Id | None = None
    properties: Data | None = None
    distinct_id: Id | None = None

    def body(self) -> dict[str, Any]:
        """See `_Message.body`."""
        neutral = {
            "type": "group_identify",
            "groupType": _checks.required_text(self.group_type, "GroupIdentify", "group_type"),
            "groupId": _checks.required_id(self.group_id, "GroupIdentify", "group_id"),
        }
        distinct = _checks.optional_id(self.distinct_id, "GroupIdentify", "distinct_id")
        if distinct is not None:
            neutral["userId"] = distinct
        return _put_mapping(neutral, "traits", self.properties, "GroupIdentify", "properties")


class CreateAlias(_Message, kw_only=True):
    """
    PostHog's own alias call: both ids are sent as they are; see docs/dialects.md.

    Attributes:
        distinct_id: PostHog's ``distinct_id``.
        alias: PostHog's ``alias``: the person of this id is merged into the other's.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.CREATE_ALIAS

    distinct_id: Id | None = None
    alias: Id | None = None

    def body(self) -> dict[str, Any]:
        """See `_Message.body`."""
        return {
            "type": "create_alias",
            "distinctId": _checks.required_id(self.distinct_id, "CreateAlias", "distinct_id"),
            "alias": _checks.somebodys_id(self.alias, "CreateAlias", "alias"),
        }


class ExceptionEvent(_OfSomeone, kw_only=True):
    """
    An error with its causes and their stacks; `Client.capture_exception` makes these.

    Attributes:
        exceptions: The error first, then what led to it, each in the shape that
            docs/error-tracking.md has: ``{"type", "value", "module", "mechanism", "stacktrace"}``.
        level: ``fatal``, ``error``, ``warning``, ``info`` or ``debug``.
        source: The hook that saw it, as in ``python.sys_excepthook``.
        fingerprint: Errors with the same one are grouped; the tool decides otherwise.
        properties: Facts of the event: a plain dict or `Properties`.
        groups: ``{group type: group key}``, for PostHog.
        steps: What happened before, oldest first: ``{"message", "timestamp", "properties"}``.
        release_id: The id of a release, for PostHog; a UUID.
        trace_id: Of the trace it happened in, 32 hex digits.
        span_id: Of the span, 16 hex digits.
        event: Its name where it is sent as a track call.

    Without any id the event is personless.

    .. versionadded:: 0.1
    """

    kind: ClassVar[Kind] = Kind.EXCEPTION_EVENT

    exceptions: Sequence[Data] = ()
    level: str | None = None
    source: str | None = None
    fingerprint: str | None = None
    properties: Data | None = None
    groups: Data | None = None
    steps: Sequence[Data] = ()
    release_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    event: str | None = None

    def body(self) -> dict[str, Any]:
        """See `_Message.body`, and `exception_body`."""
        return exception_body(self)


Message: TypeAlias = (
    Identify
    | Track
    | Page
    | Screen
    | Group
    | Alias
    | Capture
    | GroupIdentify
    | CreateAlias
    | ExceptionEvent
)
"""What `Client.enqueue` takes."""


def is_message(value: object) -> TypeGuard[_Message]:
    """Whether *value* is one of ours; it is not asked itself."""
    return issubclass(type(value), _Message) and hasattr(type(value), "kind")


#: Kinds that need no id: they get a random one.
_PERSONLESS = frozenset({Kind.CAPTURE, Kind.EXCEPTION_EVENT})


def opened(message: object) -> tuple[Kind, dict[str, Any], dict[str, Any]]:
    """
    A message as the client works on it.

    Returns:
        Its kind; its own fields in neutral JSON (a personless event with a random id); and the
        fields that all messages have, by Python name, those that are set.

    Raises:
        FieldError: A field is missing, empty or of the wrong type, or *message* is none of ours.
    """
    if not is_message(message):
        reason = "messages with custom types cannot be enqueued; expected Track, Identify, ..."
        raise FieldError("Message", "message", message, reason)
    neutral = message.body()
    if message.kind in _PERSONLESS and not neutral.keys() & {"userId", "anonymousId"}:
        neutral["anonymousId"] = str(uuid4())
    return message.kind, neutral, message.common()


def _put_mapping(
    target: dict[str, Any], wire: str, value: object, type_name: str, field: str
) -> dict[str, Any]:
    """Put a mapping under its wire name, if there is one; return the target."""
    if value is not None:
        target[wire] = _checks.mapping(value, type_name, field)
    return target
