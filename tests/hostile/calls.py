"""Calls of a client with a hostile value in every place a value can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hostile.scalars import text
from penstock import Capture, Group, GroupIdentify, Identify, Page, Screen, Track, scoped

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from hostile.made import Made
    from penstock import Client


class Call(NamedTuple):
    """One call that was prepared."""

    #: Makes it; the message id is its result.
    make: Callable[[Client], str]
    #: Fields that may be misused: a `FieldError` naming one of them is an answer.
    fields: frozenset[str] = frozenset()
    #: Whether each value is in the message once, as it was made.
    once: bool = True


#: What stands beside the hostile values in every event, and must arrive.
GOOD = {"plan": "Enterprise", "price": 49.99, "tags": ["a", None]}


def inside(random: Random, values: list[Made]) -> Call:
    """Values inside properties, traits or context: data, which never raises."""
    it = {**GOOD, **{f"v{number}": made.value for number, made in enumerate(values)}}
    kind = random.randrange(12)
    calls: list[Call] = [
        *(Call(lambda client: client.track("u1", "Signed Up", it)),) * 4,
        Call(lambda client: client.track("u1", "Signed Up", GOOD, context=it)),
        Call(lambda client: client.identify("u1", it)),
        Call(lambda client: client.page("u1", "Home", it, category="x")),
        Call(lambda client: client.group("u1", "g1", it, group_type="company")),
        Call(lambda client: client.capture("paid", "u1", it, groups={"company": "c1"})),
        Call(lambda client: client.capture("paid", "u1", GOOD, set=it, set_once={"a": 1})),
        Call(lambda client: client.group_identify("company", "c1", it)),
        Call(lambda client: client.enqueue(Track(user_id="u1", event="Paid", properties=it))),
    ]
    return calls[kind]


def in_scope(values: list[Made]) -> Call:
    """Values in the ambient scope."""
    it = {f"v{number}": made.value for number, made in enumerate(values)}

    def make(client: Client) -> str:
        with scoped(user_id="u1", properties=it), scoped(context={"a": 1}):
            return client.track(event="Signed Up", properties=GOOD)

    return Call(make)


def instead(random: Random, made: Made) -> Call:
    """A value in the place of a whole argument: right, wrong, or hostile."""
    it, name = made.value, random.choice(sorted(PLACES))
    return Call(lambda client: PLACES[name](client, it), frozenset({name}) | _ALSO, once=False)


#: The fields an error may name beside the one that was given: the id that is missing then.
_ALSO = frozenset({"user_id", "message"})
#: Arguments by name, each in a call that is right but for it.
PLACES: dict[str, Callable[[Client, Any], str]] = {
    "properties": lambda client, it: client.track("u1", "Signed Up", it),
    "context": lambda client, it: client.track("u1", "Signed Up", GOOD, context=it),
    "integrations": lambda client, it: client.track("u1", "Signed Up", GOOD, integrations=it),
    "timestamp": lambda client, it: client.track("u1", "Signed Up", GOOD, timestamp=it),
    "message_id": lambda client, it: client.track("u1", "Signed Up", GOOD, message_id=it),
    "idempotency_key": lambda client, it: client.track("u1", "Paid", GOOD, idempotency_key=it),
    "historical": lambda client, it: client.track("u1", "Paid", GOOD, historical=it),
    "user_id": lambda client, it: client.track(it, "Signed Up", GOOD),
    "anonymous_id": lambda client, it: client.identify(None, GOOD, anonymous_id=it),
    "event": lambda client, it: client.track("u1", it, GOOD),
    "traits": lambda client, it: client.identify("u1", it),
    "name": lambda client, it: client.screen("u1", it, GOOD),
    "category": lambda client, it: client.page("u1", "Home", GOOD, category=it),
    "group_id": lambda client, it: client.group("u1", it, GOOD),
    "group_type": lambda client, it: client.group("u1", "g1", GOOD, group_type=it),
    "previous_id": lambda client, it: client.alias(user_id="u1", previous_id=it),
    "alias": lambda client, it: client.alias(distinct_id="u1", alias=it),
    "distinct_id": lambda client, it: client.capture("paid", it, GOOD),
    "groups": lambda client, it: client.capture("paid", "u1", GOOD, groups=it),
    "set": lambda client, it: client.capture("paid", "u1", GOOD, set=it),
    "set_once": lambda client, it: client.capture("paid", "u1", GOOD, set_once=it),
    "message": lambda client, it: client.enqueue(it),
}


def typed(random: Random, made: Made) -> Call:
    """A message whose fields hold anything, in and out of a scope."""
    kinds = (Track, Identify, Page, Screen, Group, Capture, GroupIdentify)
    kind = random.choice(kinds)
    fields = [name for name in kind.__struct_fields__ if random.random() < 0.5]
    message = kind(**dict.fromkeys(fields, made.value))

    def make(client: Client) -> str:
        if random.random() < 0.5:
            return client.enqueue(message)
        with scoped(user_id=text(random), properties={"a": 1}, context={"ip": "::1"}):
            return client.enqueue(message)

    return Call(make, frozenset(kind.__struct_fields__) | _ALSO, once=False)
