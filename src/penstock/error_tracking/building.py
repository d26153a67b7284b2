"""The event of an error: its exceptions, the facts around it, and a size that is taken."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from penstock.error_tracking.entries import Entries
from penstock.error_tracking.frames import Frames
from penstock.error_tracking.places import Places
from penstock.error_tracking.scrubbing import Masker
from penstock.error_tracking.source import Source
from penstock.error_tracking.steps import MAX_BYTES, current_steps
from penstock.error_tracking.text import Failed, class_module, class_name, contained, is_a
from penstock.error_tracking.trimming import MAX_EVENT, trimmed
from penstock.messages import ExceptionEvent
from penstock.scope import CURRENT
from penstock.values import encode

if TYPE_CHECKING:
    from collections.abc import Hashable

    from penstock.client import Client
    from penstock.error_tracking.entries import Subject
    from penstock.error_tracking.settings import ErrorTracking
    from penstock.error_tracking.types import Entry, ExceptionOptions

#: ``{how a program may call a level: how the tools do}``
LEVELS: Final = {
    **{name: name for name in ("fatal", "error", "warning", "log", "info", "debug")},
    **dict.fromkeys(("critical", "alert", "emergency"), "fatal"),
    "warn": "warning",
    "notice": "info",
    "trace": "debug",
}
#: The property that says how many calls are not told.
OMITTED: Final = "exception_frames_omitted"
#: Bytes that a dialect adds to an event: names, ids, the host's system.
_ENVELOPE = 4096
#: Of an event, a fourth may be steps: they are not cut, and stacks say more.
_SHARE_OF_STEPS = 4


class Builder:
    """
    Builds the events of one client.

    Args:
        settings: What they show.
        client: Where they go: its limits, its clock, its context.
    """

    def __init__(self, settings: ErrorTracking, client: Client) -> None:
        self._client = client
        self._settings = settings
        self.masker = Masker(settings.secret_names) if settings.scrub else None
        root = settings.project_root
        self.places = Places(
            None if root is None else str(root), settings.in_app_include, settings.in_app_exclude
        )
        source = Source((lambda line: line) if self.masker is None else self.masker.line)
        frames = Frames(settings, self.places, source, self.masker)
        self._entries = Entries(frames, self.masker)
        self._release = settings.known_release()
        self._release_id = settings.known_release_id()
        self._environment = settings.known_environment()
        self._excluded = _excluded(client, settings)
        self._limit = _limit(client)

    def now_ms(self) -> int:
        """Milliseconds since 1970 by the client's clock."""
        clock = self._client.config.clock
        return int((time.time() if clock is None else clock.time()) * 1000)

    def kind_of(self, subject: Subject) -> Hashable:
        """What the rate limit takes for the same error: its class and where it happened."""
        if subject.key is not None:
            return subject.key
        sites = subject.sites_to_tell
        where = sites[-1].code if sites else None
        for site in reversed(sites):
            if self.places.of(site.code.co_filename, site.module).in_app:
                where = site.code
                break
        at = (where.co_filename, where.co_name) if where is not None else None
        kind = subject.error_class
        if kind is None:
            return (subject.module, subject.name, at)
        return (class_module(kind), class_name(kind), at)

    def event(self, subject: Subject, options: ExceptionOptions, suppressed: int) -> ExceptionEvent:
        """
        The event of *subject*.

        Args:
            subject: What went wrong.
            options: What the caller said of it.
            suppressed: Errors of its kind that the rate limit held back before it.
        """
        mechanism = options["mechanism_type"]
        entries, omitted = self._entries.of(subject, mechanism, handled=options["handled"])
        trace_id, span_id = _span()
        return ExceptionEvent(
            exceptions=entries,
            level=_level(options.get("level", "error")),
            source=options.get("source"),
            fingerprint=options.get("fingerprint"),
            user_id=options.get("user_id"),
            anonymous_id=options.get("anonymous_id"),
            properties=self._properties(options, omitted, suppressed),
            groups=options.get("groups"),
            steps=current_steps(min(MAX_BYTES, self._limit // _SHARE_OF_STEPS)),
            release_id=self._release_id,
            trace_id=trace_id,
            span_id=span_id,
            event=self._settings.exceptions_as_track,
            context=options.get("context"),
            integrations=self._excluded,
            timestamp=options.get("timestamp"),
        )

    @staticmethod
    def bare(event: ExceptionEvent) -> ExceptionEvent:
        """*event* without what the caller gave: something in it is wrong."""
        return ExceptionEvent(
            exceptions=event.exceptions,
            steps=event.steps,
            release_id=event.release_id,
            event=event.event,
            integrations=event.integrations,
        )

    def _properties(self, options: ExceptionOptions, omitted: int, suppressed: int) -> Any:
        """The caller's over ours; the caller's as they are where they are no mapping."""
        facts = {
            "environment": self._environment,
            "release": self._release or self._app_version(),
            OMITTED: omitted or None,
            "exceptions_suppressed": suppressed or None,
        }
        own = {name: value for name, value in facts.items() if value is not None}
        given = options.get("properties")
        if given is None:
            return own
        merged = contained(lambda: {**own, **given})
        return given if isinstance(merged, Failed) else merged

    def _context(self) -> dict[str, Any]:
        """The context that the event will have from around it."""
        scope = CURRENT.get()
        around = None if scope is None else scope.context
        merged = contained(
            lambda: {**(self._client.config.default_context or {}), **(around or {})}
        )
        return {} if isinstance(merged, Failed) else merged

    def _app_version(self) -> str | None:
        app = self._context().get("app")
        version = app.get("version") if is_a(app, dict) else None
        return version if is_a(version, str) and version else None

    def fit(self, neutral: dict[str, Any]) -> bool:
        """
        Cut the event down to what its destinations take.

        Returns:
            False if not even what is left would be taken by any.
        """
        around = self._context()

        def size() -> int:
            return len(encode({"context": around, **neutral})) + _ENVELOPE

        entries = neutral["exceptions"]
        before = _frames_in(entries)
        fits = trimmed(entries, lambda: size() <= self._limit) or size() <= MAX_EVENT
        if lost := before - _frames_in(entries):
            properties = neutral.setdefault("properties", {})
            properties[OMITTED] = properties.get(OMITTED, 0) + lost
        return fits


def _frames_in(entries: list[Entry]) -> int:
    return sum(len(one["stacktrace"]["frames"]) for one in entries if "stacktrace" in one)


def _level(name: str | None) -> str | None:
    return None if name is None else LEVELS.get(name.lower())


def _excluded(client: Client, settings: ErrorTracking) -> dict[str, bool] | None:
    """``integrations`` that keep errors from destinations that have no place for them."""
    if settings.exceptions_as_track is not None:
        return None
    names = [one.name for one in client.destinations if not one.takes_exceptions]
    return dict.fromkeys(names, False) or None


def _limit(client: Client) -> int:
    """Bytes of an event that every destination takes that has a place for it."""
    config = client.config
    limits = [
        config.max_message_bytes or destination.max_message_bytes
        for destination in client.destinations
        if destination.takes_exceptions
    ]
    return min([MAX_EVENT, *limits])


def _span() -> tuple[str | None, str | None]:
    """Ids of OpenTelemetry's active trace and span, if the program uses it and there is one."""
    telemetry = sys.modules.get("opentelemetry.trace")
    if telemetry is None:
        return None, None
    context = contained(lambda: telemetry.get_current_span().get_span_context())
    if isinstance(context, Failed) or contained(lambda: context.is_valid) is not True:
        return None, None
    ids = contained(lambda: (f"{context.trace_id:032x}", f"{context.span_id:016x}"))
    return (None, None) if isinstance(ids, Failed) else ids
