"""RudderStack."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from penstock.destinations._base import Destination, Limits
from penstock.destinations._checks import checked_flag
from penstock.destinations.segment import checked_basic_key

if TYPE_CHECKING:
    from typing import Unpack

    from penstock.destinations._base import Settings
    from penstock.dialects import Dialect
    from penstock.dialects.rudderstack import RudderStackDialect
    from penstock.transport import Request, Response

RUDDERSTACK_ENDPOINT = "https://hosted.rudderlabs.com"


class RudderStack(Destination):
    """
    RudderStack's gateway.

    Args:
        write_key: The source's write key.
        endpoint: Your data plane's URL.
        name: What ``integrations`` calls it.
        no_proxy_support: Leave the routing headers out, for a gateway older than they are.
        settings: See `penstock.destinations.Segment`; gzip is on by default, as in the vendor's
            SDKs.

    Raises:
        ConfigError: A value that can never work; names the field.
    """

    __slots__ = ()
    dialect_name = "rudderstack"
    defaults = Limits(250, 5.0, 32_768, 512_000, compression="gzip")

    def __init__(
        self,
        write_key: str,
        endpoint: str = RUDDERSTACK_ENDPOINT,
        *,
        name: str = "RudderStack",
        no_proxy_support: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        no_proxy = checked_flag("no_proxy_support", no_proxy_support)
        key = checked_basic_key(write_key)
        super().__init__(key, endpoint, name, settings, no_proxy_support=no_proxy)

    def _make_dialect(self) -> Dialect:
        from penstock.dialects.rudderstack import RudderStackDialect

        return RudderStackDialect(self.endpoint, self._key, **self._options)

    def node_count_request(self) -> Request:
        """``GET /cluster-info``, to be sent only after a 451."""
        return cast("RudderStackDialect", self.dialect).node_count_request()

    def parse_node_count(self, response: Response) -> int | None:
        """The node count, at least 1; None when the answer has none and the old one stays."""
        return cast("RudderStackDialect", self.dialect).parse_node_count(response)
