"""The native part; everything else about the package is in pyproject.toml."""

from __future__ import annotations

import sysconfig

from setuptools import Extension, setup

# Optional: where it cannot be compiled the package works without it, only slower. It counts on
# the interpreter's lock, so a Python without one does not get it.
native = Extension("penstock._native", ["src/penstock/_native.c"], optional=True)
locked = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(ext_modules=[native] if locked else [])
