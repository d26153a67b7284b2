"""
What official SDKs get wrong on the wire, promised right; spec, section 8.

Each test talks to a real server on loopback and reads what arrived.
"""

from __future__ import annotations

import copy
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from faults import rules
from faults.desk import KEY, Desk
from penstock import Client, Context, Integrations, Product, RudderStack, Track
from penstock.errors import ConfigError, FieldError, MessageTooLargeError

if TYPE_CHECKING:
    from faults.sink import Exchange


# -- departure times ---------------------------------------------------------------------------


def test_segment_attempts_each_say_when_they_left(desk: Desk) -> None:
    """``sentAt`` is the attempt's, not the batch's; the timestamp stays."""
    desk.sink.plan(rules.Run(*[rules.status(500)] * 2))
    client = desk.segment()
    client.track("u", "E")
    client.flush(timeout=10)
    bodies = desk.bodies()
    sent = [body["sentAt"] for body in bodies]
    assert len(set(sent)) == 3
    assert sent == sorted(sent)
    assert len({body["batch"][0]["timestamp"] for body in bodies}) == 1


def test_posthog_batches_say_when_they_left(desk: Desk) -> None:
    """The legacy body has ``sent_at``, so the server can undo the clock's skew."""
    desk.sink.plan(rules.Run(rules.status(500)))
    client = desk.posthog()
    client.capture("E", "u")
    client.flush(timeout=10)
    first, second = (body["sent_at"] for body in desk.bodies())
    assert first < second


def test_rudderstack_messages_carry_both_of_their_times(desk: Desk) -> None:
    """``originalTimestamp`` and ``sentAt`` are per message, where the gateway reads them."""
    client = desk.rudder()
    client.track("u", "E", timestamp="2024-05-06T07:08:09.123Z")
    client.flush(timeout=10)
    (body,) = desk.bodies()
    (message,) = body["batch"]
    assert message["originalTimestamp"] == "2024-05-06T07:08:09.123Z"
    assert message["sentAt"] > "2025"
    assert "timestamp" not in message


# -- construction ------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "nowhere", "ftp://host", "http://", "http://host:port"])
def test_a_bad_address_is_refused_when_the_destination_is_made(url: str) -> None:
    """With compression on and off; not later, on a thread."""
    for compression in ("gzip", None):
        with pytest.raises(ConfigError) as raised:
            RudderStack(KEY, url, compression=compression)
        assert raised.value.field == "endpoint"


def test_the_default_context_is_merged_under_the_callers(desk: Desk) -> None:
    """Both reach the wire; the caller's own wins."""
    for client in (
        desk.segment(default_context={"locale": "de", "app": {"name": "shop"}}),
        desk.rudder(default_context={"locale": "de", "app": {"name": "shop"}}),
    ):
        client.track("u", "E", context={"locale": "fr"})
        client.flush(timeout=10)
    assert len(desk.sink.events) == 2
    for event in desk.sink.events:
        assert event["context"]["locale"] == "fr"
        assert event["context"]["app"] == {"name": "shop"}


def test_a_callers_objects_are_never_written_to(desk: Desk) -> None:
    """Properties, context, traits, defaults: as they were, in every dialect."""
    default = {"app": {"name": "shop"}}
    clients = [
        desk.segment(default_context=default),
        desk.rudder(default_context=default),
        desk.posthog(default_context=default),
    ]
    given: list[dict[str, Any]] = [
        {"a": {"b": [1, {"c": 2}]}},
        {"locale": "de", "page": {"path": "/"}},
        {"email": "x@example.test"},
        {"All": False, "PostHog": True},
    ]
    before = copy.deepcopy(given)
    properties, context, traits, integrations = given
    for client in clients:
        client.track("u", "E", properties, context=context, integrations=integrations)
        client.identify("u", traits, context=context)
        client.group("u", "g", traits)
        client.flush(timeout=10)
    assert given == before
    assert default == {"app": {"name": "shop"}}


def test_what_changes_after_the_call_changes_nothing(desk: Desk) -> None:
    """The call is the snapshot, nested values included."""
    client = desk.segment()
    properties: dict[str, Any] = {"n": 1, "nested": {"n": 1}, "list": [1]}
    client.track("u", "E", properties)
    properties["n"] = 2
    properties["nested"]["n"] = 2
    properties["list"].append(2)
    client.flush(timeout=10)
    assert desk.event()["properties"] == {"n": 1, "nested": {"n": 1}, "list": [1]}


