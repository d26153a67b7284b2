"""The processes of a collector."""
