"""The properties every event to PostHog gets unless it has its own."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from penstock.dialects._posthog_draft import Tail
from penstock.dialects._posthog_system import host_properties

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.dialects._posthog_draft import Draft

_OS = ("$os", "$os_version", "$os_distro")


class Defaults:
    """
    Default properties; pure, except that the host is asked about itself once, when first needed.

    Args:
        geoip: Let PostHog locate events that carry an address of their own. Without one it
            would locate the sending server, so such events always say ``$geoip_disable``.
        is_server: Whether to say ``$is_server``.
        library: ``$lib`` and ``$lib_version``, where the wire has them among the properties.
        system: What to say of the host; None to look.
    """

    def __init__(
        self,
        *,
        geoip: bool,
        is_server: bool,
        library: Mapping[str, str],
        system: Mapping[str, str] | None,
    ) -> None:
        self._geoip = geoip
        self._markers = {**library, **({"$is_server": True} if is_server else {})}
        self._system = system

    def tail(self, draft: Draft) -> Tail:
        """The defaults that suit *draft*: its own system is never mixed with this host's."""
        located = self._geoip and draft.has("$ip")
        foreign = draft.context is not None and draft.context.foreign
        if draft.fields:
            foreign = foreign or "$os" in draft.fields or "$os_version" in draft.fields
        return self._tails[located, foreign] if located or foreign else self._plain

    @cached_property
    def _plain(self) -> Tail:
        return self._tails[False, False]

    @cached_property
    def _tails(self) -> dict[tuple[bool, bool], Tail]:
        """``{(located, foreign system): defaults}``."""
        system = dict(host_properties() if self._system is None else self._system)
        guest = {name: value for name, value in system.items() if name not in _OS}
        hidden = {"$geoip_disable": True}
        return {
            (located, foreign): Tail(
                {
                    **self._markers,
                    **({} if located else hidden),
                    **(guest if foreign else system),
                }
            )
            for located in (False, True)
            for foreign in (False, True)
        }
