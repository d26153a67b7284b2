"""
Ids without cookies: nobody's placeholder, and a hash that is somebody's for a day.

Neither is ever identified, aliased or merged (`penstock._nobody`).

Source: Dreamdata's guide to tracking without cookies; PostHog's cookieless mode, whose hash has
the same parts.
"""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address, ip_network
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from penstock._nobody import HASH_LENGTH, HASH_PREFIX, PLACEHOLDER, SERVER_HASH

if TYPE_CHECKING:
    from collections.abc import Callable

#: Hours a salt lives: its day, and whatever the clocks of the hosts differ by.
SALT_LIFE_S = 48 * 3600.0
_SALT_BYTES = 32
#: Days of salts in memory: today's, and yesterday's for what is under way at midnight.
_KEPT_DAYS = 2


class SaltStore(Protocol):
    """
    Where hosts share the salt of a day.

    Keep it for 48 hours at most, and log it nowhere: with it, ids can be computed again.
    """

    def salt(self, day: str, propose: bytes) -> bytes:
        """
        The salt of a day.

        Args:
            day: As in ``2026-03-01``, in UTC.
            propose: What it becomes if the day has none yet; 32 random bytes. Of several
                proposals at once one must win for all.
        """
        ...


class MemorySalts:
    """Salts of one process; it forgets them with the day after."""

    def __init__(self) -> None:
        self._salts: dict[str, bytes] = {}
        self._lock = Lock()

    def salt(self, day: str, propose: bytes) -> bytes:
        """See `SaltStore.salt`."""
        with self._lock:
            found = self._salts.setdefault(day, propose)
            for old in sorted(self._salts)[:-_KEPT_DAYS]:
                del self._salts[old]
            return found

    def __repr__(self) -> str:
        """No salt."""
        return "<MemorySalts>"


class DailySaltId:
    """
    A visitor's id for one day: a keyed hash of site, address and user agent.

    Rotates at midnight UTC, so it counts visits and not people.

    Args:
        store: Where the hosts share the day's salt; memory, and so this process, by default.
        secret: Compute the salts from it instead. Weaker: who has it can compute old ids again.
        clock: Seconds since 1970, for tests.

    .. versionadded:: 0.1
    """

    def __init__(
        self,
        store: SaltStore | None = None,
        *,
        secret: bytes | str | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._store = store or MemorySalts()
        self._secret = secret.encode() if isinstance(secret, str) else secret
        self._clock = clock
        #: Whether events keep the address: with it beside the hash, the hash hides nothing.
        self.keeps_ip = False

    def id_for(self, site: str, ip: str, user_agent: str) -> str:
        """
        Today's id.

        Args:
            site: The host name, so that two sites see two ids.
            ip: The client's address; of IPv6 the /64 counts, which is what a household has.
            user_agent: As it came.
        """
        text = "\0".join((site.lower(), _household(ip), user_agent))
        digest = hmac.new(self._salt(), text.encode("utf-8", "surrogatepass"), sha256).digest()
        length = HASH_LENGTH - len(HASH_PREFIX)
        return HASH_PREFIX + urlsafe_b64encode(digest).decode()[:length]

    def _salt(self) -> bytes:
        moment = datetime.now(UTC)
        if self._clock is not None:
            moment = datetime.fromtimestamp(self._clock(), UTC)
        day = moment.date().isoformat()
        if self._secret is not None:
            return hmac.new(self._secret, day.encode(), sha256).digest()
        return self._store.salt(day, os.urandom(_SALT_BYTES))

    def __repr__(self) -> str:
        """No secret and no salt."""
        return "<DailySaltId>"


class Placeholder:
    """
    One anonymous id for all visitors, as Dreamdata has it: attribution is by company only.

    An event without an address says nothing then; Dreamdata refuses it. PostHog gets another id
    for each event, and makes no profiles.

    Args:
        value: Also ``$posthog_cookieless``, with which PostHog's server computes the id if the
            project allows it. Experimental.

    .. versionadded:: 0.1
    """

    def __init__(self, value: str = PLACEHOLDER) -> None:
        if value not in {PLACEHOLDER, SERVER_HASH}:
            raise ValueError(f"a placeholder is {PLACEHOLDER!r} or {SERVER_HASH!r}")
        self._value = value
        self.keeps_ip = True

    def id_for(self, site: str, ip: str, user_agent: str) -> str:  # noqa: ARG002 - as DailySaltId
        """The same for everybody."""
        return self._value


def _household(ip: str) -> str:
    try:
        given = ip_address(ip)
    except ValueError:
        return ""
    if given.version == 4:  # noqa: PLR2004 - the protocol's number
        return str(given)
    return str(ip_network((given, 64), strict=False).network_address)
