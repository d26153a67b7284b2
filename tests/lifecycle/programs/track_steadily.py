"""Track at a steady pace, then flush. Arguments: seconds, events per second, seconds to flush."""

from __future__ import annotations

import sys
import time

from common import open_client, report, track

seconds, rate, patience = (float(argument) for argument in sys.argv[1:])
client = open_client()
began = time.monotonic()
for number in range(int(seconds * rate)):
    # The pace is the subject.
    time.sleep(max(0.0, began + number / rate - time.monotonic()))
    track(client, 1)
client.flush(timeout=patience)
report(client)
client.close()
