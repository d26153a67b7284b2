"""
Sources: who may send, and the name their events are stored under.

A write key is a secret and a source's name is not, so names go to files and tables and keys stay
here, as digests. With no key configured the collector is *open*: any key is good and the source
is named after the dialect (``segment``, ``posthog``), which keeps the number of partitions small
whatever is sent and tells nothing about the key. An open collector only listens on loopback.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Dialects a source may declare.
DIALECTS = ("segment", "rudderstack", "dreamdata", "posthog")
#: Names become directory names in the store.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Source(NamedTuple):
    """Where events come from."""

    #: Stored with each event; a directory name of the store.
    name: str
    #: What its SDK speaks; empty for "what the route suggests".
    dialect: str = ""
    #: False when it was switched off: its key is known, and nothing is kept.
    enabled: bool = True


class Sources:
    """
    The sources by write key.

    Args:
        by_key: ``{write key: source}``; empty for an open collector.
    """

    def __init__(self, by_key: Mapping[str, Source]) -> None:
        self._by_digest = {_digest(key): source for key, source in by_key.items()}

    def __repr__(self) -> str:
        """Names only."""
        names = sorted({source.name for source in self._by_digest.values()})
        return f"Sources({', '.join(names) or 'open'})"

    @classmethod
    def parse(cls, specs: Iterable[str]) -> Sources:
        """
        Read ``NAME=KEY`` and ``NAME:DIALECT=KEY``.

        Raises:
            ConfigError: A spec has another shape, or one key is given to two sources.
        """
        by_key: dict[str, Source] = {}
        for spec in specs:
            key, source = _parsed(spec)
            if by_key.setdefault(key, source) != source:
                raise ConfigError("key", source.name, "this key belongs to another source already")
        return cls(by_key)

    def digests(self) -> dict[str, Source]:
        """``{digest of a key, in hex: its source}``."""
        return {digest.hex(): source for digest, source in self._by_digest.items()}

    @classmethod
    def from_digests(cls, by_digest: Mapping[str, Sequence[Any]]) -> Sources:
        """Undo `digests`."""
        made = cls({})
        made._by_digest = {bytes.fromhex(d): Source(*source) for d, source in by_digest.items()}
        return made

    def become(self, other: Sources) -> None:
        """Know what *other* knows, and nothing else, from the next request on."""
        self._by_digest = other._by_digest

    @property
    def open(self) -> bool:
        """Whether any key is good."""
        return not self._by_digest

    def find(self, key: str, dialect: str) -> Source | None:
        """
        The source of *key*, or None when the key is unknown.

        Args:
            key: As the client sent it.
            dialect: What the route suggests; decides the name when the collector is open.
        """
        if self.open:
            return Source(dialect) if key else None
        return self._by_digest.get(_digest(key))


def _parsed(spec: str) -> tuple[str, Source]:
    declared, separator, key = spec.partition("=")
    name, _, dialect = declared.strip().partition(":")
    shown = f"{declared}=…" if separator else "…"
    if not separator or not key.strip():
        raise ConfigError("key", shown, "write it as NAME=KEY or NAME:DIALECT=KEY")
    if not NAME.fullmatch(name):
        raise ConfigError("key", shown, "a name has letters, digits, '.', '_' and '-', at most 64")
    if dialect and dialect not in DIALECTS:
        raise ConfigError("key", shown, f"the dialect is one of {', '.join(DIALECTS)}")
    return key.strip(), Source(name, dialect)


def _digest(key: str) -> bytes:
    """Comparing digests takes the same time however much of a guessed key is right."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
