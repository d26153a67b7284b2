"""Dreamdata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.destinations._base import Destination
from penstock.destinations.segment import checked_basic_key

if TYPE_CHECKING:
    from typing import Unpack

    from penstock.destinations._base import Settings
    from penstock.dialects import Dialect

DREAMDATA_ENDPOINT = "https://api.dreamdata.cloud"


class Dreamdata(Destination):
    """
    Dreamdata, which takes Segment's wire format.

    Args:
        write_key: The source's write key.
        endpoint: Base URL.
        name: What ``integrations`` calls it.
        settings: See `penstock.destinations.Segment`.

    Raises:
        ConfigError: A value that can never work; names the field.
    """

    __slots__ = ()
    dialect_name = "dreamdata"

    def __init__(
        self,
        write_key: str,
        *,
        endpoint: str = DREAMDATA_ENDPOINT,
        name: str = "Dreamdata",
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(checked_basic_key(write_key), endpoint, name, settings)

    def _make_dialect(self) -> Dialect:
        from penstock.dialects.dreamdata import DreamdataDialect

        return DreamdataDialect(self.endpoint, self._key)
