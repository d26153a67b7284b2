"""
PostHog's Python SDK, asking for the flags of the people it reads from standard input.

    python flags.py MODE ENDPOINT KEY SECRET < people.json

MODE is ``remote`` or ``local``. It prints a JSON object: ``flags`` has ``{key: value}`` per person,
``payloads`` the same, ``config`` what remote config says of the flag ``limits``.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore", DeprecationWarning)


def main() -> None:
    mode, endpoint, key, secret = sys.argv[1:]
    from posthog import Posthog

    local = mode == "local"
    client = Posthog(
        key, host=endpoint, personal_api_key=secret, enable_local_evaluation=local, debug=False
    )
    if local:
        client.load_feature_flags()
        etag = client._flags_etag
        client._load_feature_flags()  # as its poller does: the answer is 304, and nothing is lost
        assert etag, "the definitions came without an ETag"
        assert client._flags_etag == etag
    asked = [ask(client, person, local=local) for person in json.load(sys.stdin)]
    told = {
        "flags": [values for values, _ in asked],
        "payloads": [payloads for _, payloads in asked],
        "config": client.get_remote_config_payload("limits"),
    }
    sys.stdout.write(json.dumps(told))
    client.shutdown()


def ask(client: Any, person: dict[str, Any], *, local: bool) -> tuple[Any, Any]:
    found = client.evaluate_flags(
        person["distinct_id"],
        person_properties=person["properties"],
        groups=person["groups"],
        group_properties=person["group_properties"],
        device_id=person["device_id"],
        only_evaluate_locally=local,
    )
    keys = list(found.keys)
    values = {key: found.get_flag(key, send_feature_flag_events=False) for key in keys}
    return values, {key: found.get_flag_payload(key) for key in keys}


if __name__ == "__main__":
    main()
