"""Logging: records become errors or plain events, from anywhere, without harm."""

from __future__ import annotations

import gc
import logging
import logging.handlers
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from raising import fall, raised

from penstock import PostHog, scoped
from penstock.error_tracking.logging_handler import ExceptionLogHandler, ignore_logger
from penstock.error_tracking.scrubbing import REDACTED
from penstock.error_tracking.structlog_processor import StructlogProcessor
from penstock.testing import MemoryClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Errors


@pytest.fixture
def logger() -> logging.Logger:
    """A logger of the program's, on its own: pytest listens to all that can be found by name."""
    return logging.Logger("shop.cart", logging.DEBUG)  # noqa: LOG001 - see above


@pytest.fixture
def handler(errors: Errors, logger: logging.Logger) -> ExceptionLogHandler:
    """The handler on defaults, attached."""
    return errors.client.install_logging(logger)


pytestmark = pytest.mark.usefixtures("handler")


# -- what a record becomes ---------------------------------------------------------------------


def test_a_logged_exception_is_that_exception(errors: Errors, logger: logging.Logger) -> None:
    """With its chain and stack; the text of the log is beside it."""
    try:
        fall(2)
    except LookupError:
        logger.exception("no stock for %s", "A-1")
    event = errors.event
    assert (event["level"], event["source"]) == ("error", "python.logging")
    assert errors.entries[0]["type"] == "LookupError"
    assert errors.entries[0]["mechanism"] == {
        "type": "logger",
        "handled": True,
        "synthetic": False,
        "exception_id": 0,
    }
    assert errors.frames[-1]["function"] == "fall"
    properties = event["properties"]
    assert properties["log_message"] == "no stock for A-1"
    assert properties["logger_name"] == "shop.cart"
    assert properties["log_function"] == "test_a_logged_exception_is_that_exception"
    assert properties["log_line"] > 0
    assert properties["thread_name"] == threading.current_thread().name
    assert properties["process_name"] == "MainProcess"


def test_a_logged_message_is_told_with_its_place(errors: Errors, logger: logging.Logger) -> None:
    """The template is the type, so that errors with different numbers are one issue."""
    logger.error("no stock for %s", "A-1")
    entry = errors.entries[0]
    assert (entry["type"], entry["value"]) == ("no stock for %s", "no stock for A-1")
    assert entry["mechanism"]["synthetic"] is True
    assert errors.frames[-1]["function"] == "test_a_logged_message_is_told_with_its_place"
    assert errors.frames[-1]["lineno"] == errors.event["properties"]["log_line"]


def helper(logger: logging.Logger, text: str) -> None:
    """What programs wrap around logging."""
    logger.error(text, stacklevel=2)


def test_the_stack_ends_where_the_record_says(errors: Errors, logger: logging.Logger) -> None:
    """Acceptance 12: ``stacklevel`` leaves out the program's own wrapper."""
    helper(logger, "wrapped")
    assert errors.frames[-1]["function"] == "test_the_stack_ends_where_the_record_says"


def test_an_exception_may_be_the_message_or_an_argument(
    errors: Errors, logger: logging.Logger
) -> None:
    """Acceptance 12: if it is the only one."""
    first, second = raised(ValueError("first")), raised(KeyError("second"))
    logger.error(first)
    logger.error("failed for %s: %s", "u1", second)
    logger.error("%s and %s", ValueError("a"), ValueError("b"))
    types = [event["exceptions"][0]["type"] for event in errors.events]
    assert types == ["ValueError", "KeyError", "%s and %s"]
    assert errors.events[1]["properties"]["log_message"] == "failed for u1: 'second'"


def test_logging_an_exception_outside_of_a_handler_is_a_message(
    errors: Errors, logger: logging.Logger
) -> None:
    """Acceptance 12: ``exc_info`` is then a tuple of nothing."""
    logger.exception("no exception here")  # noqa: LOG004 - that is the point
    assert errors.entries[0]["type"] == "no exception here"


@pytest.mark.parametrize(
    "odd", [True, 1, "yes", (1, 2), (ValueError, None, None), (None, ValueError("x")), object()]
)
def test_odd_exc_info_is_none(errors: Errors, logger: logging.Logger, odd: Any) -> None:
    """Acceptance 12: third parties put there what they like."""
    record = logger.makeRecord("shop.cart", logging.ERROR, __file__, 1, "odd", (), None)
    record.exc_info = odd
    logger.handle(record)
    assert errors.entries[0]["type"] == "odd"


def test_arguments_that_do_not_fit_cost_no_event(errors: Errors, logger: logging.Logger) -> None:
    """Acceptance 12: the template is told as it is."""
    logger.error("%d items of %s", "many")  # noqa: PLE1206 - that is the point
    assert errors.entries[0]["value"] == "%d items of %s"


