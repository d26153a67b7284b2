"""
A Celery worker whose tasks know whose order they are about.

    BROKER=redis://localhost celery -A worker worker
    BROKER=redis://localhost python flask_shop.py
"""

from __future__ import annotations

import os

from celery import Celery
from shop import client

from penstock.web.celery import install

BROKER = os.environ.get("BROKER")
app = Celery("shop", broker=BROKER) if BROKER else None


def receipt(sku: str) -> None:
    """Nobody is named here: the task is about whoever queued it."""
    client.track(event="Receipt Sent", properties={"sku": sku})


if app is not None:
    app.conf.broker_connection_retry_on_startup = True
    install(app, client)
    receipt = app.task(name="receipt")(receipt)
