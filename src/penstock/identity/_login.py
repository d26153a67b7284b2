"""
From an anonymous device to a known person, and back.

Each vendor has its own way: Segment and RudderStack take an identify with both ids, PostHog the
same as ``$anon_distinct_id``, Dreamdata wants an alias and then the identify.

Source: the vendors' guides to identity; PostHog's ingestion, which merges the anonymous person
into the other and refuses where the absorbed one is identified already.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from uuid_utils import uuid4

from penstock import _checks
from penstock._boundary import id_text
from penstock._nobody import is_nobodys
from penstock.scope import CURRENT, current_boundary

if TYPE_CHECKING:
    from penstock.client import Client
    from penstock.messages import Data, Id
    from penstock.scope import Scope

#: Bytes of the mark that says whom a device was linked to.
_MARK_BYTES = 9


def login(client: Client, user_id: Id, traits: Data | None) -> str:
    """See `penstock.Client.login`."""
    user = _checks.required_id(user_id, "Login", "user_id")
    scope = CURRENT.get()
    device = None if scope is None else linkable(scope, user)
    boundary = current_boundary()
    if boundary is not None:
        boundary.set_user(user)
    if device is None:
        return client.identify(user, traits, anonymous_id="")
    _alias(client, user, device)
    identity = client.identify(user, traits, anonymous_id=device)
    remember: Any = getattr(boundary, "remember_link", None)
    if remember is not None:
        remember(mark_of(device, user))
    return identity


def linkable(scope: Scope, user: str) -> str | None:
    """The device to link with *user*: known, somebody's, another id, and not linked before."""
    boundary = scope.boundary
    device = id_text(scope.anonymous)
    if device is None and boundary is not None:
        device = boundary.known_device
    if device is None or is_nobodys(device) or device == id_text(user):
        return None
    return None if getattr(boundary, "link_mark", "") == mark_of(device, user) else device


def mark_of(device: str, user: str) -> str:
    """What a device remembers of a link; it tells nothing about whom."""
    digest = blake2b(f"{device}\0{user}".encode("utf-8", "replace"), digest_size=_MARK_BYTES)
    return digest.hexdigest()


def _alias(client: Client, user: str, device: str) -> None:
    """Dreamdata's link; nobody else gets it."""
    kinds = {one.name: one.dialect.name for one in client.destinations}
    others = [name for name, dialect in kinds.items() if dialect != "dreamdata"]
    if len(others) == len(kinds):
        return
    flags = {"All": True, **dict.fromkeys(others, False)} if others else None
    client.alias(user_id=user, previous_id=device, integrations=flags)


def logout() -> None:
    """See `penstock.Client.logout`."""
    boundary = current_boundary()
    if boundary is None:
        return
    boundary.set_user(None)
    rotate: Any = getattr(boundary, "rotate_device", None)
    if rotate is not None:
        rotate()
    elif boundary.device() is not None:
        boundary.set_device(str(uuid4()))
