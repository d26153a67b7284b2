"""Close twice; track and flush afterwards."""

from __future__ import annotations

from common import open_client, report, tell, track

from penstock.errors import ClosedError

client = open_client()
track(client, 10)
first = client.close(timeout=10)
second = client.close(timeout=10)
tell("same", first.to_dict() == second.to_dict())
try:
    client.track("u", "Late")
except ClosedError as error:
    tell("refused", str(error))
report(client)
