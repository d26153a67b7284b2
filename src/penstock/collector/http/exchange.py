"""
One request that brings events, from its headers to its answer.

It is authenticated, read, inflated and looked at (`penstock.collector.http.intake`), appended to
the log as it came, and answered once the disk has it. Whatever goes wrong on the way is a
`Refusal`, which the vendor of the route has words for.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.collector.decoding.wire import Form
from penstock.collector.http import pixel
from penstock.collector.http.answers import NO_CONTENT, posthog_v1_accepted
from penstock.collector.http.auth import credentials, well_formed
from penstock.collector.http.body import Gone, read_bytes
from penstock.collector.http.intake import Intake, read_body
from penstock.collector.http.meters import ACCEPTED
from penstock.collector.http.parcel import Parcel, opened, opened_legacy
from penstock.collector.http.routes import FAMILY, Carrier, Route
from penstock.collector.http.v1_headers import check_v1_headers, is_readable
from penstock.collector.log.entry import Head, packed
from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.collector.address import Proxies
    from penstock.collector.config import Limits
    from penstock.collector.http.answers import Answer, Answers
    from penstock.collector.http.incoming import Incoming
    from penstock.collector.http.load import Admission, Load
    from penstock.collector.http.meters import Meter
    from penstock.collector.http.rates import Rates
    from penstock.collector.log.commit import GroupCommit
    from penstock.collector.sources import Source, Sources

    Receive = Callable[[], Awaitable[dict[str, Any]]]

#: Characters kept of a header.
_MOST_HEADER = 200
#: PostHog believes no earlier ``_`` than this (ms since 1970): old SDKs put other things there.
_FIRST_SENT = 1_609_459_200_000
#: And nobody's clock is in the year 2100.
_LAST_SENT = 4_102_444_800_000

_log = logging.getLogger("penstock.collector")


class Service(NamedTuple):
    """What all exchanges of a worker share."""

    commit: GroupCommit
    sources: Sources
    limits: Limits
    admission: Admission
    proxies: Proxies
    rates: Rates
    meter: Meter
    clock: Callable[[], float]


class Exchange:
    """
    One request.

    Args:
        service: What it shares with the others.
        route: Where it went.
        incoming: Its head.
    """

    def __init__(self, service: Service, route: Route, incoming: Incoming) -> None:
        self._service = service
        self._route = route
        self._incoming = incoming
        self._given = credentials(incoming.headers.get(b"authorization", b""))
        self._source: Source | None = None
        self._answers: Answers = route.answers
        self._dialect = route.dialect

    async def answer(self, receive: Receive) -> Answer:
        """
        What to tell the client.

        Raises:
            Gone: There is no client any more.
        """
        try:
            with self._service.admission.enter() as load:
                answer = await self._take(receive, load)
        except Gone:
            raise
        except Refusal as refusal:
            return self._refused(refusal)
        except Exception as error:  # noqa: BLE001 - the border: 503 leaves the events with the client
            _log.error("a request to %s failed: %s", self._route.form, type(error).__name__)
            return self._refused(Refusal(Reason.OVERLOADED))
        return answer

    def _refused(self, refusal: Refusal) -> Answer:
        self._service.meter.request(self._dialect, refusal.reason.value)
        return self._answers.refused(refusal)

    async def _take(self, receive: Receive, load: Load) -> Answer:
        self._check_headers()
        limits, body = self._service.limits, b""
        if self._incoming.method == "POST":
            body = await read_bytes(receive, self._most_bytes(), limits.body_timeout, load)
        received_at = self._service.clock()
        parcel = self._opened(body, received_at)
        intake = read_body(self._route.form, parcel.text, limits.events, limits.event_bytes)
        if self._source is None:
            self._authenticate(intake.key or self._given.key or self._query_key())
        if self._source is not None and not self._source.enabled:
            return self._ignored(intake)
        if intake.events:
            self._service.rates.charge(self._source_name(), intake.events)
            head = self._head(intake, parcel.encoding, received_at)
            await self._service.commit.write(packed(head, parcel.kept), int(received_at))
            self._service.meter.accepted(self._dialect, intake.events, len(parcel.kept))
        elif self._dialect not in {"segment", "dreamdata"} and not self._route.may_be_empty:
            raise Refusal(Reason.EMPTY_BATCH)
        self._service.meter.request(self._dialect, ACCEPTED)
        return self._accepted(intake)

    # -- who sends -------------------------------------------------------------------------

    def _check_headers(self) -> None:
        """
        Everything that can be said before the body is read.

        A Basic user is the key and nothing else is. A Bearer token may be an OAuth token, with
        the key in the body, so it is looked at last; with V1 it is the key.
        """
        route, headers = self._route, self._incoming.headers
        if route.form is Form.POSTHOG_V1:
            check_v1_headers(headers)
            self._authenticate(self._given.key)
        elif route.dialect != "posthog":
            if self._given.scheme == "basic" and self._given.key:
                self._authenticate(self._given.key)
            # RudderStack's node SDK calls its gzip a form.
            compressed = b"content-encoding" in headers
            if not compressed and not is_readable(headers.get(b"content-type", b"")):
                raise Refusal(Reason.CONTENT_TYPE)

    def _query_key(self) -> str:
        """A browser that leaves a page, and a picture, can send no headers."""
        keyed = self._route.carrier not in {Carrier.BODY, Carrier.LEGACY}
        return self._incoming.query.get("writeKey", "").strip() if keyed else ""

    def _authenticate(self, key: str) -> None:
        if not key:
            raise Refusal(Reason.MISSING_KEY)
        posthog = self._route.dialect == "posthog"
        source = self._service.sources.find(key, self._route.dialect)
        if source is None or (posthog and not well_formed(key)):
            raise Refusal(Reason.BAD_KEY)
        self._source = source
        if not posthog and source.dialect in FAMILY:
            self._dialect = source.dialect
            if self._route.carrier is Carrier.BODY:
                self._answers = FAMILY[source.dialect]
        if self._dialect == "rudderstack" and not source.enabled:
            raise Refusal(Reason.DISABLED)
        self._service.rates.charge(source.name, 0)  # mostly before its body is read

    def _source_name(self) -> str:
        return self._source.name if self._source else ""

    # -- what is sent ----------------------------------------------------------------------

    def _most_bytes(self) -> int:
        limits = self._service.limits
        posthog = self._route.dialect == "posthog"
        return limits.posthog_body_bytes if posthog else limits.body_bytes

    def _opened(self, body: bytes, received_at: float) -> Parcel:
        incoming, route, limits = self._incoming, self._route, self._service.limits
        if route.carrier is Carrier.SEGMENT_PIXEL:
            text = pixel.segment_message(incoming.query)
            return Parcel(text, "", text)
        if route.carrier is Carrier.RUDDERSTACK_PIXEL:
            text = pixel.rudderstack_message(incoming.query, route.type, received_at)
            return Parcel(text, "", text)
        if route.carrier is Carrier.LEGACY:
            return opened_legacy(body, incoming, limits.posthog_inflated_bytes)
        posthog = route.dialect == "posthog"
        most = limits.posthog_inflated_bytes if posthog else limits.inflated_bytes
        return opened(body, incoming.header(b"content-encoding"), most)

    def _head(self, intake: Intake, encoding: str, received_at: float) -> Head:
        return Head(
            received_at=int(received_at * 1000),
            source=self._source_name(),
            dialect=self._dialect,
            form=self._route.form.value,
            encoding=encoding,
            count=intake.events,
            type=self._route.type,
            sent_at=self._sent_at(),
            sdk=self._sdk(),
            ip=self._service.proxies.client(self._incoming),
            size=intake.size,
            refused=intake.refused,
            path=self._incoming.path,
            agent=self._text(b"user-agent"),
        )

    def _sent_at(self) -> str:
        """When it left, by a header of V1 or by ``_`` in the query, milliseconds since 1970."""
        if self._route.carrier is not Carrier.LEGACY:
            return self._text(b"posthog-request-timestamp")
        text = self._incoming.query.get("_", "")
        sent = int(text) if text.isascii() and text.isdigit() and len(text) <= 13 else 0  # noqa: PLR2004 - digits until 2286
        if not _FIRST_SENT <= sent < _LAST_SENT:
            return ""
        return datetime.fromtimestamp(sent / 1000, UTC).isoformat(timespec="milliseconds")

    def _sdk(self) -> str:
        """``name/version``; ``ver`` in the query is how PostHog's SDK in browsers says it."""
        if self._route.carrier is not Carrier.LEGACY:
            return self._text(b"posthog-sdk-info")
        version = self._incoming.query.get("ver", "")[:_MOST_HEADER]
        return f"web/{version}" if version else ""

    def _text(self, name: bytes) -> str:
        return self._incoming.header(name)[:_MOST_HEADER]

    # -- what is said ----------------------------------------------------------------------

    def _ignored(self, intake: Intake) -> Answer:
        """
        To a source that is switched off, where the vendor says success and keeps nothing.

        PostHog V1 tells it by event, in the word it has for what a project does not want.
        """
        self._service.meter.request(self._dialect, Reason.DISABLED.value)
        unwanted = dict.fromkeys(intake.verdicts, ("drop", "event_restriction_drop"))
        return self._accepted(intake._replace(verdicts=unwanted))

    def _accepted(self, intake: Intake) -> Answer:
        if self._route.form is Form.POSTHOG_V1:
            return posthog_v1_accepted(intake.verdicts, self._text(b"posthog-request-id"))
        if self._route.carrier is Carrier.LEGACY and self._incoming.query.get("beacon") == "1":
            return NO_CONTENT
        return self._answers.accepted
