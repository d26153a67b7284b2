"""Track without end, noting each id once ``track()`` has returned it, until killed."""

from __future__ import annotations

from common import open_client, tell, track

client = open_client(interval=0.01)
track(client, 1)
tell("ready", "tracking")
while True:
    track(client, 50, note_each=True)
