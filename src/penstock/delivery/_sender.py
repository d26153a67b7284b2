"""
One job, one request, one answer: the only place of delivery that does network I/O.

Nothing here raises into a thread's loop: whatever goes wrong is an outcome.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

import orjson

from penstock import _fork
from penstock._log import WARNING
from penstock.delivery._outcome import Death, Resolution, resolve
from penstock.dialects._types import RetryLater
from penstock.errors import DeliveryError, ShutdownError
from penstock.transport import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock._log import Log
    from penstock.config import Callback, Clock
    from penstock.delivery._job import Item, Job
    from penstock.delivery._pump import Pump, Told
    from penstock.transport import Transport

#: Weight of the newest answer in a pump's smoothed latency.
_LATENCY_WEIGHT = 0.2
#: Imported late by the code below this one.
_MODULES = ("email.utils", "encodings.idna", "logging", "penstock.transport.compression")
#: The kind of a `TransportError` that no retry will mend (a test without network), and its reason.
DENIED = "denied"
#: The drop reason of what was still pending when a memory journal ended.
CLOSED = "closed"


class Sender:
    """
    Makes requests for any pump of a client; safe from several threads at once.

    Args:
        transport: Carries them.
        clock: The time.
        log: Where it speaks.
        callback: Told what became of each event.
    """

    def __init__(
        self, transport: Transport, clock: Clock, log: Log, callback: Callback | None
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._log = log
        self._callback = callback
        #: Told of every attempt: `(job, resolution, status)`; must not raise.
        self.observer: Callable[[Job, Resolution, int | None], None] | None = None
        #: No request may last beyond this moment (monotonic seconds); None for no such bound.
        self.deadline: float | None = None

    def load(self, pump: Pump) -> None:
        """
        Import what sending needs, which capturing does not; see `penstock._fork.loading`.

        Whatever fails here fails again at the first request, and is an outcome there.
        """
        with _fork.loading(), suppress(Exception):
            for module in _MODULES:
                import_module(module)
            _ = pump.destination.dialect
            prepare = getattr(self._transport, "prepare", None)
            if prepare is not None:
                prepare()

    def send(self, pump: Pump, job: Job) -> None:
        """Send *job* once and settle what came of it, unless it is the parent's by now."""
        if pump.abandoned:
            return
        resolution, status = self._exchange(pump, job)
        if resolution.reroute:
            self._learn_nodes(pump)
        if pump.abandoned:
            return
        told = pump.settle(job, resolution, status=status)
        try:
            self._report(pump, job, resolution, status)
            self.tell(pump, told)
        finally:
            pump.told()

    def _exchange(self, pump: Pump, job: Job) -> tuple[Resolution, int | None]:
        messages = job.messages
        dialect = pump.destination.dialect
        started = self._clock.monotonic()
        status = waited_s = None
        try:
            request = dialect.request(messages, pump.attempt(job))
            if pump.settings.compression is not None:
                from penstock.transport.compression import compressed

                request = compressed(request, pump.settings.compression)
            response = self._transport.send(request, self._timeout(pump))
            status, waited_s = response.status, response.waited_s
            outcome = dialect.classify(response, messages)
        except TransportError as error:
            if error.kind == DENIED:
                return Resolution(deaths=[Death(DENIED, error.detail, job.items)]), None
            outcome = RetryLater(None, str(error))
        except Exception as error:  # noqa: BLE001 - a host's transport may raise anything
            self._log.failed_callback("transport", error)
            outcome = RetryLater(None, type(error).__name__)
        if waited_s is None:
            waited_s = self._clock.monotonic() - started
        pump.latency_s += _LATENCY_WEIGHT * (waited_s - pump.latency_s)
        return resolve(outcome, job.items), status

    def _timeout(self, pump: Pump) -> float:
        timeout = pump.settings.timeout
        if self.deadline is None:
            return timeout
        return max(0.001, min(timeout, self.deadline - self._clock.monotonic()))

    def _learn_nodes(self, pump: Pump) -> None:
        """Ask RudderStack's proxy how many nodes there are; keep the old count otherwise."""
        request = pump.destination.node_count_request()
        if request is None:
            return
        try:
            response = self._transport.send(request, self._timeout(pump))
        except TransportError:
            return
        count = pump.destination.parse_node_count(response)
        if count is not None:
            pump.node_count = count

    def _report(self, pump: Pump, job: Job, resolution: Resolution, status: int | None) -> None:
        name, count = pump.destination.name, len(job.items)
        if self.observer is not None:
            self.observer(job, resolution, status)
        answer = resolution.detail or "no answer" if status is None else f"HTTP {status}"
        self._log.detail("%s: %d events, attempt %d: %s", name, count, job.attempts, answer)
        if resolution.retry and not resolution.reroute:
            text = "%s does not take events now (%s); they wait in the journal"
            if not job.origin.lane.durable:
                text = "%s does not take events now (%s); they wait in memory"
            self._log.say(WARNING, f"retry:{name}", text, name, answer)

    def tell(self, pump: Pump, told: Told) -> None:
        """Log deaths and tell the callback, contained."""
        name = pump.destination.name
        for death in told.deaths:
            text = "%s: %d events are dead: %s"
            self._log.say(
                WARNING, f"dead:{name}:{death.reason}", text, name, len(death.items), death.reason
            )
        callback = self._callback
        if callback is None:
            return
        for item in told.delivered:
            self._call(item, callback, None)
        for death in told.deaths:
            kind = ShutdownError if death.reason == CLOSED else DeliveryError
            error = kind(death.reason, destination=name, status=told.status, detail=death.detail)
            for item in death.items:
                self._call(item, callback, error)

    def _call(self, item: Item, callback: Callback, error: DeliveryError | None) -> None:
        try:
            message = orjson.loads(item.record.payload)
            if error is None:
                callback.success(message)
            else:
                callback.failure(message, error)
        except Exception as raised:  # noqa: BLE001 - the host's code, contained
            self._log.failed_callback("callback", raised)
