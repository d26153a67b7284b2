"""
A pump moves one destination's cursors: what to send next, and what an answer settles.

States of an event here, per destination:

    beyond the head --read--> ready --take--> in flight --answer--> delivered | dead
                                ^                |
                                |             retryable
                                +-- parked <-----+

Rules:

- `Pump.take` and `Pump.settle` hold the pump's lock and do no I/O but reading the journal and
  writing the cursor; the request itself is made by whoever took the job, without the lock.
- What was read and is not settled is bounded (`_WAITING` jobs beyond those in flight), so that
  memory stays flat whatever the backlog, and a crash resends a bounded number of events.
- With an order to keep, a stream has one job in flight or parked at a time.
- A dead letter is written before the cursor moves past its event; the callback is told after.

Rejected: one queue of all destinations (a slow one would delay the others), acknowledging by
position only (one slow batch would make a crash resend all that came after it).
"""

from __future__ import annotations

from collections import deque
from random import random
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4  # uuid_utils' are gone where uWSGI runs its exit handlers

from penstock._log import WARNING
from penstock.delivery._job import Item, Job, Origin, RunItems, items_of, oldest_of, ordinals_of
from penstock.delivery._outcome import Death
from penstock.delivery._plan import Plan, batched, planned, wanted
from penstock.delivery._retry import CYCLE_PAUSE_S, MAX_REROUTES, Breaker, delay_s
from penstock.dialects._types import Attempt, Encoded
from penstock.journal._dead import DeadLetter
from penstock.timestamps import LATEST, from_epoch_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock._log import Log
    from penstock.config import Clock
    from penstock.delivery._outcome import Resolution
    from penstock.delivery._settings import PumpSettings
    from penstock.destinations import Destination
    from penstock.journal._cursor import Cursor
    from penstock.journal.disk import DiskJournal
    from penstock.journal.lane import Lane
    from penstock.journal.memory import MemoryJournal
    from penstock.journal.record import Record, Wanted

#: Jobs read and not in flight, at most: enough for the halves of a batch being bisected.
_WAITING = 8


class Feed:
    """
    A lane as one destination reads it.

    Attributes:
        goal: Everything up to this ordinal is due, whether or not it fills a batch.
    """

    __slots__ = ("cursor", "goal", "lane")

    def __init__(self, lane: Lane, cursor: Cursor, *, adopted: bool) -> None:
        self.lane = lane
        self.cursor = cursor
        self.goal = lane.last_ordinal if adopted else 0


class Told(NamedTuple):
    """What the callback is told once the lock is free."""

    delivered: Sequence[Item]
    deaths: list[Death]
    status: int | None
    #: Requests made with them, in this cycle.
    attempts: int = 0


