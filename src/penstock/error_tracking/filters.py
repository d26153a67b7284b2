"""Which exceptions are none: how programs end, and what the settings say to ignore."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from penstock.error_tracking.text import Failed, class_module, class_name, contained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from penstock.error_tracking.types import Hint

#: How a program, a generator, a task or a greenlet ends; by name, since most of them may never be
#: imported.
CONTROL_FLOW: Final = frozenset(
    {
        "KeyboardInterrupt",
        "SystemExit",
        "GeneratorExit",
        "asyncio.exceptions.CancelledError",
        "trio.Cancelled",
        "greenlet.GreenletExit",
    }
)


class Filters:
    """
    Says which exceptions are not captured.

    Args:
        ignored: Classes, with their subclasses, or names, bare or dotted.
        sample_rate: Share that is captured, or a function from the hint to it.
    """

    def __init__(
        self,
        ignored: Sequence[type[BaseException] | str],
        sample_rate: float | Callable[[Hint], float],
    ) -> None:
        self._classes = tuple(one for one in ignored if isinstance(one, type))
        self._names = frozenset(one for one in ignored if isinstance(one, str))
        self._sample_rate = sample_rate

    def ignores(self, kind: type[BaseException]) -> bool:
        """Whether exceptions of this class are control flow, or ignored."""
        if self._classes and issubclass(kind, self._classes):
            return True
        names = set(_names_of(kind))
        return not names.isdisjoint(CONTROL_FLOW) or not names.isdisjoint(self._names)

    def samples(self, hint: Hint) -> bool:
        """Whether this one is among those that are captured; a function that raises says yes."""
        rate: Any = self._sample_rate
        if callable(rate):
            rate = contained(rate, hint)
            if isinstance(rate, Failed) or not isinstance(rate, int | float):
                return True
        return bool(rate >= 1 or random.random() < rate)  # noqa: S311 - a sample, not a secret


def _names_of(kind: type) -> Iterable[str]:
    """Bare and dotted names of a class and of all its bases."""
    for base in type.__dict__["__mro__"].__get__(kind):
        name, module = class_name(base), class_module(base)
        yield name
        yield f"{module}.{name}" if module else name
