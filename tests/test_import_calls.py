"""A plan makes of each row the call the user asked for."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neutral import messages
from penstock.importing import (
    BadValue,
    Call,
    Calls,
    MessageIds,
    Plan,
    PlanError,
    Property,
    Row,
    field_name,
    property_from,
)
from penstock.testing import MemoryClient

DIGEST = "4c1d" * 16
USER = {"user_id": "customer"}


def call(plan: Plan, values: dict[str, Any], *, typed: bool = False, number: int = 1) -> Call:
    return Calls(plan, MessageIds(DIGEST), typed=typed).of(Row(number, None, values, None))


def test_columns_without_a_field_are_properties() -> None:
    """With numbers as numbers, and the event's name and constants from the plan."""
    plan = Plan(
        event="Order Completed",
        fields={**USER, "timestamp": "at"},
        constants={"currency": "USD"},
    )
    values = {"customer": "00001", "at": "1997-01-01", "quantity": "1", "revenue": "11.77"}
    assert call(plan, values) == Call(
        "track",
        {
            "user_id": "00001",
            "timestamp": "1997-01-01T00:00:00.000Z",
            "event": "Order Completed",
            "message_id": MessageIds(DIGEST).of(1, "track", "Order Completed"),
            "properties": {"currency": "USD", "quantity": 1, "revenue": 11.77},
            "historical": True,
        },
    )


def test_named_properties_are_the_only_ones() -> None:
    """Naming one says that the others are not wanted; a column without a value makes none."""
    wanted = (Property("items", "quantity", "integer"), Property("gone", "missing"))
    plan = Plan(event="E", fields=USER, properties=wanted)
    arguments = call(plan, {"customer": "1", "quantity": "2", "secret": "x"}).arguments
    assert arguments["properties"] == {"items": 2}


@pytest.mark.parametrize(
    ("kind", "fields", "bag"),
    [
        ("identify", {"user_id": "a"}, "traits"),
        ("page", {"anonymous_id": "a", "name": "b", "category": "c"}, "properties"),
        ("screen", {"user_id": "a", "name": "b"}, "properties"),
        ("group", {"user_id": "a", "group_id": "b"}, "traits"),
    ],
)
def test_every_type_has_its_fields_and_its_bag(kind: str, fields: dict[str, str], bag: str) -> None:
    """Traits of people and groups, properties of everything else."""
    made = call(Plan(type=kind, fields=fields), {"a": "1", "b": "2", "c": "3", "rest": "4"})
    assert made.method == kind
    assert {name: made.arguments[name] for name in fields} == {
        name: {"a": "1", "b": "2", "c": "3"}[column] for name, column in fields.items()
    }
    assert made.arguments[bag]["rest"] == 4


def test_alias_has_two_ids_and_nothing_else() -> None:
    """Other columns have nowhere to go."""
    plan = Plan(type="alias", fields={"user_id": "new", "previous_id": "old"})
    arguments = call(plan, {"new": "u", "old": "a", "rest": "1"}).arguments
    assert arguments.keys() == {"user_id", "previous_id", "message_id", "historical"}


def test_a_captured_person_is_called_distinct_id() -> None:
    """PostHog's own call has PostHog's own word."""
    arguments = call(Plan(type="capture", event="e", fields=USER), {"customer": "7"}).arguments
    assert arguments["distinct_id"] == "7"
    assert "user_id" not in arguments


def test_context_fields_nest() -> None:
    """``context.page.url`` is the url of the page of the context."""
    plan = Plan(event="E", fields={**USER, "context.ip": "ip", "context.page.url": "url"})
    arguments = call(plan, {"customer": "1", "ip": "203.0.113.7", "url": "/x"}).arguments
    assert arguments["context"] == {"ip": "203.0.113.7", "page": {"url": "/x"}}
    assert arguments["properties"] == {}


def test_json_values_keep_their_types_and_can_be_reached_by_path() -> None:
    """Text that looks like a number was meant as text; inside objects a dot leads on."""
    plan = Plan(event="E", fields={"user_id": "user.id"})
    values = {"user": {"id": 17}, "postcode": "0900", "count": "5", "tags": ["a"]}
    arguments = call(plan, values, typed=True).arguments
    assert arguments["user_id"] == "17"
    assert arguments["properties"] == values


def test_a_bad_cell_is_named_by_its_column() -> None:
    """The reason in the rejects file must lead to the cell."""
    plan = Plan(event="E", fields=USER, properties=(Property("n", "quantity", "integer"),))
    with pytest.raises(BadValue, match=r"^quantity: not an integer$"):
        call(plan, {"customer": "1", "quantity": "many"})


