"""
Every exception Penstock raises or hands to a callback.

    PenstockError
    ├── ConfigError            a setting that can never work
    ├── ValidationError
    │   ├── FieldError         a message misses a field, or one has the wrong type
    │   ├── MessageTooLargeError   only raised with ``strict``; otherwise ``dead(too_large)``
    │   └── SerializationError     only raised with ``strict``; otherwise coerced and counted
    ├── ClosedError            a call after ``close()``
    ├── QueueFullError         only raised with ``strict``; otherwise ``dead(queue_full)``
    ├── JournalError           the journal cannot be opened or read
    ├── MissingExtraError      an optional dependency is not installed
    └── DeliveryError          why an event ended as ``dead(reason)``; given to callbacks
        └── ShutdownError      still pending in a memory journal when the client closed

No message of these holds a write key or an event's properties.
"""

from __future__ import annotations

from typing import Any


class PenstockError(Exception):
    """Base of every Penstock exception."""


class ConfigError(PenstockError, ValueError):
    """
    A setting that can never work, found when the client is built.

    Args:
        field: The setting's name.
        value: What was given; secrets are masked by the caller.
        reason: What is wrong and what would be right.
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(f"{field}: {reason} (got {value!r})")
        self.field = field
        self.value = value
        self.reason = reason


class ValidationError(PenstockError, ValueError):
    """A message that cannot be accepted as it is."""


class FieldError(ValidationError):
    """
    A message field that is missing, empty or of the wrong type.

    Args:
        type: The message's type, such as ``"Track"``.
        field: The field's Python name, such as ``"user_id"``.
        value: The value found.
        reason: What is wrong and what would be right.
    """

    def __init__(self, type: str, field: str, value: object, reason: str = "") -> None:  # noqa: A002
        detail = f" ({reason})" if reason else ""
        super().__init__(f"{type}.{field}: invalid field value: {_shown(value)}{detail}")
        self.type = type
        self.field = field
        self.value = value
        self.reason = reason


#: Larger integers are not shown; a very large one has no text at all.
_MOST_SHOWN = 10**20


def _shown(value: object) -> str:
    """
    Show an empty or scalar value; of anything else, only the type (it may be personal data).

    No code of the value's own class is run: it may raise.
    """
    kind = type(value)
    small = kind is int and abs(value) < _MOST_SHOWN  # type: ignore[arg-type]
    blank = kind is str and not value.strip()  # type: ignore[attr-defined]
    if value is None or kind is bool or kind is float or small or blank:
        return repr(value)
    return f"a {type.__dict__['__name__'].__get__(kind)}"


class MessageTooLargeError(ValidationError):
    """
    One message above the destination's limit.

    Args:
        size: Bytes of its JSON as it would be sent.
        limit: Bytes allowed.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the message is {size} bytes of JSON, the limit is {limit} bytes")
        self.size = size
        self.limit = limit


class SerializationError(ValidationError):
    """
    A value JSON cannot carry, with ``strict`` on.

    Args:
        path: Where it is, such as ``properties.cart[2].price``.
        reason: What it is.
    """

    def __init__(self, path: str, reason: str = "") -> None:
        super().__init__(f"{path}: {reason or 'JSON cannot carry this value'}")
        self.path = path
        self.reason = reason


class ClosedError(PenstockError):
    """The client was already closed."""

    def __init__(self, message: str = "the client was already closed") -> None:
        super().__init__(message)


class QueueFullError(PenstockError):
    """
    The journal is at its cap and the overflow policy refused the event.

    Args:
        limit_bytes: The cap that was reached.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the journal is full ({limit_bytes} bytes)")
        self.limit_bytes = limit_bytes


class JournalError(PenstockError):
    """The journal cannot be opened, or a file in it is not a journal."""


class MissingExtraError(PenstockError, ImportError):
    """
    An optional dependency is not installed.

    Args:
        package: The package that is missing.
        extra: The extra that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'penstock[{extra}]'")
        self.package = package
        self.extra = extra


class DeliveryError(PenstockError):
    """
    Why an event ended as ``dead(reason)``; the second argument of ``callback.failure``.

    Args:
        reason: A drop reason: ``rejected``, ``too_large``, ``retries_exhausted``, ...
        destination: The destination's name; empty when the event died before delivery.
        status: The HTTP status of the last answer, or None when there was none.
        detail: The server's own words, shortened.
    """

    def __init__(
        self,
        reason: str,
        *,
        destination: str = "",
        status: int | None = None,
        detail: str = "",
    ) -> None:
        parts = [part for part in (destination, reason, detail) if part]
        if status is not None:
            parts.insert(-1 if detail else len(parts), f"HTTP {status}")
        super().__init__(": ".join(parts))
        self.reason = reason
        self.destination = destination
        self.status = status
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        """Keyword-only arguments need help to survive pickling."""
        return (_rebuild_delivery_error, (type(self), self.__dict__.copy()))


class ShutdownError(DeliveryError):
    """Still pending when the client closed, in a journal that does not outlive it."""


def _rebuild_delivery_error(cls: type[DeliveryError], state: dict[str, Any]) -> DeliveryError:
    return cls(
        state["reason"],
        destination=state["destination"],
        status=state["status"],
        detail=state["detail"],
    )
