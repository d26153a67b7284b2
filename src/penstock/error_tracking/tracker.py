"""
From an error to an event: what one client does, in this order.

Control flow and ignored classes are no errors; one that was captured before is not captured
again; the sample and the rate limit choose; the event is built and made to fit; the hook sees it;
it is accepted as any event is. Only then the error is marked, so that one the hook dropped does
not hide the next capture of the same error.

Nothing here raises into the host.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from penstock._log import ERROR, WARNING
from penstock.error_tracking.building import Builder
from penstock.error_tracking.entries import Subject, subject_of
from penstock.error_tracking.filters import Filters
from penstock.error_tracking.hooks import Subscription
from penstock.error_tracking.limiter import Limiter
from penstock.error_tracking.marks import Marks
from penstock.error_tracking.options import cleaned
from penstock.error_tracking.settings import ErrorTracking
from penstock.error_tracking.stack import traceback_of
from penstock.error_tracking.steps import add_step
from penstock.error_tracking.text import is_a
from penstock.errors import ClosedError, ValidationError
from penstock.intake import REFUSAL
from penstock.messages import opened
from penstock.scope import CURRENT, within

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from datetime import datetime

    from penstock._log import Log
    from penstock.client import Client
    from penstock.error_tracking.hooks import Installed, Place
    from penstock.error_tracking.scrubbing import Masker
    from penstock.error_tracking.types import ExceptionOptions, Hint
    from penstock.messages import ExceptionEvent, Id

_COUNTED = ("captured", "duplicate", "rate_limited", "filtered", "oversize", "refused")
#: ``{why an event was refused: how its error is counted}``; a full journal is another matter.
_REFUSED = {"hook_dropped": "filtered", "hook_failed": "filtered", "too_large": "oversize"}


#: Calls inside each other that capturing may take.
ROOM = 100


class _Declined(Exception):  # noqa: N818 - an outcome, not a fault
    """
    An error that is not captured.

    Args:
        what: How it is counted.
        event_id: The event it is told by already.
    """

    def __init__(self, what: str, event_id: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.event_id = event_id


class _Busy(threading.local):
    """Whether this thread is capturing: what it logs meanwhile is not another error."""

    now = False


BUSY = _Busy()


class Tracker:
    """
    Error tracking for one client.

    Args:
        client: Takes the events.
        log: Gives the client's log; it has another one after a fork.
        is_open: Whether the client takes events now.
    """

    def __init__(self, client: Client, log: Callable[[], Log], is_open: Callable[[], bool]) -> None:
        self.settings = client.config.error_tracking or ErrorTracking()
        self._client = client
        self._log = log
        self._is_open = is_open
        self._builder = Builder(self.settings, client)
        self._filters = Filters(self.settings.ignore_exceptions, self.settings.sample_rate)
        #: Tells this client's marks from another's.
        self.owner = uuid4().hex
        self._installed: list[Installed] = []
        self._hooked_places: set[Place] = set()
        self._takers = _takers(client, self.settings)
        self._begin()

    def _begin(self) -> None:
        """What a process has of its own: a forked child begins again."""
        self._pid = os.getpid()
        clock = self._client.config.clock
        monotonic = time.monotonic if clock is None else clock.monotonic
        self._marks = Marks(self.owner, monotonic)
        self._limiter = Limiter(monotonic)
        self._lock = threading.RLock()
        self._counts = dict.fromkeys(_COUNTED, 0)

    def _begin_in_child(self) -> None:
        """Wait for no lock that another thread of the parent held when it forked."""
        if self._pid != os.getpid():
            self._begin()

    # -- capturing -------------------------------------------------------------------------

    def capture(self, error: object, options: ExceptionOptions) -> str | None:
        """
        Capture *error*; see `Client.capture_exception`.

        Returns:
            The event's id, also where it was captured before; None where it is not captured.
        """
        if BUSY.now:  # an error of ours, or of a hook that is being told of another
            return None
        BUSY.now = True
        try:
            return self._capture(error, cleaned(options))
        except _Declined as declined:
            self._count(declined.what)
            return declined.event_id
        except Exception as failure:  # noqa: BLE001 - the border: no error of ours is the host's
            self._say_failed(failure)
            return None
        finally:
            BUSY.now = False

    def _capture(self, error: object, options: ExceptionOptions) -> str | None:
        _check_room(ROOM)
        self._begin_in_child()
        subject = self._subject_of(error) if self._can_take() else None
        if subject is None:
            return None
        hint = self._hint(subject, options)
        self._screen(subject, hint)
        return self._send(subject, options, hint, self._admit(subject, options))

    def _screen(self, subject: Subject, hint: Hint) -> None:
        """
        See that this is an error, that it is new, and that the sample has it.

        Raises:
            _Declined: It is not captured.
        """
        kind = subject.error_class
        if kind is not None and self._filters.ignores(kind):
            raise _Declined("filtered")
        if subject.error is not None:
            mark = self._marks.known(subject.error)
            if mark is not None:
                raise _Declined("duplicate", mark.event_id)
        if not self._filters.samples(hint):
            self._mark(subject, None)
            raise _Declined("filtered")

    def _admit(self, subject: Subject, options: ExceptionOptions) -> int:
        """
        Ask the rate limit; the program's own calls need not.

        Returns:
            Errors of the kind that were held back before this one.

        Raises:
            _Declined: So is this one.
        """
        if not self.settings.rate_limit or options["mechanism_type"] == "generic":
            return 0
        suppressed = self._limiter.admit(self._builder.kind_of(subject))
        if suppressed is None:
            raise _Declined("rate_limited")
        return suppressed

    def _subject_of(self, error: object) -> Subject | None:
        if is_a(error, Subject):
            return error
        if error is None or _is_nothing(error):
            error = sys.exc_info()[1]
            if error is None:
                text = "capture_exception() without an error outside of an except block"
                self._log().say(WARNING, "no exception", text)
                return None
        return subject_of(error)

    def _can_take(self) -> bool:
        if not self._is_open():
            return False
        if not self._takers:
            text = (
                "no destination takes exceptions: add PostHog or a Collector, or set"
                " ErrorTracking(exceptions_as_track=...)"
            )
            self._log().say(WARNING, "no taker", text)
        return self._takers

    @staticmethod
    def _hint(subject: Subject, options: ExceptionOptions) -> Hint:
        error, trace = subject.error, subject.trace
        if error is not None:
            trace = trace or traceback_of(error)
        info = (subject.error_class, error, trace)
        return {"exc_info": info, **(options.get("hint") or {})}

    def _send(
        self, subject: Subject, options: ExceptionOptions, hint: Hint, suppressed: int
    ) -> str | None:
        event = self._builder.event(subject, options, suppressed)
        try:
            return self._accepted(event, subject, hint)
        except ValidationError as refusal:
            text = "an error is captured without what capture_exception() was given: %s is wrong"
            what = getattr(refusal, "field", type(refusal).__name__)
            self._log().say(WARNING, "field", text, what)
            return self._accepted(self._builder.bare(event), subject, hint)

    def _accepted(self, event: ExceptionEvent, subject: Subject, hint: Hint) -> str | None:
        scope = CURRENT.get()
        kind, neutral, common = opened(event if scope is None else within(scope, event))
        if not self._builder.fit(neutral):
            self._log().say(WARNING, "oversize", "an error was dropped: its event cannot be cut")
            raise _Declined("oversize")
        if self.settings.before_send is not None:
            shaped = self._hooked(neutral, hint)
            if shaped is None:
                raise _Declined("filtered")
            neutral = {**shaped, "type": neutral["type"]}
        REFUSAL.set("")
        event_id = self._client.accept(kind, neutral, scope, **common)
        if not event_id:
            return None  # closed meanwhile, or the visitor agreed to nothing
        if refusal := REFUSAL.get():
            raise _Declined(_REFUSED.get(refusal, "refused"))
        self._mark(subject, event_id)
        self._count("captured")
        return event_id

    def _hooked(self, neutral: dict[str, Any], hint: Hint) -> dict[str, Any] | None:
        """What `ErrorTracking.before_send` makes of it; None also where it raises."""
        hook = self.settings.before_send
        try:
            shaped = None if hook is None else hook(dict(neutral), hint)
            return None if shaped is None else dict(shaped)
        except Exception as error:  # noqa: BLE001 - the host's code: fail closed
            self._log().failed_callback("error_tracking.before_send", error)
            return None

    def _mark(self, subject: Subject, event_id: str | None) -> None:
        if subject.error is not None:
            self._marks.put(subject.error, event_id)

    def _say_failed(self, failure: Exception) -> None:
        try:
            kind = type(failure).__name__
            if isinstance(failure, ClosedError):
                return
            self._log().say(ERROR, f"error tracking:{kind}", "an error was not captured: %s", kind)
        except Exception:  # noqa: BLE001, S110 - there is nobody left to tell
            pass

    # -- counting --------------------------------------------------------------------------

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def counts(self) -> dict[str, int]:
        """What became of the errors that were brought, ``{what: number}``; zeros are left out."""
        return {what: number for what, number in self._counts.copy().items() if number}

    # -- beside ----------------------------------------------------------------------------

    def step(self, message: str, properties: Mapping[str, Any]) -> None:
        """Remember a step; see `Client.add_step`."""
        try:
            add_step(message, properties, self._builder.now_ms())
        except Exception as failure:  # noqa: BLE001 - the border, as in `capture`
            self._say_failed(failure)

    def plain(
        self,
        event: str,
        properties: dict[str, Any],
        *,
        user_id: Id | None,
        timestamp: datetime | None,
        kind: Hashable,
    ) -> None:
        """
        Capture a plain event, such as of a log record, within the rate limit.

        Args:
            event: Its name.
            properties: Its facts.
            user_id: Whose it is; the scope's otherwise.
            timestamp: When it happened; now for None.
            kind: What the rate limit takes for the same.
        """
        if BUSY.now or not self._is_open():
            return
        BUSY.now = True
        try:
            self._begin_in_child()
            if self.settings.rate_limit and self._limiter.admit(kind) is None:
                self._count("rate_limited")
                return
            self._client.capture(event, user_id, properties, timestamp=timestamp)
        except Exception as failure:  # noqa: BLE001 - the border, as in `capture`
            self._say_failed(failure)
        finally:
            BUSY.now = False

    @property
    def masker(self) -> Masker | None:
        """What withholds secrets; None where the settings ask for nothing of the kind."""
        return self._builder.masker

    def hook(self, place: Place, *, interactive: bool) -> None:
        """Install one of the interpreter's hooks; a second time changes nothing."""
        if place not in self._hooked_places:
            self._hooked_places.add(place)
            self.keep(Subscription(place, self, interactive=interactive))

    def keep(self, installed: Installed) -> None:
        """Take *installed* out again when the client is closed: at once if it is."""
        self._installed.append(installed)
        if not self._is_open():
            self.close()

    def close(self) -> None:
        """Take out every hook and handler that was installed for this client."""
        self._hooked_places.clear()
        while self._installed:
            try:
                self._installed.pop().uninstall()
            except Exception as failure:  # noqa: BLE001 - the border, as in `capture`
                self._say_failed(failure)


def _check_room(calls: int) -> None:
    """
    See that the stack has room for *calls* calls.

    Half an event would be worse than none: whoever sees the error further up captures it whole.

    Raises:
        RecursionError: It has not.
    """
    if calls:
        _check_room(calls - 1)


def _is_nothing(error: object) -> bool:
    """Whether this is what `sys.exc_info` returns where there is no exception."""
    return type(error) is tuple and len(error) > 0 and all(part is None for part in error)


def _takers(client: Client, settings: ErrorTracking) -> bool:
    """Whether some destination is told of errors."""
    return settings.exceptions_as_track is not None or any(
        destination.takes_exceptions for destination in client.destinations
    )