# -- messages ------------------------------------------------------------------------------

WHOLE: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (
        {"type": "track", "userId": "u", "event": "E", "properties": {"a": 1}},
        "track",
        {"user_id": "u", "event": "E", "properties": {"a": 1}},
    ),
    (
        {"type": "identify", "userId": 7, "anonymousId": "a", "traits": {"plan": "pro"}},
        "identify",
        {"user_id": "7", "anonymous_id": "a", "traits": {"plan": "pro"}},
    ),
    (
        {"type": "page", "anonymousId": "a", "name": "N", "category": "C", "properties": {}},
        "page",
        {"anonymous_id": "a", "name": "N", "category": "C", "properties": {}},
    ),
    (
        {"type": "group", "userId": "u", "groupId": "g", "traits": {}},
        "group",
        {"user_id": "u", "group_id": "g", "traits": {}},
    ),
    (
        {"type": "alias", "userId": "u", "previousId": "a"},
        "alias",
        {"user_id": "u", "previous_id": "a"},
    ),
    (
        {"type": "capture", "userId": "u", "event": "e", "properties": {"$set": {}}},
        "capture",
        {"distinct_id": "u", "event": "e", "properties": {"$set": {}}},
    ),
    (
        {"type": "group_identify", "groupType": "company", "groupId": "c", "traits": {"n": 1}},
        "group_identify",
        {"group_type": "company", "group_id": "c", "properties": {"n": 1}},
    ),
    (
        {"type": "create_alias", "distinctId": "d", "alias": "a"},
        "alias",
        {"distinct_id": "d", "alias": "a"},
    ),
]


@pytest.mark.parametrize(("message", "method", "wanted"), WHOLE, ids=lambda v: str(v)[:30])
def test_a_row_that_is_a_message_is_taken_as_it_is(
    message: dict[str, Any], method: str, wanted: dict[str, Any]
) -> None:
    """Its type, ids and objects; its own message id and time if it has them."""
    common = {
        "messageId": "m-1",
        "originalTimestamp": "2026-03-01T10:20:30Z",
        "context": {"ip": "203.0.113.7", "library": {"name": "other"}},
        "integrations": {"All": True},
        "sentAt": "2026-03-01T10:20:31Z",
        "receivedAt": None,
        "traits": message.get("traits"),
    }
    made = call(Plan(), {**common, **message}, typed=True)
    assert made == Call(
        method,
        {
            **wanted,
            "message_id": "m-1",
            "timestamp": "2026-03-01T10:20:30.000Z",
            "context": {"ip": "203.0.113.7"},
            "integrations": {"All": True},
            "historical": True,
        },
    )


def imported(message: dict[str, Any]) -> dict[str, Any]:
    """What a client makes of a row that is *message*."""
    with MemoryClient() as client:
        call(Plan(), message, typed=True).on(client)
        return client.events[0].raw


@given(messages())
def test_an_export_is_imported_as_it_was(message: dict[str, Any]) -> None:
    """Nothing is added, lost or changed, for every message a client can make."""
    assert imported(message) == message


@pytest.mark.parametrize(
    "message",
    [
        {"type": "capture", "userId": "u", "event": "e", "properties": {"$set": {"a": 1}}},
        {
            "type": "capture",
            "anonymousId": "0195500a-3333-7000-8000-000000000001",
            "event": "e",
            "properties": {"$process_person_profile": False},
        },
        {"type": "group_identify", "groupType": "t", "groupId": "g", "traits": {"a": 1}},
        {"type": "create_alias", "distinctId": "d", "alias": "a"},
    ],
)
def test_posthogs_own_messages_arrive_at_the_same_person(message: dict[str, Any]) -> None:
    """Whatever the field is called, the distinct id is the same."""
    stamped = {**message, "messageId": "m-1", "timestamp": "2026-03-01T10:20:30.123Z"}
    found = imported(stamped)
    distinct = {found.pop("userId", None), found.pop("anonymousId", None)}
    assert distinct == {stamped.pop("userId", None), stamped.pop("anonymousId", None)}
    assert found == stamped


def test_a_message_without_an_id_gets_that_of_its_row() -> None:
    """So a second run sends the same id."""
    message = {"type": "track", "userId": "u", "event": "E"}
    made = call(Plan(), message, typed=True, number=9)
    assert made.arguments["message_id"] == MessageIds(DIGEST).of(9, "track", "E")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"properties": []}, "properties: not an object"),
        ({"userId": 1.5}, "userId: a float is not an id"),
        ({"timestamp": "noon"}, "timestamp: not an RFC 3339 time or date"),
        ({"messageId": {}}, "messageId: a dict is not an id"),
    ],
)
def test_a_message_with_a_wrong_field_is_refused(broken: dict[str, Any], reason: str) -> None:
    """The reason names the field as it is written in the file."""
    message = {"type": "track", "userId": "u", "event": "E", **broken}
    with pytest.raises(BadValue, match=f"^{reason}$"):
        call(Plan(), message, typed=True)


