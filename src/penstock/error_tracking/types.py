"""The shapes error tracking works with, as types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping
    from datetime import datetime

    from penstock.messages import Id

#: How bad it is; the tools' own words.
Level = Literal["fatal", "error", "warning", "log", "info", "debug"]


class Frame(TypedDict, total=False):
    """One call of a stack; keys that are not known are absent."""

    platform: str
    #: Relative to the top package, ``/`` on every host: errors are grouped by it.
    filename: str
    abs_path: str
    function: str
    module: str
    lineno: int
    #: Whether it is the application's own code.
    in_app: bool
    pre_context: list[str]
    context_line: str
    post_context: list[str]
    #: ``{name: text or number}``, when asked for.
    code_variables: dict[str, Any]


class Mechanism(TypedDict, total=False):
    """How an exception came to be seen, and where it stands in the tree."""

    type: str
    handled: bool
    source: str
    synthetic: bool
    exception_id: int
    parent_id: int


class Stacktrace(TypedDict):
    """Frames from the entry point to the crash."""

    type: str
    frames: list[Frame]


class Entry(TypedDict, total=False):
    """One exception of the tree; the outermost is first."""

    type: str
    value: str
    module: str
    mechanism: Mechanism
    stacktrace: Stacktrace


class Hint(TypedDict, total=False):
    """Where an event comes from; given to `ErrorTracking.before_send`, never sent."""

    exc_info: tuple[Any, Any, Any]
    log_record: logging.LogRecord
    request: Any


class ExceptionOptions(TypedDict, total=False):
    """
    What `Client.capture_exception` takes, by keyword.

    Attributes:
        user_id: The known person; the scope's otherwise. With no id the event is personless.
        anonymous_id: The unknown device.
        properties: Facts of the event.
        groups: ``{group type: group key}``, for PostHog.
        level: ``fatal``, ``error``, ``warning``, ``info`` or ``debug``.
        fingerprint: Errors with the same one are grouped; the tool decides otherwise.
        handled: Whether the program goes on; true unless told.
        mechanism_type: What saw it: ``generic``, ``middleware``, ``task``, ... All but
            ``generic`` are rate limited.
        source: The hook that saw it, lower case, ``technology.hook``.
        timestamp: When it happened; now by default.
        context: Facts of the moment.
        hint: Handed to `ErrorTracking.before_send`.
    """

    user_id: Id | None
    anonymous_id: Id | None
    properties: Mapping[str, Any] | None
    groups: Mapping[str, Any] | None
    level: str | None
    fingerprint: str | None
    handled: bool | None
    mechanism_type: str
    source: str | None
    timestamp: datetime | str | None
    context: Mapping[str, Any] | None
    hint: Hint | None
