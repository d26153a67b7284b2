"""Neutral messages become the PostHog events that the mapping promises, in both capture modes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock._version import __version__
from penstock.dialects._posthog_system import host_properties
from penstock.dialects._types import Unencodable
from penstock.dialects.posthog import PostHogDialect
from penstock.errors import ConfigError
from penstock.journal.record import FLAG_HISTORICAL, Record
from penstock.kinds import BY_WIRE

if TYPE_CHECKING:
    from penstock.dialects._types import Encoded

ID = "0195500a-1111-7000-8000-000000000001"
TIME = "2026-03-01T10:20:31.000Z"
SYSTEM = {"$os": "Linux", "$os_version": "13", "$os_distro": "Debian", "$python_version": "3.11.2"}
MODES = ("legacy", "v1")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


def record(message: dict[str, Any], flags: int = 0, *, ascii_only: bool = False) -> Record:
    whole = {"messageId": ID, "timestamp": TIME, **message}
    payload = json.dumps(whole, separators=(",", ":"), ensure_ascii=ascii_only).encode()
    return Record(1, BY_WIRE[message["type"]], flags, 1_772_360_431, payload)


def dialect(mode: str = "legacy", **options: Any) -> PostHogDialect:
    settings = {"system": SYSTEM, **options}
    return PostHogDialect("https://ph.test", "phc_demo", capture_mode=mode, **settings)


def encoded(message: dict[str, Any], mode: str = "legacy", **options: Any) -> Encoded:
    return dialect(mode, **options).encode(record(message))


def event_of(message: dict[str, Any], mode: str = "legacy", **options: Any) -> dict[str, Any]:
    return json.loads(encoded(message, mode, **options).wire, object_pairs_hook=unique)


def properties_of(message: dict[str, Any], mode: str = "legacy", **options: Any) -> dict[str, Any]:
    return event_of(message, mode, **options)["properties"]


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fail on a JSON object that says a key twice."""
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)


def track(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "userId": "u-77", "event": "Order Completed", **fields}


