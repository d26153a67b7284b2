"""What a request's URL and referrer say: page, campaign, click ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus, urlsplit

from penstock._facts import CLICK_IDS
from penstock.web.head import cleaned

if TYPE_CHECKING:
    from penstock.web.head import Head

#: Characters of a query that are read, and parameters.
_LONGEST_QUERY, _MOST_PARAMETERS = 8192, 200
#: Characters of it that go into an event, which holds it twice.
_LONGEST_SEARCH = 2000
#: Characters of a campaign's field or of a click id.
_LONGEST_VALUE = 255
_LONGEST_PATH, _LONGEST_REFERRER = 1000, 1000
#: ``{parameter: field of the campaign}``.
_CAMPAIGN = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
    "utm_id": "id",
}
_KEPT = CLICK_IDS | _CAMPAIGN.keys()
_is_host = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?").fullmatch
_LONGEST_HOST = 260


def host_of(head: Head, *, forwarded: bool) -> str:
    """The host that was asked for, with its port; empty where the header is none."""
    told = head.get("x-forwarded-host").partition(",")[0].strip() if forwarded else ""
    host = told or head.get("host").strip()
    return host.lower() if len(host) <= _LONGEST_HOST and _is_host(host) else ""


def scheme_of(head: Head, *, forwarded: bool) -> str:
    """``http`` or ``https``."""
    told = head.get("x-forwarded-proto").partition(",")[0].strip().lower() if forwarded else ""
    return told if told in {"http", "https"} else head.scheme


def without_port(host: str) -> str:
    """The host name alone."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def parameters(query: str) -> list[tuple[str, str]]:
    """``[(name, part of the query)]``, as many as are worth reading."""
    parts = query[:_LONGEST_QUERY].split("&")[:_MOST_PARAMETERS]
    return [(unquote_plus(part.partition("=")[0]), part) for part in parts if part]


def kept_query(query: str, policy: str) -> str:
    """What *policy* leaves of a query; with its question mark, or empty."""
    if not query or policy == "none":
        return ""
    if policy == "campaign":
        query = "&".join(part for name, part in parameters(query) if name in _KEPT)
    query = cleaned(query, _LONGEST_SEARCH)
    return f"?{query}" if query else ""


def campaign_and_clicks(query: str) -> tuple[dict[str, str], dict[str, str]]:
    """The first value of each parameter that advertising uses; empty ones say nothing."""
    campaign: dict[str, str] = {}
    clicks: dict[str, str] = {}
    for name, part in parameters(query):
        if name not in _KEPT:
            continue
        raw = unquote_plus(part.partition("=")[2], errors="replace")
        value = _clean_unicode(raw)
        field = _CAMPAIGN.get(name)
        if value and field is not None:
            campaign.setdefault(field, value)
        elif value:
            clicks.setdefault(name, value)
    return campaign, clicks


def page_of(head: Head, host: str, scheme: str, policy: str) -> dict[str, Any]:
    """The context's ``page``."""
    path = _clean_unicode(unquote(head.path, errors="replace"), _LONGEST_PATH) or "/"
    shown = cleaned(head.path, _LONGEST_PATH) or "/"
    search = kept_query(head.query, policy)
    page: dict[str, Any] = {"path": path}
    if host:
        page["url"] = f"{scheme}://{host}{shown}{search}"
    if search:
        page["search"] = search
    referrer = referrer_of(head, host, policy)
    if referrer:
        page["referrer"] = referrer
    return page


def referrer_of(head: Head, host: str, policy: str) -> str:
    """Where the visitor came from: without credentials and fragment, a stranger's without query."""
    given = head.text("referer", 4 * _LONGEST_REFERRER)
    if not given:
        return ""
    try:
        parts = urlsplit(given)
        theirs = parts.netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not _is_host(theirs):
        return ""
    search = kept_query(parts.query, policy) if theirs == host else ""
    return f"{parts.scheme}://{theirs}{parts.path}{search}"[:_LONGEST_REFERRER]


def _clean_unicode(text: str, longest: int = _LONGEST_VALUE) -> str:
    """As `cleaned`, of text that was decoded already."""
    return cleaned(text.encode("utf-8", "replace").decode("latin-1"), longest)
