"""
The feed: definitions that keep themselves up to date, on one thread per process and project.

Threads. One, however many clients there are: `feed_of` gives clients of the same project the same
feed, and the thread ends with the last of them. Only this thread makes requests, so loads cannot
overtake each other, and a 304 always answers for the ETag it was asked with. Readers take
`Feed.loaded`, one reference to something that never changes, and finish on it.

Start. The definitions on disk come first, then the provider's: a read in between is answered by
the former, and says that they are stale. A read before either waits for them, but nobody waits
for a load that has failed.

Fork. A child has its parent's definitions and starts a thread of its own at the first read.

Clear. A provider that refuses the key takes its definitions away, also those on disk.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from penstock import _fork
from penstock._log import ERROR, WARNING
from penstock.dialects._answers import retry_after_s
from penstock.errors import PenstockError
from penstock.flags.changes import Change, Listeners, differing
from penstock.flags.compiled import CompiledFlags, compile_flags
from penstock.flags.definitions import parse_definitions
from penstock.flags.schedule import Schedule, Verdict, failure, verdict
from penstock.flags.shared import Shared
from penstock.transport import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock._log import Log
    from penstock.flags.carrier import Carrier
    from penstock.flags.shared import DefinitionsCache
    from penstock.flags.shelf import Shelf
    from penstock.flags.source import Provider
    from penstock.transport import Response

#: Seconds one request for definitions may take: nobody waits for it.
LOAD_TIMEOUT_S = 10.0
#: Reads wait for the first load until so many seconds after it began, then for none: a provider
#: that hangs when a program starts does not hold up read after read.
PATIENCE_S = 3.0
#: Listeners are told that definitions are stale when they could not be refreshed for so many
#: intervals, or minutes where there is no interval.
STALE_INTERVALS = 3
_MINUTE_S = 60.0
_NOT_FOUND = 404


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Definitions, ready to answer."""

    compiled: CompiledFlags
    etag: str | None
    #: Whether they come from disk and nobody has confirmed them since.
    stale: bool
    #: When the provider last stood by them, in seconds since 1970.
    confirmed_at: float


