"""Delivery: cursors over the journal, batches, retries, outcomes."""
