"""Ids without cookies: for a day, for nobody, never merged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clock import Clock
from penstock import Dreamdata, FieldError, PostHog, Segment
from penstock._nobody import PLACEHOLDER, SERVER_HASH, is_nobodys
from penstock.identity import DailySaltId, MemorySalts, Placeholder
from penstock.testing import captured_client

DAY = 86_400.0
NOON = 1_772_366_400.0
WHO = ("shop.example", "203.0.113.9", "Browser/1")


def test_a_daily_hash_is_the_same_for_a_day_and_another_the_next() -> None:
    """Acceptance 19: it rotates at midnight UTC."""
    clock = Clock(NOON)
    ids = DailySaltId(clock=clock)
    first = ids.id_for(*WHO)
    clock.now += DAY / 2 - 1
    assert ids.id_for(*WHO) == first
    clock.now += 1
    assert ids.id_for(*WHO) != first
    assert is_nobodys(first)


def test_a_daily_hash_depends_on_all_its_parts() -> None:
    """Site, address and user agent; an IPv6 address by its /64."""
    ids = DailySaltId(clock=Clock(NOON))
    assert len({ids.id_for(*WHO), ids.id_for("b.example", *WHO[1:])}) == 2
    assert len({ids.id_for(*WHO), ids.id_for(WHO[0], "203.0.113.8", WHO[2])}) == 2
    assert len({ids.id_for(*WHO), ids.id_for(*WHO[:2], "Browser/2")}) == 2
    assert ids.id_for("a", "2001:db8::1", "x") == ids.id_for("a", "2001:db8::ffff", "x")
    assert ids.id_for("a", "2001:db8::1", "x") != ids.id_for("a", "2001:db8:0:1::1", "x")
    assert ids.id_for("a", "no address", "x\ud800")


def test_hosts_agree_by_a_store_or_a_secret() -> None:
    """And nobody computes yesterday's from the store: it forgets."""
    clock, store = Clock(NOON), MemorySalts()
    assert DailySaltId(store, clock=clock).id_for(*WHO) == DailySaltId(store, clock=clock).id_for(
        *WHO
    )
    assert DailySaltId(clock=clock).id_for(*WHO) != DailySaltId(clock=clock).id_for(*WHO)
    both = [DailySaltId(secret="s3cret-s3cret", clock=clock) for _ in range(2)]
    assert both[0].id_for(*WHO) == both[1].id_for(*WHO)
    first = store.salt("2026-03-01", b"one")
    for day in ("2026-03-02", "2026-03-03"):
        store.salt(day, b"more")
    assert store.salt("2026-03-01", b"another") != first
    assert "s3cret" not in f"{both[0]!r} {store!r}"


def test_a_placeholder_is_one_of_two() -> None:
    """Dreamdata's, or PostHog's for its server's hash."""
    assert Placeholder().id_for(*WHO) == PLACEHOLDER
    assert Placeholder(SERVER_HASH).id_for(*WHO) == SERVER_HASH
    with pytest.raises(ValueError, match="placeholder"):
        Placeholder("everybody")


@pytest.mark.parametrize("anonymous_id", [PLACEHOLDER, SERVER_HASH, "hash"])
def test_nobodys_id_is_never_merged(anonymous_id: str) -> None:
    """Acceptance 19: not by login, not beside a user's id, not by alias."""
    if anonymous_id == "hash":
        anonymous_id = DailySaltId().id_for(*WHO)
    with (
        captured_client(Segment("KEY"), Dreamdata("KEY")) as client,
        client.request_context(anonymous_id=anonymous_id, ip="203.0.113.9"),
    ):
        client.track(event="before")
        client.login("u1", {"plan": "pro"})
        client.track(event="after")
        with pytest.raises(FieldError, match="nobody"):
            client.alias(user_id="u1", previous_id=anonymous_id)
    before, identify, after = client.events
    assert (before.anonymous_id, before.user_id) == (anonymous_id, None)
    assert (identify.type, identify.user_id, identify.anonymous_id) == ("identify", "u1", None)
    assert (after.user_id, after.anonymous_id) == ("u1", None)


def posthog_events(mode: Any, *calls: dict[str, Any]) -> list[dict[str, Any]]:
    with captured_client(PostHog("phc_KEY", capture_mode=mode)) as client:
        for call in calls:
            if "traits" in call:
                client.identify(**call)
            else:
                client.track(event="e", **call)
        client.flush()
        bodies = [json.loads(request.body) for request in client.transport.requests]
    return [event for body in bodies for event in body["batch"]]


@pytest.mark.parametrize("mode", ["legacy", "v1"])
def test_posthog_makes_no_giant_of_the_placeholder(mode: Any) -> None:
    """Acceptance 19: an id of its own for each event, no profile, and never one side of a merge."""
    one, other, identify = posthog_events(
        mode,
        {"anonymous_id": PLACEHOLDER},
        {"anonymous_id": PLACEHOLDER, "properties": {"$process_person_profile": True}},
        {"user_id": "u1", "anonymous_id": PLACEHOLDER, "traits": {"a": 1}},
    )
    assert len({one["distinct_id"], other["distinct_id"], PLACEHOLDER}) == 3
    for event in (one, other):
        told = event["options"] if mode == "v1" else event["properties"]
        name = "process_person_profile" if mode == "v1" else "$process_person_profile"
        assert told[name] is False
    assert identify["distinct_id"] == "u1"
    assert PLACEHOLDER not in str(identify)


@pytest.mark.parametrize("mode", ["legacy", "v1"])
def test_posthogs_server_is_told_to_make_the_id(mode: Any) -> None:
    """``$cookieless_mode`` as a real bool, beside the id that asks for it."""
    (event,) = posthog_events(mode, {"anonymous_id": SERVER_HASH})
    told = event["options"] if mode == "v1" else event["properties"]
    name = "cookieless_mode" if mode == "v1" else "$cookieless_mode"
    assert (event["distinct_id"], told[name]) == (SERVER_HASH, True)


@pytest.mark.parametrize("text", ["", "c", "cl_short", "cookie", "$", "device-1", "cl_" + "a" * 40])
def test_other_ids_are_somebodys(text: str) -> None:
    """Only what we or the vendors made for nobody is refused."""
    assert not is_nobodys(text)
