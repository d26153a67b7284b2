"""
Telling of reads: each value of a flag once per person, as an event like any other.

The event goes to the destination that serves the flags, and to no other: it is that vendor's own.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from penstock.errors import PenstockError
from penstock.flags import events
from penstock.kinds import Kind
from penstock.scope import CURRENT

if TYPE_CHECKING:
    from collections.abc import Hashable

    from penstock.flags.question import Question
    from penstock.flags.result import Evaluation
    from penstock.intake import Intake

#: So many people are remembered, the least recently seen is forgotten. PostHog's own clients'
#: number; a person takes about a kilobyte with ten flags.
MAX_PEOPLE = 50_000


class Seen:
    """
    What was told of whom; thread-safe.

    Args:
        capacity: People remembered.
    """

    def __init__(self, capacity: int = MAX_PEOPLE) -> None:
        self._capacity = capacity
        self._people: OrderedDict[str, set[Hashable]] = OrderedDict()
        self.restart()

    def restart(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = Lock()

    def add(self, who: str, mark: Hashable) -> bool:
        """Remember *mark* of *who*; whether it is new."""
        with self._lock:
            marks = self._people.get(who)
            if marks is None:
                if len(self._people) >= self._capacity:
                    self._people.popitem(last=False)
                self._people[who] = {mark}
                return True
            self._people.move_to_end(who)
            if mark in marks:
                return False
            marks.add(mark)
            return True

    def discard(self, who: str, mark: Hashable) -> None:
        """Forget *mark*: nobody was told after all."""
        with self._lock:
            self._people.get(who, set()).discard(mark)

    def __len__(self) -> int:
        return len(self._people)


class Calls:
    """
    The events of one client's reads.

    Args:
        client: Captures them.
        destination: The name of the one they are for; None for all.
    """

    def __init__(self, client: Intake, destination: str | None) -> None:
        self._client = client
        self._integrations = _only(client, destination)
        self.clear()

    def restart(self) -> None:
        """In a forked child: what the parent has told need not be told again."""
        self._called.restart()
        self._exposed.restart()

    def clear(self) -> None:
        """Forget what was told."""
        self._called = Seen()
        self._exposed = Seen()

    def tell(self, evaluation: Evaluation, question: Question, *, gate: bool) -> None:
        """
        Capture ``$feature_flag_called`` unless this was told already; never raises.

        Args:
            evaluation: What was read.
            question: Who it was read for.
            gate: Whether the definitions that decided it allow a reduced event.
        """
        person = question.person
        groups = tuple(sorted(person.groups.items())) if person.groups else ()
        rule = events.rule_mark(evaluation)
        mark = (evaluation.key, evaluation.value, groups, rule)
        who = str(person.distinct_id)
        if self._called.add(who, mark):
            properties = events.called(evaluation, question)
            minimal = events.is_minimal(evaluation, gate=gate)
            if not self._capture(events.CALLED, who, properties, minimal=minimal):
                self._called.discard(who, mark)
        if rule:
            self._tell_exposure(evaluation, question, who, groups)

    def _tell_exposure(
        self, evaluation: Evaluation, question: Question, who: str, groups: Hashable
    ) -> None:
        properties = events.exposure(evaluation, question)
        if properties is None:
            return
        names = ("$feature_flag_rule_id", "$feature_flag_variant_key")
        mark = (evaluation.key, groups, *(properties[name] for name in names))
        if self._exposed.add(who, mark) and not self._capture(
            events.EXPOSURE, who, properties, minimal=False
        ):
            self._exposed.discard(who, mark)

    def _capture(self, event: str, who: str, own: dict[str, Any], *, minimal: bool) -> bool:
        """Capture an event of ours; whether it needs no second try."""
        scope = CURRENT.get()
        ambient = dict(scope.properties or {}) if scope is not None else {}
        properties = {
            **{name: value for name, value in ambient.items() if name not in events.ATTRIBUTION},
            **own,
        }
        context: dict[str, Any] | None = None
        if minimal:
            properties = {k: v for k, v in properties.items() if k in events.MINIMAL}
            context = self._blanks(dict(scope.context or {}) if scope is not None else {})
        neutral = {"type": "capture", "event": event, "userId": who, "properties": properties}
        refused = self._refused()
        try:
            self._client.accept(Kind.CAPTURE, neutral, scope, context, self._integrations)
        except PenstockError:  # closed by another thread, or strict: a read does not raise for it
            return False
        return self._refused() == refused

    def _blanks(self, ambient: dict[str, Any]) -> dict[str, None] | None:
        """A context that takes the ambient one back: null fields stand for no property."""
        names = {**(self._client.config.default_context or {}), **ambient}.keys()
        return dict.fromkeys(names - events.MINIMAL_CONTEXT) or None

    def _refused(self) -> int:
        """Events that the journal had no room for."""
        engine = self._client._engine  # noqa: SLF001 - `accept` does not say
        return 0 if engine is None else engine.lane.refused.get("queue_full", 0)


def _only(client: Intake, destination: str | None) -> dict[str, bool] | None:
    """``integrations`` that let an event reach one destination only; None: all of them."""
    names = [one.name for one in client.destinations]
    others = dict.fromkeys((name for name in names if name != destination), False)
    if destination is None or not others:
        return None
    return {"All": False, **others, destination: True}