def test_misuse_raises_in_the_call_itself(desk: Desk) -> None:
    """Nothing waits for a background thread to find out."""
    client = desk.segment(strict=True)
    with pytest.raises(MessageTooLargeError):
        client.track("u", "E", {"blob": "x" * 40_000})
    with pytest.raises(FieldError):
        client.track("u", "")
    with pytest.raises(FieldError):
        client.track()


def test_no_message_is_an_error_with_a_name(desk: Desk) -> None:
    """None in the place of a message says what is wrong."""
    client = desk.segment()
    with pytest.raises(FieldError):
        client.enqueue(None)  # type: ignore[arg-type]


# -- names and values on the wire --------------------------------------------------------------


def test_a_products_sku_is_called_sku(desk: Desk) -> None:
    """In the typed catalogue as in a plain dict."""
    client = desk.segment()
    client.track("u", "E", {"products": [Product(sku="45790-32", price=19)]})
    client.flush(timeout=10)
    (product,) = desk.event()["properties"]["products"]
    assert (product["sku"], product["price"]) == ("45790-32", 19)


def test_all_is_spelled_as_the_servers_read_it(desk: Desk) -> None:
    """``All``, capital first."""
    client = desk.segment()
    client.enqueue(Track(user_id="u", event="E", integrations=Integrations().disable_all()))
    client.flush(timeout=10)
    assert desk.event()["integrations"] == {"All": False}


def test_false_and_zero_are_facts(desk: Desk) -> None:
    """Only what is not set is left out."""
    client = desk.segment()
    context = {"location": {"latitude": 0.0, "longitude": 0}, "network": {"wifi": False}}
    client.track("u", "E", {"discount": 0, "gift": False, "note": ""}, context=context)
    client.enqueue(Track(user_id="u", event="E", context=Context(**context)))
    client.flush(timeout=10)
    plain, typed = desk.sink.events
    assert plain["properties"] == {"discount": 0, "gift": False, "note": ""}
    for event in (plain, typed):
        assert event["context"]["location"] == {"latitude": 0, "longitude": 0}
        assert event["context"]["network"] == {"wifi": False}


def test_uuids_and_decimals_arrive_exactly(desk: Desk) -> None:
    """No value is lost, no precision either."""
    client = desk.segment()
    properties = {
        "id": UUID("12345678-1234-5678-1234-567812345678"),
        "half": Decimal("0.5"),
        "tenth": Decimal("0.1"),
        "long": Decimal("12345678901234567890.123456789"),
    }
    client.track("u", "E", properties)
    client.flush(timeout=10)
    (exchange,) = desk.sink.exchanges
    arrived = json.loads(exchange.json, parse_float=Decimal)["batch"][0]["properties"]
    assert {name: str(value) for name, value in arrived.items()} == {
        name: str(value) for name, value in properties.items()
    }


@pytest.mark.parametrize("dialect", ["segment", "rudder", "posthog"])
def test_not_a_number_costs_neither_event_nor_batch(desk: Desk, dialect: str) -> None:
    """Every body is JSON as a strict server reads it."""
    client: Client = getattr(desk, dialect)()
    odd = {"nan": float("nan"), "inf": float("inf"), "deep": [{"x": float("-inf")}], "ok": 1}
    ids = {client.track("u", "E", odd), client.track("u", "E")}
    client.flush(timeout=10)
    assert desk.sink.accepted == ids


def test_a_naive_datetime_is_utc_wherever_the_host_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is guessed from the local zone, not even close to now."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        client = desk.segment()
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        client.track("u", "E", {"at": now}, timestamp=now)
        client.flush(timeout=10)
    finally:
        monkeypatch.undo()
        time.tzset()
    wanted = f"{now.isoformat()}.000Z"
    event = desk.event()
    assert (event["timestamp"], event["properties"]["at"]) == (wanted, wanted)


def test_zero_is_a_user_id(desk: Desk) -> None:
    """It is tested for absence, not for truth."""
    client = desk.segment()
    client.track(0, "E")
    client.flush(timeout=10)
    assert desk.event()["userId"] == "0"


def test_a_wrong_type_is_a_value_error_that_keeps_the_value_to_itself(desk: Desk) -> None:
    """Neither AssertionError nor the caller's data in its text."""
    client = desk.segment()
    with pytest.raises(ValueError, match="user_id") as raised:
        client.track(["secret@example.test"], "E")  # type: ignore[arg-type]
    assert isinstance(raised.value, FieldError)
    assert "secret" not in str(raised.value)


