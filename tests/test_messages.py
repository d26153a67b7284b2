"""Messages are values: what is set is in the neutral JSON, what is wrong is named."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any, get_args
from uuid import UUID, uuid5

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock._checks import IDEMPOTENCY_NAMESPACE
from penstock.errors import FieldError, PenstockError
from penstock.fields import Context, Integrations, Properties, Traits
from penstock.kinds import BY_WIRE, Kind
from penstock.messages import (
    Alias,
    Capture,
    CreateAlias,
    ExceptionEvent,
    Group,
    GroupIdentify,
    Identify,
    Message,
    Page,
    Screen,
    Track,
    opened,
)
from penstock.values import encode
from strategies import anything, json_objects

#: One of each, with what it needs and no more, and its neutral JSON.
LEAST: list[tuple[Message, dict[str, Any]]] = [
    (Identify(user_id="u1"), {"type": "identify", "userId": "u1"}),
    (Track(user_id="u1", event="E"), {"type": "track", "userId": "u1", "event": "E"}),
    (Page(anonymous_id="a1"), {"type": "page", "anonymousId": "a1"}),
    (Screen(anonymous_id="a1"), {"type": "screen", "anonymousId": "a1"}),
    (Group(user_id="u1", group_id="g1"), {"type": "group", "userId": "u1", "groupId": "g1"}),
    (Alias(user_id="u1", previous_id="a1"), {"type": "alias", "userId": "u1", "previousId": "a1"}),
    (Capture(event="E", distinct_id="u1"), {"type": "capture", "event": "E", "userId": "u1"}),
    (
        GroupIdentify(group_type="company", group_id="c1"),
        {"type": "group_identify", "groupType": "company", "groupId": "c1"},
    ),
    (
        CreateAlias(distinct_id="d1", alias="d2"),
        {"type": "create_alias", "distinctId": "d1", "alias": "d2"},
    ),
    (
        ExceptionEvent(user_id="u1", exceptions=[{"type": "KeyError"}]),
        {"type": "exception_event", "userId": "u1", "exceptions": [{"type": "KeyError"}]},
    ),
]
EACH = pytest.mark.parametrize(
    ("message", "neutral"), LEAST, ids=[type(message).__name__ for message, _ in LEAST]
)


def refused(message: Message) -> tuple[str, str, object]:
    """Type, field and value of the error that *message* leads to."""
    with pytest.raises(FieldError) as raised:
        message.neutral()
    with pytest.raises(FieldError):
        opened(message)
    return raised.value.type, raised.value.field, raised.value.value


@EACH
def test_only_what_is_set_is_in_the_neutral_json(message: Message, neutral: dict[str, Any]) -> None:
    """No nulls, no defaults."""
    assert message.neutral() == neutral
    assert message.kind is BY_WIRE[neutral["type"]]
    assert type(message).__name__ == message.kind.title


def test_every_kind_has_its_message() -> None:
    """The union, the kinds and the examples here name the same."""
    assert {kind.kind for kind in get_args(Message)} == set(Kind)
    assert {type(message) for message, _ in LEAST} == set(get_args(Message))


@EACH
def test_what_all_messages_have_is_in_the_neutral_json(
    message: Message, neutral: dict[str, Any]
) -> None:
    """Context, integrations, timestamp and message id."""
    full = msgspec.structs.replace(
        message,
        context=Context(ip="203.0.113.7"),
        integrations=Integrations().disable_all(),
        timestamp=datetime(2026, 3, 1, 11, tzinfo=timezone(timedelta(hours=1))),
        message_id=UUID(int=7),
        historical=True,
    )
    assert full.neutral() == {
        **neutral,
        "messageId": "00000000-0000-0000-0000-000000000007",
        "timestamp": "2026-03-01T10:00:00.000Z",
        "context": {"ip": "203.0.113.7"},
        "integrations": {"All": False},
    }


def test_fields_have_their_wire_names() -> None:
    """All that the types have of their own."""
    shared: dict[str, Any] = {"user_id": "u", "anonymous_id": "a"}
    both = {"userId": "u", "anonymousId": "a"}
    view = {"name": "N", "category": "C", "properties": {"p": 1}}
    assert Identify(**shared, traits={"t": 1}).neutral() == {
        "type": "identify",
        **both,
        "traits": {"t": 1},
    }
    assert Page(**shared, **view).neutral() == {"type": "page", **both, **view}
    assert Screen(**shared, **view).neutral() == {"type": "screen", **both, **view}
    assert Group(**shared, group_id="g", traits=Traits(name="Acme")).neutral() == {
        "type": "group",
        **both,
        "groupId": "g",
        "traits": {"name": "Acme"},
    }
    assert GroupIdentify(
        group_type="company", group_id="c", properties={"name": "Acme"}, distinct_id="u"
    ).neutral() == {
        "type": "group_identify",
        "groupType": "company",
        "groupId": "c",
        "userId": "u",
        "traits": {"name": "Acme"},
    }


def test_ids_become_text() -> None:
    """Zero is an id like any other."""
    assert Track(user_id=0, anonymous_id=UUID(int=1), event="E").neutral() == {
        "type": "track",
        "userId": "0",
        "anonymousId": "00000000-0000-0000-0000-000000000001",
        "event": "E",
    }


@pytest.mark.parametrize("blank", [None, "", "  ", "\t\n", "\u2003"])
def test_a_blank_id_is_a_missing_id(blank: str | None) -> None:
    """One of two is enough, none is not."""
    assert Track(user_id=blank, anonymous_id="a", event="E").neutral()["anonymousId"] == "a"
    message = Track(user_id=blank, anonymous_id=blank, event="E")
    assert refused(message) == ("Track", "user_id", blank)


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (Track(), ("Track", "event", "")),
        (Track(event=" ", user_id="u"), ("Track", "event", " ")),
        (Track(event="E"), ("Track", "user_id", None)),
        (Track(event="E", user_id=True), ("Track", "user_id", True)),
        (Identify(), ("Identify", "user_id", None)),
        (Page(name="N"), ("Page", "user_id", None)),
        (Screen(name="N"), ("Screen", "user_id", None)),
        (Group(), ("Group", "group_id", None)),
        (Group(group_id="g"), ("Group", "user_id", None)),
        (Alias(), ("Alias", "user_id", None)),
        (Alias(previous_id="p"), ("Alias", "user_id", None)),
        (Alias(user_id="u"), ("Alias", "previous_id", None)),
        (Capture(), ("Capture", "event", "")),
        (Capture(event="E", distinct_id=""), ("Capture", "distinct_id", "")),
        (GroupIdentify(), ("GroupIdentify", "group_type", "")),
        (GroupIdentify(group_type="t"), ("GroupIdentify", "group_id", None)),
        (CreateAlias(), ("CreateAlias", "distinct_id", None)),
        (CreateAlias(distinct_id="d"), ("CreateAlias", "alias", None)),
    ],
    ids=repr,
)
def test_the_first_missing_field_is_named(message: Message, place: tuple[str, str, object]) -> None:
    """In the order of the vendors' own SDKs."""
    assert refused(message) == place


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event", 7),
        ("event", b"E"),
        ("user_id", ["u"]),
        ("user_id", 1.5),
        ("anonymous_id", {"a": 1}),
        ("properties", [("a", 1)]),
        ("properties", "text"),
        ("context", 7),
        ("integrations", ["All"]),
        ("timestamp", 1_700_000_000),
        ("timestamp", 1_700_000_000.5),
        ("timestamp", "yesterday"),
        ("timestamp", "2026-03-01"),
        ("message_id", ""),
        ("message_id", " "),
        ("message_id", "x" * 100),
        ("message_id", b"id"),
        ("idempotency_key", ""),
        ("idempotency_key", 7),
    ],
)
def test_a_wrong_value_is_named(field: str, value: Any) -> None:
    """With type, field and value; the text of the error keeps the value to itself."""
    good: dict[str, Any] = {"event": "E", "user_id": "u"}
    message = Track(**{**good, field: value})
    with pytest.raises(FieldError) as raised:
        message.neutral()
    assert (raised.value.type, raised.value.field) == ("Track", field)
    assert raised.value.value is value
    assert "yesterday" not in str(raised.value)


