"""
The crew: the threads that make one pump's requests.

Each *sender* takes job after job and goes away when there were none for a while. A pump gets a
second one only when its destination is slow to answer: on a fast one more threads only fight for
the interpreter.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock._log import ERROR
from penstock.delivery._threads import DaemonThread

if TYPE_CHECKING:
    from penstock._log import Log
    from penstock.delivery._pump import Pump
    from penstock.delivery._sender import Sender

#: Seconds a sender without work stays around.
SENDER_IDLE_S = 10.0
#: Seconds a server may take on average before a pump with more to do gets another sender.
SLOW_ANSWER_S = 0.01
#: Seconds after which an answer that has not come yet is slow whatever others took: they include
#: what the program itself keeps a sender waiting for the interpreter.
OVERDUE_S = 0.1


class Crew:
    """
    The senders of one pump; none until there is work.

    Args:
        pump: Whose jobs they take.
        sender: Makes the requests.
        log: Where it speaks.

    Attributes:
        threadless: Whether the machine had no thread for the last sender that was wanted.
        stranded: Whether no sender would ever get a turn: the worker is to make the requests.
    """

    def __init__(self, pump: Pump, sender: Sender, log: Log) -> None:
        self.pump = pump
        self.threadless = False
        self.stranded = False
        self._sender = sender
        self._log = log
        self._stopping = False
        self._size = 0
        self._idle = 0

    def equip(self, progress: threading.Event, mailbox: queue.SimpleQueue[None]) -> None:
        """
        Give senders what they wait on; again when gevent has changed what that is.

        Args:
            progress: Set after every job.
            mailbox: What the worker sleeps on.
        """
        self._progress = progress
        self._mailbox = mailbox
        self._inbox: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.RLock()

    def engage(self) -> None:
        """Wake or hire a sender if there is work that nobody will take soon."""
        pump = self.pump
        if not pump.has_work():
            return
        with self._lock:
            if self._idle:
                self._inbox.put(None)
                return
            slow = pump.latency_s > SLOW_ANSWER_S or pump.slow_since(OVERDUE_S)
            wanted = (slow or not self._size) and self._size < pump.settings.concurrency
            if wanted and not self._stopping:
                self._hire()

    def is_at_work(self) -> bool:
        """Whether a sender is about to take a job, or at one."""
        with self._lock:
            return self._size > self._idle

    def _hire(self) -> None:
        if type(self._inbox) is not queue.SimpleQueue:
            # gevent patched while our thread was alive: a greenlet in it would never get a turn.
            self.stranded = True
            self._mailbox.put(None)
            return
        thread = DaemonThread(self._serve, "penstock-sender")
        self._size += 1
        try:
            thread.start()
        except RuntimeError:  # late in the interpreter's exit, or the machine has no more
            self._size -= 1
            self.threadless = True
        else:
            self.threadless = False

    def _serve(self) -> None:
        """Send job after job until there was none for a while."""
        try:
            with suppress(Exception):  # without memory even to say so; the worker hires anew
                self.load()
                while self._work():
                    pass
        finally:
            with self._lock:
                self._size -= 1
            # known by its new number, if gevent gave it one: it ends by it
            threading.current_thread()

    def _work(self) -> bool:
        """Do what there is to do, then wait; False when the sender should go."""
        while self.send_one():
            pass
        wait = self.pump.wait_s()
        with self._lock:
            if self._stopping:
                return False
            self._idle += 1
        try:
            self._inbox.get(timeout=SENDER_IDLE_S if wait is None else wait)
        except queue.Empty:
            return wait is not None or self.pump.has_work()
        finally:
            with self._lock:
                self._idle -= 1
        return not self._stopping

    def load(self) -> None:
        """Import what sending needs."""
        self._sender.load(self.pump)

    def send_one(self) -> bool:
        """Take a job and send it, on this thread; False when there is none now."""
        pump, job = self.pump, None
        try:
            job = pump.take()
            for told in pump.untold():
                self._sender.tell(pump, told)
            if job is None:
                return False
            if pump.latency_s > SLOW_ANSWER_S:
                self.engage()
            self._sender.send(pump, job)
            if not pump.closed:
                job.origin.lane.reclaim()
        except Exception as error:  # noqa: BLE001 - the loop must survive; nothing is lost by waiting
            pump.put_back(job)
            self._log.say(ERROR, "sender", "a sender failed: %s", type(error).__name__)
            return False
        finally:
            self._progress.set()
        return True

    def stop(self) -> None:
        """No sender takes another job once it is done with its own."""
        with self._lock:
            self._stopping = True
            for _ in range(self._size):
                self._inbox.put(None)

    def abandon(self) -> None:
        """In a forked child: the senders are the parent's; takes no lock, which they may hold."""
        self._stopping = True
        self.pump.abandon()