def test_the_size_error_is_short_and_formatted(desk: Desk) -> None:
    """Sizes, no payload."""
    client = desk.segment(strict=True)
    with pytest.raises(MessageTooLargeError) as raised:
        client.track("u", "E", {"blob": "secret" * 10_000})
    text = str(raised.value)
    assert "%" not in text
    assert "secret" not in text
    assert str(raised.value.size) in text


# -- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["<" * 200, "&>" * 100, "ü" * 200, "\U0001f600" * 50, '"' * 200])
def test_a_message_is_measured_as_it_is_sent(desk: Desk, text: str) -> None:
    """UTF-8 bytes on the wire: a message equal to the limit passes, one byte more does not."""
    client = desk.segment()
    client.track("u", "E", {"text": text})
    client.flush(timeout=10)
    size = _wire_sizes(desk.sink.exchanges[0])[0]
    exact = desk.segment(max_message_bytes=size)
    exact.track("u", "E", {"text": text})
    assert exact.flush(timeout=10).delivered == 1
    tight = desk.segment(max_message_bytes=size - 1)
    tight.track("u", "E", {"text": text})
    assert tight.flush(timeout=10).dead == {"too_large": 1}


@pytest.mark.parametrize("dialect", ["segment", "posthog"])
def test_a_batch_is_measured_with_its_envelope_and_commas(desk: Desk, dialect: str) -> None:
    """No body is above the limit; what waited is packed until not one message more fits."""
    limit = 4000
    desk.sink.plan(rules.Run(rules.Answer(wait_s=0.5)))  # meanwhile, everything else waits
    client: Client = getattr(desk, dialect)(max_batch_bytes=limit, concurrency=1)
    for number in range(300):
        client.track("u", "E", {"text": "x" * (number * 7 % 300)})
    client.flush(timeout=20)
    assert len(desk.sink.accepted) == 300
    first, *packed, _rest = [len(exchange.json) for exchange in desk.sink.exchanges]
    assert max(first, *packed) <= limit
    assert min(packed) > limit - 900, "the largest message has less than 900 bytes"


def test_batches_of_one_hold_one(desk: Desk) -> None:
    """The smallest batch size has no edge."""
    client = desk.segment(batch_size=1)
    for _ in range(5):
        client.track("u", "E")
    client.flush(timeout=10)
    assert [len(exchange.events) for exchange in desk.sink.exchanges] == [1] * 5


def _wire_sizes(exchange: Exchange) -> list[int]:
    """Bytes of each message of a Segment body, as they lie in it."""
    text = exchange.json.decode()
    decoder = json.JSONDecoder()
    position = text.index("[", text.index('"batch"')) + 1
    sizes = []
    while text[position] == "{":
        _, end = decoder.raw_decode(text, position)
        sizes.append(len(text[position:end].encode()))
        position = end + 1 if text[end] == "," else end
    return sizes


# -- precedence


def test_the_callers_properties_win_over_ours(desk: Desk) -> None:
    """Whatever a client adds, it adds only where nothing is."""
    client = desk.posthog(default_context={"ip": "203.0.113.1"})
    mine = {"$geoip_disable": False, "$is_server": False, "$ip": "203.0.113.2"}
    client.capture("E", "u", mine)
    client.flush(timeout=10)
    properties = desk.event()["properties"]
    assert {name: properties[name] for name in mine} == mine


# -- the PostHog family's own ------------------------------------------------------------------


def test_a_legacy_alias_says_whose_it_is(desk: Desk) -> None:
    """``distinct_id`` at the top level, where the server looks for it."""
    client = desk.posthog()
    client.alias(user_id="known", previous_id="before")
    client.flush(timeout=10)
    event = desk.event()
    assert event["event"] == "$create_alias"
    assert event["distinct_id"]
    assert event["distinct_id"] == event["properties"]["distinct_id"]


@pytest.mark.parametrize("v1", [False, True])
def test_a_group_is_identified_as_the_caller_says(desk: Desk, *, v1: bool) -> None:
    """The caller's ``distinct_id`` is kept, and no properties are an empty object."""
    client = desk.posthog(v1=v1)
    client.group_identify("company", "acme", distinct_id="me")
    client.flush(timeout=10)
    event = desk.event()
    assert event["distinct_id"] == "me"
    assert event["properties"]["$group_set"] == {}
