"""The benchmarks run and say what they found; how fast anything is, is not this test's business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RUN = BENCHMARKS / "run.py"
PARTS = (
    "capture", "throughput", "memory", "imports", "interference", "leaving", "loss", "errors",
    "collector_intake", "collector_store", "flags", "web",
)  # fmt: skip

#: Those that count what arrives.
DELIVERING = {"throughput", "memory", "leaving", "loss"}


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`run.py` at its tiniest."""
    command = [sys.executable, str(RUN), "--tiny", "--repeats", "1", "--sdks", "null,penstock"]
    return subprocess.run(
        [*command, *arguments], check=False, capture_output=True, text=True, timeout=100
    )


def printed(program: str) -> str:
    """What a program prints that can import the benchmarks' modules."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {program}"]
    finished = subprocess.run(
        [*command, str(BENCHMARKS)], check=False, capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("part", PARTS)
def test_each_part_runs_without_the_peers_and_writes_its_page(part: str, tmp_path: Path) -> None:
    """Tiny sizes: a table with Penstock in it, bars with a verdict, nothing lost."""
    page = tmp_path / "benchmarks.md"
    finished = started("--parts", part, "--output", str(page))
    assert finished.returncode == 0, finished.stderr
    text = page.read_text()
    assert text == finished.stdout
    assert "penstock" in text.partition("## The bars")[2]
    assert "Not measured" not in text
    assert "**missed**" in text or "| met |" in text
    lost = [line for line in text.splitlines() if line.startswith("| lost")]
    assert lost or part not in DELIVERING
    assert all(line.endswith("met |") for line in lost)


def test_only_a_complete_run_writes_the_page_of_the_manual() -> None:
    """A quick look at one part must not replace the tables of all of them."""
    program = (
        "from argparse import Namespace; import parts, run, sdks;"
        "names = list(sdks.NAMES); everything = ','.join(parts.NAMES);"
        "ask = lambda chosen, tiny, names: run._usual_output("
        "Namespace(parts=chosen, tiny=tiny), names);"
        "print(ask(everything, False, names).endswith('docs/benchmarks.md'),"
        " ask('capture', False, names), ask(everything, True, names),"
        " ask(everything, False, names[:-1]))"
    )
    assert printed(program).split() == ["True", "-", "-", "-"]


def test_a_missed_bar_says_so() -> None:
    """The verdict is computed from the figure, not written by hand."""
    text = printed(
        "from parts import at_most, times_better; from report import verdict;"
        "print(verdict([*at_most('a', 3, 2.9, 'x'), *at_most('b', 3, 3.1, 'x'),"
        " *times_better('c', 15, 3.0, [42.0, 60.0])]))"
    )
    assert "1 of 3 met" in text
    rows = [line.split("|")[1:] for line in text.splitlines()[4:] if line]
    assert [(row[0].strip(), row[3].strip()) for row in rows] == [
        ("a", "met"),
        ("b", "**missed**"),
        ("c", "**missed**"),
    ]


def test_what_could_not_be_measured_is_named_on_the_page() -> None:
    """A cell that fails costs its own figures, not the run and not the reader's trust."""
    text = printed(
        "from lab import Lab; from parts import Cell, Scale; from run import Run; import report\n"
        "run = Run(['capture'], [], 1, Scale(True))\n"
        "with Lab() as lab:\n"
        "    run._one(lab, Cell('capture', 'null', 'odd', {'count': 1, 'what': 2}), 0)\n"
        "print(report.page('', run.results, run.failures))"
    )
    assert "## Not measured" in text
    assert "- capture null odd: `TypeError" in text


def test_lost_events_are_told_by_their_numbers() -> None:
    """Ten sent: one came twice, two never, warm-up is left out; requests say nothing."""
    text = printed(
        "import urllib.request, zlib; from parts.premade import request; from sinks import *\n"
        "sink = SinkProcess({'first': [{'status': 500}]}, 1)\n"
        "def send(body, squeezed=False):\n"
        "    body = body.partition(b'\\r\\n\\r\\n')[2]\n"
        "    body = zlib.compress(body, wbits=31) if squeezed else body\n"
        "    try: urllib.request.urlopen(sink.url, body).read()\n"
        "    except OSError as error: print(error)\n"
        "send(request(8, 2)); send(request(0, 5)); send(request(4, 4), True)\n"
        "send(request(90_000_000, 3))\n"
        "found = sink.report(); sink.stop()\n"
        "print(*(found[k] for k in ('distinct', 'repeated', 'warm_up', 'events', 'requests')))"
    )
    assert text.splitlines() == ["HTTP Error 500: X", "8 1 3 12 4"]


def test_a_sink_takes_requests_in_pieces_and_one_after_the_other() -> None:
    """Where the kernel cuts a request, and how many come at once, is nothing to it."""
    text = printed(
        "import socket; from parts.premade import request; from sinks import *\n"
        "sink = SinkProcess({}, 1)\n"
        "sock = socket.create_connection(('127.0.0.1', int(sink.url.rpartition(':')[2])))\n"
        "whole = request(0, 20); cuts = [0, 1, 20, 77, 78, 200, len(whole) - 1, len(whole)]\n"
        "for start, end in zip(cuts, cuts[1:]): sock.sendall(whole[start:end])\n"
        "sock.sendall(request(20, 5) + request(25, 5))\n"
        "answers = b''\n"
        "while answers.count(b'HTTP/1.1 200') < 3: answers += sock.recv(4096)\n"
        "found = sink.report(); sink.stop(); print(found['distinct'], found['requests'])"
    )
    assert text.split() == ["30", "3"]


@pytest.mark.parametrize("path", ["all", "capture", "delivery"])
def test_the_hot_paths_run_alone_for_a_profiler(path: str) -> None:
    """Events go through, and what every thread cost is printed."""
    command = [sys.executable, str(BENCHMARKS / "hot.py"), path, "--events", "2000"]
    finished = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    assert "events/s" in finished.stdout
    assert "per million  MainThread" in finished.stdout
    if path != "capture":
        assert "2,000 delivered" in finished.stdout


def test_pure_is_penstock_without_its_native_part() -> None:
    """The page states what the native part brings: the other row must not have it."""
    assert (
        printed("import sdks.pure; from penstock.native import NATIVE; print(NATIVE)") == "None\n"
    )