class TestEveryEvent:
    def test_a_track_call_keeps_event_time_id_and_properties(self, mode: str) -> None:
        """What the caller said arrives as it was said."""
        event = event_of(track(properties={"revenue": 49.5, "items": [{"sku": "S1"}]}), mode)
        assert event["event"] == "Order Completed"
        assert event["uuid"] == ID
        assert event["timestamp"] == TIME
        assert event["distinct_id"] == "u-77"
        assert event["properties"]["revenue"] == 49.5
        assert event["properties"]["items"] == [{"sku": "S1"}]

    def test_legacy_events_name_the_library_and_v1_events_do_not(self) -> None:
        """V1 says it in a header and its server adds the properties."""
        legacy = properties_of(track())
        assert (legacy["$lib"], legacy["$lib_version"]) == ("penstock", __version__)
        assert not properties_of(track(), "v1").keys() & {"$lib", "$lib_version"}

    def test_nobody_can_pass_for_another_library(self) -> None:
        """A caller's own ``$lib`` is replaced in legacy and stripped in V1."""
        own = track(properties={"$lib": "web", "$lib_version": "9", "a": 1})
        assert properties_of(own)["$lib"] == "penstock"
        assert properties_of(own)["$lib_version"] == __version__
        assert not properties_of(own, "v1").keys() & {"$lib", "$lib_version"}

    def test_the_host_is_described(self, mode: str) -> None:
        """System properties come with every event."""
        assert properties_of(track(), mode).items() >= SYSTEM.items()

    def test_the_server_marker_can_be_left_out(self, mode: str) -> None:
        """``$is_server`` is true by default and absent, not false, when off."""
        assert properties_of(track(), mode)["$is_server"] is True
        assert "$is_server" not in properties_of(track(), mode, is_server=False)

    def test_an_event_without_properties_of_any_kind_has_an_empty_object(self) -> None:
        """Leaving everything out still gives valid JSON."""
        bare = {"is_server": False, "geoip": True, "system": {}}
        with_ip = track(context={"ip": "203.0.113.7"})
        assert properties_of(with_ip, "v1", **bare) == {"$ip": "203.0.113.7"}
        own_ip = track(properties={"$ip": "203.0.113.7"})
        assert properties_of(own_ip, "v1", **bare) == {"$ip": "203.0.113.7"}

    def test_whatever_the_caller_says_wins_over_defaults(self, mode: str) -> None:
        """Own values for SDK properties stay, also one that is null."""
        own = {"$is_server": False, "$geoip_disable": False, "$os": "TempleOS", "$ip": None}
        got = properties_of(track(properties=own, context={"ip": "203.0.113.7"}), mode)
        assert got.items() >= own.items()

    def test_geoip_stays_off_unless_the_event_has_an_address(self, mode: str) -> None:
        """Without an address PostHog would locate our server."""
        with_ip = track(context={"ip": "203.0.113.7"})
        assert properties_of(with_ip, mode)["$geoip_disable"] is True
        assert properties_of(track(), mode, geoip=True)["$geoip_disable"] is True
        located = properties_of(with_ip, mode, geoip=True)
        assert "$geoip_disable" not in located
        assert located["$ip"] == "203.0.113.7"

    @given(
        properties=st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]))
            | st.sampled_from(["$os", "$lib", "$ip", "$set", "utm_term", "name", "$session_id"]),
            st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-9, 9) | st.none(),
        ),
        kind=st.sampled_from(["track", "page", "screen", "capture", "group", "identify"]),
        mode=st.sampled_from(MODES),
        ascii_only=st.booleans(),
        context=st.sampled_from(
            [
                None,
                {},
                {"ip": "::1", "campaign": {"term": "x"}, "os": {"name": "Z"}, "sessionId": 7},
            ]
        ),
    )
    @example(
        properties={"$os": "Plan 9"}, kind="track", mode="legacy", ascii_only=True, context=None
    )
    def test_no_key_is_ever_written_twice(
        self,
        properties: dict[str, Any],
        kind: str,
        mode: str,
        ascii_only: bool,
        context: dict[str, Any] | None,
    ) -> None:
        """However the layers meet, the wire is valid JSON without duplicate keys."""
        message = {"type": kind, "userId": "u", "event": "e", "name": "n", "groupId": "g"}
        message |= {"properties": properties} | ({} if context is None else {"context": context})
        wire = dialect(mode).encode(record(message, ascii_only=ascii_only)).wire
        json.loads(wire, object_pairs_hook=unique)

    def test_keys_spelled_with_escapes_are_still_recognised(self, mode: str) -> None:
        r"""``"\u0024os"`` is ``$os``."""
        payload = record(track()).payload[:-1] + rb',"properties":{"\u0024os":"Plan 9"}}'
        wire = dialect(mode).encode(record(track())._replace(payload=payload)).wire
        assert json.loads(wire, object_pairs_hook=unique)["properties"]["$os"] == "Plan 9"

    def test_blanks_between_json_tokens_do_no_harm(self, mode: str) -> None:
        """An empty object may be written ``{ }``."""
        payload = record(track()).payload[:-1] + b',"properties":{ }}'
        wire = dialect(mode).encode(record(track())._replace(payload=payload)).wire
        assert json.loads(wire)["properties"]["$is_server"] is True


