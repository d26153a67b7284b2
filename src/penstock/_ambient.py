"""
What a client says about the current request: the calls that open a scope and write to it.

The scope belongs to the task or thread and not to a client, so two clients of one program see
the same one. docs/context.md is the manual.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from penstock._boundary import Boundary, id_text
from penstock._facts import context_of
from penstock._log import WARNING
from penstock.scope import CURRENT, Scope, current_boundary
from penstock.scoping import Held, Scoped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Unpack

    from penstock._boundary import Consent, User
    from penstock._facts import Facts
    from penstock._log import Log
    from penstock.journal.ledger import Ledger
    from penstock.messages import Data, Id

R = TypeVar("R")


class Ambient:
    """The calls of a client that are about the current scope."""

    _log: Log

    if TYPE_CHECKING:

        def flush(self, timeout: float | None = None) -> Ledger: ...

    # -- opening ---------------------------------------------------------------------------

    def request_context(
        self,
        *,
        user_id: User = None,
        anonymous_id: Id | None = None,
        tags: Mapping[str, Any] | None = None,
        consent: Consent = "full",
        **facts: Unpack[Facts],
    ) -> Scoped:
        """
        A request, a message or an invocation begins: nothing is inherited from what is around.

        The middleware does it for you. `set_user` and its like, called by anything that serves
        the request, in whichever thread or task, write to it.

        Args:
            user_id: The known person, or a function that is asked when the first event needs it.
            anonymous_id: The unknown device; otherwise one is made up for this request.
            tags: Facts of your own for every event of it.
            consent: What the visitor agreed to: ``off``, ``anonymous`` or ``full``.
            facts: See `penstock._facts.Facts`: ``ip``, ``user_agent``, ``url``, ...

        Returns:
            A context manager and decorator, as `penstock.scoped`.

        Raises:
            FieldError: A fact is none of those.

        .. versionadded:: 0.1
        """
        context = context_of(facts)

        def opened() -> Scope:
            boundary = Boundary(
                user_id=user_id,
                anonymous_id=anonymous_id,
                context=context,
                tags=tags,
                consent=consent,
            )
            return Scope(boundary=boundary)

        return Scoped(opened)

    def context(
        self,
        *,
        user_id: Id | None = None,
        anonymous_id: Id | None = None,
        properties: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        fresh: bool = False,
        **facts: Unpack[Facts],
    ) -> Scoped:
        """
        Put values over the current scope: for a block, unseen by everything outside of it.

        Args:
            user_id: The known person. Work for somebody else than the visitor needs `fresh`.
            anonymous_id: The unknown device.
            properties: Added to the properties of events.
            tags: Added to ``context.tags``.
            fresh: Start empty, without the request.
            facts: As for `request_context`.

        Returns:
            A context manager and decorator, as `penstock.scoped`.

        Raises:
            FieldError: A fact is no field of a request.

        .. versionadded:: 0.1
        """
        context_of(facts)  # misuse is told here, not where the block begins

        def opened() -> Scope:
            outer = Scope() if fresh else CURRENT.get() or Scope()
            own = context_of(facts, _touched(outer.context, facts)) or None
            return outer.inside(user_id, anonymous_id, properties, own, tags)

        return Scoped(opened)

    #: The same, for those who look for the decorator.
    scoped = context

    @contextmanager
    def job(
        self,
        name: str,
        *,
        user_id: User = None,
        flush: float | None = None,
        tags: Mapping[str, Any] | None = None,
        **facts: Unpack[Facts],
    ) -> Iterator[Scope]:
        """
        A piece of work without a request: a queue's job, a command, a schedule's turn.

        A boundary of its own; an error that leaves it is captured and goes on.

        Args:
            name: Becomes the tag ``job``.
            user_id: Whose work it is.
            flush: Wait for delivery at its end, for at most so many seconds. Processes that are
                frozen or killed after their work need it.
            tags: As for `request_context`.
            facts: As for `request_context`.

        .. versionadded:: 0.1
        """
        opened = self.request_context(user_id=user_id, tags={"job": name, **(tags or {})}, **facts)
        try:
            with opened as scope:
                try:
                    yield scope
                except Exception as error:
                    _report(self, error, source="penstock.job")
                    raise
        finally:
            if flush is not None:
                self.flush(flush)

    # -- carrying --------------------------------------------------------------------------

    def current_context(self) -> Scope | None:
        """
        The current scope, to be handed to a thread or a pool; see `use_context`.

        .. versionadded:: 0.1
        """
        return CURRENT.get()

    def use_context(self, snapshot: Scope | None) -> Held:
        """
        Work in a scope that `current_context` gave elsewhere.

        .. versionadded:: 0.1
        """
        return Held(snapshot)

    def wrap(self, function: Callable[..., R]) -> Wrapped[R]:
        """
        *function* as it is to be run elsewhere: in the scope of now, its errors captured.

        For threads, executors and processes, which start without the scope. In a process of
        `multiprocessing` it waits for delivery at its end, since such a process skips the
        interpreter's exit.

        .. versionadded:: 0.1
        """
        return Wrapped(self, function, CURRENT.get())

    # -- writing ---------------------------------------------------------------------------

    def set_user(self, user_id: Id | None) -> None:
        """
        Say who the current request or job is about; None: nobody.

        Inside a request everything that serves it sees it, from now on; elsewhere the rest of
        the current block. Without either it is said in the log that it does nothing.

        .. versionadded:: 0.1
        """
        boundary = current_boundary()
        if boundary is not None:
            boundary.set_user(user_id)
        else:
            self._overlay("set_user", user_id=id_text(user_id))

    def set_session(self, session_id: str | int | None) -> None:
        """
        Say which session it is part of; as `set_user`.

        .. versionadded:: 0.1
        """
        boundary = current_boundary()
        if boundary is not None:
            boundary.set_session(session_id)
        else:
            self._overlay("set_session", context={"sessionId": session_id})

    def tag(self, name: str, value: object) -> None:
        """
        Add a fact of your own to the events that follow; as `set_user`.

        It arrives in ``context.tags``; at PostHog as a property.

        .. versionadded:: 0.1
        """
        boundary = current_boundary()
        if boundary is not None:
            boundary.tag(name, value)
        else:
            self._overlay("tag", tags={name: value})

    def anonymous_id(self, *, create: bool = False) -> str | None:
        """
        The anonymous id of the current request; None where there is none.

        Args:
            create: Have the middleware give the visitor a cookie with it, also where it would
                not on its own, which is on everything but a page. Consent is asked nonetheless.

        .. versionadded:: 0.1
        """
        scope = CURRENT.get()
        if scope is None:
            return None
        if create and scope.boundary is not None:
            keep: Callable[[], None] | None = getattr(scope.boundary, "keep_device", None)
            if keep is not None:
                keep()
        return id_text(scope.anonymous_id)

    def _overlay(self, call: str, **values: Any) -> None:
        """Write to the current block, for its rest."""
        scope = CURRENT.get()
        if scope is None:
            text = "%s() is outside of any request, job or context: it does nothing"
            self._log.say(WARNING, "no scope", text, call)
        else:
            CURRENT.set(scope.inside(**values))

    # -- people ----------------------------------------------------------------------------

    def login(self, user_id: Id, traits: Data | None = None) -> str:
        """
        A visitor became a known person: link the device, tell the traits, go on as the user.

        What is sent suits each destination: an identify with both ids, before it an alias for
        Dreamdata. A device that is unknown, stands for nobody or was linked before is not
        linked. Without a request this is an `identify`.

        Returns:
            The message id of the identify; empty when the client is disabled.

        Raises:
            FieldError: *user_id* is none, or *traits* is no mapping.
            ClosedError: The client was closed.

        .. versionadded:: 0.1
        """
        from penstock.identity._login import login

        return login(self, user_id, traits)  # type: ignore[arg-type]

    def logout(self) -> None:
        """
        The known person left: the device gets a new anonymous id, and the user is forgotten.

        Else the next person at a shared device would be merged with this one.

        .. versionadded:: 0.1
        """
        from penstock.identity._login import logout

        logout()


def _touched(context: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The objects of the outer context that some of *facts* go into, so that the rest stays."""
    if not context:
        return None
    parts = context_of({name: value for name, value in facts.items() if value is not None})
    return {
        name: context[name]
        for name in ("page", "http", "device")
        if name in parts and isinstance(context.get(name), dict)
    }


