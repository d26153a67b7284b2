"""
Celery: every task runs in a boundary of its own, about whoever queued it.

    install(app, client)

Who the task is about travels in the message's headers: user, anonymous id, session, consent, and
the tags that you allow. Not all tags: a broker is another place for personal data to lie about.

Source: the Celery documentation, "Signals"; celery/app/amqp.py, where of the headers that a
signal adds only those nested under ``headers`` reach the worker in every protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock._boundary import Boundary
from penstock._log import ERROR, Log
from penstock._reporting import report
from penstock.scope import CURRENT, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from penstock.client import Client

#: The header that says who a task is about.
HEADER = "penstock"
_SOURCE = "celery.task_failure"
_CONSENTS = frozenset({"off", "anonymous", "full"})
#: Seconds a worker's process waits for delivery when it ends.
FLUSH_TIMEOUT_S = 2.0


class Installed:
    """The connected signals of one client; `install` makes it."""

    def __init__(self, client: Client, tags: Collection[str], flush_timeout: float) -> None:
        self.client = client
        self._tags = frozenset(tags)
        self._flush_timeout = flush_timeout
        self._log = Log(client.config.logger, verbose=False)
        #: ``{task id: what was current before}``.
        self._before: dict[str, Scope | None] = {}
        self._connected: list[tuple[Any, Callable[..., None]]] = []

    def connect(self) -> None:
        """Listen to every signal that is needed."""
        from celery import signals

        for signal, receiver in (
            (signals.before_task_publish, self._publish),
            (signals.task_prerun, self._begin),
            (signals.task_failure, self._failed),
            (signals.task_postrun, self._end),
            (signals.worker_process_shutdown, self._leave),
            (signals.worker_shutdown, self._leave),
        ):
            signal.connect(receiver, weak=False)
            self._connected.append((signal, receiver))

    def uninstall(self) -> None:
        """Stop listening."""
        while self._connected:
            signal, receiver = self._connected.pop()
            signal.disconnect(receiver)

    # -- queueing --------------------------------------------------------------------------

    def _publish(self, headers: Any = None, **_: Any) -> None:
        try:
            carried = self._carried()
            if carried and isinstance(headers, dict):
                headers.setdefault(HEADER, carried)
                nested = headers.get("headers")
                headers["headers"] = {HEADER: carried, **(nested or {})}
        except Exception as error:  # noqa: BLE001 - the task is queued without it
            self._tell("publish", error)

    def _carried(self) -> dict[str, Any]:
        scope = CURRENT.get()
        if scope is None:
            return {}
        boundary, context = scope.boundary, scope.context or {}
        tags = context.get("tags") or {}
        user = scope.user_id
        device = scope.anonymous if boundary is None else boundary.known_device
        carried = {
            "user_id": None if user is None else str(user),
            "anonymous_id": None if device is None else str(device),
            "session_id": context.get("sessionId"),
            "consent": None if boundary is None else boundary.consent,
            "tags": {name: tags[name] for name in self._tags & tags.keys()},
        }
        return {name: value for name, value in carried.items() if value}

    # -- running ---------------------------------------------------------------------------

    def _begin(self, task_id: Any = None, task: Any = None, **_: Any) -> None:
        try:
            before = CURRENT.get()
            CURRENT.set(Scope(boundary=_boundary(_header(task), getattr(task, "name", ""))))
            self._before[str(task_id)] = before
        except Exception as error:  # noqa: BLE001 - the task runs without a context
            self._tell("begin", error)

    def _failed(self, sender: Any = None, exception: Any = None, **_: Any) -> None:
        """What the task says it throws, and how it tells the worker what to do, are no errors."""
        try:
            from celery.exceptions import Ignore, Reject, Retry

            expected = tuple(getattr(sender, "throws", ()) or ())
            if not isinstance(exception, (Ignore, Reject, Retry, *expected)):
                report(self.client, exception, handled=False, mechanism="task", source=_SOURCE)
        except Exception as error:  # noqa: BLE001 - the task has failed for its own reason
            self._tell("failure", error)

    def _end(self, task_id: Any = None, **_: Any) -> None:
        """Also after Ignore and Reject, when no other signal comes."""
        if str(task_id) in self._before:
            CURRENT.set(self._before.pop(str(task_id)))

    def _leave(self, **_: Any) -> None:
        """A worker's process ends without the interpreter's exit."""
        try:
            self.client.flush(self._flush_timeout)
        except Exception as error:  # noqa: BLE001 - it ends nonetheless
            self._tell("flush", error)

    def _tell(self, what: str, error: BaseException) -> None:
        text = "the Celery integration failed (%s: %s); tasks run on"
        self._log.say(ERROR, f"celery:{what}", text, what, type(error).__name__)


def install(
    app: Any,
    client: Client,
    *,
    tags: Collection[str] = (),
    flush_timeout: float = FLUSH_TIMEOUT_S,
) -> Installed:
    """
    Give every task its context, and have its errors captured.

    To be called where tasks are queued and where they run: usually once, in the module of the
    application.

    Args:
        app: The Celery application. Its signals are the whole program's.
        client: Whose events they are.
        tags: Names of tags that travel with a task.
        flush_timeout: Seconds a worker's process waits for delivery when it ends.

    Returns:
        What was installed, to be uninstalled in tests.

    .. versionadded:: 0.1
    """
    del app
    installed = Installed(client, tags, flush_timeout)
    installed.connect()
    return installed


def _header(task: Any) -> dict[str, Any]:
    """What came with the message; anything at all may be there."""
    request = getattr(task, "request", None)
    for found in (getattr(request, HEADER, None), (getattr(request, "headers", None) or {})):
        carried = found.get(HEADER, found) if isinstance(found, dict) else None
        if isinstance(carried, dict) and carried:
            return carried
    return {}


def _boundary(carried: dict[str, Any], name: str) -> Boundary:
    consent = carried.get("consent", "full")
    tags = carried.get("tags")
    session = carried.get("session_id")
    return Boundary(
        user_id=carried.get("user_id"),
        anonymous_id=carried.get("anonymous_id"),
        context={"sessionId": session} if session else None,
        tags={**(tags if isinstance(tags, dict) else {}), "task": name},
        consent=consent if consent in _CONSENTS else "anonymous",
    )
