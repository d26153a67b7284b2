"""A queue's worker whose tasks end in every way there is."""

from __future__ import annotations

import os

from celery import Celery
from celery.exceptions import Ignore, Reject

from penstock import Client, Config, ErrorTracking, Segment
from penstock.web.celery import install

app = Celery("shop", broker=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False
client = Client(
    Segment(os.environ["WRITE_KEY"], endpoint=os.environ["SINK"]),
    config=Config(
        interval=0.05,
        error_tracking=ErrorTracking(exceptions_as_track="Exception Captured"),
    ),
)
install(app, client, tags=["plan"])


class ExpectedError(Exception):
    """What a task says it throws."""


class BrokenError(Exception):
    """What it does not say."""


@app.task
def sale() -> None:
    """Works."""
    client.track(event="Sale")


@app.task
def ignored() -> None:
    """Ends without success, failure or retry."""
    client.set_user("u-leaked")
    client.tag("leaked", "yes")
    client.track(event="Ignored")
    raise Ignore


@app.task(acks_late=True)
def rejected() -> None:
    """The same, for the broker."""
    client.set_user("u-leaked")
    client.track(event="Rejected")
    raise Reject("no", requeue=False)


@app.task(throws=(ExpectedError,))
def throws() -> None:
    """Fails as announced."""
    client.track(event="Throws")
    raise ExpectedError


@app.task
def fails() -> None:
    """Fails."""
    client.track(event="Fails")
    raise BrokenError


@app.task(bind=True, max_retries=1, default_retry_delay=0)
def retried(self) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - Celery's
    """Fails once."""
    client.track(event="Retried", properties={"attempt": self.request.retries})
    if not self.request.retries:
        raise self.retry()
