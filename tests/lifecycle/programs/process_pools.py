"""
Worker processes by every way of the standard library; the parent only imports the client.

Arguments: the way (``process``, ``pool``, ``pool_terminated`` or ``executor``), the start method,
workers, jobs, events of each job. The parent tracks nothing, so nothing but the workers and the
parent's exit can deliver.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from common import open_client, track

client = open_client(exit_timeout=20.0)  # a slow machine is not a failing test


def work(count: int) -> None:
    """What a worker does."""
    track(client, count)


def main(way: str, method: str, workers: int, jobs: int, count: int) -> None:
    """Do all jobs, end the workers."""
    context = multiprocessing.get_context(method)
    if way == "process":
        processes = [context.Process(target=work, args=(count,)) for _ in range(jobs)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    elif way == "executor":
        with ProcessPoolExecutor(workers, mp_context=context) as executor:
            list(executor.map(work, [count] * jobs))
    else:
        with context.Pool(workers, maxtasksperchild=3) as pool:
            pool.map(work, [count] * jobs, chunksize=1)
            if way == "pool":
                pool.close()
                pool.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
