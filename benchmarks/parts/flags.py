"""
What a flag costs when it is evaluated locally, beside the posthog package in the same process.

Both hold the same definitions; nothing is sent, events are off. (a) one condition, 50 % rollout.
(b) five conditions of three filters (list, number, regular expression), of which the fifth matches,
three variants, a payload. (c) a cohort that nests two others, seven leaves. (d) 100 flags, a
quarter each of (a), one filter, (b) and (c), all at once. *penstock evaluator* is
`CompiledFlags.evaluate`, with making the person; *penstock client* is `Client.flags`, *posthog* its
`get_feature_flag` and `get_all_flags`, as a program calls them. Microseconds; p50 over batches of
calls, the three taking turns.
"""

from __future__ import annotations

import json
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any

from parts import Bar, Cell, Results, Scale, Table, at_least, at_most, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TITLE = "Feature flags, evaluated locally (µs)"
WHO = "019mr8mf4r"
PROPERTIES = {"plan": "gold", "seats": 12, "email": "u1@corp.example", "country": "SE"}
SINGLE = {"a": "one rollout flag", "b": "five conditions, variants", "c": "nested cohorts"}
BULK = {"d": "100 flags at once", "rollouts": "100 rollout flags at once"}
#: Flags of a large set, and what loading them may take.
LARGE, LOAD_MS = 1000, 250
_COLUMNS = ("evaluator", "client", "posthog")


def cells(sdk: str, scale: Scale) -> Iterator[Cell]:
    """One process measures all of them: they are compared with each other."""
    if sdk == "penstock":
        options = {"rounds": scale.of(60, 2), "calls": scale.of(200, 2)}
        for workload in (*SINGLE, *BULK):
            yield Cell("flags", sdk, workload, {"workload": workload, **options})
        yield Cell("flags", sdk, "load", {"workload": "load", "rounds": scale.of(7, 1)})


