"""
Neutral message to PostHog event: the mapping that both capture modes share.

The choices that the vendors leave open are listed in `penstock.dialects.posthog`.

Source: the protocol reference, 3.2 and 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from penstock.dialects._posthog_context import UNMARKED, derived, read_context
from penstock.dialects._posthog_draft import Draft, draft_of
from penstock.dialects._posthog_exception import put_exception
from penstock.dialects._posthog_identity import (
    check_id,
    mark_identity,
    shielded_id,
    synthetic_id,
)
from penstock.dialects._posthog_ids import event_uuid
from penstock.dialects._types import Unencodable
from penstock.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.journal.record import Record

#: Which of alias's two ids becomes ``distinct_id``; see `penstock.dialects.posthog`.
AliasDirection = Literal["merge_safe", "vendor"]

#: The group type of a group call that names none; the one Segment's own destination uses.
DEFAULT_GROUP_TYPE = "segment_group"

#: A page call's own properties, and what PostHog calls them.
PAGE_NAMES = {"url": "$current_url", "path": "$pathname", "referrer": "$referrer"}

#: Fields of ``context.page`` that PostHog keeps under their own names; on page calls only, since
#: on others they might be anybody's.
_PAGE_ONLY = ("title", "search")

_CAPTURE = Kind.CAPTURE.value
_EXCEPTION = Kind.EXCEPTION_EVENT.value


class Message(msgspec.Struct, rename="camel"):
    """What the mapping reads of a neutral message; nested objects stay JSON until needed."""

    message_id: str
    timestamp: str
    user_id: str = ""
    anonymous_id: str = ""
    event: str = ""
    name: str = ""
    category: str = ""
    group_id: str = ""
    group_type: str = ""
    previous_id: str = ""
    distinct_id: str = ""
    alias: str = ""
    traits: msgspec.Raw = msgspec.Raw()
    properties: msgspec.Raw = msgspec.Raw()
    context: msgspec.Raw = msgspec.Raw()


_decode_message = msgspec.json.Decoder(Message).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.decode


class Mapping:
    """
    Neutral records to drafts.

    Args:
        group_type: Type of a group whose traits name none.
        alias_direction: ``merge_safe`` or ``vendor``.
    """

    def __init__(self, group_type: str, alias_direction: AliasDirection) -> None:
        self._group_type = group_type
        self._merge_safe = alias_direction == "merge_safe"
        self._by_kind: dict[int, Callable[[Message, Draft], None]] = {
            Kind.IDENTIFY: _identify,
            Kind.TRACK: _named,
            Kind.PAGE: _page,
            Kind.SCREEN: _screen,
            Kind.GROUP: self._group,
            Kind.ALIAS: self._alias,
            Kind.CAPTURE: _named,
            Kind.GROUP_IDENTIFY: _group_identify,
            Kind.CREATE_ALIAS: _create_alias,
            Kind.EXCEPTION_EVENT: _exception,
        }

    def draft(self, record: Record) -> Draft:
        """
        The event this record becomes.

        Raises:
            Unencodable: It cannot be read, lacks an id, or has one PostHog does not take.
        """
        apply = self._by_kind.get(record.kind)
        if apply is None:
            raise Unencodable("rejected", f"PostHog has no form for messages of kind {record.kind}")
        try:
            message = _decode_message(record.payload)
            draft = _blank(message)
            if message.context:
                self._add_context(draft, bytes(message.context))
            apply(message, draft)
            if record.kind == _EXCEPTION:
                put_exception(draft, record.payload)
            if draft.fields is not None:
                _add_derived(draft)
        except msgspec.MsgspecError as error:
            raise Unencodable("malformed", str(error)) from None
        native = record.kind == _CAPTURE
        anonymous_id = shielded_id(draft, message.user_id, message.anonymous_id)
        mark_identity(draft, message.user_id, anonymous_id, native=native)
        check_id(draft.distinct_id)
        return draft

    def _add_context(self, draft: Draft, raw: bytes) -> None:
        draft.context = context = read_context(raw)
        if not UNMARKED.isdisjoint(context.values):  # names without a $, see _posthog_draft
            draft.open()
        group_id = context.values.get("groupId")
        if group_id and isinstance(group_id, str):
            draft.added["$groups"] = {self._group_type: group_id}
        groups = context.values.get("groups")
        if groups and isinstance(groups, dict):
            draft.added["$groups"] = groups
        traits = context.values.get("traits")
        if traits and isinstance(traits, dict):
            draft.added["$set"] = traits

    def _group(self, message: Message, draft: Draft) -> None:
        group_type, traits = self._typed_traits(message.traits)
        _as_group(draft, group_type, message.group_id, traits)
        draft.forced["$groups"] = {group_type: message.group_id}

    def _typed_traits(self, traits: msgspec.Raw) -> tuple[str, object]:
        """The group's type, and its traits without it."""
        if not traits:
            return self._group_type, {}
        fields = _decode_fields(traits)
        named = _decode(fields.get("groupType", b'""'))
        if not isinstance(named, str) or not named:
            return self._group_type, fields
        del fields["groupType"]
        return named, fields

    def _alias(self, message: Message, draft: Draft) -> None:
        source, target = message.previous_id, message.user_id
        if not self._merge_safe:
            source, target = target, source
        _as_alias(draft, source, target)


