"""
A server's life at a clock that runs fast: bursts, idleness, outages, workers that die.

Arguments: seconds of the clock, how much faster it runs, probes.
"""

from __future__ import annotations

import os
import sys
import time

from common import open_client, report, tell, track
from probe import probe

#: Seconds of the clock between two bursts, and events of each.
BURST_EVERY_S, BURST = 20.0, 100
#: Every so many bursts a child tracks some events and dies with them undelivered.
DEATH_EVERY, LEFT_BEHIND = 30, 5


class FastClock:
    """The time, *speed* times as fast."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began = time.monotonic()
        self._since = time.time()

    def monotonic(self) -> float:
        """Seconds of this clock."""
        return (time.monotonic() - self._began) * self._speed

    def time(self) -> float:
        """Seconds since 1970, as this clock has it."""
        return self._since + self.monotonic()


def die_with(count: int) -> None:
    """In a child: leave a lane for others to adopt."""
    pid = os.fork()
    if pid == 0:
        track(client, count)
        os._exit(0)
    os.waitpid(pid, 0)


seconds, speed, probes = (float(argument) for argument in sys.argv[1:])
clock = FastClock(speed)
client = open_client(clock=clock, interval=1.0)
bursts = probed = tracked = 0
while (now := clock.monotonic()) < seconds:
    if now >= bursts * BURST_EVERY_S:
        bursts += 1
        track(client, BURST)
        tracked += BURST
        if bursts % DEATH_EVERY == 0:
            die_with(LEFT_BEHIND)
            tracked += LEFT_BEHIND
    if now > (probed + 1) * seconds / (probes + 1):
        probe(now)
        probed += 1
    time.sleep(0.001)  # a moment of the fast clock
client.flush(timeout=60 * speed)
tell("tracked", tracked)
report(client)
client.close()
