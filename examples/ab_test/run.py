"""
An A/B test from assignment to result, with no account.

A collector on this machine serves the flag and takes the events. Each of 23,570 real customers is
assigned to a variant by the flag, seen to be so, and their later orders are captured with it. The
result is read from the collector's store.

    pip install 'penstock[all]' -r examples/ab_test/requirements.txt
    python examples/ab_test/run.py [--effect 0.05] [DIRECTORY]

Nobody was sent a reminder in 1997, so the honest result is: no difference. ``--effect`` makes up
orders for that share of the customers of the test variant who did not come back.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from datetime import time as clock_time
from pathlib import Path
from typing import TYPE_CHECKING

import result
import shop

from penstock import Client, Collector, Config, FlagSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from result import Arm, Interval

HERE = Path(__file__).resolve().parent
KEY = "ab-test-demo"
#: Seconds until what was answered for must be readable.
READABLE_S = 30.0


def main() -> int:
    """Run the test; the exit code says whether assignment and account held."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    place = Path(options.directory).resolve()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with collector(place) as url:
        print(f"a collector on {url} serves {os.path.relpath(HERE / 'flags.yaml')}")
        orders = act(url, place, options.effect)
        found = settled(place, orders)
    show(found)
    return 0 if sum(len(arm.converted) for arm in found.values()) == EVERYBODY else 1


EVERYBODY = 23_570


def act(url: str, place: Path, effect: float) -> int:
    """
    What the shop does: a reminder, or none, for everybody; then they order, or do not.

    Returns:
        Later orders that were captured.
    """
    config = Config(journal=place / "journal", flags=FlagSettings(secret_key=KEY))
    began = time.monotonic()
    count = 0
    with Client(Collector(KEY, url), config=config) as client:
        assert client.flags.wait_until_ready(10), "the collector serves no flags"
        for customer in shop.customers():
            flags = client.flags.evaluate(
                customer.number, person_properties={"first_items": customer.first.items}
            )
            reminder = flags.get(result.FLAG)  # this is the exposure: it captures an event
            made_up = shop.persuaded(customer, effect) if reminder.variant == "test" else None
            for order in (*customer.later, *([made_up] if made_up else [])):
                client.capture(
                    result.ORDER,
                    customer.number,
                    {"revenue": f"{order.cents / 100:.2f}", "items": order.items},
                    timestamp=datetime.combine(order.day, clock_time(12), UTC),
                    flags=flags,
                )
                count += 1
        ledger = client.flush(60)
    took = time.monotonic() - began
    print(f"{EVERYBODY:,} customers assigned, {count:,} later orders, in {took:.1f} s")
    print(f"the ledger: {ledger.accepted:,} accepted, {ledger.delivered:,} delivered")
    return count


def settled(place: Path, orders: int) -> dict[str, Arm]:
    """The result, once the collector has made readable what it answered for."""
    deadline = time.monotonic() + READABLE_S
    while True:
        found = result.arms(place / "store")
        people = sum(len(arm.converted) for arm in found.values())
        if people == EVERYBODY and _orders(place) == orders:
            return found
        if time.monotonic() > deadline:
            sys.exit(f"{people:,} of {EVERYBODY:,} customers are stored")
        time.sleep(0.2)


def _orders(place: Path) -> int:
    from penstock.collector import Filter, open_store

    return open_store(place / "store").count(Filter(event=result.ORDER))


# -- what is said ----------------------------------------------------------------------------


def show(found: dict[str, Arm]) -> None:
    """A row per variant, and the difference that counts."""
    print(f"\n{'variant':<12}{'customers':>10}{'came back':>11}{'rate':>9}{'revenue each':>14}")
    for name, arm in found.items():
        rate, revenue = result.mean(arm.converted), result.mean(arm.revenue)
        row = f"{len(arm.converted):>10,}{sum(arm.converted):>11,}{rate:>9.2%}{revenue:>12.2f} $"
        print(f"{name:<12}{row}")
    test, control = found["test"], found["control"]
    print("\ntest against control, with 95 % confidence")
    rate = result.compared(test.converted, control.converted)
    revenue = result.compared(test.revenue, control.revenue)
    print(f"  came back     {_points(rate)}")
    print(f"  revenue each  {_dollars(revenue)}")


def _points(found: Interval) -> str:
    low, high = 100 * found.low, 100 * found.high
    return f"{100 * found.difference:+.2f} points ({low:+.2f} to {high:+.2f}): {_verdict(found)}"


def _dollars(found: Interval) -> str:
    return f"{found.difference:+.2f} $ ({found.low:+.2f} to {found.high:+.2f}): {_verdict(found)}"


def _verdict(found: Interval) -> str:
    return f"{'a difference' if found.sure else 'no difference to be sure of'}, p = {found.p:.3f}"


# -- small things ----------------------------------------------------------------------------


@contextmanager
def collector(place: Path) -> Iterator[str]:
    """A collector that is gone when the block ends."""
    command = ["serve", "--port", "0", "--store", str(place / "store")]
    command += ["--flags", str(HERE / "flags.yaml"), "--key", f"shop={KEY}"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "penstock", *command], stdout=subprocess.PIPE, stderr=log
        )
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            sys.exit(f"the collector did not start, see {place / 'log'}")
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout:
            process.stdout.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("directory", nargs="?", default=".ab_test", help="made anew by each run")
    parser.add_argument("--effect", type=float, default=0.0, help="from 0 to 1")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
