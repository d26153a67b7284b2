"""
Events lost of those sent, on default settings, after the program was started once more.

The second start tracks nothing and flushes: what an SDK kept on disk arrives then. Where the
outcome is a race the repetitions differ: [least-most]. "dup": delivered more than once, always
under the same message id unless "!id" says otherwise. What was lost is told by the numbers of the
events that did not arrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import events
from sdks import load

from parts import Bar, Cell, Results, Scale, Table, at_most
from parts.endings import CASES

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "7. The loss matrix"
#: Seconds a process may take over the time its case needs anyhow.
PATIENCE_S = 25.0


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """One of each case."""
    if sdk == "null":
        return
    for name, case in CASES.items():
        options = {"case": name, "count": scale.of(case.events, min(case.events, 110))}
        if case.lasts_s:
            options["lasts_s"] = scale.of(case.lasts_s, 1)
        outage = float(scale.of(case.outage_s, min(case.outage_s, 1)))
        limit = case.lasts_s + PATIENCE_S
        yield Cell(
            "loss", sdk, name, options, case.sink, outage, "", restart=True, limit_s=limit,
            patient=case.patient,
        )  # fmt: skip


def measure(
    name: str, url: str, case: str, count: int, *, lasts_s: float = 0.0, again: bool = False
) -> dict[str, Any]:
    """Track *count* events and end as *case* says; *again*: deliver what the first run left."""
    sdk = load(name, url)
    if again:
        sdk.drain(15)
        return {}

    def track(number: int) -> None:
        sdk.track(*sdk.shape(events.full(number)))

    return CASES[case].end(sdk, track, count, lasts_s)


def tables(results: Results) -> Iterator[Table]:
    """A row per case, a column per SDK."""
    sdks = results.sdks()
    rows = [
        [f"{name}: {case.about}", *(_cell(results, sdk, name) for sdk in sdks)]
        for name, case in CASES.items()
    ]
    yield Table(["case", *sdks], rows)


def _cell(results: Results, sdk: str, case: str) -> str:
    runs = results.runs.get((sdk, case), [])
    if not runs:
        return "-"
    lost = sorted(run["lost"] for run in runs)
    text = f"{lost[len(lost) // 2]:,}" if lost[-1] else "**0**"
    if lost[0] != lost[-1]:
        text += f" [{lost[0]:,}-{lost[-1]:,}]"
    if repeated := max(run["repeated"] for run in runs):
        text += f" +{repeated:,} dup" + (" !id" if any(run["renamed"] for run in runs) else "")
    waited = results.worst(sdk, case, "after_refusal_s")
    if waited is not None and case == "429":
        text += f" (next request after {waited:.1f} s)"
    return text + (" (hangs)" if any(run["hung"] for run in runs) else "")


def bars(results: Results) -> list[Bar]:
    """Design, section 10: zero in every cell."""
    lost = [results.worst("penstock", name, "lost") for name in CASES]
    found = [value for value in lost if value is not None]
    return at_most("lost in the whole matrix", 0, sum(found) if found else None, "events")
