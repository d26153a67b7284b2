"""One request in, one response out. Never retries, never logs a body."""

from penstock.transport._types import Request, Response, Transport, TransportError

__all__ = ["Request", "Response", "Transport", "TransportError"]