def test_a_type_column_of_the_users_own_is_a_property() -> None:
    """``"type": "premium"`` is no message, and with a given type none is looked for."""
    values = {"type": "premium", "customer": "1"}
    assert call(Plan(event="E", fields=USER), values, typed=True).arguments["properties"] == {
        "type": "premium"
    }
    values["type"] = "page"
    plan = Plan(type="track", event="E", fields=USER)
    assert call(plan, values, typed=True).method == "track"


# -- ids -----------------------------------------------------------------------------------


def test_ids_are_the_same_in_every_run() -> None:
    """Pinned: an import begun with this version ends under the same ids with the next."""
    found = MessageIds(DIGEST).of(1, "track", "Order Completed")
    assert found == "b2e33a02-a512-57fb-a903-44f26c9810f5"
    assert uuid.UUID(found).version == 5


@given(st.sets(st.integers(min_value=1, max_value=10**9), min_size=2, max_size=50))
def test_no_two_rows_share_an_id(numbers: set[int]) -> None:
    """Rows that repeat each other word for word stay two events."""
    ids = MessageIds(DIGEST)
    assert len({ids.of(number, "track", "E") for number in numbers}) == len(numbers)


def test_other_files_types_and_events_have_other_ids() -> None:
    """The people of a file and the orders of the same file are different facts."""
    ids = MessageIds(DIGEST)
    found = {ids.of(1, "track", "E"), ids.of(1, "track", "F"), ids.of(1, "identify")}
    found.add(MessageIds("0" * 64).of(1, "track", "E"))
    assert len(found) == 4


def test_a_column_can_bring_the_ids() -> None:
    """Then a file that grew imports its new rows only."""
    plan = Plan(event="E", fields={**USER, "message_id": "order"})
    assert call(plan, {"customer": "1", "order": "o-9"}).arguments["message_id"] == "o-9"


# -- plans ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"type": "sale"}, "no such type: sale"),
        ({"fields": {"group_id": "a"}}, "track has no field group_id"),
        ({"type": "identify", "event": "E"}, "identify has no event name"),
        ({"event": "E", "fields": {"event": "a"}}, "given twice"),
        ({"type": "alias", "constants": {"a": 1}}, "alias has no properties"),
        ({"fields": {"context.page": "a", "context.page.url": "b"}}, "cannot be a value and hold"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(settings: dict[str, Any], reason: str) -> None:
    """Before the file is opened."""
    with pytest.raises(PlanError, match=reason):
        Plan(**settings)


def test_a_column_that_is_not_there_is_refused() -> None:
    """A misspelt one would make a hundred thousand events without a user."""
    plan = Plan(event="E", fields={"user_id": "custmer"})
    with pytest.raises(PlanError, match="no column 'custmer'; the file has customer, revenue"):
        plan.check_columns(["customer", "revenue"])
    plan.check_columns(None)


def test_a_plans_fingerprint_changes_with_the_plan() -> None:
    """Another mapping of the same file is another import."""
    plans = [
        Plan(),
        Plan(event="E"),
        Plan(fields=USER),
        Plan(properties=(Property("a", "b"),)),
        Plan(constants={"a": 1}),
        Plan(timezone="Europe/Copenhagen"),
        Plan(historical=False),
    ]
    assert len({plan.fingerprint() for plan in plans}) == len(plans)
    assert Plan(fields=dict(USER)).fingerprint() == Plan(fields=USER).fingerprint()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a=b", Property("a", "b", "auto")),
        ("a=b:integer", Property("a", "b", "integer")),
        ("a=b:c", Property("a", "b:c", "auto")),
        ("a=b=c:json", Property("a", "b=c", "json")),
    ],
)
def test_a_property_is_read_from_its_option(text: str, wanted: Property) -> None:
    """A colon is part of the column unless a type follows."""
    assert property_from(text) == wanted


@pytest.mark.parametrize("text", ["a", "=b", "a=", "a=:integer", ""])
def test_half_a_property_is_refused(text: str) -> None:
    """There is no column without a name and no name without a column."""
    with pytest.raises(PlanError):
        property_from(text)


def test_fields_may_be_spelt_as_on_the_wire() -> None:
    """Both worlds meet on this command line."""
    assert field_name("userId") == field_name("user_id") == "user_id"
    assert field_name("context.userAgent") == "context.userAgent"
