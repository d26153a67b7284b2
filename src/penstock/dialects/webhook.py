"""
A webhook: neutral events, as they are, signed.

The body is a JSON array of events, or one event a line (NDJSON). The header ``Penstock-Signature``
is ``t=<seconds since 1970>,v1=<hex>``, where the second part is the HMAC-SHA256 of the first, a
dot, and the body before compression, under the shared secret. The time is that of the attempt, so
that a receiver can refuse what somebody recorded and sends again.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from penstock.dialects._answers import classify_status
from penstock.dialects._sender import USER_AGENT
from penstock.dialects._types import Encoded, Verbatim, joined
from penstock.kinds import Kind
from penstock.transport import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.dialects._types import Attempt, Outcome
    from penstock.journal.record import Record
    from penstock.transport import Response

SIGNATURE = "Penstock-Signature"
#: A UUID of the batch, the same in all attempts at it.
BATCH = "Penstock-Batch"
#: ``{format: (content type, before, between, after)}``
_SHAPES = {
    "json": ("application/json", b"[", b",", b"]"),
    "ndjson": ("application/x-ndjson", b"", b"\n", b"\n"),
}
FORMATS = tuple(_SHAPES)


class WebhookDialect:
    """
    Neutral events over HTTP.

    Args:
        endpoint: Where to, whole.
        secret: What bodies are signed with.
        format: ``json`` or ``ndjson``.
    """

    name = "webhook"

    def __init__(self, endpoint: str, secret: str, *, format: str = "json") -> None:  # noqa: A002 - the destination's word
        self._url = endpoint
        self._secret = secret.encode()
        self._type, self._head, between, self._tail = _SHAPES[format]
        self.verbatim = Verbatim(max(Kind) + 1, between)

    def encode(self, record: Record) -> Encoded:
        """The record's own bytes, PostHog's own calls too."""
        return Encoded(record.payload)

    def body_bytes(self, count: int, wire_bytes: int) -> int:
        """Exact length of the body with *count* messages of *wire_bytes* in all."""
        commas = (count - 1) * len(self.verbatim.between)
        return len(self._head) + wire_bytes + commas + len(self._tail)

    def bucket(self, encoded: Encoded, node_count: int) -> int:  # noqa: ARG002 - the protocol's
        """Zero: any messages may share a request."""
        return 0

    def request(self, messages: Sequence[Encoded], attempt: Attempt) -> Request:
        """A signed ``POST``; *messages* is not empty."""
        body = b"".join((self._head, joined(messages, self.verbatim.between), self._tail))
        headers = {
            "Content-Type": self._type,
            "User-Agent": USER_AGENT,
            BATCH: attempt.request_id,
            SIGNATURE: signature(self._secret, _seconds(attempt.sent_at), body),
        }
        return Request("POST", self._url, headers, body)

    def classify(self, response: Response, messages: Sequence[Encoded]) -> Outcome:  # noqa: ARG002 - the protocol's
        """By status alone: any 2xx takes the whole batch."""
        return classify_status(response)


def signature(secret: bytes, seconds: int, body: bytes) -> str:
    """The value of `SIGNATURE` for *body*, sent at *seconds* since 1970."""
    digest = hmac.new(secret, b"%d." % seconds + body, sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())
