"""Catalogues are dicts that know the documented fields."""

from __future__ import annotations

import copy
import json
import pickle
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import fields
from penstock.errors import FieldError
from penstock.fields import (
    Address,
    App,
    Campaign,
    Catalogue,
    Company,
    Context,
    Device,
    Ecommerce,
    Integrations,
    Location,
    Network,
    OperatingSystem,
    PageInfo,
    Product,
    Properties,
    Referrer,
    ScreenInfo,
    Traits,
)
from penstock.values import encode
from strategies import json_objects

#: ``{catalogue: wire names}`` of spec/wire-protocols.md, section 4.
DOCUMENTED: dict[type[Catalogue], str] = {
    Traits: """
        address age avatar birthday createdAt description email firstName gender lastName name
        phone title username website company id employees industry plan
    """,
    Address: "city country postalCode state street",
    Company: "name id industry employee_count plan",
    Properties: """
        revenue currency value path referrer title url name category sku price id orderId total
        subtotal shipping tax discount coupon products repeat
        order_id checkout_id affiliation product_id brand variant quantity position image_url
        cart_id list_id wishlist_id wishlist_name promotion_id creative query filters sorts step
        shipping_method payment_method coupon_id coupon_name reason share_via share_message
        recipient review_id review_body rating search keywords
    """,
    Product: """
        id product_id sku category name brand variant price quantity coupon position url image_url
    """,
    Context: """
        app campaign device location network os page referrer screen ip direct locale timezone
        userAgent groupId traits active userAgentData channel sessionId
    """,
    App: "name version build namespace",
    Campaign: "name source medium term content",
    Device: "id manufacturer model name type version advertisingId token adTrackingEnabled",
    Location: "city country region latitude longitude speed",
    Network: "bluetooth cellular wifi carrier",
    OperatingSystem: "name version",
    PageInfo: "hash path referrer search title url",
    Referrer: "type name url link",
    ScreenInfo: "density width height",
}
CATALOGUES = pytest.mark.parametrize("catalogue", DOCUMENTED, ids=lambda c: c.__name__)


@CATALOGUES
def test_a_catalogue_has_every_documented_field(catalogue: type[Catalogue]) -> None:
    """No more and no less, by its name on the wire."""
    assert catalogue._by_wire.keys() == set(DOCUMENTED[catalogue].split())


@CATALOGUES
def test_python_names_are_snake_case(catalogue: type[Catalogue]) -> None:
    """Whatever the wire calls a field, its keyword is a Python name."""
    names = catalogue._documented
    assert [name for name in names if name != name.lower() or not name.isidentifier()] == []


def test_every_catalogue_is_tested_here() -> None:
    """A new one must be given its list of fields."""
    public = {getattr(fields, name) for name in fields.__all__}
    assert public == {*DOCUMENTED, Catalogue, Integrations, Ecommerce}


def fitting(catalogue: type[Catalogue], name: str) -> Any:
    """A value that the field accepts."""
    _, rule = catalogue._documented[name]
    return next(v for v in ("text", 1, True, {"a": 1}, [{"a": 1}]) if rule.accepts(v))


@CATALOGUES
def test_keyword_set_and_wire_name_come_to_the_same(catalogue: type[Catalogue]) -> None:
    """Three ways to fill in a field."""
    for name, (wire, _) in catalogue._documented.items():
        value = fitting(catalogue, name)
        assert catalogue(**{name: value}) == {wire: value}
        assert catalogue().set(name, value) == {wire: value}
        if wire not in catalogue._documented:
            assert catalogue().set(wire, value) == {wire: value}


def test_the_two_versions_of_a_name_stay_apart() -> None:
    """E-commerce 2 has order_id and product_id, version 1 orderId and id."""
    assert Properties(order_id="o", product_id="p", order_id_v1="o1", id="p1") == {
        "order_id": "o",
        "product_id": "p",
        "orderId": "o1",
        "id": "p1",
    }
    assert Properties().set("orderId", "o1").set("order_id", "o") == {
        "orderId": "o1",
        "order_id": "o",
    }
    assert Product(product_id="p", sku="s", id="p1") == {"product_id": "p", "sku": "s", "id": "p1"}