class Unprintable:
    def __str__(self) -> str:
        raise SystemExit


def test_a_message_that_cannot_be_printed_costs_nothing(
    errors: Errors, logger: logging.Logger
) -> None:
    """Its place is still worth knowing."""
    logger.error(Unprintable())
    logger.error("%s", Unprintable())
    assert [event["exceptions"][0]["type"] for event in errors.events] == ["Log", "%s"]


@pytest.mark.parametrize(
    ("number", "level"),
    [(50, "fatal"), (60, "fatal"), (40, "error"), (45, "error"), (30, "warning"), (20, "info")],
)
def test_levels_are_the_tools(
    make_errors: Callable[..., Errors], logger: logging.Logger, number: int, level: str
) -> None:
    """Also those between the usual ones."""
    errors = make_errors()
    errors.client.install_logging(logger, level=logging.DEBUG)
    logger.log(number, "x")
    assert errors.event["level"] == level


def test_records_below_the_level_are_nothing(errors: Errors, logger: logging.Logger) -> None:
    """Errors only, unless asked."""
    logger.warning("x")
    assert errors.events == []


def test_the_time_is_the_records(errors: Errors, logger: logging.Logger) -> None:
    """It may have been made long before."""
    record = logger.makeRecord("shop.cart", logging.ERROR, __file__, 1, "late", (), None)
    record.created = 1_772_360_430.123
    logger.handle(record)
    record.created = float("nan")
    logger.handle(record)
    assert errors.events[0]["timestamp"] == "2026-03-01T10:20:30.123Z"
    assert len(errors.events) == 2


# -- what comes along --------------------------------------------------------------------------


def test_fields_of_the_record_come_along_if_asked_for(
    make_errors: Callable[..., Errors], logger: logging.Logger, errors: Errors
) -> None:
    """Without secrets, without what is private, and not more than so many."""
    other = make_errors()
    other.client.install_logging(logger, capture_extra=True, max_extra=4)
    extra = {
        "order": 7,
        "_private": 1,
        "api_key": "hunter2",
        "cart": {"sku": "A-1", "password": "x"},
        "lazy": object(),
        "fifth": 5,
    }
    logger.error("x", extra=extra)
    properties = other.event["properties"]
    assert properties["order"] == 7
    assert properties["api_key"] == REDACTED
    assert properties["cart"] == {"sku": "A-1", "password": REDACTED}
    assert properties["lazy"] == "<object>"
    assert not properties.keys() & {"_private", "fifth"}
    assert "order" not in errors.event["properties"]


def test_functions_of_the_program_add_what_they_know(
    make_errors: Callable[..., Errors], logger: logging.Logger
) -> None:
    """User, fingerprint, properties, type; one that raises adds nothing."""

    def broken(_: logging.LogRecord) -> Any:
        raise ValueError("a bug in the program")

    errors, without = make_errors(), make_errors()
    errors.client.install_logging(
        logger,
        user_id_fn=lambda record: record.user,  # type: ignore[attr-defined]
        fingerprint_fn=lambda record: record.name,
        properties_fn=lambda _: {"shop": 7},
        type_fn=lambda record: f"Log in {record.name}",
    )
    names = ("user_id_fn", "fingerprint_fn", "properties_fn", "type_fn")
    without.client.install_logging(logger, **dict.fromkeys(names, broken))
    logger.error("x", extra={"user": "u1"})
    with scoped(user_id="u2"):
        logger.error("y", extra={"user": "u1"})
    first, second = errors.events
    assert (first["userId"], second["userId"]) == ("u1", "u2")
    assert first["fingerprint"] == "shop.cart"
    assert first["properties"]["shop"] == 7
    assert first["exceptions"][0]["type"] == "Log in shop.cart"
    assert without.events[0]["exceptions"][0]["type"] == "x"


def test_secrets_in_the_text_are_withheld(errors: Errors, logger: logging.Logger) -> None:
    """In the message of the event, and beside an exception."""
    logger.error("connecting to %s", "postgres://kim:hunter2@db")
    logger.error("password=hunter2", exc_info=raised(ValueError("x")))
    assert "hunter2" not in str(errors.events[0]["exceptions"][0]["value"])
    assert errors.events[1]["properties"]["log_message"] == f"password={REDACTED}"


def test_the_stack_can_be_left_out(
    make_errors: Callable[..., Errors], logger: logging.Logger
) -> None:
    """A message is then all there is."""
    errors = make_errors()
    errors.client.install_logging(logger, attach_stack=False)
    logger.error("x")
    assert "stacktrace" not in errors.entries[0]


