"""One event's whole story."""
