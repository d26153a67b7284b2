"""Fork while another thread has something to say, for which it imports `logging`."""

from __future__ import annotations

import os
import sys
import threading
import time
from importlib.abc import MetaPathFinder
from typing import Any

from penstock._log import WARNING, Log

begun = threading.Event()


class Slow(MetaPathFinder):
    """Finds nothing, slowly: the import goes on where it would have."""

    def find_spec(self, name: str, *_: Any) -> None:
        """Have the fork come in the middle of this import."""
        if name == "logging":
            begun.set()
            time.sleep(0.2)  # until the fork waits for us: nothing else can be seen of it


def speak() -> None:
    """What `track` does when the journal is full."""
    Log(None, verbose=False).say(WARNING, "kind", "said")


sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=speak)
thread.start()
begun.wait()
assert not hasattr(sys.modules.get("logging"), "getLogger")
child = os.fork()
if child == 0:
    speak()
    os._exit(0)
os.waitpid(child, 0)
thread.join()
