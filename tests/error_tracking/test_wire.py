"""What PostHog's server reads, with its types: one that is wrong would cost the whole event."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import chained, raised, recursion

from penstock import ErrorTracking, ExceptionEvent, PostHog
from penstock.error_tracking.logging_handler import ExceptionLogHandler
from penstock.journal.record import Record
from penstock.kinds import Kind
from penstock.testing import MemoryClient
from strategies import anything

if TYPE_CHECKING:
    from collections.abc import Iterator

Int32 = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Line = Annotated[str, msgspec.Meta(max_length=300)]
Filled = Annotated[str, msgspec.Meta(min_length=1)]


class Frame(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    platform: Literal["python"]
    filename: Filled
    function: Filled
    in_app: bool
    abs_path: str | msgspec.UnsetType = msgspec.UNSET
    module: Filled | msgspec.UnsetType = msgspec.UNSET
    lineno: Annotated[int, msgspec.Meta(gt=0, lt=2**31)] | msgspec.UnsetType = msgspec.UNSET
    pre_context: list[Line] | msgspec.UnsetType = msgspec.UNSET
    context_line: Line | msgspec.UnsetType = msgspec.UNSET
    post_context: list[Line] | msgspec.UnsetType = msgspec.UNSET
    code_variables: dict[str, str | float | int] | msgspec.UnsetType = msgspec.UNSET


class Stacktrace(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["raw"]
    frames: Annotated[list[Frame], msgspec.Meta(min_length=1, max_length=100)]


class Mechanism(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: Filled
    exception_id: Int32
    synthetic: bool
    handled: bool | msgspec.UnsetType = msgspec.UNSET
    source: Literal["cause", "context", "member"] | msgspec.UnsetType = msgspec.UNSET
    parent_id: Int32 | msgspec.UnsetType = msgspec.UNSET


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    type: Filled
    value: Annotated[str, msgspec.Meta(max_length=4096)]
    mechanism: Mechanism
    module: Filled | msgspec.UnsetType = msgspec.UNSET
    stacktrace: Stacktrace | msgspec.UnsetType = msgspec.UNSET


class Properties(msgspec.Struct, rename=lambda name: f"$exception_{name}", kw_only=True):
    entries: Annotated[list[Entry], msgspec.Meta(min_length=1, max_length=50)] = msgspec.field(
        name="$exception_list"
    )
    level: Literal["fatal", "error", "warning", "log", "info", "debug"] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    source: Filled | msgspec.UnsetType = msgspec.UNSET
    fingerprint: Filled | msgspec.UnsetType = msgspec.UNSET
    steps: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET


class Event(msgspec.Struct):
    event: Literal["$exception"]
    uuid: Annotated[str, msgspec.Meta(min_length=36, max_length=36)]
    distinct_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    properties: Properties


#: Kept by the processor; an incoming copy is removed or does harm.
OWNED = ("$exception_handled", "$exception_types", "$exception_type", "$exception_message")
DIALECTS = [PostHog("phc", capture_mode=mode).dialect for mode in ("legacy", "v1")]


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


def accepted_by_posthog(neutral: dict[str, Any]) -> Event:
    """The event as a strict server reads it, in both protocols."""
    payload = json.dumps(neutral, ensure_ascii=False, separators=(",", ":")).encode()
    wires = [
        dialect.encode(Record(1, Kind.EXCEPTION_EVENT, 0, 0, payload)).wire for dialect in DIALECTS
    ]
    events = [msgspec.json.decode(wire, type=Event) for wire in wires]
    for wire in wires:
        properties = json.loads(wire)["properties"]
        assert not properties.keys() & set(OWNED)
        assert not any("\0" in text for text in texts_in(properties["$exception_list"]))
    assert events[0].properties == events[1].properties
    return events[0]


def captured(make: Any, **tracking: Any) -> list[dict[str, Any]]:
    """Neutral events of what *make* does with a client."""
    settings = ErrorTracking(local_variables=True, rate_limit=False, **tracking)
    with MemoryClient(PostHog("phc"), error_tracking=settings) as client:
        make(client)
        return [event.raw for event in client.events if event.type == "exception_event"]


SHAPES: list[Any] = [
    ValueError("x"),
    raised(lambda: recursion(900)),
    chained(60),
    ExceptionGroup("g", [raised(ValueError(str(n))) for n in range(100)]),
    raised(lambda: json.loads("{")),
    ValueError("\0\ud800" + "x" * 10_000),
    type("E" * 400, (Exception,), {"__module__": "m" * 400})("x"),
    type("E", (Exception,), {"__module__": 3, "__qualname__": "E\0.<locals>.F"})("x"),
    "text",
    ValueError,
]


@pytest.mark.parametrize("error", SHAPES, ids=map(str, range(len(SHAPES))))
def test_errors_of_all_shapes_have_posthogs_types(error: Any) -> None:
    """Texts are text, numbers fit 32 bits, nothing is null, no key is unknown."""
    (neutral,) = captured(lambda client: client.capture_exception(error))
    event = accepted_by_posthog(neutral)
    ids = [entry.mechanism.exception_id for entry in event.properties.entries]
    assert ids == list(range(len(ids)))


@given(st.lists(anything, min_size=1, max_size=3))
def test_anything_has_posthogs_types(things: list[Any]) -> None:
    """Captured, logged, as a variable, as an option, as a step."""

    def make(client: MemoryClient) -> None:
        handler = ExceptionLogHandler(client, logging.INFO, capture_extra=True)
        for thing in things:
            client.add_step("step", thing=thing)
            client.capture_exception(thing, properties={"thing": thing}, level=thing)
            record = {"name": "shop", "msg": thing, "levelno": 40, "thing": thing}
            handler.emit(logging.makeLogRecord(record))

    found = captured(make)
    assert len(found) >= len(things)
    for neutral in found:
        accepted_by_posthog(neutral)


@given(st.text(), st.text(), st.text())
def test_any_texts_have_posthogs_types(kind: str, value: str, level: str) -> None:
    """Also those a caller makes an event of by hand."""
    entry = {"type": kind, "value": value}
    with MemoryClient(PostHog("phc")) as client:
        client.enqueue(ExceptionEvent(user_id="u", exceptions=[entry], level=level, source=value))
        (event,) = client.events
    payload = json.dumps(event.raw, ensure_ascii=False, separators=(",", ":")).encode()
    for dialect in DIALECTS:
        wire = dialect.encode(Record(1, Kind.EXCEPTION_EVENT, 0, 0, payload)).wire
        assert json.loads(wire)["properties"]["$exception_list"][0].keys() == entry.keys()
