"""
A program that has imported everything and forks the processes that die.

Surveys all lives, says so, and then answers each order it reads with an outcome: a line of JSON
each. It has no thread and no client of its own, so what it forks is as good as newly started.
"""

from __future__ import annotations

import json
import resource
import sys
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any

from deaths.chain import Chain, Order
from deaths.forked import freeze
from deaths.survey import Points, survey


def _load() -> None:
    for name in (
        "email.utils",
        "encodings.idna",
        "logging",
        "penstock.dialects.rudderstack",
        "penstock.dialects.segment",
        "penstock.transport.compression",
        "penstock.transport.http",
        "urllib3",
    ):
        import_module(name)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(port: int) -> None:
    """Serve requests until the input ends."""
    _load()
    freeze()
    points = survey(port)
    _say(len(points))
    for line in sys.stdin:
        _say(_chain(Order(*json.loads(line)), points, port))


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _chain(order: Order, points: Points, port: int) -> dict[str, Any]:
    with TemporaryDirectory(prefix="deaths-") as directory:
        out = Chain(order, points, port, directory).run()
    return {**vars(out), "places": sorted(out.places)}


if __name__ == "__main__":
    main(int(sys.argv[1]))
