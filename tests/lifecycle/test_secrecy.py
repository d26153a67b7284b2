"""Nothing a log collector or an error tracker may see holds a key or an event."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from faults import rules

if TYPE_CHECKING:
    from faults.host import Host
    from faults.sink import Exchange

KEY = "wk-3f9a-do-not-print"
USER = "user-do-not-print@example.test"
VALUE = "value-do-not-print"


def test_no_key_and_no_payload_in_any_line_or_repr(host: Host) -> None:
    """Every failure there is, at the loudest setting: the output names none of the secrets."""
    host.sink.plan(
        rules.Run(rules.status(500), rules.RESET_MID_BODY, rules.LOST_ANSWER, rules.status(401)),
        rules.poison({"Poison"}),
        echo,
    )
    finished = host.run(
        "noisy.py",
        WRITE_KEY=KEY,
        USER_ID=USER,
        PROPERTY_VALUE=VALUE,
        DEBUG="penstock",
        timeout=40,
    )
    assert finished.returncode == 0, finished.output
    assert "penstock" in finished.output, "it said nothing at all"
    basic = base64.b64encode(f"{KEY}:".encode()).decode()
    for secret in (KEY, USER, VALUE, basic):
        lines = [line for line in finished.output.splitlines() if secret in line]
        assert lines == []
    host.assert_balanced(finished)


def echo(exchange: Exchange) -> rules.Answer | None:
    """Some servers repeat what they were sent in their error; that must not be logged either."""
    if any(event.get("type") == "identify" for event in exchange.events):
        words = f"not accepted: {exchange.json.decode()}"
        return rules.Answer(422, body=json.dumps({"code": "odd", "message": words}).encode())
    return None
