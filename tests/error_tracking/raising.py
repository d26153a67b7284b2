"""Errors of all shapes, raised for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def raised(make: BaseException | Callable[[], object]) -> BaseException:
    """The exception *make* raises, or *make* itself, raised here."""
    try:
        if isinstance(make, BaseException):
            raise make
        make()
    except BaseException as error:  # noqa: BLE001 - any is wanted
        return error
    raise AssertionError("nothing was raised")


def recursion(depth: int) -> None:
    """Fall at the end of *depth* calls of itself."""
    if depth == 0:
        raise ValueError("the bottom")
    recursion(depth - 1)


def even(depth: int) -> None:
    """Fall at the end of *depth* calls to and fro."""
    if depth == 0:
        raise ValueError("the bottom")
    odd(depth - 1)


def odd(depth: int) -> None:
    """The other half of `even`."""
    even(depth - 1) if depth else recursion(0)


def chained(count: int) -> BaseException:
    """*count* exceptions, each the cause of the one before."""
    error: BaseException | None = None
    for number in range(count):
        above = ValueError(f"number {count - 1 - number}")
        above.__cause__ = error
        error = above
    assert error is not None
    return error


def fall(depth: int, **found: Any) -> None:
    """Fall at the end of *depth* plain calls, with *found* among the variables of the last."""
    if depth > 1:
        return fall(depth - 1, **found)
    total = found.get("total", 0)
    raise LookupError(f"no more: {total}")
