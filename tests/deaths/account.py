"""
Reconciling: what was tracked against what the counter stored and what the journal says.

- Everything `track` returned an id for was stored, under that id, for every destination.
- Nothing was stored that nobody tracked, and everything as it was tracked.
- An event came again only when the process that had sent it died, or was kept from the answer;
  never after a client had said that it is delivered; and a process leaves no more requests
  unsettled than it may have in flight.
- The accounts of the retired lanes say the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from deaths.events import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from deaths.board import Noted
    from deaths.counter import Request
    from deaths.lives import Setting

#: Two clocks' worth of rounding, in milliseconds.
_SLACK_MS = 1


class Lived(NamedTuple):
    """A life that is over. Times are milliseconds since 1970."""

    number: int
    #: What it did and where it died, for a person who reads of a failure.
    story: str
    began_ms: float
    #: It died between these two.
    died_after_ms: float
    died_before_ms: float
    #: Processes it may have been.
    processes: int
    #: Whether nobody else lived at the time, and it waited for its answers while it lived.
    plain: bool
    noted: dict[int, Noted]
    #: ``(message id, when)``: said to be delivered.
    told: list[tuple[str, float]]


class Account(NamedTuple):
    """What came of one journal."""

    events: int
    lost: list[str]
    #: Events stored more than once, in excess.
    repeated: int
    #: Sentences, each about a broken promise; losses are among them.
    wrong: list[str]


class _Store(NamedTuple):
    """One time that one event was stored."""

    number: int  # of the request
    sent_ms: int
    cut: bool


def reconcile(
    setting: Setting, lives: list[Lived], stored: dict[str, list[Request]], journal: Path
) -> Account:
    """Compare all that is known about one journal after its last process."""
    accepted = _accepted(lives)
    wrong, lost, repeated = list[str](), list[str](), 0
    for key in setting.keys:
        requests = stored[key]
        stores = _stores(requests)
        missing = sorted(accepted - stores.keys())
        if missing:
            wrong += [f"{key}: {len(missing)} lost", *(accepted[id_] for id_ in missing[:5])]
        lost += missing
        repeated += sum(len(times) - 1 for times in stores.values())
        wrong += _invented(lives, requests)
        wrong += _unexplained(lives, stores)
        wrong += _unsettled(setting, lives, stores, key)
    wrong += _taken_back(setting, lives, stored)
    wrong += _ledger(lives, stored, journal, setting)
    return Account(len(accepted), lost, repeated, wrong)


def _accepted(lives: list[Lived]) -> dict[str, str]:
    """Every id that `track` returned, and where."""
    return {
        id_: f"{id_}, writer {writer}, event {place} of {len(noted.ids)}, {life.story}"
        for life in lives
        for writer, noted in life.noted.items()
        for place, id_ in enumerate(noted.ids)
    }


def _stores(requests: list[Request]) -> dict[str, list[_Store]]:
    """Every time each event was stored, in the order of sending."""
    found: dict[str, list[_Store]] = defaultdict(list)
    for number, request in enumerate(requests):
        for id_, _user, _intact in request.events:
            found[id_].append(_Store(number, request.sent_ms, request.cut))
    for times in found.values():
        times.sort(key=lambda store: store.sent_ms)
    return found


def _invented(lives: list[Lived], requests: list[Request]) -> Iterator[str]:
    """Events nobody tracked, under another id than was returned, or changed on the way."""
    noted = {(life.number, w): n for life in lives for w, n in life.noted.items()}
    names: dict[str, str] = {}
    for id_, user, intact in (event for request in requests for event in request.events):
        life, writer, number = place_of(user)
        writers = noted.get((life, writer))
        if writers is None or number >= writers.attempted:
            yield f"nobody tracked {user}"
        elif number < len(writers.ids) and writers.ids[number] != id_:
            yield f"{user} came as {id_}"
        if names.setdefault(user, id_) != id_:
            yield f"{user} came under two ids"
        if not intact:
            yield f"{user} was changed on the way"


def _unexplained(lives: list[Lived], stores: dict[str, list[_Store]]) -> Iterator[str]:
    """Repetitions although the first sender lived on and had its answer."""
    for id_, times in stores.items():
        for first, again in pairwise(times):
            if not first.cut and not any(
                life.died_after_ms - _SLACK_MS <= again.sent_ms
                and life.died_before_ms + _SLACK_MS >= first.sent_ms
                for life in lives
            ):
                yield f"{id_} was sent again, and nobody died in between"


def _unsettled(
    setting: Setting, lives: list[Lived], stores: dict[str, list[_Store]], key: str
) -> Iterator[str]:
    """More requests repeated after a death than the process may have had in flight."""
    plain = [life for life in lives if life.plain]
    left: dict[int, set[int]] = defaultdict(set)
    for times in stores.values():
        for first, again in pairwise(times):
            sender = next((life for life in plain if _may_have_sent(life, first)), None)
            if sender and not first.cut and again.sent_ms > sender.died_before_ms:
                left[sender.number].add(first.number)
    for life in plain:
        most = setting.concurrency * life.processes
        if len(left[life.number]) > most:
            yield f"{key}: {life.story} left {len(left[life.number])} unsettled, not {most}"


def _may_have_sent(life: Lived, store: _Store) -> bool:
    return life.began_ms <= store.sent_ms <= life.died_before_ms


def _taken_back(
    setting: Setting, lives: list[Lived], stored: dict[str, list[Request]]
) -> Iterator[str]:
    """Events sent again after a client had said of each destination that it has them."""
    told: dict[str, list[float]] = defaultdict(list)
    for id_, at_ms in (one for life in lives for one in life.told):
        told[id_].append(at_ms)
    for request in (one for key in setting.keys for one in stored[key]):
        for id_, _user, _intact in request.events:
            times = told.get(id_, ())
            if len(times) >= setting.destinations and request.sent_ms > max(times) + _SLACK_MS:
                yield f"{id_} was sent again after the callback was told"
    for id_, times in told.items():
        if len(times) > setting.destinations:
            yield f"the callback was told {len(times)} times of {id_}"


def _ledger(
    lives: list[Lived], stored: dict[str, list[Request]], journal: Path, setting: Setting
) -> Iterator[str]:
    """
    The retired lanes' accounts, against what was stored.

    A call that was interrupted by a handler's, and never returned, leaves a gap: one event that
    is counted as accepted and dead, although nobody was told of it.
    """
    begun = sum(n.attempted - len(n.ids) for life in lives for n in life.noted.values())
    lanes: dict[str, dict[str, Any]] = {}
    for line in _lines(journal):
        lanes[line["lane"]] = line["destinations"]
    names = ("Segment", "RudderStack")[: setting.destinations]
    for name, key in zip(names, setting.keys, strict=True):
        accounts = [lane[name] for lane in lanes.values()]
        different = len({id_ for request in stored[key] for id_, *_ in request.events})
        delivered = sum(account["delivered"] for account in accounts)
        if delivered != different:
            yield f"{name}: the ledger says {delivered} delivered, the counter has {different}"
        dead = Counter[str]()
        for account in accounts:
            dead.update(account["dead"])
        if dead.keys() - {"corrupt"} or dead.total() > begun:
            yield f"{name}: the ledger says dead: {dict(dead)}"


def _lines(journal: Path) -> Iterable[dict[str, Any]]:
    for path in journal.glob("*/retired.jsonl"):
        for line in path.read_bytes().splitlines():
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # its writer was killed in the middle; whoever came next wrote another
