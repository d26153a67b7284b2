"""Values of every kind inside each other, as many as one likes, the same for the same seed."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from hostile import containers, scalars
from hostile.classes import Kind, Restless
from hostile.made import Made
from strategies import HostileMeta

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Values made before the hostile classes are replaced by new ones; making a class is dear.
_RENEWED_AFTER = 2_000
_KINDS = 60
#: Containers inside each other at most, but for those that are deep on purpose.
_DEPTH = 4


class Source:
    """
    An endless supply of values.

    Args:
        seed: Equal seeds give equal values.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._made = 0
        self._kinds: list[Kind] = []

    def __iter__(self) -> Iterator[Made]:
        while True:
            yield self.next()

    def next(self) -> Made:
        """One more value."""
        if self._made % _RENEWED_AFTER == 0:
            self._kinds = [Kind(self.random) for _ in range(_KINDS)]
            self._kinds += [Kind(self.random, ending=True) for _ in range(_KINDS // 20)]
        self._made += 1
        if self.random.random() < 0.0015:
            return self.random.choice(containers.ENDS)(self.random, self._leaf)
        return self._value(self.random.choice((0, 0, 1, 2, _DEPTH)))

    def hostile(self) -> Made:
        """An instance of a hostile class."""
        return self.random.choice(self._kinds).make()

    def _value(self, depth: int) -> Made:
        if depth == 0:
            return self._leaf()
        maker = self.random.choice(containers.MAKERS)
        return maker(self.random, lambda: self._value(self.random.randrange(depth)))

    def _leaf(self) -> Made:
        draw = self.random.random()
        if draw < 0.85:
            return self.random.choice(scalars.MAKERS)(self.random)
        if draw < 0.97:
            return self._entangled()
        return Made(self._restless(draw), None)

    def _entangled(self) -> Made:
        """A hostile object, some of them inside a container which they change when read."""
        kind = self.random.choice(self._kinds)
        if self.random.random() < 0.8:
            return kind.make()
        holder: list[object] | dict[object, object] = self.random.choice(([], {}))
        made = kind.make(holder)
        if isinstance(holder, list):
            holder += [1, made.value, 2]
        else:
            holder |= {"a": 1, "b": made.value, "c": 2}
        return made._replace(value=holder)

    def _restless(self, draw: float) -> object:
        if draw < 0.98:
            return Restless(Random(self.random.random()))
        return object.__new__(HostileMeta("Hostile", (), {"__str__": None, "__repr__": None}))
