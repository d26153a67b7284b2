"""
Logging records as events: errors with their stacks, and plain events where that is wished.

Safe wherever a program logs from: in a finaliser, in a signal handler, in the thread that
delivers. The handler takes no lock around its work, it is deaf to what is logged while an error
is captured and to everything the delivery's threads log, and it raises nothing.
"""

from __future__ import annotations

import logging
import threading
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from penstock.error_tracking import records
from penstock.error_tracking.text import Failed, contained, is_a
from penstock.error_tracking.tracker import BUSY
from penstock.scope import CURRENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.client import Client
    from penstock.error_tracking.types import ExceptionOptions

#: Loggers that are not listened to: ours, and those of what may deliver.
IGNORED: Final = (
    *("penstock", "penstock.*", "urllib3.connectionpool", "urllib3.connection"),
    *("httpx", "httpcore", "httpcore.*"),
)
#: How the threads that deliver are called.
_OUR_THREADS = "penstock-"
_more_ignored: set[str] = set()


def ignore_logger(*patterns: str) -> None:
    """
    Have no handler listen to loggers of these names, as `fnmatch` reads them.

    For what is captured in another way already, as by an integration with a framework.
    """
    _more_ignored.update(patterns)


class _Inside(threading.local):
    """What this thread does in handlers."""

    def __init__(self) -> None:
        #: Whether it is in one: what the program's functions log there is not heard.
        self.now = False
        #: ``{owner: the last record that a client had}``; places and times, not the records.
        self.last: dict[str, tuple[int, float]] = {}


_INSIDE = _Inside()


