"""
What ingest must know of a body to answer: is it one, how many events, whose key, what verdicts.

Pure functions, one per `Form`. Nothing here looks inside an event of the Segment family or of
PostHog legacy: their answers are the same for every event, and the pipeline quarantines the bad
ones. PostHog V1 answers per event, so its events are judged here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.decoding.wire import (
    POSTHOG_V1_BATCH,
    POSTHOG_V1_ITEMS,
    SEGMENT_BATCH,
    SEGMENT_SINGLE,
    Form,
    decoded,
    posthog_items,
    posthog_token,
    text,
)
from penstock.collector.http.verdicts import judge
from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from msgspec import Raw

#: The code of an event with too many bytes; V1's own word.
TOO_BIG = "event_too_big"


class Intake(NamedTuple):
    """What was learnt from a body."""

    #: Events in it.
    events: int
    #: The write key in it; empty when there is none.
    key: str = ""
    #: V1 only: ``{uuid: (result, details)}`` in order.
    verdicts: Mapping[str, tuple[str, str]] = {}
    #: Bytes of it, inflated.
    size: int = 0
    #: ``(place, code)`` of each event that is to be quarantined, whatever is in it.
    refused: tuple[tuple[int, str], ...] = ()


def read_body(form: Form, body: bytes, most_events: int, most_bytes: int) -> Intake:
    """
    Look at an inflated body.

    Args:
        form: What it should be.
        body: JSON, hopefully.
        most_events: More are refused.
        most_bytes: Of one event; a bigger one is quarantined.

    Raises:
        Refusal: It is empty, malformed, or holds too many events.
    """
    if not body:
        raise Refusal(Reason.EMPTY_BODY)
    # A body below the bound has no event above it, so this costs nearly everybody nothing.
    intake = _READERS[form](body, most_bytes if len(body) > most_bytes else 0)
    if intake.events > most_events:
        raise Refusal(Reason.TOO_MANY, f"at most {most_events} events in one request")
    return intake._replace(size=len(body))


def _batch(body: bytes, most_bytes: int) -> Intake:
    envelope = decoded(SEGMENT_BATCH, body)
    big = _too_big(envelope.batch, most_bytes)
    return Intake(len(envelope.batch), text(envelope.write_key), refused=big)


def _single(body: bytes, most_bytes: int) -> Intake:
    key = text(decoded(SEGMENT_SINGLE, body).write_key)
    return Intake(1, key, refused=((0, TOO_BIG),) if most_bytes else ())


def _posthog(body: bytes, most_bytes: int) -> Intake:
    envelope, items = posthog_items(body)
    key = posthog_token(envelope, items)
    return Intake(len(items), key, refused=_too_big(items, most_bytes))


def _posthog_v1(body: bytes, most_bytes: int) -> Intake:
    batch = decoded(POSTHOG_V1_BATCH, body)
    verdicts = judge(batch.created_at, batch.batch)
    if most_bytes:
        uuids = list(verdicts)
        for place, code in _too_big(decoded(POSTHOG_V1_ITEMS, body).batch, most_bytes):
            verdicts[uuids[place]] = ("drop", code)
    drops = enumerate(verdicts.values())
    refused = tuple((place, code) for place, (result, code) in drops if result == "drop")
    return Intake(len(batch.batch), verdicts=verdicts, refused=refused)


def _too_big(items: Sequence[Raw], most_bytes: int) -> tuple[tuple[int, str], ...]:
    """The places of events with more than so many bytes; 0 means that none can have."""
    if not most_bytes:
        return ()
    sizes = enumerate(memoryview(item).nbytes for item in items)
    return tuple((place, TOO_BIG) for place, size in sizes if size > most_bytes)


_READERS: Mapping[Form, Callable[[bytes, int], Intake]] = {
    Form.BATCH: _batch,
    Form.SINGLE: _single,
    Form.POSTHOG: _posthog,
    Form.POSTHOG_V1: _posthog_v1,
}
