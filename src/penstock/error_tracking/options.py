"""What a caller says of an error, without what is nothing of the kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from penstock.error_tracking.text import is_a

if TYPE_CHECKING:
    from penstock.error_tracking.types import ExceptionOptions

_TEXTS: Final = ("mechanism_type", "source", "level", "fingerprint")


def cleaned(options: ExceptionOptions) -> ExceptionOptions:
    """
    A copy of *options* in which each text is one, and each flag.

    Ids, properties and times are checked where the event is made, as for every event.
    """
    kept: dict[str, Any] = dict(options)
    for name in _TEXTS:
        if is_a(value := kept.get(name), str):
            kept[name] = str.__str__(value)
        elif name in kept:
            kept[name] = None
    kept["mechanism_type"] = kept.get("mechanism_type") or "generic"
    handled = kept.get("handled", True)
    kept["handled"] = handled if handled is None or type(handled) is bool else True
    if not is_a(kept.get("hint"), dict):
        kept["hint"] = None
    return cast("ExceptionOptions", kept)
