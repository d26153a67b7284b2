"""Whom a client asks for flags: what the settings say, else one of its destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from penstock.destinations import Collector, PostHog
from penstock.destinations._checks import checked_endpoint
from penstock.destinations._checks import checked_key as checked_credential
from penstock.destinations.posthog import INGESTION_HOSTS
from penstock.dialects._sender import USER_AGENT
from penstock.errors import ConfigError
from penstock.transport import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.config import FlagSettings
    from penstock.destinations import Destination

_FIX = (
    "no destination serves flags: add PostHog(key) or Collector(key) to the client, or name a"
    " provider with Config(flags=FlagSettings(endpoint=..., project_key=...))"
)


class Provider(NamedTuple):
    """A server that evaluates flags or gives definitions of them."""

    endpoint: str
    project_key: str
    #: Empty: no definitions, and no remote config.
    secret_key: str
    #: The destination it belongs to; None when the settings name another server.
    destination: str | None
    #: Nobody gave the secret key: it is a collector's write key, which may do.
    guessed: bool = False

    def __repr__(self) -> str:
        """No key."""
        return f"Provider({self.endpoint!r})"

    def definitions_request(self, etag: str | None, *, older: bool = False) -> Request:
        """
        How to load the definitions, if they are not those of *etag*.

        Args:
            etag: Of those that are here.
            older: Where older deployments have them.
        """
        key = quote(self.project_key, safe="")
        path = "api/feature_flag/local_evaluation/" if older else "flags/definitions"
        url = f"{self.endpoint}/{path}?token={key}&send_cohorts=true"
        return Request("GET", url, self._headers({"If-None-Match": etag} if etag else {}), b"")

    def remote_config_request(self, flag_key: str) -> Request:
        """How to load what is attached to a remote config flag."""
        path = f"api/projects/@current/feature_flags/{quote(flag_key, safe='')}/remote_config"
        url = f"{self.endpoint}/{path}?token={quote(self.project_key, safe='')}"
        return Request("GET", url, self._headers({}), b"")

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.secret_key}",
            "User-Agent": USER_AGENT,
            **more,
        }


def provider_of(destinations: Sequence[Destination], settings: FlagSettings) -> Provider | None:
    """
    Where this client's flags come from; None for the bootstrap values alone.

    Raises:
        ConfigError: The settings name no provider, no destination is one, and there are no
            bootstrap values either; or what they name can never work.
    """
    serving = [one for one in destinations if isinstance(one, PostHog | Collector)]
    chosen = next(iter(serving), None)
    if settings.endpoint is not None:
        endpoint = checked_endpoint(settings.endpoint)
        endpoint = INGESTION_HOSTS.get(endpoint, endpoint)
        chosen = next((one for one in serving if one.endpoint == endpoint), None)
    elif chosen is not None:
        endpoint = chosen.endpoint
    elif settings.bootstrap is not None and settings.project_key is None:
        return None
    else:
        raise ConfigError("flags", [one.name for one in destinations], _FIX)
    project_key = settings.project_key or (chosen._key if chosen else "")  # noqa: SLF001 - its credential is this request's too
    if not project_key:
        raise ConfigError("flags.project_key", "", f"is needed for {endpoint}")
    own = project_key if isinstance(chosen, Collector) else ""
    return Provider(
        endpoint,
        checked_credential("flags.project_key", project_key),
        settings.local_key or own,
        None if chosen is None else chosen.name,
        guessed=not settings.local_key,
    )
