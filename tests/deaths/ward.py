"""Where the processes die: a counter, two zygotes, and what came of all chains of a case."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from deaths.chain import Order, Outcome
from penstock.native import ENV_NATIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One for each of the two cores the proof is made for: with the native part, and without it.
ZYGOTES: tuple[dict[str, str], ...] = ({}, {ENV_NATIVE: "0"})
#: Deaths over one journal.
CHAIN = 20
_PATHS = (Path(__file__).parents[1], Path(import_module("penstock").__path__[0]).parent)
_ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(map(str, _PATHS)),
    "PENSTOCK_NETWORK": "loopback",
}


class Program:
    """A module of this package as a process, talked to line by line."""

    def __init__(self, module: str, *arguments: object, said: Path, **environment: str) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
        with said.open("ab") as errors:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", f"deaths.{module}", *map(str, arguments)],
                env=clean | _ENVIRONMENT | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._said = said

    def ask(self, request: Any) -> Any:
        """Send a request and wait for its answer."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps(request) + "\n")
        self._popen.stdin.flush()
        return self.line()

    def line(self) -> Any:
        """The next answer."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        assert line, f"a program ended: {self._said.read_text()[-4000:]}"
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._popen.kill()
        self._popen.communicate()


class Ward:
    """
    Runs chains, two at a time.

    Args:
        directory: For what the programs say.
    """

    def __init__(self, directory: Path) -> None:
        self.said = directory / "said.txt"
        self._counter = Program("counter", said=self.said)
        port = self._counter.line()
        self._zygotes = [Program("zygote", port, said=self.said, **env) for env in ZYGOTES]
        #: Places at which a life can die, in each zygote.
        self.points = [zygote.line() for zygote in self._zygotes]

    def until(self, case: str, deaths: int, **order: Any) -> Outcome:
        """
        Run chains until *deaths* processes died where they were to die.

        Args:
            case: Names the seeds.
            deaths: How many.
            order: See `Order`.
        """
        total, lock = Outcome(), threading.Lock()
        seeds: Iterator[int] = iter(range(crc32(case.encode()), 1 << 40))

        def work(zygote: Program) -> None:
            while total.deaths.total() < deaths and not total.wrong:
                with lock:
                    seed = next(seeds)
                left = deaths - total.deaths.total()
                size = min(CHAIN, left // len(ZYGOTES) + 2)
                found = zygote.ask(Order(seed, size, **order))
                with lock:
                    _add(total, found, seed)

        with ThreadPoolExecutor(len(ZYGOTES)) as pool:
            for done in [pool.submit(work, zygote) for zygote in self._zygotes]:
                done.result()
        return total

    def close(self) -> None:
        """End all programs."""
        for program in (*self._zygotes, self._counter):
            program.close()


def _add(total: Outcome, found: dict[str, Any], seed: int) -> None:
    total.deaths.update(Counter(found["deaths"]))
    total.missed += found["missed"]
    total.places.update(found["places"])
    total.events += found["events"]
    total.lost += found["lost"]
    total.repeated += found["repeated"]
    total.wrong += [f"chain {seed}: {sentence}" for sentence in found["wrong"]]
