"""
Who an event to PostHog belongs to: one ``distinct_id``, out of two neutral ids.

What was which stays readable, so that the way back gives both ids again.

Source: the protocol reference, 3.2 and 3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock._nobody import PLACEHOLDER, SERVER_HASH, is_nobodys
from penstock.dialects._posthog_options import as_bool
from penstock.dialects._types import Unencodable

if TYPE_CHECKING:
    from penstock.dialects._posthog_draft import Draft

#: Characters. PostHog cuts a longer id (legacy), which can merge two users, or drops it (V1).
MAX_DISTINCT_ID = 200


def synthetic_id(group_type: str, group_id: str) -> str:
    """The ``distinct_id`` of a group event that belongs to no user; as ph-go and ph-specs do."""
    return f"${group_type}_{group_id}"


def check_id(distinct_id: str) -> None:
    """
    Let pass what PostHog takes as a ``distinct_id``.

    Raises:
        Unencodable: It is empty or too long.
    """
    if not distinct_id:
        raise Unencodable("malformed", "no user id and no anonymous id")
    if len(distinct_id) > MAX_DISTINCT_ID:
        raise Unencodable(
            "rejected", f"the distinct_id is longer than {MAX_DISTINCT_ID} characters"
        )


def mark_identity(draft: Draft, user_id: str, anonymous_id: str, *, native: bool) -> None:
    """
    Say which id ``distinct_id`` is, where a reader could not tell, and name the other one.

    PostHog merges the two persons on ``$identify`` only, where an id has nothing to merge with
    itself.

    Args:
        draft: The event; complete but for this.
        user_id: The message's, or empty.
        anonymous_id: The message's, or empty.
        native: The caller chose ``distinct_id`` itself: then no user is declared known.
    """
    if not user_id:
        if anonymous_id:
            draft.added["$is_identified"] = False
    elif anonymous_id and (draft.event != "$identify" or anonymous_id != user_id):
        draft.added["$anon_distinct_id"] = anonymous_id
    elif not native and _looks_anonymous(draft):
        draft.added["$is_identified"] = True


def shielded_id(draft: Draft, user_id: str, anonymous_id: str) -> str:
    """
    The anonymous id as PostHog may see it.

    One that stands for nobody is never named beside a user, and alone makes no profile.
    Dreamdata's placeholder would make one person of all visitors: each such event gets the id of
    its own ``uuid`` instead, the same on every attempt.
    """
    if not is_nobodys(anonymous_id):
        return anonymous_id
    if user_id:
        return ""
    draft.discard("$process_person_profile")
    draft.added["$process_person_profile"] = False
    if anonymous_id == SERVER_HASH:
        draft.discard("$cookieless_mode")
        draft.added["$cookieless_mode"] = True
    elif anonymous_id == PLACEHOLDER:
        draft.distinct_id = draft.uuid
    return anonymous_id


def _looks_anonymous(draft: Draft) -> bool:
    """Whether a reader would take the user id that is ``distinct_id`` for an anonymous one."""
    if draft.fields or (draft.context is not None and "$device_id" in draft.context.properties):
        personless = as_bool(draft.own("$process_person_profile")) is False
        if personless or draft.own("$device_id") == draft.distinct_id:
            return True
    return bool(draft.forced) and draft.distinct_id == _synthetic(draft)


def _synthetic(draft: Draft) -> str:
    """What the ``distinct_id`` of this group event were without a user; empty on other events."""
    if "$group_type" not in draft.forced:
        return ""
    return synthetic_id(draft.forced["$group_type"], draft.forced["$group_key"])
