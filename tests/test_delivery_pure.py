"""Delivery's decisions: routing, retry, batches, outcomes; no clock, thread or socket."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Retry
from penstock.delivery._batcher import Limits, split
from penstock.delivery._job import Item
from penstock.delivery._outcome import Resolution, resolve
from penstock.delivery._retry import BREAKER_CAP_S, BREAKER_THRESHOLD, Breaker, delay_s
from penstock.delivery._routing import selects
from penstock.dialects._types import (
    Accepted,
    Encoded,
    Malformed,
    Mixed,
    Outcome,
    Rejected,
    Rerouted,
    RetryLater,
    TooLarge,
    Verdict,
)
from penstock.journal.record import Record


def item(number: int, size: int = 10, *, route: int = 0, key: str = "", stream: int = 0) -> Item:
    return Item(Record(number, 2, 0, 0, b"{}"), Encoded(b"x" * size, route, key), stream)


# -- routing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("integrations", "is_cdp", "expected"),
    [
        ({}, False, True),
        ({"All": True}, False, True),
        ({"All": False}, False, False),
        ({"all": False}, False, False),
        ({"All": True, "all": False}, False, True),
        ({"All": False, "PostHog": True}, False, True),
        ({"All": False, "PostHog": {"option": 1}}, False, True),
        ({"All": False, "posthog": True}, False, False),
        ({"PostHog": False}, False, False),
        ({"All": False}, True, True),
        ({"PostHog": False}, True, False),
    ],
)
def test_integrations_select(integrations: dict[str, Any], *, is_cdp: bool, expected: bool) -> None:
    """A name beats All, names are case sensitive, a platform that routes itself gets all."""
    assert selects(integrations, "PostHog", is_cdp=is_cdp) is expected


# -- retry -----------------------------------------------------------------------------------


@given(st.integers(0, 2000), st.floats(0, 1))
def test_delay_grows_within_its_bounds(attempt: int, uniform: float) -> None:
    """Half to all of the exponential delay, never above the cap."""
    retry = Retry()
    delay = delay_s(retry, attempt, uniform)
    whole = min(retry.cap, retry.base * 2 ** min(attempt, 40))
    assert whole / 2 <= delay <= whole


def test_retry_after_is_a_minimum_and_clamped() -> None:
    """The server's wish is honoured up to five minutes, and never shortens our own wait."""
    retry = Retry()
    assert delay_s(retry, 0, 0.0, 2.0) == 2.0
    assert delay_s(retry, 0, 0.0, 86_400.0) == 300.0
    assert delay_s(retry, 8, 1.0, 2.0) == pytest.approx(25.6)


def test_a_hook_replaces_the_formula() -> None:
    """``backoff`` gets the attempt from 0; a negative answer means at once."""
    retry = Retry(backoff=lambda attempt: attempt * 7.0 - 1)
    assert [delay_s(retry, n, 0.5) for n in range(3)] == [0.0, 6.0, 13.0]


def test_the_breaker_opens_asks_one_at_a_time_and_closes() -> None:
    """Down after some failures in a row, then single questions, then all again."""
    breaker = Breaker(Retry())
    now = 100.0
    for _ in range(BREAKER_THRESHOLD):
        assert breaker.allows(now)
        breaker.started()
        breaker.failed(now, 1.0, None)
    assert not breaker.allows(now)
    assert breaker.open_until <= now + BREAKER_CAP_S
    later = breaker.open_until
    assert breaker.allows(later)
    breaker.started()
    assert not breaker.allows(later)
    breaker.succeeded()
    assert breaker.allows(later)
    assert breaker.failures == 0


def test_a_named_time_is_kept_even_when_someone_waits() -> None:
    """Our own pause gives way to a flush, the server's does not."""
    breaker = Breaker(Retry())
    for _ in range(BREAKER_THRESHOLD + 4):
        breaker.failed(0.0, 1.0, None)
    assert not breaker.allows(0.1)
    breaker.hurry()
    assert breaker.allows(0.1)
    breaker.failed(0.1, 1.0, 2.0)
    breaker.hurry()
    assert not breaker.allows(2.0)
    assert breaker.allows(2.2)


