"""
One request as it lies in the log: a small head, then the body exactly as it came.

    offset  size  field
    0       4     length of the head, little endian
    4       n     the head: a MessagePack array, see `Head`
    4+n           the body's bytes, still compressed if they came so

Nothing is decoded to write it but what the answer needs, and nothing is lost: whatever the
store should hold tomorrow can be read again from here until the request is sealed.
"""

from __future__ import annotations

import msgspec

_ENCODER = msgspec.msgpack.Encoder()
_LENGTH_BYTES = 4


class Head(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """
    What is known of a request besides its body.

    On disk it is an array: fields are only ever added at the end, with a default.
    """

    #: Milliseconds since 1970, by our clock, when the body had arrived.
    received_at: int
    source: str
    #: ``segment``, ``rudderstack``, ``dreamdata`` or ``posthog``.
    dialect: str
    #: The wire form of the body: `penstock.collector.decoding.wire.Form`.
    form: str
    #: ``gzip``, ``deflate``, ``zstd``, ``br`` or empty.
    encoding: str
    #: Events in it, refused ones included.
    count: int
    #: The message type where the path implies it (``/v1/track``).
    type: str = ""
    #: When the client sent it, where a header says so (PostHog V1), as written there.
    sent_at: str = ""
    #: The client's library, where a header says so.
    sdk: str = ""
    #: The client's address.
    ip: str = ""
    #: Bytes of the body when inflated.
    size: int = 0
    #: ``[(place in the batch, code)]`` of events that are quarantined whatever is in them.
    refused: tuple[tuple[int, str], ...] = ()
    #: Where it was sent, without the query.
    path: str = ""
    #: ``User-Agent``.
    agent: str = ""


_DECODER = msgspec.msgpack.Decoder(Head)


def packed(head: Head, body: bytes) -> bytes:
    """Head and body as one log payload."""
    encoded = _ENCODER.encode(head)
    return b"".join((len(encoded).to_bytes(_LENGTH_BYTES, "little"), encoded, body))


def unpacked(payload: bytes) -> tuple[Head, bytes]:
    """
    Undo `packed`.

    Raises:
        ValueError: The payload was not written by `packed`.
    """
    length = int.from_bytes(payload[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    if len(payload) < start:
        raise ValueError("the log entry is shorter than its head")
    return _DECODER.decode(payload[_LENGTH_BYTES:start]), payload[start:]