@pytest.mark.parametrize(
    "message",
    [
        Identify(user_id="u", traits=7),  # type: ignore[arg-type]
        Group(user_id="u", group_id="g", traits=7),  # type: ignore[arg-type]
        Group(user_id="u", group_id="g", group_type=7),  # type: ignore[arg-type]
        Page(user_id="u", name=7),  # type: ignore[arg-type]
        Screen(user_id="u", category=7),  # type: ignore[arg-type]
        Capture(event="E", properties=7),  # type: ignore[arg-type]
        Capture(event="E", groups=7),  # type: ignore[arg-type]
        Capture(event="E", set=7),  # type: ignore[arg-type]
        Capture(event="E", set_once=7),  # type: ignore[arg-type]
        GroupIdentify(group_type="t", group_id="g", properties=7),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_an_object_is_a_mapping(message: Message) -> None:
    """Nothing else is let through to a server that refuses the batch."""
    kind, field, value = refused(message)
    assert (kind, value) == (type(message).__name__, 7)
    assert getattr(message, field) == 7


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (datetime(2026, 3, 1, 10, 20, 30, 123_456, UTC), "2026-03-01T10:20:30.123Z"),
        (datetime(2026, 3, 1, 10, 20, 30), "2026-03-01T10:20:30.000Z"),
        (date(2026, 3, 1), "2026-03-01T00:00:00.000Z"),
        ("2026-03-01T10:20:30+02:00", "2026-03-01T08:20:30.000Z"),
    ],
)
def test_a_timestamp_is_utc_on_the_wire(value: Any, wire: str) -> None:
    """Whatever form it came in."""
    assert Track(user_id="u", event="E", timestamp=value).neutral()["timestamp"] == wire


