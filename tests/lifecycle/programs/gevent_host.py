"""A gevent service: everything patched before anything else is imported."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

import gevent  # noqa: E402
from common import live_as_child, open_client, report, track  # noqa: E402

count = int(sys.argv[1])
client = open_client()
gevent.joinall([gevent.spawn(track, client, count) for _ in range(4)], raise_error=True)
child = gevent.os.fork_and_watch()
if child == 0:
    live_as_child(client, count, 10)
gevent.os.waitpid(child, 0)
client.close(timeout=10)
report(client)
