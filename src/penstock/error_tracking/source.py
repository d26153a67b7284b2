"""Source lines around a line, as `linecache` has them: files, and modules in archives."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from penstock.error_tracking.text import Failed, clean, contained

if TYPE_CHECKING:
    from collections.abc import Callable

#: Lines before and after.
AROUND: Final = 5
#: Characters of a line; PostHog shows no more.
MAX_LINE: Final = 300
#: Places remembered: errors come again where they came before.
_REMEMBERED = 2048


class Lines(NamedTuple):
    """A line and its neighbours, in the order of the file."""

    before: list[str]
    line: str
    after: list[str]


#: Stands for a place nobody asked for yet.
_UNSEEN = Lines([], "", [])


class Source:
    """
    Looks up lines, and remembers them: a file that changes later is not what runs.

    Args:
        scrubbed: Removes secrets from a line.
    """

    def __init__(self, scrubbed: Callable[[str], str]) -> None:
        self._scrubbed = scrubbed
        self._known: dict[tuple[str, int], Lines | None] = {}

    def around(self, path: str, lineno: int, module_globals: dict[str, Any]) -> Lines | None:
        """The lines around line *lineno* of a code object's file; None where there is no text."""
        key = (path, lineno)
        found = self._known.get(key, _UNSEEN)
        if found is _UNSEEN:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[key] = self._look(path, lineno, module_globals)
        return found

    def _look(self, path: str, lineno: int, module_globals: dict[str, Any]) -> Lines | None:
        text = contained(linecache.getlines, path, module_globals)
        if isinstance(text, Failed) or not 0 < lineno <= len(text):
            return None
        first = max(0, lineno - 1 - AROUND)
        shown = [self._shown(line) for line in text[first : lineno + AROUND]]
        place = lineno - 1 - first
        return Lines(shown[:place], shown[place], shown[place + 1 :])

    def _shown(self, line: str) -> str:
        return clean(self._scrubbed(line.rstrip("\r\n")[: 2 * MAX_LINE]), MAX_LINE)
