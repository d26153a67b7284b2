"""
Settings: each is written once, here, with its meaning, unit, default and the reason for it.

`Config` is checked when it is made and never changes. What a destination decides for itself
(batch size, limits, compression) is None here, which means "the destination's own".
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from penstock.errors import ConfigError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from penstock.error_tracking import ErrorTracking
    from penstock.errors import DeliveryError
    from penstock.flags.shared import DefinitionsCache
    from penstock.transport import Transport
    from penstock.transport.tls import Tls

MIB = 1024 * 1024
DAY_S = 86_400.0
#: Segment refuses larger batches, and a cursor has room for this many.
MAX_BATCH_SIZE = 2500
#: A cursor has room for this many batches and eight waiting to be retried.
MAX_CONCURRENCY = 32
#: A journal has at least two of its smallest segments.
MIN_JOURNAL_BYTES = 256 * 1024
#: Names in the environment.
ENV_URL = "PENSTOCK_URL"
ENV_JOURNAL = "PENSTOCK_JOURNAL"
ENV_DISABLED = "PENSTOCK_DISABLED"
ENV_DEBUG = "DEBUG"
ENV_FLAGS_SECRET_KEY = "PENSTOCK_FLAGS_SECRET_KEY"  # noqa: S105 - its name
#: A shorter interval between two requests for flag definitions is a mistake of units.
MIN_POLL_S = 0.1
#: As many retries of a flag request as PostHog's Go client takes.
MAX_FLAG_RETRIES = 9


class Clock(Protocol):
    """The time, as the client sees it; `penstock.testing.FakeClock` is one."""

    def time(self) -> float:
        """Seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""
        ...


class Callback(Protocol):
    """
    Told what became of each event, once per destination.

    Both methods are called on a delivery thread; what they raise is logged and contained.
    The message is the neutral JSON object as it was accepted.
    """

    def success(self, message: dict[str, Any]) -> None:
        """The destination answered for *message*."""
        ...

    def failure(self, message: dict[str, Any], error: DeliveryError) -> None:
        """*message* is dead for ``error.destination``; ``error.reason`` says why."""
        ...


