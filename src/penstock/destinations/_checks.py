"""What makes a setting impossible. Every refusal is a `ConfigError` that names the field."""

from __future__ import annotations

from math import isfinite

from penstock.errors import ConfigError

#: Longest interval or timeout in seconds: a year. Beyond that, waiting itself overflows.
MAX_SECONDS = 31_536_000.0

_SCHEMES = ("http", "https")


def masked(key: str) -> str:
    """A key as it may be shown: two characters, fewer of a short one."""
    return f"{key[:2]}…" if len(key) > 4 else "…" * bool(key)  # noqa: PLR2004 - half of it is too much


def checked_key(field: str, key: object) -> str:
    """
    A write key without surrounding blanks; may be empty, the client then does nothing.

    Raises:
        ConfigError: It could not travel in a header. The key itself is masked.
    """
    if not isinstance(key, str):
        raise ConfigError(field, f"a {type(key).__name__}", "must be a string")
    text = key.strip()
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ConfigError(field, masked(text), "must be printable ASCII without blanks")
    return text


def checked_text(field: str, value: object) -> str:
    """A non-empty string without surrounding blanks."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(field, value, "must be a non-empty string")
    return value.strip()


def checked_choice(field: str, value: object, choices: tuple[str, ...]) -> str:
    """One of *choices*."""
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(field, value, f"must be one of {', '.join(choices)}")
    return value


def checked_flag(field: str, value: object) -> bool:
    """True or False, nothing that is merely true or false."""
    if not isinstance(value, bool):
        raise ConfigError(field, value, "must be True or False")
    return value


def checked_count(field: str, value: object, most: int | None = None) -> int:
    """A whole number of zero or more; zero means the default."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(field, value, "must be a whole number")
    if value < 0:
        raise ConfigError(field, value, "negative values are not supported")
    if most is not None and value > most:
        raise ConfigError(field, value, f"cannot exceed {most}")
    return value


def checked_seconds(field: str, value: object) -> float:
    """A finite number of seconds, zero or more; zero means the default."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(field, value, "must be a number of seconds")
    if not isfinite(value) or value > MAX_SECONDS:
        raise ConfigError(field, value, f"must be finite and at most {MAX_SECONDS:.0f} seconds")
    if value < 0:
        raise ConfigError(field, value, "negative times are not supported")
    return float(value)


def checked_endpoint(value: object) -> str:
    """
    A base URL as requests are built from it: no blanks around it, no slash at its end.

    Returns:
        Scheme and host in lower case; a path is kept.

    Raises:
        ConfigError: It is no such URL. A user name or password in it is not shown.
    """
    if not isinstance(value, str):
        raise ConfigError("endpoint", value, "must be a URL")
    text = value.strip().rstrip("/")
    scheme, separator, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise ConfigError("endpoint", "a URL with a user", "must not hold a user name or password")
    if scheme.lower() not in _SCHEMES or not separator:
        raise ConfigError("endpoint", value, "must start with https:// or http://")
    if not (text.isascii() and text.isprintable()) or any(mark in text for mark in " ?#\\"):
        shown = text.partition("?")[0]
        raise ConfigError("endpoint", shown, "must be a plain URL without query or fragment")
    _check_authority(authority, value)
    return f"{scheme.lower()}://{authority.lower()}{slash}{path}"


def _check_authority(authority: str, value: str) -> None:
    host, port = _split_port(authority)
    if not host or host.startswith("[") != host.endswith("]") or host == "[]":
        raise ConfigError("endpoint", value, "needs a host")
    if port is not None and not (port.isdigit() and 0 < int(port[:6]) <= 65535):  # noqa: PLR2004 - 16 bits
        raise ConfigError("endpoint", value, "needs a port from 1 to 65535")


def _split_port(authority: str) -> tuple[str, str | None]:
    """Host and port; the colons of an IPv6 address are within brackets."""
    head, colon, port = authority.rpartition(":")
    if not colon or "]" in port:
        return authority, None
    return ("", port) if ":" in head and not head.endswith("]") else (head, port)
