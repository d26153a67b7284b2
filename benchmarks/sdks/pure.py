"""Penstock without its native part, as it is where no compiler was at hand."""

from __future__ import annotations

import os

os.environ["PENSTOCK_NATIVE"] = "0"  # read when penstock is imported

from sdks.penstock import open_client

__all__ = ["open_client"]
