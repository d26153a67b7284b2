"""Classes whose code raises, lies, dawdles, recurses, or changes what holds it."""

from __future__ import annotations

import asyncio
import collections
import time
from typing import TYPE_CHECKING, Any

from hostile.made import Made
from strategies import BASES, CLASS_MARKS, METHODS, PROPERTIES, GenerousMeta, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Behaviour = Callable[..., Any]

#: Contained, all of them: they say nothing about the program.
_RAISED = (
    ValueError,
    KeyError,
    AttributeError,
    RuntimeError,
    RecursionError,
    StopIteration,
    StopAsyncIteration,
    MemoryError,
    OSError,
    UnicodeDecodeError,
    GeneratorExit,
    asyncio.CancelledError,
    Trouble,
)
_ENDINGS = (KeyboardInterrupt, SystemExit)
_LIES: tuple[Any, ...] = (
    None,
    -1,
    2**70,
    "text",
    b"x",
    1.5,
    (),
    [1],
    {"a": 1},
    object,
    NotImplemented,
)
#: Seconds: the least a clock can tell, in methods that may be called often.
_DAWDLE_S = 0.0002
#: What slows nobody down but itself, and what is asked once a value.
_ASKED_ONCE = ("__str__", "__repr__", "__len__", "__fspath__", "tolist", "model_dump")


def _raises(error: type[BaseException]) -> Behaviour:
    def method(*_: object, **__: object) -> Any:
        if error is UnicodeDecodeError:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "hostile")
        raise error("hostile")

    return method


def _lies(answer: object) -> Behaviour:
    return lambda *_, **__: answer


def _recurses(*arguments: object, **__: object) -> Any:
    return str(arguments[0]) + repr(arguments[0]) + _recurses(*arguments)


def _dawdles(*_: object, **__: object) -> str:
    time.sleep(_DAWDLE_S)  # slow code of the host is the subject
    return "late"


def _changes(itself: object, *_: object, **__: object) -> Any:
    """Grow whatever holds the object, as far as it can be found by its own attributes."""
    holder = object.__getattribute__(itself, "__dict__").get("holder")
    if isinstance(holder, list):
        holder.append(0)
    elif isinstance(holder, dict):
        holder[len(holder)] = 0
    return iter((1,))


def _behaviour(random: Random, *, ending: bool) -> Behaviour:
    if ending:
        return _raises(random.choice(_ENDINGS))
    draw = random.random()
    if draw < 0.5:
        return _raises(random.choice(_RAISED))
    if draw < 0.8:
        return _lies(random.choice(_LIES))
    return _recurses if draw < 0.85 else _changes


class Kind:
    """
    One hostile class, and how to make instances.

    Args:
        random: Decides what it is.
        ending: Whether it raises what ends a program, instead of anything else.
    """

    def __init__(self, random: Random, *, ending: bool = False) -> None:
        base, self._arguments = random.choice(BASES)
        methods = random.sample(METHODS, random.randrange(1, 8))
        body = {name: _behaviour(random, ending=ending) for name in methods}
        if random.random() < 0.4:
            name = random.choice(PROPERTIES)
            body[name] = property(_behaviour(random, ending=ending))
        if random.random() < 0.3:
            body[random.choice(CLASS_MARKS)] = random.choice(_LIES)
        self.slow = random.random() < 0.02
        if self.slow:
            body |= dict.fromkeys(_ASKED_ONCE, _dawdles)
        self.stops = ending
        meta = GenerousMeta if base is object and random.random() < 0.3 else type(base)
        self._class: type = meta("Hostile", (base,), body)

    def make(self, holder: object = None) -> Made:
        """An instance; its constructor may be as hostile as the rest."""
        try:
            value = self._class(*self._arguments)
        except BaseException:  # noqa: BLE001 - it was, see above
            value = self._class.__new__(self._class, *self._arguments)
        if holder is not None:
            _tell(value, holder)
        return Made(value, None, stops=self.stops, slow=self.slow)


def _tell(value: object, holder: object) -> None:
    try:
        object.__getattribute__(value, "__dict__")["holder"] = holder
    except BaseException:  # noqa: BLE001 - no attributes, or hostile ones
        return


class Restless(collections.UserList[Any]):
    """A list that is another one whenever it is looked at."""

    def __init__(self, random: Random) -> None:
        super().__init__([1, 2, 3])
        self._random = random

    def __iter__(self) -> Any:
        for _ in range(self._random.randrange(5)):
            self.data.append(self._random.random())
            yield self._random.choice(self.data)

    def __len__(self) -> int:
        return self._random.randrange(5)
