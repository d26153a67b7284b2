"""
Neutral to PostHog and back, in both capture modes, is the same message.

The exceptions are those that `penstock.dialects.posthog` lists, and no others: the strategies
below leave out exactly the properties named there.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.posthog import LIFTED, PostHogDialect, receive
from penstock.journal.record import Record
from penstock.kinds import BY_WIRE

MODES = ("legacy", "v1")

#: Event names that PostHog gives a meaning of its own.
SPECIAL = {"$pageview", "$screen", "$identify", "$set", "$set_once", "$groupidentify"}
SPECIAL |= {"$create_alias", "$exception"}

#: Read as booleans or text by V1; random values would not survive there.
TYPED = {
    "$process_person_profile": st.booleans(),
    "$cookieless_mode": st.booleans(),
    "$ignore_sent_at": st.booleans(),
    "$product_tour_id": st.text(max_size=5),
    "$window_id": st.text(max_size=5),
}

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=12)
said = st.text(characters, min_size=1, max_size=12)
#: NUL becomes U+FFFD at the server, and blanks alone are no id.
ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
ids = ids.filter(lambda text: text.strip() and len(text) <= 200)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
urls = st.sampled_from(
    ["https://me@shop.test:8443/a?b#c", "/only/path", "shop.test", "https://x.test", "", "//h/p?q"]
)
keys = texts | st.sampled_from(
    [
        *("url", "path", "referrer", "title", "search", "distinct_id", "alias", "token", "uuid"),
        *("$set_once", "$unset", "$group_type", "$feature/x", "exception_type", "groupType"),
    ]
)
contexts = st.fixed_dictionaries(
    {},
    optional={
        "ip": values,
        "userAgent": values,
        "locale": values,
        "sessionId": values,
        "setOnce": st.booleans(),
        "groupId": values,
        "traits": st.dictionaries(texts, values, max_size=2) | values,
        "os": st.fixed_dictionaries({}, optional={"name": values, "version": values}) | values,
        "device": st.fixed_dictionaries({}, optional={"id": ids | values, "type": texts}),
        "network": st.dictionaries(st.sampled_from(["wifi", "carrier"]), values),
        "campaign": st.dictionaries(st.sampled_from(["name", "source"]), values),
        "location": st.dictionaries(st.sampled_from(["city", "latitude"]), values),
        "library": values,
        "other": values,
    },
)
pages = st.dictionaries(
    st.sampled_from(["url", "path", "referrer", "title", "search"]), urls | values, max_size=3
)


def bags(*, without: set[str] = frozenset()) -> st.SearchStrategy[dict[str, Any]]:  # type: ignore[assignment]
    """Properties of any kind, but none that the mapping says it moves."""
    out_of_reach = LIFTED | TYPED.keys() | without | {"$groups", "$session_id"}
    free = st.dictionaries(keys.filter(lambda key: key not in out_of_reach), urls | values)
    typed = st.fixed_dictionaries({}, optional=TYPED)
    return st.builds(lambda one, two: {**one, **two}, free, typed)


def some_ids(draw: st.DrawFn) -> dict[str, str]:
    chosen = {"userId": draw(ids), "anonymousId": draw(ids)}
    match draw(st.sampled_from(["user", "anonymous", "both"])):
        case "user":
            del chosen["anonymousId"]
        case "anonymous":
            del chosen["userId"]
    return chosen


@st.composite
def messages(draw: st.DrawFn, type_: str) -> dict[str, Any]:
    """A neutral message of *type_*; unset fields are absent."""
    message: dict[str, Any] = {
        "type": type_,
        "messageId": draw(st.uuids().map(str) | said),
        "timestamp": draw(st.datetimes()).strftime("%Y-%m-%dT%H:%M:%S.123Z").zfill(24),
        **some_ids(draw),
    }
    match type_:
        case "track" | "capture":
            event = st.text(characters, min_size=1).filter(str.strip)
            message["event"] = draw(event.filter(lambda name: name not in SPECIAL))
            message["properties"] = draw(bags())
        case "page" | "screen":
            message["properties"] = draw(bags(without={"name", "category", "$screen_name"}))
            message |= draw(st.fixed_dictionaries({}, optional={"name": said, "category": said}))
        case "identify":
            message["traits"] = draw(st.dictionaries(texts, values))
        case "group":
            types = st.fixed_dictionaries({}, optional={"groupType": said | values})
            message |= {"groupId": draw(ids)}
            message["traits"] = draw(st.dictionaries(texts, values)) | draw(types)
        case "alias":
            message |= {"userId": draw(ids), "previousId": draw(ids)}
    if draw(st.booleans()):
        message["context"] = draw(contexts)
    return message


ERROR_TEXTS = {
    "level": "$exception_level",
    "source": "$exception_source",
    "fingerprint": "$exception_fingerprint",
    "releaseId": "$release_id",
    "traceId": "$trace_id",
    "spanId": "$span_id",
}


@st.composite
def exception_events(draw: st.DrawFn) -> dict[str, Any]:
    """Any neutral exception event."""
    entries = st.fixed_dictionaries(
        {"type": said, "value": texts}, optional={"mechanism": values, "stacktrace": values}
    )
    steps = st.fixed_dictionaries(
        {"message": texts, "properties": st.dictionaries(texts, values, max_size=2)}
    )
    optional = {**dict.fromkeys(ERROR_TEXTS, said), "steps": st.lists(steps, min_size=1)}
    return {
        "type": "exception_event",
        "messageId": draw(st.uuids().map(str) | said),
        "timestamp": "2026-03-01T10:20:31.123Z",
        **some_ids(draw),
        "exceptions": draw(st.lists(entries, min_size=1, max_size=4)),
        "properties": draw(bags(without={"exception_type", "exception_message"})),
        **draw(st.fixed_dictionaries({}, optional=optional)),
    }


def there_and_back(message: dict[str, Any], mode: str) -> dict[str, Any]:
    posthog = PostHogDialect("https://ph.test", "phc_demo", capture_mode=mode)
    payload = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    wire = posthog.encode(Record(1, BY_WIRE[message["type"]], 0, 0, payload)).wire
    return receive(json.loads(wire))


def core(message: dict[str, Any]) -> dict[str, Any]:
    """All the law speaks of; an empty object is none."""
    return {name: value for name, value in message.items() if name != "context" and value != {}}


@pytest.mark.parametrize("mode", MODES)
class TestRoundTrip:
    def test_track(self, mode: str) -> None:
        """Ids, event, properties, timestamp and message id come back, with any context."""

        @given(messages("track"))
        def check(message: dict[str, Any]) -> None:
            assert core(there_and_back(message, mode)) == core(message)

        check()

    def test_track_on_a_page(self, mode: str) -> None:
        """Where the event happened comes back as context, not as properties."""

        @given(messages("track"), pages)
        def check(message: dict[str, Any], page: dict[str, Any]) -> None:
            message["context"] = {"page": page}
            got = there_and_back(message, mode)
            assert core(got) == core(message)
            kept = {"url", "referrer"} & {name for name in page if page[name] is not None}
            assert all(got["context"]["page"][name] == page[name] for name in kept)

        check()

    def test_page(self, mode: str) -> None:
        """Also its URL parts; one without a name is named after its title."""

        @given(messages("page"))
        def check(message: dict[str, Any]) -> None:
            title = message["properties"].get("title")
            named = {"name": title} if isinstance(title, str) and title else {}
            assert core(there_and_back(message, mode)) == {**named, **core(message)}

        check()

    def test_page_with_page_context(self, mode: str) -> None:
        """The context fills gaps in the properties and changes none."""

        @given(messages("page"), pages)
        def check(message: dict[str, Any], page: dict[str, Any]) -> None:
            message["context"] = {"page": page}
            got = there_and_back(message, mode).get("properties", {})
            assert got.items() >= message["properties"].items()
            filled = {"url", "path", "referrer", "title", "search"}
            assert got.keys() - message["properties"].keys() <= filled

        check()

    def test_screen(self, mode: str) -> None:
        """Name and category are fields again."""

        @given(messages("screen"))
        def check(message: dict[str, Any]) -> None:
            assert core(there_and_back(message, mode)) == core(message)

        check()

    def test_identify(self, mode: str) -> None:
        """Traits, wherever they came from, and whether they only fill gaps."""

        @given(messages("identify"))
        def check(message: dict[str, Any]) -> None:
            got = there_and_back(message, mode)
            expected = dict(message)
            context = message.get("context", {})
            moved = context.get("traits")
            if not message["traits"] and isinstance(moved, dict):
                expected["traits"] = moved
            if message.get("anonymousId") == message.get("userId"):
                del expected["anonymousId"]
            assert core(got) == core(expected)
            if expected["traits"]:
                once = context.get("setOnce") is True
                assert got.get("context", {}).get("setOnce", False) is once

        check()

    def test_group(self, mode: str) -> None:
        """Key, traits and type; the usual type goes without saying."""

        @given(messages("group"))
        def check(message: dict[str, Any]) -> None:
            expected = dict(message)
            if message["traits"].get("groupType") == "segment_group":
                expected["traits"] = dict(message["traits"])
                del expected["traits"]["groupType"]
            assert core(there_and_back(message, mode)) == core(expected)

        check()

    def test_alias(self, mode: str) -> None:
        """Both ids, in the same roles."""

        @given(messages("alias"))
        def check(message: dict[str, Any]) -> None:
            assert core(there_and_back(message, mode)) == core(message)

        check()

    def test_capture_comes_back_as_track(self, mode: str) -> None:
        """PostHog's own call in the family's words; a personless user is an anonymous one."""

        @given(messages("capture"))
        def check(message: dict[str, Any]) -> None:
            expected = {**message, "type": "track"}
            personless = message["properties"].get("$process_person_profile") is False
            device = message.get("context", {}).get("device", {}).get("id")
            if "anonymousId" not in message and (personless or device == message["userId"]):
                expected["anonymousId"] = expected.pop("userId")
            assert core(there_and_back(message, mode)) == core(expected)

        check()

    def test_the_other_native_calls_come_back_as_group_and_alias(self, mode: str) -> None:
        """With their type as a trait, and their ids as they were."""
        stamps = {"messageId": "m-1", "timestamp": "2026-03-01T10:20:31.123Z"}
        own = {"type": "group_identify", "groupType": "company", "groupId": "acme", "userId": "u"}
        got = core(there_and_back({**stamps, **own, "traits": {"size": 3}}, mode))
        traits = {"size": 3, "groupType": "company"}
        assert got == {
            **stamps,
            "type": "group",
            "groupId": "acme",
            "userId": "u",
            "traits": traits,
        }
        own = {"type": "create_alias", "distinctId": "u", "alias": "a"}
        got = core(there_and_back({**stamps, **own}, mode))
        assert got == {**stamps, "type": "alias", "userId": "u", "previousId": "a"}

    def test_an_exception_event_comes_back_as_posthogs_own(self, mode: str) -> None:
        """Every fact of the error is there, in PostHog's words; sent again it is the same."""

        @given(exception_events())
        def check(message: dict[str, Any]) -> None:
            got = there_and_back(message, mode)
            first = message["exceptions"][0]
            expected = {
                "exception_type": first["type"],
                "exception_message": first["value"],
                **message["properties"],
                **{wire: message[name] for name, wire in ERROR_TEXTS.items() if name in message},
                "$exception_list": message["exceptions"],
            }
            if "steps" in message:
                expected["$exception_steps"] = [
                    {**step["properties"], "$message": step["message"]} for step in message["steps"]
                ]
            assert (got["type"], got["event"]) == ("track", "$exception")
            assert got["properties"] == expected
            ids = ("userId", "anonymousId", "messageId", "timestamp")
            same = {name: message[name] for name in ids if name in message}
            assert {name: got[name] for name in ids if name in got} == same
            assert core(there_and_back(got, mode)) == core(got)

        check()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "name", sorted(LIFTED - {"$geoip_disable", "$is_server", "$is_identified"})
)
def test_a_moved_property_is_not_a_lost_one(name: str, mode: str) -> None:
    """A caller's own value for a lifted key comes back somewhere else, unless it is ours to set."""
    value: Any = {"own": "value-9"} if name == "$set" else "value-9"
    message = {
        "type": "track",
        "messageId": "m-1",
        "timestamp": "2026-03-01T10:20:31.123Z",
        "userId": "u",
        "event": "e",
        "properties": {name: value},
    }
    got = json.dumps(there_and_back(message, mode))
    sdks_own = name in {"$lib", "$lib_version", "$message_id"}
    assert ("value-9" in got) is not sdks_own
