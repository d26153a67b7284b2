"""A collector's configuration as JSON, to hand it to another process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from penstock.collector.config import CollectorConfig
from penstock.collector.sources import Sources


def to_json(config: CollectorConfig) -> bytes:
    """Everything, keys as digests; one line."""
    return msgspec.json.encode(config, enc_hook=_plain)


def from_json(text: bytes) -> CollectorConfig:
    """Undo `to_json`."""
    return msgspec.json.decode(text, type=CollectorConfig, dec_hook=_special)


def _plain(value: Any) -> Any:
    if isinstance(value, Sources):
        return value.digests()
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"a configuration holds no {type(value).__name__}")


def _special(kind: type, value: Any) -> Any:
    if kind is Sources:
        return Sources.from_digests(value)
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"a configuration holds no {kind.__name__}")
