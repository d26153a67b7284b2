"""A webhook of your own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.destinations._base import Destination, Limits
from penstock.destinations._checks import checked_choice

if TYPE_CHECKING:
    from typing import Literal, Unpack

    from penstock.destinations._base import Settings
    from penstock.dialects import Dialect

#: What a body may look like.
WEBHOOK_FORMATS = ("json", "ndjson")


class Webhook(Destination):
    """
    Any HTTP endpoint: neutral events as JSON, signed so that it can tell who sent them.

    Args:
        secret: What bodies are signed with, HMAC-SHA256; docs/webhooks.md has how to verify it.
        endpoint: The URL that gets the ``POST``, whole; nothing is added to its path.
        name: What ``integrations`` calls it.
        format: ``json``, an array of events, or ``ndjson``, one event a line.
        settings: See `penstock.destinations.Segment`. Any ``compression`` is off by default.

    Raises:
        ConfigError: A value that can never work; names the field.
    """

    __slots__ = ()
    key_field = "secret"
    is_cdp = False
    takes_exceptions = True
    dialect_name = "webhook"
    defaults = Limits(100, 5.0, 500_000, 1_000_000)
    codecs = ("gzip", "deflate", "zstd", "br")

    def __init__(
        self,
        secret: str,
        endpoint: str,
        *,
        name: str = "Webhook",
        format: Literal["json", "ndjson"] = "json",  # noqa: A002 - the plain word
        **settings: Unpack[Settings],
    ) -> None:
        chosen = checked_choice("format", format, WEBHOOK_FORMATS)
        super().__init__(secret, endpoint, name, settings, format=chosen)
        if endpoint.strip().endswith("/"):  # part of the address here, not of a base
            self._set("endpoint", f"{self.endpoint}/")

    def _make_dialect(self) -> Dialect:
        from penstock.dialects.webhook import WebhookDialect

        return WebhookDialect(self.endpoint, self._key, **self._options)
