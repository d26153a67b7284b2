"""
Ids that the vendors' browser SDKs keep in cookies of their own.

Cookies come from strangers: whatever is in them, this finds an id or nothing.

Source: PostHog/posthog-js, storage; segmentio/analytics-next, user; the RudderStack docs,
"Anonymous id" (the format of their values is documented, not read in code).
"""

from __future__ import annotations

import base64
import re
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from penstock._boundary import id_text
from penstock.identity.cookie import cookie_value

#: Characters of one cookie; browsers keep 4096 bytes.
_MOST = 4096
_POSTHOG = re.compile(r"(?:^|;\s*)(ph_[A-Za-z0-9_-]+_posthog)=")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_RUDDER = ("RS_ENC_v3_", "RudderEncrypt:")
#: ``$sesid`` is ``[last activity, session id, start]``.
_SESSION_SLOT = 1


class BrowserIds(NamedTuple):
    """What the cookies say; None where they say nothing."""

    anonymous_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None


def browser_ids(cookie_header: str) -> BrowserIds:
    """
    The ids that PostHog's, Segment's or RudderStack's script left, the first that is there.

    They are the browser's word: good for analytics, never for a permission.
    """
    for find in (_posthog, _segment, _rudderstack):
        found = find(cookie_header)
        if found.anonymous_id is not None or found.user_id is not None:
            return found
    return BrowserIds()


def _posthog(header: str) -> BrowserIds:
    """``ph_<key>_posthog``: an object, URL-encoded; ``$device_id`` is the anonymous one."""
    if "_posthog" not in header:
        return BrowserIds()
    name = _POSTHOG.search(header[: 4 * _MOST])
    told = _json(unquote(cookie_value(header, name[1])[:_MOST])) if name else None
    if not isinstance(told, dict):
        return BrowserIds()
    distinct, device = _id(told.get("distinct_id")), _id(told.get("$device_id"))
    session = told.get("$sesid")
    session_id = None
    if isinstance(session, list) and len(session) > _SESSION_SLOT:
        session_id = _id(session[_SESSION_SLOT])
    known = distinct if distinct != device and device is not None else None
    return BrowserIds(device or distinct, known, session_id)


def _segment(header: str) -> BrowserIds:
    """``ajs_anonymous_id`` and ``ajs_user_id``, plain or as a JSON text."""
    names = ("ajs_anonymous_id", "ajs_user_id")
    return BrowserIds(*(_id(_unquoted(cookie_value(header, name))) for name in names))


def _rudderstack(header: str) -> BrowserIds:
    """``rl_anonymous_id`` and ``rl_user_id``, JSON in base64 behind a prefix."""
    names = ("rl_anonymous_id", "rl_user_id")
    ids = [_id(_rudder_value(cookie_value(header, name))) for name in names]
    session = _rudder_value(cookie_value(header, "rl_session"))
    session_id = _id(session.get("id")) if isinstance(session, dict) else None
    return BrowserIds(ids[0], ids[1], session_id)


def _rudder_value(text: str) -> Any:
    text = unquote(text[:_MOST])
    for prefix in _RUDDER:
        if text.startswith(prefix):
            encoded = text.removeprefix(prefix)
            try:
                plain = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
            except ValueError:
                return None
            return _json(plain)
    return _unquoted(text)


def _unquoted(text: str) -> Any:
    plain = unquote(text[:_MOST])
    return _json(plain) if plain[:1] in {'"', "{"} or plain == "null" else plain


def _json(text: str | bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def _id(value: Any) -> str | None:
    """An id as text without control characters; None where it is none."""
    found = id_text(value)
    return None if found is None or _CONTROL.search(found) else found
