"""Requests as a client with nothing else to do would have them ready."""

from __future__ import annotations

import json

import events


def request(first: int, count: int) -> bytes:
    """One with *count* full events as Segment messages, numbered from *first*."""
    body = json.dumps({"batch": [_message(first + n) for n in range(count)]}).encode()
    head = f"POST /v1/batch HTTP/1.1\r\nHost: sink\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _message(number: int) -> dict[str, object]:
    event = events.full(number)
    return {
        "type": "track",
        "messageId": f"{number:036}",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "userId": event.user,
        "event": event.name,
        "properties": event.properties,
        "context": event.context,
    }
