"""What is attached to a remote config flag. Source: the feature flags reference, 4.4."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock._log import WARNING
from penstock.flags.carrier import deadline_of, within
from penstock.flags.payloads import decoded
from penstock.transport import TransportError

if TYPE_CHECKING:
    from penstock._log import Log
    from penstock.flags.carrier import Carrier
    from penstock.flags.source import Provider

_OK = 200


def remote_config(provider: Provider, key: str, timeout: float, carrier: Carrier, log: Log) -> Any:
    """
    The payload, decoded; None where it cannot be told. Never raises.

    Args:
        provider: Whom to ask.
        key: The flag's.
        timeout: Seconds this may take.
        carrier: Carries the request.
        log: Told why there is none.
    """
    if not provider.secret_key:
        log.say(WARNING, "remote_config", "remote config needs a secret key (flags.secret_key)")
        return None
    deadline = deadline_of(timeout)

    def ask() -> tuple[Any, str]:
        return _ask(provider, key, carrier, deadline)

    payload, trouble = within(timeout, ask) or (None, "timeout")
    if trouble:
        log.say(WARNING, "remote_config", "remote config cannot be loaded (%s)", trouble)
    return payload


def _ask(provider: Provider, key: str, carrier: Carrier, deadline: float) -> tuple[Any, str]:
    """The payload, and what went wrong."""
    try:
        left = max(0.001, deadline - time.monotonic())
        response = carrier.send(provider.remote_config_request(key), left)
    except TransportError as error:
        return None, error.kind
    except Exception as error:  # noqa: BLE001 - nothing may be raised into a read
        return None, type(error).__name__
    if response.status != _OK:
        return None, f"HTTP {response.status}"
    return decoded(response.body.decode("utf-8", "replace")), ""
