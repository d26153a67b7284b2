"""Flags on a captured event. Source: the feature flags reference, 4.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypedDict, cast

from penstock import _checks
from penstock._log import WARNING
from penstock.errors import ConfigError, FieldError
from penstock.flags.events import on_captured
from penstock.flags.question import identity
from penstock.flags.snapshot import FlagSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock._calls import Calls
    from penstock.flags.front import Flags
    from penstock.messages import Data, Id


class SendOptions(TypedDict, total=False):
    """
    How the flags of an event are found.

    Attributes:
        only_evaluate_locally: True: here or not at all; False: ask the provider in any case.
            Unless given: here if there are definitions, by the provider if not.
        person_properties: Facts of the person, for this evaluation only.
        group_properties: ``{group type: facts of the group}``, for this evaluation only.
        flag_keys_filter: Only these flags.
        device_id: For flags that are bucketed by device.
    """

    only_evaluate_locally: bool
    person_properties: Mapping[str, Any]
    group_properties: Mapping[str, Mapping[str, Any]]
    flag_keys_filter: Iterable[str]
    device_id: str


SendFlags: TypeAlias = bool | SendOptions
"""What ``send_feature_flags`` may be."""

_NAMES = frozenset(SendOptions.__annotations__)
_FIELD = "send_feature_flags"


def with_flags(  # noqa: PLR0917 - handed on by position from `Client.capture`
    client: Calls,
    distinct_id: Id | None,
    properties: Data | None,
    groups: Data | None,
    snapshot: FlagSnapshot | None,
    sent: SendFlags,
) -> Data | None:
    """
    An event's properties with what the flags are; the event's own win.

    Raises:
        FieldError: *snapshot* or *sent* is of the wrong type.
        ClosedError: The client was closed.
    """
    options = _checked(sent)
    own = {} if properties is None else _checks.mapping(properties, "Capture", "properties")
    if snapshot is None:
        asking = _asking(client, distinct_id, options)
        if asking is None:
            return properties
        snapshot = asking.flags.for_event(asking.who, groups, asking.options)
    elif not isinstance(snapshot, FlagSnapshot):
        raise FieldError("Capture", "flags", snapshot, "must be what flags.evaluate() returned")
    elif options is not None:
        text = "capture: flags and send_feature_flags are both given; flags is taken"
        client._log.say(WARNING, "flags:both", text)  # noqa: SLF001 - one voice
    return {**on_captured(snapshot.values), **own}


async def flags_of_event(
    client: Calls, distinct_id: Id | None, groups: Data | None, sent: SendFlags
) -> FlagSnapshot | None:
    """
    What `with_flags` would evaluate for an event, without blocking an event loop.

    None where it would evaluate nothing.

    Raises:
        FieldError: *sent* is of the wrong type.
        ClosedError: The client was closed.
    """
    asking = _asking(client, distinct_id, _checked(sent))
    if asking is None:
        return None
    return await asking.flags.afor_event(asking.who, groups, asking.options)


class _Asking(NamedTuple):
    """Who is to be evaluated, by what, and how."""

    flags: Flags
    who: str
    options: SendOptions


def _asking(client: Calls, distinct_id: Id | None, options: SendOptions | None) -> _Asking | None:
    """None where nothing is to be evaluated."""
    who = identity(distinct_id)
    if options is None or who is None:  # nobody knows whose flags those of a random id would be
        return None
    try:
        return _Asking(client.flags, who, options)
    except ConfigError:
        if client.destinations:
            raise
        return None


def _checked(sent: object) -> SendOptions | None:
    """The options; None for no flags."""
    if isinstance(sent, bool):
        return {} if sent else None
    if not isinstance(sent, dict):
        raise FieldError("Capture", _FIELD, sent, "must be True, False or a dict of options")
    if not sent.keys() <= _NAMES:
        unknown = min(map(str, sent.keys() - _NAMES))
        known = ", ".join(sorted(_NAMES))
        raise FieldError("Capture", f"{_FIELD}.{unknown}", None, f"is none of {known}")
    return cast("SendOptions", sent)