def test_records_without_an_exception_can_be_plain_events(
    make_errors: Callable[..., Errors], logger: logging.Logger
) -> None:
    """With the same fields; exceptions stay errors."""
    errors = make_errors()
    errors.client.install_logging(
        logger, level="INFO", plain_event="Log Recorded", capture_extra=True
    )
    with scoped(user_id="u1"):
        logger.info("order %s paid", 7, extra={"order": 7})
    logger.error("x", exc_info=raised(ValueError("x")))
    plain, error = errors.events
    assert (plain["type"], plain["event"], plain["userId"]) == ("capture", "Log Recorded", "u1")
    assert plain["properties"]["log_message"] == "order 7 paid"
    assert plain["properties"]["log_level"] == "info"
    assert plain["properties"]["order"] == 7
    assert error["type"] == "exception_event"


def test_plain_events_are_within_the_rate_limit(
    make_errors: Callable[..., Errors], logger: logging.Logger
) -> None:
    """As errors are."""
    errors = make_errors()
    errors.client.install_logging(logger, plain_event="Log Recorded")
    for number in range(50):
        logger.error("x %d", number)
    assert len(errors.events) == 20
    assert errors.counts == {"rate_limited": 30}


def test_lesser_records_can_be_steps(
    make_errors: Callable[..., Errors], logger: logging.Logger
) -> None:
    """What was logged before the error is told with it."""
    errors = make_errors()
    errors.client.install_logging(logger, step_level=logging.INFO)
    logger.debug("not this")
    logger.info("cart %s loaded", 7)
    logger.error("x")
    (step,) = errors.event["steps"]
    assert step["message"] == "cart 7 loaded"
    assert step["properties"] == {"logger": "shop.cart", "level": "info"}


# -- safety ------------------------------------------------------------------------------------


def test_one_record_is_one_event_wherever_it_is_seen(errors: Errors) -> None:
    """A record passes the handlers of its logger and of those above."""
    top = logging.getLogger("shop")
    errors.client.install_logging(top)
    errors.client.install_logging("shop")
    logging.getLogger("shop.checkout").error("x")
    assert len(errors.events) == 1


def test_a_record_is_left_as_it_was(errors: Errors, handler: ExceptionLogHandler) -> None:
    """Other handlers print or pickle all that is in it."""
    record = logging.LogRecord("shop", logging.ERROR, __file__, 1, "x", (), None)
    before = set(vars(record))
    handler.handle(record)
    assert set(vars(record)) == before
    assert len(errors.events) == 1


def test_a_flood_of_records_is_held_back(errors: Errors, logger: logging.Logger) -> None:
    """By logger, template and place."""
    for number in range(50):
        logger.error("no stock for %d", number)
    logger.error("another")
    assert errors.counts == {"captured": 21, "rate_limited": 30}


@pytest.mark.parametrize(
    "name", ["penstock", "penstock.x", "urllib3.connectionpool", "httpcore.http11", "noisy.sub"]
)
def test_some_loggers_are_not_listened_to(errors: Errors, name: str) -> None:
    """Ours, those of what delivers, and those the program names."""
    handler = ExceptionLogHandler(errors.client, ignore_loggers=["noisy.*"])
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, "x", (), None)
    handler.handle(record)
    assert errors.events == []


def test_integrations_can_silence_a_logger_everywhere(
    errors: Errors, handler: ExceptionLogHandler
) -> None:
    """What they capture themselves need not come in a second time."""
    ignore_logger("django.request")
    handler.handle(logging.LogRecord("django.request", 40, __file__, 1, "x", (), None))
    assert errors.events == []


def test_what_the_delivering_threads_log_is_not_heard(
    errors: Errors, logger: logging.Logger
) -> None:
    """Acceptance 11: a failing delivery would feed itself."""
    thread = threading.Thread(target=logger.error, args=("x",), name="penstock-sender")
    thread.start()
    thread.join()
    assert errors.events == []


def test_a_handler_that_logs_does_not_recurse(
    make_errors: Callable[..., Errors], logger: logging.Logger
) -> None:
    """Acceptance 11: neither a hook that logs, nor a record that logs when it is printed."""

    class Chatty:
        def __str__(self) -> str:
            logger.error("printing")
            return "chatty"

    def hook(event: dict[str, Any], _: object) -> dict[str, Any]:
        logger.error("in the hook")
        return event

    errors = make_errors(before_send=hook)
    errors.client.install_logging(logger)
    logger.error(Chatty())
    assert [event["exceptions"][0]["value"] for event in errors.events] == ["chatty"]


