"""Any Python value becomes JSON, nothing raises, and every loss is told."""

from __future__ import annotations

import collections
import json
import sqlite3
import sys
import threading
import time as clock
from collections import deque
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import example, given, settings

from penstock.errors import SerializationError
from penstock.fields import Product, Properties
from penstock.values import (
    CYCLE,
    MAX_DEPTH,
    MAX_LAZY_ITEMS,
    MAX_TEXT,
    TOO_DEEP,
    Coercion,
    Reason,
    encode,
    encode_strict,
    to_json,
)
from strategies import (
    Card,
    Colour,
    EndlessSequence,
    GenerousMeta,
    HostileMeta,
    HostileZone,
    Level,
    LyingMapping,
    Mode,
    Namespace,
    Point,
    Struct,
    Trouble,
    anything,
    cyclic,
    json_objects,
    json_values,
    nested,
)

UUID_TEXT = "12345678-1234-5678-1234-567812345678"


def strictly_parsed(data: bytes) -> Any:
    """As a strict server reads it: UTF-8, and no NaN or Infinity."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    return json.loads(data.decode("utf-8"), parse_constant=refuse)


def sent(value: object) -> tuple[Any, list[Coercion]]:
    """What of a property's *value* reaches the wire, and what is reported."""
    reports: list[Coercion] = []
    data = encode({"properties": {"it": value}}, reports.append)
    return strictly_parsed(data)["properties"]["it"], reports


def only_plain(value: object) -> bool:
    """Whether *value* is made of exact JSON types, and every text is UTF-8."""
    if type(value) is dict:
        return all(type(k) is str and only_plain(k) and only_plain(v) for k, v in value.items())
    if type(value) is list:
        return all(map(only_plain, value))
    if type(value) is str:
        return bool(value.encode("utf-8")) or not value
    return value is None or type(value) in (bool, int, float)


class Text(str):
    """A text that tells lies about itself."""

    __slots__ = ()

    def __str__(self) -> str:
        raise Trouble


class Whole(int):
    def __int__(self) -> int:
        raise Trouble


class Real(float):
    def __float__(self) -> float:
        raise Trouble


class Stored(dict[str, Any]):
    """A dict that shows something else than it stores, as Django's QueryDict does."""

    def items(self) -> Any:
        raise Trouble


class FakeArray:
    """What numpy's arrays and scalars look like from outside."""

    __module__ = "numpy"

    def __init__(self, plain: object) -> None:
        self.plain = plain

    def tolist(self) -> object:
        return self.plain


class LongDouble(FakeArray):
    """numpy's one type that stays itself."""

    __module__ = "numpy"

    def tolist(self) -> object:
        return self

    def __float__(self) -> float:
        return 2.5


class Field:
    def __init__(self, name: str) -> None:
        self.name = name


class Attrs:
    __attrs_attrs__ = (Field("size"), Field("colour"))
    size = 3
    colour = "red"


class Pydantic:
    __pydantic_validator__ = object()

    def model_dump(self) -> dict[str, Any]:
        return {"size": Decimal("1.5")}


class NotATime(datetime):
    """pandas' NaT: a datetime by class that equals nothing."""

    def __ne__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


class HalfBroken:
    """A dataclass-like object one field of which raises."""

    __attrs_attrs__ = (Field("good"), Field("bad"))
    good = 1

    @property
    def bad(self) -> int:
        raise Trouble


class Shy:
    """An object with nothing to say."""


class Talkative:
    def __str__(self) -> str:
        return "x" * 5_000


class Broken:
    def __str__(self) -> str:
        raise Trouble


def row() -> sqlite3.Row:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    try:
        found: sqlite3.Row = connection.execute("select 1 as a, 'x' as b").fetchone()
    finally:
        connection.close()
    return found


# -- each kind of value ------------------------------------------------------------------------


