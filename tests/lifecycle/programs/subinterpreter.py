"""A client in a second interpreter of the same process. Argument: how many events."""

from __future__ import annotations

import sys

from common import tell

try:
    import _interpreters as interpreters
except ImportError:  # before 3.13
    import _xxsubinterpreters as interpreters

INSIDE = f"""
import sys
sys.path[:0] = {sys.path!r}
import json, os
try:
    from common import open_client, report, track
    client = open_client(exit_timeout=20.0)  # a slow machine is not a failing test
except ImportError as error:
    os.write(1, f"@ refused {{json.dumps(str(error))}}\\n".encode())
else:
    track(client, {int(sys.argv[1])})
    client.close(timeout=10)
    report(client)
"""

inner = interpreters.create()
tell("problem", str(interpreters.run_string(inner, INSIDE)))
interpreters.destroy(inner)
