"""
Context fields and their PostHog properties: one table, read in both directions.

Source: the protocol reference, 3.2 (forward) and 3.4 (the inverse).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from penstock._facts import CLICK_IDS

#: Authority and path of a URL (RFC 3986, appendix B). Never fails, unlike a real parser.
_url = re.compile(r"(?:[^:/?#]+:)?(?://([^/?#]*))?([^?#]*)").match

#: ``{context field: property}``.
SCALARS = {
    "ip": "$ip",
    "userAgent": "$raw_user_agent",
    "locale": "$locale",
    "timezone": "$timezone",
}

#: ``{context object: {its field: property}}``.
NESTED = {
    "os": {"name": "$os", "version": "$os_version"},
    "app": {
        "name": "$app_name",
        "version": "$app_version",
        "build": "$app_build",
        "namespace": "$app_namespace",
    },
    "device": {
        "id": "$device_id",
        "manufacturer": "$device_manufacturer",
        "model": "$device_model",
        "name": "$device_name",
        "type": "$device_type",
    },
    "network": {
        "carrier": "$network_carrier",
        "wifi": "$network_wifi",
        "cellular": "$network_cellular",
        "bluetooth": "$network_bluetooth",
    },
    "screen": {
        "height": "$screen_height",
        "width": "$screen_width",
        "density": "$screen_density",
    },
    "campaign": {
        "source": "utm_source",
        "medium": "utm_medium",
        "name": "utm_campaign",
        "content": "utm_content",
        "term": "utm_term",
    },
    "location": {
        "city": "$geoip_city_name",
        "country": "$geoip_country_name",
        "region": "$geoip_subdivision_1_name",
        "latitude": "$geoip_latitude",
        "longitude": "$geoip_longitude",
    },
    "page": {"url": "$current_url", "path": "$pathname", "referrer": "$referrer"},
    "http": {
        "method": "$request_method",
        "path": "$request_path",
        "status": "$response_status_code",
    },
}

#: Context whose properties lack the ``$``, so that the caller's own may have the same names.
UNMARKED = frozenset({"campaign", "clickIds", "tags"})

_TARGETS: dict[str, str | dict[str, str]] = {**SCALARS, **NESTED}

#: Ids that are sent as text.
_TEXT_IDS = {"sessionId": "$session_id", "windowId": "$window_id"}
_TEXTS = frozenset({str, int})

#: Told only when true: PostHog reads their absence as "not on this network".
_ONLY_WHEN_TRUE = frozenset({"$network_wifi", "$network_cellular", "$network_bluetooth"})

#: Every property the table knows, to the place in context it comes from.
PLACES: dict[str, tuple[str, ...]] = {
    **{name: (field,) for field, name in SCALARS.items()},
    **{name: (part, field) for part, fields in NESTED.items() for field, name in fields.items()},
    # Only on the way back: other SDKs' spellings, and what describes the sending host.
    "$useragent": ("userAgent",),
    "$user_agent": ("userAgent",),
    "$session_id": ("sessionId",),
    "$os_distro": ("os", "distro"),
    "$python_runtime": ("runtime", "name"),
    "$python_version": ("runtime", "version"),
    "$lib": ("library", "name"),
    "$lib_version": ("library", "version"),
}

#: The last one that is there is taken.
_USER_AGENTS = ("$user_agent", "$useragent", "$raw_user_agent")

#: Properties that PostHog derives from ``$current_url`` and ``$referrer``.
DERIVED = {"$host": "$current_url", "$referring_domain": "$referrer"}


class Context(NamedTuple):
    """A message's context, read. Shared between events: nobody may change it."""

    #: As it was given.
    values: dict[str, Any]
    #: The properties it stands for; only ``utm_*`` names lack the ``$``.
    properties: dict[str, Any]
    #: What follows from the URLs in *properties*.
    derived: dict[str, Any]
    #: *properties* and *derived* as JSON to follow other members: ``,"$ip":"203.0.113.7"``.
    json: bytes
    #: Whether it describes another system than this host's.
    foreign: bool


