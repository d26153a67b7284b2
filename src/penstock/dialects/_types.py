"""
What every dialect is: pure functions between neutral records and one vendor's wire format.

A dialect knows no socket, clock or thread. It encodes one record at a time (`Dialect.encode`),
puts encoded messages into a request (`Dialect.request`), and says what an answer means
(`Dialect.classify`). Everything that changes from one HTTP attempt to the next is in `Attempt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, overload

import msgspec

if TYPE_CHECKING:
    from penstock.journal.record import Record, Run
    from penstock.transport import Request, Response


class Encoded(NamedTuple):
    """One message in the vendor's JSON, without what changes per attempt."""

    wire: bytes
    #: Which messages may share a request: see `Dialect.bucket`.
    route: int = 0
    #: The id the vendor's per-event verdicts use; empty where it gives none.
    key: str = ""


class Verbatim(NamedTuple):
    """Which records go out as they are, and how a body holds them."""

    #: Those of kinds below this one: `Dialect.encode` would only wrap them.
    below: int
    #: What a body has between two of them.
    between: bytes


class RunMessages(Sequence[Encoded]):
    """
    Messages that go out as they are, which are looked at one by one only where one is asked for.

    Args:
        run: Their records, with `Verbatim.between` in between.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __len__(self) -> int:
        return len(self._run.ordinals)

    @overload
    def __getitem__(self, index: int, /) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Encoded]: ...
    def __getitem__(self, index: int | slice, /) -> Encoded | list[Encoded]:
        return [Encoded(record.payload) for record in self._run.records()][index]

    @property
    def joined(self) -> bytes:
        """All of them, with what goes between."""
        return self._run.body


def joined(messages: Sequence[Encoded], between: bytes) -> bytes:
    """*messages* with *between*, which is that of `Verbatim` if they are a run's, in between."""
    if isinstance(messages, RunMessages):
        return messages.joined
    return between.join([message.wire for message in messages])


class Unencodable(Exception):  # noqa: N818 - an outcome, not a fault of the program
    """
    This dialect cannot carry the record: it becomes ``dead(reason)``.

    Args:
        reason: A drop reason, such as ``rejected`` or ``malformed``.
        detail: Why, without payload.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Attempt(msgspec.Struct, frozen=True):
    """What one HTTP attempt adds to a batch."""

    #: 1 for the first try of this batch.
    number: int
    #: Departure of this attempt, RFC 3339 UTC with milliseconds and ``Z``.
    sent_at: str
    #: When the batch was made; the same for all its attempts, same format.
    created_at: str
    #: UUID of the batch; the same for all its attempts.
    request_id: str
    #: RudderStack's node count, as last learnt; 1 for everyone else.
    node_count: int = 1


class Accepted(msgspec.Struct, frozen=True):
    """The whole request was taken."""


class Rejected(msgspec.Struct, frozen=True):
    """Terminal for every message of the request, whatever its content (a bad key, a bad route)."""

    detail: str = ""


class Malformed(msgspec.Struct, frozen=True):
    """The server found something wrong with the content: bisect to the poison message."""

    detail: str = ""


class TooLarge(msgspec.Struct, frozen=True):
    """The request is too big: halve it; a single message is ``dead(too_large)``."""

    detail: str = ""


class RetryLater(msgspec.Struct, frozen=True):
    """Transient: the same request may succeed later."""

    #: The server's own wish in seconds, already clamped; None when it gave none.
    after_s: float | None = None
    detail: str = ""


class Rerouted(msgspec.Struct, frozen=True):
    """RudderStack's 451: learn the node count again, re-bucket what was not delivered."""


class Verdict(msgspec.Struct, frozen=True):
    """One message's fate inside an answer with per-event results."""

    fate: Literal["delivered", "dead", "retry"]
    detail: str = ""


class Mixed(msgspec.Struct, frozen=True):
    """A verdict per message, in the order they were sent."""

    verdicts: tuple[Verdict, ...]
    after_s: float | None = None


Outcome = Accepted | Rejected | Malformed | TooLarge | RetryLater | Rerouted | Mixed


class Dialect(Protocol):
    """One vendor's wire format, the sending half."""

    #: The field's word for it: ``segment``, ``rudderstack``, ``dreamdata``, ``posthog``, ...
    name: str

    @property
    def verbatim(self) -> Verbatim | None:
        """Which records go out as they are; None where each is looked at."""
        ...

    def encode(self, record: Record) -> Encoded:
        """
        The record in the vendor's JSON.

        Raises:
            Unencodable: This dialect has no way to carry it.
        """
        ...

    def body_bytes(self, count: int, wire_bytes: int) -> int:
        """
        Exact length of the uncompressed body, or the most it can be.

        Args:
            count: Messages in it.
            wire_bytes: Sum of ``len(encoded.wire)``.
        """
        ...

    def bucket(self, encoded: Encoded, node_count: int) -> int:
        """Messages of one bucket may share a request; order inside it is kept."""
        ...

    def request(self, messages: Sequence[Encoded], attempt: Attempt) -> Request:
        """One request with all of *messages*, which are of one bucket; body not compressed."""
        ...

    def classify(self, response: Response, messages: Sequence[Encoded]) -> Outcome:
        """What the answer to `request` means. A redirect is an error here."""
        ...
