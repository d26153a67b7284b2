"""Secrets are told by name and by looks, and what is no secret stays readable."""

from __future__ import annotations

import string
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import fall, raised

from penstock.error_tracking.scrubbing import REDACTED, TOO_LONG, Masker
from penstock.error_tracking.variables import (
    MAX_TOTAL,
    MAX_VALUE,
    Budget,
    plain_of,
    shown,
    variables_of,
)
from strategies import anything

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Errors

MASKER = Masker()
#: Made up, of the right form, in pieces so that nobody takes them for found ones.
KEYS = [
    "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "glpat-" + "x7Jk2LmN9pQr4StU6vWx",
    "xoxb-" + "123456789012-abcdefABCDEF",
    "AIza" + "SyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
    "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".c2lnbmF0dXJl",
    "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "phx_" + "abcdefghijklmnopqrstuvwx",
]


@pytest.mark.parametrize(
    "name",
    [
        *("password", "user_password", "passwords", "PASSWORD", "dbPassword", "db_pass"),
        *("api_key", "apiKey", "API-KEY", "apikey", "X-Api-Key", "auth", "Authorization"),
        *("access_token", "csrfToken", "client_secret", "private_key", "dsn", "DATABASE_DSN"),
        *("sk_live", "jwt", "credentials", "conn_str", "Set-Cookie", "aws_access_key_id"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    """However the words are joined."""
    assert MASKER.hides_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("author", "task_id", "disk_usage", "tokenizer", "pass_rate", "passenger", "secretary"),
        *("authored_at", "risk", "monkey", "dsnap", "keyboard", "total", "compass", "x", ""),
    ],
)
def test_names_of_other_things(name: str) -> None:
    """A word is a whole word."""
    assert not MASKER.hides_name(name)


def test_more_words_can_be_given() -> None:
    """Each trade has its own."""
    assert Masker(["iban", "mother_maiden"]).hides_name("customerIBAN")
    assert Masker(["iban", "mother_maiden"]).hides_name("motherMaidenName")


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_vendors(key: str) -> None:
    """Alone, in a sentence, in source code: the rest stays."""
    assert MASKER.hides_text(key)
    for scrubbed in (MASKER.message(f"refused: {key} (x)"), MASKER.line(f'K = "{key}"')):
        assert key not in scrubbed
        assert REDACTED in scrubbed
    assert MASKER.message(f"refused: {key} (x)").startswith("refused: ")


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("postgres://kim:hunter2@db/shop is down", f"postgres://{REDACTED}@db/shop is down"),
        ("login as kim password=hunter2 failed", f"login as kim password={REDACTED} failed"),
        ("{'token': 'abc', 'n': 1}", f"{{'token': '{REDACTED}', 'n': 1}}"),
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {REDACTED}"),
        ("card 4242 4242 4242 4242 declined", f"card {REDACTED} declined"),
        ("order 4242424242424243 declined", "order 4242424242424243 declined"),
        ("no such token: abc", "no such token: abc"),
        ("https://shop.example/a?b=c@d", "https://shop.example/a?b=c@d"),
        ("key 'author' is missing", "key 'author' is missing"),
    ],
)
def test_messages_lose_their_secrets_only(text: str, scrubbed: str) -> None:
    """An error has to stay readable."""
    assert MASKER.message(text) == scrubbed


@pytest.mark.parametrize(
    ("line", "scrubbed"),
    [
        ('API_KEY = "hunter2"', f'API_KEY = "{REDACTED}"'),
        ("connect(password='hunter2', port=1)", f"connect(password='{REDACTED}', port=1)"),
        ("token = request.headers['X']", "token = request.headers['X']"),
        ("connect(password=settings.PASSWORD)", "connect(password=settings.PASSWORD)"),
        ("def author(token: str) -> None:", "def author(token: str) -> None:"),
    ],
)
def test_source_loses_its_literals_only(line: str, scrubbed: str) -> None:
    """What a program has in its variables is not in its text."""
    assert MASKER.line(line) == scrubbed


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("x7Jk2LmN9pQr4StU6vWx", True),
        ("0198f0d2-6a51-7c0e-9f64-2f6f5b0c7a11", False),
        ("deadbeefdeadbeefdeadbeefdeadbeef", False),
        ("/usr/lib/python3.12/Json", False),
        ("A perfectly ordinary sentence, number 7", False),
        ("aaaaaaaaaaaaaaaaA1", False),
        ("ProductListingPage", False),
    ],
)
def test_random_text_looks_like_a_secret(text: str, hidden: bool) -> None:
    """Ids, paths and names do not."""
    assert MASKER.hides_text(text) is hidden


