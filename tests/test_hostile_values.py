"""Whatever a program hands us: nothing raises, nothing is lost, everything is JSON, all is told."""

from __future__ import annotations

import enum
import time
import uuid
from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

import proving
from hostile import calls
from hostile.containers import Fractal
from hostile.court import Court
from hostile.made import Made
from hostile.scalars import ONCE
from hostile.source import Source
from penstock import (
    Client,
    Config,
    Dreamdata,
    FieldError,
    MessageTooLargeError,
    PostHog,
    RudderStack,
    Segment,
    _calls,
    scoped,
)
from penstock.transport.memory import MemoryTransport
from penstock.values import _encode, _quick
from strategies import Card, LyingMapping, Trouble, anything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock import Destination

KEY = "WK_nobody"
ENDPOINT = "http://127.0.0.1:9"
DESTINATIONS: dict[str, tuple[Destination, ...]] = {
    "segment": (Segment(KEY, endpoint=ENDPOINT),),
    "posthog": (PostHog(KEY, ENDPOINT),),
    "posthog v1": (PostHog(KEY, ENDPOINT, capture_mode="v1"),),
    "fan-out": (
        RudderStack(KEY, ENDPOINT),
        Dreamdata(KEY, endpoint=ENDPOINT),
        PostHog(KEY, ENDPOINT),
    ),
}
#: Values for each kind of destination; 1,000,000 in all.
VALUES = {
    "segment": proving.scale(20_000, 600_000),
    "posthog": proving.scale(6_000, 200_000),
    "posthog v1": proving.scale(6_000, 150_000),
    "fan-out": proving.scale(4_000, 50_000),
}


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    """A client for Segment whose calls are judged one by one."""
    made = Court(DESTINATIONS["segment"], tmp_path)
    yield made
    made.verdict()


