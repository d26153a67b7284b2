"""Operators that compare by order, compiled: numbers, dates, versions."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from penstock.flags import _semver as semver
from penstock.flags._dates import absolute, aware, moment_of
from penstock.flags._numbers import EXACT, number_of
from penstock.flags._signals import MISSING, UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.flags._run import Run
    from penstock.flags._signals import Match, Outcome

    Properties = Mapping[str, Any]
    Compiler = Callable[[str, Any, bool], Match | None]
    #: A version, yes or no.
    Test = Callable[[semver.Version], bool]


def number(test: Callable[[float, float], bool]) -> Compiler:
    """Both are numbers, and *test* holds for the property's and the filter's."""

    def compiler(key: str, value: Any, _explicit: bool) -> Match | None:
        bound = number_of(value)
        if bound is None:
            return None

        def match(properties: Properties, _run: Run) -> Outcome:
            if key not in properties:
                return MISSING
            found = properties[key]
            if type(found) is int and -EXACT <= found <= EXACT:
                return test(found, bound)
            double = number_of(found)
            return double is not None and test(double, bound)

        return match

    return compiler


def date_of(test: Callable[[Any, Any], bool]) -> Compiler:
    """Both are dates, and *test* holds for the property's and the filter's."""

    def compiler(key: str, value: Any, _explicit: bool) -> Match | None:
        moment = moment_of(str(value))
        if moment is None:
            return None

        def match(properties: Properties, run: Run) -> Outcome:
            now = run.now()
            limit = moment(now)
            if key not in properties:
                return MISSING if limit else UNSUPPORTED
            found = properties[key]
            if found is None:
                return False
            return _compared(test, found, limit, now) if limit else UNSUPPORTED

        return match

    return compiler


def _compared(
    test: Callable[[Any, Any], bool], found: Any, limit: datetime, now: datetime
) -> Outcome:
    if isinstance(found, str):
        found = absolute(found, now)
    elif isinstance(found, datetime):
        found = aware(found)
    elif isinstance(found, date):
        return test(found, limit.date())
    else:
        found = None
    return MISSING if found is None else test(found, limit)


def version(holds: Callable[[Any], Test]) -> Compiler:
    """The property is a version, and the test that *holds* makes of the filter's value passes."""

    def compiler(key: str, value: Any, _explicit: bool) -> Match | None:
        try:
            test = holds(value)
        except ValueError:
            return None

        def match(properties: Properties, _run: Run) -> Outcome:
            if key not in properties:
                return MISSING
            found = properties[key]
            if found is None:
                return False
            try:
                return test(semver.version_of(found))
            except ValueError:
                return MISSING

        return match

    return compiler


def against(test: Callable[[semver.Version, semver.Version], bool]) -> Callable[[Any], Test]:
    """*test* with the filter's version."""

    def holds(value: Any) -> Test:
        wanted = semver.version_of(value)
        return lambda found: test(found, wanted)

    return holds


def within(bounds: Callable[[Any], semver.Range]) -> Callable[[Any], Test]:
    """Between the bounds of the filter's range."""

    def holds(value: Any) -> Test:
        start, end = bounds(value)
        return lambda found: start <= found < end

    return holds
