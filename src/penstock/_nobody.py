"""
Anonymous ids that stand for nobody in particular, so that merging one would merge strangers.

Dreamdata's placeholder is everybody who is tracked without cookies; PostHog's says that its
server computes the id; a daily hash is a visitor for one day at most.

Source: the Dreamdata guide to tracking without cookies; PostHog's cookieless mode.
"""

from __future__ import annotations

#: The ``anonymousId`` of everybody, at Dreamdata.
PLACEHOLDER = "cookieless"
#: The ``distinct_id`` for which PostHog's server computes one.
SERVER_HASH = "$posthog_cookieless"
#: What a daily hash begins with, and how long it is.
HASH_PREFIX, HASH_LENGTH = "cl_", 25


def is_nobodys(anonymous_id: str | None) -> bool:
    """Whether this id must never be identified, aliased or merged."""
    if not anonymous_id or anonymous_id[0] not in "c$":
        return False
    if anonymous_id in {PLACEHOLDER, SERVER_HASH}:
        return True
    return anonymous_id.startswith(HASH_PREFIX) and len(anonymous_id) == HASH_LENGTH