class Feed:
    """
    Definitions of one project.

    Args:
        provider: Where they come from.
        interval: Seconds between two looks; None for one look.
        carrier: Carries the requests.
        shelf: Where the last good ones are kept; None for nowhere.
        new_log: Makes where it speaks; a forked child needs its own.
        cache: Where definitions are shared with other processes; None for nowhere.
        on_wake: Called on the thread whenever it was woken.

    Attributes:
        loaded: What reads are answered by; None before the first load, and where there is none.
        trouble: Why the last look failed; empty when it did not.
        listeners: Are told of changes, on the feed's thread.
    """

    def __init__(
        self,
        provider: Provider,
        interval: float | None,
        carrier: Carrier,
        shelf: Shelf | None,
        new_log: Callable[[], Log],
        *,
        cache: DefinitionsCache | None = None,
        on_wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.loaded: Loaded | None = None
        self.trouble = ""
        self._provider = provider
        self._schedule = Schedule(interval)
        self._carrier = carrier
        self._shelf = shelf
        self._new_log = new_log
        self._cache = cache
        self._on_wake = on_wake
        self.listeners = Listeners()
        self._inherited: Loaded | None = None
        self._older = False
        self._digest = ""
        self._begin()

    def _begin(self) -> None:
        """What a new process needs anew."""
        self._log = self._new_log()
        self._shared = None if self._cache is None else Shared(self._cache, self._log)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._woken = False
        #: Looks that were asked for, and how many of them are answered for.
        self._wanted = 1
        self._answered = 0
        self._refused_until = 0.0
        #: When a look succeeded last, or the first one began.
        self._good_at = time.monotonic()
        self._told_stale = False
        _fork.watch_too(self)

    def restart(self, *, forked: bool = False) -> None:
        """In a forked child: keep the definitions, leave thread and lock to the parent."""
        if forked and not self._stopping:
            self._inherited = self._inherited or self.loaded
            self.loaded = None  # the next read comes to `start`
            self._begin()

    @property
    def has_looked(self) -> bool:
        """Whether the first look is over, whatever it found."""
        return self._answered > 0

    @property
    def age(self) -> float | None:
        """Seconds since the provider last stood by the definitions; None without any."""
        loaded = self.loaded
        return None if loaded is None else max(0.0, time.time() - loaded.confirmed_at)

    # -- what readers and clients call -----------------------------------------------------

    def start(self) -> None:
        """Have a thread look for definitions, unless one does."""
        if self._thread is not None:
            return
        with self._changed:
            if self._thread is not None or self._stopping:
                return
            if self._inherited is not None:
                self.loaded, self._inherited = self._inherited, None
            thread = threading.Thread(target=self._run, name="penstock-flags", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # late in the interpreter's exit, or the machine has no more
                self._answered = self._wanted
                return
            self._thread = thread
            self._good_at = time.monotonic()

    def wait(self, timeout: float) -> Loaded | None:
        """Definitions; waits for the first load at most, `PATIENCE_S` at most."""
        self.start()
        if self.loaded is None and not self.has_looked:
            left = self._good_at + PATIENCE_S - time.monotonic()
            with self._changed:
                self._changed.wait_for(self._is_settled, min(timeout, left))
        return self.loaded

    def _is_settled(self) -> bool:
        return self.loaded is not None or self.has_looked or self._stopping

    def reload(self, timeout: float) -> bool:
        """
        Look now.

        Returns:
            Whether the provider gave definitions, or stood by those there are, within *timeout*
            seconds. While it wants to be left alone nobody asks, and the answer is no.
        """
        self.start()
        with self._changed:
            if self._thread is None or time.monotonic() < self._refused_until:
                return False
            self._wanted += 1
            ticket = self._wanted
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answered >= ticket or self._stopping, timeout)
            return self._answered >= ticket and not self.trouble and self.loaded is not None

    def wait_until_ready(self, timeout: float) -> bool:
        """Whether there are definitions within *timeout* seconds, however many looks it takes."""
        self.start()
        with self._changed:
            self._changed.wait_for(lambda: self.loaded is not None or self._stopping, timeout)
        return self.loaded is not None

    def hurry(self, interval: float | None) -> None:
        """Another client joins: the shortest interval of all holds."""
        known = self._schedule.interval
        if interval is not None and (known is None or interval < known):
            self._schedule.interval = interval
            with self._changed:
                self._changed.notify_all()

    def wake(self) -> None:
        """Have the thread look around; safe wherever the garbage collector may run."""
        with self._changed:  # reentrant
            self._woken = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread; does not wait for a request in flight."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._refresh()
        finally:
            self._carrier.close()
            if self._shared is not None:
                self._shared.close()

    def _refresh(self) -> None:
        self._guarded(self._take_from_shelf)
        while not self._stopping:
            with self._changed:
                goal, interval = self._wanted, self._schedule.interval
            wait = self._guarded(self._look)
            due = None if wait is None else time.monotonic() + wait
            with self._changed:
                self._answered = goal
                self._changed.notify_all()
            while self._sleep(goal, interval, due):
                self._on_wake()

    def _sleep(self, goal: int, interval: float | None, due: float | None) -> bool:
        """
        Sleep until *due*, or until somebody wants another look than *goal* or another *interval*.

        Returns:
            Whether it was for `wake` that the sleep ended.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._stopping
                    or self._woken
                    or self._wanted != goal
                    or self._schedule.interval != interval  # a client wants fresher ones
                ),
                None if due is None else due - time.monotonic(),
            )
            woken, self._woken = self._woken, False
            return woken and not self._stopping

    def _guarded(self, work: Callable[[], float | None]) -> float | None:
        """Do *work*; the thread survives whatever it raises."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - the loop must survive, and reads go on
            self._log.say(ERROR, "flags", "flag definitions: %s", type(error).__name__)
            self.trouble = type(error).__name__
            return self._schedule.after(failure(self.trouble))

    def _take_from_shelf(self) -> None:
        kept = None if self._shelf is None or self.loaded is not None else self._shelf.load()
        if kept is None:
            return
        try:
            self._put(kept.body, kept.etag, stale=True, confirmed_at=kept.confirmed_at)
        except PenstockError:
            return  # written by a later version, perhaps

    def _look(self) -> float | None:
        """One look; seconds until the next."""
        found = self._look_aside()
        if found is not None:
            self._tell_state(found)
            return self._schedule.after(found)
        loaded = self.loaded
        response = self._ask(None if loaded is None else loaded.etag)
        if isinstance(response, Verdict):
            found = response
        else:
            found = self._take(response, verdict(response.status))
        wished = 0.0 if isinstance(response, Verdict) else retry_after_s(response.headers)
        wait = self._schedule.after(found, wished or 0.0)
        self._refused_until = time.monotonic() + (wait or 0.0) if found.refused else 0.0
        self._tell_state(found)
        return wait

    def _look_aside(self) -> Verdict | None:
        """A look at what other processes share; None when this one is to ask the provider."""
        if self._shared is None or self._shared.wants_look():
            alone = self._shared is not None and not self._provider.secret_key
            return failure("no key, and no definitions in the cache") if alone else None
        body = self._shared.definitions()
        if body is not None:
            return self._replace(body, None)
        if self.loaded is not None:
            return Verdict("confirm", refused=False)
        return None if self._provider.secret_key else failure("no definitions in the cache")

    def _ask(self, etag: str | None) -> Response | Verdict:
        """The answer; of the older path where the provider does not know the newer one."""
        try:
            response = self._send(etag)
            if response.status == _NOT_FOUND:
                self._older = not self._older
                response = self._send(etag)
        except TransportError as error:
            return failure(error.kind)
        return response

    def _send(self, etag: str | None) -> Response:
        request = self._provider.definitions_request(etag, older=self._older)
        return self._carrier.send(request, LOAD_TIMEOUT_S)

    def _take(self, response: Response, found: Verdict) -> Verdict:
        """Do what the answer says."""
        etag = response.headers.get("etag")
        if found.action == "replace":
            found = self._replace(response.body, etag)
            if self._shared is not None and not found.trouble:
                self._shared.received(response.body)
            return found
        if found.action == "confirm":
            if self.loaded is None:
                return failure("HTTP 304 to a request without an ETag")
            self._confirm(etag)
        elif found.action == "clear":
            self._clear()
        return found

    def _replace(self, body: bytes, etag: str | None) -> Verdict:
        """Take new definitions, and keep them; the same ones again need neither."""
        digest = hashlib.sha256(body).hexdigest()
        if self.loaded is not None and digest == self._digest:
            self._confirm(etag)
            return Verdict("confirm", refused=False)
        now = time.time()
        try:
            self._put(body, etag, stale=False, confirmed_at=now)
        except PenstockError:
            return failure("an answer that holds no definitions")
        self._digest = digest
        self._keep(body, etag, now)
        return Verdict("replace", refused=False)

    def _put(self, body: bytes, etag: str | None, *, stale: bool, confirmed_at: float) -> None:
        """
        Answer reads by these definitions from now on.

        Raises:
            PenstockError: They are none.
        """
        before = self.loaded.compiled if self.loaded is not None else None
        compiled = compile_flags(parse_definitions(body))
        self.loaded = Loaded(compiled=compiled, etag=etag, stale=stale, confirmed_at=confirmed_at)
        with self._changed:
            self._changed.notify_all()
        keys = differing(before, compiled)
        if keys:
            self._warn(compiled)
            self.listeners.tell(Change(keys), self._log)

    def _confirm(self, etag: str | None) -> None:
        loaded = self.loaded
        if loaded is not None:
            self.loaded = msgspec.structs.replace(
                loaded, etag=etag or loaded.etag, stale=False, confirmed_at=time.time()
            )

    def _clear(self) -> None:
        """The provider takes its definitions back: reads go to it from now on."""
        before, self.loaded = self.loaded, None
        if self._shelf is not None:
            self._shelf.clear()
        if before is not None:
            self.listeners.tell(
                Change(tuple(before.compiled.definitions.flags), "cleared"), self._log
            )

    def _keep(self, body: bytes, etag: str | None, now: float) -> None:
        if self._shelf is None:
            return
        try:
            self._shelf.save(body, etag, now)
        except OSError as error:
            text = "flag definitions could not be kept on disk (%s)"
            self._log.say(WARNING, "flags:shelf", text, error.strerror or "disk error")

    # -- telling ---------------------------------------------------------------------------

    def _tell_state(self, found: Verdict) -> None:
        """Say and tell that refreshes fail, or that they work again."""
        self.trouble = found.trouble
        now = time.monotonic()
        if not found.trouble:
            self._good_at = now
            if self._told_stale:
                self._told_stale = False
                self.listeners.tell(Change(state="ready"), self._log)
            return
        self._say(found)
        patience = STALE_INTERVALS * (self._schedule.interval or _MINUTE_S)
        if now - self._good_at > patience and not self._told_stale:
            self._told_stale = True
            self.listeners.tell(Change(state="stale"), self._log)

    def _say(self, found: Verdict) -> None:
        if self._provider.guessed:  # a collector need not serve flags, nor take its write key
            self._log.detail("flag definitions: %s", found.trouble)
        elif found.trouble == "HTTP 401":
            text = (
                "flag definitions: the provider refuses the keys (%s): check the secret key"
                " (flags.secret_key) and the project key; flags are evaluated by it until then"
            )
            self._log.say(ERROR, "flags:401", text, found.trouble)
        else:
            now = "they are gone" if found.action == "clear" else "the last good ones stay"
            text = "flag definitions could not be refreshed (%s); %s"
            self._log.say(WARNING, f"flags:{found.trouble}", text, found.trouble, now)

    def _warn(self, compiled: CompiledFlags) -> None:
        flags = compiled.definitions.flags
        told = {
            key: why
            for key, why in compiled.unsupported.items()
            if flags[key].evaluation_runtime != "client"
        }
        if told:
            text = "flags that only the provider can decide: %s"
            keys = ", ".join(f"{key} ({why})" for key, why in told.items())
            self._log.say(WARNING, f"flags:unsupported:{hash(keys)}", text, keys)
