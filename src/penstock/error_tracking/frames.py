"""From the calls of a stack to the frames that are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.error_tracking.places import UNKNOWN
from penstock.error_tracking.text import Failed, clean, contained
from penstock.error_tracking.variables import Budget, variables_of

if TYPE_CHECKING:
    from penstock.error_tracking.places import Places
    from penstock.error_tracking.scrubbing import Masker
    from penstock.error_tracking.settings import ErrorTracking
    from penstock.error_tracking.source import Source
    from penstock.error_tracking.stack import Site
    from penstock.error_tracking.types import Frame

#: Characters of the name of a function or a module.
MAX_NAME: Final = 255
#: In a stack of more calls than this, only the application's own show their source.
LONG: Final = 50


class Frames:
    """
    Makes frames, by the settings.

    Args:
        settings: What they show.
        places: Where code lies.
        source: Source lines.
        masker: Withholds secrets; None for nothing.
    """

    def __init__(
        self, settings: ErrorTracking, places: Places, source: Source, masker: Masker | None
    ) -> None:
        self._places = places
        self._source = source if settings.source_context else None
        self._masker = masker
        self._abs_paths = settings.abs_paths
        self._variables = settings.local_variables

    def of(self, sites: list[Site], budget: Budget) -> list[Frame]:
        """
        The frames of a stack, entry point first, crash last.

        Args:
            sites: Its calls; `penstock.error_tracking.stack.shortened`.
            budget: What is left for variables; those next to the crash come first.
        """
        long = len(sites) > LONG
        frames = [self._frame(site, long=long) for site in sites]
        if self._variables:
            for site, frame in zip(reversed(sites), reversed(frames), strict=True):
                if frame["in_app"]:
                    self._add_variables(site, frame, budget)
        return frames

    def _frame(self, site: Site, *, long: bool) -> Frame:
        module = site.module
        place = self._places.of(site.code.co_filename, module)
        frame: Frame = {"platform": "python", "filename": place.filename}
        if place.abs_path and self._abs_paths:
            frame["abs_path"] = place.abs_path
        frame["function"] = clean(site.code.co_name, MAX_NAME) or UNKNOWN
        if module:
            frame["module"] = clean(module, MAX_NAME)
        if site.lineno:
            frame["lineno"] = site.lineno
        frame["in_app"] = place.in_app
        if self._source is not None and site.lineno and (place.in_app or not long):
            self._add_source(self._source, site, site.lineno, frame)
        return frame

    @staticmethod
    def _add_source(source: Source, site: Site, lineno: int, frame: Frame) -> None:
        lines = source.around(site.code.co_filename, lineno, site.frame.f_globals)
        if lines is not None:
            frame["pre_context"] = [*lines.before]
            frame["context_line"] = lines.line
            frame["post_context"] = [*lines.after]

    def _add_variables(self, site: Site, frame: Frame, budget: Budget) -> None:
        values = contained(lambda: dict(site.frame.f_locals))
        if isinstance(values, Failed) or site.frame.f_locals is site.frame.f_globals:
            return  # a module's variables are its functions and imports
        told = contained(variables_of, values, self._masker, budget)
        if told and not isinstance(told, Failed):
            frame["code_variables"] = told
