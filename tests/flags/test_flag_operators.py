"""Every operator of a property filter: what it says of which value."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from flag_kit import MISSING, UNSUPPORTED, matches, prop

#: ``(operator, filter value, person's value, expected)``; False means the opposite operator
#: says True and the other way round.
EXACT = [
    ("gold", "gold", True),
    ("gold", "GOLD", True),
    ("gold", "golden", False),
    ("ZÜRICH", "zürich", True),
    ("STRASSE", "straße", False),
    ("straße", "STRASSE", False),
    ("İ", "i̇", True),
    (10, "10", True),
    ("10", 10, True),
    (1, 1.0, False),
    (1.0, "1.0", True),
    (0.00001, "0.00001", True),
    (1e-6, "1e-6", True),
    (1.5e-7, "1.5e-7", True),
    (1e16, "1e+16", True),
    (1e21, "1e+21", True),
    (None, "null", True),
    (None, None, True),
    ("", "", True),
    ("", None, False),
    (["gold", "silver"], "SILVER", True),
    (["gold", "silver"], "bronze", False),
    (["1", 2], 2, True),
    ([1, 2], [1, 2], False),
    ([[1, 2]], [1, 2], True),
    ({"b": 1, "a": "é"}, {"a": "é", "b": 1}, True),
    ({"a": 1}, '{"a":1}', True),
    ({"a": [None, True]}, '{"a":[null,true]}', True),
    ([], True, True),
    ([], "TRUE", True),
    ([], [], True),
    ([], [True, "true"], True),
    ([], "gold", False),
    ([], None, False),
]
#: Matching version 1 reads what looks like a boolean as one.
LEGACY = [
    (True, "true", True),
    (True, "True", True),
    (True, 1, False),
    (True, "yes", False),
    (False, "banana", True),
    (False, 0, True),
    (False, None, True),
    (False, True, False),
    ("false", "no", True),
    ("TRUE", True, True),
    (["true", "false"], "true", False),
    (["true", "false"], "no", True),
    ([True], [True], True),
]
EXPLICIT = [
    (True, "true", True),
    (False, "banana", False),
    (False, 0, False),
    (False, "FALSE", True),
    (["true", "false"], "true", True),
    (["true", "false"], "no", False),
]


@pytest.mark.parametrize("matching", [1, 2])
@pytest.mark.parametrize(("wanted", "value", "expected"), EXACT)
def test_exact_compares_texts(wanted: Any, value: Any, expected: bool, matching: int) -> None:
    """Equality is of JSON texts in lower case; a list means any of its items."""
    assert matches(prop("p", "exact", wanted), {"p": value}, matching=matching) is expected
    assert matches(prop("p", "is_not", wanted), {"p": value}, matching=matching) is not expected


@pytest.mark.parametrize(
    ("matching", "table"), [(1, LEGACY), (2, EXPLICIT)], ids=["legacy", "explicit"]
)
def test_booleans_follow_the_matching_version(matching: int, table: Any) -> None:
    """Only version 2 takes a boolean for what it says."""
    for wanted, value, expected in table:
        found = matches(prop("p", "exact", wanted), {"p": value}, matching=matching)
        assert found is expected, (wanted, value)
        opposite = matches(prop("p", "is_not", wanted), {"p": value}, matching=matching)
        assert opposite is not expected, (wanted, value)


@pytest.mark.parametrize("version", [2.0, "2", 3, None, True, 0])
def test_only_the_number_two_is_explicit_matching(version: Any) -> None:
    """Anything else in its place means legacy."""
    explicit = matches(prop("p", "exact", value=False), {"p": 0}, matching=version) is False
    assert explicit is (version == 2)


@pytest.mark.parametrize("operator", [None, ""])
def test_no_operator_is_exact(operator: str | None) -> None:
    """A filter may leave its operator out."""
    assert matches(prop("p", operator, "gold"), {"p": "Gold"}) is True
    assert matches({"key": "p", "value": "gold"}, {"p": "Gold"}) is True


@pytest.mark.parametrize("value", [None, False, 0, "", [], "x"])
def test_presence_is_having_the_key(value: Any) -> None:
    """Null, zero and nothing are set; without the key nobody can tell."""
    assert matches(prop("p", "is_set"), {"p": value}) is True
    assert matches(prop("p", "is_not_set"), {"p": value}) is False
    assert matches(prop("p", "is_set"), {}) == MISSING
    assert matches(prop("p", "is_not_set"), {}) == MISSING


TEXT = [
    ("icontains", "corp", "u@CORP.example", True),
    ("icontains", "É", "é", False),
    ("icontains", "É", "xÉx", True),
    ("icontains", "ul", None, True),
    ("icontains", 12, 3124, True),
    ("icontains", '"a"', ["a", 1], True),
    ("icontains", "", "", True),
    ("starts_with", "U@", "u@corp", True),
    ("starts_with", "corp", "u@corp", False),
    ("starts_with", "tr", True, True),
    ("ends_with", "CORP", "u@corp", True),
    ("ends_with", "u@", "u@corp", False),
    ("ends_with", 0, 10.0, True),
]


@pytest.mark.parametrize(("operator", "part", "value", "expected"), TEXT)
def test_parts_of_text(operator: str, part: Any, value: Any, expected: bool) -> None:
    """Only A to Z are compared without their case; the opposite operator is the opposite."""
    assert matches(prop("p", operator, part), {"p": value}) is expected
    assert matches(prop("p", f"not_{operator}", part), {"p": value}) is not expected


NUMBERS = [
    (5, 5, (False, True, False, True)),
    (5, 6, (True, True, False, False)),
    ("5", "4.5", (False, False, True, True)),
    (5, "+6e0", (True, True, False, False)),
    (0, ".5", (True, True, False, False)),
    (0, "5.", (True, True, False, False)),
    (2**53, 2**53 + 1, (False, True, False, True)),
    (1.5, Decimal(2), (True, True, False, False)),
    *[
        (5, value, (False,) * 4)
        for value in (None, True, [6], {}, " 6", "0x10", "NaN", "inf", "", "6 ", math.inf, math.nan)
    ],
    (5, 10**400, (False,) * 4),
    (5, "1e999", (False,) * 4),
]


@pytest.mark.parametrize(("bound", "value", "expected"), NUMBERS)
def test_numbers_compare_as_doubles(bound: Any, value: Any, expected: tuple[bool, ...]) -> None:
    """What is no number is neither more nor less than one."""
    found = [matches(prop("p", name, bound), {"p": value}) for name in ("gt", "gte", "lt", "lte")]
    assert tuple(found) == expected


VERSIONS = [
    ("1.2.3", "1.2.3", {"eq", "gte", "lte"}),
    ("1.2.3", "v1.2.3-beta.1+build", {"eq", "gte", "lte"}),
    ("1.2.0", " V1.2 ", {"eq", "gte", "lte"}),
    ("1.10.0", "1.9.9", {"neq", "lt", "lte"}),
    ("1", "1.0.0.9", {"eq", "gte", "lte"}),
    ("1.2", 1.3, {"neq", "gt", "gte"}),
    ("1.0.0", "1..0", {"eq", "gte", "lte"}),
]


@pytest.mark.parametrize(("bound", "value", "true"), VERSIONS)
def test_versions_compare_by_three_numbers(bound: Any, value: Any, true: set[str]) -> None:
    """Release against release; what is about a build or before a release does not count."""
    for name in ("eq", "neq", "gt", "gte", "lt", "lte"):
        found = matches(prop("p", f"semver_{name}", bound), {"p": value})
        assert found is (name in true), name


RANGES = [
    ("tilde", "1.2.3", ("1.2.3", "1.2.99"), ("1.2.2", "1.3.0")),
    ("tilde", "1", ("1.0.0", "1.0.9"), ("1.1.0",)),
    ("caret", "1.2.3", ("1.2.3", "1.9.0"), ("1.2.2", "2.0.0")),
    ("caret", "0.2.3", ("0.2.3", "0.2.9"), ("0.3.0",)),
    ("caret", "0.0.3", ("0.0.3",), ("0.0.4", "0.0.2")),
    ("wildcard", "1.*", ("1.0.0", "1.99.1"), ("2.0.0", "0.9.9")),
    ("wildcard", "v1.2.*", ("1.2.0", "1.2.7"), ("1.3.0",)),
    ("wildcard", "1.2.3", ("1.2.3",), ("1.2.4",)),
    ("wildcard", "1.*.2", ("1.2.0", "1.2.5"), ("1.3.0", "1.0.2")),
]


@pytest.mark.parametrize(("kind", "bound", "inside", "outside"), RANGES)
def test_ranges_of_versions(
    kind: str, bound: str, inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    """From the first version named, up to but without the next of its kind."""
    for value in inside + outside:
        found = matches(prop("p", f"semver_{kind}", bound), {"p": value})
        assert found is (value in inside), value


@pytest.mark.parametrize("value", ["", "x.1", "1.x", "01.2", "1.02", "-1", [1], True])
def test_no_version_is_unusable_on_either_side(value: Any) -> None:
    """The call is blamed for its value, the definition for its own."""
    assert matches(prop("p", "semver_gt", "1.0.0"), {"p": value}) == MISSING
    assert matches(prop("p", "semver_gt", value), {"p": "1.0.0"}) == UNSUPPORTED
    assert matches(prop("p", "semver_gt", value), {}) == UNSUPPORTED


@pytest.mark.parametrize("operator", ["semver_wildcard"])
@pytest.mark.parametrize("value", ["*", "", "...", "x.*"])
def test_a_wildcard_needs_a_number(operator: str, value: str) -> None:
    """Everything matching everything is more likely a mistake."""
    assert matches(prop("p", operator, value), {"p": "1.0.0"}) == UNSUPPORTED


NOW = datetime(2026, 3, 31, 12, 30, tzinfo=UTC)
MOMENTS = [
    ("7d", "2026-03-24T12:30:00Z"),
    ("-7d", "2026-03-24T12:30:00Z"),
    ("1h", "2026-03-31T11:30:00Z"),
    ("2w", "2026-03-17T12:30:00Z"),
    ("1m", "2026-02-28T12:30:00Z"),
    ("2m", "2026-01-28T12:30:00Z"),
    ("13m", "2025-02-28T12:30:00Z"),
    ("1y", "2025-03-31T12:30:00Z"),
    ("0d", "2026-03-31T12:30:00Z"),
    ("0007d", "2026-03-24T12:30:00Z"),
    ("2024", "2024-03-31"),
    ("2026-01-02", "2026-01-02T00:00:00+00:00"),
    ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
    (" 2026-01-02 03:04:05 UTC ", "2026-01-02T03:04:05Z"),
    ("2026-01-02 03:04:05 utc", "2026-01-02T03:04:05Z"),
    ("2026-01-02 03:04:05 +02:00", "2026-01-02T01:04:05Z"),
    ("2026-01-02 03:04:05 Z", "2026-01-02T03:04:05Z"),
    ("20260102", "2026-01-02"),
    ("2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.500Z"),
]


@pytest.mark.parametrize(("wanted", "moment"), MOMENTS)
def test_dates_mean_one_moment(wanted: str, moment: str) -> None:
    """A second earlier is before it, a second later after it, and itself neither."""
    exact = datetime.fromisoformat(moment)
    exact = exact if exact.tzinfo else exact.replace(tzinfo=UTC)
    for seconds, expected in ((-1, (True, False)), (0, (False, False)), (1, (False, True))):
        value = datetime.fromtimestamp(exact.timestamp() + seconds, UTC).isoformat()
        found = [
            matches(prop("p", name, wanted), {"p": value}, NOW)
            for name in ("is_date_before", "is_date_after")
        ]
        assert tuple(found) == expected, value


def test_a_leap_day_a_year_ago_is_the_28th() -> None:
    """It stays the 28th, even four years back."""
    leap = datetime(2028, 2, 29, 12, tzinfo=UTC)
    for years in ("1y", "4y"):
        year = 2028 - int(years[0])
        assert matches(prop("p", "is_date_after", years), {"p": f"{year}-02-28T12:00:01"}, leap)
        assert matches(prop("p", "is_date_before", years), {"p": f"{year}-02-28T11:59:59"}, leap)


def test_a_bare_year_on_a_leap_day_is_clamped() -> None:
    """2023 has no 29th of February; the flag must not be undecided for a day."""
    leap = datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert matches(prop("p", "is_date_after", "2023"), {"p": "2023-03-01"}, leap) is True
    assert matches(prop("p", "is_date_before", "2023"), {"p": "2023-02-27"}, leap) is True


def test_dates_of_the_caller() -> None:
    """Python's own dates count; null is never before or after; anything else is unusable."""
    after = prop("p", "is_date_after", "2026-01-02T12:00:00")
    assert matches(after, {"p": datetime(2026, 1, 2, 13)}) is True
    assert matches(after, {"p": datetime(2026, 1, 2, 13, tzinfo=UTC)}) is True
    assert matches(after, {"p": date(2026, 1, 2)}) is False
    assert matches(after, {"p": date(2026, 1, 3)}) is True
    assert matches(after, {"p": None}) is False
    for value in ("7d", "yesterday", "", 1767355200, True, ["2026-01-03"]):
        assert matches(after, {"p": value}) == MISSING, value


