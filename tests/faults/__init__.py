"""A loopback server that fails on purpose, and what it takes to run real programs against it."""
