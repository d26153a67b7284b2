"""From what went wrong to the list of exceptions that is sent."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from penstock.error_tracking.chain import chain_of
from penstock.error_tracking.stack import current_sites, shortened, sites_of, traceback_of
from penstock.error_tracking.text import (
    class_module,
    class_name,
    clean,
    clean_bytes,
    contained,
    is_a,
    text_of,
)
from penstock.error_tracking.variables import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from penstock.error_tracking.chain import Link
    from penstock.error_tracking.frames import Frames
    from penstock.error_tracking.scrubbing import Masker
    from penstock.error_tracking.stack import Site
    from penstock.error_tracking.types import Entry, Mechanism

#: Bytes of a type, as PostHog cuts it.
MAX_TYPE: Final = 255
#: Characters of a message.
MAX_VALUE: Final = 4096


class Subject(NamedTuple):
    """What went wrong: an exception, or something that is told like one."""

    #: None for what is no exception.
    error: BaseException | None = None
    #: Class name and message of what is no exception.
    name: str = ""
    value: str = ""
    module: str = ""
    #: Instead of the exception's own.
    trace: TracebackType | None = None
    #: Finds the stack where there is no traceback; the current one without it.
    sites: Callable[[], list[Site]] | None = None
    #: Its class, for what is no instance of one.
    kind: type[BaseException] | None = None
    #: What the rate limit takes for the same error; its class and place without it.
    key: Hashable = None

    @property
    def error_class(self) -> type[BaseException] | None:
        """The class of the exception; None for what is none."""
        return self.kind if self.error is None else type(self.error)

    @property
    def sites_to_tell(self) -> list[Site]:
        """The calls of the first entry's own traceback; empty where it has none."""
        trace = self.trace
        if trace is None and self.error is not None:
            trace = traceback_of(self.error)
        return sites_of(trace)


def subject_of(thing: object) -> Subject:
    """
    What `Client.capture_exception` was given.

    Args:
        thing: An exception, an exception class, ``(type, value, traceback)``, or anything else.
    """
    if is_a(thing, BaseException):
        return Subject(thing)
    if is_a(thing, tuple) and tuple.__len__(thing) == 3:  # noqa: PLR2004 - what `sys.exc_info` returns
        kind, value, trace = tuple.__iter__(thing)
        trace = trace if is_a(trace, TracebackType) else None
        if is_a(value, BaseException):
            return Subject(value, trace=trace)
        if is_a(kind, type) and issubclass(kind, BaseException):
            return _of_class(kind)._replace(trace=trace)
    if is_a(thing, type) and issubclass(thing, BaseException):
        return _of_class(thing)
    text = text_of(thing)
    kind = type(thing)
    name = "Error" if issubclass(kind, str) else class_name(kind)
    module = "" if issubclass(kind, str) else class_module(kind)
    return Subject(None, name, _unprintable(kind) if text is None else text, module)


def _of_class(kind: type[BaseException]) -> Subject:
    return Subject(None, class_name(kind), "", class_module(kind), kind=kind)


class Entries:
    """
    Makes the list of exceptions.

    Args:
        frames: Makes the frames.
        masker: Withholds secrets in messages; None for nothing.
    """

    def __init__(self, frames: Frames, masker: Masker | None) -> None:
        self._frames = frames
        self._masker = masker

    def of(
        self, subject: Subject, mechanism: str, *, handled: bool | None
    ) -> tuple[list[Entry], int]:
        """
        The error first, then what led to it.

        Args:
            subject: What went wrong.
            mechanism: What saw it.
            handled: Whether the program goes on; None for unknown.

        Returns:
            The entries, and how many calls of their stacks were left out.
        """
        sites = subject.sites_to_tell
        synthetic = subject.error is None and subject.trace is None
        if not sites:
            sites = current_sites() if subject.sites is None else subject.sites()
            synthetic = True
        first: Mechanism = {"type": mechanism}
        if handled is not None:
            first["handled"] = handled
        first |= {"synthetic": synthetic, "exception_id": 0}
        budget = Budget()
        told, omitted = self._told(sites, budget)
        if subject.error is None:
            return [self._entry(subject, first, told)], omitted
        chain = chain_of(subject.error)
        entries = [self._entry(_as_subject(chain[0].error), first, told)]
        for number, link in enumerate(chain[1:], 1):
            told, more = self._told(sites_of(traceback_of(link.error)), budget)
            omitted += more
            entries.append(self._entry(_as_subject(link.error), _nested(number, link), told))
        return entries, omitted

    def _told(self, sites: list[Site], budget: Budget) -> tuple[list[Any], int]:
        kept = shortened(sites)
        return self._frames.of(kept, budget), len(sites) - len(kept)

    def _entry(self, subject: Subject, mechanism: Mechanism, frames: Sequence[Any]) -> Entry:
        value = subject.value
        if self._masker is not None:
            value = self._masker.message(value[: 2 * MAX_VALUE])
        entry: Entry = {
            "type": clean_bytes(subject.name, MAX_TYPE) or "Error",
            "value": clean(value, MAX_VALUE),
        }
        if subject.module:
            entry["module"] = clean(subject.module, MAX_TYPE)
        entry["mechanism"] = mechanism
        if frames:
            entry["stacktrace"] = {"type": "raw", "frames": list(frames)}
        return entry


def _nested(number: int, link: Link) -> Mechanism:
    return {
        "type": "chained",
        "source": link.source,
        "synthetic": False,
        "exception_id": number,
        "parent_id": link.parent or 0,
    }


def _as_subject(error: BaseException) -> Subject:
    kind = type(error)
    return Subject(None, class_name(kind), message_of(error), class_module(kind))


def message_of(error: BaseException) -> str:
    """What the exception says, with its notes, each on a line of its own."""
    text = text_of(error)
    if text is None:
        text = _unprintable(type(error))
    if not text:
        text = _said_elsewhere(error)
    notes = contained(lambda: object.__getattribute__(error, "__dict__").get("__notes__"))
    if is_a(notes, list):
        text = "\n".join([text, *(str.__str__(note) for note in notes if is_a(note, str))])
    return text


def _said_elsewhere(error: BaseException) -> str:
    """Web frameworks' errors have ``detail``, old ones ``message``."""
    for name in ("message", "detail"):
        said = contained(getattr, error, name)
        if is_a(said, str) and said:
            return str.__str__(said)
    return ""


def _unprintable(kind: type) -> str:
    return f"<unprintable {class_name(kind)}>"