def measure(_name: str, _url: str, workload: str, rounds: int, calls: int = 1) -> dict[str, Any]:
    """``{column: p50 in µs}``; of ``load``, milliseconds."""
    warnings.simplefilter("ignore")
    if workload == "load":
        return {"evaluator": _loading(rounds)}
    reads = _reads(workload)
    answers = [read() for read in reads.values()]
    assert all(answer == answers[0] for answer in answers), "they disagree"
    if workload in BULK:
        calls = max(calls // 50, 1)
    batches: dict[str, list[float]] = {name: [] for name in reads}
    for _ in range(rounds):
        for name, read in reads.items():
            batches[name].append(_batch(read, calls))
    return {name: median(found) for name, found in batches.items()}


def _batch(read: Callable[[], object], calls: int) -> float:
    began = time.perf_counter_ns()
    for _ in range(calls):
        read()
    return (time.perf_counter_ns() - began) / calls / 1000


def _loading(rounds: int) -> float:
    from penstock.flags import compile_flags, parse_definitions

    body = json.dumps(_definitions(_mixed(LARGE))).encode()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        compile_flags(parse_definitions(body))
        found.append((time.perf_counter() - began) * 1000)
    return median(found)


# -- who is asked ----------------------------------------------------------------------------


def _reads(workload: str) -> dict[str, Callable[[], object]]:
    flags = {
        "d": lambda: _mixed(100),
        "rollouts": lambda: [_rollout(f"r{number}") for number in range(100)],
    }.get(workload, lambda: [_rollout("a"), _conditions("b"), _cohorts("c")])()
    definitions = _definitions(flags)
    url = _served(definitions)
    known = {} if workload in {"a", "rollouts"} else PROPERTIES
    one = None if workload in BULK else workload
    made = (
        _evaluator(definitions, one, known),
        _client(url, one, known),
        _posthog(url, one, known),
    )
    return {name: read for name, read in zip(_COLUMNS, made, strict=True) if read is not None}


def _evaluator(definitions: Any, key: str | None, known: Any) -> Callable[[], object]:
    from penstock.flags import Person, compile_flags, parse_definitions

    flags = compile_flags(parse_definitions(definitions))
    if key is not None:
        return lambda: flags.evaluate(key, Person(WHO, None, known)).value
    everything = flags.evaluate_all
    return lambda: {k: d.value for k, d in everything(Person(WHO, None, known)).items()}


def _client(url: str, key: str | None, known: Any) -> Callable[[], object] | None:
    from penstock import Client, Config, PostHog

    if not hasattr(Client, "flags"):
        return None
    from penstock import FlagSettings

    settings = FlagSettings(secret_key="phs_bench", send_events=False)
    client = Client(PostHog("phc_bench", endpoint=url), config=Config(journal=None, flags=settings))
    client.flags.reload()
    flags = client.flags
    if key is not None:
        return lambda: (
            flags.get(key, WHO, person_properties=known, only_evaluate_locally=True).value
        )
    return lambda: flags.all(WHO, person_properties=known, only_evaluate_locally=True)


def _posthog(url: str, key: str | None, known: Any) -> Callable[[], object] | None:
    if find_spec("posthog") is None:
        return None
    from posthog import Posthog

    client = Posthog("phc_bench", host=url, personal_api_key="phs_bench", poll_interval=3600)
    client.load_feature_flags()
    settings = {"person_properties": known, "only_evaluate_locally": True}
    if key is not None:
        return lambda: client.get_feature_flag(key, WHO, send_feature_flag_events=False, **settings)
    return lambda: client.get_all_flags(WHO, **settings)


def _served(definitions: Any) -> str:
    """A server of the definitions: both clients load them as they do from a provider."""
    body = json.dumps(definitions).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


# -- what is evaluated -----------------------------------------------------------------------


def _definitions(flags: list[Any]) -> dict[str, Any]:
    return {"flags": flags, "group_type_mapping": {}, "cohorts": _COHORTS}


def _mixed(count: int) -> list[Any]:
    kinds = (_rollout, _filtered, _conditions, _cohorts)
    return [kinds[number % 4](f"m{number}") for number in range(count)]


def _flag(key: str, *conditions: Any, **filters: Any) -> dict[str, Any]:
    filters = {"groups": list(conditions), **filters}
    return {"id": 1, "key": key, "active": True, "version": 1, "filters": filters}


def _condition(*filters: Any, percent: float = 100) -> dict[str, Any]:
    return {"properties": list(filters), "rollout_percentage": percent}


def _filter(key: str, operator: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"key": key, "type": "person", "operator": operator, "value": value, **more}


def _cohort(name: int) -> dict[str, Any]:
    return {"key": "id", "type": "cohort", "value": name}


def _rollout(key: str) -> dict[str, Any]:
    return _flag(key, _condition(percent=50))


def _filtered(key: str) -> dict[str, Any]:
    return _flag(key, _condition(_filter("plan", "exact", "gold")))


def _conditions(key: str) -> dict[str, Any]:
    """Of the first four, the list and the number match, and the expression does not."""
    tried = [
        _condition(
            _filter("plan", "exact", ["gold", f"silver-{number}"]),
            _filter("seats", "gte", 5),
            _filter("email", "regex", f"@corp{number}\\.example$"),
        )
        for number in range(4)
    ]
    last = _condition(
        _filter("plan", "exact", ["gold", "platinum"]),
        _filter("seats", "gte", 5),
        _filter("email", "regex", "@corp\\.example$"),
    )
    shares = (("control", 50), ("wide", 25), ("narrow", 25))
    variants = [{"key": name, "rollout_percentage": share} for name, share in shares]
    payloads = {"control": '{"columns": 1}', "wide": '{"columns": 3}', "narrow": '{"columns": 2}'}
    return _flag(key, *tried, last, multivariate={"variants": variants}, payloads=payloads)


def _cohorts(key: str) -> dict[str, Any]:
    return _flag(key, _condition(_cohort(1)))


def _all(*entries: Any) -> dict[str, Any]:
    return {"type": "AND", "values": list(entries)}


def _any(*entries: Any) -> dict[str, Any]:
    return {"type": "OR", "values": list(entries)}


_COHORTS = {
    "1": _any(
        _all(_cohort(2), _cohort(3)),
        _all(_filter("country", "exact", "FR"), _filter("seats", "lt", 3)),
    ),
    "2": _all(
        _filter("plan", "exact", ["gold", "silver"]),
        _filter("country", "exact", "US", negation=True),
    ),
    "3": _any(
        _all(_filter("seats", "gt", 100), _filter("email", "icontains", "test")),
        _filter("email", "icontains", "corp"),
    ),
}


# -- what came out ---------------------------------------------------------------------------


def tables(results: Results) -> Iterator[Table]:
    """A row per workload, and one for loading."""
    header = ["workload", "penstock evaluator", "penstock client", "posthog", "times", "spread"]
    rows = []
    for workload, what in (SINGLE | BULK).items():
        found = [results.median("penstock", workload, column) for column in _COLUMNS]
        ours = found[1] or found[0]
        times = f"{found[2] / ours:.1f}" if ours and found[2] else "-"
        spread = results.spread("penstock", workload, "client" if found[1] else "evaluator")
        rows.append([f"({workload}) {what}", *map(shown, found), times, spread])
    yield Table(header, rows)
    loaded = results.median("penstock", "load", "evaluator")
    yield Table(["", "ms"], [[f"read and compile {LARGE:,} flags", shown(loaded)]])


def bars(results: Results) -> list[Bar]:
    """Design, section 10; the client is what is judged, where it evaluates flags."""
    found: list[Bar] = []
    for workload, what in (SINGLE | BULK).items():
        ours = results.median("penstock", workload, "client")
        ours = ours or results.median("penstock", workload, "evaluator")
        theirs = results.median("penstock", workload, "posthog")
        if workload == "a":
            found += at_most("flag evaluation, p50", 3, ours, "µs")
        if ours and theirs:
            found += at_least(f"flags: {what}, beside posthog", 4, theirs / ours, "times")
    loaded = results.median("penstock", "load", "evaluator")
    return found + at_most(f"flags: load {LARGE:,}", LOAD_MS, loaded, "ms")
