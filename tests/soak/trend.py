"""Whether something grows: a slope that single outliers do not move."""

from __future__ import annotations

from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Part of the samples that is left out: caches and pools fill at first.
WARM_UP = 1 / 3


def slope(at: Sequence[float], values: Sequence[float]) -> float:
    """
    Growth per unit of *at* after the warm-up, by Theil and Sen: the median over all pairs.

    Raises:
        ValueError: Fewer than two samples are left.
    """
    skipped = int(len(at) * WARM_UP)
    samples = list(zip(at[skipped:], values[skipped:], strict=True))
    if len(samples) < 2:
        raise ValueError(f"{len(samples)} samples tell nothing")
    return median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(samples, 2))
