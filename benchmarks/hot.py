"""
Only the hot paths of Penstock, again and again, for a profiler.

    python benchmarks/hot.py all                     # capture and delivery at once
    python benchmarks/hot.py capture                 # delivery stands still
    python benchmarks/hot.py delivery --gzip         # a journal filled before; nothing is captured
    py-spy record -o hot.svg -- python benchmarks/hot.py all --events 1000000
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import events
import machine
from sinks import SinkProcess


def main() -> None:
    """Run one path and say what it cost."""
    options = _options()
    if options.fill:
        _capture(options.fill, options)
        os._exit(0)  # the journal keeps them
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        del os.environ[name]  # defaults are measured
    with tempfile.TemporaryDirectory(prefix="penstock-hot-") as journal:
        os.environ["PENSTOCK_JOURNAL"] = journal
        sink = SinkProcess({"hole": options.path != "all"}, options.events)
        try:
            if options.path == "delivery":
                _fill(sink, options)
            if options.pin:
                os.sched_setaffinity(0, machine.client_cores())
            _measure(sink, options)
        finally:
            sink.stop()
    os._exit(0)  # a black hole is not worth the exit timeout


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Hot paths of Penstock for a profiler.")
    parser.add_argument("path", choices=["all", "capture", "delivery"])
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--kind", choices=sorted(events.KINDS), default="full")
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="on all cores")
    parser.add_argument("--fill", help=argparse.SUPPRESS)
    return parser.parse_args()


def _fill(sink: SinkProcess, options: argparse.Namespace) -> None:
    """Another process captures while the sink does not answer, and dies."""
    command = [sys.executable, __file__, "delivery", "--fill", sink.url]
    subprocess.run([*command, "--events", str(options.events), "--kind", options.kind], check=True)
    sink.recover()


def _capture(url: str, options: argparse.Namespace) -> None:
    from sdks import penstock

    client = penstock.open_client(url, gzip=options.gzip)
    build = events.KINDS[options.kind]
    for number in range(options.events):
        client.track(*build(number))
    if options.path == "all":
        client.drain(300)


def _deliver(url: str, options: argparse.Namespace) -> None:
    from sdks import penstock

    client = penstock.open_client(url, gzip=options.gzip)
    client.drain(300)


def _measure(sink: SinkProcess, options: argparse.Namespace) -> None:
    run = _deliver if options.path == "delivery" else _capture
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    run(sink.url, options)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    per_million = 1e6 / options.events
    print(f"{options.events / took:,.0f} events/s")
    print(f"{user * per_million:.2f} s user + {system * per_million:.2f} s system per million")
    for thread, seconds in _threads():
        print(f"  {seconds * per_million:6.2f} s per million  {thread}")
    if options.path != "capture":
        report = sink.report(began, began + took)
        print(f"{report['distinct']:,} delivered; sink busy {report['busy_percent']:.0f} %")


def _threads() -> list[tuple[str, float]]:
    """Processor seconds of the threads that live, dearest first."""
    named = {thread.native_id: thread.name for thread in threading.enumerate()}
    tick = os.sysconf("SC_CLK_TCK")
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            seconds = (int(fields[11]) + int(fields[12])) / tick
            found.append((named.get(int(task.name), "?"), seconds))
    return sorted(found, key=lambda item: -item[1])


if __name__ == "__main__":
    main()
