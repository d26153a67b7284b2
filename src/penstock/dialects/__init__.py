"""
Wire formats, one file each; pure.

Only the seam is imported here. A destination imports its own dialect when it is first used, so
that a program pays for the formats it speaks and for no other.
"""

from penstock.dialects._types import (
    Accepted,
    Attempt,
    Dialect,
    Encoded,
    Malformed,
    Mixed,
    Outcome,
    Rejected,
    Rerouted,
    RetryLater,
    TooLarge,
    Unencodable,
    Verdict,
)

__all__ = [
    "Accepted",
    "Attempt",
    "Dialect",
    "Encoded",
    "Malformed",
    "Mixed",
    "Outcome",
    "Rejected",
    "Rerouted",
    "RetryLater",
    "TooLarge",
    "Unencodable",
    "Verdict",
]
