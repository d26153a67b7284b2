"""Making a segment: all of it written, in little memory."""

from __future__ import annotations

import errno
import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from penstock.journal._segment import SEGMENT_HEADER_BYTES, DiskStore, segment_header

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024


@pytest.fixture(params=["at once", "in parts", "without writev"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the system takes zeros: a call may take less than it was given."""
    real = os.writev
    if request.param == "in parts":
        monkeypatch.setattr(os, "writev", lambda fd, blocks: real(fd, [blocks[0][:5000]]))
    elif request.param == "without writev":
        monkeypatch.delattr(os, "writev")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("size", [4096, 64 * 1024, MIB + 4096, 8 * MIB])
def test_a_segment_is_a_header_and_zeros(tmp_path: Path, size: int) -> None:
    """Written, not only made long: a store into a page without room on disk would be a SIGBUS."""
    segment = DiskStore(tmp_path).create(7, size, 41)
    (file,) = tmp_path.iterdir()
    zeros = bytes(size - SEGMENT_HEADER_BYTES)
    assert file.read_bytes() == segment_header(41) + zeros
    segment.close()


def test_making_one_takes_no_memory(tmp_path: Path) -> None:
    """Once a block of 8 MiB was freed, glibc keeps all smaller ones: 8 MiB more for the host."""
    store = DiskStore(tmp_path)
    tracemalloc.start()
    store.create(1, 8 * MIB, 1).close()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 256 * 1024


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be full in the middle of it."""
    real, room = os.writev, [True]

    def fill(fd: int, blocks: list[bytes]) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "no space")
        return real(fd, blocks[: room.pop()])

    monkeypatch.setattr(os, "writev", fill)
    with pytest.raises(OSError, match="no space"):
        DiskStore(tmp_path).create(1, MIB, 1)
    assert not [*tmp_path.iterdir()]