BeforeSend = "Callable[[dict[str, Any]], dict[str, Any] | None]"
"""
A hook over the neutral message: return it, changed or not, or None to drop it.

It gets a copy of the outer object. One that raises drops the event (``dead(hook_failed)``).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """
    When to try again.

    Attempt *n* (from 0) is followed by ``uniform(0.5, 1) * min(cap, base * 2**n)`` seconds, or
    by the server's ``Retry-After`` if that is longer.

    Attributes:
        attempts: Tries in one cycle. With a journal on disk a batch that used them up waits
            for the next cycle; in memory it is ``dead(retries_exhausted)``.
        base: First delay in seconds.
        cap: Longest delay in seconds.
        after_cap: Longest ``Retry-After`` honoured, in seconds.
        backoff: Replaces the formula: attempt number (from 0) to seconds.
    """

    attempts: int = 10
    base: float = 0.1
    cap: float = 30.0
    after_cap: float = 300.0
    backoff: Callable[[int], float] | None = None

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        _whole("retry.attempts", self.attempts, 1, 1000)
        for name in ("base", "cap", "after_cap"):
            _seconds(f"retry.{name}", getattr(self, name))


@dataclass(frozen=True, slots=True)
class Block:
    """
    Overflow policy: make the caller wait for room.

    Attributes:
        deadline: Seconds; after them the event is ``dead(queue_full)``.
    """

    deadline: float

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        _seconds("overflow.deadline", self.deadline)


Overflow = Literal["drop_newest", "drop_oldest"] | Block
"""What to do at the cap; every drop is counted as ``dead(queue_full)`` and told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSettings:
    """
    How `Client.flags` finds its answers; see docs/flag-client.md.

    Attributes:
        secret_key: Lets definitions be loaded, so that flags are evaluated here: a project's
            secret key (``phs_...``) or a personal one (``phx_...``). ``PENSTOCK_FLAGS_SECRET_KEY``
            otherwise; a Penstock collector takes its write key.
        endpoint: Base URL of the provider; that of the client's PostHog or Collector
            destination otherwise.
        project_key: The key that names the project; the destination's otherwise.
        local: Load definitions, if there is a key for it.
        poll_interval: Seconds between two looks for new definitions, give or take a tenth;
            None to look once, and when told to `reload`.
        timeout: Seconds a read may take in all, its retries included.
        retries: How often a request for flags is repeated, 0 to 9, where that can help.
        disable_geoip: Keep the provider from guessing a person's place by this server's address.
        send_events: Capture ``$feature_flag_called`` the first time a person gets a value.
        bootstrap: ``{flag key: value}``, or ``{flag key: {"value": ..., "payload": ...}}``:
            answers for the time before the first definitions, and for when the provider has
            none.
        stale_for: Seconds for which the provider's last answer stands in when it has none now;
            0 for never.
        evaluation_contexts: Only flags of these contexts.
        api_version: Of the flags endpoint; 4 brings experiment attribution.
        definitions_cache: Where several processes share definitions, so that one of them loads
            for all; see `penstock.flags.shared.DefinitionsCache`.
    """

    secret_key: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    project_key: str | None = field(default=None, repr=False)
    local: bool = True
    poll_interval: float | None = 30.0
    timeout: float = 3.0
    retries: int = 1
    disable_geoip: bool = True
    send_events: bool = True
    bootstrap: Mapping[str, Any] | None = None
    stale_for: float = 0.0
    evaluation_contexts: Sequence[str] = ()
    api_version: Literal[2, 4] = 2
    definitions_cache: DefinitionsCache | None = None

    def __post_init__(self) -> None:
        """Refuse impossible values, naming the field and what would be right."""
        _secret("flags.secret_key", self.secret_key)
        _seconds("flags.timeout", self.timeout, above_zero=True)
        _seconds("flags.stale_for", self.stale_for)
        if self.poll_interval is not None:
            _seconds("flags.poll_interval", self.poll_interval)
            if self.poll_interval < MIN_POLL_S:
                reason = f"must be at least {MIN_POLL_S} seconds, or None"
                raise ConfigError("flags.poll_interval", self.poll_interval, reason)
        _whole("flags.retries", self.retries, 0, MAX_FLAG_RETRIES)
        _one_of("flags.api_version", self.api_version, (2, 4))
        for name in ("local", "disable_geoip", "send_events"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"flags.{name}", getattr(self, name), "must be True or False")
        if self.bootstrap is not None and not hasattr(self.bootstrap, "keys"):
            raise ConfigError("flags.bootstrap", type(self.bootstrap), "must be a mapping")
        if isinstance(self.evaluation_contexts, str):
            reason = "must be a list of names"
            raise ConfigError("flags.evaluation_contexts", self.evaluation_contexts, reason)

    @property
    def local_key(self) -> str:
        """The key that definitions are loaded with: the setting's or the environment's."""
        return (
            self.secret_key
            or _secret(ENV_FLAGS_SECRET_KEY, os.environ.get(ENV_FLAGS_SECRET_KEY))
            or ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """
    Everything about a client but its destinations.

    Attributes:
        interval: Longest time in seconds an event waits for its batch to fill; 0, as in the
            vendors' SDKs, is the destination's own.
        batch_size: Events per request at most, 1 to 2500.
        max_message_bytes: Bytes of one message's JSON; above it is ``dead(too_large)``.
        max_batch_bytes: Bytes of one request's JSON before compression, envelope included.
        compression: ``"gzip"``, ``"none"``, or what the dialect allows beyond.
        timeout: Seconds one request may take in all.
        retry: When to try again.
        concurrency: Requests in flight per destination at most, 1 to 32.
        ordering: ``"user"`` keeps one user's events in order, at some cost in throughput.
        journal: ``"auto"`` (``PENSTOCK_JOURNAL``, else the user's state directory), a
            directory, or None for memory only.
        journal_max_bytes: Cap on the journal, all processes of the host together.
        max_age: Seconds after capture at which an undelivered event is ``dead(expired)``.
        overflow: ``"drop_newest"``, ``"drop_oldest"`` or ``Block(seconds)``.
        fsync: ``"off"`` survives process death; ``"interval"`` survives power loss up to
            `fsync_interval` before it; ``"always"`` survives it from the moment a call returns.
        fsync_interval: Seconds.
        exit_timeout: Seconds the interpreter's exit may wait for delivery. What is left stays
            in the journal.
        callback: Told what became of each event.
        logger: Where the client speaks; ``logging.getLogger("penstock")`` by default.
        verbose: Log every request (never a body or a key). ``DEBUG=penstock`` does too.
        default_context: Merged under every event's context.
        transport: Carries the requests; HTTP by urllib3 by default.
        proxy: URL of a proxy; the environment's by default.
        tls: Certificates and their verification.
        clock: The time, for tests.
        new_id: Makes message ids, for tests; UUIDv7 by default.
        before_send: A hook, or several in order, over every event.
        flags: How feature flags are found; see `FlagSettings`.
        error_tracking: What is sent of errors, and which; `ErrorTracking` by default.
        strict: Raise where data would be coerced, dropped for size, or refused by a full
            journal.
        disabled: Do nothing at all; ``PENSTOCK_DISABLED=1`` does the same.
    """

    interval: float | None = None
    batch_size: int | None = None
    max_message_bytes: int | None = None
    max_batch_bytes: int | None = None
    compression: str | None = None
    timeout: float | None = None
    retry: Retry = field(default_factory=Retry)
    concurrency: int = 4
    ordering: Literal["user"] | None = None
    journal: str | os.PathLike[str] | None = "auto"
    journal_max_bytes: int = 512 * MIB
    max_age: float = 7 * DAY_S
    overflow: Overflow = "drop_newest"
    fsync: Literal["off", "interval", "always"] = "off"
    fsync_interval: float = 1.0
    exit_timeout: float = 2.0
    callback: Callback | None = None
    logger: logging.Logger | None = None
    verbose: bool = False
    default_context: Mapping[str, Any] | None = None
    transport: Transport | None = None
    proxy: str | None = None
    tls: Tls | None = None
    clock: Clock | None = None
    new_id: Callable[[], str] | None = None
    before_send: (
        Callable[[dict[str, Any]], dict[str, Any] | None]
        | Sequence[Callable[[dict[str, Any]], dict[str, Any] | None]]
        | None
    ) = None
    flags: FlagSettings | None = None
    error_tracking: ErrorTracking | None = None
    strict: bool = False
    disabled: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible values, naming the field and what would be right."""
        for name in ("interval", "timeout"):
            if getattr(self, name) is not None:
                _seconds(name, getattr(self, name), above_zero=name == "timeout")
        for name in ("max_age", "fsync_interval", "exit_timeout"):
            _seconds(name, getattr(self, name))
        _whole("batch_size", self.batch_size, 1, MAX_BATCH_SIZE)
        _whole("max_message_bytes", self.max_message_bytes, 1, 64 * MIB)
        _whole("max_batch_bytes", self.max_batch_bytes, 1, 64 * MIB)
        _whole("concurrency", self.concurrency, 1, MAX_CONCURRENCY)
        _whole("journal_max_bytes", self.journal_max_bytes, MIN_JOURNAL_BYTES, 1 << 50)
        _one_of("ordering", self.ordering, (None, "user"))
        _one_of("fsync", self.fsync, ("off", "interval", "always"))
        if not isinstance(self.overflow, Block):
            _one_of("overflow", self.overflow, ("drop_newest", "drop_oldest"))
        if self.default_context is not None and not hasattr(self.default_context, "keys"):
            raise ConfigError("default_context", type(self.default_context), "must be a mapping")
        if self.flags is not None and not isinstance(self.flags, FlagSettings):
            raise ConfigError("flags", type(self.flags), "must be FlagSettings(...)")

    @property
    def hooks(self) -> tuple[Callable[[dict[str, Any]], dict[str, Any] | None], ...]:
        """The `before_send` hooks in the order they run."""
        if self.before_send is None:
            return ()
        return (self.before_send,) if callable(self.before_send) else tuple(self.before_send)

    def journal_root(self) -> Path | None:
        """The directory that holds this user's journals, or None for memory only."""
        if self.journal is None:
            return None
        if self.journal != "auto":
            return Path(self.journal)
        return default_journal_root()


def default_journal_root() -> Path:
    """``PENSTOCK_JOURNAL``, else the platform's user state directory."""
    named = os.environ.get(ENV_JOURNAL)
    if named:
        return Path(named)
    from platformdirs import user_state_path  # 20 ms of imports, so only when it is needed

    return user_state_path("penstock", appauthor=False) / "journal"


def disabled_by_environment() -> bool:
    """Whether ``PENSTOCK_DISABLED`` is set to something that means yes."""
    return os.environ.get(ENV_DISABLED, "").strip().lower() in {"1", "true", "yes", "on"}


def debug_by_environment() -> bool:
    """Whether ``DEBUG`` names penstock, alone or in a comma or space separated list."""
    return "penstock" in os.environ.get(ENV_DEBUG, "").replace(",", " ").split()


def _seconds(name: str, value: object, *, above_zero: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(name, value, "must be a number of seconds")
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        least = "above 0" if above_zero else "0 or more"
        raise ConfigError(name, value, f"must be a finite number of seconds, {least}")


def _whole(name: str, value: object, least: int, most: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(name, value, f"must be a whole number from {least} to {most}")


def _secret(name: str, value: object) -> str | None:
    """A key for flag definitions, or None; no key is shown."""
    if value is None:
        return None
    if not isinstance(value, str) or not (value.isascii() and value.isprintable()) or " " in value:
        raise ConfigError(name, "…", "must be printable ASCII without blanks")
    if value.startswith("phc_"):
        reason = (
            "is a project key, which loads no definitions; use a secret one (phs_... or phx_...)"
        )
        raise ConfigError(name, "phc_…", reason)
    return value


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        names = ", ".join(repr(one) for one in allowed)
        raise ConfigError(name, value, f"must be one of {names}")
