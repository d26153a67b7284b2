"""PostHog events become neutral messages, whichever SDK sent them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from penstock.dialects._receiving import Refused
from penstock.dialects.posthog import receive, receive_v1

ID = "0195500a-1111-7000-8000-000000000001"
TIME = "2026-03-01T10:20:31.000Z"


def wire(event: str = "Order Completed", **fields: Any) -> dict[str, Any]:
    return {"event": event, "uuid": ID, "distinct_id": "u-77", "timestamp": TIME, **fields}


def with_properties(event: str = "Order Completed", **properties: Any) -> dict[str, Any]:
    return wire(event, properties={name.replace("__", "$"): v for name, v in properties.items()})


def refused(item: Any, **options: Any) -> str:
    with pytest.raises(Refused) as caught:
        receive(item, **options)
    return caught.value.code


class TestTypes:
    def test_any_event_is_a_track_call(self) -> None:
        """Its name and properties are kept."""
        got = receive(with_properties(revenue=49.5, __feature="x"))
        assert got == {
            "type": "track",
            "messageId": ID,
            "timestamp": TIME,
            "userId": "u-77",
            "event": "Order Completed",
            "properties": {"revenue": 49.5, "$feature": "x"},
        }

    @pytest.mark.parametrize(
        "event", ["$feature_flag_called", "$autocapture", "$pageleave", "$merge_dangerously"]
    )
    def test_posthogs_other_names_stay_track_calls(self, event: str) -> None:
        """Unchanged."""
        got = receive(wire(event))
        assert (got["type"], got["event"]) == ("track", event)

    def test_a_pageview_is_a_page(self) -> None:
        """URL parts get the family's names; derived ones go."""
        got = receive(
            with_properties(
                "$pageview",
                __current_url="https://shop.test/a?b",
                __pathname="/a",
                __host="shop.test",
                __referrer="https://r.test/",
                __referring_domain="r.test",
                title="Shop",
                category="Docs",
                own=1,
            )
        )
        assert (got["type"], got["name"], got["category"]) == ("page", "Shop", "Docs")
        assert got["properties"] == {
            "url": "https://shop.test/a?b",
            "path": "/a",
            "referrer": "https://r.test/",
            "title": "Shop",
            "own": 1,
        }

    def test_a_page_name_beats_its_title(self) -> None:
        """``name`` was the caller's word for it."""
        got = receive(with_properties("$pageview", name="Pricing", title="Shop"))
        assert got["name"] == "Pricing"
        assert got["properties"] == {"title": "Shop"}

    def test_two_different_urls_are_both_kept(self) -> None:
        """The page's own one, and PostHog's in the context."""
        got = receive(
            with_properties("$pageview", url="https://a.test/", __current_url="https://b")
        )
        assert got["properties"]["url"] == "https://a.test/"
        assert got["context"]["page"]["url"] == "https://b"

    def test_a_host_nobody_could_derive_is_kept(self) -> None:
        """Only copies are dropped."""
        got = receive(with_properties(__current_url="https://a.test/x", __host="proxy"))
        assert got["properties"] == {"$host": "proxy"}
        assert got["context"]["page"] == {"url": "https://a.test/x"}

    def test_a_screen_event_is_a_screen(self) -> None:
        """``$screen_name`` is its name, else ``name``."""
        got = receive(with_properties("$screen", __screen_name="Settings", name="Settings"))
        assert (got["type"], got["name"]) == ("screen", "Settings")
        assert "properties" not in got
        assert receive(with_properties("$screen", name="Home"))["name"] == "Home"
        other = receive(with_properties("$screen", __screen_name="Settings", name="mine"))
        assert (other["name"], other["properties"]) == ("Settings", {"name": "mine"})

    @pytest.mark.parametrize("event", ["$identify", "$set"])
    def test_person_properties_are_traits(self, event: str) -> None:
        """Top level, beneath properties, beneath nothing else; ``$set_once`` fills gaps."""
        got = receive(
            {
                **with_properties(
                    event, __set={"plan": "pro"}, __set_once={"plan": "x", "first": 1}
                ),
                "$set": {"plan": "free", "email": "k@example.test"},
                "$set_once": {"second": 2},
            }
        )
        assert got["type"] == "identify"
        expected = {"plan": "pro", "email": "k@example.test", "first": 1, "second": 2}
        assert got["traits"] == expected
        assert "context" not in got

    def test_set_once_says_so(self) -> None:
        """A relay must not turn it into an overwrite."""
        got = receive(wire("$set_once", **{"$set_once": {"first": 1}}))
        assert got["type"] == "identify"
        assert got["traits"] == {"first": 1}
        assert got["context"] == {"setOnce": True}

    def test_an_alias_names_both_ids(self) -> None:
        """The source of the merge is the previous id; in the vendor's direction the target is."""
        item = with_properties("$create_alias", alias="a-12", distinct_id="u-77")
        got = receive(item)
        assert (got["type"], got["userId"], got["previousId"]) == ("alias", "u-77", "a-12")
        assert "properties" not in got
        vendor = receive(item, alias_direction="vendor")
        assert (vendor["userId"], vendor["previousId"]) == ("a-12", "u-77")

    def test_a_group_event_is_a_group(self) -> None:
        """Key, properties, and the type as a trait unless it is the usual one."""
        item = with_properties(
            "$groupidentify",
            __group_type="company",
            __group_key="acme",
            __group_set={"name": "Acme"},
            __groups={"company": "acme"},
        )
        got = receive(item)
        assert (got["type"], got["groupId"], got["userId"]) == ("group", "acme", "u-77")
        assert got["traits"] == {"name": "Acme", "groupType": "company"}
        assert not got.keys() & {"properties", "context"}
        assert receive(item, group_type="company")["traits"] == {"name": "Acme"}

    def test_a_synthetic_group_id_is_no_user(self) -> None:
        """``$company_acme`` never signed up."""
        item = with_properties("$groupidentify", __group_type="company", __group_key="acme")
        got = receive({**item, "distinct_id": "$company_acme"})
        assert got["anonymousId"] == "$company_acme"
        assert "userId" not in got

    def test_an_exception_shows_its_first_entry(self) -> None:
        """Type and message can be counted without opening the list."""
        entries = [{"type": "ValueError", "value": "bad"}, {"type": "KeyError", "value": "k"}]
        got = receive(with_properties("$exception", __exception_list=entries))
        assert (got["type"], got["event"]) == ("track", "$exception")
        assert got["properties"] == {
            "$exception_list": entries,
            "exception_type": "ValueError",
            "exception_message": "bad",
        }

    @pytest.mark.parametrize("entries", [None, [], "x", [3], [{}], {"a": 1}])
    def test_an_exception_without_entries_is_kept_as_it_is(self, entries: object) -> None:
        """Nothing is made up."""
        got = receive(with_properties("$exception", __exception_list=entries, a=1))
        assert got["properties"] == {"$exception_list": entries, "a": 1}


