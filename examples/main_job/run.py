"""
The main job on real input: 69,659 orders into four dialects, with a SIGKILL on the way.

`make demo` runs this. It needs no account and no network beyond this machine, leaves no process
running, and ends with exit code 0 only if every order is in the store once, to the cent.

    python examples/main_job/run.py [DIRECTORY]

DIRECTORY keeps the store and the journal; ``.demo`` in the checkout unless given. It is made
anew by each run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orders
import reconcile
from processes import Penstock, on_terminate
from rich.console import Console
from rich.table import Table

from penstock.journal import inspect

if TYPE_CHECKING:
    import subprocess

    from orders import Order, Totals
    from reconcile import Finding

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".demo").resolve()
STORE, JOURNAL, LOG = PLACE / "store", PLACE / "journal", PLACE / "log"
SOURCES = ("segment", "rudderstack", "dreamdata", "posthog")
#: Kill the importer once this part of all deliveries is done.
KILL_AT = 0.25
#: Seconds until an event that was answered for must be readable.
READABLE_S = 20.0
#: A table keeps its columns, also when the output is a pipe or a narrow window.
console = Console(highlight=False, soft_wrap=True)
console.width = max(console.width, 100)


def shown(path: Path) -> str:
    """*path* as one types it from here."""
    return os.path.relpath(path)


IMPORT = (
    "import",
    shown(orders.FILE),
    *("--event", orders.EVENT),
    *("--user-column", "customer_id"),
    *("--timestamp-column", "ordered_at"),
    *("--set", "currency=USD"),
)


class FailedError(Exception):
    """The demo did not show what it is there to show."""


def main() -> int:
    """Tell the story; the exit code says whether it ended well."""
    signal.signal(signal.SIGTERM, on_terminate)
    started = time.monotonic()
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    try:
        wanted = orders.read()
        show_file(orders.totals(list(wanted.values())))
        tell_all(wanted)
    except FailedError as failure:
        console.print(f"\n[red]{failure}[/] (what the processes said: {shown(LOG)})")
        return 1
    except KeyboardInterrupt:
        console.print("\ninterrupted; nothing is left running")
        return 130
    console.print(f"\n{time.monotonic() - started:.0f} seconds. Nothing is left running.")
    show_more()
    return 0


def tell_all(wanted: dict[str, Order]) -> None:
    """A collector, an import, a kill, another import, the reckoning."""
    keys = {source: f"demo-{source}" for source in SOURCES}
    environment = {
        "PENSTOCK_JOURNAL": str(JOURNAL),
        "PENSTOCK_KEYS": " ".join(f"{source}:{source}={key}" for source, key in keys.items()),
    }
    penstock = Penstock(LOG, environment)
    heading("A collector on this machine, with a write key for each of four dialects")
    with penstock.running("serve", "--port", "0", "--store", str(STORE)) as collector:
        address = first_line(collector)["url"]
        console.print(f"  penstock serve: {address}")
        place = address.removeprefix("http://")
        urls = [f"{source}+http://{key}@{place}" for source, key in keys.items()]
        importer = Penstock(LOG, {**environment, "PENSTOCK_URL": " ".join(urls)})
        kill_once(importer, len(wanted) * len(SOURCES))
        start_again(importer, len(wanted))
        show_ledger(importer, len(wanted))
        show_reconciliation(wanted)


def kill_once(penstock: Penstock, deliveries: int) -> None:
    """Import, and kill the importer while some events are stored and some are not."""
    heading("Import the file in all four dialects at once, and kill the importer on the way")
    console.print(f"  penstock {' '.join(quoted(word) for word in IMPORT)}")
    with penstock.running(*IMPORT) as process:
        while delivered() < deliveries * KILL_AT:
            if process.poll() is not None:
                raise FailedError("the import ended before it could be killed")
            time.sleep(0.02)
        process.kill()
        process.wait()
    count = sum(len(found) for found in reconcile.stored(STORE).values())
    if not 0 < count < deliveries:
        raise FailedError(f"{count:,} of {deliveries:,} were stored at the kill")
    console.print(f"  SIGKILL: {count:,} of {deliveries:,} events are stored")


def start_again(penstock: Penstock, count: int) -> None:
    """The same command again, and once more."""
    heading("Start it again, with the same command")
    code, report = penstock.run(*IMPORT)
    if code != 0 or report.get("sent") != count:
        raise FailedError(f"the second import ended with exit code {code}")
    console.print(
        f"  went on after row {report['resumed_after']:,}; all {report['rows']:,} rows are"
        f" delivered, in {report['seconds']:.1f} s"
    )
    code, report = penstock.run(*IMPORT)
    console.print(f"  and once more: {report['status']}, nothing to do")
    if code != 0 or report["status"] != "already imported":
        raise FailedError("a third import found something to do")


def show_ledger(penstock: Penstock, count: int) -> None:
    """Both importers' account together: accepted = delivered + pending + dead."""
    heading("The ledger of the journal, the killed process included")
    _, report = penstock.run("ledger")
    ledger = report["ledger"]
    table = Table("destination", box=None, pad_edge=False, padding=(0, 3, 0, 2))
    for column in ("accepted", "delivered", "pending", "dead"):
        table.add_column(column, justify="right")
    for name, account in ledger["destinations"].items():
        dead = sum(account["dead"].values())
        row = (account["accepted"], account["delivered"], account["pending"], dead)
        table.add_row(name, *(f"{number:,}" for number in row))
    console.print(table)
    if not ledger["balanced"] or ledger["pending"] or ledger["dead"]:
        raise FailedError("the ledger is not settled")
    if again := ledger["accepted"] - count:
        console.print(
            f"  {again:,} rows around the kill were captured twice, under the same ids:"
            " the store must have them once"
        )


