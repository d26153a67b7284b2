"""
Entering a scope: for a block, for a function of any kind, for work that is done in pieces.

A generator is the hard one. What it sets between two yields its caller would see, so the scope
is entered for each step and left again, and what the generator itself put over it comes back at
the next step.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from penstock.scope import CURRENT, Scope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
    from contextvars import Token

    from penstock.messages import Id

    Opener = Callable[[], Scope]

F = TypeVar("F", bound="Callable[..., Any]")


class Held:
    """
    A scope that is entered again and again, by one piece of work after the other.

    Args:
        scope: What the first piece sees; each leaves to the next what it sees at its end.
    """

    __slots__ = ("_token", "scope")

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope
        self._token: Token[Scope | None] | None = None

    def __enter__(self) -> Scope | None:
        self._token = CURRENT.set(self.scope)
        return self.scope

    def __exit__(self, *error: object) -> None:
        token, self._token = self._token, None
        self.scope = CURRENT.get()
        if token is not None:
            leave(token)


def leave(token: Token[Scope | None]) -> None:
    """Undo a ``CURRENT.set``; in another task than it was done in there is nothing to undo."""
    with suppress(ValueError):
        CURRENT.reset(token)


class _Block(NamedTuple):
    """A block that was entered: by which opener, what was current before, and the block around."""

    opener: Scoped
    before: Scope | None
    around: _Block | None


#: The innermost block of this task or thread. One opener may be entered by many of them at once,
#: and left where it was not entered, when an asynchronous generator is closed by another task.
_BLOCK: ContextVar[_Block | None] = ContextVar("penstock_block", default=None)


class Scoped:
    """
    A block with a scope, or the decorator that puts a whole function into one.

    It may be used again, also by several tasks and threads at once.

    Args:
        opened: Gives the scope when the block begins.
    """

    def __init__(self, opened: Opener) -> None:
        self._opened = opened

    def __enter__(self) -> Scope:
        scope = self._opened()
        _BLOCK.set(_Block(self, CURRENT.get(), _BLOCK.get()))
        CURRENT.set(scope)
        return scope

    def __exit__(self, *error: object) -> None:
        block = _BLOCK.get()
        if block is not None and block.opener is self:
            CURRENT.set(block.before)
            _BLOCK.set(block.around)

    def __call__(self, function: F) -> F:
        """
        Put *function* into the scope: each call, each await, each step of a generator.

        Functions, coroutine functions, generators and asynchronous generators keep their kind.
        """
        return cast("F", scoped_function(function, self._opened))


def scoped(
    *,
    user_id: Id | None = None,
    anonymous_id: Id | None = None,
    properties: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    fresh: bool = False,
) -> Scoped:
    """
    Open a scope for the events captured inside it: a ``with`` block, or a decorator.

    Args:
        user_id: The known person the events are about.
        anonymous_id: The unknown device they come from.
        properties: Added to the properties of track, page, screen and capture; an event's own
            win.
        context: Added to the context of every event; an event's own wins.
        tags: Added to ``context.tags``; PostHog gets them as properties.
        fresh: Start empty instead of inheriting the scope around, the request included. Work
            for somebody else than the visitor needs that.

    Returns:
        A context manager, which gives the scope as events will see it, and a decorator for
        functions, coroutine functions and generators of both kinds.
    """

    def opened() -> Scope:
        outer = None if fresh else CURRENT.get()
        if outer is None:
            return Scope(user_id, anonymous_id, properties, context, tags=tags)
        return outer.inside(user_id, anonymous_id, properties, context, tags)

    return Scoped(opened)


def scoped_function(function: Callable[..., Any], opened: Opener) -> Callable[..., Any]:
    """*function* with each call inside the scope that *opened* gives."""
    import inspect  # not for programs that never decorate

    if inspect.isasyncgenfunction(function):
        make: Callable[..., Any] = _async_generator
    elif inspect.iscoroutinefunction(function):
        make = _coroutine
    elif inspect.isgeneratorfunction(function):
        make = _generator
    else:
        make = _plain
    wrapper: Callable[..., Any] = functools.wraps(function)(make(function, opened))
    return wrapper


def _plain(function: Callable[..., Any], opened: Opener) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with Held(opened()):
            return function(*args, **kwargs)

    return call


def _coroutine(
    function: Callable[..., Coroutine[Any, Any, Any]], opened: Opener
) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with Held(opened()):
            return await function(*args, **kwargs)

    return call


def _generator(
    function: Callable[..., Generator[Any, Any, Any]], opened: Opener
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        held = Held(opened())
        with held:
            steps = function(*args, **kwargs)
        advance: Callable[[Any], Any] = steps.send
        given: Any = None
        while True:
            with held:
                try:
                    item = advance(given)
                except StopIteration as stop:
                    return stop.value
            try:
                given = yield item
                advance = steps.send
            except GeneratorExit:
                with held:
                    steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the generator's to handle
                given, advance = error, steps.throw

    return call


def _async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], opened: Opener
) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        held = Held(opened())
        with held:
            steps = function(*args, **kwargs)
        advance: Callable[[Any], Any] = steps.asend
        given: Any = None
        while True:
            with held:
                try:
                    item = await advance(given)
                except StopAsyncIteration:
                    return
            try:
                given = yield item
                advance = steps.asend
            except GeneratorExit:
                with held:
                    await steps.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the generator's to handle
                given, advance = error, steps.athrow

    return call
