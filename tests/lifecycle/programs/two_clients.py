"""Two clients of one destination in one process, from several threads. Argument: events of each."""

from __future__ import annotations

import sys
import threading

from common import open_client, report, track

count = int(sys.argv[1])
clients = [open_client(), open_client()]
threads = [threading.Thread(target=track, args=(client, count)) for client in clients * 2]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for client in clients:
    client.close(timeout=20)
    report(client)
