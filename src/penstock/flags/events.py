"""
The events that tell of a read: what is in them. Pure.

Source: the feature flags reference, 5.1, 5.4 and 5.5.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from penstock.flags.answer import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.flags.question import Question
    from penstock.flags.result import Evaluation

CALLED = "$feature_flag_called"
EXPOSURE = "$experiment_exposure"
_LOCALLY = "Evaluated locally"

#: Records of this version say which rule decided.
RULES = 2

#: What a reduced event keeps. Most of it is added by the destination when the event is sent.
MINIMAL = frozenset(
    {
        "$feature_flag",
        "$feature_flag_response",
        "$feature_flag_has_experiment",
        "$feature_flag_id",
        "$feature_flag_version",
        "$feature_flag_reason",
        "$feature_flag_request_id",
        "$feature_flag_evaluated_at",
        "$feature_flag_error",
        "$feature_flag_config_version",
        "$feature_flag_reason_code",
        "$feature_flag_rule_id",
        "$feature_flag_rule_type",
        "$feature_flag_variant_key",
        "locally_evaluated",
        "$groups",
        "$process_person_profile",
        "$session_id",
        "$lib",
        "$lib_version",
        "$is_server",
        "$geoip_disable",
        "$os",
        "$os_version",
        "$os_distro",
        "$python_runtime",
        "$python_version",
    }
)
#: Fields of a context that a reduced event keeps.
MINIMAL_CONTEXT = frozenset({"sessionId", "os", "runtime", "library"})

#: ``{reason code: rule types}`` that may be told together.
_RULES_OF = {
    "targeting_match": ("targeted_release", "percentage_rollout"),
    "experiment_split": ("experiment",),
    "rollout_miss": ("percentage_rollout", "experiment"),
    "experiment_paused": ("experiment",),
    "holdout": ("experiment",),
}
#: What only a record may say: no property of a scope gets into an event under these names.
ATTRIBUTION = frozenset(
    {
        "$feature_flag_config_version",
        "$feature_flag_reason_code",
        "$feature_flag_rule_id",
        "$feature_flag_rule_type",
        "$feature_flag_variant_key",
    }
)
_is_uuid = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


def is_minimal(evaluation: Evaluation, *, gate: bool) -> bool:
    """Whether the event may be reduced; *gate* is that of the definitions, for a local value."""
    if isinstance(evaluation.origin, Record):
        gate = evaluation.origin.origin.minimal
    return gate and evaluation.has_experiment is False


def called(evaluation: Evaluation, question: Question) -> dict[str, Any]:
    """Properties of ``$feature_flag_called``."""
    properties: dict[str, Any] = {
        "$feature_flag": evaluation.key,
        "$feature_flag_response": evaluation.value,
        f"$feature/{evaluation.key}": evaluation.value,
        "locally_evaluated": evaluation.locally_evaluated,
    }
    more = {
        "$feature_flag_payload": evaluation.payload,
        "$feature_flag_id": evaluation.flag_id,
        "$feature_flag_version": evaluation.version,
        "$feature_flag_has_experiment": evaluation.has_experiment,
        "$feature_flag_error": evaluation.error,
        "$groups": dict(question.person.groups) or None,
        "$device_id": question.person.device_id,
        "$geoip_disable": question.disable_geoip,
        **_reason(evaluation),
    }
    return properties | _given(more)


def _given(more: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in more.items() if value is not None}


def _reason(evaluation: Evaluation) -> dict[str, Any]:
    record = evaluation.origin
    if not isinstance(record, Record):
        return {"$feature_flag_reason": _LOCALLY if evaluation.locally_evaluated else None}
    told = {
        "$feature_flag_request_id": record.origin.request_id,
        "$feature_flag_evaluated_at": record.origin.evaluated_at,
    }
    if record.config_version != RULES:
        return {**told, "$feature_flag_reason": record.description}
    return {
        **told,
        "$feature_flag_config_version": RULES,
        "$feature_flag_reason_code": record.reason,
        **_rule(record),
    }


def _rule(record: Record) -> dict[str, Any]:
    """Which rule decided, where the reason and the rule's type belong together."""
    known = record.rule_type in _RULES_OF.get(record.reason or "", ())
    if record.failed or not known or not _is_uuid(record.rule_id or ""):
        return {}
    told: dict[str, Any] = {
        "$feature_flag_rule_id": record.rule_id,
        "$feature_flag_rule_type": record.rule_type,
    }
    if record.reason == "experiment_split":
        told["$feature_flag_variant_key"] = record.variant_key
    return told


def rule_mark(evaluation: Evaluation) -> tuple[Any, ...]:
    """What tells two reads apart besides person, flag, value and groups."""
    record = evaluation.origin
    if not isinstance(record, Record) or record.config_version != RULES:
        return ()
    return (RULES, record.reason, record.rule_id, record.rule_type, record.variant_key)


def exposure(evaluation: Evaluation, question: Question) -> dict[str, Any] | None:
    """Properties of ``$experiment_exposure``; None unless a rule has split people by variant."""
    record = evaluation.origin
    if not isinstance(record, Record) or record.config_version != RULES:
        return None
    rule = _rule(record)
    if rule.get("$feature_flag_variant_key") is None:
        return None
    properties = {
        "$feature_flag": evaluation.key,
        "$feature_flag_response": evaluation.value,
        "locally_evaluated": evaluation.locally_evaluated,
        "$feature_flag_variant_key": record.variant_key,
        "$feature_flag_rule_id": record.rule_id,
    }
    more = {
        "$feature_flag_id": record.flag_id,
        "$feature_flag_version": record.version,
        "$feature_flag_request_id": record.origin.request_id,
        "$feature_flag_evaluated_at": record.origin.evaluated_at,
        "$groups": dict(question.person.groups) or None,
    }
    return properties | _given(more)


def on_captured(values: Mapping[str, Any]) -> dict[str, Any]:
    """Properties of a captured event that tell of *values*, ``{flag key: value}``."""
    properties = {f"$feature/{key}": value for key, value in values.items()}
    active = sorted(key for key, value in values.items() if value is not False)
    if active:
        properties["$active_feature_flags"] = active
    return properties
