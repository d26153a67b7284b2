"""What the envelope of a batch puts beneath each of its messages."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from penstock.collector.decoding.frame import library_of
from penstock.collector.decoding.wire import NOTHING, anything

#: Stands for "this cannot be done on bytes: take the careful way".
ODD = b""
_NULL = b"null"


class _Beneath:
    """
    An object of the envelope, spliced beneath a message's own as text.

    Args:
        value: The envelope's object; anything else counts as none.
    """

    __slots__ = ("_both", "_front", "_names", "_own", "text")

    def __init__(self, value: object) -> None:
        members = value if isinstance(value, dict) else {}
        #: None when the envelope has none.
        self.text = msgspec.json.encode(members) if members else None
        self._front = self.text[:-1] + b"," if self.text else b""
        self._names = [msgspec.json.encode(name) for name in members]
        # The messages of a server's batch tend to have the same context: join it once.
        self._own = self._both = b""

    def under(self, own: bytes | None) -> bytes | None:
        """Both as one object; `ODD` where *own* is, and where a member is in both."""
        if own is None:
            return self.text
        if own != self._own:
            self._own, self._both = own, self._joined(own)
        return self._both

    def _joined(self, own: bytes) -> bytes:
        if self.text is None:
            return own
        if any(name in own for name in self._names):
            return ODD
        inner = own[1:].lstrip()
        return self.text if inner.startswith(b"}") else self._front + inner


class Shared:
    """
    Context and integrations of an envelope: objects for the careful way, text for the plain one.

    Args:
        context: As decoded from the envelope; `NOTHING` where there is none.
        integrations: The same.
    """

    __slots__ = ("_context", "_integrations", "_library", "_library_context", "objects")

    def __init__(self, context: Raw = NOTHING, integrations: Raw = NOTHING) -> None:
        found = anything(context)
        self.objects: dict[str, Any] = {"context": found, "integrations": anything(integrations)}
        self._context = _Beneath(found)
        self._integrations = _Beneath(self.objects["integrations"])
        self._library: str | None = None
        self._library_context = b""

    def context(self, own: Raw) -> bytes | None:
        """A message's context over the envelope's; `ODD` when it is not plain."""
        return self._context.under(object_text(own))

    def integrations(self, own: Raw) -> bytes | None:
        """A message's integrations over the envelope's; `ODD` when they are not plain."""
        both = self._integrations.under(object_text(own))
        # An old spelling of "All" is for the careful way to mend.
        return ODD if both is not None and b'"all"' in both else both

    def library(self, context: bytes | None) -> str | None:
        """The client's library, from a message's whole context."""
        if context is None:
            return None
        if context != self._library_context:
            self._library_context, self._library = context, _library(context)
        return self._library


def object_text(raw: Raw) -> bytes | None:
    """A member that should be an object: None when absent or null, `ODD` when something else."""
    if raw is NOTHING:
        return None
    value = bytes(raw)
    if value.startswith(b"{"):
        return value
    return None if value in {b"", _NULL} else ODD


class _Library(msgspec.Struct, gc=False):
    name: str = ""
    version: str = ""


class _Usual(msgspec.Struct, gc=False):
    library: _Library | None = None


class _Context(msgspec.Struct):
    library: Any = None


_USUAL = msgspec.json.Decoder(_Usual)
_CONTEXT = msgspec.json.Decoder(_Context)


def _library(context: bytes) -> str | None:
    try:  # every event with a context of its own passes here
        library = _USUAL.decode(context).library
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _odd_library(context)
    if library is None:
        return None
    name, version = library.name, library.version
    return f"{name}/{version}" if name and version else name or version or None


def _odd_library(context: bytes) -> str | None:
    try:
        return library_of(_CONTEXT.decode(context).library)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
