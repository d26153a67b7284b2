"""Where code lies: its name on every host, and whether it is the application's own."""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import TYPE_CHECKING, Final, NamedTuple

from penstock.error_tracking.text import clean, contained

if TYPE_CHECKING:
    from collections.abc import Iterable

UNKNOWN: Final = "<unknown>"
#: Characters of a path.
_MAX_PATH = 1000
#: Files remembered; a program that makes more of them starts again.
_REMEMBERED = 4096
_LIBRARIES = ("site-packages", "dist-packages")


class Place(NamedTuple):
    """A file as a frame tells of it."""

    #: Relative to the top package: ``shop/cart.py`` wherever it is installed.
    filename: str
    #: Empty for what is no file.
    abs_path: str
    in_app: bool


class Places:
    """
    Places of files, by the settings.

    Args:
        project_root: Code below it is the application's; when None the current directory and
            that of the program that was started.
        include: Prefixes of modules that are the application's, wherever they lie.
        exclude: Prefixes of modules that are not.
    """

    def __init__(
        self, project_root: str | None, include: Iterable[str], exclude: Iterable[str]
    ) -> None:
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._roots = _roots_of(project_root)
        paths = sysconfig.get_paths()
        self._stdlib = tuple({_below(paths[name]) for name in ("stdlib", "platstdlib")})
        self._known: dict[tuple[str, str], Place] = {}

    def of(self, path: str, module: str) -> Place:
        """The place of a code object's file, and of the module that it is in."""
        key = (path, module)
        place = self._known.get(key)
        if place is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            place = self._known[key] = self._look(path, module)
        return place

    def _look(self, path: str, module: str) -> Place:
        if not path or path.startswith("<"):
            return Place(clean(path, _MAX_PATH) or UNKNOWN, "", self._in_app(path, "", module))
        absolute = os.path.abspath(path)  # noqa: PTH100 - half the price of a Path
        filename = within_package(absolute, module) or self._within_root(absolute)
        in_app = self._in_app(path, absolute, module)
        return Place(
            clean(filename.replace(os.sep, "/"), _MAX_PATH), clean(absolute, _MAX_PATH), in_app
        )

    def _within_root(self, path: str) -> str:
        for root in self._roots:
            if path.startswith(root):
                return path[len(root) :]
        return os.path.basename(path) or UNKNOWN  # noqa: PTH119 - as above

    def _in_app(self, path: str, absolute: str, module: str) -> bool:  # noqa: PLR0911 - a list of rules, the first that holds
        if any(_is_below(module, prefix) for prefix in self._include):
            return True
        if any(_is_below(module, prefix) for prefix in self._exclude):
            return False
        if path.startswith("<frozen"):
            return False
        if any(part in _LIBRARIES for part in _parts(absolute)):
            return False
        if absolute.startswith(self._stdlib):
            return False
        if self._roots and absolute:
            return absolute.startswith(self._roots) or _real(absolute).startswith(self._roots)
        return module.partition(".")[0] not in sys.stdlib_module_names


def within_package(path: str, module: str) -> str:
    """
    *path* from the directory of the top package on; empty where names and path do not agree.

    ``/srv/app/shop/cart.py`` of module ``shop.cart`` is ``shop/cart.py``.
    """
    if not module or module == "__main__":
        return ""
    parts = _parts(path)
    names = module.split(".")
    stem = parts[-1].partition(".")[0]
    if stem == "__init__":
        names.append(stem)
    tail = parts[-len(names) :]
    tail_names = [*tail[:-1], stem]
    return "/".join(tail) if tail_names == names else ""


def _roots_of(project_root: str | None) -> tuple[str, ...]:
    """
    Directories with a separator at their end: ``/srv/app`` is no prefix of ``/srv/application``.

    Without one given: the one of the program that was started, which is the same wherever it is
    started from, and the current one.
    """
    if project_root is not None:
        found = [project_root]
    else:
        program = getattr(sys.modules.get("__main__"), "__file__", None)
        found = [os.path.dirname(program), os.curdir] if isinstance(program, str) else [os.curdir]  # noqa: PTH120 - as above
    try:
        real = [os.path.realpath(root or os.curdir) for root in found]
    except OSError:  # the current directory was removed
        return ()
    return tuple(dict.fromkeys(_below(root) for root in real if root != os.sep))


def _below(directory: str) -> str:
    return directory.rstrip(os.sep) + os.sep


def _real(path: str) -> str:
    """*path* without symbolic links; itself where it is none a system can have."""
    found = contained(os.path.realpath, path)
    return found if isinstance(found, str) else path


def _parts(path: str) -> list[str]:
    return path.split(os.sep)  # noqa: PTH206 - a fifth of the price of a Path


def _is_below(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")
