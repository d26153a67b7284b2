"""
The intake: what a call does on the caller's thread, from a neutral message to a journal record.

`Intake.accept` is everything a caller waits for: no network, no system call, no lock while
encoding. What is rare (an overflowing journal, an oversize message, a hook, a fork) is in the
methods below it.
"""

from __future__ import annotations

import time
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import orjson
from uuid_utils import uuid7

from penstock import _checks, _fork
from penstock._coercions import Coercions
from penstock._log import ERROR, WARNING
from penstock.config import Block, Config, disabled_by_environment
from penstock.delivery import _live
from penstock.delivery._batcher import message_overhead
from penstock.delivery.engine import Engine, make_log
from penstock.dialects._types import Unencodable
from penstock.errors import (
    ClosedError,
    ConfigError,
    DeliveryError,
    MessageTooLargeError,
    QueueFullError,
)
from penstock.journal._budget import JournalFull
from penstock.journal.record import FLAG_HISTORICAL, FLAG_SELECTIVE, Record
from penstock.kinds import Kind
from penstock.scope import over
from penstock.timestamps import from_epoch_ms, recorded
from penstock.values import TooMuch, encode
from penstock.values._scalars import is_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from uuid import UUID

    from penstock.destinations import Destination
    from penstock.scope import Scope

    Data = Mapping[str, Any]

#: `Block` looks for room this often, in seconds.
_BLOCK_TICK_S = 0.005
#: A payload below this part of the limit is within it in every dialect: none more than doubles
#: a message, and then adds some hundred bytes.
_SURELY_SMALL = 3
#: Encoding stops at so many times the largest limit: no dialect halves a message.
_MORE = 2
#: Why the last event that this thread or task brought was refused; for those who must know.
REFUSAL: ContextVar[str] = ContextVar("penstock_refusal", default="")
_TITLES = {int(kind): kind.title for kind in Kind}
_PAGE = _fork.PAGE
_time_ns = time.time_ns


