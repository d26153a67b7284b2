"""Make a client say everything it can say, and show what it is made of."""

from __future__ import annotations

import logging
import os
import sys

from common import report

from penstock import Client, Config, PostHog, RudderStack, Segment
from penstock.destinations import destination_from_url
from penstock.errors import PenstockError

SECRET = os.environ["PROPERTY_VALUE"]
USER = os.environ["USER_ID"]
KEY = os.environ["WRITE_KEY"]
SINK = os.environ["SINK"]


def show(*things: object) -> None:
    """Print, as the host does."""
    sys.stdout.write(" ".join(map(str, things)) + "\n")


class Callback:
    """Prints what a host would print."""

    def success(self, _message: object) -> None:
        """Show that it was called; the message is the host's own data."""

    def failure(self, _message: object, error: Exception) -> None:
        """Show the error, as a host would log it."""
        show("failure:", error, repr(error))


def attempt(call: object, *args: object, **kwargs: object) -> None:
    """Show the error a call raises."""
    try:
        call(*args, **kwargs)  # type: ignore[operator]
    except PenstockError as error:
        show("raised:", error, repr(error), repr(error.__cause__), repr(error.__context__))


logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)
destinations = (Segment(KEY, endpoint=SINK), RudderStack(KEY, SINK), PostHog(KEY, SINK))
config = Config(callback=Callback(), verbose=True, interval=0.01, timeout=1.0)
client = Client(*destinations, config=config)
for thing in (*destinations, config, client):
    show(repr(thing), str(thing))
properties = {"secret": SECRET, "nested": [{"secret": SECRET}], SECRET: 1}
for event in ("Good", "Poison", "Better"):
    client.track(USER, event, properties, context={"secret": SECRET})
client.track(USER, "Odd", {"value": object(), "nan": float("nan"), "secret": SECRET})
client.track(USER, "Huge", {"blob": SECRET * 100_000})
client.identify(USER, {"email": SECRET})
attempt(client.track, USER, "", properties)
attempt(client.track, USER, 7, properties)
attempt(client.track, [SECRET], "Event", properties)
attempt(client.track, USER, "Event", SECRET)
attempt(client.group, USER, "", {"secret": SECRET})
for url in (f"nowhere://{KEY}@host", f"segment://{KEY}@host:port", f"segment://{KEY}@"):
    attempt(destination_from_url, url)
attempt(Segment, KEY, endpoint=f"https://{KEY}@host:port")
attempt(Segment, f" {KEY}\n")
attempt(PostHog, f"phx_{KEY}")
client.add_step(SECRET, secret=SECRET)
try:
    int(SECRET)
except ValueError as error:
    client.capture_exception(error, properties={"secret": SECRET, "odd": object()})
    client.capture_exception(error, user_id=[SECRET], properties=SECRET, level=SECRET)
    client.capture_exception(SECRET, user_id=[SECRET], timestamp=SECRET, groups=SECRET)
handler = client.install_logging("shop")
handler.handle(logging.makeLogRecord({"name": "shop", "levelno": 40, "msg": SECRET, "x": SECRET}))
client.capture("$exception", USER, {"secret": SECRET})
show(repr(handler), client.error_tracker.counts())
client.flush(timeout=4)
report(client)
client.close(timeout=1)
show(repr(client), repr(client.ledger()))
