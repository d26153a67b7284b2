"""What a machine does to its processes, and how it ends; each takes an argument, mostly unused."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from pathlib import Path

JOURNAL = Path(os.environ["PENSTOCK_JOURNAL"])
_UNLIMITED = resource.RLIM_INFINITY
_held: list[int] = []
_CHUNK = bytes(64 * 1024)


def fill_disk(_argument: str) -> None:
    """Somebody's file takes what is left of the journal's disk."""
    with (JOURNAL / "filler").open("ab", buffering=0) as file:
        for size in (len(_CHUNK), 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(_CHUNK[:size]):
                    pass


def fill_inodes(_argument: str) -> None:
    """So do somebody's many small files with its inodes."""
    with contextlib.suppress(OSError):
        for number in range(100_000):
            (JOURNAL / f"filler-{number}").touch()


def clean_disk(_argument: str) -> None:
    """They are deleted."""
    for path in JOURNAL.glob("filler*"):
        path.unlink()


def remove_journal(_argument: str) -> None:
    """Somebody clears what looks like a cache."""
    for path in JOURNAL.iterdir():
        shutil.rmtree(path)


def lock_journal(_argument: str) -> None:
    """The directory becomes read-only; root would not notice."""
    _change_modes(0o555)


def unlock_journal(_argument: str) -> None:
    """And writable again."""
    _change_modes(0o755)


def _change_modes(mode: int) -> None:
    for directory, _, _ in os.walk(JOURNAL):
        with contextlib.suppress(OSError):  # the root of a disk is not ours; a lane may be gone
            Path(directory).chmod(mode)


def take_descriptors(_argument: str) -> None:
    """The host has leaked descriptors up to its limit."""
    _limit(resource.RLIMIT_NOFILE, 256)
    with contextlib.suppress(OSError):
        while True:
            _held.append(os.open(os.devnull, os.O_RDONLY))


def give_descriptors(_argument: str) -> None:
    """It closes them."""
    while _held:
        os.close(_held.pop())


def forbid_threads(allowed: str) -> None:
    """The user has as many processes and threads as it may have; its first process is one."""
    _limit(resource.RLIMIT_NPROC, int(allowed))


def allow_threads(_argument: str) -> None:
    """Some of them end."""
    _limit(resource.RLIMIT_NPROC, _UNLIMITED)


def limit_memory(kib: str) -> None:
    """So much address space is left, in KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + int(kib) * 1024)


def free_memory(_argument: str) -> None:
    """The limit is gone."""
    _limit(resource.RLIMIT_AS, _UNLIMITED)


def eat_memory(_argument: str) -> None:
    """Take memory until there is none."""
    eaten = []
    while True:
        eaten.append(bytearray(b"x") * (1 << 20))


def _limit(kind: int, soft: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != _UNLIMITED:
        soft = hard if soft == _UNLIMITED else min(soft, hard)
    resource.setrlimit(kind, (soft, hard))
