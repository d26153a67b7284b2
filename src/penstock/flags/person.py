"""Who a flag is evaluated for."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from typing import Any

import msgspec

_NOTHING: Mapping[str, Any] = {}


class Person(msgspec.Struct, frozen=True):
    """
    What the caller knows about the person, as it was passed: the evaluator adds what follows.

    It adds ``distinct_id`` to *properties* and ``$group_key`` to the properties of each group,
    unless the caller gave them. Mappings are read, never written, and not copied: leave them
    alone until the evaluation is over.
    """

    #: Text as a rule; an integer is read as its digits. Empty: nothing can be decided here.
    distinct_id: str | int
    #: For flags that are bucketed by device; the property ``$device_id`` is the last resort.
    device_id: str | None = None
    #: ``{name: any value}``
    properties: Mapping[str, Any] = _NOTHING
    #: ``{group type: group key}``
    groups: Mapping[str, str] = _NOTHING
    #: ``{group type: {name: any value}}``; types that are not in *groups* are ignored.
    group_properties: Mapping[str, Mapping[str, Any]] = _NOTHING
