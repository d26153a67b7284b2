"""Counting the values JSON cannot carry, and telling of them without showing them."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

from penstock._log import WARNING
from penstock.errors import SerializationError

if TYPE_CHECKING:
    from penstock._log import Log
    from penstock.config import Callback
    from penstock.values import Coercion


class Coercions:
    """
    What one client changed to make events fit JSON.

    Args:
        log: Where it speaks.
        callback: Its ``coerced(coercion)`` is called, if it has one.
        strict: Raise instead.
    """

    def __init__(self, log: Log, callback: Callback | None, *, strict: bool) -> None:
        self._log = log
        self._tell = getattr(callback, "coerced", None)
        self._strict = strict
        self._lock = RLock()  # a finaliser or a signal handler may track in between
        self._counts: dict[str, int] = {}

    def note(self, coercion: Coercion) -> None:
        """
        Count one change.

        Raises:
            SerializationError: The client is strict.
        """
        if self._strict:
            raise SerializationError(coercion.path, coercion.reason)
        with self._lock:
            self._counts[coercion.reason] = self._counts.get(coercion.reason, 0) + 1
        self._log.say(
            WARNING,
            f"coerced:{coercion.reason}",
            "a value was changed to fit JSON (%s); the ledger counts such values",
            coercion.reason,
        )
        if self._tell is not None:
            try:
                self._tell(coercion)
            except Exception as error:  # noqa: BLE001 - the host's code, contained
                self._log.failed_callback("callback", error)

    def counts(self) -> dict[str, int]:
        """Changes so far, ``{reason: count}``."""
        with self._lock:
            return dict(self._counts)
