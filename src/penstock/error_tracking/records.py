"""What a log record says: an exception or a message, where it was logged, and its fields."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from penstock.error_tracking.entries import Subject
from penstock.error_tracking.stack import current_sites
from penstock.error_tracking.text import Failed, contained, is_a, text_of
from penstock.error_tracking.variables import plain_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.error_tracking.scrubbing import Masker
    from penstock.error_tracking.stack import Site

#: Attributes that every record has; the others came with ``extra=``.
STANDARD: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "stack_info"}
)
#: ``{least level number: the tools' word}``, highest first.
_LEVELS = ((50, "fatal"), (40, "error"), (30, "warning"), (20, "info"))


def level_of(number: object) -> str:
    """The tools' word for a level number."""
    if not is_a(number, int):
        return "error"
    return next((word for least, word in _LEVELS if number >= least), "debug")


def error_of(record: logging.LogRecord) -> object:
    """
    The exception a record is about, as `Client.capture_exception` takes it; None if about none.

    It is in ``exc_info``, is the message itself, or is the only exception among the arguments.
    """
    info: Any = record.exc_info
    if is_a(info, tuple) and len(info) == 3 and is_a(info[1], BaseException):  # noqa: PLR2004 - type, value, traceback
        return info
    if is_a(record.msg, BaseException):
        return record.msg
    arguments: Any = record.args
    if is_a(arguments, tuple):
        errors = [one for one in arguments if is_a(one, BaseException)]
        return errors[0] if len(errors) == 1 else None
    return None


def message_of(record: logging.LogRecord) -> str:
    """The text of a record; its template where its arguments do not fit it."""
    text = contained(record.getMessage)
    return text if is_a(text, str) else template_of(record)


def template_of(record: logging.LogRecord) -> str:
    """The text of a record before its arguments were put in."""
    return text_of(record.msg) or ""


def subject_of_message(
    record: logging.LogRecord,
    type_fn: Callable[[logging.LogRecord], str] | None,
    *,
    attach_stack: bool,
) -> Subject:
    """A record without an exception, told like one: its template is the type."""
    template = template_of(record)
    kind = None if type_fn is None else contained(type_fn, record)

    def sites() -> list[Site]:
        return stack_of(record) if attach_stack else []

    return Subject(
        name=kind if is_a(kind, str) and kind else template or "Log",
        value=message_of(record),
        sites=sites,
        key=(record.name, template, record.pathname, record.funcName),
    )


def stack_of(record: logging.LogRecord) -> list[Site]:
    """The calls that led to the logging call; none where it was not made on this thread."""
    sites = current_sites(skip=("logging",))
    while sites:
        site = sites[-1]
        if site.code.co_filename == record.pathname and site.lineno == record.lineno:
            return sites
        sites.pop()  # what the program wraps around logging, if it gave a ``stacklevel``
    return []


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Where and by what it was logged."""
    fields = {
        "logger_name": record.name,
        "log_line": record.lineno,
        "log_function": record.funcName,
        "thread_name": record.threadName,
        "process_name": record.processName,
    }
    return {name: value for name, value in fields.items() if is_a(value, str) or is_a(value, int)}


def extra_of(record: logging.LogRecord, masker: Masker | None, most: int) -> dict[str, Any]:
    """What came with ``extra=``, without secrets; at most so many fields."""
    names = [
        name for name in vars(record) if name not in STANDARD and not str(name).startswith("_")
    ]
    return {name: plain_of(name, vars(record)[name], masker) for name in names[:most]}


def moment_of(record: logging.LogRecord) -> datetime | None:
    """When it was logged; None where that is no time."""
    moment = contained(datetime.fromtimestamp, record.created, UTC)
    return None if isinstance(moment, Failed) else moment
