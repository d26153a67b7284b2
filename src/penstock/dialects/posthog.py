"""
PostHog, both capture protocols: neutral messages to events, events to neutral messages.

What the vendors leave open, and how it is settled here:

* **Identity.** ``distinct_id`` is the user id, else the anonymous id. The other id, and which of
  the two it was, stay readable: ``$anon_distinct_id``, ``$is_identified`` (false
  for an anonymous id; true only where a user id would be taken for one).
* **Alias.** PostHog merges the person of ``alias`` into the person of ``distinct_id`` and refuses
  when the former is already identified. ``merge_safe`` therefore sends the new id as
  ``distinct_id``; ``vendor`` does as PostHog's SDKs do, the other way round. `create_alias`
  copies its two ids unchanged.
* **URLs.** ``properties.url``, ``path`` and ``referrer`` become ``$current_url``, ``$pathname``
  and ``$referrer`` on page calls only: on a track call ``url`` may be any URL.
  ``context.page`` fills them on every call, and ``title`` and ``search`` on page calls.
* **System.** ``context.os`` replaces all of this host's ``$os*``, so that one event never mixes
  two systems. Own properties of the caller win over everything but ``$lib`` and ``$lib_version``
  and the fields of the message itself (a page's ``name`` over ``properties.name``).
* **Traits.** An identify call without traits sends its ``context.traits``; with
  ``context.setOnce`` they go to ``$set_once``.
* **Message ids.** PostHog takes UUIDs. Any other id becomes a UUIDv5 and is kept in
  ``$message_id``, so the way back gives it again.

The round trip neutral, PostHog, neutral keeps type, ids, event, name, category, group id, traits,
properties, timestamp and message id. These exceptions are PostHog's own:

* Properties named like context fields (`LIFTED`: ``$ip``, ``$os``, ``utm_source``, ...) come back
  in ``context``; only nulls are lost. So does ``$groups`` that names the default type alone.
  ``name`` and ``category`` of page and screen calls come back as those fields.
  ``$geoip_disable``, ``$is_server`` and ``$is_identified`` are not events' content and go.
* ``context.page`` comes back in a page's properties, ``title`` as the name of a page without one.
* An anonymous id equal to the user id is lost on identify. An empty ``traits`` object is none.
* A group type equal to the default one comes back as no type.
* ``capture`` comes back as ``track``, ``group_identify`` as ``group``, ``create_alias`` as
  ``alias``, an exception event as the ``track`` of one: event ``$exception``, its fields as the
  properties they are at PostHog, type and message of the first entry beside them; a track call
  with one of PostHog's event names (``$pageview``) as what that means.
* V1 carries ``$process_person_profile`` and the like as booleans and text: ``"true"`` comes back
  as ``true``, and what is neither is dropped. NUL in an id comes back as U+FFFD.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from penstock.dialects._posthog_defaults import Defaults
from penstock.dialects._posthog_legacy import IN_PROPERTIES, LegacyForm
from penstock.dialects._posthog_mapping import DEFAULT_GROUP_TYPE, AliasDirection, Mapping
from penstock.dialects._posthog_reverse import LIFTED, receive
from penstock.dialects._posthog_strict import receive_v1
from penstock.dialects._posthog_v1 import V1Form
from penstock.errors import ConfigError
from penstock.journal.record import FLAG_HISTORICAL

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingType
    from collections.abc import Sequence

    from penstock.dialects._types import Attempt, Encoded, Outcome
    from penstock.journal.record import Record
    from penstock.transport import Request, Response

__all__ = [
    "DEFAULT_GROUP_TYPE",
    "LIFTED",
    "AliasDirection",
    "CaptureMode",
    "PostHogDialect",
    "receive",
    "receive_v1",
]

#: ``legacy`` is understood by every PostHog; ``v1`` gives a verdict per event.
CaptureMode = Literal["legacy", "v1"]


class PostHogDialect:
    """
    PostHog's wire format.

    Args:
        endpoint: Base URL of the ingestion host.
        api_key: The project's key.
        capture_mode: ``legacy`` or ``v1``.
        historical_migration: Send everything as historical, not only events captured as such.
        group_type: Type of a group whose traits name none.
        alias_direction: ``merge_safe`` or ``vendor``, see the module.
        geoip: Let PostHog locate events that carry an ip address.
        is_server: Mark events as sent by a server.
        system: What to say of this host in ``$os`` and the like; None to look.

    Raises:
        ConfigError: A setting is none of its words.
    """

    verbatim = None

    def __init__(
        self,
        endpoint: str,
        api_key: str,
        *,
        capture_mode: CaptureMode = "legacy",
        historical_migration: bool = False,
        group_type: str = DEFAULT_GROUP_TYPE,
        alias_direction: AliasDirection = "merge_safe",
        geoip: bool = False,
        is_server: bool = True,
        system: MappingType[str, str] | None = None,
    ) -> None:
        _check("capture_mode", capture_mode, get_args(CaptureMode))
        _check("alias_direction", alias_direction, get_args(AliasDirection))
        legacy = capture_mode == "legacy"
        defaults = Defaults(
            geoip=geoip, is_server=is_server, library=IN_PROPERTIES if legacy else {}, system=system
        )
        form = LegacyForm if legacy else V1Form
        self._form: LegacyForm | V1Form = form(endpoint.strip().rstrip("/"), api_key, defaults)
        self._mapping = Mapping(group_type, alias_direction)
        self._always_historical = historical_migration
        self.name = self._form.name

    def encode(self, record: Record) -> Encoded:
        """
        The event; route 1 if it is historical, else 0.

        Raises:
            Unencodable: It lacks an id, or has one that PostHog does not take.
        """
        historical = self._always_historical or record.flags & FLAG_HISTORICAL
        return self._form.encoded(self._mapping.draft(record), 1 if historical else 0)

    def body_bytes(self, count: int, wire_bytes: int) -> int:
        """The most the body can be; exact for live events in legacy mode."""
        return self._form.body_bytes(count, wire_bytes)

    def bucket(self, encoded: Encoded, node_count: int) -> int:  # noqa: ARG002 - the protocol's
        """The event's route: ``historical_migration`` holds for a whole request."""
        return encoded.route

    def request(self, messages: Sequence[Encoded], attempt: Attempt) -> Request:
        """One request with all of *messages*."""
        return self._form.request(messages, attempt)

    def classify(self, response: Response, messages: Sequence[Encoded]) -> Outcome:
        """What the answer means: for the whole batch in legacy mode, per event in V1."""
        return self._form.classify(response, messages)


def _check(field: str, value: str, words: tuple[str, ...]) -> None:
    if value not in words:
        raise ConfigError(field, value, f"must be one of {', '.join(words)}")
