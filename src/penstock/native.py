"""
The native part of Penstock, where there is one.

It is built when the package is installed, if a C compiler is at hand, and makes capturing about
twice as fast. Without it everything works the same; ``PENSTOCK_NATIVE=0`` does without on
purpose. docs/benchmarks.md has the figures of both.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

#: Set to ``0``, the native part is left alone.
ENV_NATIVE = "PENSTOCK_NATIVE"


def _find() -> ModuleType | None:
    if os.environ.get(ENV_NATIVE) == "0":
        return None
    try:
        from penstock import _native
    except ImportError:
        return None
    return _native


#: ``penstock._native``, or None.
NATIVE = _find()
