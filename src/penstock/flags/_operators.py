"""
The operators of a property filter, compiled.

Everything about the filter's value is decided here, once: what is left is a function of the
properties. It is handed the property's name too, so a filter is one call and not two.
"""

from __future__ import annotations

import operator as compare
from typing import TYPE_CHECKING, Any

from penstock.flags import _ordering as ordering
from penstock.flags import _semver as semver
from penstock.flags._regexes import Deferred, pattern_of
from penstock.flags._signals import MISSING, UNSUPPORTED
from penstock.flags._texts import ascii_lowered, lowered, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.flags._run import Run
    from penstock.flags._signals import Match, Outcome

    Properties = Mapping[str, Any]
    #: Property name, filter value, matching version 2 -> filter; None when the value is unusable.
    Compiler = Callable[[str, Any, bool], Match | None]


def compile_operator(name: Any, key: str, value: Any, *, explicit: bool) -> Match | None:
    """
    The filter *key* *name* *value*.

    Args:
        name: Of the operator; None is ``exact``.
        key: The property it looks at.
        value: What it is compared with.
        explicit: Whether booleans are matched as what they are (matching version 2).

    Returns:
        None when nobody but the server can use it: unknown operator, or a value that it cannot
        read.
    """
    compiler = _COMPILERS.get(name or "exact") if isinstance(name, str | None) else None
    return compiler(key, value, explicit) if compiler else None


# -- exact -----------------------------------------------------------------------------------


def _exact(key: str, value: Any, explicit: bool) -> Match | None:
    return _equality(key, value, explicit, sense=True)


def _is_not(key: str, value: Any, explicit: bool) -> Match | None:
    return _equality(key, value, explicit, sense=False)


def _equality(key: str, value: Any, explicit: bool, *, sense: bool) -> Match | None:
    texts = {lowered(item) for item in (value if isinstance(value, list) else [value])}
    if None in texts:
        return None
    if value == []:
        return _truth(key, wanted=sense)
    if not explicit and _boolish(value):
        return _truth(key, wanted=_truthy(value) is sense)
    return _one_of(key, texts, sense=sense)  # type: ignore[arg-type] # no None


def _one_of(key: str, texts: set[str], *, sense: bool) -> Match:
    options, other = frozenset(texts), not sense

    def match(properties: Properties, _run: Run) -> Outcome:
        if key not in properties:
            return MISSING
        found = properties[key]
        text = found.lower() if type(found) is str else lowered(found)
        if text in options:
            return sense
        return MISSING if text is None else other

    return match


def _truth(key: str, *, wanted: bool) -> Match:
    def match(properties: Properties, _run: Run) -> Outcome:
        if key not in properties:
            return MISSING
        found = properties[key]
        return MISSING if text_of(found) is None else _truthy(found) is wanted

    return match


def _boolish(value: Any) -> bool:
    """Whether a value can only mean true or false."""
    if isinstance(value, list):
        return all(map(_boolish, value))
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in _BOOLEANS)


def _truthy(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_truthy, value))
    return value is True or (isinstance(value, str) and value.lower() == "true")


_BOOLEANS = frozenset({"true", "false"})


# -- presence --------------------------------------------------------------------------------


def _is_set(key: str, _value: Any, _explicit: bool) -> Match:
    return lambda properties, _run: True if key in properties else MISSING


def _is_not_set(key: str, _value: Any, _explicit: bool) -> Match:
    return lambda properties, _run: False if key in properties else MISSING


# -- text ------------------------------------------------------------------------------------


def _text(test: Callable[[str, str], bool], *, sense: bool) -> Compiler:
    def compiler(key: str, value: Any, _explicit: bool) -> Match | None:
        raw = text_of(value)
        if raw is None:
            return None
        part = ascii_lowered(raw)

        def match(properties: Properties, _run: Run) -> Outcome:
            if key not in properties:
                return MISSING
            text = text_of(properties[key])
            return MISSING if text is None else test(ascii_lowered(text), part) is sense

        return match

    return compiler


def _regex(*, sense: bool) -> Compiler:
    def compiler(key: str, value: Any, _explicit: bool) -> Match | None:
        try:
            pattern = pattern_of(str(value))
        except Deferred:
            return None
        found_in = pattern.found_in if pattern else _constant(found=not sense)
        if value == "":
            found_in = _constant(found=True)
        quick = pattern.compiled.search if pattern and pattern.plain else None

        def match(properties: Properties, _run: Run) -> Outcome:
            if key not in properties:
                return MISSING
            value = properties[key]
            if quick is not None and type(value) is str and value.isascii():
                return (quick(value) is not None) is sense
            text = text_of(value)
            if text is None:
                return MISSING
            found = found_in(text)
            return UNSUPPORTED if found is None else found is sense

        return match

    return compiler


def _constant(*, found: bool) -> Callable[[str], bool | None]:
    return lambda _text: found


# -- all of them ---------------------------------------------------------------------------

_COMPILERS: Mapping[str, Compiler] = {
    "exact": _exact,
    "is_not": _is_not,
    "is_set": _is_set,
    "is_not_set": _is_not_set,
    "icontains": _text(compare.contains, sense=True),
    "not_icontains": _text(compare.contains, sense=False),
    "starts_with": _text(str.startswith, sense=True),
    "not_starts_with": _text(str.startswith, sense=False),
    "ends_with": _text(str.endswith, sense=True),
    "not_ends_with": _text(str.endswith, sense=False),
    "regex": _regex(sense=True),
    "not_regex": _regex(sense=False),
    "gt": ordering.number(compare.gt),
    "gte": ordering.number(compare.ge),
    "lt": ordering.number(compare.lt),
    "lte": ordering.number(compare.le),
    "is_date_before": ordering.date_of(compare.lt),
    "is_date_after": ordering.date_of(compare.gt),
    "semver_eq": ordering.version(ordering.against(compare.eq)),
    "semver_neq": ordering.version(ordering.against(compare.ne)),
    "semver_gt": ordering.version(ordering.against(compare.gt)),
    "semver_gte": ordering.version(ordering.against(compare.ge)),
    "semver_lt": ordering.version(ordering.against(compare.lt)),
    "semver_lte": ordering.version(ordering.against(compare.le)),
    "semver_tilde": ordering.version(ordering.within(semver.tilde)),
    "semver_caret": ordering.version(ordering.within(semver.caret)),
    "semver_wildcard": ordering.version(ordering.within(semver.wildcard)),
}
"""``{operator: compiler}``: what is not here is the server's."""


def unusable(name: Any, key: str) -> Match:
    """
    What a filter answers that only the server can use.

    A property that is null is neither before nor after anything, whatever the filter's value.
    """
    if not isinstance(name, str) or name not in _NULL_IS_FALSE:
        return lambda _properties, _run: UNSUPPORTED
    return lambda properties, _run: False if properties.get(key, key) is None else UNSUPPORTED


_NULL_IS_FALSE = frozenset(name for name in _COMPILERS if name.startswith(("is_date", "semver")))
