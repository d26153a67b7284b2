"""Values that hold no others: what JSON has a form for, what it has none for, and the ends."""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import itertools
import math
import re
import uuid
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from hostile.made import Made
from strategies import Colour, HostileZone, Level, Mode

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from penstock.values import Reason

    Maker = Callable[[Random], Made]

_LETTERS = 'abc XYZ 09_-"\\/\n\t\x00\x1f\x7f\u00e9\u00df\u2028\u4e2d\ufeff\uffff\U0001f600'
_SURROGATES = ("\ud800", "\udfff", "a\udc80b", "\ud83d\ude00", "\udead" * 9)
_ZONES = (
    dt.UTC,
    dt.timezone(dt.timedelta(hours=-23, minutes=-59)),
    dt.timezone(dt.timedelta(hours=14, seconds=1, microseconds=1)),
)
_LATE = dt.datetime(2026, 3, 1, 2, 3, 4, 999_999)
_LONG = ("x" * 10_000, "\u00fc" * 9_000, "\x00" * 4_000, "x" * 300_000)


class Weight(enum.Flag):
    LIGHT = 1
    HEAVY = 2


class Held(enum.Enum):
    """Values an Enum seldom has."""

    NAN = math.nan
    SURROGATE = "\ud800"
    BYTES = b"\xff"
    WHEN = dt.datetime(2026, 3, 1)
    TABLE = {"a": [math.inf]}  # noqa: RUF012 - an odd value is the point
    OTHER = Level.LOW
    NOTHING = None


_HELD: dict[enum.Enum, Reason] = {
    Held.NAN: "not_finite",
    Held.SURROGATE: "surrogate",
    Held.BYTES: "not_utf8",
    Held.WHEN: "naive_datetime",
    Held.TABLE: "not_finite",
}


_CARRIED = (
    PureWindowsPath("c:/x"),
    Level.LOW,
    Mode.FAST,
    Colour.RED,
    Weight.LIGHT | Weight.HEAVY,
    re.IGNORECASE | re.MULTILINE,
    Held.OTHER,
    Held.NOTHING,
)
#: Can be read once only, by whoever it belongs to.
ONCE = (number for number in (1, 2))
_OBJECTS = (
    object(),
    object,
    len,
    enum,
    ...,
    NotImplemented,
    Colour.OBJECT,
    re.compile("x+"),
    re.match("a", "a"),
    ipaddress.ip_address("10.0.0.1"),
    ipaddress.ip_address("::1"),
    ipaddress.ip_network("10.0.0.0/8"),
    slice(1, 2),
    ONCE,
    iter([1]),
    itertools.count(),
    ValueError("no"),
    KeyboardInterrupt("no"),
    dt.UTC,
    property(len),
    HostileZone,
    HostileZone.dst,
    HostileZone.dst.__code__,
)


def text(random: Random) -> str:
    """A text that UTF-8 can carry."""
    return "".join(random.choices(_LETTERS, k=random.randrange(12)))


def _int(random: Random) -> Made:
    size = random.choice((3, 31, 53, 54, 63, 64, 65, 128, 1022, 1023, 1024, 4_000, 14_300, 60_000))
    number = random.getrandbits(size) | 1 << (size - 1)
    number = -number if random.random() < 0.5 else number
    return Made(number, ("huge_integer",) if number.bit_length() > 1023 else ())


def _float(random: Random) -> Made:
    ends = (-0.0, 5e-324, 1.7976931348623157e308, 2.0**53, 1e22, 0.1, math.nan, math.inf, -math.inf)
    number = random.choice(ends) if random.random() < 0.5 else random.gauss(0, 1e6)
    return Made(number, () if math.isfinite(number) else ("not_finite",))


def _surrogates(random: Random) -> Made:
    return Made(text(random) + random.choice(_SURROGATES) + text(random), ("surrogate",))


def _bytes(random: Random) -> Made:
    kind = random.choice((bytes, bytearray, memoryview))
    if random.random() < 0.5:
        return Made(kind(text(random).encode()))
    return Made(kind(b"\xff\x00" + random.randbytes(random.randrange(6))), ("not_utf8",))


def _views(random: Random) -> Made:
    """Views of memory that are not simply bytes."""
    released = memoryview(b"abc")
    released.release()
    whole = memoryview(b"abcdefgh")
    return random.choice(
        (
            Made(whole[::-2]),
            Made(whole.cast("B", (2, 4))),
            Made(whole.cast("H")),
            Made(released, ("unreadable",)),
        )
    )


