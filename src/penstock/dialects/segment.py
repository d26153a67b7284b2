"""
Segment's HTTP Tracking API, and our own collector, which speaks the same.

Neutral JSON is Segment's wire message, so encoding one is nothing at all; only PostHog's own
calls are translated. What all messages of a batch share (``sentAt``, ``context.library``) is in
the envelope, and the server merges it beneath each message.
"""

from __future__ import annotations

from base64 import b64encode
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from penstock.dialects._answers import classify_status
from penstock.dialects._native import segment_message
from penstock.dialects._receiving import SEGMENT_RULES, receive_family
from penstock.dialects._sender import LIBRARY, USER_AGENT
from penstock.dialects._types import Encoded, Verbatim, joined
from penstock.kinds import Kind
from penstock.transport import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.dialects._types import Attempt, Outcome
    from penstock.journal.record import Record
    from penstock.transport import Response

#: Kinds from this one on are PostHog's own.
FIRST_NATIVE = Kind.CAPTURE.value

_HEAD = b'{"sentAt":"%b","messageId":"%b","context":{"library":' + LIBRARY + b'},"batch":['
#: Lengths of ``2026-03-01T10:20:30.123Z`` and of a UUID, two ``%b`` less.
_HEAD_BYTES = len(_HEAD) - 4 + 24 + 36
_BETWEEN = b","
_TAIL = b"]}"


def basic_headers(key: str) -> Mapping[str, str]:
    """Headers of a Segment-family request: Basic auth with the key as user and no password."""
    return MappingProxyType(
        {
            "Authorization": "Basic " + b64encode(f"{key}:".encode()).decode(),
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
        }
    )


class SegmentDialect:
    """
    Segment's wire format.

    Args:
        endpoint: Base URL without a trailing slash; may have a path.
        write_key: The source's key.
        whole_exceptions: Send all of an exception event: for a collector, which stores it as it
            would one of PostHog's.
    """

    name = "segment"
    verbatim: Verbatim | None = Verbatim(FIRST_NATIVE, _BETWEEN)

    def __init__(self, endpoint: str, write_key: str, *, whole_exceptions: bool = False) -> None:
        self._url = f"{endpoint}/v1/batch"
        self._headers = basic_headers(write_key)
        self._whole_exceptions = whole_exceptions

    def encode(self, record: Record) -> Encoded:
        """The record's own bytes; PostHog's own calls by the table in docs/dialects.md."""
        if record.kind < FIRST_NATIVE:
            return Encoded(record.payload)
        whole = self._whole_exceptions
        return Encoded(segment_message(record.kind, record.payload, whole_exceptions=whole))

    def body_bytes(self, count: int, wire_bytes: int) -> int:
        """Exact length of the body with *count* messages of *wire_bytes* in all."""
        return _HEAD_BYTES + wire_bytes + count - 1 + len(_TAIL)

    def bucket(self, encoded: Encoded, node_count: int) -> int:  # noqa: ARG002 - the protocol's
        """Zero: any messages may share a request."""
        return 0

    def request(self, messages: Sequence[Encoded], attempt: Attempt) -> Request:
        """``POST /v1/batch``; *messages* is not empty."""
        head = _HEAD % (attempt.sent_at.encode(), attempt.request_id.encode())
        body = b"".join((head, joined(messages, _BETWEEN), _TAIL))
        return Request("POST", self._url, self._headers, body)

    def classify(self, response: Response, messages: Sequence[Encoded]) -> Outcome:  # noqa: ARG002 - the protocol's
        """
        By status alone.

        Segment answers 400 to malformed JSON and to an oversize message or batch alike; cutting
        the batch in two finds the culprit in either case.
        """
        return classify_status(response)


def receive(item: dict[str, Any], *, type: str | None = None) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """
    One message of a Segment client in neutral form.

    Args:
        item: The parsed message, what its envelope carries already beneath it
            (`penstock.dialects._receiving.with_envelope`).
        type: What the path says, on ``/v1/track`` and the like; wins over the item's own.

    Returns:
        Neutral JSON. ``messageId`` and ``timestamp`` are absent when the client gave none that
        can be used; ``context.library`` is kept, it says which SDK sent it.

    Raises:
        Refused: The item cannot become an event.

    Source: segmentio/segment-docs, http-api.
    """
    return receive_family(item, type, SEGMENT_RULES)
