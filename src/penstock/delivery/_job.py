"""A job: messages that travel in one request, and where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

from penstock.dialects._types import Encoded, RunMessages

if TYPE_CHECKING:
    from penstock.journal._cursor import Cursor, Hole
    from penstock.journal.lane import Lane
    from penstock.journal.record import Record, Run


class Item(NamedTuple):
    """One message on its way: the record and its wire form."""

    record: Record
    encoded: Encoded
    #: Whose order it must keep; 0 for everybody's, when no order is asked for.
    stream: int = 0


class RunItems(Sequence[Item]):
    """
    The items of a run, which are made when one is looked at: where all is well, never.

    Args:
        run: Records that go out as they are.

    Attributes:
        is_shed: Whether the payloads are in the journal only, to be read again before anything
            but ordinals and age is asked for.
    """

    def __init__(self, run: Run) -> None:
        self.fill(run)

    def fill(self, run: Run) -> None:
        """Hold *run* with all its payloads."""
        self._run = run
        self._made: list[Item] | None = None
        self.is_shed = False

    def shed(self) -> None:
        """Let go of the payloads: what waits may wait for long."""
        self.fill(self._run._replace(body=b""))
        self.is_shed = True

    def __len__(self) -> int:
        return len(self._run.ordinals)

    @overload
    def __getitem__(self, index: int, /) -> Item: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Item]: ...
    def __getitem__(self, index: int | slice, /) -> Item | list[Item]:
        if self._made is None:
            self._made = items_of(self._whole().records())
        return self._made[index]

    @property
    def ordinals(self) -> range:
        """Those of the records."""
        return self._run.ordinals

    @property
    def oldest(self) -> int:
        """When the first of the records was captured, in seconds since 1970."""
        return self._run.oldest

    @property
    def messages(self) -> RunMessages:
        """What is sent of them."""
        return RunMessages(self._whole())

    def _whole(self) -> Run:
        if self.is_shed:
            raise LookupError("the payloads were not read again")
        return self._run


def items_of(records: Iterable[Record]) -> list[Item]:
    """The items of records that go out as they are."""
    return [Item(record, Encoded(record.payload)) for record in records]


def ordinals_of(items: Sequence[Item]) -> Sequence[int]:
    """Ordinals of the records that *items* were made of."""
    if isinstance(items, RunItems):
        return items.ordinals
    return [item.record.ordinal for item in items]


def oldest_of(items: Sequence[Item]) -> int:
    """When the first of *items* was captured, in seconds since 1970; there must be one."""
    if isinstance(items, RunItems):
        return items.oldest
    return min(item.record.captured_at for item in items)


class Origin(NamedTuple):
    """Where the records of a job are accounted for."""

    lane: Lane
    cursor: Cursor
    hole: Hole


class Job:
    """
    Messages of one bucket and one origin.

    Attributes:
        attempts: HTTP attempts made in this cycle.
        created_at: When the batch was made, RFC 3339; kept over attempts.
        request_id: UUID of the batch; kept over attempts.
        not_before: Monotonic seconds before which it must not be sent.
        reroutes: Rounds of 451 so far.
        taken_at: Monotonic seconds at which a sender took it last.
    """

    __slots__ = (
        "attempts",
        "bucket",
        "created_at",
        "items",
        "not_before",
        "origin",
        "request_id",
        "reroutes",
        "taken_at",
    )

    def __init__(self, origin: Origin, items: Sequence[Item], bucket: int) -> None:
        self.origin = origin
        self.items = items
        self.bucket = bucket
        self.attempts = 0
        self.reroutes = 0
        self.not_before = 0.0
        self.taken_at = 0.0
        self.created_at = ""
        self.request_id = ""

    @property
    def stream(self) -> int:
        """The stream all its items belong to."""
        return self.items[0].stream

    @property
    def messages(self) -> Sequence[Encoded]:
        """What is sent of the items."""
        if isinstance(self.items, RunItems):
            return self.items.messages
        return [item.encoded for item in self.items]

    def shed(self) -> None:
        """Hold nothing that the journal on disk holds as well."""
        if isinstance(self.items, RunItems) and self.origin.lane.durable:
            self.items.shed()

    def with_items(self, items: Sequence[Item]) -> Job:
        """A fresh job of some of the items: a new batch with a full budget of attempts."""
        return Job(self.origin, items, self.bucket)

    def remainder(self, items: Sequence[Item]) -> Job:
        """The same batch with only some items left to answer for."""
        rest = Job(self.origin, items, self.bucket)
        rest.attempts, rest.reroutes = self.attempts, self.reroutes
        rest.created_at, rest.request_id = self.created_at, self.request_id
        return rest

    def halves(self) -> tuple[Job, Job]:
        """Two fresh jobs, in order."""
        middle = len(self.items) // 2
        return self.with_items(self.items[:middle]), self.with_items(self.items[middle:])