_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


@lru_cache(maxsize=256)  # a request's or a program's events share theirs: 3 µs become 0.2
def read_context(raw: bytes) -> Context:
    """
    Read a ``context`` object; nulls and unknown fields stand for no property.

    Raises:
        msgspec.DecodeError: It is no JSON object.
    """
    values = _decode_object(raw)
    properties = _properties_of(values)
    follows = derived(properties)
    json = b"," + _encode({**properties, **follows})[1:-1] if properties else b""
    foreign = "$os" in properties or "$os_version" in properties
    return Context(values, properties, follows, json, foreign)


def _properties_of(context: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, value in context.items():
        target = _TARGETS.get(field)
        if target is None or value is None:
            continue
        if isinstance(target, str):
            found[target] = value
        elif isinstance(value, dict):
            _add_nested(found, target, value)
    if "$raw_user_agent" in found:
        found["$useragent"] = found["$raw_user_agent"]
    for field, name in _TEXT_IDS.items():
        if type(context.get(field)) in _TEXTS:
            found[name] = str(context[field])
    if context.get("personless") is True:
        found["$process_person_profile"] = False
    _add_own_names(found, context)
    return found


def _add_own_names(found: dict[str, Any], context: dict[str, Any]) -> None:
    """Click ids and tags, which are properties under their own names."""
    clicks, tags = context.get("clickIds"), context.get("tags")
    if isinstance(clicks, dict):
        found |= {name: clicks[name] for name in sorted(CLICK_IDS & clicks.keys())}
    if isinstance(tags, dict) and tags:
        found |= {name: value for name, value in tags.items() if not name.startswith("$")}
        found["$context_tags"] = list(tags)


def _add_nested(found: dict[str, Any], names: dict[str, str], values: dict[str, Any]) -> None:
    for field, value in values.items():
        name = names.get(field)
        if name is None or value is None or (name in _ONLY_WHEN_TRUE and value is not True):
            continue
        found[name] = value


def derived(properties: dict[str, Any]) -> dict[str, Any]:
    """What PostHog computes from ``$current_url`` and ``$referrer``, ``$pathname`` if missing."""
    found = {}
    if "$current_url" in properties:
        host, path = url_parts(properties["$current_url"])
        if host:
            found["$host"] = host
        if path and "$pathname" not in properties:
            found["$pathname"] = path
    if "$referrer" in properties:
        host, _ = url_parts(properties["$referrer"])
        if host:
            found["$referring_domain"] = host
    return found


def url_parts(url: object) -> tuple[str, str]:
    """Host (with its port) and path of *url*; empty where it has none or is no URL."""
    if not isinstance(url, str) or (found := _url(url)) is None:
        return "", ""
    authority, path = found.groups("")
    return authority.rpartition("@")[2], path


def lift(properties: dict[str, Any]) -> dict[str, Any]:
    """
    Take the properties that belong in context out of *properties*.

    Args:
        properties: Parsed event properties, without `derived` ones; the lifted ones are removed.

    Returns:
        The context they make, empty objects left out.
    """
    context: dict[str, Any] = {}
    for name in _USER_AGENTS:
        if properties.get(name) is not None:
            context["userAgent"] = properties[name]
    for name in [name for name in properties if name in PLACES]:
        value = properties.pop(name)
        if value is not None:
            _put(context, PLACES[name], value)
    return context


def drop_derived(properties: dict[str, Any]) -> None:
    """Remove what `derived` would compute again; a value of the sender's own stays."""
    for name, source in DERIVED.items():
        if name in properties:
            host, _ = url_parts(properties.get(source))
            if host and host == properties[name]:
                del properties[name]


def _put(context: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    *parents, field = place
    for parent in parents:
        context = context.setdefault(parent, {})
    context.setdefault(field, value)
