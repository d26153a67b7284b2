"""Times on the command line: how long ago, when, for how long."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

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


def timeout_option(
    seconds: float, means: str, *, at_least: float = 0.0
) -> Callable[[Callable[..., Any]], Any]:
    """
    The option ``--timeout``.

    Args:
        seconds: Its default.
        means: What it bounds, for the help.
        at_least: The smallest one that makes sense.
    """
    return click.option(
        "--timeout",
        type=click.FloatRange(min=at_least),
        default=seconds,
        show_default=True,
        metavar="S",
        help=means,
    )
