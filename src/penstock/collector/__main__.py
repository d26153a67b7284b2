"""
A process of the collector: ``python -m penstock.collector ROLE JSON``, started by another.

The configuration follows on standard input; see `penstock.collector.processes.children`.
"""

from __future__ import annotations

import sys

from penstock.collector.processes.frugality import be_frugal

if __name__ == "__main__":
    role, arguments = sys.argv[1:]
    be_frugal()
    if role == "worker":
        from penstock.collector.processes.worker import run_worker

        run_worker(arguments)
    elif role == "debugger":
        from penstock.collector.pages.process import run_debugger

        run_debugger(int(arguments))
    else:
        from penstock.collector.processes.pipeline import run_pipeline

        run_pipeline()