# -- batches ---------------------------------------------------------------------------------

ITEMS = st.lists(
    st.builds(
        lambda size, route, key, stream: (size, route, key, stream),
        st.integers(1, 120),
        st.integers(0, 2),
        st.sampled_from(["", "", "k1", "k2"]),
        st.integers(0, 1),
    ),
    max_size=60,
)


@given(ITEMS, st.integers(1, 10), st.integers(60, 400))
def test_batches_hold_their_limits_and_every_item_once(
    shapes: list[tuple[int, int, str, int]], batch_size: int, max_bytes: int
) -> None:
    """Count, bytes, bucket, stream and key hold; order is kept; nothing is lost or doubled."""
    items = [
        item(number, size, route=route, key=key, stream=stream)
        for number, (size, route, key, stream) in enumerate(shapes)
    ]
    limits = Limits(batch_size, 100, max_bytes)

    def body_bytes(count: int, wire: int) -> int:
        return 20 + wire + count - 1

    batches, too_large = split(items, limits, lambda one: one.encoded.route, body_bytes)
    assert all(len(one.encoded.wire) > 100 for one in too_large)
    seen = [one.record.ordinal for _, batch in batches for one in batch]
    assert sorted(seen + [one.record.ordinal for one in too_large]) == list(range(len(items)))
    for bucket, batch in batches:
        assert len(batch) <= batch_size
        assert {one.encoded.route for one in batch} == {bucket}
        assert len({one.stream for one in batch}) == 1
        keys = [one.encoded.key for one in batch if one.encoded.key]
        assert len(keys) == len(set(keys))
        size = body_bytes(len(batch), sum(len(one.encoded.wire) for one in batch))
        assert size <= max_bytes or len(batch) == 1
    for place in {(one.encoded.route, one.stream) for one in items}:
        whole = [one for _, batch in batches for one in batch]
        mine = [one.record.ordinal for one in whole if (one.encoded.route, one.stream) == place]
        assert mine == sorted(mine)


# -- outcomes --------------------------------------------------------------------------------


def places(resolution: Resolution) -> list[int]:
    found = [*resolution.delivered, *resolution.retry]
    found += [one for death in resolution.deaths for one in death.items]
    return sorted(one.record.ordinal for one in found)


@given(
    st.integers(1, 20),
    st.sampled_from(
        [Accepted(), Rejected("no"), RetryLater(2.0), Rerouted(), Malformed(), TooLarge()]
    ),
)
def test_every_item_ends_in_one_place(count: int, outcome: Outcome) -> None:
    """Delivered, dead or to be sent again: all of them, once; or the request is halved."""
    items = [item(number) for number in range(count)]
    resolution = resolve(outcome, items)
    if resolution.split:
        assert count > 1
        assert places(resolution) == []
    else:
        assert places(resolution) == list(range(count))


def test_verdicts_part_a_batch() -> None:
    """Each event goes its own way."""
    items = [item(number) for number in range(4)]
    verdicts = (
        Verdict("delivered"),
        Verdict("dead", "event_too_big"),
        Verdict("retry"),
        Verdict("delivered"),
    )
    resolution = resolve(Mixed(verdicts, 1.0), items)
    assert [one.record.ordinal for one in resolution.delivered] == [0, 3]
    assert [(d.reason, d.detail) for d in resolution.deaths] == [("rejected", "event_too_big")]
    assert [one.record.ordinal for one in resolution.retry] == [2]
    assert resolution.after_s == 1.0


@pytest.mark.parametrize(
    ("outcome", "reason"), [(TooLarge(), "too_large"), (Malformed(), "rejected")]
)
def test_a_single_message_that_is_refused_is_dead(outcome: Outcome, reason: str) -> None:
    """There is nothing left to halve."""
    (death,) = resolve(outcome, [item(1)]).deaths
    assert death.reason == reason
