"""
What ``/flags/`` answers, whichever of its shapes it has, as one.

Three shapes are about: version 2 (``enabled`` and ``variant``), typed records (``value``) and the
legacy pair ``featureFlags`` and ``featureFlagPayloads``. A record that cannot be read spoils none
of its neighbours.

Source: the feature flags reference, 1.3 and 1.4.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import msgspec

from penstock.flags.payloads import decoded

#: What a flag can be for a person; None: it has no value.
Value: TypeAlias = bool | str | None

#: What an event calls the troubles of an answer.
INCOMPLETE = "errors_while_computing_flags"
LIMITED = "quota_limited"
FAILED = "evaluation_failed"
MISSING = "flag_missing"
UNKNOWN = "unknown_error"
#: The resource that a quota on flags names.
_RESOURCE = "feature_flags"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of an answer that hold for each of its records."""

    request_id: str | None = None
    #: Milliseconds since 1970.
    evaluated_at: int | None = None
    #: Whether ``$feature_flag_called`` may be reduced for flags without an experiment.
    minimal: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One flag of an answer."""

    key: str
    #: None when `failed`.
    value: Value
    #: The server's code, such as ``condition_match``.
    reason: str | None = None
    #: The reason in words.
    description: str | None = None
    #: Computing it failed: it has no value.
    failed: bool = False
    #: A field had a wrong type: it counts as disabled.
    unreadable: bool = False
    condition_index: int | None = None
    payload_source: Any = None
    flag_id: int | None = None
    version: int | None = None
    has_experiment: bool | None = None
    config_version: int = 1
    rule_type: str | None = None
    rule_id: str | None = None
    variant_key: str | None = None
    #: The value as it came, where it is a number or an object.
    typed: float | dict[str, Any] | None = None
    origin: Origin = Origin()

    @property
    def payload(self) -> Any:
        """The payload decoded, yours to change; None when there is none or it is not JSON."""
        return decoded(self.payload_source)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, or the lack of one."""

    #: ``{flag key: record}``
    records: dict[str, Record] = {}
    #: Some flags may be missing.
    incomplete: bool = False
    #: The quota is used up: there are no values.
    limited: bool = False
    #: What an event calls the failure; None when this is an answer.
    failure: str | None = None
    origin: Origin = Origin()

    @property
    def trouble(self) -> str | None:
        """What is wrong with the answer as a whole, as an event calls it."""
        return self.failure or _joined(
            INCOMPLETE if self.incomplete else None, LIMITED if self.limited else None
        )

    @property
    def is_clean(self) -> bool:
        """Whether a key that is not in it does not exist."""
        return not (self.failure or self.incomplete or self.limited)

    def error(self, key: str) -> str | None:
        """What is wrong with one key of it, as an event calls it."""
        if self.failure or self.limited:
            return self.trouble
        record = self.records.get(key)
        own = MISSING if record is None else FAILED if record.failed else None
        if record is not None and record.unreadable:
            own = UNKNOWN
        return _joined(self.trouble, own)


def _joined(*errors: str | None) -> str | None:
    return ",".join(error for error in errors if error) or None


def failed(error: str) -> Answer:
    """No answer: *error* is what an event calls it."""
    return Answer(failure=error)


class _Reason(msgspec.Struct):
    code: str | None = None
    condition_index: int | float | None = None
    description: str | None = None


class _Metadata(msgspec.Struct):
    id: int | float | None = None
    version: int | float | None = None
    description: str | None = None
    payload: Any = None
    has_experiment: bool | None = None
    config_version: int | float | None = None
    rule_type: str | None = None
    rule_id: str | None = None
    variant_key: str | None = None


class _Wire(msgspec.Struct):
    key: str | None = None
    enabled: bool | None = None
    variant: str | None = None
    value: bool | str | float | int | dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    failed: bool | None = None
    reason: _Reason | None = None
    metadata: _Metadata | None = None