class TestIds:
    def test_a_uuid_message_id_is_the_event_uuid(self) -> None:
        """No rewriting, no extra property."""
        assert encoded(track()).key == ID
        assert "$message_id" not in properties_of(track())

    @pytest.mark.parametrize(
        "given_id", [ID.upper(), ID.replace("-", ""), "{" + ID + "}", f"urn:uuid:{ID}"]
    )
    def test_other_spellings_of_a_uuid_are_the_same_uuid(self, given_id: str) -> None:
        """PostHog sees one spelling; the caller's is kept beside it."""
        event = event_of(track(messageId=given_id))
        assert event["uuid"] == ID
        assert event["properties"]["$message_id"] == given_id

    @pytest.mark.parametrize("given_id", ["m-1", "order-17/3", "日本", ID + "0"])
    def test_any_other_id_gives_the_same_uuid_each_time(self, given_id: str, mode: str) -> None:
        """Retries and re-runs stay idempotent, and the original id can be found."""
        event = event_of(track(messageId=given_id), mode)
        assert event["uuid"] == str(uuid5(NAMESPACE_URL, f"messageId:{given_id}"))
        assert event["properties"]["$message_id"] == given_id

    def test_a_known_user_needs_no_marker(self, mode: str) -> None:
        """Most events carry no identity properties at all."""
        got = properties_of(track(), mode)
        assert not got.keys() & {"$is_identified", "$anon_distinct_id"}

    def test_an_anonymous_user_is_marked(self, mode: str) -> None:
        """A reader can tell the anonymous id from a user id."""
        message = {"type": "track", "anonymousId": "a-12", "event": "Seen"}
        event = event_of(message, mode)
        assert event["distinct_id"] == "a-12"
        assert event["properties"]["$is_identified"] is False

    def test_both_ids_are_sent(self, mode: str) -> None:
        """The user id identifies, the anonymous id is named."""
        event = event_of(track(anonymousId="a-12"), mode)
        assert event["distinct_id"] == "u-77"
        assert event["properties"]["$anon_distinct_id"] == "a-12"

    @pytest.mark.parametrize(
        "sign",
        [
            {"properties": {"$process_person_profile": False}},
            {"properties": {"$device_id": "u-77"}},
            {"context": {"device": {"id": "u-77"}}},
        ],
    )
    def test_a_user_who_looks_anonymous_is_marked_as_known(
        self, sign: dict[str, Any], mode: str
    ) -> None:
        """Personless events and device ids do not turn a user id into an anonymous one."""
        assert properties_of(track(**sign), mode)["$is_identified"] is True

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            ({"type": "track", "event": "e"}, "malformed"),
            ({"type": "track", "userId": "u"}, "malformed"),
            ({"type": "track", "userId": "x" * 201, "event": "e"}, "rejected"),
            ({"type": "alias", "userId": "u"}, "malformed"),
            ({"type": "group", "userId": "u"}, "malformed"),
            ({"type": "group_identify", "groupId": "g"}, "malformed"),
            ({"type": "track", "userId": 7, "event": "e"}, "malformed"),
            ({"type": "track", "userId": "u", "event": "e", "properties": [1]}, "malformed"),
            ({"type": "track", "userId": "u", "event": "e", "context": "x"}, "malformed"),
        ],
    )
    def test_what_posthog_cannot_take_is_told(
        self, message: dict[str, Any], reason: str, mode: str
    ) -> None:
        """Such a record ends as dead with a reason, and without its content."""
        with pytest.raises(Unencodable) as caught:
            encoded(message, mode)
        assert caught.value.reason == reason
        assert "xxx" not in caught.value.detail

    def test_two_hundred_characters_are_enough_for_an_id(self, mode: str) -> None:
        """The limit counts characters, not bytes."""
        name = "é" * 200
        assert event_of(track(userId=name), mode)["distinct_id"] == name

    def test_an_unknown_kind_is_told(self) -> None:
        """A journal of a later version does not crash this one."""
        with pytest.raises(Unencodable, match="kind 99"):
            dialect().encode(record(track())._replace(kind=99))


class TestIdentify:
    def test_traits_become_person_properties(self) -> None:
        """Legacy also repeats them at top level, V1 does not."""
        message = {"type": "identify", "userId": "u-77", "traits": {"email": "kim@example.test"}}
        legacy, v1 = event_of(message), event_of(message, "v1")
        assert legacy["event"] == v1["event"] == "$identify"
        assert legacy["properties"]["$set"] == v1["properties"]["$set"] == message["traits"]
        assert legacy["$set"] == message["traits"]
        assert "$set" not in v1
        assert "$set_once" not in legacy["properties"]

    def test_two_different_ids_are_merged(self, mode: str) -> None:
        """``$anon_distinct_id`` asks PostHog for the merge; equal ids have nothing to merge."""
        message = {"type": "identify", "userId": "u-77", "anonymousId": "a-12"}
        assert properties_of(message, mode)["$anon_distinct_id"] == "a-12"
        same = {**message, "anonymousId": "u-77"}
        assert "$anon_distinct_id" not in properties_of(same, mode)

    def test_no_traits_set_nothing(self, mode: str) -> None:
        """An empty ``$set`` is not sent."""
        for traits in ({}, {"traits": {}}):
            event = event_of({"type": "identify", "userId": "u", **traits}, mode)
            assert "$set" not in event
            assert "$set" not in event["properties"]

    def test_traits_that_came_in_the_context_are_not_lost(self, mode: str) -> None:
        """Some SDKs put them only there."""
        message = {"type": "identify", "userId": "u", "context": {"traits": {"plan": "pro"}}}
        assert properties_of(message, mode)["$set"] == {"plan": "pro"}

    def test_set_once_stays_once(self, mode: str) -> None:
        """A relayed ``$set_once`` must not start to overwrite."""
        message = {"type": "identify", "userId": "u", "traits": {"first": 1}}
        event = event_of({**message, "context": {"setOnce": True}}, mode)
        assert event["properties"]["$set_once"] == {"first": 1}
        assert "$set" not in event["properties"]


