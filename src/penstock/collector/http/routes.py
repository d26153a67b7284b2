"""The paths that take events, and what each expects."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from penstock.collector.decoding.wire import Form
from penstock.collector.http import answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.collector.http.answers import Answers


class Carrier(Enum):
    """What brings the events to us."""

    #: A JSON body, compressed or not.
    BODY = "body"
    #: The same, with the write key in the query: what a browser sends as it leaves the page.
    BEACON = "beacon"
    #: A body or a query, as form, base64, or plain: PostHog's older SDKs.
    LEGACY = "legacy"
    #: The query of a picture's address, in Segment's and in RudderStack's manner.
    SEGMENT_PIXEL = "segment_pixel"
    RUDDERSTACK_PIXEL = "rudderstack_pixel"


#: Methods by carrier; the others have a body.
_METHODS = {
    Carrier.LEGACY: ("GET", "POST"),
    Carrier.SEGMENT_PIXEL: ("GET",),
    Carrier.RUDDERSTACK_PIXEL: ("GET",),
}


class Route(NamedTuple):
    """One path that takes events."""

    form: Form
    #: The dialect, unless the source declares another of the same family.
    dialect: str
    answers: Answers
    #: The message type the path implies; empty where each item tells its own.
    type: str = ""
    carrier: Carrier = Carrier.BODY
    #: Whether a batch without events is fine, whatever the vendor says elsewhere.
    may_be_empty: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """What may be done with it, OPTIONS aside."""
        return _METHODS.get(self.carrier, ("POST",))


#: What a source of the Segment family may declare, and who answers then.
FAMILY: Mapping[str, Answers] = {
    "segment": answers.SEGMENT,
    "dreamdata": answers.SEGMENT,
    "rudderstack": answers.RUDDERSTACK,
}

_TYPES = ("identify", "track", "page", "screen", "group", "alias")
#: analytics.js names a call by its first letter.
_LETTERS = {name[0]: name for name in _TYPES}
#: RudderStack has one more, which no neutral event stands for: it is quarantined.
_MERGE = "merge"


def _family() -> Iterator[tuple[str, Route]]:
    batch = Route(Form.BATCH, "segment", answers.SEGMENT)
    yield "/v1/batch", batch
    yield "/v1/b", batch
    yield "/v1/import", batch._replace(may_be_empty=True)
    beacon = Route(Form.BATCH, "rudderstack", answers.BEACON, carrier=Carrier.BEACON)
    yield "/beacon/v1/batch", beacon
    for name, type_ in [*zip(_TYPES, _TYPES, strict=True), (_MERGE, _MERGE), *_LETTERS.items()]:
        yield f"/v1/{name}", Route(Form.SINGLE, "segment", answers.SEGMENT, type_)


def _pixels() -> Iterator[tuple[str, Route]]:
    pixel = Route(Form.SINGLE, "segment", answers.PIXEL, carrier=Carrier.SEGMENT_PIXEL)
    for type_ in _TYPES:
        yield f"/v1/pixel/{type_}", pixel._replace(type=type_)
    for type_ in ("track", "page"):
        yield (
            f"/pixel/v1/{type_}",
            pixel._replace(type=type_, dialect="rudderstack", carrier=Carrier.RUDDERSTACK_PIXEL),
        )


def _posthog() -> Iterator[tuple[str, Route]]:
    """All of them with a slash at the end, and without."""
    legacy = Route(Form.POSTHOG, "posthog", answers.POSTHOG, carrier=Carrier.LEGACY)
    v1 = Route(Form.POSTHOG_V1, "posthog", answers.POSTHOG_V1)
    paths = dict.fromkeys(
        ("/batch", "/capture", "/e", "/track", "/i/v0/e", "/i/v0/ai/batch"), legacy
    )
    paths["/engage"] = legacy._replace(type="identify")
    paths |= dict.fromkeys(("/i/v1/analytics/events", "/i/v1/ai/events"), v1)
    for path, route in paths.items():
        yield path, route
        yield f"{path}/", route


INTAKES: Mapping[str, Route] = dict([*_family(), *_pixels(), *_posthog()])
