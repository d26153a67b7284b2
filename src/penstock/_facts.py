"""
The fields of a request in Penstock's words, and where each stands in an event's context.

Source: segmentio/segment-docs, spec/common; the keys beyond it (``http``, ``clickIds``,
``windowId``, ``groups``, ``tags``) are ours, and the PostHog dialect knows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from penstock.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Mapping


#: Ids that advertising networks put into links; PostHog has them as properties, as they are.
CLICK_IDS = frozenset(
    {
        *("gclid", "gclsrc", "dclid", "gbraid", "wbraid", "gad_source", "fbclid", "msclkid"),
        *("twclid", "li_fat_id", "igshid", "ttclid", "rdt_cid", "epik", "qclid", "sccid"),
        *("irclid", "_kx", "mc_cid"),
    }
)


class Facts(TypedDict, total=False):
    """
    What a request may be said to be about.

    Attributes:
        session_id: The visitor's session. RudderStack takes whole numbers only.
        window_id: The browser's window or tab.
        device_id: The device.
        ip: The client's address.
        user_agent: Of the client's program.
        url: The page's URL.
        path: The page's path.
        search: The page's query, with its question mark.
        referrer: Where the visitor came from.
        title: The page's title.
        campaign: ``{"source": ..., "name": ..., ...}``.
        click_ids: ``{"gclid": ..., ...}``.
        locale: As in ``"de-AT"``.
        timezone: As in ``"Europe/Vienna"``.
        groups: ``{group type: group id}``.
        method: The request's method.
        route: The pattern that matched.
        status: The response's status.
    """

    session_id: str | int | None
    window_id: str | None
    device_id: str | None
    ip: str | None
    user_agent: str | None
    url: str | None
    path: str | None
    search: str | None
    referrer: str | None
    title: str | None
    campaign: Mapping[str, Any] | None
    click_ids: Mapping[str, Any] | None
    locale: str | None
    timezone: str | None
    groups: Mapping[str, Any] | None
    method: str | None
    route: str | None
    status: int | None


#: ``{field: its place in the context}``.
_PLACES: dict[str, tuple[str, ...]] = {
    "session_id": ("sessionId",),
    "window_id": ("windowId",),
    "device_id": ("device", "id"),
    "ip": ("ip",),
    "user_agent": ("userAgent",),
    **{name: ("page", name) for name in ("url", "path", "search", "referrer", "title")},
    "campaign": ("campaign",),
    "click_ids": ("clickIds",),
    "locale": ("locale",),
    "timezone": ("timezone",),
    "groups": ("groups",),
    **{name: ("http", name) for name in ("method", "route", "status")},
}


def context_of(facts: Mapping[str, Any], lower: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """
    The facts as an event's context.

    Args:
        facts: See `Facts`; None and empty values say nothing.
        lower: A context that they go over.

    Raises:
        FieldError: A name is none of ours.
    """
    found: dict[str, Any] = dict(lower or {})
    for name, value in facts.items():
        place = _PLACES.get(name)
        if place is None:
            raise FieldError("Context", name, value, "is no field of a request")
        if value is None or value in ("", {}):
            continue
        if len(place) == 1:
            found[place[0]] = value
        else:
            found[place[0]] = {**found.get(place[0], {}), place[1]: value}
    groups = facts.get("groups")
    if groups and len(groups) == 1:
        found.setdefault("groupId", *groups.values())
    return found
