"""
The paths that serve flags: evaluated here, or as definitions for SDKs that evaluate themselves.

PostHog's own SDKs, in any language, are the clients; paths, keys and errors are theirs.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from penstock.collector.http import answers
from penstock.collector.http.answers import Answer, json_answer
from penstock.collector.http.auth import credentials, well_formed
from penstock.collector.http.body import Gone, read_bytes
from penstock.collector.http.flag_answers import answered, read_question
from penstock.collector.http.parcel import opened_legacy
from penstock.collector.refusal import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from penstock.collector.config import CollectorConfig
    from penstock.collector.http.cors import Origins
    from penstock.collector.http.flag_file import FlagFile
    from penstock.collector.http.incoming import Incoming
    from penstock.collector.http.load import Admission, Load

    Receive = Callable[[], Awaitable[dict[str, Any]]]

_log = logging.getLogger("penstock.collector")

#: Bytes of a question, as it comes and inflated: properties of one person.
_MOST_BYTES = 2 * 1024 * 1024
_EVALUATE = ("/flags", "/flags/")
_DEFINITIONS = frozenset({
    "/flags/definitions", "/flags/definitions/",
    "/api/feature_flag/local_evaluation", "/api/feature_flag/local_evaluation/",
})  # fmt: skip
_REMOTE_CONFIG = re.compile(r"/api/projects/[^/]+/feature_flags/(.+)/remote_config/?")
#: ``{reason: (status, type, code)}``; the rest is a request that cannot be read.
_ERRORS: Mapping[Reason, tuple[int, str, str]] = {
    Reason.MISSING_KEY: (401, "authentication_error", "missing_api_key"),
    Reason.BAD_KEY: (401, "authentication_error", "invalid_api_key"),
    Reason.ORIGIN: (403, "authentication_error", "origin_not_allowed"),
    Reason.TOO_LARGE: (413, "validation_error", "payload_too_large"),
    Reason.SLOW: (408, "server_error", "timeout"),
    Reason.OVERLOADED: (503, "server_error", "overloaded"),
}


_NO_FLAG = json_answer(
    404,
    {"type": "invalid_request", "code": "not_found", "detail": "no active flag has this key"},
)


class FlagRoutes:
    """
    Serves one definitions file.

    Args:
        config: Who may ask, with which keys.
        file: What is served.
        admission: Bounds what all requests together hold.
        origins: Pages that may ask.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        config: CollectorConfig,
        file: FlagFile,
        admission: Admission,
        origins: Origins,
        clock: Callable[[], float],
    ) -> None:
        self._sources = config.sources
        self._secrets = config.flag_keys
        self._timeout = config.limits.body_timeout
        self._admission = admission
        self._origins = origins
        self._clock = clock
        self.file = file

    def methods(self, path: str) -> tuple[str, ...]:
        """What may be done with a path; nothing when it is not one of these."""
        if path in _EVALUATE:
            return ("POST",)
        reading = path in _DEFINITIONS or _REMOTE_CONFIG.fullmatch(path)
        return ("GET", "HEAD") if reading else ()

    async def answer(self, incoming: Incoming, receive: Receive) -> Answer:
        """
        What to tell the client; pages of other origins may ask, too.

        Raises:
            Gone: There is no client any more.
        """
        methods = self.methods(incoming.path)
        try:
            if incoming.method == "OPTIONS":
                return self._origins.preflight(incoming.headers, methods)
            origin = self._origins.headers(incoming.header(b"origin"))
        except Refusal as refusal:
            return refused(refusal)
        if incoming.method not in methods:
            answer = answers.wrong_method(", ".join(methods))
        else:
            answer = await self._admitted(incoming, receive)
        return answer._replace(headers=(*answer.headers, *origin)) if origin else answer

    async def _admitted(self, incoming: Incoming, receive: Receive) -> Answer:
        try:
            with self._admission.enter() as load:
                if incoming.path in _EVALUATE:
                    return await self._evaluated(incoming, receive, load)
                self._authenticate(incoming)
                if incoming.path in _DEFINITIONS:
                    return self._definitions(incoming)
                return self._remote_config(incoming.path)
        except Gone:
            raise
        except Refusal as refusal:
            return refused(refusal)
        except Exception as error:  # noqa: BLE001 - the border: an SDK has a default for this
            _log.error("a request for flags failed: %s", type(error).__name__)
            return refused(Refusal(Reason.OVERLOADED))

    # -- evaluated here --------------------------------------------------------------------

    async def _evaluated(self, incoming: Incoming, receive: Receive, load: Load) -> Answer:
        body = await read_bytes(receive, _MOST_BYTES, self._timeout, load)
        question = read_question(opened_legacy(body, incoming, _MOST_BYTES).text)
        if not question.key:
            raise Refusal(Reason.MISSING_KEY, "the body has no api_key")
        if not well_formed(question.key) or not self._sources.find(question.key, "posthog"):
            raise Refusal(Reason.BAD_KEY, "the project key is not known here")
        if question.distinct_id is None:
            raise Refusal(Reason.MALFORMED, "distinct_id is missing")
        flags = self.file.served.flags
        version = incoming.query.get("v", "")
        number = int(version) if version.isascii() and version.isdigit() else 1
        now_ms = int(self._clock() * 1000)
        return json_answer(200, answered(flags, question, number, str(uuid4()), now_ms))

    # -- for who evaluates alone -----------------------------------------------------------

    def _authenticate(self, incoming: Incoming) -> None:
        """
        A secret key must come with it; a project key, which is public, is not enough.

        Raises:
            Refusal: There is none, it is not known, or it is of the other kind.
        """
        secret = credentials(incoming.headers.get(b"authorization", b"")).key
        project = incoming.query.get("token", "").strip()
        if not secret:
            raise Refusal(Reason.MISSING_KEY, "send a secret key as a Bearer token")
        if secret.startswith("phc_"):
            raise Refusal(Reason.BAD_KEY, "this is a project key; definitions need a secret key")
        # Who names no secret keys means that whoever may send may read.
        known = self._sources if self._secrets.open else self._secrets
        if not known.find(secret, "posthog"):
            raise Refusal(Reason.BAD_KEY, "the secret key is not known here")
        if project and not self._sources.find(project, "posthog"):
            raise Refusal(Reason.BAD_KEY, "the project key is not known here")

    def _definitions(self, incoming: Incoming) -> Answer:
        served = self.file.served
        headers = ((b"etag", served.etag.encode()), (b"cache-control", b"no-cache"))
        if _matches(incoming.header(b"if-none-match"), served.etag):
            return Answer(304, headers, b"")
        return Answer(200, ((b"content-type", b"application/json"), *headers), served.body)

    def _remote_config(self, path: str) -> Answer:
        """The payload of a flag that is on: JSON text, in JSON."""
        found, flags = _REMOTE_CONFIG.fullmatch(path), self.file.served.flags
        key = found[1] if found else ""
        flag = flags.definitions.flags.get(key)
        if flag is None or not flag.active:
            return _NO_FLAG
        return json_answer(200, flags.payload_source(key, value=True))


def refused(refusal: Refusal) -> Answer:
    """An error as PostHog words it."""
    status, kind, code = _ERRORS.get(refusal.reason, (400, "validation_error", "invalid_input"))
    body = {"type": kind, "code": code, "detail": str(refusal), "attr": None}
    return json_answer(status, body)


def _matches(header: str, etag: str) -> bool:
    """Whether ``If-None-Match`` names what we have; a proxy may have weakened it."""
    named = [part.strip().removeprefix("W/") for part in header.split(",")]
    return etag in named or "*" in named
