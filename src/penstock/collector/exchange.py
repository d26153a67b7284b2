"""
One POST, from its headers to its answer.

It is authenticated, read, inflated and looked at (`penstock.collector.intake`), appended to the
log as it came, and answered once the disk has it. Whatever goes wrong on the way is a `Refusal`,
which the vendor of the route has words for.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from penstock.collector.answers import posthog_v1_accepted
from penstock.collector.auth import credentials, well_formed
from penstock.collector.body import Gone, encoding_of, inflated, read_bytes
from penstock.collector.entry import Head, packed
from penstock.collector.intake import Intake, read_body
from penstock.collector.refusal import Reason, Refusal
from penstock.collector.routes import FAMILY, Route
from penstock.collector.v1_headers import check_v1_headers, is_json
from penstock.collector.wire import Form

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from penstock.collector.answers import Answer, Answers
    from penstock.collector.commit import GroupCommit
    from penstock.collector.config import Limits
    from penstock.collector.load import Admission, Load
    from penstock.collector.sources import Source, Sources

    Receive = Callable[[], Awaitable[dict[str, Any]]]

#: Characters kept of a header.
_MOST_HEADER = 200

_log = logging.getLogger("penstock.collector")


class Service(NamedTuple):
    """What all exchanges of a worker share."""

    commit: GroupCommit
    sources: Sources
    limits: Limits
    admission: Admission
    clock: Callable[[], float]


class Exchange:
    """
    One request.

    Args:
        service: What it shares with the others.
        route: Where it went.
        scope: ASGI's.
    """

    def __init__(self, service: Service, route: Route, scope: Mapping[str, Any]) -> None:
        self._service = service
        self._route = route
        self._scope = scope
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._given = credentials(self._headers.get(b"authorization", b""))
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
                return await self._take(receive, load)
        except Refusal as refusal:
            return self._answers.refused(refusal)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - the border: 503 leaves the events with the client
            _log.error("a request to %s failed: %s", self._scope["path"], type(error).__name__)
            return self._answers.refused(Refusal(Reason.OVERLOADED))

    async def _take(self, receive: Receive, load: Load) -> Answer:
        self._check_headers()
        limits, of_posthog = self._service.limits, self._route.dialect == "posthog"
        most = limits.posthog_body_bytes if of_posthog else limits.body_bytes
        body = await read_bytes(receive, most, limits.body_timeout, load)
        received_at = self._service.clock()
        encoding = encoding_of(self._declared_encoding(), body)
        intake = self._looked_at(body, encoding)
        if self._source is None:
            self._authenticate(intake.key or self._given.key)
        if intake.events:
            head = self._head(intake, encoding, received_at)
            await self._service.commit.write(packed(head, body), int(received_at))
        elif self._dialect not in {"segment", "dreamdata"}:
            raise Refusal(Reason.EMPTY_BATCH)
        return self._accepted(intake)

    # -- who sends -------------------------------------------------------------------------

    def _check_headers(self) -> None:
        """
        Everything that can be said before the body is read.

        A Basic user is the key and nothing else is. A Bearer token may be an OAuth token, with
        the key in the body, so it is looked at last; with V1 it is the key.
        """
        form = self._route.form
        if form is Form.POSTHOG_V1:
            check_v1_headers(self._headers)
            self._authenticate(self._given.key)
        elif form is not Form.POSTHOG:
            if self._given.scheme == "basic" and self._given.key:
                self._authenticate(self._given.key)
            if not is_json(self._headers.get(b"content-type", b"application/json")):
                raise Refusal(Reason.CONTENT_TYPE)

    def _authenticate(self, key: str) -> None:
        if not key:
            raise Refusal(Reason.MISSING_KEY)
        posthog = self._route.dialect == "posthog"
        source = self._service.sources.find(key, self._route.dialect)
        if source is None or (posthog and not well_formed(key)):
            raise Refusal(Reason.BAD_KEY)
        self._source = source
        if not posthog and source.dialect in FAMILY:
            self._dialect, self._answers = source.dialect, FAMILY[source.dialect]

    # -- what is sent ----------------------------------------------------------------------

    def _declared_encoding(self) -> str:
        declared: bytes = self._headers.get(b"content-encoding", b"")
        if self._route.form is Form.POSTHOG:
            query: str = self._scope["query_string"].decode("latin-1")
            for hint in parse_qs(query).get("compression", ()):
                return hint
        return declared.decode("latin-1")

    def _looked_at(self, body: bytes, encoding: str) -> Intake:
        """The inflated body lives no longer than this call."""
        limits, of_posthog = self._service.limits, self._route.dialect == "posthog"
        most = limits.posthog_inflated_bytes if of_posthog else limits.inflated_bytes
        return read_body(self._route.form, inflated(body, encoding, most), limits.events)

    def _head(self, intake: Intake, encoding: str, received_at: float) -> Head:
        client = self._scope.get("client")
        return Head(
            received_at=int(received_at * 1000),
            source=self._source.name if self._source else "",
            dialect=self._dialect,
            form=self._route.form.value,
            encoding=encoding,
            count=intake.events,
            type=self._route.type,
            sent_at=self._text(b"posthog-request-timestamp"),
            sdk=self._text(b"posthog-sdk-info"),
            ip=client[0] if client else "",
            size=intake.size,
            refused=intake.refused,
        )

    def _text(self, name: bytes) -> str:
        value: bytes = self._headers.get(name, b"")
        return value.decode("latin-1").strip()[:_MOST_HEADER]

    # -- what is said ----------------------------------------------------------------------

    def _accepted(self, intake: Intake) -> Answer:
        if self._route.form is Form.POSTHOG_V1:
            return posthog_v1_accepted(intake.verdicts, self._text(b"posthog-request-id"))
        return self._answers.accepted
