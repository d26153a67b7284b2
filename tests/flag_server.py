"""A provider of flags on loopback: what it answers, and what it was asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from faults.rules import Answer
from patience import wait_for
from penstock import Client, Config, FlagSettings, PostHog

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.sink import Exchange, FaultSink

PROJECT_KEY = "phc_loopback_only"
SECRET_KEY = "phs_loopback_only"
#: Nobody polls in the time a test takes.
NEVER_S = 1000.0


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until *condition* holds."""
    wait_for(condition, "what was to come", seconds)


def condition(
    *properties: dict[str, Any], rollout: float | None = 100, **more: Any
) -> dict[str, Any]:
    """One release condition."""
    return {"properties": list(properties), "rollout_percentage": rollout, **more}


def filter_(key: str, value: Any, operator: str = "exact", kind: str = "person") -> dict[str, Any]:
    """One filter."""
    return {"key": key, "type": kind, "operator": operator, "value": value}


def flag(key: str, *conditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A definition; everybody gets it unless *conditions* say otherwise."""
    filters = {"groups": list(conditions or [condition()]), **more.pop("filters", {})}
    own = {"id": 41, "key": key, "active": True, "version": 7, "has_experiment": False}
    return {**own, "filters": filters, **more}


def split(*names: str) -> dict[str, Any]:
    """Filters that give each variant an equal share."""
    shares = [{"key": name, "rollout_percentage": 100 / len(names)} for name in names]
    return {"multivariate": {"variants": shares}}


def definitions(*flags: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A body of definitions."""
    return {"flags": list(flags), "group_type_mapping": {}, "cohorts": {}, **more}


def record(key: str, value: Any = True, *, payload: Any = None, **more: Any) -> dict[str, Any]:
    """A flag of a version 2 answer."""
    variant = value if isinstance(value, str) else None
    metadata = {"id": 41, "version": 7, "payload": payload, **more.pop("metadata", {})}
    reason = {"code": "condition_match", "condition_index": 0, "description": "Matched set 1"}
    return {
        "key": key,
        "enabled": value is not False,
        "variant": variant,
        "reason": reason,
        "metadata": metadata,
        **more,
    }


def answer(*records: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A version 2 answer."""
    return {
        "flags": {one["key"]: one for one in records},
        "errorsWhileComputingFlags": False,
        "requestId": "0190b1c0-0000-7000-8000-000000000001",
        "evaluatedAt": 1_790_000_000_000,
        **more,
    }


class FlagServer:
    """
    A sink that serves flags besides taking events.

    Args:
        sink: The running server.

    Attributes:
        flags: What ``/flags/`` answers: a body, or an `Answer`.
        definitions: What ``/flags/definitions`` answers: a body, or an `Answer`; None for 404.
        etag: Sent with definitions; a request that has it is answered 304. Empty for none.
    """

    def __init__(self, sink: FaultSink) -> None:
        self.sink = sink
        self.flags: dict[str, Any] | Answer = answer()
        self.definitions: dict[str, Any] | Answer | None = None
        self.remote_config: Answer = Answer(404, body=b"{}")
        self.etag = ""
        sink.plan(self._answer)

    def _answer(self, exchange: Exchange) -> Answer | None:
        path = urlsplit(exchange.request.path).path
        if path == "/flags/":
            return _rendered(self.flags)
        if path == "/flags/definitions":
            return self._definitions(exchange)
        if path.endswith("/remote_config"):
            return self.remote_config
        return None

    def _definitions(self, exchange: Exchange) -> Answer:
        if self.definitions is None:
            return Answer(404, body=b"{}")
        if isinstance(self.definitions, Answer):
            return self.definitions
        headers = {"ETag": self.etag} if self.etag else {}
        if self.etag and exchange.request.headers.get("if-none-match") == self.etag:
            return Answer(304, headers, body=b"")
        return Answer(200, headers, json.dumps(self.definitions).encode())

    def _to(self, path: str) -> list[Exchange]:
        exchanges = list(self.sink.exchanges)
        return [one for one in exchanges if urlsplit(one.request.path).path == path]

    @property
    def reads(self) -> list[dict[str, Any]]:
        """Bodies of the requests for flags."""
        return [json.loads(one.json) for one in self._to("/flags/")]

    @property
    def looks(self) -> list[Exchange]:
        """The requests for definitions."""
        return self._to("/flags/definitions")

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that arrived, of all requests that were none for flags."""
        taken = [one for one in list(self.sink.exchanges) if "/batch" in one.request.path]
        return [dict(event) for one in taken for event in one.events]

    def called(self) -> list[dict[str, Any]]:
        """Properties of the ``$feature_flag_called`` events that arrived."""
        named = [one for one in self.events if one["event"] == "$feature_flag_called"]
        return [one["properties"] for one in named]

    def query(self, exchange: Exchange) -> dict[str, str]:
        """The parameters of a request."""
        query = urlsplit(exchange.request.path).query
        return {k: v[0] for k, v in parse_qs(query, keep_blank_values=True).items()}

    def client(self, *, secret: str | None = None, **flags: Any) -> Client:
        """A client in memory whose flags come from here; *flags* are settings of those."""
        settings = FlagSettings(secret_key=secret, **flags)
        return Client(
            PostHog(PROJECT_KEY, self.sink.url), config=Config(journal=None, flags=settings)
        )


def _rendered(body: dict[str, Any] | Answer) -> Answer:
    return body if isinstance(body, Answer) else Answer(body=json.dumps(body).encode())