class Intake:
    """
    Stamps, encodes and appends events; restarts itself in forked children.

    Args:
        destinations: Where every event goes; their names must differ.
        config: The settings.

    Raises:
        ConfigError: There is no destination, two have one name, or a setting does not fit one.
    """

    def __init__(self, destinations: tuple[Destination, ...], config: Config) -> None:
        self.config = config
        self._log = make_log(self.config)
        self.destinations = self._usable(destinations)
        self._closed = False
        self._coercions = self._new_coercions()
        self._hooks = self.config.hooks
        self._new_id = self.config.new_id
        self._clock = self.config.clock
        self._default_context = dict(self.config.default_context or {}) or None
        self._engine: Engine | None = None
        #: `Lane.write` while there is a lane.
        self._write: Callable[[int, int, int, bytes], int] | None = None
        #: The same where an event is to be stamped and written with nothing in between.
        self._write_plainly: Callable[[int, int, int, bytes], int] | None = None
        self._synced = self.config.fsync == "always"
        self._small = self._largest = 0
        if self.destinations:
            self._start()
            _fork.watch(self)

    def _usable(self, destinations: tuple[Destination, ...]) -> tuple[Destination, ...]:
        """Those with a key; none when the client is disabled."""
        if self.config.disabled or disabled_by_environment():
            self._log.say(WARNING, "disabled", "penstock is disabled: events are ignored")
            return ()
        if not destinations:
            raise ConfigError("destinations", (), "name at least one, as in Client(Segment(key))")
        names = [destination.name for destination in destinations]
        if len(set(names)) < len(names):
            raise ConfigError("destinations", names, "two have one name: pass name= to tell them")
        usable = tuple(one for one in destinations if one.has_key)
        for one in destinations:
            if not one.has_key:
                self._log.say(
                    WARNING, f"key:{one.name}", "%s has an empty key: it gets no events", one.name
                )
        return usable

    def _start(self) -> None:
        self._engine = Engine(self.destinations, self.config, self._log)
        limits = [pump.settings.limits.max_message_bytes for pump in self._engine.pumps]
        self._small = min(limits) // _SURELY_SMALL
        self._largest = max(limits)
        self._write = self._engine.lane.write
        self._write_plainly = None if self._has_more_to_do() else self._write
        self._finalizer = weakref.finalize(self, self._engine.worker.orphan)
        self._finalizer.atexit = False  # the worker has its own way to end with the interpreter

    def _has_more_to_do(self) -> bool:
        """Whether the settings ask for more than stamping and writing."""
        seams = self._clock is not None or self._new_id is not None
        return bool(seams or self._hooks or self._default_context or self._synced)

    def _new_coercions(self) -> Coercions:
        return Coercions(self._log, self.config.callback, strict=self.config.strict)

    def has_forked(self) -> None:
        """This process has children, whose events it may have to look after in the end."""
        if self._engine is not None:
            self._engine.worker.may_have_heirs()

    def restart(self, *, forked: bool = False) -> None:
        """A new engine: in a forked child, or for an event that comes during exit."""
        engine = self._engine
        if engine is None or (self._closed and not forked):
            return
        self._finalizer.detach()
        if forked:
            _live.forget_all()
            engine.abandon()
            self._log = make_log(self.config)  # the old one's lock may be held for ever
            self._coercions = self._new_coercions()
        if not self._closed:
            self._start()
            if forked and engine.worker.held_back:
                self.has_forked()  # its events wait for whoever looks first

    def accept(  # noqa: PLR0917 - handed on by position from `track`
        self,
        kind: int,
        neutral: dict[str, Any],
        scope: Scope | None,
        context: Data | None = None,
        integrations: Data | None = None,
        timestamp: datetime | str | None = None,
        message_id: str | UUID | None = None,
        idempotency_key: str | None = None,
        historical: bool = False,
    ) -> str:
        """
        Stamp *neutral*, run the hooks, encode, append.

        Everything a caller waits for is here, or in the shorter way of `Client.track`;
        docs/benchmarks.md has what it costs.
        """
        if not _PAGE[0]:
            _fork.forked()
        if self._write is None:
            return self._closed_or_disabled()
        if scope is not None and not scope.admits(neutral):
            return ""
        now_ms = self._clock_ms()
        neutral["messageId"] = identity = self._identity(kind, message_id, idempotency_key)
        if timestamp is None:
            neutral["timestamp"] = from_epoch_ms(now_ms)
        else:
            neutral["timestamp"] = _checks.wire_timestamp(timestamp, _TITLES[kind])
        self._add_context(kind, neutral, context, scope)
        flags = 0 if historical is False or not _checks.is_set(historical) else FLAG_HISTORICAL
        if integrations is not None:
            neutral["integrations"] = _checks.mapping(integrations, _TITLES[kind], "integrations")
        if self._hooks:
            shaped = self._hooked(neutral)
            if shaped is None:
                return identity
            neutral = shaped
        if "integrations" in neutral:
            flags |= FLAG_SELECTIVE
        payload = self._encoded(neutral)
        if payload is not None:
            self._store(kind, flags, recorded(now_ms), payload)
        return identity

    def _identity(
        self, kind: int, message_id: str | UUID | None, idempotency_key: str | None
    ) -> str:
        """The message id: the caller's, or a new one."""
        if message_id is not None or idempotency_key is not None:
            return _checks.chosen_id(message_id, idempotency_key, _TITLES[kind])
        return str(uuid7()) if self._new_id is None else self._new_id()

    def _add_context(
        self, kind: int, neutral: dict[str, Any], context: Data | None, scope: Scope | None
    ) -> None:
        """The event's own context over the scope's over the client's."""
        if context is not None:
            neutral["context"] = _checks.mapping(context, _TITLES[kind], "context")
        if scope is not None or self._default_context is not None:
            ambient = over(self._default_context, scope.context_of(neutral) if scope else None)
            merged = over(ambient, neutral.get("context"))
            if merged is not None:
                neutral["context"] = merged if scope is None else scope.permitted(merged)

    def _store(self, kind: int, flags: int, captured_at: int, payload: bytes) -> None:
        """Append an event if some destination takes one of its size."""
        if len(payload) > self._small and not self._fits(kind, flags, payload):
            return
        write = self._write  # another thread may close the client meanwhile
        if write is None:
            raise ClosedError
        ordinal = write(kind, flags, captured_at, payload)
        if ordinal <= 0:
            self._finish(ordinal, (kind, flags, captured_at, payload))
        if self._synced:
            self._sync_now()

    def _encoded(self, neutral: dict[str, Any]) -> bytes | None:
        """The event as JSON; None when it is too large by far, and dead here."""
        try:
            return encode(neutral, self._coercions.note, _MORE * self._largest)
        except TooMuch:
            size = _MORE * self._largest
        if self.config.strict:
            raise MessageTooLargeError(size, self._largest)
        outline = {name: value for name, value in neutral.items() if is_plain(value)}
        self._refuse("too_large", outline, f"above {size} bytes, the limit is {self._largest}")
        return None

    def _sync_now(self) -> None:
        """``fsync="always"``: wait for the disk; where it fails, say so, the event is accepted."""
        try:
            self._open_engine().lane.sync()
        except OSError as error:
            reason = error.strerror or "disk error"
            self._log.say(ERROR, "fsync", "the journal could not be synced to disk: %s", reason)

    def shut(self, timeout: float) -> None:
        """Take no more events, deliver for *timeout* seconds, let go of everything; once."""
        if not _PAGE[0]:
            _fork.forked()
        closed, self._closed = self._closed, True
        self._write = self._write_plainly = None
        if self._engine is not None and not closed:
            self._finalizer.detach()
            self._engine.close(timeout)

    def _closed_or_disabled(self) -> str:
        if self._closed:
            raise ClosedError
        return ""

    def _clock_ms(self) -> int:
        """Milliseconds since 1970 by the clock of the settings."""
        return int(self._clock.time() * 1000) if self._clock else _time_ns() // 1_000_000

    def _hooked(self, neutral: dict[str, Any]) -> dict[str, Any] | None:
        """
        What the `before_send` hooks make of an event; None when it ends here.

        Type and message id are the client's: a hook that scrubs them does not break delivery.
        """
        fixed = {name: neutral[name] for name in ("type", "messageId")}
        shaped: dict[str, Any] | None = dict(neutral)
        for hook in self._hooks:
            try:
                shaped = hook(shaped) if shaped is not None else None
                shaped = None if shaped is None else dict(shaped)
            except Exception as error:  # noqa: BLE001 - the host's code: fail closed
                self._log.failed_callback("before_send", error)
                self._refuse("hook_failed", neutral, type(error).__name__)
                return None
            if shaped is None:
                self._refuse("hook_dropped", neutral, "")
                return None
        return {**(shaped or {}), **fixed}

    def _fits(self, kind: int, flags: int, payload: bytes) -> bool:
        """Whether some destination takes a message of this size; otherwise it is dead here."""
        engine = self._open_engine()
        record = Record(0, kind, flags, 0, payload)
        sizes = []
        for pump in engine.pumps:
            limit = pump.settings.limits.max_message_bytes
            size = _wire_bytes(pump.destination, record)
            sizes.append((size, limit))
        too_large = [(size, limit) for size, limit in sizes if size > limit]
        if too_large and self.config.strict:
            raise MessageTooLargeError(*too_large[0])
        if len(too_large) < len(sizes):
            return True
        size, limit = too_large[0]
        self._refuse("too_large", payload, f"{size} bytes, the limit is {limit}")
        return False

    def _finish(self, ordinal: int, call: tuple[int, int, int, bytes]) -> None:
        """What an append needs now and then: a wake-up, room, a lane."""
        try:
            self._open_engine().lane.after_write(ordinal, call)
        except (JournalFull, ClosedError) as refusal:
            self._insist(refusal, call)

    def _insist(self, refusal: Exception, call: tuple[int, int, int, bytes]) -> None:
        """The lane refused: it is full, or ended with the interpreter."""
        if isinstance(refusal, ClosedError):
            if self._closed:
                raise refusal
            self.restart()
        if self._try_append(call) or self._find_room(call):
            return
        if self.config.strict:
            raise QueueFullError(self.config.journal_max_bytes) from refusal
        why = getattr(refusal.__cause__, "strerror", None) or "it is full"
        text = "the journal takes no more events (%s): they are dropped and counted"
        self._log.say(WARNING, "full", text, why)
        self._refuse("queue_full", call[3], "")

    def _find_room(self, call: tuple[int, int, int, bytes]) -> bool:
        """Apply the overflow policy; whether the event was appended after all."""
        policy = self.config.overflow
        lane = self._open_engine().lane
        if policy == "drop_oldest":
            lane.drop_oldest()
            return self._try_append(call)
        if isinstance(policy, Block):
            deadline = time.monotonic() + policy.deadline
            while time.monotonic() < deadline:
                time.sleep(_BLOCK_TICK_S)
                if self._try_append(call):
                    return True
        return False

    def _try_append(self, call: tuple[int, int, int, bytes]) -> bool:
        try:
            self._open_engine().lane.append(*call)
        except JournalFull:
            return False
        return True

    def _refuse(self, reason: str, message: dict[str, Any] | bytes, detail: str) -> None:
        """Count an accepted event as dead for all before it became a record, and tell of it."""
        REFUSAL.set(reason)
        self._open_engine().lane.refuse(reason)
        callback = self.config.callback
        if callback is None:
            return
        for destination in self.destinations:
            try:
                told = orjson.loads(message) if isinstance(message, bytes) else dict(message)
                error = DeliveryError(reason, destination=destination.name, detail=detail)
                callback.failure(told, error)
            except Exception as raised:  # noqa: BLE001 - the host's code, contained
                self._log.failed_callback("callback", raised)

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise ClosedError
        return self._engine


def _wire_bytes(destination: Destination, record: Record) -> int:
    """Bytes of *record* in the destination's dialect."""
    dialect = destination.dialect
    try:
        return len(dialect.encode(record).wire) + message_overhead(dialect.body_bytes)
    except Unencodable:
        return 0  # delivery will say why
