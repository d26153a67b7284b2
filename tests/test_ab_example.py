"""The A/B test of the examples, run as its README says."""

from __future__ import annotations

import csv
import gzip
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from cli_host import CliHost
from example import EXAMPLES, wait_for_end_of
from penstock.flags import Person, compile_flags, parse_definitions
from penstock.flags.files import read_flag_file

if TYPE_CHECKING:
    from pathlib import Path


def expected() -> dict[str, tuple[str, ...]]:
    """Customers per variant and those who came back: from the file and the flag alone."""
    flags = compile_flags(parse_definitions(read_flag_file(EXAMPLES / "ab_test" / "flags.yaml")))
    days: dict[str, list[date]] = {}
    with gzip.open(EXAMPLES / "data" / "cdnow_orders.csv.gz", "rt") as text:
        for row in csv.DictReader(text):
            days.setdefault(row["customer_id"], []).append(date.fromisoformat(row["ordered_at"]))
    people: Counter[str] = Counter()
    back: Counter[str] = Counter()
    for customer, ordered in days.items():
        variant = flags.evaluate("reminder", Person(customer, None, {"first_items": 1})).variant
        assert variant
        people[variant] += 1
        back[variant] += any(day <= ordered[0] + timedelta(days=90) for day in ordered[1:])
    return {name: (f"{people[name]:,}", f"{back[name]:,}") for name in people}


def run(place: Path, *options: str) -> str:
    """The example, to its end."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "ab_test" / "run.py"), *options, str(place)],
        env={**CliHost(place.parent).environment(), "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for_end_of(str(place))
    return done.stdout


def rows(told: str) -> dict[str, tuple[str, ...]]:
    found = re.findall(r"^(control|test|holdout-1) +([\d,]+) +([\d,]+) ", told, re.MULTILINE)
    return {name: (people, back) for name, people, back in found}


def verdict(told: str, what: str) -> tuple[float, float]:
    """The interval."""
    (found,) = re.findall(rf"^  {what} .*\((.+) to (.+)\)", told, re.MULTILINE)
    return float(found[0]), float(found[1])


@pytest.mark.slow
def test_real_customers_show_no_difference_where_there_was_none(tmp_path: Path) -> None:
    """Each is in the variant that the flag's rule gives them, and the interval has zero in it."""
    told = run(tmp_path / "ab")
    assert rows(told) == expected()
    low, high = verdict(told, "came back")
    assert low < 0 < high
    assert "no difference" in told
    readme = (EXAMPLES / "ab_test" / "README.md").read_text("utf-8")
    table = told[told.index("variant ") :].strip()
    assert table in readme, table


@pytest.mark.slow
def test_a_made_up_effect_is_found(tmp_path: Path) -> None:
    """Five in a hundred of those who had not come back: the interval is above zero."""
    told = run(tmp_path / "ab", "--effect", "0.05")
    low, high = verdict(told, "came back")
    assert 0 < low < high
    assert rows(told)["control"] == expected()["control"]
