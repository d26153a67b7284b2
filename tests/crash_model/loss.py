"""What a power loss takes: a few ways to choose, from nothing kept to anything mixed."""

from __future__ import annotations

import random

#: How one file or directory fares.
_FATES = ("lost", "kept", "moment", "mixed")
#: How everything fares: each a way that some file system is known for, then all mixed.
MANNERS = ("lost", "kept", "names", "contents", "moment", "files", "mixed")
SECTORS = (512, 4096)
_NEVER, _ALWAYS = -1, 1 << 60


class Chance:
    """
    A power loss, the same for the same arguments.

    Args:
        manner: ``"lost"`` everything since the last fsync; ``"kept"`` nothing is; ``"names"`` what
            happened to directories is kept and to files lost; ``"contents"`` the other way round;
            ``"moment"`` everything as it was at one moment; ``"files"`` every file and
            directory at a moment of its own; ``"mixed"`` each in any way there is.
        seed: Of what is left to chance.
        now: The time of the crash, in changes.
    """

    def __init__(self, manner: str, seed: int, now: int) -> None:
        self._manner = manner
        self._random = random.Random(f"{manner} {seed}")
        self._now = now
        self._fates: dict[int, str] = {}
        self._moments: dict[tuple[int, int], int] = {}
        self._moment = self._random.randint(0, now)

    def moment(self, node: int, place: int, times: list[int]) -> int:
        """Up to when the bytes at *place* of a file reached the disk."""
        fate = self._fate(node, folder=False)
        if fate != "mixed":
            return self._whole(fate, node)
        key = (node, place)
        if key not in self._moments:
            pick = self._random.choice((_NEVER, _ALWAYS, None))
            self._moments[key] = self._random.choice(times) if pick is None else pick
        return self._moments[key]

    def size(self, node: int, sizes: list[int]) -> int:
        """Which of the lengths a file had since its last fsync it has."""
        fate = self._fate(node, folder=False)
        if fate == "lost":
            return sizes[0]
        return sizes[-1] if fate == "kept" else self._random.choice(sizes)

    def kept(self, node: int, time: int) -> bool:
        """Whether the change of a directory at *time* reached the disk."""
        fate = self._fate(node, folder=True)
        if fate == "mixed":
            return self._random.random() < 0.5
        return time <= self._whole(fate, node)

    def _fate(self, node: int, *, folder: bool) -> str:
        manner = self._manner
        if manner in {"names", "contents"}:
            return "kept" if folder == (manner == "names") else "lost"
        if manner == "files":
            manner = "own"
        if manner != "mixed":
            return manner
        if node not in self._fates:
            self._fates[node] = self._random.choice(_FATES)
        return self._fates[node]

    def _whole(self, fate: str, node: int) -> int:
        if fate == "own":
            return self._moments.setdefault((node, -1), self._random.randint(0, self._now))
        return {"lost": _NEVER, "kept": _ALWAYS}.get(fate, self._moment)
