"""What a load of definitions changed, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock._log import Log
    from penstock.flags.compiled import CompiledFlags


class Change(NamedTuple):
    """
    What a load changed.

    Attributes:
        keys: Keys of flags that came, went or differ.
        state: ``stale``: definitions could not be refreshed for long; ``ready``: they can be
            again; ``cleared``: the provider took them back. Empty when only *keys* changed.

    .. versionadded:: 0.1
    """

    keys: tuple[str, ...] = ()
    state: str = ""


class Listeners:
    """Functions that are told of each `Change`; what they raise is contained."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Change], None]] = []

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Tell *listener* from now on; call what is returned to end that."""
        self._listeners.append(listener)

        def remove() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove

    def tell(self, change: Change, log: Log) -> None:
        """Tell all of them."""
        for listener in tuple(self._listeners):
            try:
                listener(change)
            except Exception as error:  # noqa: BLE001 - the host's code, contained
                log.failed_callback("a listener to flags", error)


def differing(before: CompiledFlags | None, after: CompiledFlags) -> tuple[str, ...]:
    """Keys of flags that came, went or differ, in the order of the definitions."""
    new = after.definitions
    if before is None:
        return tuple(new.flags)
    old = before.definitions
    keys = dict.fromkeys((*new.flags, *old.flags))
    shared = (old.cohorts, old.group_type_mapping, old.property_matching_version)
    if shared != (new.cohorts, new.group_type_mapping, new.property_matching_version):
        return tuple(keys)
    return tuple(key for key in keys if old.flags.get(key) != new.flags.get(key))
