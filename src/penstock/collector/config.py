"""The collector's settings: frozen values, each with its default and the reason for it."""

from __future__ import annotations

import hashlib
import ipaddress
from pathlib import Path  # noqa: TC003 - msgspec reads the annotation
from typing import TYPE_CHECKING

import msgspec

from penstock.collector.address import Proxies
from penstock.collector.logs import FORMATS
from penstock.collector.sources import Sources
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
#: Digits that a number of days may have: more lies before all calendars.
_DAYS_DIGITS = 5
#: Characters of a debugger's token.
LEAST_TOKEN = 16


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request, and all of them together, may take."""

    #: Body as it comes, in bytes: Segment family. RudderStack's SDKs send up to 4 MiB.
    body_bytes: int = 4 * MIB
    #: The same after decompression.
    inflated_bytes: int = 4 * MIB
    #: Body as it comes, in bytes: PostHog legacy and V1. The vendor takes 20 and 10 MB.
    posthog_body_bytes: int = 20 * MIB
    #: The same after decompression; the vendor takes 20 and 50 MB.
    posthog_inflated_bytes: int = 20 * MIB
    #: Events in one request. Each costs the pipeline a few µs even when it is ``{}``, so the
    #: bytes alone are no bound.
    events: int = 10_000
    #: One event, inflated; a bigger one is quarantined. Vendors draw the line at 32 KiB to 1 MiB.
    event_bytes: int = 1 * MIB
    #: Events per second that one source may send, over all workers; 0 sets no bound. Ten seconds'
    #: worth may come at once.
    events_per_second: float = 0
    #: Requests being read or waiting for the disk; more get 503. One flush serves them all.
    in_flight: int = 512
    #: Bytes of bodies held at a time; more get 503.
    held_bytes: int = 128 * MIB
    #: Time in seconds a body may take to arrive.
    body_timeout: float = 30.0
    #: The request log on disk. It grows when the pipeline falls behind; full is 503.
    log_bytes: int = 8 * GIB


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """
    When the pipeline seals a run of the log.

    Readers see unsealed events too, but each decodes them anew: a run is small and comes soon.
    """

    #: Events of one run.
    events: int = 20_000
    #: Bytes of inflated requests behind one run: bounds the pipeline's memory.
    bytes: int = 32 * MIB
    #: Seconds the oldest unsealed event waits at most.
    seconds: float = 1.0
    #: Seconds between two looks at the log.
    poll: float = 0.1


class Compaction(msgspec.Struct, frozen=True, kw_only=True):
    """
    When small files become big ones.

    Fresh files are moved to the partitions by day and source when any of the three bounds is
    reached; there, files of about the same size are merged.
    """

    #: Fresh files.
    fresh_files: int = 64
    #: Rows in fresh files.
    fresh_rows: int = 1_000_000
    #: Seconds since the oldest fresh row arrived.
    fresh_seconds: float = 60.0
    #: Files of about the same size in one partition.
    files: int = 8
    #: A file with that many rows is big enough.
    file_rows: int = 1_000_000
    #: Seconds between two looks.
    poll: float = 0.5
    #: Seconds a merged file stays for readers that looked just before.
    grace: float = 30.0


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long events are kept, counted in whole days (UTC) since they arrived."""

    #: Days; None keeps everything.
    days: int | None = None
    #: ``{source: days}``, where a source has its own.
    sources: dict[str, int] = {}

    def days_of(self, source: str) -> int | None:
        """How many days a source's events are kept."""
        return self.sources.get(source, self.days)

    @classmethod
    def parse(cls, specs: Iterable[str]) -> Retention:
        """
        Read ``DAYS`` and ``SOURCE=DAYS``.

        Raises:
            ConfigError: A spec has another shape, or says it a second time.
        """
        days: dict[str, int] = {}
        for spec in specs:
            source, separator, number = spec.rpartition("=")
            shaped = number.isdecimal() and len(number) <= _DAYS_DIGITS
            if not shaped or source in days or bool(separator) != bool(source):
                raise ConfigError("keep", spec, "write it as DAYS or SOURCE=DAYS, once for each")
            days[source] = int(number)
        return cls(days=days.pop("", None), sources=days)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """How long, and for how many events, a message id is remembered."""

    #: Hours; up to twice as long.
    hours: float = 24.0
    #: Ids in memory at about 24 bytes each. Past it the oldest half is forgotten early.
    ids: int = 20_000_000


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """What the pipeline must know."""

    sealing: Sealing = Sealing()
    window: Window = Window()
    compaction: Compaction = Compaction()
    retention: Retention = Retention()


