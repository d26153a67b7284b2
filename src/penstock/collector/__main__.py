"""The pipeline process: ``python -m penstock.collector SETTINGS``, started by `penstock serve`."""

from __future__ import annotations

import sys

from penstock.collector.process import run_pipeline

if __name__ == "__main__":
    run_pipeline(sys.argv[1])