@pytest.mark.parametrize(
    "value", ["10000d", "5s", "9999y", "-", "tomorrow", "", None, "2026-13-01"]
)
def test_a_filter_without_a_date_is_unusable(value: Any) -> None:
    """Unless the property is null, which is before nothing anyway."""
    filter_ = prop("p", "is_date_before", value)
    assert matches(filter_, {"p": "2026-01-01"}, NOW) == UNSUPPORTED
    assert matches(filter_, {}, NOW) == UNSUPPORTED
    assert matches(filter_, {"p": None}, NOW) is False


@pytest.mark.parametrize(
    "operator",
    [
        "between",
        "not_between",
        "icontains_multi",
        "not_icontains_multi",
        "is_date_exact",
        "in",
        5,
        [],
    ],
)
def test_an_unknown_operator_is_the_servers(operator: Any) -> None:
    """Whatever the properties are."""
    assert matches(prop("p", operator, "x"), {"p": "x"}) == UNSUPPORTED
    assert matches(prop("p", operator, "x"), {}) == UNSUPPORTED


@pytest.mark.parametrize(
    ("operator", "value"),
    [("exact", "x"), ("is_not", "x"), ("icontains", "x"), ("regex", "x"), ("gt", 1), ("exact", [])],
)
def test_a_property_that_was_not_passed_leaves_it_open(operator: str, value: Any) -> None:
    """The server may know it."""
    assert matches(prop("p", operator, value), {"q": "x"}) == MISSING


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, date(2026, 1, 1), {1, 2}, {1: "x"}, [math.nan]]
)
@pytest.mark.parametrize("operator", ["exact", "is_not", "icontains", "not_regex"])
def test_a_value_without_a_text_leaves_it_open(operator: str, value: Any) -> None:
    """JSON could not carry it to the server either."""
    assert matches(prop("p", operator, "x"), {"p": value}) == MISSING
    assert matches(prop("p", operator, []), {"p": value}) == (
        UNSUPPORTED if operator == "not_regex" else MISSING
    )


@pytest.mark.parametrize("kind", ["person_metadata", "event", 5, "PERSON"])
def test_an_unknown_type_is_the_servers(kind: Any) -> None:
    """It may look at something this library does not have."""
    assert matches(prop("p", "exact", "x", type=kind), {"p": "x"}) == UNSUPPORTED


@pytest.mark.parametrize("broken", [None, 5, "p", [], {"type": "person", "value": 1}])
def test_a_filter_without_a_name_is_the_servers(broken: Any) -> None:
    """It spoils its flag, quietly."""
    assert matches(broken, {"p": 1}) == UNSUPPORTED
