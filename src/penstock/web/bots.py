"""Programs that visit: they get no cookie, and no links that would make them people."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.web.head import Head

#: Words in the user agents of crawlers, previews, monitors and HTTP libraries.
WORDS = (
    *("bot", "crawl", "spider", "slurp", "headless", "preview", "monitor", "curl/", "wget/"),
    *("python-requests", "python-urllib", "python-httpx", "aiohttp/", "go-http-client"),
    *("okhttp", "libwww", "java/", "lighthouse", "scrapy", "facebookexternalhit"),
)


@lru_cache(maxsize=16)
def pattern(more: tuple[str, ...]) -> re.Pattern[str]:
    """One that finds any of the words, whatever their case."""
    words = "|".join(re.escape(word) for word in (*WORDS, *more))
    return re.compile(words, re.IGNORECASE)


def is_bot(head: Head, user_agent: str, more: Sequence[str] = ()) -> bool:
    """Whether nobody looks at what is asked for: a program, or a browser that fetches ahead."""
    if not user_agent:
        return True
    ahead = head.get("sec-purpose") or head.get("purpose")
    if ahead and "prefetch" in ahead.lower():
        return True
    return pattern(tuple(more)).search(user_agent) is not None
