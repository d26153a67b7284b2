"""PostHog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.destinations._base import Destination, Limits
from penstock.destinations._checks import (
    checked_choice,
    checked_flag,
    checked_key,
    checked_text,
    masked,
)
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from typing import Literal, Unpack

    from penstock.destinations._base import Settings
    from penstock.dialects import Dialect

#: North America; the EU's is ``https://eu.i.posthog.com``.
POSTHOG_ENDPOINT = "https://us.i.posthog.com"

_V1_CODECS = ("deflate", "zstd", "br")

CAPTURE_MODES = ("legacy", "v1")
ALIAS_DIRECTIONS = ("merge_safe", "vendor")

#: Hosts of the web application, which people copy from the address bar: where it takes events.
INGESTION_HOSTS = {
    "https://app.posthog.com": POSTHOG_ENDPOINT,
    "https://us.posthog.com": POSTHOG_ENDPOINT,
    "https://eu.posthog.com": "https://eu.i.posthog.com",
}


class PostHog(Destination):
    """
    PostHog's ingestion, in either of its protocols.

    Args:
        api_key: The project's key (``phc_...``), not a personal one.
        endpoint: Base URL. The web application's own address is mapped to the ingestion's.
        name: What ``integrations`` calls it.
        capture_mode: ``legacy`` (``/batch/``) or ``v1``, which answers per event.
        historical_migration: Every batch is a back-fill; events captured with ``historical``
            are sent as one in any case.
        group_type: The type of a ``group()`` that names none.
        alias_direction: ``merge_safe`` merges the previous id into the user's person; ``vendor``
            sends both as the vendor's SDKs do, see docs/dialects.md.
        geoip: Let PostHog place events by ``context.ip``.
        is_server: Mark events as sent by a server.
        settings: See `penstock.destinations.Segment`. Besides ``gzip``, the v1 protocol takes
            ``deflate``, ``zstd`` and ``br``.

    Raises:
        ConfigError: A value that can never work; names the field.
    """

    __slots__ = ()
    key_field = "api_key"
    is_cdp = False
    takes_exceptions = True
    dialect_name = "posthog"
    defaults = Limits(100, 5.0, 500_000, 500_000)
    codecs = ("gzip", *_V1_CODECS)
    hard_limit_bytes = 20_000_000  # the legacy batch path's; v1's is larger

    def __init__(
        self,
        api_key: str,
        endpoint: str = POSTHOG_ENDPOINT,
        *,
        name: str = "PostHog",
        capture_mode: Literal["legacy", "v1"] = "legacy",
        historical_migration: bool = False,
        group_type: str = "segment_group",
        alias_direction: Literal["merge_safe", "vendor"] = "merge_safe",
        geoip: bool = False,
        is_server: bool = True,
        **settings: Unpack[Settings],
    ) -> None:
        options = {
            "capture_mode": checked_choice("capture_mode", capture_mode, CAPTURE_MODES),
            "historical_migration": checked_flag("historical_migration", historical_migration),
            "group_type": checked_text("group_type", group_type),
            "alias_direction": checked_choice("alias_direction", alias_direction, ALIAS_DIRECTIONS),
            "geoip": checked_flag("geoip", geoip),
            "is_server": checked_flag("is_server", is_server),
        }
        super().__init__(_checked_project_key(api_key), endpoint, name, settings, **options)
        self._set("endpoint", INGESTION_HOSTS.get(self.endpoint, self.endpoint))

    def _checked_codec(self, value: Any) -> str | None:
        if value in _V1_CODECS and self._options["capture_mode"] != "v1":
            reason = f"{value} compression requires capture_mode 'v1'"
            raise ConfigError("compression", value, reason)
        return super()._checked_codec(value)

    def _make_dialect(self) -> Dialect:
        from penstock.dialects.posthog import PostHogDialect

        return PostHogDialect(self.endpoint, self._key, **self._options)


def _checked_project_key(key: str) -> str:
    """A project key: a personal one opens the whole account, and ingestion refuses it."""
    text = checked_key("api_key", key)
    if text.startswith("phx_"):
        raise ConfigError("api_key", masked(text), "is a personal key; use the project's (phc_...)")
    return text
