"""What the evaluator answers for one flag and one person."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.flags.payloads import decoded

#: Reasons of a decided flag, in the server's words.
CONDITION_MATCH = "condition_match"
NO_CONDITION_MATCH = "no_condition_match"
OUT_OF_ROLLOUT = "out_of_rollout_bound"
NO_GROUP = "no_group_type"
ENROLLMENT = "super_condition_value"
HOLDOUT = "holdout_condition_value"
DISABLED = "flag_disabled"

#: Reasons of a flag that only the server can decide, strongest first.
EXPERIENCE_CONTINUITY = "experience_continuity"
UNSUPPORTED_DEFINITION = "unsupported_definition"
UNRESOLVED_DEPENDENCY = "unresolved_dependency"
MISSING_CONTEXT = "missing_context"
#: No definition has this key.
FLAG_MISSING = "flag_missing"


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    A value, or why there is none.

    Most are made when definitions are compiled and handed out again and again, so they say
    nothing about the person.
    """

    key: str
    #: False, True, or the name of a variant (``holdout-ID`` of a holdout); None when only the
    #: server can decide, or nobody has defined the flag.
    value: bool | str | None
    #: One of this module's constants.
    reason: str
    #: Which condition matched, or excluded by its rollout, from 0.
    condition_index: int | None = None
    #: The payload as it was defined: JSON text as a rule.
    payload_source: Any = None
    #: The definition's; None when it has none.
    flag_id: int | None = None
    version: int | None = None
    #: None when the definition does not tell.
    has_experiment: bool | None = None

    @property
    def inconclusive(self) -> bool:
        """Whether there is no local value: ask the server, or take a default."""
        return self.value is None

    @property
    def enabled(self) -> bool:
        """Whether the value is anything but False or none."""
        return self.value is True or isinstance(self.value, str)

    @property
    def variant(self) -> str | None:
        """The value, if it is the name of a variant."""
        return self.value if isinstance(self.value, str) else None

    @property
    def payload(self) -> Any:
        """The payload decoded, None when there is none or it is not JSON. Yours to change."""
        return decoded(self.payload_source)

    @property
    def payload_text(self) -> Any:
        """The payload as defined, None when it is text that is not JSON: PostHog's bulk form."""
        source = self.payload_source
        return None if isinstance(source, str) and not _is_json(source) else source


def _is_json(text: str) -> bool:
    return decoded(text) is not None or text.strip() == "null"
