"""
What an answer means for the messages of a job. Pure.

Every item of the job ends in exactly one place of the `Resolution`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.dialects._types import (
    Accepted,
    Malformed,
    Mixed,
    Outcome,
    Rejected,
    Rerouted,
    RetryLater,
    TooLarge,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.delivery._job import Item


class Death(NamedTuple):
    """Messages that will not be sent again."""

    reason: str
    detail: str
    items: Sequence[Item]


class Resolution(NamedTuple):
    """The fate of every item of one attempt."""

    delivered: Sequence[Item] = ()
    deaths: Sequence[Death] = ()
    #: Transient: the same batch again, with only these.
    retry: Sequence[Item] = ()
    #: The request was wrong as a whole: halve it and send both.
    split: bool = False
    #: RudderStack's nodes changed.
    reroute: bool = False
    #: The server's wish in seconds.
    after_s: float | None = None
    detail: str = ""


def resolve(outcome: Outcome, items: Sequence[Item]) -> Resolution:
    """Where every one of *items* stands after *outcome*."""
    if isinstance(outcome, Accepted):
        return Resolution(delivered=items)
    if isinstance(outcome, RetryLater):
        return Resolution(retry=items, after_s=outcome.after_s, detail=outcome.detail)
    if isinstance(outcome, Mixed):
        return _mixed(outcome, items)
    if isinstance(outcome, Rerouted):
        return Resolution(retry=items, reroute=True)
    if isinstance(outcome, Rejected):
        return Resolution(deaths=[Death("rejected", outcome.detail, items)])
    return _too_much(outcome, items)


def _too_much(outcome: TooLarge | Malformed, items: Sequence[Item]) -> Resolution:
    """A 413 or 400: the batch is halved down to the message that is the cause."""
    if len(items) > 1:
        return Resolution(split=True, detail=outcome.detail)
    reason = "too_large" if isinstance(outcome, TooLarge) else "rejected"
    return Resolution(deaths=[Death(reason, outcome.detail, items)])


def _mixed(outcome: Mixed, items: Sequence[Item]) -> Resolution:
    delivered = []
    retry = []
    deaths: list[Death] = []
    for item, verdict in zip(items, outcome.verdicts, strict=True):
        if verdict.fate == "delivered":
            delivered.append(item)
        elif verdict.fate == "retry":
            retry.append(item)
        else:
            deaths.append(Death("rejected", verdict.detail, [item]))
    return Resolution(delivered, deaths, retry, after_s=outcome.after_s)
