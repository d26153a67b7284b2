"""The ingest app: requests in, each vendor's answers out, and what is counted meanwhile."""
