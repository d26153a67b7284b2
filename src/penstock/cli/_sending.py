"""What the commands that deliver have in common."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Any

from penstock.cli._exit import Exit
from penstock.config import Config
from penstock.errors import ShutdownError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock import Client
    from penstock.errors import DeliveryError
    from penstock.journal import Ledger


#: Seconds of delivering between two looks.
NUDGE_S = 0.25


def client_config(journal: str | None, **settings: Any) -> Config:
    """Settings of a client that lives as long as a command."""
    return Config(journal=journal or "auto", exit_timeout=0.0, **settings)


class Fate:
    """
    A callback that follows one event.

    Args:
        destinations: Names of those it goes to.
    """

    def __init__(self, destinations: list[str]) -> None:
        self.message_id = ""
        self._open = len(destinations)
        self._lock = Lock()
        self._delivered: dict[str, int] = {}
        self._dead: dict[str, list[DeliveryError]] = {}

    def success(self, message: dict[str, Any]) -> None:
        """One destination answered for *message*."""
        with self._lock:
            found = message["messageId"]
            self._delivered[found] = self._delivered.get(found, 0) + 1

    def failure(self, message: dict[str, Any], error: DeliveryError) -> None:
        """One destination will never take *message*."""
        with self._lock:
            self._dead.setdefault(message["messageId"], []).append(error)

    @property
    def delivered(self) -> int:
        """Destinations that have the event."""
        return self._delivered.get(self.message_id, 0)

    @property
    def dead(self) -> list[DeliveryError]:
        """Why others will never have it."""
        return self._dead.get(self.message_id, [])

    @property
    def settled(self) -> bool:
        """Whether no destination is left to hear from."""
        return self.delivered + len(self.dead) >= self._open

    @property
    def exit_code(self) -> Exit:
        """How the command ends, seen from this event alone, once the client is closed."""
        if self.dead:
            lost = all(isinstance(error, ShutdownError) for error in self.dead)
            return Exit.LOST if lost else Exit.DEAD
        return Exit.OK if self.settled else Exit.PENDING

    def to_dict(self) -> dict[str, Any]:
        """For the JSON output."""
        errors = [str(error) for error in self.dead]
        return {"delivered": self.delivered, "pending": self.pending, "errors": errors}

    @property
    def pending(self) -> int:
        """Destinations still to hear from."""
        return max(0, self._open - self.delivered - len(self.dead))

    def describe(self) -> str:
        """For a person."""
        if self.dead:
            return "refused: " + "; ".join(str(error) for error in self.dead)
        return "delivered" if self.settled else f"not delivered yet ({self.pending} to go)"


class Stalled(Exception):  # noqa: N818 - a state of the world, not a fault
    """Nothing was delivered for as long as the user wants to wait."""


class Patience:
    """
    Waits as long as something moves.

    Args:
        client: Whose deliveries are watched.
        seconds: Time without any delivery after which it is over.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, client: Client, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._seconds = seconds
        self._clock = clock
        self._settled = -1
        self._since = clock()

    def check(self) -> Ledger:
        """
        The ledger as it is now.

        Raises:
            Stalled: It has not moved for too long.
        """
        ledger = self._client.ledger()
        settled = ledger.delivered + sum(ledger.dead.values())
        if settled != self._settled:
            self._settled, self._since = settled, self._clock()
        elif self._clock() - self._since > self._seconds:
            raise Stalled
        return ledger

    def nudge(self) -> Ledger:
        """
        Deliver for a moment, what dead processes left included; see `check`.

        Raises:
            Stalled: It has not moved for too long.
        """
        self._client.flush(timeout=NUDGE_S)
        return self.check()

    def wait(self, watch: Callable[[Ledger], None] = lambda _: None) -> None:
        """Return when nothing is pending any more, or when nothing moves."""
        try:
            while (ledger := self.nudge()).pending:
                watch(ledger)
        except Stalled:
            return