@pytest.fixture(params=["native", "python"])
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to JSON, where there are two."""
    if request.param == "python":
        for module in (_calls, _encode):
            monkeypatch.setattr(module, "quick_json", _quick._python_json)


def carried(value: object, told: tuple[Any, ...] | None = None) -> tuple[calls.Call, list[Made]]:
    """A call with one value among the properties."""
    return calls.inside(Random(1), [Made(value, told)]), [Made(value, told)]


@pytest.mark.proves("values", "fuzzed")
@pytest.mark.parametrize("to", DESTINATIONS)
def test_no_value_raises_or_costs_an_event(to: str, tmp_path: Path, proof: proving.Proof) -> None:
    """Inside properties, traits, context and scope, and in the place of every argument."""
    random, source = Random(len(to)), Source(seed=len(to))
    court = Court(DESTINATIONS[to], tmp_path)
    left = VALUES[to]
    while left > 0:
        draw = random.random()
        values = [source.next() for _ in range(random.randrange(1, 7) if draw < 0.8 else 1)]
        left -= len(values)
        court.hear(a_call(random, draw, values), values)
    court.client.flush(60)
    proof.record(trials=VALUES[to], events=len(court.accepted), lost=len(court.lost()))
    court.verdict()


def a_call(random: Random, draw: float, values: list[Made]) -> calls.Call:
    if draw < 0.7:
        return calls.inside(random, values)
    if draw < 0.8:
        return calls.in_scope(values)
    return (calls.instead if draw < 0.95 else calls.typed)(random, values[0])


@pytest.mark.proves("values", "drawn by hypothesis, which shrinks")
@pytest.mark.parametrize("part", ["inside", "instead"])
def test_the_smallest_value_that_raises_would_be_shown(
    part: str, court: Court, proof: proving.Proof
) -> None:
    """The same laws over `strategies.anything`."""

    @settings(
        max_examples=proving.scale(300, 3_000),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(anything)
    def hold(value: object) -> None:
        made = Made(value, None)
        call = calls.inside if part == "inside" else lambda r, v: calls.instead(r, v[0])
        court.hear(call(Random(), [made]), [made])
        proof.record(trials=1)

    proof.record(trials=0)
    hold()
    court.client.flush(60)
    proof.record(trials=0, events=len(court.accepted), lost=len(court.lost()))


# -- what there is no time or memory for -----------------------------------------------------------


def doubled(make: Callable[[Any], Any], times: int, value: Any = "x") -> Any:
    for _ in range(times):
        value = make(value)
    return value


TOO_MUCH: dict[str, Callable[[], Any]] = {
    "thirty lists, each the next one twice": lambda: doubled(lambda it: [it, it], 30),
    "thirty dicts": lambda: doubled(lambda it: {"a": it, "b": it}, 30),
    "a thousand times a thousand times a thousand": lambda: doubled(lambda it: [it] * 1000, 3),
    "one long text often": lambda: ["x" * 1_000_000] * 30_000,
    "one long key often": lambda: [{"x" * 1_000_000: 1}] * 30_000,
    "one long text often, beside a set": lambda: [["x" * 1_000_000] * 30_000, {1}],
    "thirty records": lambda: doubled(lambda it: Card(it, [it]), 30),
    "thirty queues": lambda: doubled(lambda it: deque([it, it]), 30),
    "lists around what is no list": lambda: doubled(lambda it: [it, it], 25, [0, Card(1)]),
    "sequences that make sequences": Fractal,
}


@pytest.mark.parametrize("kind", TOO_MUCH)
@pytest.mark.usefixtures("twin")
def test_a_small_knot_of_references_is_no_large_event(kind: str, court: Court) -> None:
    """It is dead(too_large) at once; written out it would fill the memory."""
    call, values = carried(TOO_MUCH[kind]())
    began = time.thread_time()
    court.hear(call, values)
    assert time.thread_time() - began < 1.0
    assert list(court.dead.values()) == ["too_large"]


def test_a_strict_client_raises_for_it() -> None:
    """With the limit, like any other event that is too large."""
    settings = Config(journal=None, transport=MemoryTransport(), strict=True)
    with Client(Segment(KEY), config=settings) as strict:
        for kind in ("thirty dicts", "one long key often", "thirty queues"):
            with pytest.raises(MessageTooLargeError) as raised:
                strict.track("u1", "Signed Up", {"it": TOO_MUCH[kind]()})
            assert raised.value.limit == 32_768


def test_many_keys_of_one_text_take_no_square_of_time(court: Court) -> None:
    """Each gets a number; finding it does not start from 2 again."""

    class Key:
        def __str__(self) -> str:
            return "k"

    call, values = carried({Key(): None for _ in range(20_000)})
    court.hear(call, values)
    assert list(court.dead.values()) == ["too_large"]


# -- what would end the process ------------------------------------------------------------------


class Raising(enum.Enum):
    ONE = 1

    @property
    def value(self) -> Any:
        raise Trouble


class Circular(enum.Enum):
    ONE = 1

    @property
    def value(self) -> Any:
        return self


def half_made(number: object = None) -> uuid.UUID:
    """A UUID without its constructor, as a broken pickle leaves it."""
    found = uuid.UUID.__new__(uuid.UUID)
    if number is not None:
        object.__setattr__(found, "int", number)
    return found


FATAL: dict[str, tuple[Any, Any]] = {
    "a member whose value raises": (Raising.ONE, "unreadable"),
    "a member without a value": (object.__new__(Raising), "unreadable"),
    "a member that is its own value": (Circular.ONE, "cycle"),
    "a UUID without a number": (half_made(), "unreadable"),
    "a UUID with a text for a number": (half_made("text"), "unreadable"),
}


@pytest.mark.parametrize("kind", FATAL)
@pytest.mark.usefixtures("twin")
def test_nothing_ends_the_process(kind: str, court: Court) -> None:
    """The encoder below us crashes on these; they are never handed to it."""
    value, reason = FATAL[kind]
    court.hear(*carried(value, (reason,)))
    court.hear(*carried([{"deep": value}], (reason,)))


# -- what is the caller's ------------------------------------------------------------------------


def test_the_callers_objects_stay_as_they_are(court: Court) -> None:
    """Nothing of them is changed, and what can be read only once is not read."""
    source = Source(seed=3)
    for _ in range(2_000):
        made = source.next()
        if made.told is None:  # it may have another text each time
            continue
        before = shown(made.value)
        court.hear(calls.inside(Random(1), [made]), [made])
        assert shown(made.value) == before
    assert next(ONCE) == 1


def shown(value: object) -> str:
    """Its text, if it has one."""
    try:
        return repr(value)
    except (ValueError, RecursionError):  # too many digits; too deep
        return ""


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_ends_it_and_costs_nothing(
    stop: type[BaseException], court: Court
) -> None:
    """Control-C may come in the middle of a value: no id, no event; the next one is whole."""

    class Stopping:
        def __str__(self) -> str:
            raise stop

    with pytest.raises(stop):
        court.client.track("u1", "Signed Up", {"it": Stopping()})
    assert court.client.ledger().accepted == 0
    court.hear(*carried(1, ()))


# -- whole arguments -------------------------------------------------------------------------------


class Shy(str):
    """A text that says nothing of itself."""

    __slots__ = ()

    def __bool__(self) -> bool:
        raise Trouble

    __len__ = __str__ = isspace = __bool__


class Disguised:
    """Raises when it is asked what it is."""

    @property
    def __class__(self) -> Any:
        raise Trouble


MISUSED: tuple[tuple[str, Any], ...] = (
    *((field, Disguised()) for field in ("properties", "context", "integrations", "message")),
    *((field, Disguised()) for field in ("user_id", "event", "timestamp", "message_id")),
    ("user_id", 10**5_000),
    ("user_id", half_made()),
    ("timestamp", 10**5_000),
    ("message_id", "half \ud800"),
    ("idempotency_key", "half \ud800"),
    ("message_id", "x" * 100),
)


@pytest.mark.parametrize("number", range(len(MISUSED)), ids=[field for field, _ in MISUSED])
def test_misuse_names_the_field_whatever_was_given(number: int, court: Court) -> None:
    """A `FieldError`, whose text can be shown, and nothing else."""
    field, value = MISUSED[number]
    with pytest.raises(FieldError) as raised:
        calls.PLACES[field](court.client, value)
    assert raised.value.field == field
    assert len(str(raised.value)) < 300


def test_an_id_of_a_class_that_says_nothing_is_still_an_id(court: Court) -> None:
    """What a text stores counts, not what its class makes of it."""
    court.client.track(Shy("u1"), Shy("Signed Up"), message_id=Shy("m1"))
    court.client.flush(10)
    assert court.reader.arrived


#: What is said of a mapping that is read; an empty text where it can be read after all.
SAID = {"always changes": "unreadable", "endless": "too_many", "length": ""}


@pytest.mark.parametrize("lie", SAID)
def test_an_ambient_mapping_that_cannot_be_read_does_not_take_the_others_with_it(
    lie: str, court: Court
) -> None:
    """It is told under its type's name; the event's own properties arrive."""
    with scoped(user_id="u1", properties=LyingMapping(lie)):
        court.client.track(event="Signed Up", properties={"plan": "pro"})
    place, reason = "properties.<strategies.LyingMapping>", SAID[lie]
    assert court.reports == ([(place, reason)] if reason else [])