def _report(client: Any, error: BaseException, source: str, *, handled: bool = False) -> None:
    from penstock._reporting import report

    report(client, error, handled=handled, mechanism="generic", source=source)


class Wrapped(functools.partial[R]):
    """A function with the scope it was wrapped in; `Ambient.wrap` makes it."""

    client: Any
    scope: Scope | None
    waits: bool

    def __new__(cls, client: Any, function: Callable[..., R], scope: Scope | None) -> Self:
        """A `functools.partial`, so that it looks like what it wraps to whoever asks."""
        from inspect import iscoroutinefunction  # not for programs that never wrap

        made = super().__new__(cls, function)
        made.client, made.scope = client, scope
        made.waits = iscoroutinefunction(function)
        return made

    def __call__(self, /, *args: Any, **kwargs: Any) -> R:
        """Call the function in the scope; an error is captured and goes on."""
        if self.waits:
            return self._await(*args, **kwargs)  # type: ignore[return-value]
        with self._inside():
            return super().__call__(*args, **kwargs)

    async def _await(self, *args: Any, **kwargs: Any) -> Any:
        """The same where the work is done by whoever awaits it."""
        with self._inside():
            return await self.func(*args, **kwargs)  # type: ignore[misc]

    @contextmanager
    def _inside(self) -> Iterator[None]:
        try:
            with Held(self.scope):
                try:
                    yield
                except Exception as error:
                    _report(self.client, error, source="penstock.wrap")
                    raise
        finally:
            if _in_child():
                self.client.flush()

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process with everything that pickle can carry."""
        return (Wrapped, (self.client, self.func, self.scope))


def _in_child() -> bool:
    """Whether this is a process that `multiprocessing` started."""
    import sys

    processes: Any = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None