def test_zero_and_false_are_values() -> None:
    """Latitude 0 is a place, and wifi may be off."""
    assert Location(latitude=0, longitude=0.0) == {"latitude": 0, "longitude": 0.0}
    assert Network(wifi=False) == {"wifi": False}
    assert Properties(revenue=0, coupon="") == {"revenue": 0, "coupon": ""}


def test_none_leaves_a_field_unset() -> None:
    """By keyword, and through set, which also takes it back."""
    assert Traits(email=None, name="Kim") == {"name": "Kim"}
    assert Traits(name="Kim").set("name", None).set("never", None) == {}


def test_a_plain_dict_is_copied_as_it_is() -> None:
    """By wire names, unchecked; keywords win over it."""
    values = MappingProxyType({"revenue": "odd", "own": [1], "currency": "EUR"})
    assert Properties(values, currency="USD") == {"revenue": "odd", "own": [1], "currency": "USD"}
    assert dict(values) == {"revenue": "odd", "own": [1], "currency": "EUR"}


@given(json_objects)
def test_a_catalogue_never_changes_what_it_is_given(values: dict[str, Any]) -> None:
    """Neither when it is made nor later."""
    before = copy.deepcopy(values)
    catalogue = Properties(values, revenue=1).set("own", 2)
    catalogue["third"] = 3
    assert values == before


@given(json_objects)
def test_a_catalogue_is_encoded_like_a_dict(values: dict[str, Any]) -> None:
    """Also inside lists and other catalogues."""
    plain = {"a": values, "b": [values]}
    typed = Properties({"a": Traits(values), "b": [Product(values)]})
    assert encode({"properties": typed}) == encode({"properties": plain})


def test_calls_can_be_chained() -> None:
    """Each returns the catalogue itself, of its own class."""
    properties = Properties()
    assert properties.set("a", 1).set("revenue", 2.5) is properties
    assert type(Traits().set("a", 1)) is Traits


def test_a_name_of_ones_own_may_hold_anything() -> None:
    """No rule but that it is a name."""
    odd = object()
    assert Context().set("tenant", odd)["tenant"] is odd
    for name in ("", 7, None):
        with pytest.raises(FieldError) as raised:
            Context().set(name, 1)  # type: ignore[arg-type]
        assert (raised.value.type, raised.value.field) == ("Context", "name")


@pytest.mark.parametrize(
    ("catalogue", "keyword", "hint"),
    [
        (Properties, "revenu", "'revenue'"),
        (Properties, "currancy", "'currency'"),
        (Properties, "orderId", "'order_id_v1'"),
        (Traits, "createdAt", "'created_at'"),
        (Context, "user_agnet", "'user_agent'"),
        (Context, "library", "set()"),
        (Product, "xyzzy", "set()"),
    ],
)
def test_a_slip_in_a_keyword_names_the_nearest_field(
    catalogue: type[Catalogue], keyword: str, hint: str
) -> None:
    """An error, not a new field."""
    with pytest.raises(FieldError) as raised:
        catalogue(**{keyword: "x"})
    assert (raised.value.type, raised.value.field) == (catalogue.__name__, keyword)
    assert hint in raised.value.reason


class Plan(StrEnum):
    PRO = "pro"


@pytest.mark.parametrize(
    ("catalogue", "name", "value"),
    [
        (Properties, "revenue", "9.99"),
        (Properties, "revenue", True),
        (Properties, "revenue", None.__class__),
        (Properties, "currency", 978),
        (Properties, "repeat", "yes"),
        (Properties, "products", {"sku": "s"}),
        (Properties, "products", "s"),
        (Properties, "order_id", ["o"]),
        (Product, "quantity", "two"),
        (Traits, "age", "31"),
        (Traits, "created_at", 1_700_000_000),
        (Traits, "address", 7),
        (Location, "latitude", "59.9"),
        (Network, "wifi", 1),
        (Context, "page", "https://example.com"),
        (Context, "ip", 3_405_803_783),
        (Context, "direct", "true"),
    ],
)
def test_an_obviously_wrong_type_is_refused(
    catalogue: type[Catalogue], name: str, value: object
) -> None:
    """By keyword and through set, with type, field and value."""
    for attempt in (lambda: catalogue(**{name: value}), lambda: catalogue().set(name, value)):
        with pytest.raises(FieldError) as raised:
            attempt()
        error = raised.value
        assert (error.type, error.field, error.value) == (catalogue.__name__, name, value)
        assert error.reason.startswith("expected")


