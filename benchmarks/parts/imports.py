"""
What an import and a client cost, each in a fresh process with its bytecode cached.

Milliseconds of wall clock, modules a bare interpreter had not loaded yet, growth of the resident
memory. Installed: the distribution and everything it requires here, without bytecode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdks import DISTRIBUTIONS

from parts import Bar, Cell, Results, Scale, Table, at_most, shown
from parts.footprint import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "4. Import and footprint"
_NOWHERE = "http://127.0.0.1:9"
#: ``{sdk: {variant: (import, client)}}``
STATEMENTS = {
    "penstock": {
        "package": ("import penstock", ""),
        "client": (
            "from penstock import Client, Segment",
            f"Client(Segment('WK_bench', endpoint='{_NOWHERE}'))",
        ),
    },
    "segment": {
        "client": (
            "import segment.analytics",
            f"segment.analytics.Client('WK_bench', host='{_NOWHERE}')",
        )
    },
    "rudder": {
        "client": (
            "import rudderstack.analytics",
            f"rudderstack.analytics.Client('WK_bench', host='{_NOWHERE}')",
        )
    },
    "posthog": {
        "client": ("import posthog", f"posthog.Posthog('phc_bench', host='{_NOWHERE}')"),
    },
}
_PROGRAM = """
import os, sys, time
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
modules, rss, began = len(sys.modules), resident(), time.perf_counter()
{statement}
imported, new = time.perf_counter(), len(sys.modules) - modules
client = {client}
found = dict(ms=(imported - began) * 1000, modules=new)
found.update(client_ms=(time.perf_counter() - imported) * 1000)
found.update(all_modules=len(sys.modules) - modules, rss_mib=resident() - rss)
import json
print(json.dumps(dict(found, ended_at=time.monotonic())), flush=True)
os._exit(0)
"""


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """Four processes of each kind in a repetition."""
    for variant, (statement, client) in STATEMENTS.get(sdk, {}).items():
        code = _PROGRAM.format(statement=statement, client=client or None)
        for _ in range(scale.of(4, 1)):
            yield Cell("imports", sdk, variant, code=code)


def tables(results: Results) -> Iterator[Table]:
    """A row per statement."""
    header = ["statement", "ms", "new modules", "+ client ms", "modules then", "RSS MiB"]
    rows = []
    for sdk, variant in results.runs:
        keys = ("ms", "modules", "client_ms", "all_modules", "rss_mib")
        row = [f"`{STATEMENTS[sdk][variant][0]}`"]
        row += [shown(results.median(sdk, variant, key)) for key in keys]
        if not STATEMENTS[sdk][variant][1]:
            row[3:5] = ["-", "-"]
        found = installed(DISTRIBUTIONS[sdk])
        row += [f"{found.distributions}", f"{found.mib:.1f}", results.spread(sdk, variant, "ms")]
        rows.append(row)
    yield Table([*header, "distributions", "MiB installed", "spread"], rows)


def bars(results: Results) -> list[Bar]:
    """Design, section 10."""
    found: list[Bar] = []
    for variant, (statement, _) in STATEMENTS["penstock"].items():
        found += at_most(statement, 25, results.median("penstock", variant, "ms"), "ms")
        modules = results.median("penstock", variant, "modules")
        found += at_most(statement, 40, modules, "modules")
    return found
