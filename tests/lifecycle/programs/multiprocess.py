"""
A client made at module level, then worker processes. Arguments: start method, workers, events.

With ``fork`` the workers inherit the client; with the other methods they import this module and
so make their own, for the same destination and the same journal.
"""

from __future__ import annotations

import multiprocessing
import sys

from common import open_client, report, track

client = open_client()


def work(count: int) -> None:
    """What a worker process does."""
    track(client, count)


if __name__ == "__main__":
    method, workers, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    track(client, count)
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=work, args=(count,)) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    client.close(timeout=10)
    report(client)
