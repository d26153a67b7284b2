"""
The server of the measurements, a process of its own that does little else than receive.

    python benchmarks/sink '{"delay_s": 0.05}' 300000

Prints its port. The first argument says how it behaves (see `behaviour.py`), the second how many
events to have memory for; SIGUSR1 ends an outage. ``GET /report`` answers what was taken; counting
waits until then (see `tally.py`).

A request is received straight into memory that is already there (see `arena.py`), its length is
taken from its head, and the rest of it is one call to the kernel: some 15 µs of Python for 250
events. `make bench` prints how busy that kept the sink and what a client with premade bodies gets.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading

from arena import Arena
from behaviour import Behaviour
from connection import Connection
from tally import Tally


def main(text: str = "{}", expected: str = "0") -> None:
    """Print the port, then serve for ever."""
    behaviour = Behaviour(**json.loads(text))
    signal.signal(signal.SIGUSR1, behaviour.recover)
    arena, tally = Arena(int(expected)), Tally()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets it
    if not behaviour.refusing:
        listener.listen(128)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    behaviour.wait_to_listen()
    listener.listen(128)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, arena, tally, behaviour)
        threading.Thread(target=connection.serve, daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
