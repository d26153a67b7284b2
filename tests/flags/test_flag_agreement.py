"""One question has one answer, whichever way it is asked."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from flag_server import NEVER_S, SECRET_KEY, condition, definitions, filter_, flag
from penstock import Client, Config, FlagSettings, PostHog, Response
from penstock.collector.http.flag_answers import answered, read_question
from penstock.flags import Person, compile_flags, parse_definitions
from penstock.flags.openfeature import PenstockProvider
from penstock.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openfeature.client import OpenFeatureClient

    from penstock import Request

ACTORS = ["u1", "u2", "u3", "a-rather-long-identifier", "ü"]
FILTERS = st.one_of(
    st.builds(
        filter_,
        st.sampled_from(["tier", "email", "distinct_id"]),
        st.sampled_from(["gold", ["gold", "tin"], "u1"]),
    ),
    st.builds(filter_, st.just("seats"), st.integers(0, 9), st.sampled_from(["gt", "lte"])),
    st.builds(
        filter_,
        st.just("email"),
        st.just("example"),
        st.sampled_from(["icontains", "regex", "is_set"]),
    ),
    st.just(filter_("", 55, "in", "cohort")),
    st.just(filter_("", 99, "in", "cohort")),
)
CONDITIONS = st.builds(
    lambda filters, rollout, variant: condition(*filters, rollout=rollout, variant=variant),
    st.lists(FILTERS, max_size=2),
    st.none() | st.floats(0, 100),
    st.none() | st.sampled_from(["control", "wide"]),
)
MORE = st.fixed_dictionaries(
    {},
    optional={
        "multivariate": st.just(
            {
                "variants": [
                    {"key": "control", "rollout_percentage": 40},
                    {"key": "wide", "rollout_percentage": 50},
                ]
            }
        ),
        "holdout": st.builds(
            lambda share: {"id": 12, "exclusion_percentage": share}, st.floats(0, 100)
        ),
        "payloads": st.just({"true": '{"a": 1}', "wide": "[2]", "control": "not json"}),
        "aggregation_group_type_index": st.just(0),
        "early_exit": st.booleans(),
    },
)
FLAGS = st.lists(
    st.builds(
        lambda key, conditions, more, active: flag(key, *conditions, filters=more, active=active),
        st.sampled_from(["f", "g", "h"]),
        st.lists(CONDITIONS, min_size=1, max_size=3),
        MORE,
        st.sampled_from([True, True, True, False]),
    ),
    max_size=3,
    unique_by=lambda one: one["key"],
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "person_properties": st.dictionaries(
            st.sampled_from(["tier", "email", "seats"]),
            st.sampled_from(["gold", "tin", "a@example.com", 5, 0, None, True]),
        ),
        "groups": st.just({"company": "acme"}),
        "group_properties": st.just({"company": {"seats": 5, "tier": "gold"}}),
    },
)


class Provider:
    """Serves what it holds, as the collector does, without a server."""

    def __init__(self) -> None:
        self.body = definitions()
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            return Response(200, {}, json.dumps(self.body).encode())
        if "/flags/" not in request.url:
            return Response(200, {}, b"{}")
        flags = compile_flags(parse_definitions(self.body))
        told = answered(flags, read_question(request.body), int(request.url[-1]), "r1", 1)
        return Response(200, {}, json.dumps(told).encode())


class Ways:
    """Every way to ask, over one provider."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.local = self._client(secret_key=SECRET_KEY)
        self.remote = self._client()
        self.typed = self._client(api_version=4)
        api.set_provider_and_wait(PenstockProvider(self.local, send_events=False), "local")
        api.set_provider_and_wait(PenstockProvider(self.remote, send_events=False), "remote")

    def _client(self, **flags: Any) -> Client:
        transport = MemoryTransport(self.provider)
        own = FlagSettings(**flags, poll_interval=NEVER_S, send_events=False)
        config = Config(journal=None, transport=transport, flags=own)
        return Client(PostHog("phc_x"), config=config)

    def serve(self, body: dict[str, Any]) -> None:
        self.provider.body = body
        assert self.local.flags.reload(10)

    def close(self) -> None:
        for client in (self.local, self.remote, self.typed):
            client.close()


@pytest.fixture(scope="module")
def ways() -> Iterator[Ways]:
    made = Ways()
    yield made
    api.shutdown()
    api.clear_providers()
    made.close()


def of_openfeature(client: OpenFeatureClient, key: str, who: str, options: dict[str, Any]) -> Any:
    """Value and payload as OpenFeature tells them; None where it takes a default."""
    attributes = {**options.get("person_properties", {})}
    attributes |= {k: options[k] for k in ("groups", "group_properties") if k in options}
    context = EvaluationContext(who, attributes)
    found = client.get_boolean_details(key, default_value=False, evaluation_context=context)
    if found.error_code is not None:
        return None
    return found.variant if found.variant is not None else found.value


@settings(max_examples=100)
@given(flags=FLAGS, options=OPTIONS, who=st.sampled_from(ACTORS))
def test_every_way_gives_the_same_answer(
    ways: Ways, flags: list[dict[str, Any]], options: dict[str, Any], who: str
) -> None:
    """The evaluator, reads here and there, snapshots, all flags, and OpenFeature over both."""
    cohort = {"type": "AND", "values": [filter_("tier", "gold")]}
    body = definitions(*flags, group_type_mapping={"0": "company"}, cohorts={"55": cohort})
    ways.serve(body)
    compiled = compile_flags(parse_definitions(body))
    person = Person(
        who,
        None,
        options.get("person_properties", {}),
        options.get("groups", {}),
        options.get("group_properties", {}),
    )
    snapshots = [client.flags.evaluate(who, **options) for client in (ways.local, ways.remote)]
    every = [client.flags.all(who, **options) for client in (ways.local, ways.remote, ways.typed)]
    for key in ("f", "g", "h", "x"):
        decision = compiled.evaluate(key, person)
        wanted = (decision.value, decision.payload)
        for client in (ways.local, ways.remote, ways.typed):
            found = client.flags.get(key, who, **options)
            assert (found.value, found.payload) == wanted
        for snapshot in snapshots:
            assert (snapshot.value(key), snapshot.payload(key)) == wanted
        for values in every:
            assert values.get(key) == decision.value
        for domain in ("local", "remote"):
            assert of_openfeature(api.get_client(domain), key, who, options) == decision.value
