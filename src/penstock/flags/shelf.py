"""
The last good definitions on disk, for a start while the provider is down.

One file per provider and project, beside the journal: a line of JSON about what follows, then
the definitions as they came. It is replaced in one step, so a reader finds the old one or the
new one, whole; a file that is not whole all the same is as good as none.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from penstock.journal.disk import make_private

if TYPE_CHECKING:
    from pathlib import Path

#: The directory within the journal's; no journal is ever called that.
DIRECTORY = "flags"
_FORMAT = 1
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Definitions from disk."""

    format: int
    #: SHA-256 of the body, in hexadecimal.
    digest: str
    #: When the provider last stood by them, in seconds since 1970.
    confirmed_at: float
    etag: str | None = None
    body: bytes = b""


_decode_head = msgspec.json.Decoder(Kept).decode


class Shelf:
    """
    The file for one provider and project.

    Args:
        root: The directory of journals.
        endpoint: The provider's.
        project_key: The project's.
    """

    def __init__(self, root: Path, endpoint: str, project_key: str) -> None:
        name = hashlib.sha256(f"{endpoint}\0{project_key}".encode()).hexdigest()[:16]
        self.path = root / DIRECTORY / f"{name}.definitions"

    def load(self) -> Kept | None:
        """What was saved last; None when there is nothing that can be trusted."""
        try:
            head, _, body = self.path.read_bytes().partition(b"\n")
            kept = _decode_head(head)
        except (OSError, msgspec.MsgspecError):
            return None
        if kept.format != _FORMAT or kept.digest != _digest(body):
            return None
        return msgspec.structs.replace(kept, body=body)

    def save(self, body: bytes, etag: str | None, confirmed_at: float) -> None:
        """
        Replace the file.

        Raises:
            OSError: The disk refused; the old file is still there.
        """
        head = {
            "format": _FORMAT,
            "digest": _digest(body),
            "confirmed_at": confirmed_at,
            "etag": etag,
        }
        make_private(self.path.parent)
        # Of several processes that save at the same time, each writes a file of its own.
        making = self.path.with_suffix(f".{os.getpid()}")
        try:
            _write(making, msgspec.json.encode(head) + b"\n" + body)
            making.replace(self.path)
        except OSError:
            with suppress(OSError):
                making.unlink()
            raise

    def clear(self) -> None:
        """Forget the definitions: the provider took them back."""
        with suppress(OSError):
            self.path.unlink()


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, _FLAGS, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
