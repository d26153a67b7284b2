"""The paths the collector answers, and what each expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penstock.collector import answers
from penstock.collector.wire import Form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.collector.answers import Answers


class Route(NamedTuple):
    """One path that takes events by POST."""

    form: Form
    #: The dialect, unless the source declares another of the same family.
    dialect: str
    answers: Answers
    #: The message type the path implies; empty where each item tells its own.
    type: str = ""


#: What a source of the Segment family may declare, and who answers then.
FAMILY: Mapping[str, Answers] = {
    "segment": answers.SEGMENT,
    "dreamdata": answers.SEGMENT,
    "rudderstack": answers.RUDDERSTACK,
}

_TYPES = ("identify", "track", "page", "screen", "group", "alias")
_LEGACY = Route(Form.POSTHOG, "posthog", answers.POSTHOG)
_V1 = Route(Form.POSTHOG_V1, "posthog", answers.POSTHOG_V1)

INTAKES: Mapping[str, Route] = {
    "/v1/batch": Route(Form.BATCH, "segment", answers.SEGMENT),
    **{f"/v1/{t}": Route(Form.SINGLE, "segment", answers.SEGMENT, t) for t in _TYPES},
    "/batch": _LEGACY,
    "/batch/": _LEGACY,
    "/i/v1/analytics/events": _V1,
    "/i/v1/analytics/events/": _V1,
}

HEALTH = "/healthz"
CLUSTER_INFO = "/cluster-info"