class Pump:
    """
    Delivery to one destination.

    Args:
        destination: Where to.
        settings: The numbers it goes by.
        journal: Where dead letters go.
        clock: The time.
        log: Where it speaks.
    """

    def __init__(
        self,
        destination: Destination,
        settings: PumpSettings,
        journal: DiskJournal | MemoryJournal,
        clock: Clock,
        log: Log,
    ) -> None:
        self.destination = destination
        self.settings = settings
        self.lock = RLock()
        self.node_count = 1
        #: Senders that are telling the callback of something just settled.
        self.telling = 0
        #: Seconds the last answers took, smoothed.
        self.latency_s = 0.0
        self.closed = False
        self.abandoned = False
        self.breaker = Breaker(settings.retry)
        self._journal = journal
        self._clock = clock
        self._log = log
        self._feeds: list[Feed] = []
        self._ready: deque[Job] = deque()
        self._parked: list[Job] = []
        self._flying: list[Job] = []
        self._untold: list[Told] = []

    # -- feeds -----------------------------------------------------------------------------

    def attach(self, lane: Lane, *, adopted: bool) -> None:
        """Read *lane* too; what a dead process had in flight there comes first."""
        feed = Feed(lane, lane.cursor(self.destination.id), adopted=adopted)
        with self.lock:
            self._feeds.append(feed)
            for hole in list(feed.cursor.holes):
                records = lane.reread(hole)
                gone = hole.open.difference(record.ordinal for record in records)
                if gone:
                    feed.cursor.settle(hole, dead={"corrupt": gone})
                self._carry_out(self._plan(records), Origin(lane, feed.cursor, hole))

    def detach(self, lane: Lane) -> None:
        """Stop reading *lane*."""
        with self.lock:
            self._feeds = [feed for feed in self._feeds if feed.lane is not lane]

    def make_due(self) -> None:
        """Everything captured until now is due."""
        with self.lock:
            for feed in self._feeds:
                feed.goal = feed.lane.last_ordinal

    def hurry(self, now: float) -> None:
        """Someone waits: try again at once what waits only for our own backoff."""
        with self.lock:
            self.breaker.hurry()
            for job in self._parked:
                job.not_before = min(job.not_before, now)

    def settled_up_to(self, lane: Lane, ordinal: int) -> bool:
        """Whether everything in *lane* up to *ordinal* is settled here, and told."""
        with self.lock:
            if self.telling:
                return False
            for feed in self._feeds:
                if feed.lane is lane:
                    return feed.cursor.settled >= ordinal
            return True

    def abandon(self) -> None:
        """In a forked child: the parent goes on; a greenlet that wakes up with a job leaves it."""
        self.closed = self.abandoned = True  # without the lock: its holder may not exist here

    # -- taking ----------------------------------------------------------------------------

    def take(self) -> Job | None:
        """The next job to send, or None when there is nothing to do now."""
        with self.lock:
            now = self._clock.monotonic()
            full = len(self._flying) >= self.settings.concurrency
            if self.closed or full or not self.breaker.allows(now):
                return None
            job = self._parked_job(now) or self._ready_job() or self._read_job()
            if job is not None:
                job.taken_at = now
                self._flying.append(job)
                self.breaker.started()
            return job

    def untold(self) -> list[Told]:
        """Deaths found while reading that the callback was not told yet."""
        with self.lock:
            found, self._untold = self._untold, []
            return found

    def has_work(self) -> bool:
        """Whether `take` would give a job."""
        with self.lock:
            now = self._clock.monotonic()
            if self.closed or not self.breaker.allows(now):
                return False
            if any(job.not_before <= now for job in self._parked):
                return True
            return bool(self._ready) or any(map(self._is_due, self._feeds))

    def wait_s(self) -> float | None:
        """Seconds until something parked may be tried again; None when nothing waits."""
        with self.lock:
            if not self._parked and not self._ready:
                return None
            soonest = min((job.not_before for job in self._parked), default=0.0)
            return max(0.0, max(soonest, self.breaker.open_until) - self._clock.monotonic())

    def slow_since(self, seconds: float) -> bool:
        """Whether a request has been under way for longer than *seconds*."""
        with self.lock:
            now = self._clock.monotonic()
            return any(now - job.taken_at > seconds for job in self._flying)

    def missing(self) -> tuple[int, int]:
        """Events and bytes until the next batch is full, whichever comes first."""
        limits = self.settings.limits
        with self.lock:
            events = max((self._available(feed) for feed in self._feeds), default=0)
            size = max((feed.lane.bytes_after(feed.cursor.head) for feed in self._feeds), default=0)
            return max(1, limits.batch_size - events), max(1, limits.max_batch_bytes - size)

    def _parked_job(self, now: float) -> Job | None:
        for job in [job for job in self._parked if job.not_before <= now]:
            job.not_before = now + self.settings.retry.cap  # when it cannot be read now
            is_wanted = self._refill(job)
            self._parked.remove(job)
            if is_wanted:
                return job
        return None

    def _refill(self, job: Job) -> bool:
        """
        Read what a job has shed while it waited.

        Returns:
            False when nobody is to answer for it any more: it was given up to make room.
        """
        items, (lane, _, hole) = job.items, job.origin
        if not isinstance(items, RunItems) or not items.is_shed:
            return True
        found = lane.read_run(hole.start, self._wanted()._replace(records=len(items), oldest=0.0))
        if found is not None and found[0].ordinals == items.ordinals:
            items.fill(found[0])
            return True
        job.items = items_of(lane.reread(hole)) if hole.count else ()
        return bool(job.items)

    def _ready_job(self) -> Job | None:
        if not self.settings.ordered:
            return self._ready.popleft() if self._ready else None
        busy = {job.stream for job in (*self._flying, *self._parked)}
        for index, job in enumerate(self._ready):
            if job.stream not in busy:
                del self._ready[index]
                return job
        return None

    def _read_job(self) -> Job | None:
        waiting = len(self._ready) + len(self._parked)
        if waiting >= _WAITING:
            return None
        for feed in sorted(self._feeds, key=self._available):  # short lanes first: adopted ones
            while self._is_due(feed):
                before = feed.cursor.head
                self._read(feed)
                job = self._ready_job()
                if job is not None:
                    return job
                if self._ready or feed.cursor.head == before:
                    break
        return None

    def _available(self, feed: Feed) -> int:
        return feed.lane.last_ordinal - feed.cursor.head.ordinal

    def _is_due(self, feed: Feed) -> bool:
        available, limits = self._available(feed), self.settings.limits
        if available <= 0:
            return False
        if available >= limits.batch_size or feed.cursor.head.ordinal < feed.goal:
            return True
        return feed.lane.bytes_after(feed.cursor.head) >= limits.max_batch_bytes

    def _read(self, feed: Feed) -> None:
        """
        Read about a batch, and make jobs of it.

        When the bytes are what limits a batch, the read may end a little way into the next one:
        then the head stays before those, so that batches come out full.
        """
        if self._read_run(feed):
            return
        limits = self.settings.limits
        head = feed.cursor.head
        chunk = feed.lane.read(head, limits.batch_size, limits.max_batch_bytes)
        plan = self._plan(chunk.records)
        whole = plan.whole_batches()
        if whole < len(chunk.records):
            chunk = feed.lane.read(head, whole, limits.max_batch_bytes)
            plan = self._plan(chunk.records)
        with feed.cursor.lock:
            if feed.cursor.head != head:  # given up meanwhile to make room, and counted
                return
            hole = feed.cursor.hand_out(chunk.records, chunk.after, chunk.voids)
        self._carry_out(plan, Origin(feed.lane, feed.cursor, hole))

    def _read_run(self, feed: Feed) -> bool:
        """Read a batch that goes out as it lies in the journal; whether there was one."""
        head = feed.cursor.head
        if self.settings.ordered or self.destination.dialect.verbatim is None:
            return False
        found = feed.lane.read_run(head, self._wanted())
        if found is None:
            return False
        run, after = found
        with feed.cursor.lock:
            if feed.cursor.head == head:
                hole = feed.cursor.hand_out(run.ordinals, after, 0)
                self._ready.append(Job(Origin(feed.lane, feed.cursor, hole), RunItems(run), 0))
        return True

    def _wanted(self) -> Wanted:
        return wanted(self.destination.dialect, self.settings.limits, self._oldest())

    def _plan(self, records: list[Record]) -> Plan:
        return planned(
            records,
            self.destination,
            self.settings,
            oldest=self._oldest(),
            node_count=self.node_count,
        )

    def _oldest(self) -> float:
        """Records captured before this, in seconds since 1970, have expired."""
        return min(self._clock.time(), LATEST) - self.settings.max_age

    def _carry_out(self, plan: Plan, origin: Origin) -> None:
        """Make jobs of the batches; what does not travel is settled here."""
        deaths, too_large = plan.found.deaths, plan.batches.too_large
        if too_large:
            deaths.append(Death("too_large", "above the destination's message limit", too_large))
        if deaths or plan.found.excluded:
            told = Told((), deaths, None)
            self._account(origin, told, excluded=plan.found.excluded)
            self._untold.append(told)
        self._ready.extend(Job(origin, items, bucket) for bucket, items in plan.batches.batches)

    # -- sending ---------------------------------------------------------------------------

    def attempt(self, job: Job) -> Attempt:
        """What this HTTP attempt adds to the batch."""
        now = from_epoch_ms(int(self._clock.time() * 1000))
        if not job.request_id:
            job.request_id, job.created_at = str(uuid4()), now
        job.attempts += 1
        return Attempt(job.attempts, now, job.created_at, job.request_id, self.node_count)

    # -- settling --------------------------------------------------------------------------

    def settle(self, job: Job, resolution: Resolution, *, status: int | None) -> Told:
        """
        Account for an answer, or for none.

        Args:
            job: What was sent.
            resolution: The fate of each of its items.
            status: HTTP status of the answer, None without one.

        Returns:
            What the callback is to be told.
        """
        with self.lock:
            self._flying.remove(job)
            self.telling += 1
            if self.closed:
                return Told((), [], None)
            now = self._clock.monotonic()
            answered = status is not None and status < 300  # noqa: PLR2004 - success
            if resolution.retry and not resolution.reroute and not answered:
                self.breaker.failed(now, random(), resolution.after_s)  # noqa: S311 - jitter
            else:
                self.breaker.succeeded()
            told = Told(resolution.delivered, list(resolution.deaths), status, job.attempts)
            if resolution.split:
                self._ready.extendleft(reversed(job.halves()))
            if resolution.reroute:
                self._reroute(job, now)
            elif resolution.retry:
                told.deaths.extend(self._park(job, resolution, now))
            if told.delivered or told.deaths:
                self._account(job.origin, told)
            return told

    def put_back(self, job: Job | None) -> None:
        """Our own failure, in the middle of *job* or on the way to one: rest, then go on."""
        with self.lock:
            now = self._clock.monotonic()
            if job is None:
                self.breaker.failed(now, random(), None)  # noqa: S311 - jitter
            elif job in self._flying:
                self._flying.remove(job)
                self.breaker.failed(now, random(), None)  # noqa: S311 - jitter
                job.not_before = now + self.settings.retry.cap
                self._parked.append(job)

    def told(self) -> None:
        """What `settle` returned has reached the callback, and nobody looks at it any more."""
        with self.lock:
            self.telling -= 1
            if not self.telling:
                for job in self._parked:
                    job.shed()

    def _park(self, job: Job, resolution: Resolution, now: float) -> list[Death]:
        """Set aside what may succeed later; a cycle without a disk ends in death."""
        retry = self.settings.retry
        expired, fresh = self._by_age(resolution.retry)
        deaths = [Death("expired", resolution.detail, expired)] if expired else []
        exhausted = job.attempts >= retry.attempts
        if fresh and exhausted and not job.origin.lane.durable:
            return [*deaths, Death("retries_exhausted", resolution.detail, fresh)]
        if fresh:
            rest = job.remainder(fresh)
            wait = delay_s(retry, job.attempts - 1, random(), resolution.after_s)  # noqa: S311 - jitter
            if exhausted:
                rest.attempts, wait = 0, max(wait, CYCLE_PAUSE_S)
            rest.not_before = now + wait
            self._parked.append(rest)
        return deaths

    def _by_age(self, items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
        """Those that have expired, and the rest; a run of which none has stays one."""
        oldest = self._oldest()
        if oldest_of(items) >= oldest:
            return (), items
        expired: list[Item] = []
        fresh: list[Item] = []
        for item in items:
            (expired if item.record.captured_at < oldest else fresh).append(item)
        return expired, fresh

    def _reroute(self, job: Job, now: float) -> None:
        """Bucket exactly what was not delivered again, by the node count as now known."""
        found = batched(job.items, self.destination, self.settings, self.node_count)
        for bucket, items in found.batches:
            again = job.with_items(items)
            again.bucket = bucket
            again.reroutes = job.reroutes + 1
            if again.reroutes > MAX_REROUTES:
                again.reroutes, again.not_before = 0, now + CYCLE_PAUSE_S
            else:
                again.not_before = now + min(5.0 * job.reroutes, 300.0)
            self._parked.append(again)

    def _account(self, origin: Origin, told: Told, *, excluded: Sequence[int] = ()) -> None:
        if told.deaths:
            self._bury(told)
        dead: dict[str, list[int]] = {}
        for death in told.deaths:
            ordinals = dead.setdefault(death.reason, [])
            ordinals.extend(ordinals_of(death.items))
        origin.cursor.settle(
            origin.hole,
            delivered=ordinals_of(told.delivered),
            excluded=excluded,
            dead=dead,
        )

    def _bury(self, told: Told) -> None:
        letters = [
            self._letter(item.record, death, told) for death in told.deaths for item in death.items
        ]
        try:
            self._journal.bury(letters)
        except OSError as error:
            self._log.say(
                WARNING, "dead", "cannot keep dead letters: %s", error.strerror or "disk error"
            )

    def _letter(self, record: Record, death: Death, told: Told) -> DeadLetter:
        return DeadLetter(
            self.destination.name,
            death.reason,
            told.status,
            death.detail,
            self._clock.time(),
            record.payload,
            told.attempts,
            self.destination.id,
            record.kind,
            record.flags,
        )

    def give_up(self, reason: str) -> Told:
        """Settle as dead what is pending in memory, which ends with the client."""
        with self.lock:
            deaths: list[Death] = []
            for job in [*self._ready, *self._parked, *self._flying]:  # nobody waits for answers
                if not job.origin.lane.durable:
                    deaths.append(Death(reason, "", job.items))
                    self._account(job.origin, Told((), deaths[-1:], None))
            for feed in self._feeds:
                if not feed.lane.durable:
                    deaths += self._drain(feed, reason)
            return Told((), deaths, None)

    def _drain(self, feed: Feed, reason: str) -> list[Death]:
        deaths = []
        while self._available(feed) > 0:
            before = feed.cursor.head
            chunk = feed.lane.read(before, 1000, 1 << 24)
            with feed.cursor.lock:
                if feed.cursor.head != before:  # as above
                    continue
                hole = feed.cursor.hand_out(chunk.records, chunk.after, chunk.voids)
            if chunk.records:
                items = [Item(record, Encoded(b"")) for record in chunk.records]
                deaths.append(Death(reason, "", items))
                origin = Origin(feed.lane, feed.cursor, hole)
                self._account(origin, Told((), deaths[-1:], None))
            elif feed.cursor.head == before:
                break
        return deaths
