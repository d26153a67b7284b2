"""From templates to HTML; every value is escaped, whatever it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jinja2
import orjson

from penstock import __version__
from penstock.collector.pages.words import MEANINGS
from penstock.collector.trace.masking import masked_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_KIB = 1024
#: Characters of an object; an event may have a million.
_MOST_SHOWN = 64 * _KIB


def _pretty(value: object) -> str:
    """JSON for people."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    try:
        text = orjson.dumps(value, default=str, option=options).decode()
    except (TypeError, orjson.JSONEncodeError):  # nested too deeply
        text = str(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def _moment(value: object) -> str:
    """``2026-11-21 12:00:01.123``, UTC, of a datetime, or of milliseconds since 1970."""
    if not isinstance(value, datetime):
        value = datetime.fromtimestamp(float(str(value)) / 1000, UTC)
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _bytes(value: int) -> str:
    """A size for people."""
    if value < _KIB:
        return f"{value:,} B"
    return f"{value / _KIB:,.1f} KiB" if value < _KIB**2 else f"{value / _KIB**2:,.1f} MiB"


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("penstock.collector.pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "pretty": _pretty,
    "moment": _moment,
    "bytes": _bytes,
    "masked": masked_text,
}
_ENVIRONMENT.globals |= {"version": __version__, "meanings": MEANINGS}


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """A page."""
    return _ENVIRONMENT.get_template(template).render(values)
