"""Questions about captured events, and the words for a question answered by no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.testing._events import describe
from penstock.testing._expectation import Expectation, conditions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from penstock.testing._events import CapturedEvent

#: ``{keyword of an assertion: name in neutral JSON}``, for every type.
_COMMON = {
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "message_id": "messageId",
    "timestamp": "timestamp",
    "properties": "properties",
    "traits": "traits",
    "context": "context",
    "integrations": "integrations",
}
_VIEW = {"name": "name", "category": "category"}
#: The same for one type. Elsewhere the keyword is a property or trait: ``name`` of a group is.
_OWN = {
    "track": {"event": "event"},
    "capture": {"event": "event", "distinct_id": "userId"},
    "page": _VIEW,
    "screen": _VIEW,
    "group": {"group_id": "groupId"},
    "alias": {"previous_id": "previousId"},
    "create_alias": {"distinct_id": "distinctId", "alias": "alias"},
    "group_identify": {"group_type": "groupType", "group_id": "groupId", "distinct_id": "userId"},
}
_NAMED = frozenset({"track", "capture"})
_TRAITED = frozenset({"identify", "group", "group_identify"})


class Assertions:
    """
    Questions about captured events; `MemoryClient` has them.

    Each takes what docs/testing.md lists: message fields, dicts that may name only some keys,
    and ``property__operator`` keywords. A failed one raises AssertionError and names the events
    that came closest.
    """

    @property
    def events(self) -> Sequence[CapturedEvent]:
        """Every captured event, oldest first."""
        raise NotImplementedError

    def assert_tracked(
        self, event: str, *, times: int | None = None, **expected: Any
    ) -> CapturedEvent:
        """
        At least one ``track`` or ``capture`` event matches, or exactly *times*.

        Returns:
            The first that matches.
        """
        return self._found(expectation(_NAMED, {**expected, "event": event}), times)

    def assert_identified(
        self, user_id: str, *, times: int | None = None, **expected: Any
    ) -> CapturedEvent:
        """At least one ``identify`` call matches, or exactly *times*; the first is returned."""
        wanted = expectation(frozenset({"identify"}), {**expected, "user_id": user_id})
        return self._found(wanted, times)

    def assert_sent(
        self, message_type: str, /, *, times: int | None = None, **expected: Any
    ) -> CapturedEvent:
        """At least one event of this type matches, or exactly *times*; the first is returned."""
        return self._found(expectation(frozenset({message_type}), expected), times)

    def assert_not_tracked(self, event: str | None = None, **expected: Any) -> None:
        """No ``track`` or ``capture`` event matches; without an argument: there is none."""
        unwanted = expectation(_NAMED, {**expected, "event": event})
        found = self._matching(unwanted)
        if found:
            raise AssertionError(f"unwanted: {unwanted}\n{_listed(found, self.events)}")

    def assert_nothing_sent(self) -> None:
        """Nothing was captured at all."""
        if self.events:
            raise AssertionError(f"unwanted: anything\n{_listed(self.events, self.events)}")

    def _found(self, wanted: Expectation, times: int | None) -> CapturedEvent:
        found = self._matching(wanted)
        if not found:
            raise AssertionError(f"nothing matches {wanted}\n{self._closest(wanted)}")
        if times is not None and len(found) != times:
            raise AssertionError(
                f"{len(found)} instead of {times}: {wanted}\n{_listed(found, self.events)}"
            )
        return found[0]

    def _matching(self, wanted: Expectation) -> list[CapturedEvent]:
        return [event for event in self.events if not wanted.complaints(event.raw)]

    def _closest(self, wanted: Expectation) -> str:
        raws = [event.raw for event in self.events]
        lines = [f"closest of {len(raws)} captured events:" if raws else "nothing was captured"]
        for number, complaints in wanted.near_misses(raws):
            lines.append(f"  [{number}] {describe(raws[number])}")
            lines += (f"      {complaint}" for complaint in complaints)
        return "\n".join(lines)


def expectation(types: frozenset[str], expected: Mapping[str, Any]) -> Expectation:
    """The keyword arguments of an assertion, sorted out: message fields, then comparisons."""
    known = dict(_COMMON)
    for message_type in types:
        known |= _OWN.get(message_type, {})
    fields = {known[name]: value for name, value in expected.items() if name in known}
    others = {name: value for name, value in expected.items() if name not in known}
    facts = "traits" if types & _TRAITED else "properties"
    return Expectation(types, conditions(fields, facts, others))


def _listed(found: Iterable[CapturedEvent], events: Sequence[CapturedEvent]) -> str:
    places = {id(event): number for number, event in enumerate(events)}
    return "\n".join(f"  [{places[id(event)]}] {describe(event.raw)}" for event in found)
