"""The benchmarks run and say what they found; how fast anything is, is not this test's business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "benchmarks" / "run.py"
PARTS = ("capture", "throughput", "memory", "imports", "interference", "leaving", "loss")


@pytest.mark.parametrize("part", PARTS)
def test_each_part_runs_without_the_peers_and_writes_its_page(part: str, tmp_path: Path) -> None:
    """Tiny sizes: a table with Penstock in it, bars with a verdict, nothing lost."""
    page = tmp_path / "benchmarks.md"
    command = [sys.executable, str(RUN), "--tiny", "--repeats", "1", "--sdks", "null,penstock"]
    finished = subprocess.run(
        [*command, "--parts", part, "--output", str(page)],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert finished.returncode == 0, finished.stderr
    text = page.read_text()
    assert text == finished.stdout
    assert "penstock" in text.partition("## The bars")[2]
    assert "**missed**" in text or "| met |" in text
    lost = [line for line in text.splitlines() if line.startswith("| lost")]
    assert all(line.endswith("met |") for line in lost)


def test_a_missed_bar_says_so() -> None:
    """The verdict is computed from the figure, not written by hand."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from parts import at_most, times_better; from report import verdict;"
        "print(verdict([*at_most('a', 3, 2.9, 'x'), *at_most('b', 3, 3.1, 'x'),"
        " *times_better('c', 15, 3.0, [42.0, 60.0])]))"
    )
    command = [sys.executable, "-c", program, str(RUN.parent)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "1 of 3 met" in text
    rows = [line.split("|")[1:] for line in text.splitlines()[4:] if line]
    assert [(row[0].strip(), row[3].strip()) for row in rows] == [
        ("a", "met"),
        ("b", "**missed**"),
        ("c", "**missed**"),
    ]
