"""
Whether a request may leave this process: the environment variable ``PENSTOCK_NETWORK``.

It exists for tests. A test suite that exercises an application sends that application's events,
and more than one vendor found its own test events in its own production project. So the pytest
plugin sets the variable to ``deny``, and a child process inherits it, which a setting inside this
process could not give.

The variable is read for every request: a test may change it while a client is alive. One look
into `os.environ` costs about a microsecond, against a network round trip.
"""

from __future__ import annotations

import os
from collections import deque
from ipaddress import ip_address
from urllib.parse import urlsplit

from penstock.transport._types import TransportError

VARIABLE = "PENSTOCK_NETWORK"
#: ``allow`` everything, only ``loopback`` addresses, or ``deny`` everything.
MODES = ("allow", "loopback", "deny")

#: Hosts that were refused, oldest first; the pytest plugin reports them. Bounded, because a
#: client with a disk journal tries again for as long as it lives.
refused: deque[str] = deque(maxlen=1000)


def check(url: str) -> None:
    """
    Let a request to *url* pass, or refuse it.

    Raises:
        TransportError: Of kind ``denied``. An unknown value of the variable denies too: a
            misspelt ``deny`` must not send.
    """
    mode = os.environ.get(VARIABLE, "allow")
    if mode == "allow":
        return
    host = urlsplit(url).hostname or ""
    if mode == "loopback" and _is_loopback(host):
        return
    refused.append(host)
    raise TransportError(
        "denied",
        f"{VARIABLE}={mode} refuses {host}; a test that means it says"
        " @pytest.mark.penstock_network, see docs/testing.md",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
