"""The shop behind a queue: one job tracks some events. Celery's application, and RQ's jobs."""

from __future__ import annotations

import os

from celery import Celery
from shop import sell

app = Celery("shop", broker=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False


@app.task
def sale(count: int) -> None:
    """A job of Celery's."""
    sell(count)