def show_reconciliation(wanted: dict[str, Order]) -> None:
    """Every order in every dialect against the file."""
    heading("The store against the file, order by order")
    findings = settled_findings(wanted)
    table = Table(
        "", "orders", "customers", "items", "revenue, USD", "lost", "duplicated",
        box=None, pad_edge=False, padding=(0, 3, 0, 2),
    )  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    truth = orders.totals(list(wanted.values()))
    table.add_row("the file", *numbers(truth), "", "")
    for source, finding in findings.items():
        table.add_row(source, *numbers(finding.totals), str(finding.lost), str(finding.duplicated))
    console.print(table)
    for source, finding in findings.items():
        if not finding.clean or finding.totals != truth:
            raise FailedError(f"{source} does not reconcile: {finding}")
    console.print("  [green]equal[/], by message id, customer, day, quantity and price")


def settled_findings(wanted: dict[str, Order]) -> dict[str, Finding]:
    """The findings, once the collector has made what it answered for readable."""
    deadline = time.monotonic() + READABLE_S
    while True:
        found = reconcile.stored(STORE)
        findings = {s: reconcile.compare(wanted, found.get(s, [])) for s in SOURCES}
        if all(f.clean for f in findings.values()) or time.monotonic() > deadline:
            return findings
        time.sleep(0.2)


# -- small things ----------------------------------------------------------------------------


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the collector says once it answers requests."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise FailedError("the collector did not start")
    said: dict[str, Any] = json.loads(line)
    return said


def delivered() -> int:
    """Deliveries so far, read from the journal of the running importer."""
    return sum(journal.ledger.delivered for journal in inspect(JOURNAL))


def show_file(truth: Totals) -> None:
    """What is to be imported."""
    heading("Real orders: an online music shop, January 1997 to June 1998")
    console.print(
        f"  {truth.orders:,} orders, {truth.customers:,} customers, {truth.items:,} items,"
        f" {truth.revenue} USD; 255 rows repeat an earlier one and are orders of their own"
    )


def show_more() -> None:
    """Where a curious person goes from here."""
    command, store = shown(Path(sys.executable).with_name("penstock")), shown(STORE)
    console.print(f"""
Look further:
  {command} events --store {store} --limit 5
  {command} events --store {store} --by source
  {command} events --store {store} --user 00002
  {command} ledger {shown(JOURNAL)}
  examples/quickstart   ten lines that send
  docs/import.md        what an import promises
  docs/delivery.md      what happens to an event in every bad case""")


def heading(text: str) -> None:
    """A line of its own."""
    console.print(f"\n[bold]{text}[/]")


def numbers(sums: Totals) -> tuple[str, ...]:
    """For a row of the table."""
    return f"{sums.orders:,}", f"{sums.customers:,}", f"{sums.items:,}", sums.revenue


def quoted(word: str) -> str:
    """As one types it."""
    return f'"{word}"' if " " in word else word


if __name__ == "__main__":
    sys.exit(main())
