"""
From what a request carries to the JSON in it.

Most bodies are JSON under a content coding and are kept as they came. PostHog's older SDKs also
send forms (``data=...``), base64, lz-string, and queries; of those the JSON is kept, so that the
pipeline has one kind of body to read.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.decoding.inflating import encoding_of, inflated
from penstock.collector.http import lz_string
from penstock.collector.http.pixel import from_base64
from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.collector.http.incoming import Incoming

#: Bytes of a form or a query; the vendor takes 2 MB on these paths. Undoing its escapes is slow.
MOST_FORM_BYTES = 2 * 1024 * 1024

_FORM = b"application/x-www-form-urlencoded"
#: A form whose first field is another one.
_FIELD = re.compile(rb"[a-z_]{1,32}=[^&]{0,200}&")
_BASE64 = frozenset({"base64", "b64"})
_LZ = frozenset({"lz64", "lz-string"})
#: Hints of PostHog's that name no content coding.
_WRAPPINGS = _BASE64 | _LZ


class Parcel(NamedTuple):
    """A body, opened."""

    #: What goes to the log: the body as it came, where that is JSON under a content coding.
    kept: bytes
    #: The content coding of `kept`.
    encoding: str
    #: The JSON, hopefully.
    text: bytes


def opened(body: bytes, declared: str, limit: int) -> Parcel:
    """
    Open a JSON body.

    Args:
        body: As it came.
        declared: Its ``Content-Encoding``.
        limit: Most bytes inflated.

    Raises:
        Refusal: The coding is unknown, or the body is not what it says, or too large.
    """
    encoding = encoding_of(declared, body)
    return Parcel(body, encoding, inflated(body, encoding, limit))


def opened_legacy(body: bytes, incoming: Incoming, limit: int) -> Parcel:
    """
    Open what PostHog's older SDKs send.

    The query's ``compression`` wins over the header, a form's own over both, and the first bytes
    over all of them.

    Raises:
        Refusal: See `opened`; or a form, base64 or lz-string is damaged.
    """
    hint = incoming.query.get("compression", "").lower()
    if not body:
        return _wrapped(incoming.query.get("data", "").encode("utf-8", "replace"), hint, limit)
    kind = incoming.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if body[:5] == b"data=" or (kind == _FORM and _FIELD.match(body)):
        form = form_fields(body)
        data = form.get(b"data", b"")
        return _wrapped(data, form.get(b"compression", b"").decode("latin-1") or hint, limit)
    if hint in _WRAPPINGS:
        return _wrapped(body, hint, limit)
    return opened(body, hint or incoming.header(b"content-encoding"), limit)


def _wrapped(data: bytes, hint: str, limit: int) -> Parcel:
    """JSON, or text that becomes JSON; what is kept is the JSON."""
    if len(data) > MOST_FORM_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"at most {MOST_FORM_BYTES} bytes as form or base64")
    if hint.lower() in _LZ:
        text = lz_string.decompress(data, limit)
    elif data.lstrip()[:1] in {b"{", b"[", b""}:
        text = data
    else:
        unpacked = from_base64(data)
        text = inflated(unpacked, encoding_of("", unpacked), limit)
    return Parcel(text, "", text)


def form_fields(body: bytes) -> Mapping[bytes, bytes]:
    """
    The few fields a form of PostHog's has; of several under one name, the first.

    Escapes are undone in C (by way of quoted-printable, which is spelt alike), since a form of
    two million of them would hold up everybody else.

    Raises:
        Refusal: It is too large.
    """
    if len(body) > MOST_FORM_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"at most {MOST_FORM_BYTES} bytes of form")
    fields: dict[bytes, bytes] = {}
    for part in body.split(b"&", 16):
        name, _, value = part.partition(b"=")
        fields.setdefault(name, _unescaped(value))
    return fields


def _unescaped(value: bytes) -> bytes:
    spelt = value.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"=")
    return binascii.a2b_qp(spelt)
