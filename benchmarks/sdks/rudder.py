"""rudder-sdk-python."""

from __future__ import annotations

from typing import Any

from rudderstack.analytics.client import Client

from sdks._queued import Queued, settings


class Rudder(Queued):
    def __init__(self, url: str, gzip: bool | None = None, queue: int | None = None) -> None:
        super().__init__()
        self.client = Client("WK_bench", host=url, on_error=self.on_error, **settings(gzip, queue))


def open_client(url: str, **options: Any) -> Rudder:
    return Rudder(url, **options)