class TestPagesAndScreens:
    def test_a_page_has_name_category_and_url_parts(self, mode: str) -> None:
        """PostHog's web views find what they look for."""
        properties = {
            "url": "https://me@shop.test:8443/pricing?x=1#top",
            "referrer": "https://search.test/?q=penstock",
            "title": "Prices",
        }
        message = {"type": "page", "userId": "u", "name": "Pricing", "category": "Docs"}
        event = event_of({**message, "properties": properties}, mode)
        assert event["event"] == "$pageview"
        expected = {
            **properties,
            "name": "Pricing",
            "category": "Docs",
            "$current_url": properties["url"],
            "$host": "shop.test:8443",
            "$pathname": "/pricing",
            "$referrer": properties["referrer"],
            "$referring_domain": "search.test",
        }
        assert event["properties"].items() >= expected.items()

    def test_a_page_falls_back_on_its_context(self, mode: str) -> None:
        """``context.page`` fills what the properties leave out."""
        page = {"url": "https://shop.test/a", "path": "/b", "title": "T", "search": "?q"}
        message = {"type": "page", "userId": "u", "properties": {"title": "Own"}}
        got = properties_of({**message, "context": {"page": page}}, mode)
        expected = {"$current_url": page["url"], "$pathname": "/b", "search": "?q", "title": "Own"}
        assert got.items() >= expected.items()

    def test_derived_parts_follow_the_url_that_is_sent(self, mode: str) -> None:
        """Host and path never describe a URL that lost against another."""
        context = {"page": {"url": "https://context.test/c", "referrer": "https://r.test/"}}
        own = {"properties": {"url": "/only/a/path"}, "context": context}
        got = properties_of({"type": "page", "userId": "u", **own}, mode)
        assert got["$current_url"] == "/only/a/path"
        assert got["$pathname"] == "/only/a/path"
        assert "$host" not in got
        caller = track(properties={"$current_url": "https://own.test/o"}, context=context)
        got = properties_of(caller, mode)
        assert (got["$host"], got["$pathname"]) == ("own.test", "/o")

    def test_a_tracked_url_is_not_the_current_page(self, mode: str) -> None:
        """``url`` of a track call may be a link anywhere."""
        got = properties_of(track(properties={"url": "https://elsewhere.test/"}), mode)
        assert "$current_url" not in got
        page = {"url": "https://shop.test/a", "title": "T"}
        got = properties_of(track(context={"page": page}), mode)
        assert got["$current_url"] == "https://shop.test/a"
        assert "title" not in got

    def test_a_screen_has_a_screen_name(self, mode: str) -> None:
        """Also as ``name``, unless the caller uses that for something else."""
        message = {"type": "screen", "userId": "u", "name": "Settings", "category": "App"}
        event = event_of(message, mode)
        assert event["event"] == "$screen"
        expected = {"$screen_name": "Settings", "name": "Settings", "category": "App"}
        assert event["properties"].items() >= expected.items()
        own = properties_of({**message, "properties": {"name": "mine"}}, mode)
        assert (own["$screen_name"], own["name"]) == ("Settings", "mine")


