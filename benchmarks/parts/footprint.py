"""What a distribution brings with it, as it is installed here."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple


class Footprint(NamedTuple):
    """On the disk."""

    distributions: int
    mib: float


def installed(name: str) -> Footprint:
    """*name* and everything it requires, as far as it is here; extras are not."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        key = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if key in found:
            continue
        try:
            found[key] = distribution(key)
        except PackageNotFoundError:
            continue  # its marker says another platform or an older Python
        waiting += _required(found[key])
    size = sum(_bytes(name, one) for name, one in found.items())
    return Footprint(len(found), size / 2**20)


def _required(one: Distribution) -> list[str]:
    lines = (line.partition(";") for line in one.requires or [])
    names = [re.match(r"[\w.-]+", line) for line, _, marker in lines if "extra" not in marker]
    return [name[0] for name in names if name]


def _bytes(name: str, one: Distribution) -> int:
    """Of its files; an editable one is counted where it is."""
    paths = [Path(str(one.locate_file(path))) for path in one.files or []]
    if not any(path.suffix == ".py" for path in paths) and (spec := find_spec(name)):
        places = spec.submodule_search_locations or []
        paths = [path for place in places for path in Path(place).rglob("*")]
    return sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc")
