"""Segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.destinations._base import Destination
from penstock.destinations._checks import checked_key, masked
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from typing import Unpack

    from penstock.destinations._base import Settings
    from penstock.dialects import Dialect

#: North America; the EU's is ``https://events.eu1.segmentapis.com``.
SEGMENT_ENDPOINT = "https://api.segment.io"


def checked_basic_key(key: str) -> str:
    """A key that can be the user name of Basic auth."""
    text = checked_key("write_key", key)
    if ":" in text:
        raise ConfigError("write_key", masked(text), "a Basic user name cannot hold a colon")
    return text


class Segment(Destination):
    """
    Segment's HTTP Tracking API.

    Args:
        write_key: The source's write key.
        endpoint: Base URL; set it for the EU or for a proxy of your own.
        name: What ``integrations`` calls it.
        settings: ``batch_size``, ``interval``, ``max_message_bytes``, ``max_batch_bytes``,
            ``compression`` (``"gzip"``; off by default, as in the vendor's SDKs) and ``timeout``.

    Raises:
        ConfigError: A value that can never work; names the field.
    """

    __slots__ = ()

    def __init__(
        self,
        write_key: str,
        *,
        endpoint: str = SEGMENT_ENDPOINT,
        name: str = "Segment",
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(checked_basic_key(write_key), endpoint, name, settings)

    def _make_dialect(self) -> Dialect:
        from penstock.dialects.segment import SegmentDialect

        return SegmentDialect(self.endpoint, self._key)
