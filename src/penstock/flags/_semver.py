"""Versions: three numbers. What is before a release, or about a build, is ignored."""

from __future__ import annotations

from typing import Any, TypeAlias

Version: TypeAlias = tuple[int, int, int]
#: From the first, up to but without the second.
Range: TypeAlias = tuple[Version, Version]

_PARTS = 3


def version_of(value: Any) -> Version:
    """
    Read ``1.2.3``, ``v1.2``, ``1``, ``1.2.3-beta.1+build``; what is missing is 0.

    Raises:
        ValueError: It is no version, or a number in it begins with a zero.
    """
    text = _bare(value).partition("-")[0].partition("+")[0]
    first, *others = text.split(".")[:_PARTS]
    numbers = [_number(first), *(_number(part) if part else 0 for part in others), 0, 0]
    return numbers[0], numbers[1], numbers[2]


def tilde(value: Any) -> Range:
    """``~1.2.3``: patches of 1.2, from 1.2.3 on."""
    major, minor, patch = version_of(value)
    return (major, minor, patch), (major, minor + 1, 0)


def caret(value: Any) -> Range:
    """``^1.2.3``: up to the next change of the first number that is not 0."""
    major, minor, patch = version_of(value)
    if major:
        end = (major + 1, 0, 0)
    elif minor:
        end = (0, minor + 1, 0)
    else:
        end = (0, 0, patch + 1)
    return (major, minor, patch), end


def wildcard(value: Any) -> Range:
    """
    ``1.*`` and ``1.2.*``: everything that begins so.

    Raises:
        ValueError: There is no number in it.
    """
    text = _bare(value).replace("*", "").rstrip(".")
    numbers = [_number(part) for part in text.split(".") if part][:_PARTS]
    if not numbers:
        raise ValueError("a wildcard needs a number")
    start = (*numbers, 0, 0)[:_PARTS]
    end = (*numbers[:-1], numbers[-1] + 1, 0, 0)[:_PARTS]
    return start, end  # type: ignore[return-value] # three each


def _bare(value: Any) -> str:
    return str(value).strip().lstrip("vV")


def _number(part: str) -> int:
    if not part.isdigit() or (len(part) > 1 and part[0] == "0"):
        raise ValueError(f"{part!r} is no number of a version")
    return int(part)