def test_an_idempotency_key_gives_the_same_id_again() -> None:
    """A second run of an import adds nothing; both kinds of id at once are a slip."""
    message = Track(user_id="u", event="E", idempotency_key="orders.csv:1")
    assert message.neutral()["messageId"] == str(uuid5(IDEMPOTENCY_NAMESPACE, "orders.csv:1"))
    message.message_id = "mine"
    with pytest.raises(FieldError) as raised:
        message.neutral()
    assert raised.value.field == "idempotency_key"


def test_a_group_type_is_a_trait() -> None:
    """Put into a copy."""
    traits = MappingProxyType({"name": "Acme", "groupType": "old"})
    message = Group(user_id="u", group_id="g", traits=traits, group_type="company")
    assert message.neutral()["traits"] == {"name": "Acme", "groupType": "company"}
    assert Group(user_id="u", group_id="g", group_type="company").neutral()["traits"] == {
        "groupType": "company"
    }
    assert traits["groupType"] == "old"


# -- PostHog's own -----------------------------------------------------------------------------


def test_groups_and_person_properties_are_properties() -> None:
    """PostHog reads them there; the caller's own dict is not touched."""
    properties = Properties(revenue=1)
    message = Capture(
        event="E",
        distinct_id="u",
        properties=properties,
        groups={"company": "c1"},
        set={"plan": "pro"},
        set_once={"source": "ad"},
    )
    assert message.neutral()["properties"] == {
        "revenue": 1,
        "$groups": {"company": "c1"},
        "$set": {"plan": "pro"},
        "$set_once": {"source": "ad"},
    }
    assert properties == {"revenue": 1}


def test_an_event_of_nobody_is_personless() -> None:
    """It gets a random id when it is opened, another each time."""
    message = Capture(event="E")
    assert message.neutral() == {
        "type": "capture",
        "event": "E",
        "properties": {"$process_person_profile": False},
    }
    ids = {opened(message)[1]["anonymousId"] for _ in range(3)}
    assert len(ids) == 3
    assert all(str(UUID(identity)) == identity for identity in ids)


def test_the_caller_may_want_a_person_after_all() -> None:
    """What is set explicitly stays."""
    message = Capture(event="E", properties={"$process_person_profile": True})
    assert message.neutral()["properties"] == {"$process_person_profile": True}


def test_an_anonymous_capture_is_not_personless() -> None:
    """It belongs to a device that may become a person."""
    assert opened(Capture(event="E", anonymous_id="a1"))[1] == {
        "type": "capture",
        "event": "E",
        "anonymousId": "a1",
    }


# -- opening -----------------------------------------------------------------------------------


def test_an_exception_event_has_all_that_is_known_of_the_error() -> None:
    """Under the neutral names, and its groups among the properties."""
    entry = {"type": "KeyError", "value": "'sku'"}
    steps = [{"message": "cart loaded"}]
    message = ExceptionEvent(
        anonymous_id="a1",
        exceptions=(entry,),
        level="fatal",
        source="python.sys_excepthook",
        fingerprint="cart",
        properties={"items": 3},
        groups={"company": "acme"},
        steps=steps,
        release_id="r",
        trace_id="t",
        span_id="s",
        event="Exception Captured",
    )
    assert message.neutral() == {
        "type": "exception_event",
        "anonymousId": "a1",
        "exceptions": [entry],
        "level": "fatal",
        "source": "python.sys_excepthook",
        "fingerprint": "cart",
        "releaseId": "r",
        "traceId": "t",
        "spanId": "s",
        "event": "Exception Captured",
        "steps": steps,
        "properties": {"items": 3, "$groups": {"company": "acme"}},
    }