class FakeNumber:
    """What numpy's numbers look like from outside."""

    __module__ = "numpy"

    def __float__(self) -> float:
        return 1.5


@pytest.mark.parametrize(
    ("catalogue", "name", "value"),
    [
        (Properties, "revenue", 10),
        (Properties, "revenue", Decimal("9.99")),
        (Properties, "revenue", FakeNumber()),
        (Properties, "revenue", float("nan")),
        (Properties, "order_id", 8841),
        (Properties, "order_id", uuid.UUID(int=1)),
        (Properties, "products", (Product(sku="s"),)),
        (Properties, "products", []),
        (Properties, "repeat", FakeNumber()),
        (Properties, "keywords", ["a", "b"]),
        (Properties, "filters", [{"type": "price"}]),
        (Traits, "plan", Plan.PRO),
        (Traits, "birthday", date(1980, 1, 2)),
        (Traits, "created_at", datetime(2026, 1, 1, tzinfo=UTC)),
        (Traits, "created_at", "2026-01-01T00:00:00Z"),
        (Traits, "address", "1 High Street"),
        (Traits, "address", Address(city="Oslo")),
        (Traits, "company", {"name": "Initech"}),
        (Context, "page", PageInfo(path="/")),
        (Context, "page", MappingProxyType({"path": "/"})),
    ],
)
def test_what_fits_is_kept_as_it_is(catalogue: type[Catalogue], name: str, value: object) -> None:
    """Checking is not converting."""
    (found,) = catalogue(**{name: value}).values()
    assert found is value


def test_only_a_mapping_can_be_started_from() -> None:
    """A list of pairs is more likely a slip."""
    for values in ([("a", 1)], "text", 7):
        with pytest.raises(FieldError) as raised:
            Properties(values)  # type: ignore[arg-type]
        assert raised.value.type == "Properties"


def test_a_catalogue_is_a_dict() -> None:
    """Equal to one, copied and pickled like one, and a mapping to any library."""
    traits = Traits(name="Kim", address=Address(city="Oslo"))
    assert traits == {"name": "Kim", "address": {"city": "Oslo"}}
    assert isinstance(traits, Mapping)
    assert json.loads(json.dumps(traits)) == traits
    for clone in (pickle.loads(pickle.dumps(traits)), copy.deepcopy(traits), copy.copy(traits)):
        assert (clone, type(clone)) == (traits, Traits)


# -- integrations ------------------------------------------------------------------------------


def test_integrations_are_switched_by_name() -> None:
    """``All`` is spelled as the servers read it."""
    assert Integrations().disable_all().enable("Mixpanel") == {"All": False, "Mixpanel": True}
    assert Integrations().enable_all().disable("Salesforce") == {"All": True, "Salesforce": False}


def test_an_integration_may_have_options() -> None:
    """Anything but False enables it; None forgets it."""
    options = {"GA4": {"clientId": "1.2"}}
    assert Integrations().set("GA4", options["GA4"]) == options
    assert Integrations(options).set("GA4", None) == {}
    assert options == {"GA4": {"clientId": "1.2"}}


def test_integrations_have_no_documented_names() -> None:
    """A keyword is not how a tool is named: most have blanks in them."""
    with pytest.raises(TypeError):
        Integrations(Mixpanel=True)  # type: ignore[call-arg]
    with pytest.raises(FieldError):
        Integrations().enable("")


# -- names of events ---------------------------------------------------------------------------


def test_event_names_are_plain_text() -> None:
    """The constant says what the event says, so a search finds either."""
    names = {name: value for name, value in vars(Ecommerce).items() if name.isupper()}
    assert len(names) == 28
    for name, value in names.items():
        assert type(value) is str
        assert value.upper().replace(" ", "_") == name


@given(st.sampled_from(sorted(DOCUMENTED, key=lambda c: c.__name__)), json_objects)
def test_any_plain_dict_makes_any_catalogue(
    catalogue: type[Catalogue], values: dict[str, Any]
) -> None:
    """What is taken as it is stays as it is."""
    assert catalogue(values) == values
