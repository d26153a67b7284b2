"""From a log entry to rows: the step between what a client sent and what the store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.collector.decoding.family import decode_batch, decode_single
from penstock.collector.decoding.frame import Frame
from penstock.collector.decoding.inflating import inflated
from penstock.collector.decoding.posthog_rows import decode_legacy, decode_v1
from penstock.collector.decoding.wire import Form
from penstock.collector.log.entry import Head, unpacked
from penstock.collector.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.collector.decoding.rows import Decoded

#: Nothing that ingest let pass inflates to more, whatever its limits were then.
MOST_INFLATED = 256 * 1024 * 1024

_DECODERS: Mapping[str, Callable[[Frame, bytes], None]] = {
    Form.BATCH.value: decode_batch,
    Form.SINGLE.value: decode_single,
    Form.POSTHOG.value: decode_legacy,
    Form.POSTHOG_V1.value: decode_v1,
}


def decode_entry(payload: bytes, lane: str, request: int) -> Decoded:
    """
    Decode one log entry.

    Never raises for what a client sent: an item that cannot become an event is in
    `Decoded.quarantined`, and so is a whole body that cannot be read any more.

    Args:
        payload: See `penstock.collector.log.entry`.
        lane: The log lane it lies in.
        request: Its ordinal there.

    Raises:
        ValueError: The payload is no log entry.
    """
    head, body = unpacked(payload)
    frame = Frame(head, lane, request)
    try:
        _DECODERS[head.form](frame, inflated(body, head.encoding, MOST_INFLATED))
    except (Refusal, KeyError) as error:
        _quarantine_all(head, frame, body, error)
    return frame.decoded


def _quarantine_all(head: Head, frame: Frame, body: bytes, error: Exception) -> None:
    reason = error.reason.value if isinstance(error, Refusal) else "unknown_form"
    frame.quarantine(0, body, reason, f"a whole request of {head.count} events")
