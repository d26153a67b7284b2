"""What delivery to one destination goes by: the client's settings over the destination's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.delivery._batcher import Limits

if TYPE_CHECKING:
    from penstock.config import Config, Retry
    from penstock.destinations import Destination


class PumpSettings(NamedTuple):
    """The numbers one pump goes by."""

    limits: Limits
    #: Seconds an event waits for its batch to fill.
    interval: float
    #: Seconds one request may take.
    timeout: float
    compression: str | None
    retry: Retry
    concurrency: int
    ordered: bool
    #: Seconds after capture.
    max_age: float


def pump_settings(config: Config, destination: Destination) -> PumpSettings:
    """
    What was said for the destination itself, else the client's setting, else the vendor's.

    Raises:
        ConfigError: A setting of the client is impossible for this destination.
    """
    settled = destination.with_defaults(
        batch_size=config.batch_size,
        interval=config.interval,
        max_message_bytes=config.max_message_bytes,
        max_batch_bytes=config.max_batch_bytes,
        compression=config.compression,
        timeout=config.timeout,
    )
    return PumpSettings(
        limits=Limits(settled.batch_size, settled.max_message_bytes, settled.max_batch_bytes),
        interval=settled.interval,
        timeout=settled.timeout,
        compression=settled.compression,
        retry=config.retry,
        concurrency=config.concurrency,
        ordered=config.ordering == "user",
        max_age=config.max_age,
    )
