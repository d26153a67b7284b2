"""
A bound on how many errors become events: by kind, and for all together.

Token buckets, refilled as time goes by. A kind is the class and the place in the application's
code, so that a loop that fails all the time does not hide another error.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

#: Errors of one kind at once, and per second from then on.
SIZE: Final = 20
PER_S: Final = 1.0
#: The same for all kinds together.
SIZE_OF_ALL: Final = 300
PER_S_OF_ALL: Final = 5.0
#: Kinds that are told apart; the one not seen for longest is forgotten.
KINDS: Final = 1000


@dataclass
class _Bucket:
    size: int
    per_s: float
    tokens: float
    at: float
    #: Errors refused since one was let through.
    suppressed: int = 0

    def take(self, now: float) -> bool:
        """Whether one more may pass."""
        self.tokens = min(self.size, self.tokens + max(0.0, now - self.at) * self.per_s)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Limiter:
    """
    Lets errors through, or not.

    Args:
        monotonic: The time in seconds.

    Its lock may be taken again by the thread that has it: a finaliser that logs can run anywhere.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = RLock()
        self._all = _Bucket(SIZE_OF_ALL, PER_S_OF_ALL, SIZE_OF_ALL, monotonic())
        self._kinds: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def admit(self, kind: Hashable) -> int | None:
        """
        Ask for one error of this *kind*.

        Returns:
            How many of the kind were refused since the last one; None: this one is, too.
        """
        now = self._monotonic()
        with self._lock:
            bucket = self._kinds.get(kind)
            if bucket is None:
                bucket = self._kinds[kind] = _Bucket(SIZE, PER_S, SIZE, now)
                if len(self._kinds) > KINDS:
                    self._kinds.popitem(last=False)
            else:
                self._kinds.move_to_end(kind)
            if not bucket.take(now) or not self._all.take(now):
                bucket.suppressed += 1
                return None
            suppressed, bucket.suppressed = bucket.suppressed, 0
            return suppressed
