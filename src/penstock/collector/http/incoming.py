"""A request's head: what can be known of it before its body is read."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Parameters a query may have; reading each costs time.
MOST_PARAMETERS = 1000


class Incoming:
    """
    One request, without its body.

    Args:
        scope: ASGI's.
    """

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        #: ``{name in lower case: value}``; of several with one name, the last.
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.scope = scope

    def header(self, name: bytes) -> str:
        """A header as text without blanks around it; empty when there is none."""
        return self.headers.get(name, b"").decode("latin-1").strip()

    def header_list(self, name: bytes) -> str:
        """The values of all headers with this name, as one list."""
        found = [value for given, value in self.scope["headers"] if given == name]
        return b",".join(found).decode("latin-1")

    @cached_property
    def query(self) -> Mapping[str, str]:
        """
        The query's parameters; of several with one name, the first.

        Raises:
            Refusal: There are too many.
        """
        text: str = self.scope["query_string"].decode("latin-1")
        return parameters(text) if text else {}


def parameters(text: str) -> dict[str, str]:
    """
    A query or a form; of several values under one name, the first.

    Raises:
        Refusal: There are too many.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise Refusal(Reason.MALFORMED, f"more than {MOST_PARAMETERS} parameters") from None
    return dict(reversed(pairs))
