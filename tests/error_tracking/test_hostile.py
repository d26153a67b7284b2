"""Whatever is thrown at error tracking, nothing comes back at the host."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raising import raised

from penstock import ErrorTracking, PostHog
from penstock.error_tracking import ExceptionOptions
from penstock.error_tracking.logging_handler import ExceptionLogHandler
from penstock.error_tracking.steps import MAX_BYTES, current_steps
from penstock.error_tracking.text import clean
from penstock.testing import MemoryClient
from penstock.values import encode
from strategies import METHODS, PROPERTIES, RAISED, _raiser, anything

NAMES = sorted(ExceptionOptions.__annotations__)
CLIENT = MemoryClient(
    PostHog("phc"), error_tracking=ErrorTracking(local_variables=True, rate_limit=False)
)
HANDLER = ExceptionLogHandler(CLIENT, logging.DEBUG, capture_extra=True)
#: What every record of a program's loggers has.
HEARD = {"name": "shop", "levelno": logging.ERROR, "msg": "x"}
#: What the handler decides by whether it is for it.
DECIDING = {"name", "levelno", "threadName"}
#: Kept: the handler tells records apart by where they are in memory.
RECORDS: list[logging.LogRecord] = []
NUMBERS = itertools.count()


@st.composite
def hostile_errors(draw: st.DrawFn) -> BaseException:
    """An exception whose methods and properties raise."""
    foul = _raiser(draw(st.sampled_from(RAISED)))
    body: dict[str, Any] = dict.fromkeys(draw(st.sets(st.sampled_from(METHODS))), foul)
    names = (*PROPERTIES, "__cause__", "__context__", "__traceback__", "__notes__", "message")
    body |= {name: property(foul) for name in draw(st.sets(st.sampled_from(names)))}
    base = draw(st.sampled_from([Exception, ValueError, BaseException, ExceptionGroup]))
    made = type("Hostile", (base,), body)
    arguments = ("g", [ValueError("x")]) if base is ExceptionGroup else ("x",)
    error: BaseException = base.__new__(made, *arguments)
    return error


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What the client says of odd values is not the subject."""
    caplog.set_level(logging.CRITICAL, "penstock")


@given(anything)
def test_anything_can_be_captured(thing: Any) -> None:
    """An id, or None; never an exception."""
    assert type(CLIENT.capture_exception(thing)) in {str, type(None)}


@given(hostile_errors(), hostile_errors())
def test_a_hostile_exception_is_captured(error: Any, cause: Any) -> None:
    """Raised, with a cause of its kind, and with such values among the variables."""
    BaseException.__dict__["__cause__"].__set__(error, cause)

    def fall() -> None:
        local = [error, cause]
        if local is not None:
            raise error

    assert CLIENT.capture_exception(raised(fall)) is not None


@given(st.dictionaries(st.sampled_from(NAMES), anything))
def test_any_options_are_taken(options: dict[str, Any]) -> None:
    """The error itself is not lost over them."""
    assert CLIENT.capture_exception(ValueError("x"), **options) is not None


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(sorted(vars(logging.makeLogRecord({})))), anything))
def test_any_record_is_handled(attributes: dict[str, Any]) -> None:
    """Whoever made it; and captured, unless it is what decides whether to that is odd."""
    record = logging.makeLogRecord(HEARD)
    vars(record).update(attributes)
    before = len(CLIENT.events)
    HANDLER.emit(record)
    captured = len(CLIENT.events) - before
    assert captured == 1 or (captured == 0 and attributes.keys() & DECIDING)
    RECORDS.append(record)


@given(st.dictionaries(st.text(max_size=5), anything))
def test_any_fields_are_handled(extra: dict[str, Any]) -> None:
    """What ``extra=`` may give: the record is captured all the same."""
    record = logging.makeLogRecord({**extra, **HEARD})
    before = len(CLIENT.events)
    HANDLER.emit(record)
    assert len(CLIENT.events) == before + 1
    RECORDS.append(record)


@given(anything, anything, anything)
def test_hooks_pass_on_what_they_get(kind: Any, value: Any, trace: Any) -> None:
    """To what was there before; and nothing else comes of it."""
    calls: list[int] = []
    before = (sys.excepthook, threading.excepthook)
    sys.excepthook = lambda *_: calls.append(1)
    threading.excepthook = lambda _: calls.append(2)
    try:
        with MemoryClient(PostHog("phc")) as client:
            client.install_exception_hooks()
            sys.excepthook(kind, value, trace)
            args = SimpleNamespace(
                exc_type=kind, exc_value=value, exc_traceback=trace, thread=value
            )
            threading.excepthook(args)  # type: ignore[arg-type]
        assert calls == [1, 2]
    finally:
        sys.excepthook, threading.excepthook = before


@given(st.text(max_size=8), st.dictionaries(st.text(max_size=5), anything, max_size=3))
def test_any_step_is_remembered(message: str, properties: dict[str, Any]) -> None:
    """Or forgotten, if its facts are too large to be told."""
    names = {name: value for name, value in properties.items() if name != "message"}
    said = f"{next(NUMBERS)} {message}"
    CLIENT.add_step(said, **names)
    remembered = [step["message"] for step in current_steps(1 << 20)]
    assert clean(said, 100) in remembered[-1:] or len(encode(names)) > MAX_BYTES - 200