def test_a_finaliser_may_log_while_an_event_is_written(
    make_errors: Callable[..., Errors], logger: logging.Logger
) -> None:
    """Acceptance 11: the garbage collector runs where it likes; no lock waits for itself."""

    class Falls:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            logger.error("in a finaliser")

    errors = make_errors(rate_limit=False)
    errors.client.install_logging(logger)
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(200):
            Falls()
            errors.client.track("u1", "Order Completed", {"n": object()})
            logger.error("x %d", number)
    finally:
        gc.set_threshold(*before)
    told = [e["exceptions"][0]["type"] for e in errors.events if e["type"] == "exception_event"]
    assert told.count("x %d") == 200


def test_the_handler_has_no_lock_to_wait_for(
    errors: Errors, handler: ExceptionLogHandler, logger: logging.Logger
) -> None:
    """Another thread may sit in it for ever."""
    with handler.lock:  # type: ignore[union-attr]
        thread = threading.Thread(target=logger.error, args=("x",))
        thread.start()
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert len(errors.events) == 1


def test_a_broken_record_raises_nothing(
    errors: Errors, handler: ExceptionLogHandler, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does it print what `Handler.handleError` would."""
    record = logging.LogRecord("shop", logging.ERROR, __file__, 1, "x", (), None)
    for name in ("msg", "args", "name", "threadName", "pathname", "created", "exc_info"):
        odd = logging.makeLogRecord({**vars(record), name: object()})
        handler.handle(odd)
    empty = logging.LogRecord("shop", logging.ERROR, __file__, 1, "x", (), None)
    vars(empty).clear()
    handler.emit(empty)
    assert capsys.readouterr().err == ""
    assert errors.events


def test_filters_are_asked(
    errors: Errors, handler: ExceptionLogHandler, logger: logging.Logger
) -> None:
    """They may refuse a record, or, from Python 3.12 on, replace it."""
    handler.addFilter(lambda record: "not this" not in record.getMessage())
    logger.error("not this")
    assert errors.events == []
    if sys.version_info >= (3, 12):
        other = logging.LogRecord("shop", logging.ERROR, __file__, 1, "another", (), None)
        handler.addFilter(lambda _: other)
        logger.error("this")
        assert errors.entries[0]["type"] == "another"


def test_the_handler_comes_and_goes(
    errors: Errors, handler: ExceptionLogHandler, logger: logging.Logger
) -> None:
    """With the client, or by hand; a second time changes nothing."""
    assert handler in logger.handlers
    errors.client.close()
    assert handler not in logger.handlers
    handler.uninstall()
    handler.close()
    logger.error("x")
    assert errors.events == []


def test_behind_a_queue_the_text_is_told(errors: Errors, logger: logging.Logger) -> None:
    """The queue's handler has made text of the exception: there is no stack of another thread."""
    other = logging.Logger("shop.queued")  # noqa: LOG001 - as the fixture
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    other.addHandler(logging.handlers.QueueHandler(records))
    thread = threading.Thread(target=other.error, args=("queued",))
    thread.start()
    thread.join()
    logger.handle(records.get(timeout=10))
    assert errors.entries[0]["type"] == "queued"
    assert "stacktrace" not in errors.entries[0]


# -- structlog ---------------------------------------------------------------------------------


@pytest.fixture
def structured(errors: Errors) -> Any:
    """A logger of structlog's with our processor, and nothing printed."""
    return structlog.wrap_logger(
        structlog.ReturnLogger(),
        processors=[StructlogProcessor(errors.client)],
        wrapper_class=structlog.BoundLogger,
    )


def test_structlogs_errors_are_captured(errors: Errors, structured: Any) -> None:
    """With their fields; and the event goes on as it came."""
    try:
        fall(1)
    except LookupError:
        structured.error("no stock", sku="A-1", api_key="x", exc_info=True)
    structured.info("nothing")
    assert errors.entries[0]["type"] == "LookupError"
    properties = errors.event["properties"]
    assert properties["log_message"] == "no stock"
    assert (properties["sku"], properties["api_key"]) == ("A-1", REDACTED)
    assert errors.event["source"] == "python.structlog"


def test_structlogs_events_are_told_like_errors(errors: Errors, structured: Any) -> None:
    """With the program's stack, not structlog's."""
    printed = structured.critical("no stock", sku="A-1")
    assert printed[1] == {"event": "no stock", "sku": "A-1"}
    assert errors.event["level"] == "fatal"
    assert errors.entries[0]["type"] == "no stock"
    assert errors.frames[-1]["function"] == "test_structlogs_events_are_told_like_errors"


def test_a_broken_event_of_structlogs_goes_on() -> None:
    """Whatever is in it."""
    with MemoryClient(PostHog("phc")) as client:
        processor = StructlogProcessor(client)
        event: dict[Any, Any] = {3: object(), "exc_info": object()}
        assert processor(None, "error", event) is event
        assert processor(None, "unknown", event) is event