CARRIED: list[tuple[object, Any]] = [
    ("text", "text"),
    ("\U0001f600 ü", "\U0001f600 ü"),
    ("", ""),
    (True, True),
    (None, None),
    (0, 0),
    (0.0, 0.0),
    (-(2**63), -(2**63)),
    (2**64 - 1, 2**64 - 1),
    (2**64, 2**64),
    (-(10**300), -(10**300)),
    (2**1023 - 1, 2**1023 - 1),
    (1e308, 1e308),
    (Text("a"), "a"),
    (Whole(3), 3),
    (Real(2.5), 2.5),
    (UUID(UUID_TEXT), UUID_TEXT),
    (datetime(2026, 3, 1, 10, 20, 30, 123_999, UTC), "2026-03-01T10:20:30.123Z"),
    (datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=5.5))), "2026-02-28T18:30:00.000Z"),
    (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))), "0001-01-01T00:00:00.000+09:00"),
    (date(2026, 3, 1), "2026-03-01"),
    (time(10, 20), "10:20:00"),
    (timedelta(minutes=2, milliseconds=500), 120.5),
    (Decimal("49.99"), 49.99),
    (Decimal("49.90"), 49.9),
    (Decimal(42), 42),
    (Decimal("0.1000000000000000055511151231257827"), "0.1000000000000000055511151231257827"),
    (Decimal("12345678901234567890.12"), "12345678901234567890.12"),
    (Decimal("1E+1000000"), "1E+1000000"),
    (PurePosixPath("/srv/x"), "/srv/x"),
    (b"text", "text"),
    (bytearray("ü".encode()), "ü"),
    (memoryview(b"abc"), "abc"),
    (Colour.RED, "red"),
    (Colour.HALF, 0.5),
    (Level.LOW, 1),
    (Mode.FAST, "fast"),
    ((1, (2,)), [1, [2]]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a"}), ["a", "b"]),
    (deque([1, 2]), [1, 2]),
    (range(3), [0, 1, 2]),
    ({"a": 1}.keys(), ["a"]),
    ({"a": 1}.items(), [["a", 1]]),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.defaultdict(list, a=[1]), {"a": [1]}),
    (Stored(a=1), {"a": 1}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (collections.ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
    (row(), {"a": 1, "b": "x"}),
    (
        Properties(revenue=1, products=[Product(sku="s")]),
        {"revenue": 1, "products": [{"sku": "s"}]},
    ),
    (Point(1, [2]), {"x": 1, "y": [2]}),
    (Card(1, Card(2)), {"number": 1, "owner": {"number": 2, "owner": None}}),
    (Struct("Kim"), {"first_name": "Kim"}),
    (Attrs(), {"size": 3, "colour": "red"}),
    (Pydantic(), {"size": 1.5}),
    (FakeArray([1.5, [2]]), [1.5, [2]]),
    (FakeArray(plain=True), True),
    (LongDouble(0), 2.5),
    ({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"}),
    ({1.5: 1, UUID(UUID_TEXT): 2}, {"1.5": 1, UUID_TEXT: 2}),
    ({date(2026, 3, 1): 1, Mode.FAST: 2, b"k": 3}, {"2026-03-01": 1, "fast": 2, "k": 3}),
    ({(1, "a"): 1}, {'[1, "a"]': 1}),
]


@pytest.mark.parametrize(("value", "wire"), CARRIED, ids=lambda v: type(v).__name__)
def test_what_json_can_carry_is_carried_without_a_word(value: object, wire: Any) -> None:
    """A lossless form is no coercion."""
    found, reports = sent(value)
    assert (found, reports) == (wire, [])
    assert type(found) is type(wire)


LOSSY: list[tuple[object, Any, list[tuple[str, str]]]] = [
    (float("nan"), None, [("", "not_finite")]),
    (Real("-inf"), None, [("", "not_finite")]),
    (Decimal("NaN"), None, [("", "not_finite")]),
    (Decimal("sNaN"), None, [("", "not_finite")]),
    (Decimal("-Infinity"), None, [("", "not_finite")]),
    (NotATime(2026, 1, 1), None, [("", "not_finite")]),
    (Colour.NOT_A_NUMBER, None, [("", "not_finite")]),
    (Colour.NESTED, {"deep": [None]}, [(".deep[0]", "not_finite")]),
    ([1, (float("inf"), None)], [1, [None, None]], [("[1][0]", "not_finite")]),
    (datetime(2026, 3, 1), "2026-03-01T00:00:00.000Z", [("", "naive_datetime")]),
    (b"\xff", "/w==", [("", "not_utf8")]),
    ("a\ud800b", "a\ufffdb", [("", "surrogate")]),
    ("\ud83d\ude00", "\U0001f600", [("", "surrogate")]),
    (Colour.SURROGATE, "\ufffd", [("", "surrogate")]),
    (2**1023, str(2**1023), [("", "huge_integer")]),
    (-(1 << 40_000), hex(-(1 << 40_000)), [("", "huge_integer")]),
    ({"a\udc00": 1}, {"a\ufffd": 1}, [("", "surrogate")]),
    ({1: "a", "1": "b"}, {"1#2": "a", "1": "b"}, [(".1#2", "duplicate_key")]),
    (
        {"1": 0, 1: "a", "1#2": 1, b"1": 2},
        {"1": 0, "1#3": "a", "1#2": 1, "1#4": 2},
        [(".1#3", "duplicate_key"), (".1#4", "duplicate_key")],
    ),
    (LyingMapping("twice"), {"a": "a", "a#2": "a"}, [(".a#2", "duplicate_key")]),
    (Fraction(1, 3), "1/3", [("", "stringified")]),
    (1 + 2j, "(1+2j)", [("", "stringified")]),
    (Shy(), "<test_values.Shy>", [("", "stringified")]),
    (Talkative(), "x" * MAX_TEXT, [("", "stringified")]),
    (ValueError("no\ud800"), "no\ufffd", [("", "stringified")]),
    (Broken(), "<test_values.Broken>", [("", "unreadable")]),
    (HalfBroken(), {"good": 1, "bad": None}, [(".bad", "unreadable")]),
    (LyingMapping("always changes"), "<strategies.LyingMapping>", [("", "unreadable")]),
    (
        datetime(2026, 3, 1, tzinfo=HostileZone()),
        "<datetime.datetime>",
        [("", "unreadable")],
    ),
    (time(1, tzinfo=HostileZone()), "<datetime.time>", [("", "unreadable")]),
    (EndlessSequence(), [7] * MAX_LAZY_ITEMS, [("", "too_many")]),
    (range(10**12), list(range(MAX_LAZY_ITEMS)), [("", "too_many")]),
    (cyclic("list"), [1, CYCLE], [("[1]", "cycle")]),
    (cyclic("dict"), {"a": 1, "self": CYCLE}, [(".self", "cycle")]),
    (cyclic("object"), {"number": 1, "owner": [CYCLE]}, [(".owner[0]", "cycle")]),
]


@pytest.mark.parametrize(("value", "wire", "told"), LOSSY, ids=lambda v: type(v).__name__)
def test_a_loss_is_told_with_path_and_reason(
    value: object, wire: Any, told: list[tuple[str, str]]
) -> None:
    """Once each, and the rest arrives."""
    found, reports = sent(value)
    assert found == wire
    assert sorted(reports) == sorted((f"properties.it{path}", reason) for path, reason in told)


def test_every_reason_is_shown_here() -> None:
    """The vocabulary has no word that no value leads to."""
    shown = {reason for _, _, told in LOSSY for _, reason in told} | {"too_deep"}
    assert shown == set(get_args(Reason))


@pytest.mark.parametrize("meta", [HostileMeta, GenerousMeta])
def test_a_class_may_be_as_hostile_as_its_instances(meta: type) -> None:
    """Neither hashing nor comparing nor asking the class leads out of here."""
    value = object.__new__(meta("Hostile", (), {"__str__": None, "__repr__": None}))
    found, reports = sent({"good": 1, "bad": [value]})
    assert found == {"good": 1, "bad": ["<test_values.Hostile>"]}
    assert reports == [("properties.it.bad[0]", "unreadable")]


def test_an_address_in_memory_is_not_part_of_a_text() -> None:
    """Two runs send the same."""
    found, _ = sent(n for n in (1, 2))
    assert found.startswith("<generator object")
    assert "0x" not in found


def test_a_mapping_that_changes_while_it_is_read_is_read_again() -> None:
    """Another thread's write costs nothing."""
    assert sent(LyingMapping("changes")) == ({"a": "a"}, [])


def test_equal_sets_give_equal_json() -> None:
    """Whatever their order of iteration."""
    words = sorted(f"word-{number}" for number in range(50))
    assert sent(set(words)) == sent(frozenset(words[::-1])) == (words, [])


def test_a_set_of_mixed_types_is_not_lost() -> None:
    """It has no order, but its items."""
    found, reports = sent({1, "a", None})
    assert (sorted(map(str, found)), reports) == (["1", "None", "a"], [])


# -- depth -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dict", "list", "both"])
def test_thirty_two_levels_pass_and_no_more(kind: str) -> None:
    """The properties are the first."""
    inside, reports = sent(nested(MAX_DEPTH - 1, kind))
    assert reports == []
    assert inside == nested(MAX_DEPTH - 1, kind)
    deeper, reports = sent(nested(MAX_DEPTH, kind))
    assert [coercion.reason for coercion in reports] == ["too_deep"]
    assert TOO_DEEP in json.dumps(deeper)


@pytest.mark.parametrize("depth", [100, 300, 10_000])
@pytest.mark.parametrize("kind", ["dict", "list"])
def test_any_depth_is_cut_without_harm(depth: int, kind: str) -> None:
    """One report, and what is above stays."""
    found, reports = sent(nested(depth, kind))
    assert [coercion.reason for coercion in reports] == ["too_deep"]
    for _ in range(MAX_DEPTH - 1):
        assert found.get("beside", depth) if kind == "dict" else found
        found = found["down"] if kind == "dict" else found[0]
    assert found == TOO_DEEP


def test_brackets_in_texts_are_not_depth() -> None:
    """Many brackets make us look, not cut."""
    value = ["{[" * 50, [[1]] * 40]
    assert sent(value) == (value, [])


def test_wide_is_not_deep() -> None:
    """A cart with a hundred products is left alone."""
    value = [{"sku": str(number)} for number in range(100)]
    assert sent(value) == (value, [])


def test_a_caller_near_the_end_of_its_stack_gets_an_answer() -> None:
    """What does not fit is cut, the event is not lost."""
    deep = {"deep": nested(20, "dict"), "at": Decimal("1.5")}
    message = {"type": "track", "event": "Signed Up", "properties": deep}
    results: list[bytes] = []

    def descend() -> None:
        with suppress(RecursionError):
            descend()
        if not results:
            with suppress(RecursionError):  # not even room for the call: one frame higher then
                results.append(encode(message))

    descend()
    found = strictly_parsed(results[0])
    assert (found["type"], found["event"]) == ("track", "Signed Up")
    assert isinstance(found.get("properties", {}), dict)


# -- the message as a whole --------------------------------------------------------------------


def test_a_path_leads_to_the_value() -> None:
    """As one would write it in Python."""
    reports: list[Coercion] = []
    cart = [{"price": 1}, {"price": 2}, {"price": float("nan")}]
    encode({"properties": {"cart": cart}, "context": {"at": datetime(2026, 1, 1)}}, reports.append)
    assert reports == [
        ("properties.cart[2].price", "not_finite"),
        ("context.at", "naive_datetime"),
    ]


def test_a_path_starts_where_it_is_told_to() -> None:
    """For values that are converted on their own."""
    reports: list[Coercion] = []
    assert to_json([float("nan")], "traits.scores", on_coercion=reports.append) == [None]
    assert reports == [("traits.scores[0]", "not_finite")]


def test_a_none_of_the_callers_is_not_taken_for_a_loss() -> None:
    """Also beside the word itself, and beside a real loss."""
    value = {"a": None, "b": "null", "c": [None, 1.5, {"d": None}]}
    assert sent(value) == (value, [])
    found, reports = sent({**value, "e": float("nan")})
    assert (found, reports) == ({**value, "e": None}, [("properties.it.e", "not_finite")])


def test_a_loss_needs_no_listener() -> None:
    """Reports are optional."""
    assert strictly_parsed(encode({"properties": {"a": float("nan")}})) == {
        "properties": {"a": None}
    }


def test_the_call_is_the_snapshot() -> None:
    """Nothing of a converted value is the caller's own object."""
    inner: dict[str, Any] = {"list": [1], "at": Decimal("1.5")}
    found = to_json({"inner": inner, "plain": {"a": [1]}})
    inner["list"].append(2)
    assert found == {"inner": {"list": [1], "at": 1.5}, "plain": {"a": [1]}}


def test_nothing_of_the_callers_is_changed() -> None:
    """Neither containers nor what is in them."""
    value = {"a": [float("nan"), {1: (2,)}], "b": {3}}
    before = repr(value)
    encode({"properties": value})
    assert repr(value) == before


@pytest.mark.parametrize("part", ["properties", "traits", "context", "integrations"])
def test_an_unreadable_object_stays_an_object(part: str) -> None:
    """PostHog refuses a whole batch for properties of another type."""
    reports: list[Coercion] = []
    data = encode({"type": "track", part: LyingMapping("always changes")}, reports.append)
    assert strictly_parsed(data) == {"type": "track", part: {}}
    assert reports == [(part, "unreadable")]


def test_integers_of_any_size_keep_their_digits() -> None:
    """Beyond what orjson takes, beside what only we convert."""
    value = {"big": 2**200, "at": date(2026, 3, 1), "text": "ü\U0001f600"}
    data = encode({"properties": value})
    assert f'"big":{2**200}'.encode() in data
    assert strictly_parsed(data)["properties"] == {**value, "at": "2026-03-01"}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_the_user_may_still_stop_the_program(stop: type[BaseException]) -> None:
    """What ends a program is not data."""

    class Stopping:
        def __str__(self) -> str:
            raise stop

    with pytest.raises(stop):
        encode({"properties": {"it": Stopping()}})


def test_strict_refuses_the_first_loss() -> None:
    """With its path and its reason, and without its value."""
    with pytest.raises(SerializationError) as raised:
        encode_strict({"properties": {"ok": 1, "at": [datetime(1999, 1, 1)], "b": b"\xff"}})
    assert (raised.value.path, raised.value.reason) == ("properties.at[0]", "naive_datetime")
    assert "1999" not in str(raised.value)


def test_strict_accepts_what_is_carried() -> None:
    """Byte for byte the same as without."""
    message = {"properties": {"at": datetime(2026, 1, 1, tzinfo=UTC), "n": [None, 1.5]}}
    assert encode_strict(message) == encode(message)


def test_threads_that_write_meanwhile_do_no_harm() -> None:
    """Every encoding is whole JSON while others change the very same objects."""
    cart: list[Any] = [{"n": 0}]
    shared: dict[Any, Any] = {"cart": cart, "at": datetime(2026, 1, 1, tzinfo=UTC), "tags": {1}}
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            shared[f"k{number % 50}"] = [number, Level.LOW]
            shared.pop(f"k{(number + 25) % 50}", None)
            cart.append({"n": Decimal(number)})
            del cart[5:]
            shared["tags"] = set(range(number % 9))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    writers = [threading.Thread(target=write) for _ in range(2)]
    try:
        for writer in writers:
            writer.start()
        deadline = clock.monotonic() + 0.5
        while clock.monotonic() < deadline:
            data = encode({"properties": shared}, lambda _: None)
            assert strictly_parsed(data)["properties"]["at"] == "2026-01-01T00:00:00.000Z"
    finally:
        done.set()
        for writer in writers:
            writer.join()
        sys.setswitchinterval(before)


# -- laws --------------------------------------------------------------------------------------


@given(json_objects)
def test_plain_json_comes_out_as_it_went_in(properties: dict[str, Any]) -> None:
    """And nothing is reported."""
    reports: list[Coercion] = []
    message = {"type": "track", "properties": properties}
    assert strictly_parsed(encode(message, reports.append)) == message
    assert to_json(properties, on_coercion=reports.append) == properties
    assert reports == []


@settings(max_examples=1_500)
@given(anything, json_values)
@example(Namespace(Broken()), {"price": 1.5})
def test_no_object_costs_the_event_or_its_neighbours(value: object, good: Any) -> None:
    """Whatever it is: no exception, valid JSON, and the properties beside it unchanged."""
    reports: list[Coercion] = []
    message = {
        "type": "track",
        "properties": {"before": good, "bad": value, "inside": {"x": [value, good]}, "after": good},
        "context": {"ip": "203.0.113.7"},
    }
    found = strictly_parsed(encode(message, reports.append))
    properties = found["properties"]
    assert properties["before"] == properties["after"] == properties["inside"]["x"][1] == good
    assert "bad" in properties
    assert (found["type"], found["context"]) == ("track", {"ip": "203.0.113.7"})
    assert all(coercion.path.startswith("properties.") for coercion in reports)
    assert {coercion.reason for coercion in reports} <= set(get_args(Reason))


@settings(max_examples=500)
@given(anything)
def test_converting_twice_changes_nothing_more(value: object) -> None:
    """The result is plain JSON values, which need no conversion."""
    once = to_json(value)
    assert only_plain(once)
    reports: list[Coercion] = []
    assert to_json(once, on_coercion=reports.append) == once
    assert reports == []


@settings(max_examples=500)
@given(anything)
def test_strict_raises_exactly_where_the_lenient_report(value: object) -> None:
    """The same first place, or none."""
    reports: list[Coercion] = []
    message = {"properties": {"it": value}}
    encode(message, reports.append)
    assert refusal(message) == (reports[0] if reports else None)


def refusal(message: dict[str, Any]) -> tuple[str, str] | None:
    """Path and reason for which a strict client refuses *message*."""
    try:
        encode_strict(message)
    except SerializationError as error:
        return error.path, error.reason
    return None
