"""Where the measurements ran, and which processor runs what."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def facts() -> dict[str, str]:
    """What a reader needs to judge the figures."""
    return {
        "processor": f"{_cpu_name()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load at start": f"{os.getloadavg()[0]:.1f}",
        "pinning": pinning(),
        "GIL switch interval": f"{sys.getswitchinterval() * 1000:.0f} ms",
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def version_of(distribution: str) -> str:
    """Its version, or "not installed"."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def client_cores() -> set[int]:
    """Two cores for the process under test, as a small container has them."""
    cores = _cores()
    return set(cores[:2]) if len(cores) >= 3 else set(cores)


def sink_cores() -> set[int]:
    """Cores the process under test does not use, when there are any."""
    cores = _cores()
    return set(cores[2:]) if len(cores) >= 3 else set(cores)


@contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """Processes started inside run on *cores*."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pinning() -> str:
    """The above in words."""
    if len(_cores()) < 3:
        return "none: too few cores"
    return f"client on {sorted(client_cores())}, sink on {sorted(sink_cores())}"


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))