def read_answer(body: bytes) -> Answer:
    """
    Read the body of a 200; never raises.

    Returns:
        What it says. A body that is not of any of the shapes is a failure, ``unknown_error``.
    """
    try:
        data = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return failed(UNKNOWN)
    if not isinstance(data, dict):
        return failed(UNKNOWN)
    origin = Origin(
        request_id=_of(str, data.get("requestId")),
        evaluated_at=_whole(data.get("evaluatedAt")),
        minimal=data.get("minimalFlagCalledEvents") is True,
    )
    limits = data.get("quotaLimited")
    limited = isinstance(limits, list) and _RESOURCE in limits
    records = _records(data, origin)
    if records is None and not limited:
        return failed(UNKNOWN)
    return Answer(
        records={} if limited or records is None else records,
        incomplete=data.get("errorsWhileComputingFlags") is True,
        limited=limited,
        origin=origin,
    )


def _records(data: dict[str, Any], origin: Origin) -> dict[str, Record] | None:
    """The flags of an answer; None when it has none of the members they may be in."""
    if "flags" in data:
        flags = data["flags"]
        if not isinstance(flags, dict):
            return None
        return {key: _record(key, wire, origin) for key, wire in flags.items()}
    flags = data.get("featureFlags")
    if not isinstance(flags, dict):
        return None
    payloads = data.get("featureFlagPayloads")
    return _legacy(flags, payloads if isinstance(payloads, dict) else {}, origin)


def _legacy(flags: dict[str, Any], payloads: dict[str, Any], origin: Origin) -> dict[str, Record]:
    records = {}
    for key, value in flags.items():
        if isinstance(value, bool | str):
            payload = payloads.get(key)
            records[key] = Record(key=key, value=value, payload_source=payload, origin=origin)
        else:
            records[key] = Record(key=key, value=False, unreadable=True, origin=origin)
    return records


def _record(key: str, data: Any, origin: Origin) -> Record:
    try:
        return _read(key, msgspec.convert(data, _Wire), origin)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return Record(key=key, value=False, unreadable=True, origin=origin)


def _read(key: str, wire: _Wire, origin: Origin) -> Record:
    """
    A record whose fields have the right types.

    Raises:
        ValueError: A number that must be whole is not.
    """
    typed = wire.value is not msgspec.UNSET
    reason, metadata = wire.reason or _Reason(), wire.metadata or _Metadata()
    value, payload = _legacy_rendering(wire, metadata.payload)
    failed = wire.failed is True
    return Record(
        key=key,
        value=None if failed else value,
        reason=reason.code,
        description=reason.description,
        failed=failed,
        condition_index=_integral(reason.condition_index),
        payload_source=None if failed else payload,
        flag_id=_integral(metadata.id),
        version=_integral(metadata.version),
        has_experiment=metadata.has_experiment,
        config_version=(_integral(metadata.config_version) or 1) if typed else 1,
        rule_type=metadata.rule_type,
        rule_id=metadata.rule_id,
        variant_key=metadata.variant_key,
        typed=_typed(wire),
        origin=origin,
    )


def _legacy_rendering(wire: _Wire, payload: Any) -> tuple[bool | str, Any]:
    """Value and payload; a typed value that is neither boolean nor text becomes the payload."""
    value = wire.value
    if value is msgspec.UNSET:
        return wire.variant or wire.enabled is True, payload
    if value is None:
        return False, payload
    if isinstance(value, bool | str):
        return value, payload
    return True, json.dumps(value, ensure_ascii=False)


def _typed(wire: _Wire) -> float | dict[str, Any] | None:
    value = wire.value
    return None if wire.failed or isinstance(value, bool | str | msgspec.UnsetType) else value


def _integral(number: float | None) -> int | None:
    """A whole number, also one written as ``2.0``."""
    if number is None:
        return None
    if not float(number).is_integer():
        raise ValueError(number)
    return int(number)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _of(kind: type[str], value: Any) -> str | None:
    return value if isinstance(value, kind) else None
