"""
What ingest must know of a body to answer: is it one, how many events, whose key, what verdicts.

Pure functions, one per `Form`. Nothing here looks inside an event of the Segment family or of
PostHog legacy: their answers are the same for every event, and the pipeline quarantines the bad
ones. PostHog V1 answers per event, so its events are judged here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.refusal import Reason, Refusal
from penstock.collector.verdicts import judge
from penstock.collector.wire import (
    POSTHOG_V1_BATCH,
    SEGMENT_BATCH,
    SEGMENT_SINGLE,
    Form,
    decoded,
    posthog_items,
    posthog_token,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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

    @property
    def refused(self) -> tuple[tuple[int, str], ...]:
        """``(place, code)`` of each event the answer calls dropped."""
        verdicts = enumerate(self.verdicts.values())
        return tuple((place, code) for place, (result, code) in verdicts if result == "drop")


def read_body(form: Form, body: bytes, most_events: int) -> Intake:
    """
    Look at an inflated body.

    Args:
        form: What it should be.
        body: JSON, hopefully.
        most_events: More are refused.

    Raises:
        Refusal: It is empty, malformed, or holds too many events.
    """
    if not body:
        raise Refusal(Reason.EMPTY_BODY)
    intake = _READERS[form](body)
    if intake.events > most_events:
        raise Refusal(Reason.TOO_MANY, f"at most {most_events} events in one request")
    return intake._replace(size=len(body))


def _batch(body: bytes) -> Intake:
    envelope = decoded(SEGMENT_BATCH, body)
    return Intake(len(envelope.batch), text(envelope.write_key))


def _single(body: bytes) -> Intake:
    return Intake(1, text(decoded(SEGMENT_SINGLE, body).write_key))


def _posthog(body: bytes) -> Intake:
    envelope, items = posthog_items(body)
    return Intake(len(items), posthog_token(envelope, items))


def _posthog_v1(body: bytes) -> Intake:
    batch = decoded(POSTHOG_V1_BATCH, body)
    return Intake(len(batch.batch), verdicts=judge(batch.created_at, batch.batch))


_READERS: Mapping[Form, Callable[[bytes], Intake]] = {
    Form.BATCH: _batch,
    Form.SINGLE: _single,
    Form.POSTHOG: _posthog,
    Form.POSTHOG_V1: _posthog_v1,
}
