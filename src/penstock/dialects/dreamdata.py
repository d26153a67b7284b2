"""
Dreamdata: Segment's wire format at another address, and one rule of its own.

Tracking without cookies uses the same ``anonymousId``, the word ``cookieless``, for everybody,
and tells companies apart by address. Such an event without ``context.ip`` says nothing about
anyone, and Dreamdata cannot use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from penstock._nobody import PLACEHOLDER
from penstock.dialects._receiving import SEGMENT_RULES, receive_family
from penstock.dialects._types import Unencodable
from penstock.dialects.segment import SegmentDialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.dialects._types import Encoded
    from penstock.journal.record import Record

#: The ``anonymousId`` of everybody who is tracked without cookies.
COOKIELESS = PLACEHOLDER
#: Where Dreamdata's browser script keeps the anonymous id.
COOKIE_NAME = "dd_anonymous_id"
#: How the id travels from one domain to another.
URL_PARAMETER = "dd_anon_id"

_COOKIELESS_JSON = b'"cookieless"'


class _Context(msgspec.Struct):
    ip: Any = None


class _Who(msgspec.Struct, rename="camel"):
    anonymous_id: str | None = None
    context: _Context | None = None


_decode_who = msgspec.json.Decoder(_Who).decode


def lacks_ip(anonymous_id: str | None, context: Mapping[str, Any] | None) -> bool:
    """Whether an event is cookieless and yet has no address to go by."""
    if anonymous_id != COOKIELESS:
        return False
    ip = (context or {}).get("ip")
    return ip is None or not str(ip).strip()


class DreamdataDialect(SegmentDialect):
    """
    Dreamdata's wire format.

    Args:
        endpoint: Base URL without a trailing slash; may have a path.
        write_key: The source's key.
    """

    name = "dreamdata"
    verbatim = None

    def encode(self, record: Record) -> Encoded:
        """As Segment's; a cookieless event without ``context.ip`` is rejected."""
        encoded = super().encode(record)
        if encoded.wire.find(_COOKIELESS_JSON) >= 0:  # `in` takes twice as long
            _check_cookieless(encoded.wire)
        return encoded


def _check_cookieless(wire: bytes) -> None:
    try:
        who = _decode_who(wire)
    except msgspec.MsgspecError as error:
        raise Unencodable("malformed", str(error)) from None
    if lacks_ip(who.anonymous_id, {"ip": who.context.ip} if who.context else None):
        raise Unencodable("rejected", "anonymousId 'cookieless' needs context.ip")


def receive(item: dict[str, Any], *, type: str | None = None) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """One message of a Dreamdata client in neutral form, by Segment's rules."""
    return receive_family(item, type, SEGMENT_RULES)