class TestGroups:
    def test_a_group_call_sets_group_properties(self, mode: str) -> None:
        """Type, key, properties, and the membership of this very event."""
        message = {"type": "group", "userId": "u-77", "groupId": "acme", "traits": {"name": "Acme"}}
        event = event_of(message, mode)
        assert event["event"] == "$groupidentify"
        assert event["distinct_id"] == "u-77"
        expected = {
            "$group_type": "segment_group",
            "$group_key": "acme",
            "$group_set": {"name": "Acme"},
            "$groups": {"segment_group": "acme"},
        }
        assert event["properties"].items() >= expected.items()

    def test_the_traits_may_name_the_type(self, mode: str) -> None:
        """``groupType`` beats the setting and is no property of the group."""
        message = {"type": "group", "userId": "u", "groupId": "acme"}
        traits = {"groupType": "company", "size": 12}
        got = properties_of({**message, "traits": traits}, mode, group_type="team")
        assert got["$groups"] == {"company": "acme"}
        assert got["$group_set"] == {"size": 12}
        assert properties_of(message, mode, group_type="team")["$group_type"] == "team"
        odd = properties_of({**message, "traits": {"groupType": 5}}, mode)
        assert (odd["$group_type"], odd["$group_set"]) == ("segment_group", {"groupType": 5})

    def test_group_identify_is_posthogs_own_call(self, mode: str) -> None:
        """An explicit id first, a synthetic one otherwise, and an empty ``$group_set``."""
        message = {"type": "group_identify", "groupType": "company", "groupId": "acme"}
        event = event_of(message, mode)
        assert event["distinct_id"] == "$company_acme"
        assert event["properties"]["$group_set"] == {}
        assert "$groups" not in event["properties"]
        assert event_of({**message, "userId": "u-77"}, mode)["distinct_id"] == "u-77"

    def test_context_puts_an_event_into_a_group(self, mode: str) -> None:
        """``context.groupId`` counts unless the caller names groups."""
        context = {"groupId": "acme"}
        got = properties_of(track(context=context), mode, group_type="company")
        assert got["$groups"] == {"company": "acme"}
        own = track(context=context, properties={"$groups": {"team": "t1"}})
        assert properties_of(own, mode)["$groups"] == {"team": "t1"}


ALIAS = {"type": "alias", "userId": "u-77", "previousId": "a-12"}


class TestAliases:
    def test_the_known_user_survives_the_merge(self, mode: str) -> None:
        """``merge_safe``: the person of ``alias`` goes into that of ``distinct_id``."""
        event = event_of(ALIAS, mode)
        assert event["event"] == "$create_alias"
        assert event["distinct_id"] == event["properties"]["distinct_id"] == "u-77"
        assert event["properties"]["alias"] == "a-12"

    def test_the_vendors_direction_is_a_setting(self, mode: str) -> None:
        """``vendor``: the other way round."""
        event = event_of(ALIAS, mode, alias_direction="vendor")
        assert event["distinct_id"] == event["properties"]["distinct_id"] == "a-12"
        assert event["properties"]["alias"] == "u-77"

    @pytest.mark.parametrize("direction", ["merge_safe", "vendor"])
    def test_the_native_call_copies_both_ids(self, direction: str, mode: str) -> None:
        """No setting changes what a PostHog user wrote."""
        message = {"type": "create_alias", "distinctId": "first", "alias": "second"}
        event = event_of(message, mode, alias_direction=direction)
        assert event["distinct_id"] == event["properties"]["distinct_id"] == "first"
        assert event["properties"]["alias"] == "second"


