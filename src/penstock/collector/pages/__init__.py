"""
The debugger: web pages that show what arrives, and the whole story of each event.

They run in a process of their own, on a port of their own, and only read: the log as it is
written, the store, and the destinations' ledgers. Taking events costs the same with and without
them.
"""
