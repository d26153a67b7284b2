"""
RudderStack's gateway: Segment's messages with other stamps, and node-aware routing.

The gateway reads nothing but ``batch``, so each message carries its own ``originalTimestamp``,
``sentAt``, ``channel`` and ``context.library``. A message is decoded one level deep
(`msgspec.Raw` keeps the rest as the bytes they are) and written once. The JSON it then lacks,
``{"channel":"server","sentAt":"...",`` at its front, is the same for all messages of an attempt,
so a request is one join.

Behind the hosted gateways stands a proxy that sends each user to a fixed node. It wants one
request per node, says 451 when the number of nodes changed, and tells the number at
``/cluster-info``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType
from uuid_utils import NAMESPACE_URL, uuid5

from penstock.dialects._answers import classify_status, is_success
from penstock.dialects._native import segment_message
from penstock.dialects._receiving import RUDDERSTACK_RULES, receive_family
from penstock.dialects._sender import LIBRARY
from penstock.dialects._types import Encoded, Rerouted, Unencodable
from penstock.dialects.segment import FIRST_NATIVE, basic_headers
from penstock.transport import Request

try:
    from isal.isal_zlib import crc32  # the IEEE polynomial, as zlib's
except ImportError:  # no wheel for this processor
    from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.dialects._types import Attempt, Outcome
    from penstock.journal.record import Record
    from penstock.transport import Response

#: The proxy's "the number of nodes has changed".
REROUTED = 451

_HEAD = b'{"batch":['
_TAIL = b"]}"
_STAMP = b'{"channel":"server","sentAt":"%b",'
#: Length of ``2026-03-01T10:20:30.123Z``, its ``%b`` less.
_STAMP_BYTES = len(_STAMP) - 2 + 24
_LIBRARY = Raw(LIBRARY)
#: Namespace of derived anonymous ids; see docs/dialects.md.
_ANONYMOUS = uuid5(NAMESPACE_URL, "penstock:anonymousId")
_SESSION_DIGITS = 10
_NEEDS_ANONYMOUS_ID = frozenset({"track", "page", "screen", "group"})


class _Message(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """A neutral message, decoded one level deep, and what is written; nothing unset is."""

    type: str
    message_id: str
    timestamp: Raw | UnsetType = UNSET
    original_timestamp: Raw | UnsetType = UNSET
    user_id: str = ""
    anonymous_id: str = ""
    event: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    category: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET
    previous_id: str | UnsetType = UNSET
    properties: Raw | UnsetType = UNSET
    traits: Raw | UnsetType = UNSET
    context: dict[str, Raw] = {}
    integrations: Raw | UnsetType = UNSET


class _NodeCount(msgspec.Struct, rename="camel"):
    node_count: int


_decode = msgspec.json.Decoder(_Message).decode
_encode = msgspec.json.Encoder().encode
_decode_node_count = msgspec.json.Decoder(_NodeCount).decode


class RudderStackDialect:
    """
    RudderStack's wire format.

    Args:
        endpoint: The data plane's URL without a trailing slash; may have a path.
        write_key: The source's key.
        no_proxy_support: Leave the ``RS-*`` routing headers out.
    """

    name = "rudderstack"
    verbatim = None

    def __init__(self, endpoint: str, write_key: str, *, no_proxy_support: bool = False) -> None:
        self._url = f"{endpoint}/v1/batch"
        self._cluster_url = f"{endpoint}/cluster-info"
        self._headers = basic_headers(write_key)
        self._routes = not no_proxy_support

    def encode(self, record: Record) -> Encoded:
        """
        The message but for its opening brace and ``sentAt``.

        A track, page, screen or group without ``anonymousId`` gets one, as the vendor's SDK does.
        Ours is the UUIDv5 of the message id: the same on every attempt and after a crash.

        Raises:
            Unencodable: The payload is not neutral JSON.
        """
        payload = record.payload
        if record.kind >= FIRST_NATIVE:
            payload = segment_message(record.kind, payload)
        try:
            message = _decode(payload)
        except msgspec.MsgspecError as error:
            raise Unencodable("malformed", str(error)) from None
        if not message.anonymous_id and message.type in _NEEDS_ANONYMOUS_ID:
            message.anonymous_id = anonymous_id(message.message_id)
        message.context["library"] = _LIBRARY
        if "sessionId" in message.context:
            _fit_session(message.context)
        message.original_timestamp, message.timestamp = message.timestamp, UNSET
        route = crc32(f"{message.user_id}:{message.anonymous_id}".encode())
        return Encoded(_encode(message)[1:], route)

    def body_bytes(self, count: int, wire_bytes: int) -> int:
        """Exact length of the body with *count* messages of *wire_bytes* in all."""
        return len(_HEAD) + count * (_STAMP_BYTES + 1) - 1 + wire_bytes + len(_TAIL)

    def bucket(self, encoded: Encoded, node_count: int) -> int:
        """The node that this user's messages go to."""
        return encoded.route % node_count

    def request(self, messages: Sequence[Encoded], attempt: Attempt) -> Request:
        """``POST /v1/batch`` for one node; *messages* is not empty."""
        stamp = _STAMP % attempt.sent_at.encode()
        parts = [message.wire for message in messages]
        parts[0] = _HEAD + stamp + parts[0]
        parts[-1] += _TAIL
        headers = self._routed(self.bucket(messages[0], attempt.node_count), attempt.node_count)
        return Request("POST", self._url, headers, (b"," + stamp).join(parts))

    def _routed(self, node: int, node_count: int) -> Mapping[str, str]:
        if not self._routes:
            return self._headers
        return {
            **self._headers,
            "RS-targetNode": str(node),
            "RS-nodeCount": str(node_count),
            "RS-userAgent": "serverSDK",
        }

    def classify(self, response: Response, messages: Sequence[Encoded]) -> Outcome:  # noqa: ARG002 - the protocol's
        """By status alone; 451 asks for the node count."""
        return Rerouted() if response.status == REROUTED else classify_status(response)

    def node_count_request(self) -> Request:
        """``GET /cluster-info``, to be sent only after a 451."""
        return Request("GET", self._cluster_url, self._headers, b"")

    def parse_node_count(self, response: Response) -> int | None:
        """The node count, at least 1; None when the answer has none and the old one stays."""
        if not is_success(response.status):
            return None
        try:
            count = _decode_node_count(response.body).node_count
        except (msgspec.MsgspecError, RecursionError):
            return None
        return count if count >= 1 else None