class TestCapture:
    def test_posthogs_own_properties_pass_through(self) -> None:
        """Groups, person properties and sessions stay as they are."""
        own = {
            "$groups": {"company": "acme"},
            "$set": {"plan": "pro"},
            "$set_once": {"first": 1},
            "$session_id": "s-1",
        }
        message = {"type": "capture", "event": "sign up", "userId": "u", "properties": own}
        assert properties_of(message).items() >= own.items()

    def test_a_personless_event_stays_personless(self) -> None:
        """A random id and no person profile."""
        message = {"type": "capture", "event": "seen", "anonymousId": ID}
        event = event_of({**message, "properties": {"$process_person_profile": False}})
        assert event["distinct_id"] == ID
        assert event["properties"]["$process_person_profile"] is False

    def test_context_traits_set_person_properties(self, mode: str) -> None:
        """Unless the caller sets some, or there are none."""
        traits = {"traits": {"plan": "pro"}}
        assert properties_of(track(context=traits), mode)["$set"] == {"plan": "pro"}
        own = track(context=traits, properties={"$set": {"plan": "free"}})
        assert properties_of(own, mode)["$set"] == {"plan": "free"}
        assert "$set" not in properties_of(track(context={"traits": {}}), mode)


class TestContext:
    def test_every_known_field_has_its_property(self) -> None:
        """The whole table, at once."""
        context = {
            "ip": "203.0.113.7",
            "userAgent": "Browser/1",
            "locale": "da-DK",
            "timezone": "Europe/Copenhagen",
            "sessionId": 1772360431,
            "os": {"name": "iOS", "version": "19"},
            "app": {"name": "Shop", "version": "2.1", "build": "77", "namespace": "test.shop"},
            "device": {"id": "d", "manufacturer": "M", "model": "X", "name": "N", "type": "ios"},
            "network": {"carrier": "TDC", "wifi": True, "cellular": False, "bluetooth": True},
            "screen": {"height": 800, "width": 600, "density": 2},
            "campaign": {"source": "s", "medium": "m", "name": "n", "content": "c", "term": "t"},
            "location": {"city": "Aarhus", "country": "DK", "region": "Midt", "latitude": 0.0},
            "page": {"url": "https://shop.test/a/b?c", "referrer": "https://r.test/x"},
            "library": {"name": "other"},
            "unknown": {"a": 1},
        }
        own = properties_of(track(context=context), is_server=False, geoip=True, system={})
        assert own == {
            "$lib": "penstock",
            "$lib_version": __version__,
            "$ip": "203.0.113.7",
            "$raw_user_agent": "Browser/1",
            "$useragent": "Browser/1",
            "$locale": "da-DK",
            "$timezone": "Europe/Copenhagen",
            "$session_id": "1772360431",
            "$os": "iOS",
            "$os_version": "19",
            "$app_name": "Shop",
            "$app_version": "2.1",
            "$app_build": "77",
            "$app_namespace": "test.shop",
            "$device_id": "d",
            "$device_manufacturer": "M",
            "$device_model": "X",
            "$device_name": "N",
            "$device_type": "ios",
            "$network_carrier": "TDC",
            "$network_wifi": True,
            "$network_bluetooth": True,
            "$screen_height": 800,
            "$screen_width": 600,
            "$screen_density": 2,
            "utm_source": "s",
            "utm_medium": "m",
            "utm_campaign": "n",
            "utm_content": "c",
            "utm_term": "t",
            "$geoip_city_name": "Aarhus",
            "$geoip_country_name": "DK",
            "$geoip_subdivision_1_name": "Midt",
            "$geoip_latitude": 0.0,
            "$current_url": "https://shop.test/a/b?c",
            "$host": "shop.test",
            "$pathname": "/a/b",
            "$referrer": "https://r.test/x",
            "$referring_domain": "r.test",
        }

    def test_another_system_replaces_this_host_entirely(self, mode: str) -> None:
        """No event says iOS and Debian at once."""
        got = properties_of(track(context={"os": {"name": "iOS"}}), mode)
        assert got["$os"] == "iOS"
        assert not got.keys() & {"$os_version", "$os_distro"}
        assert got["$python_version"] == "3.11.2"

    def test_a_context_of_odd_shapes_does_no_harm(self, mode: str) -> None:
        """Anything JSON can say is either sent or ignored."""
        odd = {"os": "Linux", "page": [1], "device": None, "sessionId": True, "traits": 3}
        odd |= {"ip": None, "groupId": 4, "locale": {"a": 1}, "network": {"wifi": "yes"}}
        got = properties_of(track(context=odd), mode)
        assert got["$locale"] == {"a": 1}
        assert got["$os"] == "Linux"  # this host's
        assert not got.keys() & {"$ip", "$groups", "$set", "$session_id", "$network_wifi"}


