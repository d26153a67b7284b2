"""The shop behind RQ: a job tracks some events as the last thing it does."""

from __future__ import annotations

from shop import sell


def sale(count: int) -> None:
    """One job, and right after it the end of the process it ran in."""
    sell(count)


def failed_sale(count: int) -> None:
    """One that fails after it tracked."""
    sell(count)
    raise ValueError("the host application's own fault")