def _fit_session(context: dict[str, Raw]) -> None:
    """
    Keep a session id only as what RudderStack takes for one: a whole number of ten digits.

    Source: rudderlabs/rudder-docs, "Session tracking".
    """
    digits = bytes(context["sessionId"]).strip(b'"')
    if digits.isdigit() and len(digits) >= _SESSION_DIGITS and not digits.startswith(b"0"):
        context["sessionId"] = Raw(digits)
    else:
        del context["sessionId"]


def anonymous_id(message_id: str) -> str:
    """The ``anonymousId`` of a message that came without; the same whenever it is asked for."""
    return str(uuid5(_ANONYMOUS, message_id))


def receive(item: dict[str, Any], *, type: str | None = None) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """
    One message of a RudderStack client in neutral form.

    ``originalTimestamp`` becomes ``timestamp``. Like the gateway, this asks for no event name and
    no group: a missing one is empty. The vendor's Python SDK sends the traits of an identify only
    in the context; they move to where every other SDK has them.

    Args:
        item: The parsed message.
        type: What the path says, on ``/v1/track`` and the like; wins over the item's own.

    Raises:
        Refused: The item cannot become an event.

    Source: rudderlabs/rudder-server, gateway.
    """
    message = receive_family(item, type, RUDDERSTACK_RULES)
    if "integrations" not in message and item.get("integrations") is not None:
        message["integrations"] = {"All": False}  # the gateway: not an object enables nothing
    if message["type"] == "identify" and "traits" not in message:
        _lift_traits(message)
    return message


def _lift_traits(message: dict[str, Any]) -> None:
    context = message.get("context", {})
    if isinstance(context.get("traits"), dict):
        message["context"] = {name: value for name, value in context.items() if name != "traits"}
        message["traits"] = context["traits"]