class Debugger(msgspec.Struct, frozen=True, kw_only=True):
    """
    The web pages that show what arrives.

    Raises:
        ConfigError: See `checked`.
    """

    host: str = "127.0.0.1"
    #: 0 takes any free port; None the one after the collector's if it is free, or else any.
    port: int | None = None
    #: `digest_of` the token to be shown; empty lets everybody look who can reach it.
    token: str = ""
    #: Names it may be asked for by, besides addresses and ``localhost``: a proxy's, for instance.
    names: tuple[str, ...] = ()
    #: Bytes of requests kept after they were sealed; 0 keeps none.
    kept_bytes: int = 256 * MIB

    def checked(self) -> Debugger:
        """
        Itself, if it can be served.

        Raises:
            ConfigError: The port is none, or others could look without a token.
        """
        if not 0 <= (self.port or 0) <= 65535:  # noqa: PLR2004 - what a TCP port is
            raise ConfigError("debugger.port", self.port, "a port is between 0 and 65535")
        if not is_loopback(self.host) and not self.token:
            reason = "this host can be reached from outside: the debugger needs a token there"
            raise ConfigError("debugger.host", self.host, reason)
        return self


def digest_of(token: str) -> str:
    """
    A debugger's token as it is kept: nothing that can be turned back.

    Raises:
        ConfigError: It is so short that somebody may guess it.
    """
    if len(token) < LEAST_TOKEN:
        raise ConfigError("debugger.token", "…", f"a token has {LEAST_TOKEN} characters at least")
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class CollectorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """
    Everything `penstock serve` can be told.

    Raises:
        ConfigError: See `checked`.
    """

    #: Where log and files are; made when missing.
    store: Path
    host: str = "127.0.0.1"
    #: 0 takes any free port.
    port: int = 8765
    sources: Sources = msgspec.field(default_factory=lambda: Sources({}))
    #: Sources and destinations, read again whenever it changes; `sources` are its own then.
    file: Path | None = None
    #: Listen on other interfaces than loopback; needs at least one key.
    allow_remote: bool = False
    #: Processes that take requests.
    workers: int = 1
    #: ``text`` for people, ``json`` for whatever collects log lines.
    log_format: str = "text"
    #: Pages that may send: origins, or ``*``. Empty: any page, if a key is needed; else those of
    #: this machine.
    origins: tuple[str, ...] = ()
    #: Addresses and networks of proxies whose ``X-Forwarded-For`` is believed.
    trusted_proxies: tuple[str, ...] = ()
    #: A file of flag definitions to serve, YAML or JSON.
    flags: Path | None = None
    #: Secret keys that may read the flag definitions. Empty: the write keys may, except for
    #: PostHog's project keys, which are public.
    flag_keys: Sources = msgspec.field(default_factory=lambda: Sources({}))
    limits: Limits = Limits()
    sealing: Sealing = Sealing()
    window: Window = Window()
    compaction: Compaction = Compaction()
    retention: Retention = Retention()
    #: None serves no pages.
    debugger: Debugger | None = None

    @property
    def keeping(self) -> Keeping:
        """What the pipeline must know."""
        return Keeping(
            sealing=self.sealing,
            window=self.window,
            compaction=self.compaction,
            retention=self.retention,
        )

    def checked(self) -> CollectorConfig:
        """
        Itself, if it can be served.

        Raises:
            ConfigError: The port is none, or the host is reachable from outside while that was
                not allowed, or while no key is configured.
        """
        if not 0 <= self.port <= 65535:  # noqa: PLR2004 - what a TCP port is
            raise ConfigError("port", self.port, "a port is between 0 and 65535")
        if self.workers < 1:
            raise ConfigError("workers", self.workers, "there must be at least one")
        if self.log_format not in FORMATS:
            raise ConfigError("log_format", self.log_format, f"one of {', '.join(FORMATS)}")
        Proxies(self.trusted_proxies)
        if self.debugger is not None:
            self.debugger.checked()
        if is_loopback(self.host):
            return self
        if not self.allow_remote:
            reason = "this host can be reached from outside: add --allow-remote if that is meant"
            raise ConfigError("host", self.host, reason)
        if self.sources.open:
            reason = "an outside host needs at least one --key: without, anybody may write"
            raise ConfigError("host", self.host, reason)
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach *host*; a name other than ``localhost`` is not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
