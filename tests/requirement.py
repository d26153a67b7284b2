"""
What a test needs of its machine.

Where a program or an environment is missing the test is skipped, with the word that brings it; CI
has them all, so there it fails. What the platform itself refuses is skipped everywhere.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

from penstock.native import ENV_NATIVE, NATIVE

#: Windows has none, and nothing brings it.
FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")


def missing(what: str) -> NoReturn:
    """Skip the test, for want of *what*; fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; and CI has everything")
    pytest.skip(what)  # nobody needs all of it to work on a part


def program(name: str) -> str:
    """Where a program is that `make debian` installs."""
    return shutil.which(name) or missing(f"there is no {name} here: make debian")


def native_part() -> None:
    """The native part is there, unless this run does without it on purpose."""
    if os.environ.get(ENV_NATIVE) == "0":
        # The twins in Python are what such a run is for.
        pytest.skip(f"{ENV_NATIVE}=0: this run does without the native part")
    if NATIVE is None:
        missing("the native part was not built: there was no C compiler")
