"""
One measurement in a process of its own; run.py starts it and reads the JSON it prints.

    python benchmarks/cell.py PART SDK URL OPTIONS
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from importlib import import_module


def main(part: str, sdk: str, url: str, options: str) -> None:
    """Measure and print."""
    logging.disable(logging.CRITICAL)  # the SDKs' warnings are not what is measured
    result = import_module(f"parts.{part}").measure(sdk, url, **json.loads(options))
    result["ended_at"] = time.monotonic()
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    if part != "leaving":
        os._exit(0)  # some SDKs take a minute to leave; only one part asks about that


if __name__ == "__main__":
    main(*sys.argv[1:])
