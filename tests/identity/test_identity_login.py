"""From a device to a person and back, as each vendor wants it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock import Dreamdata, FieldError, PostHog, RudderStack, Segment, scoped
from penstock.testing import captured_client

DEVICE = "0b2c1c1e-1111-4111-8111-111111111111"


def sent(*destinations: Any) -> dict[str, list[dict[str, Any]]]:
    """What a login sends, ``{host: messages}``."""
    with captured_client(*destinations) as client:
        with client.request_context(anonymous_id=DEVICE):
            client.login("u1", {"plan": "pro"})
            client.track(event="after")
        client.flush()
        found: dict[str, list[dict[str, Any]]] = {}
        for request in client.transport.requests:
            host = request.url.split("/")[2]
            found.setdefault(host, []).extend(json.loads(request.body)["batch"])
    return found


def ids(message: dict[str, Any]) -> tuple[Any, ...]:
    names = ("type", "userId", "anonymousId", "previousId")
    return tuple(message.get(name) for name in names)


def test_segment_gets_an_identify_with_both_ids() -> None:
    """Acceptance 20: and no alias."""
    (messages,) = sent(Segment("KEY")).values()
    assert [ids(message) for message in messages] == [
        ("identify", "u1", DEVICE, None),
        ("track", "u1", DEVICE, None),
    ]
    assert messages[0]["traits"] == {"plan": "pro"}


def test_rudderstack_gets_an_identify_with_both_ids() -> None:
    """Acceptance 20: and no alias."""
    (messages,) = sent(RudderStack("KEY", "https://r.test", compression="none")).values()
    assert [ids(message)[:3] for message in messages] == [
        ("identify", "u1", DEVICE),
        ("track", "u1", DEVICE),
    ]


def test_dreamdata_gets_an_alias_and_then_the_identify() -> None:
    """Acceptance 20: in one batch, in that order."""
    (messages,) = sent(Dreamdata("KEY")).values()
    assert [ids(message) for message in messages] == [
        ("alias", "u1", None, DEVICE),
        ("identify", "u1", DEVICE, None),
        ("track", "u1", DEVICE, None),
    ]


def test_posthog_merges_the_device_into_the_user() -> None:
    """Acceptance 20: ``$identify`` of the user with the device as ``$anon_distinct_id``."""
    (events,) = sent(PostHog("phc_KEY")).values()
    identify, after = events
    assert (identify["event"], identify["distinct_id"]) == ("$identify", "u1")
    assert identify["properties"]["$anon_distinct_id"] == DEVICE
    assert identify["properties"]["$set"] == {"plan": "pro"}
    assert after["distinct_id"] == "u1"


def test_an_alias_of_posthog_has_the_direction_that_merges() -> None:
    """Acceptance 20: the device's person is absorbed by the user's."""
    with captured_client(PostHog("phc_KEY")) as client:
        client.alias(user_id="u1", previous_id=DEVICE)
        client.flush()
        (event,) = json.loads(client.transport.requests[0].body)["batch"]
    assert (event["distinct_id"], event["properties"]["alias"]) == ("u1", DEVICE)


def test_with_several_destinations_the_alias_is_dreamdatas_alone() -> None:
    """The others take the identify."""
    found = sent(Segment("A"), Dreamdata("B"), PostHog("phc_C"))
    types = {
        host: [message.get("type") or message["event"] for message in messages]
        for host, messages in found.items()
    }
    assert len(types) == 3
    assert sorted(types.values()) == [
        ["$identify", "after"],
        ["alias", "identify", "track"],
        ["identify", "track"],
    ]


def test_a_login_without_a_device_is_an_identify() -> None:
    """Nothing is linked that is not known."""
    with captured_client(Dreamdata("KEY")) as client:
        client.login("u1", {"plan": "pro"})
        with client.request_context():
            client.login("u2")
            client.track(event="e")
        with client.request_context(anonymous_id="u3-as-device"):
            client.login("u3-as-device")
    assert [(e.type, e.user_id, e.anonymous_id) for e in client.events] == [
        ("identify", "u1", None),
        ("identify", "u2", None),
        ("track", "u2", None),
        ("identify", "u3-as-device", None),
    ]


def test_a_block_s_device_is_linked_too() -> None:
    """A framework without a middleware of ours says it by a scope."""
    with captured_client() as client, scoped(anonymous_id=DEVICE):
        client.login("u1")
    assert client.events[0].anonymous_id == DEVICE


def test_a_logout_rotates_the_device_and_forgets_the_user() -> None:
    """Else the next person at the machine would be merged with this one."""
    with captured_client() as client:
        with client.request_context(user_id=lambda: "u1", anonymous_id=DEVICE):
            client.track(event="before")
            client.logout()
            client.track(event="after")
        client.logout()
    before, after = client.events
    assert (before.user_id, before.anonymous_id) == ("u1", DEVICE)
    assert after.user_id is None
    assert after.anonymous_id not in {None, DEVICE}


def test_no_consent_no_login() -> None:
    """The user is known to the program and to no vendor."""
    with captured_client(Dreamdata("KEY"), Segment("KEY2")) as client:
        with client.request_context(anonymous_id=DEVICE, consent="anonymous"):
            assert client.login("u1", {"email": "kim@example.com"}) == ""
        with client.request_context(anonymous_id=DEVICE, consent="off"):
            assert client.login("u1") == ""
    assert client.events == ()


@pytest.mark.parametrize("user_id", [None, "", " ", 1.5])
def test_a_login_needs_a_user(user_id: Any) -> None:
    """Misuse is told at the call."""
    with captured_client() as client, pytest.raises(FieldError, match=r"Login\.user_id"):
        client.login(user_id)
