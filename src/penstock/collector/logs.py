"""
Log lines: for people, or one JSON object each for whatever collects them.

What is logged is about the collector: it starts, stops, cannot write, restarts a process. No
line holds a payload, a key, or anything else that a client sent.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from typing import Any

import orjson

#: What ``extra={FACTS: {...}}`` adds to a JSON line.
FACTS = "facts"
FORMATS = ("text", "json")


class JsonLines(logging.Formatter):
    """
    One object per line.

    Args:
        process: ``server``, ``worker 1``, ``pipeline``, ...
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """``time``, ``level``, ``message``, ``process``, ``pid``, and the facts."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "process": self._process,
            "pid": os.getpid(),
            **getattr(record, FACTS, {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return orjson.dumps(line, default=str).decode()


def set_up(form: str, process: str) -> None:
    """
    Have this process log to standard error.

    Args:
        form: One of `FORMATS`.
        process: What this process is.
    """
    handler = logging.StreamHandler()
    if form == "json":
        handler.setFormatter(JsonLines(process))
    else:
        name = "penstock" if process == "server" else f"penstock {process}"
        handler.setFormatter(logging.Formatter(f"{name}: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # A line per start and stop is for machines; people see the address.
    logging.getLogger("penstock.collector").setLevel(
        logging.INFO if form == "json" else logging.WARNING
    )
    # It warns of each request that is no HTTP: anybody could fill the log with those.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
