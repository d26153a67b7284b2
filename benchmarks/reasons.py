"""Why bars are missed on the machines seen so far; a page says it of those that are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: ``(how the names of the bars begin, why)``
_REASONS = (
    (
        ("durable capture, full event, p99",),
        (
            "It is about the bar, on which side depends on the hour: one call in 250 wakes the "
            "worker, and some of the others wait for the interpreter, as below."
        ),
    ),
    (
        ("durable capture, slowest call",),
        (
            "A few calls in a million wait for the interpreter: a sender may keep it for the "
            "switch interval, 5 ms, and the next one after it. Nothing in the call itself "
            "waits; paced, where the senders have time in between, there is no such call."
        ),
    ),
    (
        ("capture p50 against",),
        (
            "The bar was set where the official SDKs took 42 to 85 µs a call. Here they take "
            "less, and what is left of ours is the interpreter's: looking at the arguments, one "
            "JSON encoding, one checksum, one copy."
        ),
    ),
    (
        ("CPU ", "delivered per second"),
        (
            "Capture and delivery share one interpreter, and each has to wait for the other: "
            "alone, delivery takes 2.4 to 3.1 s per million and 330,000 to 430,000 events/s "
            "(`hot.py delivery`), and capture 185,000 to 200,000 events/s (`hot.py capture`). "
            "Building the events is counted too, see null, and so is memory that this virtual "
            "machine's host first has to find: 2 ms per MiB of journal where it is 0.2 ms for "
            "memory that was used a moment ago, or some 1 s per million. The figure moves with "
            "the machine: one commit took 7.3 s and 10.3 s on it within two hours."
        ),
    ),
    (
        ("slowdown of a busy loop",),
        (
            "Where the machine's processors are shared, stretches with and without tracking "
            "differ by more than the bar, in either direction: see least and most. The calls "
            "themselves are the column in track()."
        ),
    ),
    (
        ("exit, server dead",),
        (
            "2.00 s of it are the exit timeout, by which the client stops trying; the rest is the "
            "interpreter's own end."
        ),
    ),
    (
        ("from penstock import",),
        (
            "Two thirds of the modules and of the time are the standard library's and the "
            "dependencies' (orjson alone imports dataclasses, inspect, json and zoneinfo), the "
            "rest is Penstock's own. `import penstock` loads nothing before a name is asked for."
        ),
    ),
)


def reasons(missed: Iterable[str]) -> Iterator[str]:
    """A list item for each reason that bars of these names are missed for."""
    names = list(dict.fromkeys(missed))
    for beginnings, why in _REASONS:
        found = [name for name in names if name.startswith(beginnings)]
        if found:
            yield f"- *{'; '.join(found)}*: {why}"
