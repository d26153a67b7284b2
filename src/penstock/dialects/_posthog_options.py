"""
Properties that capture V1 carries outside ``properties``, and how it reads them.

Source: the protocol reference, 2.6 (lifting rules) and 7.5 (what a server takes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def as_bool(value: Any) -> bool | None:
    """The value as V1 reads a bool: ``"true"``, ``"1"``, any number; None if it is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value != 0
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return None


def as_text(value: Any) -> str | None:
    """The value as text: a string, or an integer's digits; None if it is neither."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


#: ``{property: (name in options, how it is read)}``.
OPTIONS: dict[str, tuple[str, Callable[[Any], bool | str | None]]] = {
    "$cookieless_mode": ("cookieless_mode", as_bool),
    "$ignore_sent_at": ("disable_skew_correction", as_bool),
    "$product_tour_id": ("product_tour_id", as_text),
    "$process_person_profile": ("process_person_profile", as_bool),
}

#: ``{property: top-level name}``, all text.
TOP_LEVEL = {"$session_id": "session_id", "$window_id": "window_id"}