def test_properties_cannot_replace_what_is_told_of_the_error() -> None:
    """Acceptance 9: PostHog would read them as the error, and lose the event over a wrong type."""
    foul = {
        "$exception_list": [],
        "$exception_level": 3,
        "$exception_issue_id": "x",
        "$debug_images": [],
        "$cymbal_errors": [],
        "$exception_fingerprint": ["a", "list"],
    }
    kept = {"$issue_name": "Payment", "order": 7, 3: "odd"}
    message = ExceptionEvent(user_id="u", exceptions=[{"type": "E"}], properties={**foul, **kept})
    assert message.neutral()["properties"] == kept
    named = ExceptionEvent(
        user_id="u", exceptions=[{"type": "E"}], properties={"$exception_fingerprint": "mine"}
    )
    assert named.neutral()["properties"] == {"$exception_fingerprint": "mine"}


def test_an_error_of_nobody_is_personless() -> None:
    """As a capture without an id."""
    message = ExceptionEvent(exceptions=[{"type": "E"}])
    _, neutral, _ = opened(message)
    assert UUID(neutral["anonymousId"])
    assert neutral["properties"] == {"$process_person_profile": False}


@pytest.mark.parametrize("exceptions", [(), [{}], [{"type": 3}], ["E"], "E", {"type": "E"}, 3])
def test_an_exception_event_needs_an_exception(exceptions: Any) -> None:
    """Each with a type; anything else would cost the event at PostHog."""
    place = refused(ExceptionEvent(user_id="u", exceptions=exceptions))
    assert place[:2] == ("ExceptionEvent", "exceptions")


@EACH
def test_opening_splits_a_message_in_two(message: Message, neutral: dict[str, Any]) -> None:
    """Its own fields as JSON, the common ones as keywords for the client."""
    full = msgspec.structs.replace(message, context={"ip": "x"}, message_id="m", historical=True)
    kind, body, common = opened(full)
    assert (kind, body) == (message.kind, neutral)
    assert common == {"context": {"ip": "x"}, "message_id": "m", "historical": True}


class Custom:
    """Looks like a message, and is none."""

    kind = Kind.TRACK

    def body(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("message", [None, {}, "track", Custom(), Track, object()])
def test_a_message_of_a_custom_type_is_refused(message: object) -> None:
    """With a word on what is expected; None is no crash."""
    with pytest.raises(FieldError, match="custom types cannot be enqueued") as raised:
        opened(message)
    assert isinstance(raised.value, PenstockError)


def test_an_unknown_field_is_refused_when_the_message_is_made() -> None:
    """A slip in a name is no new field."""
    with pytest.raises(TypeError, match="evnt"):
        Track(user_id="u", evnt="E")  # type: ignore[call-arg]


def test_a_repr_shows_no_payload() -> None:
    """Messages get logged."""
    message = Track(user_id="kim@example.test", event="Secret", properties={"card": "4111"})
    assert repr(message) == "<Track: user_id, event, properties>"


# -- laws --------------------------------------------------------------------------------------


@given(json_objects, json_objects)
def test_nothing_given_is_changed(properties: dict[str, Any], context: dict[str, Any]) -> None:
    """By no type of message."""
    before = copy.deepcopy((properties, context))
    messages: list[Message] = [
        Track(user_id="u", event="E", properties=properties, context=context),
        Identify(user_id="u", traits=properties, context=context),
        Group(user_id="u", group_id="g", traits=properties, group_type="t"),
        Capture(event="E", properties=properties, groups=context, set=properties),
    ]
    for message in messages:
        message.neutral()
        opened(message)[1]["new"] = 1
    assert (properties, context) == before


@given(st.sampled_from(get_args(Message)), st.data())
def test_any_values_make_a_message_or_a_field_error(kind: type, data: st.DataObject) -> None:
    """Misuse has one kind of exception, and what passes is a message one can send."""
    names = data.draw(st.sets(st.sampled_from(kind.__struct_fields__)))  # type: ignore[attr-defined]
    plain = st.none() | st.text() | st.integers() | json_objects | st.datetimes()
    values = {name: data.draw(plain) for name in names}
    try:
        neutral = kind(**values).neutral()
    except FieldError as error:
        found = error
        neutral = {"type": kind.kind.wire}  # type: ignore[attr-defined]
        assert found.type == kind.__name__
        assert found.field in kind.__struct_fields__  # type: ignore[attr-defined]
    assert neutral["type"] == kind.kind.wire  # type: ignore[attr-defined]
    assert all(value is not None for value in neutral.values())


@given(anything)
def test_any_property_makes_a_message_that_can_be_sent(value: object) -> None:
    """Checking a message never looks into its data."""
    message = Track(user_id="u", event="E", properties={"it": value})
    assert encode(message.neutral()).startswith(b'{"type":"track","userId":"u"')
