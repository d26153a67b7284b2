"""
Filters that name another flag.

A dependency is evaluated like a flag of its own, whatever flag asks: by its own group, distinct id
or device id. The chain a filter carries says in which order; the last of it is the flag itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.flags._signals import SERVER_UNRESOLVED, UNRESOLVED, UNSUPPORTED, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.flags._run import Run
    from penstock.flags._signals import Match, Outcome

    #: A flag's key, within a pass: its value, or why it has none.
    Evaluate = Callable[[str, Run], bool | str | Signal]

_OPERATOR = "flag_evaluates_to"


def shape_trouble(source: Mapping[str, Any]) -> str:
    """Why a filter means nothing, so that nobody matches it; empty when it means something."""
    operator = source.get("operator", "exact")
    if operator != _OPERATOR:
        return f"operator {operator!r} is not {_OPERATOR!r}"
    if not source.get("key") or source.get("value") is None:
        return "it has no key or no value"
    return ""


def members_of(source: Mapping[str, Any]) -> Sequence[str]:
    """Its chain; empty when there is none that can be used."""
    chain = source.get("dependency_chain")
    if not isinstance(chain, list) or not isinstance(source.get("key"), str):
        return ()
    return chain if all(isinstance(member, str) for member in chain) else ()


def dependency(
    source: Mapping[str, Any], chain: Sequence[str], evaluate: Evaluate, *, known: bool
) -> Match:
    """
    The filter.

    Args:
        source: As defined, well-formed.
        chain: Defined flags, each before those that need it.
        evaluate: Decides one of them.
        known: Whether the flag it names is defined.
    """
    wanted, key = source["value"], source["key"]
    absent = UNRESOLVED if known else UNSUPPORTED

    def match(_properties: Mapping[str, Any], run: Run) -> Outcome:
        seen = run.seen
        for member in chain:
            if member in seen:
                continue
            value = evaluate(member, run)
            if isinstance(value, Signal):
                return SERVER_UNRESOLVED if value.server else UNRESOLVED
        if key not in seen:
            return UNSUPPORTED
        actual = seen[key]
        return absent if actual is None else _fits(actual, wanted)

    return match


def _fits(actual: bool | str, wanted: Any) -> bool:
    """Any variant is as good as true; a boolean is only itself."""
    if isinstance(wanted, bool):
        return wanted if isinstance(actual, str) else actual is wanted
    return isinstance(wanted, str) and actual == wanted
