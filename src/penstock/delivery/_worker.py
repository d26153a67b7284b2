"""
The worker: the threads of one client, and everything that has to do with their lives.

Threads. None until the first event. Then one *worker*, which wakes up once an interval (or when
an append completes a batch), makes what was captured due, and keeps house: spare segments,
dead processes' lanes, fsync, deletion of what all destinations have. The requests are made by
the pumps' crews of senders (`penstock.delivery._crew`).

Waking. The appending thread puts one item into a `SimpleQueue`, which cannot block it, and only
when a batch is complete and the worker said it would sleep. Otherwise the worker's timer finds
the events: an event never waits longer than the interval.

No thread. Where the machine gives none, events wait; an append asks again every
`RESTART_EVERY_S`, and a flush delivers on its own thread.

Exit. All threads are daemons, so none holds the process. At interpreter exit the workers still
alive get their ``exit_timeout`` together; what is left stays in the journal. Python 3.12 and
later start no thread by then: a flush that cannot start one delivers on its own thread.

Fork. A child abandons this object; the client makes a new one (`penstock.client`).
"""

from __future__ import annotations

import _thread
import queue
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock._log import ERROR, WARNING
from penstock._runtimes import before_the_end, forks_unseen, stays_behind
from penstock.delivery import _live
from penstock.delivery._crew import Crew
from penstock.delivery._sender import CLOSED
from penstock.delivery._threads import DaemonThread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock._log import Log
    from penstock.config import Clock
    from penstock.delivery._pump import Pump
    from penstock.delivery._sender import Sender
    from penstock.journal.disk import DiskJournal
    from penstock.journal.lane import Lane
    from penstock.journal.memory import MemoryJournal

#: Seconds between two looks for dead processes' lanes.
ADOPT_EVERY_S = 30.0
#: Seconds between two tries to start a worker that the machine had no thread for.
RESTART_EVERY_S = 0.25
#: Longest nap while something is due and nobody can take it yet.
BUSY_TICK_S = 0.1
#: Intervals shorter than this make no timer: each event wakes the worker instead.
SHORTEST_NAP_S = 0.005
#: A flush looks again at least this often, in seconds.
FLUSH_TICK_S = 0.02
#: Seconds the worker of a client that was dropped without a close goes on trying.
ORPHAN_S = 30.0


