"""
An official Python SDK, making the calls it reads from standard input.

    python calls.py SDK ENDPOINT KEY '{"option": ...}' < calls.json

It runs in an environment of its own, which `make .venv-sdks/.stamp` makes, and ends with code 1
when the SDK reports any error.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Call = dict[str, Any]
ERRORS: list[str] = []


def failed(error: object, *_: object) -> None:
    """What each SDK calls when it has given up."""
    ERRORS.append(repr(error))


def moment(call: Call) -> datetime:
    return datetime.fromisoformat(call["timestamp"])


def family(client: Any, ids: bool) -> Callable[[Call], None]:
    """Segment's and RudderStack's SDKs have the same methods; only one takes message ids."""

    def make(call: Call) -> None:
        more = {"timestamp": moment(call)} | ({"message_id": call["id"]} if ids else {})
        user, facts = call["userId"], call.get("facts", {})
        match call["type"]:
            case "identify":
                client.identify(user, facts, **more)
            case "track":
                client.track(user, call["event"], facts, **more)
            case "page":
                client.page(user, call["category"], call["name"], facts, **more)
            case "screen":
                client.screen(user, call["category"], call["name"], facts, **more)
            case "group":
                client.group(user, call["groupId"], facts, **more)
            case "alias":
                client.alias(call["previousId"], user, **more)

    return make


def posthog(client: Any) -> Callable[[Call], None]:
    def make(call: Call) -> None:
        more = {"timestamp": moment(call), "uuid": call["id"]}
        user, facts = call["userId"], call.get("facts", {})
        match call["type"]:
            case "identify":
                client.set(distinct_id=user, properties=facts, **more)
            case "track":
                client.capture(call["event"], distinct_id=user, properties=facts, **more)
            case "page" | "screen":
                event = {"page": "$pageview", "screen": "$screen"}[call["type"]]
                named = {**facts, "name": call["name"], "category": call["category"]}
                client.capture(event, distinct_id=user, properties=named, **more)
            case "group":
                client.group_identify("company", call["groupId"], facts, distinct_id=user, **more)
            case "alias":
                # The vendor's way round: the previous id is the event's distinct_id.
                client.alias(user, call["previousId"], **more)

    return make


def start(sdk: str, endpoint: str, key: str, options: Call) -> tuple[Any, Callable[[Call], None]]:
    """A client, and what makes a call of its."""
    if sdk == "posthog":
        from posthog import Posthog

        client = Posthog(key, host=endpoint, on_error=failed, **options)
        return client, posthog(client)
    if sdk == "segment":
        import segment.analytics.client as module
    else:
        import rudderstack.analytics.client as module
    client = module.Client(key, host=endpoint, on_error=failed, **options)
    return client, family(client, ids=sdk == "segment")


def main() -> None:
    sdk, endpoint, key, options = sys.argv[1:]
    client, make = start(sdk, endpoint, key, json.loads(options))
    for call in json.load(sys.stdin):
        make(call)
    client.flush()
    client.shutdown()
    if ERRORS:
        sys.exit("\n".join(ERRORS))


if __name__ == "__main__":
    main()
