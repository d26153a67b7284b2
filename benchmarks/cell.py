"""
One measurement in a process of its own; lab.py starts it and reads the JSON it prints.

    python benchmarks/cell.py PART SDK URL OPTIONS
"""

from __future__ import annotations

import json
import logging
import os
import sys
from importlib import import_module

from parts import tell


def main(part: str, sdk: str, url: str, options: str) -> None:
    """Measure and print."""
    logging.disable(logging.CRITICAL)  # the SDKs' warnings are not what is measured
    result = import_module(f"parts.{part}").measure(sdk, url, **json.loads(options))
    leaves = result.pop("leaves", False)
    tell(result)
    if not leaves:
        os._exit(0)  # some SDKs take a minute to leave; only some parts ask about that


if __name__ == "__main__":
    main(*sys.argv[1:])
