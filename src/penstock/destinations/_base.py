"""
What every destination is: a dialect, an address, a key, and limits.

A destination is a value. It is frozen, compares by what it holds, survives pickling, and shows
two characters of its key. Building one opens nothing and imports nothing of the network; its
dialect is imported when it is first asked for, which is on the worker's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypedDict

from penstock.destinations._checks import (
    checked_choice,
    checked_count,
    checked_endpoint,
    checked_key,
    checked_seconds,
    checked_text,
    masked,
)
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from typing import Self, Unpack

    from penstock.dialects import Dialect
    from penstock.transport import Request, Response

#: The vendors' own cap on a message or a batch of the Segment family, in bytes (4 MiB).
FAMILY_HARD_LIMIT = 4_194_304


class Limits(NamedTuple):
    """What one vendor takes, and how its batches are cut."""

    #: Messages in one request, at most.
    batch_size: int
    #: Seconds after which a batch that is not full is sent.
    interval: float
    #: Bytes of one message's JSON, at most.
    max_message_bytes: int
    #: Bytes of one request's JSON, at most, envelope included.
    max_batch_bytes: int
    #: ``gzip``, ``deflate``, ``zstd``, ``br``, or None for no compression.
    compression: str | None = None
    #: Seconds for one HTTP attempt, connecting included.
    timeout: float = 10.0


class Settings(TypedDict, total=False):
    """
    The limits a caller may set; what is absent, None or zero is the vendor's default.

    ``compression`` is the exception: there None, like ``"none"``, means no compression.
    """

    batch_size: int | None
    interval: float | None
    max_message_bytes: int | None
    max_batch_bytes: int | None
    compression: str | None
    timeout: float | None


class Destination:
    """
    Base of all destinations; build `Segment`, `PostHog`, `Webhook` or another one.

    Args:
        key: Ingest credential. Empty is allowed, the client then does nothing.
        endpoint: Base URL, a path prefix is allowed; slashes at its end are removed.
        name: What ``integrations`` calls it.
        settings: See `Settings`.

    Raises:
        ConfigError: A value that can never work; names the field.
    """

    __slots__ = (
        "_dialect",
        "_id",
        "_key",
        "_options",
        "_settings",
        "batch_size",
        "compression",
        "endpoint",
        "interval",
        "max_batch_bytes",
        "max_message_bytes",
        "name",
        "timeout",
    )

    #: The name of the credential, as this vendor's users know it.
    key_field: ClassVar[str] = "write_key"
    #: Whether it routes further by itself, so that it gets events not meant for it alone.
    is_cdp: ClassVar[bool] = True
    #: Whether it has a place for an error with its stacks.
    takes_exceptions: ClassVar[bool] = False
    dialect_name: ClassVar[str] = "segment"
    defaults: ClassVar[Limits] = Limits(250, 5.0, 32_768, 500_000)
    #: Codings the vendor's server can read.
    codecs: ClassVar[tuple[str, ...]] = ("gzip",)
    #: Most bytes a message or batch may be allowed.
    hard_limit_bytes: ClassVar[int] = FAMILY_HARD_LIMIT
    #: Most messages in one batch: what Segment's server takes (it answers 200 to more and drops
    #: them), and what a journal cursor has room for.
    max_batch_size: ClassVar[int] = 2500

    name: str
    endpoint: str
    batch_size: int
    interval: float
    max_message_bytes: int
    max_batch_bytes: int
    compression: str | None
    timeout: float
    _key: str
    _options: dict[str, Any]
    _settings: dict[str, Any]
    _dialect: Dialect
    _id: str

    def __init__(
        self, key: str, endpoint: str, name: str, settings: Settings, **options: Any
    ) -> None:
        self._set("_key", checked_key(self.key_field, key))
        self._set("endpoint", checked_endpoint(endpoint))
        self._set("name", checked_text("name", name))
        self._set("_options", options)
        self._settle(dict(settings))

    # -- what the worker asks for

    @property
    def dialect(self) -> Dialect:
        """The vendor's wire format, made when first asked for."""
        try:
            return self._dialect
        except AttributeError:
            self._set("_dialect", self._make_dialect())
            return self._dialect

    @property
    def id(self) -> str:
        """16 hex digits of vendor, address and key: the name of this destination's cursor."""
        try:
            return self._id
        except AttributeError:
            self._set("_id", _digest(self.dialect_name, self.endpoint, self._key))
            return self._id

    @property
    def has_key(self) -> bool:
        """Whether there is a key to send with."""
        return bool(self._key)

    def node_count_request(self) -> Request | None:
        """How to learn the number of nodes; None for all but RudderStack."""
        return None

    def parse_node_count(self, response: Response) -> int | None:  # noqa: ARG002 - for RudderStack
        """The number of nodes in the answer; None when there is none."""
        return None

    def with_defaults(self, **settings: Unpack[Settings]) -> Self:
        """
        The same destination with other defaults.

        What was given when it was built stays; of *settings*, what is None changes nothing.
        """
        wanted = {field: value for field, value in settings.items() if value is not None}
        other = object.__new__(type(self))
        for slot in ("_key", "endpoint", "name", "_options"):
            other._set(slot, getattr(self, slot))
        other._settle(wanted | self._settings)
        return other

    def known_as(self, identity: str) -> Self:
        """The same destination with an `id` of the caller's own, which survives a new key."""
        other = self.with_defaults()
        other._set("_id", _digest(identity))  # noqa: SLF001 - one of our own class
        return other

    def _make_dialect(self) -> Dialect:
        raise NotImplementedError

    # -- limits

    def _settle(self, settings: dict[str, Any]) -> None:
        unknown = settings.keys() - set(Limits._fields)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no setting {min(unknown)!r}")
        given = {field: self._checked(field, value) for field, value in settings.items()}
        given = {field: value for field, value in given.items() if value or field == "compression"}
        limits = self.defaults._replace(**given)
        if limits.max_message_bytes > limits.max_batch_bytes:
            limits = _reconciled(limits, given)
        self._set("_settings", given)
        for field, value in limits._asdict().items():
            self._set(field, value)

    def _checked(self, field: str, value: Any) -> Any:
        if field == "compression":
            return self._checked_codec(value)
        if value is None:
            return None
        if field in ("interval", "timeout"):
            return checked_seconds(field, value)
        most = self.max_batch_size if field == "batch_size" else self.hard_limit_bytes
        return checked_count(field, value, most)

    def _checked_codec(self, value: Any) -> str | None:
        if value in (None, "", "none", "identity"):
            return None
        codec = checked_choice("compression", value, self.codecs)
        if codec in ("zstd", "br"):
            from penstock.transport.compression import check_installed

            check_installed(codec)
        return codec

    # -- a value

    def _set(self, slot: str, value: Any) -> None:
        object.__setattr__(self, slot, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: build another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __getstate__(self) -> dict[str, Any]:
        made_late = ("_dialect", "_id")
        slots = (slot for slot in Destination.__slots__ if slot not in made_late)
        return {slot: getattr(self, slot) for slot in slots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for slot, value in state.items():
            self._set(slot, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return hash((type(self), self._key, self.endpoint, self.name))

    def __repr__(self) -> str:
        """Two characters of the key, at most."""
        key = f"{self.key_field}={masked(self._key)!r}"
        return f"{type(self).__name__}({key}, endpoint={self.endpoint!r}, name={self.name!r})"


def _reconciled(limits: Limits, given: dict[str, Any]) -> Limits:
    """A default message limit gives way to a smaller batch; a stated one is a contradiction."""
    if "max_message_bytes" not in given:
        return limits._replace(max_message_bytes=limits.max_batch_bytes)
    reason = f"cannot exceed max_batch_bytes ({limits.max_batch_bytes})"
    raise ConfigError("max_message_bytes", limits.max_message_bytes, reason)


def _digest(*parts: str) -> str:
    from hashlib import sha256

    return sha256("\0".join(parts).encode()).hexdigest()[:16]
