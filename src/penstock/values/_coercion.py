"""What is reported when JSON cannot carry a value as it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

Reason = Literal[
    "not_finite",  # NaN, an infinity, pandas' NaT: null
    "naive_datetime",  # no time zone: taken as UTC
    "not_utf8",  # bytes: base64 text
    "surrogate",  # half a character in a text or a key: U+FFFD
    "huge_integer",  # 2**1023 or more, near the end of what a double can hold: text
    "too_deep",  # more than MAX_DEPTH containers inside each other: TOO_DEEP
    "cycle",  # a container inside itself: CYCLE
    "too_many",  # a lazy collection beyond MAX_LAZY_ITEMS: the rest is left out
    "duplicate_key",  # two keys are the same text: the later is renamed ``key#2``
    "stringified",  # an object of no known form: its text, at most MAX_TEXT characters
    "unreadable",  # reading the object raised: its type's name, as in ``<app.Cart>``, or null
]
"""What `Coercion.reason` may be, and what stands in the value's place."""


class Coercion(NamedTuple):
    """A change that lost something. It holds no value: it may be logged."""

    #: Where, as in ``properties.cart[2].price``.
    path: str
    reason: Reason


class TooMuch(ValueError):  # noqa: N818 - a limit, not an error
    """
    A value that is longer than the caller has room for.

    Args:
        most: About the bytes of JSON there was room for.
    """

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} bytes of JSON")
        self.most = most
