"""
What a request for flags asks, and the answer in the shape its SDK knows. Pure.

Shapes by the ``v`` of the query: none or 1 has bare values; 2 has records; 3 and 4 have records
with typed values. Any other number is answered as 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from penstock.collector.refusal import Reason, Refusal
from penstock.flags import Person
from penstock.flags import decision as reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.flags import CompiledFlags, Decision

_TYPED = (3, 4)
#: Characters of a distinct id that count.
_MOST_ID = 200
_WORDS = {
    reasons.NO_CONDITION_MATCH: "No matching condition set",
    reasons.OUT_OF_ROLLOUT: "Out of rollout bound",
    reasons.NO_GROUP: "The group was not passed",
    reasons.ENROLLMENT: "The person's own choice",
    reasons.HOLDOUT: "Held out",
    reasons.DISABLED: "The flag is not active",
    reasons.MISSING_CONTEXT: "A property it needs was not passed",
    reasons.UNSUPPORTED_DEFINITION: "Its definition cannot be evaluated here",
    reasons.UNRESOLVED_DEPENDENCY: "A flag it depends on cannot be evaluated",
    reasons.EXPERIENCE_CONTINUITY: "It needs a memory of people, which a collector does not have",
}


class Question(msgspec.Struct):
    """A request's body; names that are not here are ignored."""

    distinct_id: str | int | float | None = None
    api_key: str = ""
    #: The same, as node and browsers name it.
    token: str = ""
    groups: dict[str, Any] | None = None
    person_properties: dict[str, Any] | None = None
    group_properties: dict[str, Any] | None = None
    device_id: str | None = None
    also_device_id: str | None = msgspec.field(default=None, name="$device_id")
    flag_keys_to_evaluate: list[str] | None = None
    evaluation_runtime: str | None = None
    evaluation_contexts: list[str] | None = None

    @property
    def key(self) -> str:
        """The project key."""
        return (self.api_key or self.token).strip()

    def person(self) -> Person:
        """Who it is about."""
        device = self.device_id or self.also_device_id
        return Person(
            str("" if self.distinct_id is None else self.distinct_id)[:_MOST_ID],
            device,
            self.person_properties or {},
            self.groups or {},
            self.group_properties or {},
        )


def read_question(body: bytes) -> Question:
    """
    Read a request's body.

    Raises:
        Refusal: It is not JSON, or a member has another type.
    """
    try:
        # Twice, because orjson mends nothing and msgspec says where it hurts.
        return msgspec.convert(orjson.loads(body), Question)
    except msgspec.ValidationError as error:
        raise Refusal(Reason.MALFORMED, str(error)) from None
    except ValueError:
        raise Refusal(Reason.MALFORMED, "the body is not JSON") from None


def answered(
    flags: CompiledFlags, question: Question, version: int, request_id: str, now_ms: int
) -> dict[str, Any]:
    """
    Evaluate, and say it.

    Args:
        flags: What is served.
        question: From `read_question`.
        version: The ``v`` of the query; 1 when there is none.
        request_id: A UUID.
        now_ms: Milliseconds since 1970.
    """
    decisions = flags.evaluate_all(question.person(), question.flag_keys_to_evaluate)
    kept = {key: d for key, d in decisions.items() if _offered(flags, key, question)}
    envelope: dict[str, Any] = {
        "errorsWhileComputingFlags": any(d.inconclusive for d in kept.values()),
        "requestId": request_id,
        "evaluatedAt": now_ms,
    }
    if flags.definitions.minimal_flag_called_events:
        envelope["minimalFlagCalledEvents"] = True
    if version < 2:  # noqa: PLR2004 - its number
        return _bare(kept) | envelope
    records = {key: _record(d, typed=version in _TYPED) for key, d in kept.items()}
    return {"flags": records, **envelope}


def _offered(flags: CompiledFlags, key: str, question: Question) -> bool:
    """Whether the flag is meant for this runtime and these contexts."""
    flag = flags.definitions.flags[key]
    asked, meant = question.evaluation_runtime, flag.evaluation_runtime
    if asked in {"client", "server"} and meant in {"client", "server"} and asked != meant:
        return False
    contexts = flag.evaluation_contexts
    if not question.evaluation_contexts or not isinstance(contexts, list) or not contexts:
        return True
    return any(context in question.evaluation_contexts for context in contexts)


def _bare(decisions: Mapping[str, Decision]) -> dict[str, Any]:
    known = {key: d for key, d in decisions.items() if not d.inconclusive}
    payloads = {key: d.payload_text for key, d in known.items()}
    return {
        "featureFlags": {key: d.value for key, d in known.items()},
        "featureFlagPayloads": {k: text for k, text in payloads.items() if text is not None},
    }


def _record(decision: Decision, *, typed: bool) -> dict[str, Any]:
    record: dict[str, Any] = {"key": decision.key}
    if typed:
        record["value"] = decision.value
    else:
        record |= {"enabled": decision.enabled, "variant": decision.variant}
    if decision.inconclusive:
        record["failed"] = True
    record["reason"] = {
        "code": decision.reason,
        "condition_index": decision.condition_index,
        "description": _described(decision),
    }
    record["metadata"] = {
        "id": decision.flag_id,
        "version": decision.version,
        "description": None,
        "payload": decision.payload_text,
        **({"config_version": 1} if typed else {}),
        **({} if decision.has_experiment is None else {"has_experiment": decision.has_experiment}),
    }
    return record


def _described(decision: Decision) -> str:
    if decision.reason == reasons.CONDITION_MATCH and decision.condition_index is not None:
        return f"Matched condition set {decision.condition_index + 1}"
    return _WORDS.get(decision.reason, decision.reason)
