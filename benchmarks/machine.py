"""Where the measurements ran, and which processor runs what."""

from __future__ import annotations

import os
import platform
import resource
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.native import NATIVE

if TYPE_CHECKING:
    from collections.abc import Iterator


def facts() -> dict[str, str]:
    """What a reader needs to judge the figures."""
    return {
        "processor": f"{_cpu_name()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load at start": f"{os.getloadavg()[0]:.1f}",
        "native part of Penstock": "not built" if NATIVE is None else "built",
        "pinning": pinning(),
        "journals on": _file_system(Path(tempfile.gettempdir())),
        "GIL switch interval": f"{sys.getswitchinterval() * 1000:.0f} ms",
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(path: Path) -> str:
    """The kind that *path* is on, as in "ext4"."""
    mounts = (line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines())
    above = {str(parent) for parent in [path.resolve(), *path.resolve().parents]}
    return max((len(where), kind) for where, kind in mounts if where in above)[1]


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


class Noise:
    """What else the machine does from now on, as cores that are kept busy by it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._others = _busy_s() - _our_s()

    def cores(self) -> float:
        """On average, time stolen by a hypervisor included; our processes must have been reaped."""
        others = _busy_s() - _our_s() - self._others
        return max(0.0, others / (time.monotonic() - self._began))


def _busy_s() -> float:
    """Seconds all cores together were not idle."""
    fields = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    user, nice, system, _idle, _waiting, irq, soft, stolen = map(int, fields)
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _our_s() -> float:
    """Seconds of this process and of those it reaped."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
