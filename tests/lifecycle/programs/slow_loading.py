"""A thread that is importing what a sender needs when the fork comes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from penstock import _fork

if TYPE_CHECKING:
    from collections.abc import Callable


def start_loading(load: Callable[[], object]) -> threading.Thread:
    """A thread that does what `Sender.load` does, slowly; it has begun."""
    held = threading.Event()

    def work() -> None:
        with _fork.loading():
            held.set()
            time.sleep(0.2)  # until the fork waits for us: nothing else can be seen of it
            load()

    thread = threading.Thread(target=work)
    thread.start()
    held.wait()
    return thread