class TestV1Lifting:
    @pytest.mark.parametrize(
        ("value", "read"),
        [
            (True, True),
            (" TRUE ", True),
            ("1", True),
            ("false", False),
            ("0", False),
            (2, True),
            (0.0, False),
        ],
    )
    def test_boolean_options_are_coerced(self, value: object, read: bool) -> None:
        """A badly typed option would make the server drop the event."""
        own = {"$process_person_profile": value, "$cookieless_mode": value}
        event = event_of(track(properties=own), "v1")
        assert event["options"] == {"process_person_profile": read, "cookieless_mode": read}
        assert not event["properties"].keys() & own.keys()

    @pytest.mark.parametrize("value", ["maybe", "", None, [], {"a": 1}])
    def test_what_is_no_boolean_is_dropped(self, value: object) -> None:
        """The server's default applies."""
        event = event_of(track(properties={"$ignore_sent_at": value}), "v1")
        assert event["options"] == {}
        assert "$ignore_sent_at" not in event["properties"]

    def test_session_window_and_tour_are_lifted(self) -> None:
        """Text moves out of the properties."""
        own = {"$session_id": "s-1", "$window_id": "w-1", "$product_tour_id": 12}
        event = event_of(track(properties={**own, "$ignore_sent_at": True}), "v1")
        assert (event["session_id"], event["window_id"]) == ("s-1", "w-1")
        assert event["options"] == {"product_tour_id": "12", "disable_skew_correction": True}
        assert not event["properties"].keys() & own.keys()

    def test_the_contexts_session_is_lifted_too(self) -> None:
        """Wherever it came from."""
        event = event_of(track(context={"sessionId": 12, "ip": "::1"}), "v1")
        assert event["session_id"] == "12"
        assert "$session_id" not in event["properties"]
        assert event["properties"]["$ip"] == "::1"
        assert "session_id" not in event_of(track(properties={"$session_id": [1]}), "v1")

    def test_a_shared_context_is_not_changed_by_an_event(self) -> None:
        """The next event with the same context still has its session."""
        both = dialect("v1")
        message = record(track(context={"sessionId": "s", "ip": "::1"}))
        assert both.encode(message) == both.encode(message)


class TestRoutes:
    def test_historical_events_travel_apart(self, mode: str) -> None:
        """The flag is a property of the request, so requests must not mix."""
        both = dialect(mode)
        live, old = both.encode(record(track())), both.encode(record(track(), FLAG_HISTORICAL))
        assert both.bucket(live, 1) != both.bucket(old, 1)

    def test_a_migration_makes_everything_historical(self, mode: str) -> None:
        """The setting wins over the event."""
        all_old = dialect(mode, historical_migration=True)
        buckets = {all_old.bucket(all_old.encode(record(track(), flag)), 1) for flag in (0, 2)}
        assert len(buckets) == 1


class TestSettings:
    @pytest.mark.parametrize("field", ["capture_mode", "alias_direction"])
    def test_a_word_nobody_knows_is_a_config_error(self, field: str) -> None:
        """Named, with what would be right."""
        with pytest.raises(ConfigError, match=field):
            PostHogDialect("https://ph.test", "k", **{field: "v3"})

    def test_the_key_is_in_no_repr(self, mode: str) -> None:
        """A dialect may end up in a log line."""
        assert "phc_demo" not in repr(dialect(mode))

    def test_the_real_host_is_described_when_nobody_says_otherwise(self) -> None:
        """At least the interpreter is known everywhere, and every value is text."""
        got = PostHogDialect("https://ph.test", "k").encode(record(track())).wire
        properties = json.loads(got)["properties"]
        assert properties["$python_version"].startswith("3.")
        assert properties.items() >= host_properties().items()
        assert all(isinstance(value, str) and value for value in host_properties().values())


def test_two_ids_never_share_a_uuid() -> None:
    """Rewriting is injective for ids that do not parse as UUIDs."""
    keys = {encoded(track(messageId=f"m-{number}")).key for number in range(200)}
    assert len(keys) == 200
    assert all(UUID(key).version == 5 for key in keys)
