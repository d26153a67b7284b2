"""
Feature flags: definitions, and a compiled evaluator of them.

Pure: nothing here knows a socket, a thread or a clock. `parse_definitions` reads what a provider
sent, `compile_flags` decides once what can be decided without a person, and
`CompiledFlags.evaluate` answers for one. The rules are those of PostHog's server-side SDKs, word
for word; docs/flags.md tells them.
"""

from penstock.flags.compiled import CompiledFlags, compile_flags
from penstock.flags.decision import Decision
from penstock.flags.definitions import Definitions, parse_definitions
from penstock.flags.person import Person

__all__ = [
    "CompiledFlags",
    "Decision",
    "Definitions",
    "Person",
    "compile_flags",
    "parse_definitions",
]