@given(st.text(alphabet=string.printable, max_size=200))
def test_no_text_makes_the_masker_fail(text: str) -> None:
    """Nor slow: every pattern is bounded."""
    MASKER.message(text)
    MASKER.line(text)
    MASKER.hides_text(text)


@pytest.mark.parametrize(
    "piece", ["a=", "://", "password=", "'", "://a:", "eyJ", "-----BEGIN ", "4 "]
)
def test_a_hostile_message_costs_milliseconds(piece: str) -> None:
    """Repetition of what patterns begin with must not make them search for ever."""
    text = piece * (8000 // len(piece))
    began = datetime.now(UTC)
    MASKER.message(text)
    MASKER.hides_text(text[:2048])
    assert (datetime.now(UTC) - began).total_seconds() < 1


# -- variables ---------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: object


@dataclass
class Card:
    number: str
    owner: str


@dataclass(slots=True)
class Slotted:
    number: int


class Lazy:
    """A query set: every question is a query."""

    def _asked(self, *_: object) -> Any:
        raise AssertionError("it was asked")

    __repr__ = __str__ = __len__ = __bool__ = __iter__ = __getattr__ = __eq__ = _asked
    __hash__ = None  # type: ignore[assignment]


class Text(str):  # noqa: SLOT000 - as anybody would write it
    def __str__(self) -> str:
        raise AssertionError("it was asked")


SHOWN: list[tuple[object, object]] = [
    ("text", "text"),
    (Text("own"), "own"),
    (3, 3),
    (2**60, str(2**60)),
    (2**2000, "<int>"),
    (99.5, 99.5),
    (float("nan"), "nan"),
    (True, "True"),
    (None, "None"),
    (b"secret", "<6 bytes>"),
    (bytearray(3), "<3 bytes>"),
    (Decimal("1.50"), "1.50"),
    (Colour.RED, "Colour.RED"),
    (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    (datetime(2026, 3, 1, tzinfo=UTC), "2026-03-01T00:00:00+00:00"),
    (PurePosixPath("/srv/app"), "/srv/app"),
    ([1, {"a": None}], '[1, {"a": null}]'),
    ((1, 2), "[1, 2]"),
    ({1}, "[1]"),
    (Point(1, Lazy()), '{"x": 1, "y": "<test_secrets.Lazy>"}'),
    (Card("1", "Kim"), '{"number": "1", "owner": "Kim"}'),
    (Slotted(1), '{"number": 1}'),
    (Lazy(), "<test_secrets.Lazy>"),
    (object, "<type>"),
    ("x" * 3000, TOO_LONG),
    ("x y" * 500, ("x y" * 500)[:MAX_VALUE]),
]


@pytest.mark.parametrize(("value", "expected"), SHOWN, ids=map(str, range(len(SHOWN))))
def test_how_a_variable_is_shown(value: object, expected: object) -> None:
    """Text or a finite number; what is not known is not asked."""
    assert shown("value", value, MASKER) == expected


def test_secrets_inside_of_a_variable_are_withheld() -> None:
    """By key, and by value."""
    value = {"password": "x", "n": 1, "inner": [{"api_key": 3}, KEYS[0]]}
    assert plain_of("settings", value, MASKER) == {
        "password": REDACTED,
        "n": 1,
        "inner": [{"api_key": REDACTED}, REDACTED],
    }
    assert plain_of("token", 7, MASKER) == REDACTED
    assert plain_of("token", 7, None) == 7


def test_variables_are_bounded() -> None:
    """50 items, 100 values, 12 levels; 10 KiB for all variables of an event."""
    deep: Any = "bottom"
    for _ in range(40):
        deep = [deep]
    assert plain_of("deep", deep, None) != deep
    assert len(plain_of("many", list(range(1000)), None)) == 50
    wide = plain_of("wide", [list(range(50)) for _ in range(50)], None)
    assert sum(1 for row in wide for one in row if one != ".") <= 400
    budget = Budget()
    told = variables_of({f"v{n}": "x" * 1000 for n in range(30)}, None, budget)
    assert sum(map(len, told.values())) <= MAX_TOTAL


def test_a_big_variable_is_not_read_to_its_end() -> None:
    """A million items cost what fifty do."""
    big = {"items": list(range(10**6)), "table": dict.fromkeys(range(10**6)), "text": "x" * 10**7}
    began = time.perf_counter()
    variables_of(big, MASKER, Budget())
    assert time.perf_counter() - began < 0.1


def test_scalars_come_first_and_dunders_not_at_all() -> None:
    """Where the room ends, the small ones are told."""
    values = {"b": [1], "a": {}, "z": 1, "y": "t", "__builtins__": 3}
    assert list(variables_of(values, None, Budget())) == ["y", "z", "a", "b"]


@given(st.dictionaries(st.text(max_size=5), anything, max_size=4))
def test_any_variables_can_be_shown(values: dict[str, Any]) -> None:
    """Hostile ones included: nothing is raised, and everything is text or a number."""
    told = variables_of(values, MASKER, Budget())
    assert all(isinstance(value, str | int | float) for value in told.values())


def test_variables_are_off_unless_asked_for(errors: Errors) -> None:
    """They are the likeliest place for what must not leave the host."""
    errors.capture(raised(lambda: fall(2, total=3)))
    assert errors.frames
    assert all("code_variables" not in frame for frame in errors.frames)


def test_variables_of_the_program_are_told_and_of_libraries_not(
    make_errors: Callable[..., Errors],
) -> None:
    """Beside each of the program's own frames."""
    errors = make_errors(local_variables=True, in_app_include=["raising"])
    errors.capture(raised(lambda: fall(1, total=3, password="hunter2", author="Kim")))
    found = errors.frames[-1]["code_variables"]
    assert found["total"] == 3
    assert found["depth"] == 1
    assert "hunter2" not in found["found"]
    assert '"author": "Kim"' in found["found"]


def test_variables_of_a_cause_are_its_own(make_errors: Callable[..., Errors]) -> None:
    """Acceptance 4: not those of the error that was caught."""

    def inner(sku: str) -> None:
        raise KeyError(sku)

    def outer() -> None:
        order = 7
        try:
            inner("A-1")
        except KeyError as error:
            raise ValueError(order) from error

    errors = make_errors(local_variables=True, in_app_include=[__name__])
    errors.capture(raised(outer))
    last = [entry["stacktrace"]["frames"][-1] for entry in errors.entries]
    assert [frame["function"] for frame in last] == ["outer", "inner"]
    assert last[0]["code_variables"]["order"] == 7
    assert last[1]["code_variables"] == {"sku": "A-1"}


def test_scrubbing_can_be_turned_off(make_errors: Callable[..., Errors]) -> None:
    """By those who have it done elsewhere."""
    errors = make_errors(local_variables=True, in_app_include=["raising"], scrub=False)
    errors.capture(raised(lambda: fall(1, total="password=x", password="hunter2")))
    assert "hunter2" in errors.frames[-1]["code_variables"]["found"]
    assert errors.entries[0]["value"] == "no more: password=x"


def test_secrets_in_messages_and_source_are_withheld(errors: Errors) -> None:
    """On by default, like everything that withholds."""
    errors.capture(raised(ValueError("postgres://kim:hunter2@db is down")))
    assert "hunter2" not in str(errors.entries[0]["value"])
    secret = "7-hsifdrows"[::-1]
    password = "swordfish-7"  # noqa: F841 - it is in the source
    errors.capture(ValueError("here"))
    told = str(errors.events[1])
    assert secret not in told
    assert "password = " in told