class Worker:
    """
    Threads that move events from the journal to the destinations.

    Args:
        journal: Where events come from.
        pumps: One per destination.
        sender: Makes the requests.
        clock: The time.
        log: Where it speaks.
        interval: Seconds between two looks, the shortest of the destinations'.
        exit_timeout: Seconds the interpreter's exit may wait.
        fsync_interval: Seconds between two fsyncs of the journal; None for never.
    """

    def __init__(
        self,
        journal: DiskJournal | MemoryJournal,
        pumps: Sequence[Pump],
        sender: Sender,
        clock: Clock,
        log: Log,
        *,
        interval: float,
        exit_timeout: float,
        fsync_interval: float | None,
    ) -> None:
        self.journal = journal
        self.exit_timeout = exit_timeout
        self._pumps = tuple(pumps)
        self._sender = sender
        self._clock = clock
        self._log = log
        self._interval = interval
        self._fsync_interval = fsync_interval
        self._crews = [Crew(pump, sender, log) for pump in pumps]
        self._equip()
        self._thread: threading.Thread | None = None
        self._next_start = 0.0
        #: Whether this is the client of a uWSGI master: its workers deliver what it captured.
        self.held_back = False
        self._stopping = False
        self._orphaned = False
        self._orphan_deadline = 0.0
        self._next_due = clock.monotonic() + interval
        self._attached: set[Lane] = set()
        self._next_adoption = 0.0
        self._next_fsync = 0.0

    def _equip(self) -> None:
        """Make what threads wait on."""
        self._mailbox: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock, self._progress = threading.RLock(), threading.Event()
        for crew in self._crews:
            crew.equip(self._progress, self._mailbox)

    # -- waking ----------------------------------------------------------------------------

    def wake(self) -> None:
        """Called by an append, with the lane's lock held: start the thread, or wake it."""
        if self._thread is not None:
            self._mailbox.put(None)
        elif self._clock.monotonic() < self._next_start or not self._start():
            self.journal.lane.wake_after(1, sys.maxsize)  # the next append asks again

    def _start(self) -> bool:
        """Start the worker's thread; False when the interpreter starts none any more, or yet."""
        if self._thread is None and forks_unseen():
            self.held_back = stays_behind()
            if not self.held_back:
                self.may_have_heirs()
            return False
        with self._lock:
            if self._thread is not None or self._stopping:
                return self._thread is not None
            _live.enlist(self)  # also without a thread: the exit delivers on its own
            before_the_end(_live.close_all)
            thread = DaemonThread(self._run, "penstock-worker")
            try:
                self._thread = thread
                if type(self._mailbox) is queue.SimpleQueue:
                    thread.start()
                else:  # gevent patched since: a greenlet that waits in the old queue stops all,
                    self._equip()  # and one that waits here lets others into the lane, whose lock
                    _thread.start_new_thread(thread.run, ())  # is old too; start() would wait
            except RuntimeError:
                self._thread = None
                self._next_start = self._clock.monotonic() + RESTART_EVERY_S
                return False
        return True

    def may_have_heirs(self) -> None:
        """This process forked, or will: at its end, deliver what dead children left."""
        if not self._stopping:
            _live.enlist(self)

    # -- the worker's thread ---------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._look()
                if any(crew.stranded for crew in self._crews):
                    self._send_all()
                if self._orphaned and self._is_over():
                    self.close(0.0)
                    break
            except Exception as error:  # noqa: BLE001 - the loop must survive; nothing is lost by waiting
                self._log.say(ERROR, "worker", "the worker failed: %s", type(error).__name__)
            self._sleep()
        threading.current_thread()  # known by its new number, if gevent gave it one: it ends by it

    def _look(self) -> None:
        """Attach, keep house, see that every pump with work has a sender."""
        self._attach_all()
        self.journal.lane.prepare()
        self._fsync()
        now = self._clock.monotonic()
        if now >= self._next_due:
            self._next_due = now + self._interval
            for pump in self._pumps:
                pump.make_due()
        for crew in self._crews:
            crew.engage()

    def _sleep(self) -> None:
        nap = max(SHORTEST_NAP_S, self._next_due - self._clock.monotonic())
        if self._fsync_interval is not None:
            nap = min(nap, self._fsync_interval)
        if not self._has_work():
            self._arm()
        if self._has_work():  # possibly since we armed: that append did not wake us
            idle = self._is_staffed() or self._lacks_threads()
            nap = min(nap, BUSY_TICK_S if idle else SHORTEST_NAP_S)
        elif self._interval < SHORTEST_NAP_S:
            nap = BUSY_TICK_S
        with suppress(queue.Empty):
            self._mailbox.get(timeout=nap)

    def _has_work(self) -> bool:
        return any(pump.has_work() for pump in self._pumps)

    def _is_staffed(self) -> bool:
        """Whether every pump with work has somebody at it: then there is nothing to hurry for."""
        return all(crew.is_at_work() for crew in self._crews if crew.pump.has_work())

    def _lacks_threads(self) -> bool:
        """Whether a pump has work and the machine had no thread for it."""
        return any(crew.threadless and crew.pump.has_work() for crew in self._crews)

    def _arm(self) -> None:
        """
        Have the append that completes a batch wake us.

        Events that come between counting and arming are not in the count, so it is done again
        until nothing changed, or a few times: then the batches are filling anyway.
        """
        armed: tuple[int, int] | None = None
        for _ in range(3):
            missing = [pump.missing() for pump in self._pumps]
            events, size = (min(column) for column in zip(*missing, strict=True))
            if self._interval < SHORTEST_NAP_S:  # nothing is to wait: every event wakes
                events = 1
            if (events, size) == armed:
                return
            armed = (events, size)
            self.journal.lane.wake_after(*armed)

    def _is_over(self) -> bool:
        """Whether an orphan has nothing left to do, or has tried for long enough."""
        return self._clock.monotonic() > self._orphan_deadline or not self.journal.ledger().pending

    def _fsync(self) -> None:
        if self._fsync_interval is None or self._clock.monotonic() < self._next_fsync:
            return
        self._next_fsync = self._clock.monotonic() + self._fsync_interval
        try:
            self.journal.lane.sync()
        except (OSError, ValueError):
            self._log.say(WARNING, "fsync", "the journal could not be synced to disk")

    # -- lanes -----------------------------------------------------------------------------

    def _attach_all(self) -> None:
        with self._lock:
            if self._stopping:  # the lanes are for `finish_close` to let go of
                return
            lane = self.journal.lane
            if lane.opened and lane not in self._attached:
                self._attach(lane, adopted=False)
            now = self._clock.monotonic()
            if now >= self._next_adoption:
                self._next_adoption = now + ADOPT_EVERY_S
                self._adopt()
            self._retire()

    def _adopt(self) -> None:
        for lane in self.journal.adopt():
            self._attach(lane, adopted=True)

    def _attach(self, lane: Lane, *, adopted: bool) -> None:
        self._attached.add(lane)
        for pump in self._pumps:
            pump.attach(lane, adopted=adopted)

    def _retire(self) -> None:
        """Remove adopted lanes in which nothing is pending any more."""
        for lane in [lane for lane in self._attached if lane is not self.journal.lane]:
            if any(lane.account(pump.destination.id).pending for pump in self._pumps):
                continue
            for pump in self._pumps:
                pump.detach(lane)
            self._attached.discard(lane)
            self.journal.retire(lane)

    # -- flush and close -------------------------------------------------------------------

    def begin_flush(self) -> list[tuple[Lane, int]]:
        """Make everything captured until now due; what has to be settled, lane by lane."""
        now = self._clock.monotonic()
        self._next_adoption = 0.0
        started = self._start()
        self._attach_all()
        for pump in self._pumps:
            pump.make_due()
            pump.hurry(now)
        if started:
            self.nudge()
        return [(lane, lane.last_ordinal) for lane in self._attached]

    def nudge(self) -> None:
        """See that every pump with work has a sender."""
        if self._thread is not None:
            for crew in self._crews:
                crew.engage()

    def is_flushed(self, goals: Sequence[tuple[Lane, int]]) -> bool:
        """Whether all of *goals* is settled for every destination."""
        return all(pump.settled_up_to(*goal) for pump in self._pumps for goal in goals)

    def flush(self, timeout: float) -> bool:
        """
        Deliver everything captured until now.

        Args:
            timeout: Seconds; returns after them at the latest.

        Returns:
            Whether everything was settled in time.
        """
        deadline = self._clock.monotonic() + timeout
        goals = self.begin_flush()
        while not self.is_flushed(goals):
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            if self._thread is None or self._lacks_threads():
                self._deliver_here(deadline)
            self.nudge()
            self._progress.clear()
            if not self.is_flushed(goals):
                self._progress.wait(min(left, FLUSH_TICK_S))
        return True

    def _deliver_here(self, deadline: float) -> None:
        """Without threads: one request after the other, none of them beyond *deadline*."""
        before = self._sender.deadline
        self._sender.deadline = deadline if before is None else min(before, deadline)
        self._send_all(deadline)
        self._sender.deadline = before

    def _send_all(self, until: float = float("inf")) -> None:
        """Without senders: one request after the other, until there is no more or it is *until*."""
        for crew in self._crews:
            crew.load()
            while not self._stopping and self._clock.monotonic() < until and crew.send_one():
                pass

    def close(self, timeout: float) -> bool:
        """
        Take no more events, deliver for *timeout* seconds, let go of everything.

        Returns:
            Whether everything was settled in time.
        """
        self.begin_close(timeout)
        return self.finish_close()

    def begin_close(self, timeout: float) -> None:
        """Take no more events; from now on deliver for *timeout* seconds."""
        self.journal.lane.stop()
        self._sender.deadline = self._clock.monotonic() + timeout
        self.begin_flush()

    def finish_close(self) -> bool:
        """Wait for the deadline of `begin_close` at most, then let go of everything."""
        deadline = self._sender.deadline or 0.0
        done = self.flush(max(0.0, deadline - self._clock.monotonic()))
        self._stop()
        for pump in self._pumps:
            self._release(pump)
        if not done:  # no interval comes any more
            self._next_fsync = 0.0
            self._fsync()
        self.journal.close()
        return done

    def _release(self, pump: Pump) -> None:
        """No sender may touch the journal from here on; memory ends with the client."""
        told = None
        with pump.lock:
            if not pump.closed:
                told = pump.give_up(CLOSED)
            pump.closed = True
        if told is not None:
            self._sender.tell(pump, told)

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
        self._mailbox.put(None)
        for crew in self._crews:
            crew.stop()
        _live.dismiss(self)

    def abandon(self) -> None:
        """In a forked child: the parent's greenlets, which gevent lets go on here, are to stop."""
        self._stopping = True
        for crew in self._crews:
            crew.abandon()

    def is_idle(self) -> bool:
        """Whether there is nothing to deliver, from this process or from dead ones."""
        if self._thread is None and not self.journal.lane.opened:
            self._attach_all()
            return not self._attached
        return False

    def orphan(self) -> None:
        """The client is gone without a close: deliver what there is, then stop."""
        if self._thread is None and not self.journal.lane.opened:
            _live.dismiss(self)
        self._orphan_deadline = self._clock.monotonic() + ORPHAN_S
        self._orphaned = True
        self._mailbox.put(None)
