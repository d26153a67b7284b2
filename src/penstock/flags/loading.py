"""What a client can do with definitions besides reading flags by them, and remote config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock import _fork
from penstock._waiting import in_thread
from penstock.errors import ClosedError
from penstock.flags.definitions import RUNTIMES
from penstock.flags.payloads import decoded
from penstock.flags.question import checked_key, checked_timeout
from penstock.flags.remote_config import remote_config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.config import FlagSettings
    from penstock.flags.carrier import Carrier
    from penstock.flags.changes import Change
    from penstock.flags.definitions import Flag, Malformed
    from penstock.flags.feed import Feed
    from penstock.flags.source import Provider
    from penstock.intake import Intake

_PAGE = _fork.PAGE
#: `Flags.reload` and `Flags.wait_until_ready` without a timeout wait this long, in seconds: one
#: request for definitions.
RELOAD_TIMEOUT_S = 10.0
#: Where a flag may be read, unless its definition says otherwise.
EVERYWHERE = RUNTIMES[0]


class Definitions:
    """The part of `penstock.flags.front.Flags` that is about definitions."""

    _client: Intake
    #: How flags are found.
    settings: FlagSettings
    _provider: Provider | None
    _carrier: Carrier
    _feed: Feed | None
    _closed: bool

    def remote_config(self, key: str, *, timeout: float | None = None) -> Any:
        """
        What is attached to a remote config flag; None where that cannot be told.

        It is decoded once: PostHog sends text that is JSON itself, as a rule. Needs a secret
        key. Captures no event.

        Args:
            key: The flag's.
            timeout: Seconds this may take; `FlagSettings.timeout` by default.

        .. versionadded:: 0.1
        """
        key, seconds = checked_key(key), checked_timeout(timeout)
        self._check_open()
        if self._provider is None:
            return None
        seconds = self.settings.timeout if seconds is None else seconds
        return remote_config(self._provider, key, seconds, self._carrier, self._client._log)  # noqa: SLF001 - one voice

    async def aremote_config(self, key: str, *, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - remote_config's twin
        """
        `remote_config` for asyncio and trio.

        .. versionadded:: 0.1
        """
        return await in_thread(lambda: self.remote_config(key, timeout=timeout))

    def reload(self, timeout: float | None = None) -> bool:
        """
        Look for new definitions now.

        Args:
            timeout: Seconds to wait at most; 10 by default.

        Returns:
            Whether the provider gave definitions, or said that those here still hold. False
            while it wants to be left alone, and without a key for definitions.

        .. versionadded:: 0.1
        """
        self._check_open()
        seconds = RELOAD_TIMEOUT_S if timeout is None else timeout
        return self._feed is not None and self._feed.reload(seconds)

    async def areload(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - reload's twin
        """
        `reload` for asyncio and trio.

        .. versionadded:: 0.1
        """
        done: bool = await in_thread(self.reload, timeout)
        return done

    def wait_until_ready(self, timeout: float | None = None) -> bool:
        """
        Wait for definitions, as a program may do when it starts.

        Args:
            timeout: Seconds to wait at most; 10 by default.

        Returns:
            Whether flags can be evaluated here.

        .. versionadded:: 0.1
        """
        self._check_open()
        seconds = RELOAD_TIMEOUT_S if timeout is None else timeout
        return self._feed is not None and self._feed.wait_until_ready(seconds)

    async def await_until_ready(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - wait_until_ready's twin
        """
        `wait_until_ready` for asyncio and trio.

        .. versionadded:: 0.1
        """
        ready: bool = await in_thread(self.wait_until_ready, timeout)
        return ready

    @property
    def definitions(self) -> tuple[Mapping[str, Any], ...] | None:
        """
        The definitions as they came, one object per flag; None without any.

        .. versionadded:: 0.1
        """
        loaded = None if self._feed is None else self._feed.loaded
        return None if loaded is None else loaded.compiled.definitions.source

    @property
    def definitions_age(self) -> float | None:
        """
        Seconds since the provider last stood by the definitions; None without any.

        .. versionadded:: 0.1
        """
        return None if self._feed is None else self._feed.age

    @property
    def trouble(self) -> str:
        """
        Why the last look for definitions failed, as in ``HTTP 503``; empty when it did not.

        .. versionadded:: 0.1
        """
        return "" if self._feed is None else self._feed.trouble

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """
        Have *listener* told when definitions change, cannot be refreshed, or can be again.

        It is called on the thread that loads them; what it raises is logged and contained.

        Returns:
            A function that ends it.

        .. versionadded:: 0.1
        """
        return (lambda: None) if self._feed is None else self._feed.listeners.add(listener)

    def runtime_of(self, key: str) -> str:
        """
        Where a flag is meant to be read: ``all``, ``client`` or ``server``.

        ``all`` too for a flag without a definition here.

        .. versionadded:: 0.1
        """
        loaded = None if self._feed is None else self._feed.loaded
        flag = None if loaded is None else loaded.compiled.definitions.flags.get(checked_key(key))
        return EVERYWHERE if flag is None else _runtime(flag)

    def keys_for(self, runtime: str) -> list[str]:
        """
        Keys of the flags that are meant to be read by *runtime* (``client`` or ``server``).

        .. versionadded:: 0.1
        """
        loaded = None if self._feed is None else self._feed.loaded
        flags = {} if loaded is None else loaded.compiled.definitions.flags
        wanted = {runtime, EVERYWHERE}
        return [key for key, flag in flags.items() if _runtime(flag) in wanted]

    def payload_of(self, key: str, value: bool | str) -> Any:
        """
        What the definition of a flag attaches to *value*, decoded; None: nothing.

        .. versionadded:: 0.1
        """
        loaded = None if self._feed is None else self._feed.loaded
        if loaded is None:
            return None
        return decoded(loaded.compiled.payload_source(checked_key(key), value))

    def _check_open(self) -> None:
        if not _PAGE[0]:
            _fork.forked()
        if self._closed:
            raise ClosedError


def _runtime(flag: Flag | Malformed) -> str:
    found = flag.evaluation_runtime
    return found if found in RUNTIMES else EVERYWHERE
