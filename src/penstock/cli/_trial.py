"""A client that goes through every motion but sending, for dry runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from penstock import Client, Collector, Config
from penstock.config import Block
from penstock.transport import Response

if TYPE_CHECKING:
    from penstock.transport import Request

#: Messages shown.
SAMPLE = 3
#: Memory for messages on their way to nowhere.
ROOM_BYTES = 16 * 1024 * 1024


class Trial:
    """
    Validates, stamps and encodes as a real client would; keeps the first few messages.

    Args:
        max_message_bytes: The destinations' limit; None for the smallest any vendor has.
    """

    def __init__(self, max_message_bytes: int | None = None) -> None:
        self._sample: list[dict[str, Any]] = []
        config = Config(
            journal=None,
            journal_max_bytes=ROOM_BYTES,
            transport=_Nowhere(),
            before_send=self._keep,
            overflow=Block(60.0),
            max_message_bytes=max_message_bytes,
            max_batch_bytes=4 * (max_message_bytes or 0) or None,
            strict=True,
        )
        self.client = Client(Collector("dry-run"), config=config)

    def _keep(self, message: dict[str, Any]) -> dict[str, Any]:
        if len(self._sample) < SAMPLE:
            self._sample.append(dict(message))
        return message

    @property
    def sample(self) -> tuple[dict[str, Any], ...]:
        """The first messages, in neutral JSON."""
        return tuple(self._sample)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close(timeout=0)


class _Nowhere:
    """Takes every request."""

    def send(self, request: Request, timeout: float) -> Response:
        """Say yes."""
        del request, timeout
        return Response(200, {}, b"{}")

    def close(self) -> None:
        """Nothing is open."""