class TestIdentity:
    @pytest.mark.parametrize(
        "sign",
        [
            {"$process_person_profile": False},
            {"$process_person_profile": "false"},
            {"$is_identified": False},
            {"$device_id": "u-77"},
        ],
    )
    def test_signs_of_an_anonymous_user(self, sign: dict[str, Any]) -> None:
        """Personless, not identified, or a device."""
        got = receive(wire(properties=sign))
        assert got["anonymousId"] == "u-77"
        assert "userId" not in got

    def test_an_identified_user_is_one_whatever_else_is_said(self) -> None:
        """``$is_identified`` true, or a second id, settles it."""
        sign = {"$process_person_profile": False, "$is_identified": True}
        assert receive(wire(properties=sign))["userId"] == "u-77"
        both = receive(wire(properties={**sign, "$anon_distinct_id": "a-12"}))
        assert (both["userId"], both["anonymousId"]) == ("u-77", "a-12")

    def test_personless_stays_readable(self) -> None:
        """The property is kept, so a relay stays personless."""
        got = receive(wire(properties={"$process_person_profile": False, "$is_identified": False}))
        assert got["properties"] == {"$process_person_profile": False}

    @pytest.mark.parametrize(
        ("value", "text"),
        [(12, "12"), (True, "true"), (1.5, "1.5"), (" u ", " u "), ("a\0b", "a\ufffdb")],
    )
    def test_any_scalar_is_an_id(self, value: object, text: str) -> None:
        """As text, blanks kept, NUL replaced."""
        assert receive(wire(distinct_id=value))["userId"] == text

    def test_even_an_object_is_an_id(self) -> None:
        """PostHog stringifies whatever it gets."""
        assert receive(wire(distinct_id={"a": [1]}))["userId"] == '{"a":[1]}'

    def test_a_long_id_is_cut_as_posthog_cuts_it(self) -> None:
        """To 200 characters."""
        assert receive(wire(distinct_id="é" * 300))["userId"] == "é" * 200

    def test_the_id_may_be_spelled_in_three_places(self) -> None:
        """``distinct_id``, ``$distinct_id``, or inside the properties."""
        bare = {"event": "e"}
        assert receive({**bare, "$distinct_id": "u"})["userId"] == "u"
        inside = receive({**bare, "properties": {"distinct_id": "u"}})
        assert inside == {"type": "track", "userId": "u", "event": "e"}
        own = receive({**bare, "distinct_id": "u", "properties": {"distinct_id": "mine"}})
        assert own["properties"] == {"distinct_id": "mine"}