def _blank(message: Message) -> Draft:
    uuid = event_uuid(message.message_id)
    distinct_id = message.user_id or message.anonymous_id
    raw = bytes(message.properties)
    draft = draft_of(uuid, message.event, distinct_id, message.timestamp, raw)
    if uuid != message.message_id:
        draft.forced["$message_id"] = message.message_id
    return draft


def _named(_: Message, draft: Draft) -> None:
    if not draft.event:
        raise Unencodable("malformed", "no event name")


def _exception(_: Message, draft: Draft) -> None:
    draft.event = "$exception"


def _identify(message: Message, draft: Draft) -> None:
    draft.event = "$identify"
    traits = draft.added.pop("$set", None)
    if message.traits and _decode_fields(message.traits):
        traits = message.traits
    if traits is not None:
        draft.person = {"$set_once" if _says(draft, "setOnce") is True else "$set": traits}
        draft.forced |= draft.person


def _page(message: Message, draft: Draft) -> None:
    draft.event = "$pageview"
    fields = draft.open()
    page = _says(draft, "page")
    if isinstance(page, dict):
        draft.added |= {name: page[name] for name in _PAGE_ONLY if page.get(name) is not None}
    for name, target in PAGE_NAMES.items():
        if name in fields and (value := _decode(fields[name])) is not None:
            draft.added[target] = value
    _force(draft, name=message.name, category=message.category)


def _screen(message: Message, draft: Draft) -> None:
    draft.event = "$screen"
    draft.open()
    if message.name:
        draft.forced["$screen_name"] = draft.added["name"] = message.name
    _force(draft, category=message.category)


def _says(draft: Draft, field: str) -> object:
    """What the message's context says of *field*."""
    return None if draft.context is None else draft.context.values.get(field)


def _force(draft: Draft, **named: str) -> None:
    draft.forced |= {name: value for name, value in named.items() if value}


def _group_identify(message: Message, draft: Draft) -> None:
    _as_group(draft, message.group_type, message.group_id, message.traits or {})


def _as_group(draft: Draft, group_type: str, group_id: str, traits: object) -> None:
    if not group_type or not group_id:
        raise Unencodable("malformed", "no group type or no group id")
    draft.event = "$groupidentify"
    draft.forced |= {"$group_type": group_type, "$group_key": group_id, "$group_set": traits}
    draft.distinct_id = draft.distinct_id or synthetic_id(group_type, group_id)


def _create_alias(message: Message, draft: Draft) -> None:
    _as_alias(draft, message.alias, message.distinct_id)


def _as_alias(draft: Draft, source: str, target: str) -> None:
    """PostHog merges the person of *source* into the person of *target*."""
    if not source or not target:
        raise Unencodable("malformed", "an alias needs two ids")
    draft.open()
    draft.event = "$create_alias"
    draft.distinct_id = target
    draft.forced |= {"distinct_id": target, "alias": source}


def _add_derived(draft: Draft) -> None:
    """What follows from the URLs that are sent, where these need not be the context's."""
    if draft.context is not None:
        draft.added = {**draft.context.properties, **draft.added}
        draft.flat = True
    if "$current_url" in draft.added or "$referrer" in draft.added:
        own = {name: draft.own(name) for name in PAGE_NAMES.values() if draft.has(name)}
        draft.added |= derived(own)
