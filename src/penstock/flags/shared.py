"""
Definitions that many processes share, so that one of them loads for all.

Where they lie is the host's: Redis, a database, a file. What is here asks it, waits for it within
bounds, and goes on without it when it fails. Source: the feature flags reference, 2.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import msgspec

from penstock._log import WARNING
from penstock.flags.carrier import within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from penstock._log import Log

#: Seconds each call of the host's may take: nobody but the feed's thread waits.
CALL_TIMEOUT_S = 5.0
#: What is shared of an answer.
_MEMBERS = (
    "flags",
    "group_type_mapping",
    "cohorts",
    "minimal_flag_called_events",
    "property_matching_version",
)

Result = TypeVar("Result")
Maybe: TypeAlias = "Result | Awaitable[Result]"


class DefinitionsCache(Protocol):
    """
    Where processes share definitions; PostHog's protocol. Methods may be async.

    All are called on the thread that loads; what they raise is logged and contained.
    """

    def should_fetch_flag_definitions(self) -> Maybe[bool]:
        """Whether this process is to load, before each look; a lock that all see decides."""
        ...

    def get_flag_definitions(self) -> Maybe[Mapping[str, Any] | None]:
        """What another process has loaded; None: nothing."""
        ...

    def on_flag_definitions_received(self, data: Mapping[str, Any]) -> Maybe[None]:
        """This process has loaded *data*: keep it for the others."""
        ...

    def shutdown(self) -> Maybe[None]:
        """The last client was closed."""
        ...


class Shared:
    """
    A host's cache, asked with care.

    Args:
        cache: The host's.
        log: Where it speaks.
    """

    def __init__(self, cache: DefinitionsCache, log: Log) -> None:
        self._cache = cache
        self._log = log

    def wants_look(self) -> bool:
        """Whether this process is to load; also where the cache does not know."""
        answer = self._call(self._cache.should_fetch_flag_definitions)
        return answer is not False

    def definitions(self) -> bytes | None:
        """What another process has loaded, as a body of definitions; None: nothing."""
        data = self._call(self._cache.get_flag_definitions)
        if data is None:
            return None
        try:
            return msgspec.json.encode(data)
        except (TypeError, ValueError, RecursionError):
            return b"null"  # something, though no definitions

    def received(self, body: bytes) -> None:
        """Hand what was loaded to the others."""
        data = msgspec.json.decode(body)
        shared = {name: data[name] for name in _MEMBERS if name in data}
        self._call(lambda: self._cache.on_flag_definitions_received(shared))

    def close(self) -> None:
        """Tell the cache that it is over."""
        self._call(self._cache.shutdown)

    def _call(self, method: Callable[[], Any]) -> Any:
        """What *method* returns; None where it raises, or takes too long."""

        def work() -> tuple[Any, str]:
            try:
                found = method()
                return _awaited(found) if hasattr(found, "__await__") else found, ""
            except Exception as error:  # noqa: BLE001 - the host's code, contained
                return None, type(error).__name__

        found, trouble = within(CALL_TIMEOUT_S, work) or (None, "timeout")
        if trouble:
            self._log.say(WARNING, "flags:cache", "the cache of flag definitions: %s", trouble)
        return found


def _awaited(found: Awaitable[Result]) -> Result:
    import asyncio  # 60 modules: only for a cache that needs it

    async def work() -> Result:
        return await found

    return asyncio.run(work())
