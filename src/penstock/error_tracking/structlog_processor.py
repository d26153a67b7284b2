"""structlog's events as errors: a processor to put before those that format exceptions."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from penstock.error_tracking.entries import Subject
from penstock.error_tracking.records import level_of
from penstock.error_tracking.stack import current_sites
from penstock.error_tracking.text import is_a
from penstock.error_tracking.variables import plain_of

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from penstock.client import Client
    from penstock.error_tracking.types import ExceptionOptions

#: ``{method of a logger: level number}``
_NUMBERS: Final = {
    "debug": 10,
    "info": 20,
    "warning": 30,
    "warn": 30,
    "error": 40,
    "err": 40,
    "exception": 40,
    "critical": 50,
    "fatal": 50,
}
#: What other processors put there; no field of the program's.
_NOT_FIELDS: Final = frozenset({"event", "exc_info", "stack_info", "timestamp", "level", "logger"})


class StructlogProcessor:
    """
    Captures structlog's events from a level on, and hands them on unchanged.

    Args:
        client: Takes the events.
        level: Least level number.

    With ``exc_info`` the exception is captured, without one the event is told like one. The
    fields come along as properties, secrets withheld.

    .. versionadded:: 0.1
    """

    def __init__(self, client: Client, level: int = 40) -> None:
        self._tracker = client.error_tracker
        self._level = level

    def __call__(
        self, logger: object, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Capture *event* if it is bad enough."""
        del logger
        number = _NUMBERS.get(method, 0)
        if number >= self._level:
            with suppress(Exception):  # the border: an event of the host's may be anything
                self._take(event, number)
        return event

    def _take(self, event: MutableMapping[str, Any], number: int) -> None:
        masker = self._tracker.masker
        text = str(event.get("event", ""))
        properties = {
            name: plain_of(name, value, masker)
            for name, value in event.items()
            if name not in _NOT_FIELDS and not name.startswith("_")
        }
        error = error_of(event.get("exc_info"))
        if error is None:
            error = Subject(name=text or "Log", value=text, sites=_sites, key=("structlog", text))
        else:
            properties["log_message"] = text if masker is None else masker.message(text)
        options: ExceptionOptions = {
            "level": level_of(number),
            "mechanism_type": "logger",
            "handled": True,
            "source": "python.structlog",
            "properties": properties,
        }
        self._tracker.capture(error, options)


def error_of(info: object) -> object:
    """The exception that ``exc_info`` is about: itself, a tuple, or the current one if true."""
    if is_a(info, BaseException):
        return info
    if is_a(info, tuple) and len(info) == 3 and is_a(info[1], BaseException):  # noqa: PLR2004 - type, value, traceback
        return info
    return sys.exc_info()[1] if info is True or info == 1 else None


def _sites() -> list[Any]:
    return current_sites(skip=("structlog", "logging"))
