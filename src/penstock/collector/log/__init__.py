"""The request log: what was answered is on the disk, as it came."""
