"""
How much one source may send: a token bucket for each, shared by all workers.

A bucket is one number, the moment at which it would be full again if nothing more came (the
generic cell rate algorithm): no timer fills it, and a worker that dies leaves it right.
"""

from __future__ import annotations

import math
import time
import zlib
from typing import TYPE_CHECKING

from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.collector.http.board import Numbers

#: Seconds' worth of events that may come at once. A batch bigger than that passes, too: it is
#: paid for afterwards.
BURST_S = 10.0


class Rates:
    """
    The buckets.

    Args:
        buckets: A number per bucket, shared by all workers.
        per_second: Events a source may send; 0 sets no bound.
        clock: Seconds, the same in all processes.
    """

    def __init__(
        self,
        buckets: Numbers,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._buckets = buckets
        self._per_second = per_second
        self._clock = clock

    def charge(self, source: str, events: int) -> None:
        """
        Take *events* out of a source's bucket.

        Raises:
            Refusal: It is empty; says when it no longer is. Nothing was taken.
        """
        if not self._per_second:
            return
        place = zlib.crc32(source.encode()) % len(self._buckets)
        now = self._clock()
        full_at = max(self._buckets[place], now)
        late = full_at - now - BURST_S
        if late > 0:
            raise Refusal(Reason.RATE, "this key sends too much", max(1, math.ceil(late)))
        self._buckets[place] = full_at + events / self._per_second