def _decimal(random: Random) -> Made:
    if random.random() < 0.3:
        return Made(Decimal(random.choice(("NaN", "sNaN123", "-Infinity"))), ("not_finite",))
    finite = ("1E+999999", "-0", "0.1", "1E-400", "12345678901234567890.123", str(random.random()))
    return Made(Decimal(random.choice(finite)))


def _number(random: Random) -> Made:
    """Numbers JSON has no form for."""
    return Made(
        random.choice((Fraction(1, 3), Fraction(-7), 1 + 2j, complex(math.nan, math.inf))),
        ("stringified",),
    )


def _wide_fraction(_: Random) -> Made:
    """Its text would have more digits than the interpreter writes."""
    return Made(Fraction(10**5_000, 3), ("unreadable",))


def _datetime(random: Random) -> Made:
    ends = (dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59), _LATE)
    naive = random.choice(ends)
    if random.random() < 0.5:
        return Made(naive, ("naive_datetime",))
    return Made(naive.replace(tzinfo=random.choice(_ZONES), fold=random.randrange(2)))


def _hostile_zone(random: Random) -> Made:
    zone = HostileZone(random.choice((None, 3, "x", dt.timedelta(days=2))))
    moment = dt.datetime(2026, 3, 1, tzinfo=zone)
    return Made(random.choice((moment, moment.timetz())), ("unreadable",))


def _calendar(random: Random) -> Made:
    return Made(
        random.choice(
            (
                dt.date.min,
                dt.date.max,
                dt.time.max,
                dt.time(1, 2, tzinfo=dt.UTC),
                dt.timedelta.max,
                dt.timedelta.min,
                dt.timedelta(microseconds=1),
            )
        )
    )


def _carried(random: Random) -> Made:
    """Objects with a lossless form."""
    if random.random() < 0.5:
        return Made(random.choice(_CARRIED))
    fresh = (
        uuid.UUID(int=random.getrandbits(128)),
        PurePosixPath("/srv", text(random).replace("\0", "")),
        range(random.randrange(9)),
    )
    return Made(random.choice(fresh))


def _held(random: Random) -> Made:
    member = random.choice(list(_HELD))
    return Made(member, (_HELD[member],))


def _stringified(random: Random) -> Made:
    """An object of no known form, whose text is all there is."""
    return Made(random.choice(_OBJECTS), ("stringified",))


@cache
def _numpy_values() -> tuple[Made, ...]:
    import numpy as np

    return (
        Made(np.float64(1.5)),
        Made(np.float32(0.1)),
        Made(np.float64("nan"), ("not_finite",)),
        Made(np.longdouble("1.5")),
        Made(np.longdouble("inf"), ("not_finite",)),
        Made(np.int64(-7)),
        Made(np.uint64(2**64 - 1)),
        Made(np.bool_(True)),  # noqa: FBT003 - numpy takes it so
        Made(np.str_("text")),
        Made(np.bytes_(b"\xff"), ("not_utf8",)),
        Made(np.complex128(1j), ("stringified",)),
        Made(np.datetime64("2026-03-01T10:20:30", "s"), ("naive_datetime",)),
        Made(np.datetime64("NaT", "s")),
        Made(np.datetime64(1, "ns")),
        Made(np.timedelta64(5, "s")),
        Made(np.array([1, 2])),
        Made(np.array(3)),
        Made(np.zeros((2, 0, 3))),
        Made(np.array([1.5, math.nan]), ("not_finite",)),
        Made(np.array([None, "x", object()], dtype=object), ("stringified",)),
        Made(np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])),
        Made(np.arange(100_000)),
    )


def _numpy(random: Random) -> Made:
    """What scientists have."""
    return random.choice(_numpy_values())


def _plain(random: Random) -> Made:
    return Made(random.choice((None, True, False, 0, 1, -1, 0.5, "", text(random))))


def _text(random: Random) -> Made:
    return Made(text(random))


def _long(random: Random) -> Made:
    return Made(random.choice(_LONG) if random.random() < 0.1 else _LONG[0][: random.randrange(99)])


#: All of them; the first are the more frequent.
MAKERS: tuple[Maker, ...] = (
    *(_plain, _text, _int, _float) * 3,
    _surrogates,
    _long,
    _bytes,
    _views,
    _decimal,
    _number,
    _wide_fraction,
    _datetime,
    _hostile_zone,
    _calendar,
    _carried,
    _held,
    _stringified,
    *((_numpy,) if find_spec("numpy") else ()),
)
#: Those that can be keys and items of a set, without a word.
HASHABLE: tuple[Maker, ...] = (_plain, _text, _calendar, _carried)
