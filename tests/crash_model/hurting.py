"""Damage to the files of a journal that no crash explains: flipped bits, lost and foreign bytes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from crash_model.image import Damage

if TYPE_CHECKING:
    from crash_model.image import Image

KINDS = ("bit", "bit", "bit", "zeros", "noise", "cut")
_SECTOR = 512


def damages(image: Image, seed: int, count: int) -> list[Damage]:
    """*count* damages to files of *image*, the same for the same arguments."""
    chance = random.Random(seed)
    paths = [path for path, content in image.items() if content]
    return (
        [_damage(chance, path, image) for path in chance.choices(paths, k=count)] if paths else []
    )


def _damage(chance: random.Random, path: str, image: Image) -> Damage:
    content = image[path]
    assert content
    used = len(content.rstrip(b"\0")) or 1
    start = chance.choice((chance.randrange(used), chance.randrange(min(used, 64))))
    match chance.choice(KINDS):
        case "bit":
            return Damage(path, start, bytes([content[start] ^ 1 << chance.randrange(8)]))
        case "cut":
            return Damage(path, start, None)
        case kind:
            start -= start % _SECTOR
            size = min(_SECTOR, len(content) - start)
            return Damage(path, start, bytes(size) if kind == "zeros" else chance.randbytes(size))
