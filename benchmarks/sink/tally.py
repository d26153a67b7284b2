"""What a sink took, counted when somebody asks."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arena import Body

#: The number of an event (`events.py`); each SDK's spacing and order.
_NUMBER = re.compile(rb'"(?:order_id|n)": ?(?:"ord-)?(\d+)')
#: What a vendor tells one event from another by.
_ID = re.compile(rb'"(?:messageId|uuid)": ?"([^"]+)"')
#: Numbers from here on are warm-up (`events.WARM_UP`).
_WARM_UP = 90_000_000


class Tally:
    """Bodies and moments; appending to a list needs no lock."""

    def __init__(self) -> None:
        self._taken: list[Body] = []
        self._bytes = 0
        #: ``(monotonic time, processor seconds of this process so far)`` of every answer.
        self._moments: list[tuple[float, float]] = []
        #: When requests came, and when one was refused.
        self._arrivals: list[float] = []
        self._refusals: list[float] = []

    def came(self, _size: int) -> None:
        """A request was read."""
        self._arrivals.append(time.monotonic())

    def answered(self, body: Body, size: int, *, taken: bool) -> None:
        """A request of *size* bytes on the wire was answered."""
        self._moments.append((time.monotonic(), time.process_time()))
        if taken:
            self._taken.append(body)
            self._bytes += size
        else:
            self._refusals.append(self._moments[-1][0])

    def report(self) -> bytes:
        """As JSON: the counts, and the moments for the one who knows when the measuring began."""
        numbers: Counter[int] = Counter()
        ids: set[bytes] = set()
        events = 0
        for body in list(self._taken):
            text = _inflated(body.text())
            found = [int(number) for number in _NUMBER.findall(text)]
            events += len(found)
            numbers.update(number for number in found if number < _WARM_UP)
            ids.update(_ID.findall(text))
        report = {
            "events": events,
            "warm_up": events - numbers.total(),
            "distinct": len(numbers),
            "repeated": numbers.total() - len(numbers),
            "ids": len(ids),
            "requests": len(self._arrivals),
            "bytes": self._bytes,
            "moments": self._moments,
            "after_refusal_s": self._after_refusal(),
        }
        return json.dumps(report).encode()

    def _after_refusal(self) -> float | None:
        """Seconds from the last refusal to the next request."""
        if not self._refusals:
            return None
        later = [came for came in self._arrivals if came > self._refusals[-1]]
        return later[0] - self._refusals[-1] if later else None


def _inflated(body: bytes) -> bytes:
    return zlib.decompress(body, 31) if body[:2] == b"\x1f\x8b" else body
