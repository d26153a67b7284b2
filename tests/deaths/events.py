"""Events that tell by themselves whether they arrived as they were tracked."""

from __future__ import annotations

from typing import Any


def user_of(life: int, writer: int, number: int) -> str:
    """The user of one event: nobody else has it, so it names the event."""
    return f"{life}-{writer}-{number}"


def place_of(user: str) -> tuple[int, int, int]:
    """Life, writer and number of the event that *user* names."""
    life, writer, number = user.split("-")
    return int(life), int(writer), int(number)


def content(user: str, size: int) -> dict[str, Any]:
    """Properties of about *size* bytes that belong to *user*'s event alone."""
    repeated = f"{user} " * (size // (len(user) + 1) + 1)
    return {"size": size, "text": repeated[:size]}


def is_intact(event: dict[str, Any]) -> bool:
    """Whether *event*, as it was received, is what was tracked."""
    properties = event.get("properties", {})
    expected = content(str(event.get("userId")), properties.get("size", -1))
    return bool(properties == expected and event.get("event") == "Order Completed")
