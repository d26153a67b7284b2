"""Our own collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.destinations._base import Destination, Limits
from penstock.destinations.segment import checked_basic_key

if TYPE_CHECKING:
    from typing import Unpack

    from penstock.destinations._base import Settings
    from penstock.dialects import Dialect

#: Where ``penstock serve`` listens unless told otherwise.
COLLECTOR_ENDPOINT = "http://127.0.0.1:8765"


class Collector(Destination):
    """
    A Penstock collector, spoken to in Segment's wire format.

    Args:
        write_key: The source's key, as the collector knows it.
        endpoint: Base URL.
        name: What ``integrations`` calls it.
        settings: See `penstock.destinations.Segment`; gzip is on by default.

    Raises:
        ConfigError: A value that can never work; names the field.
    """

    __slots__ = ()
    dialect_name = "collector"
    takes_exceptions = True
    defaults = Limits(250, 5.0, 32_768, 500_000, compression="gzip")
    codecs = ("gzip", "deflate", "zstd", "br")

    def __init__(
        self,
        write_key: str,
        endpoint: str = COLLECTOR_ENDPOINT,
        *,
        name: str = "Collector",
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(checked_basic_key(write_key), endpoint, name, settings)

    def _make_dialect(self) -> Dialect:
        from penstock.dialects.segment import SegmentDialect

        return SegmentDialect(self.endpoint, self._key, whole_exceptions=True)
