"""
PostHog's older capture protocol: ``POST /batch/``, one answer for the whole batch.

Source: the protocol reference, 1.5, 1.7 and 2.5.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.dialects._answers import classify_status
from penstock.dialects._posthog_draft import properties_json
from penstock.dialects._sender import LIBRARY_NAME, LIBRARY_VERSION, USER_AGENT
from penstock.dialects._types import Encoded
from penstock.transport import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.dialects._posthog_defaults import Defaults
    from penstock.dialects._posthog_draft import Draft
    from penstock.dialects._types import Attempt, Outcome
    from penstock.transport import Response

#: Added to every event's properties; V1 says it in a header instead.
IN_PROPERTIES = {"$lib": LIBRARY_NAME, "$lib_version": LIBRARY_VERSION}

_encode = msgspec.json.Encoder().encode
#: Length of ``2026-03-01T10:20:30.123Z``.
_TIME_BYTES = 24


class _Event(msgspec.Struct, omit_defaults=True):
    """The wire's own names and order."""

    uuid: str
    event: str
    distinct_id: str
    timestamp: str
    properties: msgspec.Raw
    person: Any = msgspec.field(default=None, name="$set")
    person_once: Any = msgspec.field(default=None, name="$set_once")


class LegacyForm:
    """
    Drafts to events, events to requests, answers to outcomes.

    Args:
        endpoint: Base URL without a trailing slash.
        api_key: The project's key; travels in the body.
        defaults: Properties of every event.
    """

    name = "posthog"

    def __init__(self, endpoint: str, api_key: str, defaults: Defaults) -> None:
        self._url = f"{endpoint}/batch/"
        self._defaults = defaults
        self._head = b'{"api_key":' + _encode(api_key) + b',"historical_migration":'
        self._headers = MappingProxyType(
            {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        )

    def encoded(self, draft: Draft, route: int) -> Encoded:
        """The event's JSON; its key is its uuid."""
        event = _Event(
            draft.uuid,
            draft.event,
            draft.distinct_id,
            draft.timestamp,
            properties_json(draft, self._defaults.tail(draft)),
        )
        if draft.person is not None:
            event.person = draft.person.get("$set")
            event.person_once = draft.person.get("$set_once")
        return Encoded(_encode(event), route, draft.uuid)

    def body_bytes(self, count: int, wire_bytes: int) -> int:
        """Exact for live events; one byte more than a historical batch takes."""
        envelope = len(self._head) + len(b'false,"sent_at":"","batch":[]}') + _TIME_BYTES
        return envelope + wire_bytes + max(count - 1, 0)

    def request(self, messages: Sequence[Encoded], attempt: Attempt) -> Request:
        """``POST /batch/`` with a ``sent_at`` of this attempt, for PostHog's clock correction."""
        historical = b"true" if messages and messages[0].route else b"false"
        body = b"".join(
            (
                self._head,
                historical,
                b',"sent_at":"',
                attempt.sent_at.encode(),
                b'","batch":[',
                b",".join([message.wire for message in messages]),
                b"]}",
            )
        )
        return Request("POST", self._url, self._headers, body)

    def classify(self, response: Response, messages: Sequence[Encoded]) -> Outcome:  # noqa: ARG002 - the protocol's
        """By status: one invalid event makes PostHog refuse the whole batch with 400."""
        return classify_status(response)
