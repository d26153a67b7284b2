"""Times on the command line: how long ago, or when."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_SPAN = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Since(click.ParamType[datetime]):
    """``90s``, ``15m``, ``2h``, ``7d``, or an RFC 3339 time."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time, aware."""
        found = _SPAN.fullmatch(value)
        try:
            if found:
                span = timedelta(**{_UNITS[found.group(2)]: int(found.group(1))})
                return datetime.now(UTC) - span
            moment = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail("a time is 90s, 15m, 2h, 7d, or RFC 3339", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
