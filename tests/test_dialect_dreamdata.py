"""Dreamdata: Segment's format, and one rule of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from neutral import ATTEMPT, messages, neutral, record_of
from penstock.dialects import Unencodable
from penstock.dialects.dreamdata import COOKIELESS, DreamdataDialect, lacks_ip, receive
from penstock.dialects.segment import SegmentDialect
from penstock.journal.record import Record
from penstock.kinds import Kind

DREAMDATA = DreamdataDialect("https://api.dreamdata.cloud", "WK_demo")
SEGMENT = SegmentDialect("https://api.dreamdata.cloud", "WK_demo")


@given(messages())
def test_it_is_segments_wire_at_another_address(message: dict[str, Any]) -> None:
    """Byte for byte, there and back."""
    encoded = [DREAMDATA.encode(record_of(message))]
    request = DREAMDATA.request(encoded, ATTEMPT)
    assert request == SEGMENT.request([SEGMENT.encode(record_of(message))], ATTEMPT)
    assert receive(json.loads(request.body)["batch"][0]) == message


@pytest.mark.parametrize("context", [None, {}, {"ip": ""}, {"ip": " "}, {"ip": None}, {"x": 1}])
def test_a_cookieless_event_needs_an_address(context: dict[str, Any] | None) -> None:
    """Without one it says nothing about anybody."""
    message = neutral("track", anonymousId=COOKIELESS, event="E", context=context)
    assert lacks_ip(COOKIELESS, context)
    with pytest.raises(Unencodable, match=r"context\.ip") as caught:
        DREAMDATA.encode(record_of(message))
    assert caught.value.reason == "rejected"


def test_a_cookieless_event_with_an_address_is_sent() -> None:
    """That is how companies are told apart."""
    context = {"ip": "203.0.113.7"}
    message = neutral("track", anonymousId=COOKIELESS, event="E", context=context)
    record = record_of(message)
    assert not lacks_ip(COOKIELESS, context)
    assert DREAMDATA.encode(record).wire is record.payload


@pytest.mark.parametrize(
    "fields",
    [
        {"userId": COOKIELESS},
        {"anonymousId": "a", "properties": {"mode": COOKIELESS}},
        {"anonymousId": "cookieless-2"},
    ],
)
def test_the_word_elsewhere_means_nothing(fields: dict[str, Any]) -> None:
    """Only the anonymous id counts."""
    message = neutral("track", event="E", **fields)
    assert not lacks_ip(fields.get("anonymousId"), None)
    assert DREAMDATA.encode(record_of(message)).wire


def test_posthogs_own_calls_obey_the_rule_too() -> None:
    """After their translation, the address among their properties included."""
    bare = neutral("capture", anonymousId=COOKIELESS, event="E")
    with pytest.raises(Unencodable):
        DREAMDATA.encode(record_of(bare))
    assert DREAMDATA.encode(record_of(bare | {"properties": {"$ip": "203.0.113.7"}})).wire


def test_a_record_that_is_not_neutral_is_malformed() -> None:
    """Where the rule has to look and cannot."""
    with pytest.raises(Unencodable) as caught:
        DREAMDATA.encode(Record(1, Kind.TRACK.value, 0, 0, b'{"anonymousId":"cookieless"'))
    assert caught.value.reason == "malformed"
