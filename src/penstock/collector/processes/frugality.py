"""
What processes that handle Arrow data do without, some 20 MB each.

PyArrow loads whatever it finds: NumPy and pandas, which nothing here needs (11 MB and more than
50), and clients of S3 and the like (4 MB), where a store is local files. And its own allocator
takes huge pages ahead of need: 4 MB in a process that idles, and nothing that could be measured
is faster for it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

#: PyArrow works without each of them, and has to where they are not installed.
LEFT_OUT = frozenset(
    {
        "numpy",
        "pandas",
        "pyarrow._s3fs",
        "pyarrow._gcsfs",
        "pyarrow._azurefs",
        "pyarrow._hdfs",
    }
)
_POOL = "ARROW_DEFAULT_MEMORY_POOL"


class _Absent:
    """
    Has imports of some modules fail as if they were not installed.

    None in their place in `sys.modules` would do that, too, but DuckDB looks there for what is
    loaded and takes None for a module.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        del path, target
        if fullname in LEFT_OUT:
            raise ModuleNotFoundError(f"a collector does without {fullname}", name=fullname)


def be_frugal() -> None:
    """Have this process load none of `LEFT_OUT`; before it imports PyArrow."""
    sys.meta_path.insert(0, _Absent())
    os.environ.setdefault(_POOL, "system")