class TestStamps:
    def test_an_event_without_uuid_or_time_has_none(self) -> None:
        """The collector assigns them."""
        item = {"event": "e", "distinct_id": "u", "uuid": "", "timestamp": "yesterday"}
        assert receive(item) == {"type": "track", "userId": "u", "event": "e"}

    def test_an_original_message_id_comes_back(self) -> None:
        """If it really is the uuid's; a stranger's property stays a property."""
        original = {"$message_id": "order-9"}
        item = wire(properties=original, uuid="ce7373dd-f92b-5022-9edd-25016f36c8c4")
        assert receive(item)["messageId"] == "order-9"
        other = receive(wire(properties=original))
        assert (other["messageId"], other["properties"]) == (ID, original)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("2026-03-01T11:20:31.5+01:00", "2026-03-01T10:20:31.500Z"),
            ("2026-03-01 10:20:31", TIME),
            ("2026-03-01", "2026-03-01T00:00:00.000Z"),
            (1772360431, TIME),
            (1772360431000, TIME),
            ("1772360431.5", "2026-03-01T10:20:31.500Z"),
        ],
    )
    def test_times_come_in_many_forms(self, value: object, text: str) -> None:
        """RFC 3339, date only, seconds and milliseconds since 1970."""
        assert receive(wire(timestamp=value))["timestamp"] == text

    @pytest.mark.parametrize("value", [True, None, [], {}, 1e300, "nan", "inf", 10**400])
    def test_what_is_no_time_is_left_out(self, value: object) -> None:
        """It never raises."""
        assert "timestamp" not in receive(wire(timestamp=value))


class TestContext:
    def test_properties_about_the_client_become_context(self) -> None:
        """The inverse of the way out."""
        got = receive(
            with_properties(
                __lib="web",
                __lib_version="1.2",
                __ip="203.0.113.7",
                __raw_user_agent="Browser/1",
                __useragent="Other/1",
                __session_id="s-1",
                __locale="da-DK",
                __timezone="Europe/Copenhagen",
                __os="Linux",
                __os_version="13",
                __os_distro="Debian",
                __app_name="Shop",
                __device_type="Desktop",
                __screen_height=800,
                __current_url="https://shop.test/a",
                utm_source="news",
                utm_campaign="spring",
                __python_version="3.13.1",
                __geoip_city_name="Aarhus",
                __is_server=True,
                __geoip_disable=True,
                __network_wifi=True,
                __window_id="w-1",
            )
        )
        assert got["context"] == {
            "library": {"name": "web", "version": "1.2"},
            "ip": "203.0.113.7",
            "userAgent": "Browser/1",
            "sessionId": "s-1",
            "locale": "da-DK",
            "timezone": "Europe/Copenhagen",
            "os": {"name": "Linux", "version": "13", "distro": "Debian"},
            "app": {"name": "Shop"},
            "device": {"type": "Desktop"},
            "screen": {"height": 800},
            "page": {"url": "https://shop.test/a"},
            "campaign": {"source": "news", "name": "spring"},
            "runtime": {"version": "3.13.1"},
            "location": {"city": "Aarhus"},
            "network": {"wifi": True},
        }
        assert got["properties"] == {"$window_id": "w-1"}

    def test_person_properties_of_a_track_become_context_traits(self) -> None:
        """``$set_once`` has no place there and stays."""
        got = receive(with_properties(__set={"plan": "pro"}, __set_once={"first": 1}))
        assert got["context"] == {"traits": {"plan": "pro"}}
        assert got["properties"] == {"$set_once": {"first": 1}}

    def test_the_only_group_is_the_contexts(self) -> None:
        """Groups stay in the properties, except where the context says it all."""
        one = receive(with_properties(__groups={"company": "acme"}))
        assert one["context"] == {"groupId": "acme"}
        assert one["properties"] == {"$groups": {"company": "acme"}}
        usual = receive(with_properties(__groups={"segment_group": "acme"}))
        assert usual["context"] == {"groupId": "acme"}
        assert "properties" not in usual
        two = receive(with_properties(__groups={"company": "acme", "team": "t"}))
        assert "context" not in two

    def test_a_projects_key_is_not_passed_on(self) -> None:
        """Browsers put it into every event; a token of the caller's own stays."""
        assert "properties" not in receive(with_properties(token="phc_demo"))
        assert receive(with_properties(token="mine"))["properties"] == {"token": "mine"}

    def test_the_item_is_not_changed(self) -> None:
        """It may still be needed for a dead letter."""
        item = with_properties("$identify", __set={"a": 1}, __ip="::1", __set_once={"b": 1})
        item["$set"] = {"c": 1}
        before = copy.deepcopy(item)
        receive(item)
        receive_v1(item)
        assert item == before