class ExceptionLogHandler(logging.Handler):
    """
    Captures log records: `Client.install_logging` makes and attaches one.

    A record with an exception, in ``exc_info`` or as the message or the only one among the
    arguments, becomes that exception's event; any other becomes an event with the message and
    the place it was logged at.

    Args:
        client: Takes the events.
        level: Records from this level on.
        user_id_fn: From a record to the user id, where the scope knows none.
        fingerprint_fn: From a record to the fingerprint.
        properties_fn: From a record to more properties.
        type_fn: From a record without an exception to the type of its event.
        attach_stack: Tell the stack of records without an exception.
        capture_extra: Take along what ``extra=`` gave, secrets withheld.
        max_extra: Fields of it, at most.
        ignore_loggers: More names of loggers that are not listened to, as `fnmatch` reads them.
        plain_event: The name of the plain event that records without an exception become,
            instead of an error.
        step_level: Records from this level on that become no event are remembered as steps.

    Behind a `logging.handlers.QueueHandler` records have lost their exceptions: attach this to
    the logger itself.

    .. versionadded:: 0.1
    """

    def __init__(
        self,
        client: Client,
        level: int | str = logging.ERROR,
        *,
        user_id_fn: Callable[[logging.LogRecord], Any] | None = None,
        fingerprint_fn: Callable[[logging.LogRecord], str | None] | None = None,
        properties_fn: Callable[[logging.LogRecord], Mapping[str, Any] | None] | None = None,
        type_fn: Callable[[logging.LogRecord], str] | None = None,
        attach_stack: bool = True,
        capture_extra: bool = False,
        max_extra: int = 20,
        ignore_loggers: Sequence[str] = (),
        plain_event: str | None = None,
        step_level: int | str | None = None,
    ) -> None:
        super().__init__(level)
        self._event_level = self.level
        if step_level is not None:
            self.setLevel(step_level)
            self.setLevel(min(self.level, self._event_level))
        self._tracker = client.error_tracker
        self._ignored = (*IGNORED, *ignore_loggers)
        self._user_id_fn = user_id_fn
        self._fingerprint_fn = fingerprint_fn
        self._properties_fn = properties_fn
        self._type_fn = type_fn
        self._attach_stack = attach_stack
        self._most_extra = max_extra if capture_extra else 0
        self._plain_event = plain_event
        self._attached_to: logging.Logger | None = None

    def attach(self, logger: logging.Logger) -> None:
        """Begin to listen to *logger*."""
        self._attached_to = logger
        logger.addHandler(self)

    def uninstall(self) -> None:
        """Stop listening."""
        logger, self._attached_to = self._attached_to, None
        if logger is not None:
            logger.removeHandler(self)
        self.close()

    def handle(self, record: logging.LogRecord) -> bool:
        """As the base class does, without its lock: nothing here needs one."""
        passed: Any = self.filter(record)
        if isinstance(passed, logging.LogRecord):  # from Python 3.12 on a filter may replace it
            record = passed
        if passed:
            self.emit(record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Capture *record*; whatever happens meanwhile stays here."""
        if BUSY.now or _INSIDE.now:
            return
        _INSIDE.now = True
        try:
            if self._hears(record):
                self._take(record)
        except Exception:  # noqa: BLE001, S110 - the border: a record of the host's may be anything
            pass
        finally:
            _INSIDE.now = False

    def flush(self) -> None:
        """Nothing waits here; `Client.flush` delivers."""

    def _hears(self, record: logging.LogRecord) -> bool:
        if (record.threadName or "").startswith(_OUR_THREADS):
            return False
        patterns = (*self._ignored, *_more_ignored)
        if any(fnmatchcase(record.name, pattern) for pattern in patterns):
            return False
        return not self._was_seen(record)

    def _was_seen(self, record: logging.LogRecord) -> bool:
        """
        Whether another handler of the same client had it just before.

        A note on the record itself would be printed by formatters and pickled by other handlers.
        """
        mark = (id(record), record.created)
        before, _INSIDE.last[self._tracker.owner] = _INSIDE.last.get(self._tracker.owner), mark
        return before == mark

    def _take(self, record: logging.LogRecord) -> None:
        if record.levelno < self._event_level:
            facts = {"logger": record.name, "level": records.level_of(record.levelno)}
            self._tracker.step(self._scrubbed(records.message_of(record)), facts)
            return
        error = records.error_of(record)
        if error is None and self._plain_event is not None:
            self._take_plainly(record, self._plain_event)
            return
        properties = self._properties(record)
        if error is None:
            attach = self._attach_stack
            error = records.subject_of_message(record, self._type_fn, attach_stack=attach)
        else:
            properties["log_message"] = self._scrubbed(records.message_of(record))
        options: ExceptionOptions = {
            "level": records.level_of(record.levelno),
            "mechanism_type": "logger",
            "handled": True,
            "source": "python.logging",
            "properties": properties,
            "timestamp": records.moment_of(record),
            "user_id": self._user_id(record),
            "fingerprint": _asked(self._fingerprint_fn, record),
            "hint": {"log_record": record},
        }
        self._tracker.capture(error, options)

    def _take_plainly(self, record: logging.LogRecord, event: str) -> None:
        properties = {
            **self._properties(record),
            "log_message": self._scrubbed(records.message_of(record)),
            "log_level": records.level_of(record.levelno),
        }
        self._tracker.plain(
            event,
            properties,
            user_id=self._user_id(record),
            timestamp=records.moment_of(record),
            kind=(record.name, records.template_of(record), record.pathname, record.funcName),
        )

    def _properties(self, record: logging.LogRecord) -> dict[str, Any]:
        extra = records.extra_of(record, self._tracker.masker, self._most_extra)
        given = _asked(self._properties_fn, record)
        return {**extra, **(given if is_a(given, dict) else {}), **records.fields_of(record)}

    def _user_id(self, record: logging.LogRecord) -> Any:
        if self._user_id_fn is None:
            return None
        scope = CURRENT.get()
        known = None if scope is None else scope.user_id
        return known if known is not None else _asked(self._user_id_fn, record)

    def _scrubbed(self, text: str) -> str:
        masker = self._tracker.masker
        return text if masker is None else masker.message(text)


def _asked(function: Callable[[logging.LogRecord], Any] | None, record: logging.LogRecord) -> Any:
    """What a function of the host's says of a record; None where it raises."""
    if function is None:
        return None
    said = contained(function, record)
    return None if isinstance(said, Failed) else said
