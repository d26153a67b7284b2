"""
Error tracking: exceptions with their causes and stacks, as events that survive the crash.

`chain`, `stack`, `frames`, `source`, `variables`, `scrubbing` and `trimming` are pure: from an
exception to JSON. `tracker` decides what becomes an event; `hooks`, `loops` and
`logging_handler` are how errors come in, and each can be taken out again. Nothing here is
imported before an error is captured or a hook installed.
"""

from penstock.error_tracking.settings import ErrorTracking
from penstock.error_tracking.types import Entry, ExceptionOptions, Frame, Hint, Level

__all__ = ["Entry", "ErrorTracking", "ExceptionOptions", "Frame", "Hint", "Level"]