class TestRefusals:
    @pytest.mark.parametrize(
        ("item", "code"),
        [
            ([], "invalid_item"),
            ("x", "invalid_item"),
            ({"distinct_id": "u"}, "missing_event_name"),
            ({"event": " ", "distinct_id": "u"}, "missing_event_name"),
            ({"event": 5, "distinct_id": "u"}, "missing_event_name"),
            ({"event": "e"}, "missing_distinct_id"),
            ({"event": "e", "distinct_id": " \t"}, "missing_distinct_id"),
            ({"event": "e", "distinct_id": "u", "properties": []}, "malformed_event_properties"),
            ({"event": "e", "distinct_id": "u", "uuid": "no"}, "invalid_event_uuid"),
            ({"event": "e", "distinct_id": "u", "uuid": 5}, "invalid_event_uuid"),
            ({"event": "$groupidentify", "distinct_id": "u"}, "no_group_id"),
            ({"event": "$create_alias", "distinct_id": "u"}, "no_previous_id"),
        ],
    )
    def test_what_cannot_become_an_event_is_refused(self, item: Any, code: str) -> None:
        """With the word the vendors use."""
        assert refused(item) == code

    def test_the_path_may_name_the_event(self) -> None:
        """``/engage`` sends identify events without a name."""
        assert receive({"distinct_id": "u"}, type="identify")["type"] == "identify"
        assert refused({"distinct_id": "u"}, type="batch") == "missing_event_name"


def v1(**fields: Any) -> dict[str, Any]:
    return {**wire(), "options": {}, "properties": {}, **fields}


class TestV1:
    def test_lifted_values_come_back_as_properties_and_context(self) -> None:
        """A V1 event reads as the same event in legacy."""
        options = {"process_person_profile": True, "disable_skew_correction": True}
        got = receive_v1(v1(options=options, session_id="s-1", window_id="w-1"))
        assert got["context"] == {"sessionId": "s-1"}
        assert got["properties"] == {
            "$process_person_profile": True,
            "$ignore_sent_at": True,
            "$window_id": "w-1",
        }

    def test_ids_are_trimmed(self) -> None:
        """As the server does in this protocol, and only in this one."""
        got = receive_v1(v1(distinct_id=" u ", uuid=f" {ID.upper()} "))
        assert (got["userId"], got["messageId"]) == ("u", ID)

    @pytest.mark.parametrize("options", [None, {}, {"unknown": []}, {"product_tour_id": 5}])
    def test_options_may_be_absent_or_more_than_we_know(self, options: object) -> None:
        """The server ignores what it does not know."""
        assert receive_v1(v1(options=options))["event"] == "Order Completed"

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"event": ""}, "missing_event_name"),
            ({"event": "e" * 201}, "event_name_too_long"),
            ({"distinct_id": " "}, "missing_distinct_id"),
            ({"distinct_id": "é" * 201}, "distinct_id_too_large"),
            ({"uuid": ""}, "missing_event_uuid"),
            ({"uuid": "x"}, "invalid_event_uuid"),
            ({"timestamp": "2026-03-01T10:20:31"}, "invalid_event_timestamp"),
            ({"timestamp": "soon"}, "invalid_event_timestamp"),
            ({"timestamp": None}, "invalid_event_timestamp"),
            ({"properties": None}, "malformed_event_properties"),
            ({"options": []}, "invalid_options"),
            ({"options": {"cookieless_mode": "maybe"}}, "invalid_options"),
        ],
    )
    def test_v1_is_stricter(self, fields: dict[str, Any], code: str) -> None:
        """Each fault has the code the server gives it."""
        with pytest.raises(Refused) as caught:
            receive_v1(v1(**fields))
        assert caught.value.code == code

    def test_what_is_no_object_is_refused(self) -> None:
        """Like everywhere."""
        with pytest.raises(Refused, match="invalid_item"):
            receive_v1([])  # type: ignore[arg-type]
