"""The webhook: neutral events, whole and signed, to any address."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neutral import ATTEMPT, messages, neutral, record_of
from penstock import Client, Config, Webhook
from penstock.dialects import Accepted, Malformed, Rejected, RetryLater, TooLarge
from penstock.dialects.webhook import WebhookDialect
from penstock.kinds import Kind
from penstock.transport import Response

if TYPE_CHECKING:
    from faults.desk import Desk
    from faults.sink import FaultSink

URL = "https://hooks.example/penstock"
SECRET = "whsec_loopback_only"


def verified(secret: str, header: str, body: bytes) -> int:
    """When *body* was signed, if it was, written apart from the code under test."""
    stamp, digest = header.removeprefix("t=").split(",v1=")
    mine = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, "sha256").hex()
    assert hmac.compare_digest(mine, digest)
    return int(stamp)


@pytest.mark.parametrize("shape", ["json", "ndjson"])
@given(batch=st.lists(messages(), min_size=1, max_size=5))
def test_the_body_is_the_events_and_its_length_is_exact(
    shape: Any, batch: list[dict[str, Any]]
) -> None:
    """An array, or one event a line; each as it lies in the journal."""
    dialect = WebhookDialect(URL, SECRET, format=shape)
    encoded = [dialect.encode(record_of(message)) for message in batch]
    body = dialect.request(encoded, ATTEMPT).body
    assert len(body) == dialect.body_bytes(len(encoded), sum(len(e.wire) for e in encoded))
    lines = body.split(b"\n")
    found = json.loads(body) if shape == "json" else [json.loads(line) for line in lines[:-1]]
    assert found == batch
    assert shape == "json" or lines[-1] == b""


def test_a_request_is_signed_over_its_time_and_body() -> None:
    """The time is that of the attempt; the batch's id stays over attempts."""
    dialect = WebhookDialect(URL, SECRET)
    encoded = dialect.encode(record_of(neutral("track", userId="u", event="Ünïcode")))
    request = dialect.request([encoded], ATTEMPT)
    assert verified(SECRET, request.headers["Penstock-Signature"], request.body) == 1_772_360_435
    assert request.headers["Penstock-Batch"] == ATTEMPT.request_id
    assert (request.method, request.url) == ("POST", URL)
    assert SECRET not in repr(request)


def test_a_known_signature_never_changes() -> None:
    """Receivers have this in their tests."""
    dialect = WebhookDialect(URL, "secret")
    encoded = dialect.encode(record_of(neutral("track", userId="u", event="E")))
    request = dialect.request([encoded], ATTEMPT)
    expected = hashlib.sha256()  # HMAC by its definition, RFC 2104
    key = b"secret".ljust(64, b"\0")
    expected.update(bytes(byte ^ 0x36 for byte in key) + b"1772360435." + request.body)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + expected.digest()).hexdigest()
    assert request.headers["Penstock-Signature"] == f"t=1772360435,v1={outer}"


def test_every_kind_goes_as_it_is() -> None:
    """PostHog's own calls too: who reads a webhook wants what was said."""
    assert all(kind < WebhookDialect("https://h.test", "s").verbatim.below for kind in Kind)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (204, Accepted()),
        (503, RetryLater()),
        (429, RetryLater()),
        (413, TooLarge()),
        (400, Malformed()),
        (410, Rejected()),
    ],
)
def test_an_answer_means_what_its_status_says(status: int, outcome: Any) -> None:
    """As for every destination without verdicts of its own."""
    dialect = WebhookDialect(URL, SECRET)
    assert dialect.classify(Response(status, {}, b""), []) == outcome


def test_a_secret_is_shown_nowhere(caplog: Any) -> None:
    """Not in a repr, not in an error, not in a log."""
    hook = Webhook(SECRET, URL)
    assert SECRET not in repr(hook)
    assert "secret='wh…'" in repr(hook)
    assert SECRET not in caplog.text


@pytest.mark.usefixtures("desk")
def test_a_webhook_is_selected_like_any_tool(sink: FaultSink, desk: Desk, tmp_path: Any) -> None:
    """By the name it has; delivered over a real connection, compressed, and still verifiable."""
    del desk
    hook = Webhook(SECRET, f"{sink.url}/hooks/penstock", name="Warehouse", compression="gzip")
    with Client(hook, config=Config(journal=tmp_path)) as client:
        wanted = client.track("u", "A", integrations={"All": False, "Warehouse": True})
        client.track("u", "B", integrations={"Warehouse": False})
        client.track("u", "C", integrations={"All": False, "Webhook": True})
    assert sink.accepted == {wanted}
    (exchange,) = sink.exchanges
    verified(SECRET, exchange.request.headers["penstock-signature"], exchange.json)
    assert exchange.request.path == "/hooks/penstock"
